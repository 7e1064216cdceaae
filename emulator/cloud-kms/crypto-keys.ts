/** Keys: https://docs.cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys */
import { failedPrecondition, invalidArgument } from '../core/google-error.ts';
import { type Message, readMessage } from '../core/message.ts';
import type { Call, Route } from '../core/route.ts';
import { isAlgorithm, purposeOf } from './algorithms.ts';
import { idFrom, KEY, method, PAGING, pageOf, RING } from './method.ts';
import type { Algorithm, ProtectionLevel } from './records.ts';
import { keyResource } from './resources.ts';
import { type NewKey, notEmulated, type Rings } from './rings.ts';

const KEY_MESSAGE = {
  name: 'string',
  purpose: 'string',
  createTime: 'string',
  nextRotationTime: 'string',
  rotationPeriod: 'string',
  versionTemplate: { message: { protectionLevel: 'string', algorithm: 'string' } },
  labels: 'string-map',
  importOnly: 'bool',
  destroyScheduledDuration: 'string',
  cryptoKeyBackend: 'string',
} as const;

export function keyRoutes(rings: Rings): readonly Route[] {
  return [
    method('cryptoKeys.create', 'POST', `${RING}/cryptoKeys`, (call) => create(rings, call), [
      'cryptoKeyId',
      'skipInitialVersionCreation',
    ]),
    method(
      'cryptoKeys.list',
      'GET',
      `${RING}/cryptoKeys`,
      (call) => {
        const ring = rings.ring(call, 'cloudkms.cryptoKeys.list');
        const keys = Object.keys(ring.keys).flatMap((id) => rings.findKey(ring, id) ?? []);
        return pageOf(
          call,
          'cryptoKeys',
          keys.map((key) => keyResource(rings, ring, key)),
        );
      },
      PAGING,
    ),
    method('cryptoKeys.get', 'GET', KEY, (call) => {
      const { ring, key } = rings.key(call, 'cloudkms.cryptoKeys.get');
      return keyResource(rings, ring, key);
    }),
    method('cryptoKeys.patch', 'PATCH', KEY, (call) => patch(rings, call), ['updateMask']),
    method('cryptoKeys.updatePrimaryVersion', 'POST', `${KEY}\\:updatePrimaryVersion`, (call) =>
      updatePrimary(rings, call),
    ),
  ];
}

async function create(rings: Rings, call: Call): Promise<unknown> {
  const ring = rings.ring(call, 'cloudkms.cryptoKeys.create');
  const id = idFrom(call, 'cryptoKeyId');
  const key = rings.createKey(ring, id, newKey(rings, readMessage(call, KEY_MESSAGE)));
  if (call.query.get('skipInitialVersionCreation') !== 'true') {
    const first = await rings.createVersion(key);
    if (key.purpose === 'ENCRYPT_DECRYPT') key.primary = first.number;
  }
  rings.changed();
  return keyResource(rings, ring, key);
}

function newKey(rings: Rings, request: Message<typeof KEY_MESSAGE>): NewKey {
  const { purpose, versionTemplate } = request;
  if (request.importOnly === true || request.cryptoKeyBackend !== undefined)
    throw notEmulated('imported keys and no external back ends');
  if (purpose === undefined || purpose === 'CRYPTO_KEY_PURPOSE_UNSPECIFIED')
    throw invalidArgument('CryptoKey.purpose is required.');
  if (purpose !== 'ENCRYPT_DECRYPT' && purpose !== 'ASYMMETRIC_SIGN')
    throw notEmulated(`keys for ${purpose}`);
  const algorithm = algorithmOf(purpose, versionTemplate?.algorithm);
  const protectionLevel = versionTemplate?.protectionLevel ?? 'SOFTWARE';
  if (!isProtectionLevel(protectionLevel)) throw notEmulated(`protection level ${protectionLevel}`);
  const rotationPeriodSeconds = seconds('rotationPeriod', request.rotationPeriod);
  if (purpose !== 'ENCRYPT_DECRYPT' && (rotationPeriodSeconds ?? request.nextRotationTime) !== undefined)
    throw invalidArgument('Only keys with the purpose ENCRYPT_DECRYPT rotate by themselves.');
  if (rotationPeriodSeconds !== undefined && rotationPeriodSeconds < 86_400)
    throw invalidArgument('CryptoKey.rotation_period must be at least 24 hours.');
  if (rotationPeriodSeconds !== undefined && request.nextRotationTime === undefined)
    throw invalidArgument('CryptoKey.next_rotation_time must be set with rotation_period.');
  const nextRotationTime = instant(rings, request.nextRotationTime);
  const destroyAfterSeconds = seconds('destroyScheduledDuration', request.destroyScheduledDuration);
  return {
    algorithm,
    protectionLevel,
    ...(request.labels === undefined ? {} : { labels: request.labels }),
    ...(rotationPeriodSeconds === undefined ? {} : { rotationPeriodSeconds }),
    ...(nextRotationTime === undefined ? {} : { nextRotationTime }),
    ...(destroyAfterSeconds === undefined ? {} : { destroyAfterSeconds }),
  };
}

function algorithmOf(purpose: 'ENCRYPT_DECRYPT' | 'ASYMMETRIC_SIGN', named: string | undefined): Algorithm {
  const algorithm = named ?? (purpose === 'ENCRYPT_DECRYPT' ? 'GOOGLE_SYMMETRIC_ENCRYPTION' : '');
  if (algorithm === '')
    throw invalidArgument('CryptoKey.version_template.algorithm is required for this purpose.');
  if (!isAlgorithm(algorithm)) throw notEmulated(`algorithm ${algorithm}`);
  if (purposeOf(algorithm) !== purpose)
    throw invalidArgument(`The algorithm ${algorithm} cannot be used with the purpose ${purpose}.`);
  return algorithm;
}

const isProtectionLevel = (level: string): level is ProtectionLevel =>
  level === 'SOFTWARE' || level === 'HSM';

/** `7776000s` as seconds. */
function seconds(field: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = /^(\d{1,12})(?:\.\d{1,9})?s$/.exec(text)?.[1];
  if (value === undefined) throw invalidArgument(`CryptoKey.${field} must be seconds such as "86400s".`);
  return Number(value);
}

function instant(rings: Rings, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw invalidArgument('CryptoKey.next_rotation_time must be an RFC 3339 instant.');
  const time = new Date(ms).toISOString();
  if (time <= rings.now()) throw invalidArgument('CryptoKey.next_rotation_time must be in the future.');
  return time;
}

function patch(rings: Rings, call: Call): unknown {
  const { ring, key } = rings.key(call, 'cloudkms.cryptoKeys.update');
  const request = readMessage(call, KEY_MESSAGE);
  const mask = (call.query.get('updateMask') ?? '').split(',').filter((field) => field !== '');
  if (mask.length === 0) throw invalidArgument('update_mask must name at least one field.');
  for (const field of mask) {
    if (field === 'labels') key.labels = request.labels ?? {};
    else if (key.purpose !== 'ENCRYPT_DECRYPT')
      throw invalidArgument(`The field ${field} cannot be changed on this key.`);
    else if (field === 'nextRotationTime' || field === 'next_rotation_time') {
      const next = instant(rings, request.nextRotationTime);
      if (next === undefined) delete key.nextRotationTime;
      else key.nextRotationTime = next;
    } else if (field === 'rotationPeriod' || field === 'rotation_period') {
      const period = seconds('rotationPeriod', request.rotationPeriod);
      if (period === undefined) delete key.rotationPeriodSeconds;
      else key.rotationPeriodSeconds = period;
    } else throw notEmulated(`change of ${field}`);
  }
  rings.changed();
  return keyResource(rings, ring, key);
}

function updatePrimary(rings: Rings, call: Call): unknown {
  const { ring, key } = rings.key(call, 'cloudkms.cryptoKeys.update');
  const { cryptoKeyVersionId } = readMessage(call, { cryptoKeyVersionId: 'string' });
  if (key.purpose !== 'ENCRYPT_DECRYPT')
    throw failedPrecondition(
      `${rings.keyName(ring, key)} has no primary version: its purpose is ${key.purpose}.`,
    );
  const version = key.versions.find((candidate) => String(candidate.number) === cryptoKeyVersionId);
  if (version === undefined)
    throw invalidArgument(`There is no version ${cryptoKeyVersionId ?? ''} of ${rings.keyName(ring, key)}.`);
  rings.usable(ring, key, version);
  key.primary = version.number;
  rings.changed();
  return keyResource(rings, ring, key);
}
