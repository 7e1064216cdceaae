/**
 * Key-encryption keys wherever each of them is: in Secret Manager or a folder, where this service reads them, or in Cloud
 * KMS, which they never leave. One list, newest first, so that a customer moves from one to the other by a rotation.
 */
import type { KeyEncryptionKeys } from '../../ports/key-encryption-keys.ts';

export interface KeyEncryptionKeySources {
  readonly secrets: (versions: readonly string[]) => KeyEncryptionKeys;
  readonly kms: (versions: readonly string[]) => KeyEncryptionKeys;
}

const isInKms = (version: string): boolean => version.includes('/cryptoKeyVersions/');

/** Throws what the sources throw for names they cannot use, and `secrets` for an empty list. */
export function anyKeyEncryptionKeys(
  versions: readonly string[],
  sources: KeyEncryptionKeySources,
): KeyEncryptionKeys {
  const inKms = versions.filter(isInKms);
  const inSecrets = versions.filter((version) => !isInKms(version));
  const kms = inKms.length > 0 ? sources.kms(inKms) : undefined;
  const secrets = inSecrets.length > 0 || kms === undefined ? sources.secrets(inSecrets) : undefined;
  const newest = isInKms(versions[0] ?? '') ? kms : secrets;
  return {
    current(boundTo) {
      if (newest === undefined) throw new Error('The newest key-encryption key has no source.');
      return newest.current(boundTo);
    },
    async byId(id, dataKey) {
      return (await kms?.byId(id, dataKey)) ?? (await secrets?.byId(id, dataKey));
    },
  };
}
