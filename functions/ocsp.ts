/**
 * Public HTTP → OCSP answers that were signed ahead of time (RFC 6960 appendix A, RFC 9919 §6). `POST` with the request as body,
 * or `GET` with it in the path, base64 and percent-encoded; below the root and below `/ocsp`, where the load balancer
 * sends it. OCSP's own errors travel as OCSPResponses with status 200, as clients expect them.
 */
import {
  type OcspAnswer,
  type OcspReply,
  type OcspResponderDeps,
  ocspResponder,
} from '../shared/authority/ocsp-responder.ts';
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
  const ready = readyAnswers();
  const failed = (error: unknown): OcspError => {
    const message = error instanceof Error ? error.message : String(error);
    deps.log.error('ocsp-failed', { message, ...(isSealwrightError(error) ? { code: error.code } : {}) });
    return isSealwrightError(error) && error.kind === 'retryable' ? 'tryLater' : 'internalError';
  };
  const answer = (call: HttpCall, reply: OcspReply): HttpAnswer => {
    if (typeof reply === 'string') return errorAnswer(reply);
    const nowMs = deps.clock.now().getTime();
    const made = okAnswer(reply, nowMs);
    ready.keep(call, reply, made, nowMs);
    return conditional(call, reply, made);
  };
  return (call) => {
    if (call.method !== 'GET' && call.method !== 'HEAD' && call.method !== 'POST') {
      return { status: 405, headers: { allow: 'GET, HEAD, POST', 'cache-control': UNCACHED } };
    }
    const known = ready.find(call, deps.clock.now().getTime());
    if (known !== undefined) return conditional(call, known.reply, known.made);
    const requestDer = call.method === 'POST' ? call.body : requestInPath(call.path);
    const reply = requestDer === undefined ? 'malformedRequest' : respond(requestDer);
    if (!(reply instanceof Promise)) return answer(call, reply);
    return reply.catch(failed).then((late) => answer(call, late));
  };
}

interface Ready {
  readonly reply: OcspAnswer;
  readonly made: HttpAnswer;
  readonly madeAtMs: number;
}

/** Questions remembered by their exact bytes, at most; with their answers 2 kB each. */
const MOST_READY = 4_000;
/** A question about one certificate is 120 bytes, in a path some 200 characters. */
const LONGEST_READY = 400;

/**
 * Finished answers by the very bytes of the question, so that a question that comes again is neither decoded nor read. An
 * answer leaves with the responder's own (`keptUntilMs`), so no revocation is hidden for longer.
 */
function readyAnswers() {
  const known = new Map<string, Ready>();
  const keyOf = (call: HttpCall): string | undefined => {
    if (call.method !== 'POST') return call.path.length > LONGEST_READY ? undefined : call.path;
    // A path begins with a slash and a DER SEQUENCE with 0: no body is taken for a path.
    return call.body.length > LONGEST_READY ? undefined : call.body.toString('latin1');
  };
  return {
    find: (call: HttpCall, nowMs: number): Ready | undefined => {
      const key = keyOf(call);
      const ready = key === undefined ? undefined : known.get(key);
      // A clock that was set back must not keep an answer for longer.
      return ready !== undefined && nowMs < ready.reply.keptUntilMs && nowMs >= ready.madeAtMs
        ? ready
        : undefined;
    },
    keep: (call: HttpCall, reply: OcspAnswer, made: HttpAnswer, nowMs: number): void => {
      // So near its end max-age changes by the second.
      if (reply.nextUpdate.getTime() - reply.keptUntilMs < CACHE_SECONDS * 1000) return;
      const key = keyOf(call);
      if (key === undefined) return;
      // The oldest first out: a Map keeps the order in which its keys came.
      known.delete(key);
      known.set(key, { reply, made, madeAtMs: nowMs });
      if (known.size <= MOST_READY) return;
      const oldest = known.keys().next().value;
      if (oldest !== undefined) known.delete(oldest);
    },
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

function okAnswer(reply: OcspAnswer, nowMs: number): HttpAnswer {
  const secondsLeft = Math.floor((reply.nextUpdate.getTime() - nowMs) / 1000);
  return {
    status: 200,
    headers: {
      'content-type': CONTENT_TYPE,
      'content-length': String(reply.der.length),
      etag: etagOf(reply),
      'last-modified': reply.thisUpdate.toUTCString(),
      expires: reply.nextUpdate.toUTCString(),
      'cache-control': `max-age=${Math.max(0, Math.min(CACHE_SECONDS, secondsLeft))}, public, no-transform, must-revalidate`,
    },
    body: reply.der,
  };
}

const etagOf = (reply: OcspAnswer): string => `"${reply.sha256Hex}"`;

/** What was made, or 304 for a caller who has it already. */
function conditional(call: HttpCall, reply: OcspAnswer, made: HttpAnswer): HttpAnswer {
  if (call.method === 'POST' || !isUnchanged(call, etagOf(reply), reply.thisUpdate)) return made;
  const { 'content-type': _type, 'content-length': _length, ...validators } = made.headers ?? {};
  return { status: 304, headers: validators };
}

/** RFC 9110 §13.1: If-None-Match decides where it is given, else If-Modified-Since. */
function isUnchanged({ headers }: HttpCall, etag: string, thisUpdate: Date): boolean {
  const noneMatch = headers['if-none-match'];
  if (noneMatch !== undefined) {
    return noneMatch.split(',').some((tag) => ['*', etag, `W/${etag}`].includes(tag.trim()));
  }
  const modifiedSince = headers['if-modified-since'];
  if (modifiedSince === undefined) return false;
  const since = Date.parse(modifiedSince);
  return !Number.isNaN(since) && thisUpdate.getTime() <= since;
}
