/**
 * Public HTTP → OCSP answers that were signed ahead of time (RFC 6960 appendix A, RFC 9919 §6). `POST` with the request as body,
 * or `GET` with it in the path, base64 and percent-encoded; below the root and below `/ocsp`, where the load balancer
 * sends it. OCSP's own errors travel as OCSPResponses with status 200, as clients expect them.
 */
import { type OcspReply, type OcspResponderDeps, ocspResponder } from '../shared/authority/ocsp-responder.ts';
import { isSealwrightError } from '../shared/errors.ts';
import { type OcspError, ocspError } from '../shared/pki/ocsp.ts';
import type { HttpAnswer, HttpCall, HttpHandler } from './wire/http.ts';

export type OcspFunctionDeps = OcspResponderDeps;

/** A revocation is hidden by caches between us and who asks for at most this long, in seconds. */
const CACHE_SECONDS = 60;
const RETRY_AFTER_SECONDS = 5;
const CONTENT_TYPE = 'application/ocsp-response';
/** Not ours, not understood, not now: never kept by anybody, so that the true answer is seen as soon as there is one. */
const UNCACHED = 'no-cache, no-store, max-age=0';

export function createOcsp(deps: OcspFunctionDeps): HttpHandler {
  const respond = ocspResponder(deps);
  const failed = (error: unknown): OcspError => {
    const message = error instanceof Error ? error.message : String(error);
    deps.log.error('ocsp-failed', { message, ...(isSealwrightError(error) ? { code: error.code } : {}) });
    return isSealwrightError(error) && error.kind === 'retryable' ? 'tryLater' : 'internalError';
  };
  const answer = (call: HttpCall, reply: OcspReply): HttpAnswer =>
    typeof reply === 'string' ? errorAnswer(reply) : httpAnswer(call, reply, deps.clock.now());
  return (call) => {
    if (call.method !== 'GET' && call.method !== 'HEAD' && call.method !== 'POST') {
      return { status: 405, headers: { allow: 'GET, HEAD, POST', 'cache-control': UNCACHED } };
    }
    const requestDer = call.method === 'POST' ? call.body : requestInPath(call.path);
    const reply = requestDer === undefined ? 'malformedRequest' : respond(requestDer);
    if (!(reply instanceof Promise)) return answer(call, reply);
    return reply.catch(failed).then((late) => answer(call, late));
  };
}

/** RFC 6960 appendix A.1. A slash of the base64 may have come unescaped, so all that follows is taken. */
function requestInPath(path: string): Uint8Array | undefined {
  const encoded = path.replace(/^\/ocsp(?=\/|$)/, '').slice(1);
  let text: string;
  try {
    text = decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
  if (text === '' || !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return undefined;
  return Buffer.from(text, 'base64');
}

const errorAnswer = (error: OcspError): HttpAnswer => ({
  status: 200,
  headers: {
    'content-type': CONTENT_TYPE,
    'cache-control': UNCACHED,
    ...(error === 'tryLater' ? { 'retry-after': String(RETRY_AFTER_SECONDS) } : {}),
  },
  body: ocspError(error),
});

function httpAnswer(call: HttpCall, reply: Exclude<OcspReply, string>, now: Date): HttpAnswer {
  const secondsLeft = Math.floor((reply.nextUpdate.getTime() - now.getTime()) / 1000);
  const etag = `"${reply.sha256Hex}"`;
  const validators = {
    etag,
    'last-modified': reply.thisUpdate.toUTCString(),
    expires: reply.nextUpdate.toUTCString(),
    'cache-control': `max-age=${Math.max(0, Math.min(CACHE_SECONDS, secondsLeft))}, public, no-transform, must-revalidate`,
  };
  if (call.method !== 'POST' && isUnchanged(call, etag, reply.thisUpdate))
    return { status: 304, headers: validators };
  return {
    status: 200,
    headers: { 'content-type': CONTENT_TYPE, 'content-length': String(reply.der.length), ...validators },
    body: reply.der,
  };
}

/** RFC 9110 §13.1: If-None-Match decides where it is given, else If-Modified-Since. */
function isUnchanged({ headers }: HttpCall, etag: string, thisUpdate: Date): boolean {
  const noneMatch = headers['if-none-match'];
  if (noneMatch !== undefined) {
    return noneMatch.split(',').some((tag) => ['*', etag, `W/${etag}`].includes(tag.trim()));
  }
  const since = Date.parse(headers['if-modified-since'] ?? '');
  return !Number.isNaN(since) && thisUpdate.getTime() <= since;
}
