/**
 * The deployed functions by name: what each is built from and how its edge behaves. Each stands in a constant of its
 * own, `build` and the name, so that a bundle can take one and leave the code of the others behind.
 */

import { FUNCTION_NAMES, type FunctionName } from '../shared/domain/function-names.ts';
import { createAdmin } from './admin.ts';
import type { Build } from './built-once.ts';
import { composeAdmin } from './compose/admin.ts';
import { composeDirectoryEvent } from './compose/directory-event.ts';
import { composeDirectoryWatch } from './compose/directory-watch.ts';
import { composeDue } from './compose/due.ts';
import { composeKeyService } from './compose/key-service.ts';
import { composeOcsp } from './compose/ocsp.ts';
import { composePublishCrl } from './compose/publish-crl.ts';
import { composeSign } from './compose/sign.ts';
import { composeSweep } from './compose/sweep.ts';
import { createDirectoryEvent } from './directory-event.ts';
import { createDirectoryWatch } from './directory-watch.ts';
import { createDue } from './due.ts';
import { keyServiceFunction } from './key-service.ts';
import { createOcsp } from './ocsp.ts';
import { createPublishCrl } from './publish-crl.ts';
import { createSign } from './sign.ts';
import { createSweep } from './sweep.ts';
import { asHttpFunction } from './wire/http.ts';

export { FUNCTION_NAMES, type FunctionName };

const MEBIBYTE = 1024 * 1024;
/** A Pub/Sub message has at most 10 MB, a third more as base64. An audit entry has a few kilobytes. */
const MAX_PUSH_BYTES = 14 * MEBIBYTE;
const MAX_SMALL_BYTES = 64 * 1024;
/** A re-key that names 50,000 users by address. */
const MAX_ADMIN_BYTES = 4 * MEBIBYTE;

export const buildDirectoryWatch: Build = async (settings, given) => {
  const deps = await composeDirectoryWatch(settings, given);
  return asHttpFunction(createDirectoryWatch(deps), {
    name: 'directory-watch',
    log: deps.log,
    maxBodyBytes: MAX_SMALL_BYTES,
  });
};

export const buildDirectoryEvent: Build = async (settings, given) => {
  const deps = await composeDirectoryEvent(settings, given);
  return asHttpFunction(createDirectoryEvent(deps), {
    name: 'directory-event',
    log: deps.log,
    maxBodyBytes: MAX_PUSH_BYTES,
  });
};

export const buildDue: Build = async (settings, given) => {
  const deps = await composeDue(settings, given);
  return asHttpFunction(createDue(deps), { name: 'due', log: deps.log, maxBodyBytes: MAX_SMALL_BYTES });
};

export const buildSweep: Build = async (settings, given) => {
  const deps = await composeSweep(settings, given);
  return asHttpFunction(createSweep(deps), { name: 'sweep', log: deps.log, maxBodyBytes: MAX_SMALL_BYTES });
};

export const buildSign: Build = async (settings, given) => {
  const deps = await composeSign(settings, given);
  return asHttpFunction(createSign(deps), { name: 'sign', log: deps.log, maxBodyBytes: MAX_SMALL_BYTES });
};

export const buildPublishCrl: Build = async (settings, given) => {
  const deps = await composePublishCrl(settings, given);
  return asHttpFunction(createPublishCrl(deps), {
    name: 'publish-crl',
    log: deps.log,
    maxBodyBytes: MAX_SMALL_BYTES,
  });
};

export const buildAdmin: Build = async (settings, given) => {
  const deps = await composeAdmin(settings, given);
  return asHttpFunction(createAdmin(deps), { name: 'admin', log: deps.log, maxBodyBytes: MAX_ADMIN_BYTES });
};

export const buildKeyService: Build = async (settings, given) =>
  keyServiceFunction(await composeKeyService(settings, given));

export const buildOcsp: Build = async (settings, given) => {
  const deps = await composeOcsp(settings, given);
  return asHttpFunction(createOcsp(deps), { name: 'ocsp', log: deps.log, maxBodyBytes: MAX_SMALL_BYTES });
};

export const FUNCTIONS: Readonly<Record<FunctionName, Build>> = {
  'directory-watch': buildDirectoryWatch,
  'directory-event': buildDirectoryEvent,
  due: buildDue,
  sweep: buildSweep,
  sign: buildSign,
  'publish-crl': buildPublishCrl,
  admin: buildAdmin,
  'key-service': buildKeyService,
  ocsp: buildOcsp,
};
