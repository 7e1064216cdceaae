/**
 * Public keys of token issuers, one set per address, kept between requests.
 *
 * A set is fetched when it is first needed and again when its time is up. A fetch that fails changes nothing: the keys
 * already held go on working, however old, because losing them locks everybody out of their mail, and an issuer that is
 * unreachable is no reason to distrust it. Nobody waits for an issuer that hangs, either: a set whose time was up a moment ago, or
 * whose last fetch failed, is used while it is fetched. After a pause the first callers wait, so that a key that was
 * withdrawn meanwhile is not believed once more. A key id that is not in the set causes one fetch, since issuers rotate their
 * keys, and then none for a minute, since anybody can invent key ids.
 */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { retryable } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { KeySetDocuments } from '../ports/jwks.ts';
import type { Log } from '../ports/log.ts';

export interface KeySets {
  /**
   * The RSA key with this id in the set at this address, or undefined when the set has none. Throws
   * `key-service-unavailable` (retryable) only while nothing at all could be fetched.
   */
  key(url: string, keyId: string): Promise<KeyObject | undefined>;
}

/** Between two fetches caused by unknown key ids. */
export const UNKNOWN_KEY_FLOOR_MS = 60_000;
/** Between a fetch that failed and the next try. */
export const FAILED_FETCH_FLOOR_MS = 5_000;
/** How long after its time a set is used while the new one is on its way. A service in use is asked within it. */
export const USED_WHILE_FETCHED_MS = 60_000;
/** When the issuer does not say; and the bounds of what it may say. */
const DEFAULT_MAX_AGE_MS = 10 * 60_000;
const SHORTEST_MAX_AGE_MS = 60_000;
const LONGEST_MAX_AGE_MS = 24 * 3_600_000;
const SMALLEST_MODULUS_BITS = 2048;

interface KeptSet {
  keys: ReadonlyMap<string, KeyObject>;
  freshUntil: number;
  fetching: Promise<void> | undefined;
  failedAt: number | undefined;
  unknownKeyFetchAt: number | undefined;
}

export function keySets(deps: { documents: KeySetDocuments; clock: Clock; log: Log }): KeySets {
  const kept = new Map<string, KeptSet>();

  return {
    async key(url, keyId) {
      const set = keptSet(url);
      const now = deps.clock.now().getTime();
      const due = now >= set.freshUntil && hasPassed(set.failedAt, FAILED_FETCH_FLOOR_MS, now);
      const refreshed = due ? refresh(url, set) : undefined;
      const waits = refreshed !== undefined && !isUsedWhileFetched(set, now);
      if (waits) await refreshed;
      if (set.keys.size === 0) {
        throw retryable(
          'key-service-unavailable',
          `The key set at ${url} cannot be fetched; try again shortly.`,
          { retryAfterMs: FAILED_FETCH_FLOOR_MS },
        );
      }
      const known = set.keys.get(keyId);
      // A set that was fetched just now is as new as it gets.
      if (known !== undefined || waits) return known;
      if (set.fetching !== undefined) await set.fetching;
      else if (hasPassed(set.unknownKeyFetchAt, UNKNOWN_KEY_FLOOR_MS, now)) {
        set.unknownKeyFetchAt = now;
        await refresh(url, set);
      }
      return set.keys.get(keyId);
    },
  };

  function keptSet(url: string): KeptSet {
    const known = kept.get(url);
    if (known !== undefined) return known;
    const fresh: KeptSet = {
      keys: new Map(),
      freshUntil: Number.NEGATIVE_INFINITY,
      fetching: undefined,
      failedAt: undefined,
      unknownKeyFetchAt: undefined,
    };
    kept.set(url, fresh);
    return fresh;
  }

  function refresh(url: string, set: KeptSet): Promise<void> {
    set.fetching ??= replaceKeys(url, set).finally(() => {
      set.fetching = undefined;
    });
    return set.fetching;
  }

  async function replaceKeys(url: string, set: KeptSet): Promise<void> {
    try {
      const document = await deps.documents.fetch(url);
      const keys = usableKeys(document.keys);
      if (keys.size === 0) throw new Error('the set holds no RSA signature key');
      const maxAgeMs = document.maxAgeMs ?? DEFAULT_MAX_AGE_MS;
      set.keys = keys;
      set.failedAt = undefined;
      set.freshUntil =
        deps.clock.now().getTime() + Math.min(LONGEST_MAX_AGE_MS, Math.max(SHORTEST_MAX_AGE_MS, maxAgeMs));
    } catch (error) {
      set.failedAt = deps.clock.now().getTime();
      deps.log.warning('key-set-not-refreshed', {
        url,
        keysStillServed: set.keys.size,
        message: error instanceof Error ? error.message : String(error),
      });
    }
  }
}

const isUsedWhileFetched = (set: KeptSet, now: number): boolean =>
  set.keys.size > 0 && (set.failedAt !== undefined || now - set.freshUntil < USED_WHILE_FETCHED_MS);

/** A clock that was set back counts as passed: a floor must never last longer than itself. */
const hasPassed = (since: number | undefined, floorMs: number, now: number): boolean =>
  since === undefined || now - since >= floorMs || now < since;

/** RSA keys for signatures, by id. A key that cannot be read is left out: other keys of the set still count. */
function usableKeys(jwks: readonly Readonly<Record<string, unknown>>[]): Map<string, KeyObject> {
  const keys = new Map<string, KeyObject>();
  for (const jwk of jwks) {
    const { kty, kid, use, alg, n, e } = jwk;
    if (kty !== 'RSA' || typeof kid !== 'string' || keys.has(kid)) continue;
    if ((use !== undefined && use !== 'sig') || (alg !== undefined && alg !== 'RS256')) continue;
    if (typeof n !== 'string' || typeof e !== 'string') continue;
    const key = readRsaKey(n, e);
    if (key !== undefined) keys.set(kid, key);
  }
  return keys;
}

function readRsaKey(n: string, e: string): KeyObject | undefined {
  try {
    const key = createPublicKey({ key: { kty: 'RSA', n, e }, format: 'jwk' });
    return (key.asymmetricKeyDetails?.modulusLength ?? 0) >= SMALLEST_MODULUS_BITS ? key : undefined;
  } catch {
    return undefined;
  }
}
