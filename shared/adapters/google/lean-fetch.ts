/**
 * `fetch` for Google's REST clients and for calls between our own functions, as much of it as they use: one request, the whole answer as
 * text or bytes. Others (node-fetch, Node's own) lead each answer through several streams and each time limit through an `AbortSignal`
 * that goes off long after the answer came; for answers of a few kilobytes that is several times the work of the request itself.
 *
 * Connections are kept by Node's own agents, or by the one the client gives (a proxy's). What it will not do: follow a redirect,
 * which no API here answers with, and which would carry a token elsewhere.
 */
import { type Agent, type IncomingMessage, request as overHttp } from 'node:http';
import { request as overHttps } from 'node:https';
import { Readable } from 'node:stream';
import { gunzipSync } from 'node:zlib';

/** What Google's REST client hands to its fetch. */
interface Init {
  readonly method?: string;
  readonly headers?: Headers | Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly agent?: Agent;
}

/**
 * Rejects with a `DOMException` called `TimeoutError` when the answer is not whole within `timeoutMs`, and with the system's error
 * (`code`) when a connection cannot be made or breaks. Of an answer longer than `maxBytes` it hands on a little more than those, and
 * hangs up.
 */
export function leanFetch(timeoutMs: number, maxBytes = Number.POSITIVE_INFINITY): typeof fetch {
  return async (input, init) => {
    const address = new URL(String(input));
    // The client's options are more than `fetch` knows: the agent is among them.
    const answer = await exchange(address, (init ?? {}) as Init, { timeoutMs, maxBytes });
    return answer as unknown as Response;
  };
}

interface Limits {
  readonly timeoutMs: number;
  readonly maxBytes: number;
}

/** The members of `Response` that somebody reads. */
interface Answer {
  readonly status: number;
  readonly statusText: string;
  readonly ok: boolean;
  readonly url: string;
  readonly headers: Headers;
  /** In one piece. */
  readonly body: Iterable<Uint8Array>;
  text(): Promise<string>;
  arrayBuffer(): Promise<ArrayBufferLike>;
}

function exchange(address: URL, init: Init, { timeoutMs, maxBytes }: Limits): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', agent } = init;
    const headers = headersOf(init);
    const send = address.protocol === 'https:' ? overHttps : overHttp;
    const request = send(address, { method, headers, ...(agent === undefined ? {} : { agent }) });
    const timer = setTimeout(() => {
      request.destroy(new DOMException(`There was no answer within ${timeoutMs} ms.`, 'TimeoutError'));
    }, timeoutMs);
    const failed = (error: unknown): void => {
      clearTimeout(timer);
      reject(error);
    };
    request.once('error', failed);
    request.once('response', (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      const ended = (): void => {
        clearTimeout(timer);
        try {
          resolve(answerOf(address, response, Buffer.concat(chunks)));
        } catch (error) {
          reject(error);
        }
      };
      response.on('data', (chunk: Buffer) => {
        if (length > maxBytes) return;
        chunks.push(chunk);
        length += chunk.length;
        if (length <= maxBytes) return;
        ended();
        request.destroy();
      });
      response.once('error', failed);
      response.once('end', ended);
    });
    const { body } = init;
    if (body instanceof Readable) {
      body.once('error', (error) => request.destroy(error));
      body.pipe(request);
    } else request.end(bodyOf(body));
  });
}

function headersOf({ headers = {}, body }: Init): Record<string, string> {
  const all: Record<string, string> =
    headers instanceof Headers ? Object.fromEntries(headers) : { ...headers };
  if (body instanceof URLSearchParams)
    all['content-type'] ??= 'application/x-www-form-urlencoded;charset=UTF-8';
  return all;
}

function bodyOf(body: unknown): string | Uint8Array | undefined {
  if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) return body;
  if (body instanceof URLSearchParams) return body.toString();
  throw new TypeError('bug: a body of this kind is not sent.');
}

function answerOf(address: URL, response: IncomingMessage, bytes: Buffer): Answer {
  const { statusCode: status = 0, statusMessage: statusText = '' } = response;
  const isPacked = response.headers['content-encoding'] === 'gzip' && bytes.length > 0;
  const body = isPacked ? gunzipSync(bytes) : bytes;
  const headers = new Headers();
  const { rawHeaders } = response;
  for (let at = 0; at + 1 < rawHeaders.length; at += 2)
    headers.append(rawHeaders[at] ?? '', rawHeaders[at + 1] ?? '');
  return {
    status,
    statusText,
    ok: status >= 200 && status < 300,
    url: address.href,
    headers,
    body: [body],
    text: async () => body.toString('utf8'),
    arrayBuffer: async () => body.buffer.slice(body.byteOffset, body.byteOffset + body.byteLength),
  };
}
