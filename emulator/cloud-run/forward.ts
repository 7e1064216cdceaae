import {
  request as httpRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from 'node:http';
import { Transform } from 'node:stream';
import { endToEnd } from './headers.ts';
import { refusal } from './refusal.ts';

export interface Forwarding {
  readonly service: string;
  readonly socketPath: string;
  readonly headers: OutgoingHttpHeaders;
  readonly maxBodyBytes: number;
  readonly timeoutMs: number;
  /** Let the function finish, then break the client's connection instead of answering. */
  readonly loseAnswer: boolean;
}

/** How it ended: with the function's status, or because the client left first. */
export type Forwarded =
  | { readonly kind: 'answered'; readonly status: number }
  | { readonly kind: 'abandoned' };

/**
 * Streams the request to the function and its answer back, one connection per request, because an instance may be
 * replaced at any moment. A client that leaves takes the function's request with it. Throws a refusal (413, 503, 504)
 * as long as nothing has been sent to the client; later failures break the client's connection.
 */
export function forward(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  forwarding: Forwarding,
): Promise<Forwarded> {
  const { service, maxBodyBytes, timeoutMs } = forwarding;
  if (outgoing.destroyed) return Promise.resolve({ kind: 'abandoned' });
  return new Promise((resolve, reject) => {
    const upstream = httpRequest({
      socketPath: forwarding.socketPath,
      method: incoming.method,
      path: incoming.url,
      // A function that may close the connection after a quick answer breaks the end of our request, and with it the
      // answer (EPIPE). So it is asked to leave the closing to us; an agent of its own does that after the answer.
      headers: { ...forwarding.headers, connection: 'keep-alive' },
      agent: false,
      setHost: false,
    });
    const timer = setTimeout(() => fail(refusal.tooSlow(service, timeoutMs)), timeoutMs);
    const body = limited(maxBodyBytes, () => fail(refusal.bodyTooLarge(maxBodyBytes)));
    let answering = false;

    function settle(): void {
      clearTimeout(timer);
      incoming.unpipe(body);
      outgoing.off('close', abandon);
    }
    function fail(error: Error): void {
      settle();
      upstream.destroy();
      if (outgoing.headersSent) outgoing.destroy();
      reject(error);
    }
    function abandon(): void {
      settle();
      upstream.destroy();
      resolve({ kind: 'abandoned' });
    }
    function finish(status: number): void {
      settle();
      resolve({ kind: 'answered', status });
    }

    outgoing.on('close', abandon);
    upstream.on('error', () => {
      // Once it answers, a function may well stop reading the request; what counts then is its answer.
      if (!answering) fail(refusal.unavailable(service));
    });
    upstream.on('response', (answer) => {
      answering = true;
      clearTimeout(timer);
      const status = answer.statusCode ?? 502;
      answer.on('error', () => fail(refusal.unavailable(service)));
      if (forwarding.loseAnswer) {
        answer.resume();
        answer.on('end', () => {
          finish(status);
          incoming.socket.destroy();
        });
        return;
      }
      outgoing.writeHead(status, answer.statusMessage, endToEnd(answer.headers));
      outgoing.on('finish', () => finish(status));
      answer.pipe(outgoing);
    });
    incoming.pipe(body).pipe(upstream);
  });
}

/** Passes bytes on until there are too many. */
function limited(maxBytes: number, onTooMany: () => void): Transform {
  let seen = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      seen += chunk.length;
      if (seen > maxBytes) onTooMany();
      else done(null, chunk);
    },
  });
}
