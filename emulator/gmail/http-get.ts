import { request } from 'node:http';

/**
 * One GET over plain HTTP, without redirects. `target` is where the bytes are on this machine, `host` the public name
 * that is asked for. Rejects with words that end a sentence; `timeoutMs` bounds the whole exchange in real time.
 */
export function httpGet(
  target: URL,
  options: { readonly host: string; readonly timeoutMs: number },
): Promise<{ readonly status: number; readonly body: Buffer }> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(options.timeoutMs);
    const fail = (cause: Error): void =>
      reject(
        new Error(
          signal.aborted ? `no answer within ${options.timeoutMs / 1000} seconds` : 'the connection failed',
          { cause },
        ),
      );
    const outgoing = request(target, { headers: { host: options.host }, signal }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }));
      response.on('error', fail);
    });
    outgoing.on('error', fail);
    outgoing.end();
  });
}
