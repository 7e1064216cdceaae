import { request as httpRequest, type IncomingMessage } from 'node:http';
import { retryable } from '../../errors.ts';
import type { PublicAnswer, PublicAnswerInParts, PublicWeb } from '../../ports/public-web.ts';

export interface PublicWebOptions {
  /** A forward proxy for plain HTTP, such as `http://proxy.acme.example:3128`; absent: straight to the host. */
  readonly proxyUrl?: string;
  /** From the call to the last byte. Default 20 s. */
  readonly timeoutMs?: number;
  /** Default 128 MiB: twice a CRL with a million entries. */
  readonly maxBytes?: number;
}

const TIMEOUT_MS = 20_000;
const MAX_BYTES = 128 * 1024 * 1024;

interface Call {
  readonly method: 'GET' | 'POST';
  readonly body?: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

/** Over node:http, which follows no redirect and carries no cookie, no token and no client certificate. */
export function publicWeb(options: PublicWebOptions = {}): PublicWeb {
  return {
    get: (url) => whole(ask(url, { method: 'GET', headers: {} }, options)),
    getParts: (url) => ask(url, { method: 'GET', headers: {} }, options),
    post: (url, body, contentType) =>
      whole(
        ask(
          url,
          {
            method: 'POST',
            body,
            headers: { 'content-type': contentType, 'content-length': String(body.length) },
          },
          options,
        ),
      ),
  };
}

async function whole(asked: Promise<PublicAnswerInParts>): Promise<PublicAnswer> {
  const { parts, ...answer } = await asked;
  const all: Uint8Array[] = [];
  for await (const part of parts) all.push(part);
  return { ...answer, body: Buffer.concat(all) };
}

async function ask(url: string, call: Call, options: PublicWebOptions): Promise<PublicAnswerInParts> {
  const unreachable = (why: string, cause?: unknown) =>
    retryable('address-unreachable', `The public address ${url} could not be fetched: ${why}.`, { cause });
  const target = new URL(url);
  if (target.protocol !== 'http:') throw unreachable('it is not plain http');
  const via = options.proxyUrl === undefined ? target : new URL(options.proxyUrl);
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  const failure = (error: Error) =>
    unreachable(
      error.name === 'AbortError' ? `no answer within ${timeoutMs / 1000} s` : error.message,
      error,
    );
  return await new Promise<PublicAnswerInParts>((resolve, reject) => {
    const request = httpRequest({
      host: via.hostname.replace(/^\[|\]$/g, ''),
      port: via.port === '' ? 80 : Number(via.port),
      method: call.method,
      path: options.proxyUrl === undefined ? `${target.pathname}${target.search}` : url,
      headers: { host: target.host, accept: '*/*', connection: 'close', ...call.headers },
      signal: AbortSignal.timeout(timeoutMs),
    });
    // Once there is an answer, whatever goes wrong is thrown where its parts are read.
    request.on('error', (error) => reject(failure(error)));
    request.once('response', (response) => {
      resolve({
        status: response.statusCode ?? 0,
        contentType: (response.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '',
        parts: bodyParts(response, options.maxBytes ?? MAX_BYTES, failure),
      });
    });
    request.end(call.body);
  });
}

async function* bodyParts(
  response: IncomingMessage,
  maxBytes: number,
  failure: (error: Error) => Error,
): AsyncGenerator<Uint8Array> {
  let length = 0;
  try {
    for await (const part of response as AsyncIterable<Buffer>) {
      length += part.length;
      if (length > maxBytes) throw new Error(`more than ${maxBytes} bytes came back`);
      yield part;
    }
  } catch (error) {
    throw failure(error instanceof Error ? error : new Error(String(error)));
  }
}
