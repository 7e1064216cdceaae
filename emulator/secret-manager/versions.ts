/** Methods on versions: https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions */
import crc32c from 'crc-32/crc32c.js';
import { failedPrecondition, GoogleError, invalidArgument } from '../core/google-error.ts';
import { checkQuery, readMessage } from '../core/message.ts';
import { type Call, ok, type Route } from '../core/route.ts';
import type { Permission } from './access.ts';
import { page } from './paging.ts';
import type { StoredSecret, StoredVersion } from './records.ts';
import { versionResource } from './resources.ts';
import { SCOPES } from './secrets.ts';
import { checkEtag, newEtag, type Vault } from './vault.ts';

/** 64 KiB: https://cloud.google.com/secret-manager/quotas */
const MAX_PAYLOAD_BYTES = 65_536;

export function versionRoutes(vault: Vault): readonly Route[] {
  const secret = '/v1/projects/:project/secrets/:secret';
  const version = `${secret}/versions/:version`;
  const route = (
    id: string,
    verb: Route['verb'],
    path: string,
    handle: (call: Call) => unknown,
    query: readonly string[] = [],
  ): Route => ({
    id: `secretmanager.projects.secrets.${id}`,
    verb,
    path,
    scopes: SCOPES,
    handle: (call) => {
      checkQuery(call, query);
      return ok(handle(call));
    },
  });
  return [
    route('addVersion', 'POST', `${secret}\\:addVersion`, (call) => add(vault, call)),
    route('versions.access', 'GET', `${version}\\:access`, (call) => access(vault, call)),
    route('versions.enable', 'POST', `${version}\\:enable`, (call) => change(vault, call, 'enable')),
    route('versions.disable', 'POST', `${version}\\:disable`, (call) => change(vault, call, 'disable')),
    route('versions.destroy', 'POST', `${version}\\:destroy`, (call) => change(vault, call, 'destroy')),
    route('versions.list', 'GET', `${secret}/versions`, (call) => list(vault, call), [
      'filter',
      'pageSize',
      'pageToken',
    ]),
    route('versions.get', 'GET', version, (call) => {
      const found = authorized(vault, call, 'secretmanager.versions.get', true);
      return versionResource(vault, call, found.secret, found.version);
    }),
  ];
}

function add(vault: Vault, call: Call): unknown {
  const secret = vault.authorizedSecret(call, 'secretmanager.versions.add');
  const { payload } = readMessage(call, {
    payload: { message: { data: 'bytes', dataCrc32c: 'int64' } },
  });
  const data = payload?.data ?? Buffer.alloc(0);
  if (data.length === 0) throw invalidArgument('Secret Payload cannot be empty.');
  if (data.length > MAX_PAYLOAD_BYTES) {
    throw invalidArgument(
      `The secret payload has ${data.length} bytes; at most ${MAX_PAYLOAD_BYTES} are taken.`,
    );
  }
  const checksum = payload?.dataCrc32c;
  if (checksum !== undefined && checksum !== checksumOf(data)) {
    throw invalidArgument(
      'The CRC32C checksum of the payload does not match data_crc32c: the payload was damaged on its way, or the checksum is not Castagnoli.',
    );
  }
  const version = vault.addVersion(secret, data, checksum !== undefined);
  return versionResource(vault, call, secret, version);
}

function access(vault: Vault, call: Call): unknown {
  const { secret, version } = authorized(vault, call, 'secretmanager.versions.access', true);
  const name = vault.versionName(secret.id, version.number);
  if (version.state !== 'ENABLED' || version.payload === undefined) {
    throw failedPrecondition(`Secret Version [${name}] is in ${version.state} state.`);
  }
  const data = Buffer.from(version.payload, 'base64');
  return { name, payload: { data: version.payload, dataCrc32c: checksumOf(data) } };
}

function change(vault: Vault, call: Call, action: 'enable' | 'disable' | 'destroy'): unknown {
  const { secret, version } = authorized(vault, call, `secretmanager.versions.${action}`, false);
  const { etag } = readMessage(call, { etag: 'string' });
  checkEtag(etag, version.etag);
  if (version.state === 'DESTROYED') {
    const name = vault.versionName(secret.id, version.number);
    throw failedPrecondition(`Secret Version [${name}] is in DESTROYED state.`);
  }
  if (action === 'destroy') {
    const delay = secret.versionDestroyTtlSeconds;
    if (delay === undefined) vault.destroy(version, vault.now());
    else {
      version.state = 'DISABLED';
      version.scheduledDestroyTime = vault.nowPlus(delay);
    }
  } else {
    version.state = action === 'enable' ? 'ENABLED' : 'DISABLED';
    if (action === 'enable') delete version.scheduledDestroyTime;
  }
  // Also where nothing else changed: https://cloud.google.com/secret-manager/docs/etags
  version.etag = newEtag();
  vault.changed();
  return versionResource(vault, call, secret, version);
}

function list(vault: Vault, call: Call): unknown {
  const secret = vault.authorizedSecret(call, 'secretmanager.versions.list');
  const state = stateFilter(call.query.get('filter') ?? '');
  const versions = secret.versions
    .filter((version) => state === undefined || version.state === state)
    .toReversed();
  const { entries, totalSize, nextPageToken } = page(call, versions);
  return {
    ...(entries.length === 0
      ? {}
      : { versions: entries.map((version) => versionResource(vault, call, secret, version)) }),
    ...(nextPageToken === undefined ? {} : { nextPageToken }),
    totalSize,
  };
}

function authorized(
  vault: Vault,
  call: Call,
  permission: Permission,
  aliases: boolean,
): { secret: StoredSecret; version: StoredVersion } {
  const id = call.params['version'] ?? '';
  const secret = vault.authorizedSecret(call, permission, `/versions/${id}`);
  return { secret, version: vault.version(secret, id, aliases) };
}

/** `state:ENABLED` is the one filter the emulator has for versions. */
function stateFilter(filter: string): string | undefined {
  if (filter === '') return undefined;
  const state = /^state[:=](ENABLED|DISABLED|DESTROYED)$/.exec(filter)?.[1];
  if (state === undefined) {
    throw new GoogleError(
      501,
      'notImplemented',
      'The emulator lists versions by "state:ENABLED", "state:DISABLED" or "state:DESTROYED" only.',
    );
  }
  return state;
}

/** CRC-32C (Castagnoli) as the decimal text of an unsigned number. */
const checksumOf = (data: Buffer): string => String(crc32c.buf(data) >>> 0);
