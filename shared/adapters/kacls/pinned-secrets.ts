/** Pinned versions of secrets, kept in memory for a while. Keys of the key service are read through it. */
import { isSealwrightError, permanent } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Secrets } from '../../ports/secrets.ts';

export interface PinnedSecretsOptions<Key> {
  /** What the versions are, for error messages: "key-encryption key". */
  readonly what: string;
  /** Full resource names; only pinned version numbers, never `latest`. */
  readonly versions: readonly string[];
  readonly secrets: Pick<Secrets, 'read'>;
  readonly clock: Clock;
  /** Turns a payload into what is kept. Throws `secret-unreadable` (permanent). */
  readonly parse: (payload: Uint8Array, version: string) => Key;
  /** How long one is used before Secret Manager is asked again, default 5 min: how soon a destroyed version stops working. */
  readonly ttlMs?: number;
  /** How old one may get while Secret Manager is down, default 1 h. */
  readonly staleMs?: number;
}

export interface PinnedSecrets<Key> {
  /** `SECRET/VERSION`, without the project (keys outlive projects), in the order of the settings; never empty. */
  readonly ids: readonly [string, ...string[]];
  /** Undefined for an id that is not among them. Throws the errors of `Secrets` and of `parse`. */
  read(id: string): Promise<Key | undefined>;
}

const VERSION_NAME =
  /^(?:projects\/[^/]+\/secrets\/|file:\/(?:[^/]+\/)*)([A-Za-z0-9_-]{1,200})\/(?:versions\/)?(\d{1,10})$/;

/** Throws `settings-invalid` (permanent) at once for names it cannot use, and for none at all. */
export function pinnedSecrets<Key>(options: PinnedSecretsOptions<Key>): PinnedSecrets<Key> {
  const { secrets, clock, ttlMs = 5 * 60_000, staleMs = 3_600_000 } = options;
  const versionById = indexById(options.what, options.versions);
  const [newest, ...older] = versionById.keys();
  if (newest === undefined) {
    throw permanent(
      'settings-invalid',
      `The key service has no ${options.what}; name at least one secret version.`,
    );
  }
  const kept = new Map<string, { readonly key: Key; readonly readAt: number }>();
  const reading = new Map<string, Promise<Key>>();

  return {
    ids: [newest, ...older],
    async read(id) {
      const version = versionById.get(id);
      return version === undefined ? undefined : readVersion(id, version);
    },
  };

  async function readVersion(id: string, version: string): Promise<Key> {
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

  async function readAfresh(id: string, version: string): Promise<Key> {
    const key = options.parse(await secrets.read(version), version);
    kept.set(id, { key, readAt: clock.now().getTime() });
    return key;
  }
}

function indexById(what: string, versions: readonly string[]): ReadonlyMap<string, string> {
  const versionById = new Map<string, string>();
  for (const version of versions) {
    const [, secret, number] = VERSION_NAME.exec(version) ?? [];
    if (secret === undefined || number === undefined) {
      throw permanent(
        'settings-invalid',
        `"${version}" is not a pinned secret version; write projects/P/secrets/S/versions/N with a number, or file:/FOLDER/NAME/N.`,
      );
    }
    const id = `${secret}/${number}`;
    if (versionById.has(id)) {
      throw permanent(
        'settings-invalid',
        `Two versions of the ${what} would have the id ${id}; name each once.`,
      );
    }
    versionById.set(id, version);
  }
  return versionById;
}
