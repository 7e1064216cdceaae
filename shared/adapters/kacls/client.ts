/**
 * Calls `wrapprivatekey` of a key service, ours or another vendor's, and `rewrapprivatekey` of ours. What it sends is what all of them understand
 * (PKCS#8 PEM in `private_key`), plus `user_id`, which ours needs and others ignore.
 * https://developers.google.com/workspace/cse/reference/wrap-private-key
 *
 * Nothing that was sent, and nothing the other side wrote, enters an error: an answer may repeat the request.
 */
import { isSealwrightError, permanent, retryable, type SealwrightError } from '../../errors.ts';
import type { KeyRewrapping } from '../../ports/key-rewrapping.ts';
import type { KeyService } from '../../ports/key-service.ts';
import { leanFetch } from '../google/lean-fetch.ts';
import { readLimited } from './response.ts';

export interface KaclsKeyServiceOptions {
  /** An ID token for this audience, the key service's base address without a trailing slash. */
  readonly fetchIdToken: (audience: string) => Promise<string>;
  /** For the whole call. */
  readonly timeoutMs: number;
  readonly fetch?: typeof fetch;
}

/** Gmail's limit for `kaclsData`, read as characters. */
const LONGEST_WRAPPED_KEY = 8192;
const MAX_ANSWER_BYTES = 64 * 1024;

export function kaclsKeyService(options: KaclsKeyServiceOptions): KeyService & KeyRewrapping {
  return {
    async rewrapPrivateKey({ keyServiceUrl, wrappedKey }) {
      const base = keyServiceUrl.endsWith('/') ? keyServiceUrl.slice(0, -1) : keyServiceUrl;
      requireConfidential(base);
      const answer = await call(`${base}/rewrapprivatekey`, base, options, {
        authentication: await idToken(base, options),
        wrapped_private_key: wrappedKey,
      });
      const { kek_id: kekId } = answer;
      if (typeof kekId !== 'string' || kekId === '') throw answerInvalid(base, 'it has no "kek_id"');
      return { wrappedKey: readWrappedKey(base, answer), kekId, ...readOpened(answer) };
    },
    async wrapPrivateKey({ keyServiceUrl, privateKeyDer, spkiSha256Hex, userId, perimeterId }) {
      const base = keyServiceUrl.endsWith('/') ? keyServiceUrl.slice(0, -1) : keyServiceUrl;
      requireConfidential(base);
      const answer = await call(`${base}/wrapprivatekey`, base, options, {
        authentication: await idToken(base, options),
        private_key: pkcs8Pem(privateKeyDer),
        perimeter_id: perimeterId ?? '',
        user_id: userId,
        // The hash of the public key is not sent: what comes back cannot then be an echo.
      });
      const wrappedKey = readWrappedKey(base, answer);
      return { wrappedKey, proof: readProof(base, answer, spkiSha256Hex) };
    },
  };
}

/** A private key or a secret token is on its way: https, or the same machine. */
export function requireConfidential(base: string): void {
  const url = URL.canParse(base) ? new URL(base) : undefined;
  const loopback = url !== undefined && ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && loopback)) return;
  throw permanent(
    'settings-invalid',
    `The key service address "${base}" must be https (plain http only on loopback).`,
  );
}

async function idToken(base: string, options: KaclsKeyServiceOptions): Promise<string> {
  try {
    return await options.fetchIdToken(base);
  } catch (error) {
    if (isSealwrightError(error)) throw error;
    // Auth libraries put requests and headers into their errors, so only the name goes on.
    const name = error instanceof Error ? error.name : 'unknown error';
    throw retryable(
      'key-service-unavailable',
      `No ID token for the key service ${base} could be had (${name}).`,
    );
  }
}

/** `advice`: what an answer of 400 and more means to whoever asked, by status. */
export async function call(
  url: string,
  base: string,
  options: Pick<KaclsKeyServiceOptions, 'timeoutMs' | 'fetch'>,
  request: Readonly<Record<string, string>>,
  advice = ADVICE,
): Promise<Readonly<Record<string, unknown>>> {
  const send = options.fetch ?? leanFetch(options.timeoutMs, MAX_ANSWER_BYTES);
  let response: Response;
  let text: string | undefined;
  try {
    response = await send(url, {
      method: 'POST',
      redirect: 'manual',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify(request),
      ...(options.fetch === undefined ? {} : { signal: AbortSignal.timeout(options.timeoutMs) }),
    });
    text = await readLimited(response, MAX_ANSWER_BYTES);
  } catch (error) {
    throw unavailable(base, describeConnectionFailure(error, options.timeoutMs));
  }
  requireSuccess(base, response, text, advice);
  if (text === undefined) throw answerInvalid(base, `it is longer than ${MAX_ANSWER_BYTES} bytes`);
  const answer = parseObject(text);
  if (answer === undefined) throw answerInvalid(base, 'it is not a JSON object');
  return answer;
}

function requireSuccess(
  base: string,
  response: Response,
  text: string | undefined,
  advices: Readonly<Record<number, string>>,
): void {
  const { status } = response;
  if (status >= 200 && status < 300) return;
  const logged = correlationId(text);
  if (status >= 500 || status === 429 || status === 408) {
    throw unavailable(base, `it answered HTTP ${status}${logged}`, retryAfterMs(response.headers));
  }
  const advice =
    status >= 300 && status < 400
      ? 'it redirects, and a private key is not sent on; configure the address it redirects to'
      : (advices[status] ?? 'it does not take the request');
  throw permanent(
    'key-service-refused',
    `The key service ${base} answered HTTP ${status}${logged}: ${advice}.`,
    { details: { httpStatus: status } },
  );
}

const ADVICE: Readonly<Record<number, string>> = {
  400: 'it cannot read the request, or the wrapped key; see whether it takes PKCS#8 PEM',
  401: 'it does not accept our ID token; compare its expected audience with this address',
  403: 'it does not let our service account wrap keys; add the account to its list of callers',
  422: 'the key-encryption key that the wrapped key needs is not there; its log names it',
  404: 'it has no wrapprivatekey at this address; compare the address with the one in the Admin console',
  405: 'it has no wrapprivatekey at this address; compare the address with the one in the Admin console',
};

function readWrappedKey(base: string, answer: Readonly<Record<string, unknown>>): string {
  const wrappedKey = answer['wrapped_private_key'];
  if (typeof wrappedKey !== 'string' || wrappedKey === '') {
    throw answerInvalid(base, 'it has no "wrapped_private_key"');
  }
  if (wrappedKey.length > LONGEST_WRAPPED_KEY) {
    throw answerInvalid(base, `its "wrapped_private_key" is longer than ${LONGEST_WRAPPED_KEY} characters`);
  }
  if (!isBase64(wrappedKey)) throw answerInvalid(base, 'its "wrapped_private_key" is not standard base64');
  return wrappedKey;
}

/** A service that names the key it wrapped has looked; then it must be ours. */
function readProof(base: string, answer: Readonly<Record<string, unknown>>, spkiSha256Hex: string) {
  const { spki_hash: hash, spki_hash_algorithm: algorithm } = answer;
  if (hash === undefined) return 'unproven' as const;
  if (algorithm !== undefined && algorithm !== 'SHA-256') {
    throw answerInvalid(base, 'its "spki_hash_algorithm" is not SHA-256');
  }
  const proves = typeof hash === 'string' && isBase64(hash) && Buffer.from(hash, 'base64').toString('hex');
  if (proves !== spkiSha256Hex)
    throw answerInvalid(base, 'it is about another key than the one that was sent');
  return 'proven' as const;
}

/** What the service says came out of the blob; nothing where it does not say both. */
function readOpened(answer: Readonly<Record<string, unknown>>) {
  const { spki_hash: hash, user_id: userId } = answer;
  if (typeof hash !== 'string' || !isBase64(hash) || typeof userId !== 'string') return {};
  return { opened: { spkiSha256Hex: Buffer.from(hash, 'base64').toString('hex'), userId } };
}

export const isBase64 = (text: string): boolean =>
  Buffer.from(text, 'base64').toString('base64').replace(/=+$/, '') === text.replace(/={1,2}$/, '');

function pkcs8Pem(der: Uint8Array): string {
  const base64 = Buffer.from(der.buffer, der.byteOffset, der.byteLength).toString('base64');
  return `-----BEGIN PRIVATE KEY-----\n${base64.replace(/.{64}(?!$)/g, '$&\n')}\n-----END PRIVATE KEY-----\n`;
}

/** Only an id in the two usual forms: anything longer might be something of ours repeated. */
function correlationId(text: string | undefined): string {
  const details = text === undefined ? undefined : parseObject(text)?.['details'];
  const id =
    typeof details === 'string' &&
    /^(?:[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i.test(details);
  return id ? ` (its log has the reason under ${details})` : '';
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === 'object' && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Seconds, or a date measured against the answer's own `Date`, so that no clock of ours is needed (RFC 9110, 10.2.3). */
function retryAfterMs(headers: Headers): number | undefined {
  const value = headers.get('retry-after');
  if (value === null) return undefined;
  if (/^\d{1,6}$/.test(value)) return Number(value) * 1000;
  const wait = Date.parse(value) - Date.parse(headers.get('date') ?? '');
  return wait > 0 ? wait : undefined;
}

function describeConnectionFailure(error: unknown, timeoutMs: number): string {
  if (error instanceof Error && error.name === 'TimeoutError')
    return `it did not answer within ${timeoutMs} ms`;
  // Node's own fetch wraps the system's error.
  const cause = error instanceof Error ? (error.cause ?? error) : undefined;
  const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : '';
  return `the connection failed${code}`;
}

function unavailable(base: string, why: string, waitMs?: number): SealwrightError {
  return retryable('key-service-unavailable', `The key service ${base} cannot be used now: ${why}.`, {
    ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }),
  });
}

const answerInvalid = (base: string, why: string): SealwrightError =>
  retryable('key-service-answer-invalid', `The answer of the key service ${base} is no wrapped key: ${why}.`);
