/** Fetches JSON Web Key Sets over HTTP. It keeps nothing and follows nothing. */
import { isSealwrightError, retryable, type SealwrightError } from '../../errors.ts';
import type { KeySetDocument, KeySetDocuments } from '../../ports/jwks.ts';
import { readLimited } from './response.ts';

/** Google's sets have about 1 KB, large providers' some ten. */
const MAX_DOCUMENT_BYTES = 256 * 1024;

/**
 * `timeoutMs` covers the whole fetch, default 3 s: a request of a user is waiting. A redirect is refused, because the
 * configured address is the trust anchor.
 */
export function httpKeySetDocuments(
  options: { readonly timeoutMs?: number; readonly fetch?: typeof fetch } = {},
): KeySetDocuments {
  const { timeoutMs = 3_000, fetch: send = fetch } = options;
  return {
    async fetch(url) {
      try {
        const response = await send(url, {
          redirect: 'manual',
          headers: { accept: 'application/json' },
          signal: AbortSignal.timeout(timeoutMs),
        });
        if (response.status !== 200) {
          await response.body?.cancel();
          throw unusable(url, `it answered HTTP ${response.status}`);
        }
        const text = await readLimited(response, MAX_DOCUMENT_BYTES);
        if (text === undefined) throw unusable(url, `it is larger than ${MAX_DOCUMENT_BYTES} bytes`);
        return { keys: readKeys(url, text), maxAgeMs: maxAgeMs(response.headers) };
      } catch (error) {
        if (isSealwrightError(error)) throw error;
        const timedOut = error instanceof Error && error.name === 'TimeoutError';
        throw unusable(
          url,
          timedOut ? `it did not answer within ${timeoutMs} ms` : 'the connection failed',
          error,
        );
      }
    },
  };
}

function readKeys(url: string, text: string): KeySetDocument['keys'] {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw unusable(url, 'it is not JSON');
  }
  const keys =
    document !== null && typeof document === 'object' && 'keys' in document ? document.keys : undefined;
  if (!Array.isArray(keys)) throw unusable(url, 'it has no list "keys"');
  return keys.filter((key): key is Record<string, unknown> => key !== null && typeof key === 'object');
}

/** `max-age` of RFC 9111 section 5.2.2.1 less the `Age` it already has; zero for `no-store` and `no-cache`. */
function maxAgeMs(headers: Headers): number | undefined {
  const directives = (headers.get('cache-control') ?? '')
    .toLowerCase()
    .split(',')
    .map((part) => part.trim());
  if (directives.includes('no-store') || directives.includes('no-cache')) return 0;
  const seconds = directives
    .map((part) => /^max-age="?(\d{1,9})"?$/.exec(part)?.[1])
    .find((found) => found !== undefined);
  if (seconds === undefined) return undefined;
  const age = /^\d{1,9}$/.exec(headers.get('age') ?? '')?.[0] ?? '0';
  return Math.max(0, Number(seconds) - Number(age)) * 1000;
}

const unusable = (url: string, why: string, cause?: unknown): SealwrightError =>
  retryable('key-service-unavailable', `The key set at ${url} cannot be used: ${why}.`, { cause });
