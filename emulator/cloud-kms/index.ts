/**
 * Cloud KMS: key rings, keys that sign (RSA PKCS#1, ECDSA) or encrypt (AES-256-GCM), their versions, and who may use
 * them. Software keys whose material lies in the emulator's state file unencrypted, so it is a place for sample keys
 * alone. It does not import keys, has no MACs, no RSA-PSS and no raw encryption.
 */
import type { KeyObject } from 'node:crypto';
import type { EmulatorContext } from '../core/context.ts';
import type { Binding } from '../core/iam.ts';
import type { Room } from '../core/rooms.ts';
import { checkBinding } from './access.ts';
import { fits } from './algorithms.ts';
import { keyRoutes } from './crypto-keys.ts';
import { ringRoutes } from './key-rings.ts';
import type { Algorithm } from './records.ts';
import { type CloudKmsSettings, newPolicyEtag, Rings } from './rings.ts';
import { useRoutes } from './use.ts';
import { versionRoutes } from './versions.ts';

export type { Algorithm, CloudKmsSettings };

export interface SampleKey {
  readonly location: string;
  readonly ring: string;
  readonly key: string;
  readonly algorithm: Algorithm;
  /** Who may do what with the key. */
  readonly bindings: readonly Binding[];
  /** The first version's private key; made here when absent. */
  readonly privateKey?: KeyObject;
}

export interface CloudKms extends Room {
  /** Makes ring, key and first version where they are missing, and sets the key's policy. Answers the version's name. */
  ensureKey(sample: SampleKey): Promise<string>;
}

export function createCloudKms(
  context: EmulatorContext,
  parts: { readonly settings: CloudKmsSettings },
): CloudKms {
  const rings = new Rings(context, parts.settings);
  for (const binding of parts.settings.bindings) checkBinding(binding);
  return {
    routes: [
      ...ringRoutes(rings),
      ...useRoutes(rings, context.faults),
      ...versionRoutes(rings),
      ...keyRoutes(rings),
    ],
    async ensureKey({ location, ring: ringId, key: keyId, algorithm, bindings, privateKey }) {
      for (const binding of bindings) checkBinding(binding);
      const ring = rings.findRing(location, ringId) ?? rings.createRing(location, ringId);
      const key =
        rings.findKey(ring, keyId) ??
        rings.createKey(ring, keyId, { algorithm, protectionLevel: 'SOFTWARE' });
      key.policy = { bindings, etag: newPolicyEtag() };
      if (privateKey !== undefined && !fits(algorithm, privateKey))
        throw new RangeError(`The private key given for ${keyId} is none for ${algorithm}.`);
      const first =
        key.versions[0] ??
        (privateKey === undefined
          ? await rings.createVersion(key)
          : rings.addVersion(key, privateKey.export({ type: 'pkcs8', format: 'der' })));
      if (key.purpose === 'ENCRYPT_DECRYPT') key.primary ??= first.number;
      rings.changed();
      return rings.versionName(ring, key, first);
    },
  };
}
