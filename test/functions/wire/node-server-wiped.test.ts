import { type IncomingMessage, ServerResponse } from 'node:http';
import { PassThrough } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { HttpHandler } from '../../../functions/wire/http.ts';
import { asRequestListener } from '../../../functions/wire/node-server.ts';
import { memoryLog } from '../../kacls/support.ts';

/** Passes the very buffers on that it is given, as a socket does. */
function request(handler: HttpHandler) {
  const stream = new PassThrough();
  const message = Object.assign(stream, { method: 'POST', url: '/', headers: {} }) as unknown;
  const response = new ServerResponse(message as IncomingMessage);
  const options = { name: 'under-test', log: memoryLog(), maxBodyBytes: 40 };
  asRequestListener(handler, options)(message as IncomingMessage, response as never);
  return { stream, response };
}

const piece = () => Buffer.from('a key of twenty byte');
const isWiped = (bytes: Uint8Array) => bytes.every((byte) => byte === 0);

describe("the buffers of a request on Node's own server", () => {
  it('are wiped when it came in pieces, once they were put together', async () => {
    const pieces = [piece(), piece()];
    const bodies: string[] = [];
    const { stream } = request(({ body }) => {
      bodies.push(body.toString());
      return { status: 204 };
    });
    for (const bytes of pieces) stream.write(bytes);
    stream.end();
    while (bodies.length === 0) await turn();
    expect(bodies).toEqual([`${piece()}${piece()}`]);
    expect(pieces.map(isWiped)).toEqual([true, true]);
  });

  it('are handed on as they are when it came in one', async () => {
    const bodies: string[] = [];
    const { stream } = request(({ body }) => {
      bodies.push(body.toString());
      return { status: 204 };
    });
    stream.end(piece());
    while (bodies.length === 0) await turn();
    expect(bodies).toEqual([piece().toString()]);
  });

  it('are wiped when it is too long, those beyond the limit too', async () => {
    const pieces = [piece(), piece(), piece(), piece()];
    const { stream, response } = request(() => {
      throw new Error('must not be called');
    });
    for (const bytes of pieces) stream.write(bytes);
    stream.end();
    while (!response.headersSent) await turn();
    expect(response.statusCode).toBe(413);
    expect(pieces.map(isWiped)).toEqual([true, true, true, true]);
  });

  it('are wiped when it breaks off', async () => {
    const pieces = [piece(), piece()];
    const { stream, response } = request(() => {
      throw new Error('must not be called');
    });
    for (const bytes of pieces) stream.write(bytes);
    await turn();
    expect(pieces.map(isWiped)).toEqual([false, false]);
    stream.destroy();
    while (!response.destroyed) await turn();
    expect(pieces.map(isWiped)).toEqual([true, true]);
  });
});
