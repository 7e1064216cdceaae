/** Versions: https://docs.cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys.cryptoKeyVersions */
import { createPublicKey } from 'node:crypto';
import { failedPrecondition, invalidArgument } from '../core/google-error.ts';
import { readMessage } from '../core/message.ts';
import type { Call, Route } from '../core/route.ts';
import { privateKeyOf } from './algorithms.ts';
import { checksumOf } from './checksum.ts';
import { KEY, method, PAGING, pageOf, VERSION } from './method.ts';
import { versionResource } from './resources.ts';
import { notEmulated, type Rings } from './rings.ts';

const PREFIX = 'cryptoKeys.cryptoKeyVersions';

export function versionRoutes(rings: Rings): readonly Route[] {
  return [
    method(`${PREFIX}.create`, 'POST', `${KEY}/cryptoKeyVersions`, async (call) => {
      const { ring, key } = rings.key(call, 'cloudkms.cryptoKeyVersions.create');
      readMessage(call, { state: 'string' });
      return versionResource(rings, ring, key, await rings.createVersion(key));
    }),
    method(
      `${PREFIX}.list`,
      'GET',
      `${KEY}/cryptoKeyVersions`,
      (call) => {
        const { ring, key } = rings.key(call, 'cloudkms.cryptoKeyVersions.list');
        const resources = key.versions.map((version) => versionResource(rings, ring, key, version));
        return pageOf(call, 'cryptoKeyVersions', resources);
      },
      PAGING,
    ),
    method(`${PREFIX}.getPublicKey`, 'GET', `${VERSION}/publicKey`, (call) => publicKey(rings, call), [
      'publicKeyFormat',
    ]),
    method(`${PREFIX}.destroy`, 'POST', `${VERSION}\\:destroy`, (call) => destroy(rings, call)),
    method(`${PREFIX}.restore`, 'POST', `${VERSION}\\:restore`, (call) => restore(rings, call)),
    method(`${PREFIX}.get`, 'GET', VERSION, (call) => {
      const { ring, key, version } = rings.version(call, 'cloudkms.cryptoKeyVersions.get');
      return versionResource(rings, ring, key, version);
    }),
    method(`${PREFIX}.patch`, 'PATCH', VERSION, (call) => patch(rings, call), ['updateMask']),
  ];
}

function publicKey(rings: Rings, call: Call): unknown {
  const { ring, key, version } = rings.version(call, 'cloudkms.cryptoKeyVersions.viewPublicKey');
  const format = call.query.get('publicKeyFormat') ?? 'PEM';
  if (format !== 'PEM') throw notEmulated(`public key format ${format}`);
  if (key.purpose !== 'ASYMMETRIC_SIGN')
    throw failedPrecondition(`${rings.keyName(ring, key)} has no public key: its purpose is ${key.purpose}.`);
  const pem = createPublicKey(privateKeyOf(rings.usable(ring, key, version)))
    .export({ type: 'spki', format: 'pem' })
    .toString();
  return {
    pem,
    algorithm: version.algorithm,
    pemCrc32c: checksumOf(Buffer.from(pem)),
    name: rings.versionName(ring, key, version),
    protectionLevel: key.protectionLevel,
  };
}

function patch(rings: Rings, call: Call): unknown {
  const { ring, key, version } = rings.version(call, 'cloudkms.cryptoKeyVersions.update');
  const { state } = readMessage(call, { name: 'string', state: 'string' });
  if (call.query.get('updateMask') !== 'state')
    throw invalidArgument('Only the field "state" of a version can be updated.');
  if (state !== 'ENABLED' && state !== 'DISABLED')
    throw invalidArgument('The state of a version can be set to ENABLED or DISABLED only.');
  if (version.state !== 'ENABLED' && version.state !== 'DISABLED')
    throw failedPrecondition(
      `${rings.versionName(ring, key, version)} cannot be ${state}, current state is: ${version.state}.`,
    );
  version.state = state;
  rings.changed();
  return versionResource(rings, ring, key, version);
}

/** The material is kept, and comes back with `restore`, until the key's `destroyScheduledDuration` is over. */
function destroy(rings: Rings, call: Call): unknown {
  const { ring, key, version } = rings.version(call, 'cloudkms.cryptoKeyVersions.destroy');
  readMessage(call, {});
  if (version.state !== 'ENABLED' && version.state !== 'DISABLED')
    throw failedPrecondition(
      `${rings.versionName(ring, key, version)} cannot be destroyed, current state is: ${version.state}.`,
    );
  rings.scheduleDestruction(key, version);
  return versionResource(rings, ring, key, version);
}

function restore(rings: Rings, call: Call): unknown {
  const { ring, key, version } = rings.version(call, 'cloudkms.cryptoKeyVersions.restore');
  readMessage(call, {});
  if (version.state !== 'DESTROY_SCHEDULED')
    throw failedPrecondition(
      `${rings.versionName(ring, key, version)} cannot be restored, current state is: ${version.state}.`,
    );
  version.state = 'DISABLED';
  delete version.destroyTime;
  rings.changed();
  return versionResource(rings, ring, key, version);
}
