/**
 * Key-encryption keys out of Secret Manager. Each is one pinned version of a secret, 32 raw bytes. Its id in wrapped
 * keys is `SECRET/VERSION` (such as `key-service-kek/3`), without the project: keys outlive projects.
 */
import { permanent } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { KeyEncryptionKey, KeyEncryptionKeys } from '../../ports/key-encryption-keys.ts';
import type { Secrets } from '../../ports/secrets.ts';
import { pinnedSecrets } from './pinned-secrets.ts';

const KEY_BYTES = 32;

export interface SecretKeyEncryptionKeysOptions {
  /** Full resource names, newest first; only pinned version numbers, never `latest`. The first one wraps. */
  readonly versions: readonly string[];
  readonly secrets: Pick<Secrets, 'read'>;
  readonly clock: Clock;
  /** How long a key is used before Secret Manager is asked again, default 5 min: how soon a destroyed version stops working. */
  readonly ttlMs?: number;
  /** How old a key may get while Secret Manager is down, default 1 h. */
  readonly staleMs?: number;
}

/**
 * Throws `settings-invalid` (permanent) at once for names it cannot use. Reading throws the errors of `Secrets`, and
 * `secret-unreadable` (permanent) for a payload that is no key.
 */
export function secretKeyEncryptionKeys(options: SecretKeyEncryptionKeysOptions): KeyEncryptionKeys {
  const keys = pinnedSecrets({ ...options, what: 'key-encryption key', parse: requireKey });
  const [newest] = keys.ids;
  return {
    async current(): Promise<KeyEncryptionKey> {
      const key = await keys.read(newest);
      if (key === undefined) throw new Error('The newest key-encryption key is not among the named ones.');
      return { id: newest, key };
    },
    // A blob with a data key names a key in a KMS, whatever its id looks like.
    byId: async (id, dataKey) => (dataKey === undefined ? await keys.read(id) : undefined),
  };
}

function requireKey(payload: Uint8Array, version: string): Uint8Array {
  if (payload.length === KEY_BYTES) return payload;
  throw permanent(
    'secret-unreadable',
    `The key-encryption key ${version} has ${payload.length} bytes; it must be exactly ${KEY_BYTES} raw bytes.`,
  );
}
