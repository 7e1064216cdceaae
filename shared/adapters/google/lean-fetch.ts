/**
 * `fetch` for Google's REST clients, as much of it as they use: one request, the whole answer as text or bytes. Their own (node-fetch) leads
 * each answer through three streams and each time limit through an `AbortSignal` that goes off long after the answer came; for
 * answers of a few kilobytes that is several times the work of the request itself.
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
  readonly headers?: Headers;
  readonly body?: unknown;
  readonly agent?: Agent;
}

/**
 * Rejects with a `DOMException` called `TimeoutError` when the answer is not whole within `timeoutMs`, and with the system's error
 * (`code`) when a connection cannot be made or breaks.
 */
export function leanFetch(timeoutMs: number): typeof fetch {
  return async (input, init) => {
    const address = new URL(String(input));
    // The client's options are more than `fetch` knows: the agent is among them.
    const answer = await exchange(address, (init ?? {}) as Init, timeoutMs);
    return answer as unknown as Response;
  };
}

/** The members of `Response` that the client reads. */
interface Answer {
  readonly status: number;
  readonly statusText: string;
  readonly ok: boolean;
  readonly url: string;
  readonly headers: Headers;
  text(): Promise<string>;
  arrayBuffer(): Promise<ArrayBufferLike>;
}

function exchange(address: URL, init: Init, timeoutMs: number): Promise<Answer> {
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
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', failed);
      response.once('end', () => {
        clearTimeout(timer);
        try {
          resolve(answerOf(address, response, Buffer.concat(chunks)));
        } catch (error) {
          reject(error);
        }
      });
    });
    const { body } = init;
    if (body instanceof Readable) {
      body.once('error', (error) => request.destroy(error));
      body.pipe(request);
    } else request.end(bodyOf(body));
  });
}

function headersOf({ headers = new Headers(), body }: Init): Record<string, string> {
  const all = Object.fromEntries(headers);
  if (body instanceof URLSearchParams)
    all['content-type'] ??= 'application/x-www-form-urlencoded;charset=UTF-8';
  return all;
}

function bodyOf(body: unknown): string | Uint8Array | undefined {
  if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) return body;
  if (body instanceof URLSearchParams) return body.toString();
  throw new TypeError('bug: a body of this kind is not sent to Google.');
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
    text: async () => body.toString('utf8'),
    arrayBuffer: async () => body.buffer.slice(body.byteOffset, body.byteOffset + body.byteLength),
  };
}
