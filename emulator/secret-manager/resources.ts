/** Stored records as the resources Google answers. Empty maps and absent times are left out. */
import { wantsNumericEnums } from '../core/message.ts';
import type { Call } from '../core/route.ts';
import { STATE_NUMBER, type StoredSecret, type StoredVersion } from './records.ts';
import type { Vault } from './vault.ts';

export function secretResource(vault: Vault, secret: StoredSecret): Record<string, unknown> {
  return {
    name: vault.secretName(secret.id),
    replication: secret.replication,
    createTime: secret.createTime,
    ...filled('labels', secret.labels),
    ...filled('annotations', secret.annotations),
    ...filled('versionAliases', secret.versionAliases),
    ...(secret.expireTime === undefined ? {} : { expireTime: secret.expireTime }),
    ...(secret.versionDestroyTtlSeconds === undefined
      ? {}
      : { versionDestroyTtl: `${secret.versionDestroyTtlSeconds}s` }),
    etag: secret.etag,
  };
}

export function versionResource(
  vault: Vault,
  call: Call,
  secret: StoredSecret,
  version: StoredVersion,
): Record<string, unknown> {
  const { replication } = secret;
  return {
    name: vault.versionName(secret.id, version.number),
    createTime: version.createTime,
    ...(version.destroyTime === undefined ? {} : { destroyTime: version.destroyTime }),
    ...(version.scheduledDestroyTime === undefined
      ? {}
      : { scheduledDestroyTime: version.scheduledDestroyTime }),
    state: wantsNumericEnums(call) ? STATE_NUMBER[version.state] : version.state,
    replicationStatus:
      'automatic' in replication
        ? { automatic: {} }
        : { userManaged: { replicas: replication.userManaged.replicas } },
    etag: version.etag,
    ...(version.clientSpecifiedPayloadChecksum ? { clientSpecifiedPayloadChecksum: true } : {}),
  };
}

function filled(name: string, map: Readonly<Record<string, string>>): Record<string, unknown> {
  return Object.keys(map).length === 0 ? {} : { [name]: map };
}
