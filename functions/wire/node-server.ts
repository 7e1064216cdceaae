/**
 * The same edge on Node's own HTTP server, without the functions framework: for the container form of a function, where
 * the framework's layers would cost as much as a signature (bench/kacls.ts).
 */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { invalidInput } from '../../shared/errors.ts';
import {
  answerAtEdge,
  type EdgeOptions,
  type HttpCall,
  type HttpHandler,
  send,
  splitTarget,
} from './http.ts';

/** PEM. */
export interface TlsMaterial {
  readonly certificateChain: string;
  readonly privateKey: string;
}

/** A slow sender holds a connection and nothing else, and not for long. Milliseconds. */
const TIMEOUTS: ServerOptions = {
  headersTimeout: 10_000,
  requestTimeout: 15_000,
  // Longer than the idle time of usual load balancers, so that it is they who close first.
  keepAliveTimeout: 75_000,
};
/** What is still read of a body that is too large, so that the sender gets to see the answer. */
const MOST_BYTES_DRAINED = 4 * 1024 * 1024;

/** With TLS it speaks 1.2 and later. https://developers.google.com/workspace/cse/guides/configure-service */
export function nodeServer(handler: HttpHandler, options: EdgeOptions, tls?: TlsMaterial): Server {
  const listener = asRequestListener(handler, options);
  if (tls === undefined) return createServer(TIMEOUTS, listener);
  return createTlsServer(
    { ...TIMEOUTS, minVersion: 'TLSv1.2', cert: tls.certificateChain, key: tls.privateKey },
    listener,
  );
}

export function asRequestListener(handler: HttpHandler, options: EdgeOptions): RequestListener {
  return (request, response) => {
    // A caller that goes away while it is answered is no failure of ours; its socket says so by an error.
    request.on('error', () => response.destroy());
    answerRequest(request, handler, options).then(
      ({ answer, closes }) => {
        if (response.destroyed) return;
        if (closes) response.setHeader('connection', 'close');
        send(response, answer);
      },
      // Only reading the body can fail: nobody is left to be answered.
      () => response.destroy(),
    );
  };
}

async function answerRequest(request: IncomingMessage, handler: HttpHandler, options: EdgeOptions) {
  const call: Omit<HttpCall, 'body'> = {
    method: request.method ?? 'GET',
    ...splitTarget(request.url ?? '/'),
    headers: request.headers,
  };
  const body = await readBody(request, options.maxBodyBytes);
  if (body !== undefined) {
    return { answer: await answerAtEdge({ ...call, body }, handler, options), closes: false };
  }
  const tooLarge: HttpHandler = async () => {
    throw invalidInput(
      'request-too-large',
      `The request body is too large; at most ${options.maxBodyBytes} bytes are taken.`,
    );
  };
  return { answer: await answerAtEdge({ ...call, body: Buffer.alloc(0) }, tooLarge, options), closes: true };
}

/**
 * Undefined when it is longer than `maxBytes`; nothing beyond that is kept. A body may hold a private key, so what is not
 * handed on is overwritten: the pieces of a whole one, and all of one that is too long or breaks off.
 */
function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    let chunks: Buffer[] = [];
    let length = 0;
    const wipe = () => {
      for (const chunk of chunks) chunk.fill(0);
      chunks = [];
    };
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      chunks.push(chunk);
      if (length > maxBytes) wipe();
      if (length > MOST_BYTES_DRAINED) {
        request.pause();
        resolve(undefined);
      }
    });
    request.once('end', () => {
      if (length > maxBytes) return resolve(undefined);
      const [only] = chunks;
      const isOnePiece = chunks.length === 1 && only !== undefined;
      const whole = isOnePiece ? only : Buffer.concat(chunks);
      if (isOnePiece) chunks = [];
      wipe();
      resolve(whole);
    });
    request.once('close', () => {
      wipe();
      reject(new Error('the caller went away before its request was whole'));
    });
  });
}
