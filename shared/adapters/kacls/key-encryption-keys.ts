/**
 * Key-encryption keys out of Secret Manager. Each is one pinned version of a secret, 32 raw bytes. Its id in wrapped
 * keys is `SECRET/VERSION` (such as `key-service-kek/3`), without the project: keys outlive projects.
 */
import { isSealwrightError, permanent } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { KeyEncryptionKey, KeyEncryptionKeys } from '../../ports/key-encryption-keys.ts';
import type { Secrets } from '../../ports/secrets.ts';

const KEY_BYTES = 32;
const VERSION_NAME = /^projects\/[^/]+\/secrets\/([A-Za-z0-9_-]{1,200})\/versions\/(\d{1,10})$/;

interface Kept {
  readonly key: Uint8Array;
  readonly readAt: number;
}

export interface SecretKeyEncryptionKeysOptions {
  /** Full resource names, newest first; only pinned version numbers, never `latest`. The first one wraps. */
  readonly versions: readonly string[];
  readonly secrets: Secrets;
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
  const { secrets, clock, ttlMs = 5 * 60_000, staleMs = 3_600_000 } = options;
  const versionById = indexById(options.versions);
  const newest = versionById.keys().next().value;
  if (newest === undefined) {
    throw permanent(
      'settings-invalid',
      'The key service has no key-encryption key; name at least one secret version.',
    );
  }
  const kept = new Map<string, Kept>();
  const reading = new Map<string, Promise<Uint8Array>>();

  return {
    async current(): Promise<KeyEncryptionKey> {
      return { id: newest, key: await read(newest, versionById.get(newest) ?? '') };
    },
    async byId(id) {
      const version = versionById.get(id);
      return version === undefined ? undefined : read(id, version);
    },
  };

  async function read(id: string, version: string): Promise<Uint8Array> {
    const known = kept.get(id);
    const age = known === undefined ? Number.POSITIVE_INFINITY : clock.now().getTime() - known.readAt;
    if (known !== undefined && age >= 0 && age < ttlMs) return known.key;
    const ongoing = reading.get(id) ?? readAfresh(id, version).finally(() => reading.delete(id));
    reading.set(id, ongoing);
    try {
      return await ongoing;
    } catch (error) {
      // Unavailable is no verdict about the key; destroyed or disabled is one, and is not outlived.
      const passing = isSealwrightError(error) && error.kind === 'retryable';
      if (known !== undefined && passing && age >= 0 && age < staleMs) return known.key;
      throw error;
    }
  }

  async function readAfresh(id: string, version: string): Promise<Uint8Array> {
    const key = await secrets.read(version);
    if (key.length !== KEY_BYTES) {
      throw permanent(
        'secret-unreadable',
        `The key-encryption key ${version} has ${key.length} bytes; it must be exactly ${KEY_BYTES} raw bytes.`,
      );
    }
    kept.set(id, { key, readAt: clock.now().getTime() });
    return key;
  }
}

function indexById(versions: readonly string[]): ReadonlyMap<string, string> {
  const versionById = new Map<string, string>();
  for (const version of versions) {
    const [, secret, number] = VERSION_NAME.exec(version) ?? [];
    if (secret === undefined || number === undefined) {
      throw permanent(
        'settings-invalid',
        `"${version}" is not a pinned secret version; write projects/P/secrets/S/versions/N with a number.`,
      );
    }
    const id = `${secret}/${number}`;
    if (versionById.has(id)) {
      throw permanent('settings-invalid', `Two key-encryption keys would have the id ${id}; name each once.`);
    }
    versionById.set(id, version);
  }
  return versionById;
}
