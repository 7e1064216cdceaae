/** Stored records as the resources Google answers. Empty maps and absent times are left out. */
import type { StoredKey, StoredRing, StoredVersion } from './records.ts';
import type { Rings } from './rings.ts';

export const ringResource = (rings: Rings, ring: StoredRing): Record<string, unknown> => ({
  name: rings.ringName(ring),
  createTime: ring.createTime,
});

export function keyResource(rings: Rings, ring: StoredRing, key: StoredKey): Record<string, unknown> {
  const primary = key.versions.find((version) => version.number === key.primary);
  return {
    name: rings.keyName(ring, key),
    ...(primary === undefined ? {} : { primary: versionResource(rings, ring, key, primary) }),
    purpose: key.purpose,
    createTime: key.createTime,
    ...(key.nextRotationTime === undefined ? {} : { nextRotationTime: key.nextRotationTime }),
    ...(key.rotationPeriodSeconds === undefined ? {} : { rotationPeriod: `${key.rotationPeriodSeconds}s` }),
    versionTemplate: { protectionLevel: key.protectionLevel, algorithm: key.algorithm },
    destroyScheduledDuration: `${key.destroyAfterSeconds}s`,
    ...(Object.keys(key.labels).length === 0 ? {} : { labels: key.labels }),
  };
}

export const versionResource = (
  rings: Rings,
  ring: StoredRing,
  key: StoredKey,
  version: StoredVersion,
): Record<string, unknown> => ({
  name: rings.versionName(ring, key, version),
  state: version.state,
  protectionLevel: key.protectionLevel,
  algorithm: version.algorithm,
  createTime: version.createTime,
  generateTime: version.createTime,
  ...(version.destroyTime === undefined ? {} : { destroyTime: version.destroyTime }),
  ...(version.destroyEventTime === undefined ? {} : { destroyEventTime: version.destroyEventTime }),
});
