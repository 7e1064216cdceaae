/**
 * Calls `privilegedunwrap` of another vendor's key service, for rewrap. It goes to the address it is given and nowhere
 * else: no redirect is followed, nothing is retried, and little is read.
 * https://developers.google.com/workspace/cse/reference/privileged-unwrap
 */
import { permanent, retryable, type SealwrightError } from '../../errors.ts';
import { decodeBase64 } from '../../kacls/base64.ts';
import type { OtherKeyServices } from '../../ports/other-key-services.ts';
import { readLimited } from './response.ts';

/** The answer is a key of at most 128 bytes; an error text may be longer and is not read anyway. */
const MAX_ANSWER_BYTES = 16 * 1024;
const LONGEST_CONTENT_KEY = 128;

/** `timeoutMs` covers the whole call, default 10 s. */
export function httpOtherKeyServices(
  options: { readonly timeoutMs?: number; readonly fetch?: typeof fetch } = {},
): OtherKeyServices {
  const { timeoutMs = 10_000, fetch: send = fetch } = options;
  return {
    async privilegedUnwrap({ keyServiceUrl, authentication, wrappedKey, resourceName, reason }) {
      let response: Response;
      let text: string | undefined;
      try {
        response = await send(`${keyServiceUrl}/privilegedunwrap`, {
          method: 'POST',
          redirect: 'manual',
          headers: { 'content-type': 'application/json', accept: 'application/json' },
          body: JSON.stringify({
            authentication,
            reason,
            resource_name: resourceName,
            wrapped_key: wrappedKey,
          }),
          signal: AbortSignal.timeout(timeoutMs),
        });
        text = await readLimited(response, MAX_ANSWER_BYTES);
      } catch (error) {
        const timedOut = error instanceof Error && error.name === 'TimeoutError';
        const why = timedOut ? `it did not answer within ${timeoutMs} ms` : 'the connection failed';
        throw unavailable(keyServiceUrl, why);
      }
      requireSuccess(keyServiceUrl, response.status);
      return readKey(keyServiceUrl, text);
    },
  };
}

function requireSuccess(url: string, status: number): void {
  if (status === 200) return;
  if (status >= 500 || status === 429 || status === 408) throw unavailable(url, `it answered HTTP ${status}`);
  const advice =
    status >= 300 && status < 400
      ? 'it redirects, and redirects are not followed'
      : 'see whether it lists this key service for migrations and can reach its certs';
  throw permanent('key-service-refused', `The key service ${url} answered HTTP ${status}: ${advice}.`);
}

function readKey(url: string, text: string | undefined): Uint8Array {
  let answer: unknown;
  try {
    answer = JSON.parse(text ?? '');
  } catch {
    throw answerInvalid(url);
  }
  const key = answer !== null && typeof answer === 'object' && 'key' in answer ? answer.key : undefined;
  const bytes = typeof key === 'string' ? decodeBase64(key) : undefined;
  if (bytes === undefined || bytes.length === 0 || bytes.length > LONGEST_CONTENT_KEY)
    throw answerInvalid(url);
  return bytes;
}

const unavailable = (url: string, why: string): SealwrightError =>
  retryable('key-service-unavailable', `The key service ${url} cannot be used now: ${why}.`);

const answerInvalid = (url: string): SealwrightError =>
  retryable('key-service-answer-invalid', `The answer of the key service ${url} holds no content key.`);
