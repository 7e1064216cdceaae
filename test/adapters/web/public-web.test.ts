import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { publicWeb } from '../../../shared/adapters/web/public-web.ts';
import { failureOf } from '../world.ts';

const BODY = Buffer.alloc(300_000, 7);

let server: Server;
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

async function serve(listener: RequestListener): Promise<string> {
  server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/issuing.crl`;
}

const sendBody: RequestListener = (_request, response) => {
  response.writeHead(200, { 'content-type': 'Application/PKIX-CRL; x=y' });
  response.end(BODY);
};
const cutHalfway: RequestListener = (_request, response) => {
  response.writeHead(200, { 'content-length': String(BODY.length) });
  response.write(BODY.subarray(0, 1000), () => response.destroy());
};

async function joined(parts: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const part of parts) all.push(part);
  return Buffer.concat(all);
}
const unreachable = { kind: 'retryable', code: 'address-unreachable' };

describe('a public address', () => {
  it('gives status, plain content type and body, at once or in parts', async () => {
    const url = await serve(sendBody);
    const answer = { status: 200, contentType: 'application/pkix-crl' };
    const { body, ...atOnce } = await publicWeb().get(url);
    const { parts, ...inParts } = await publicWeb().getParts(url);
    expect([atOnce, inParts]).toEqual([answer, answer]);
    expect(Buffer.compare(body, BODY)).toBe(0);
    expect(Buffer.compare(await joined(parts), BODY)).toBe(0);
  });

  it('is not followed elsewhere', async () => {
    const url = await serve((_request, response) => {
      response.writeHead(301, { location: 'http://elsewhere.example/' }).end();
    });
    expect((await publicWeb().getParts(url)).status).toBe(301);
  });

  it.each([
    ['is cut off half-way', cutHalfway, {}],
    ['answers more than is taken', sendBody, { maxBytes: 1000 }],
    [
      'stops in the middle',
      ((_request, response) => {
        response.writeHead(200);
        response.write('a');
      }) satisfies RequestListener,
      { timeoutMs: 200 },
    ],
  ] as const)('that %s is unreachable, at once and in parts', async (_what, listener, options) => {
    const url = await serve(listener);
    expect(await failureOf(publicWeb(options).get(url))).toMatchObject(unreachable);
    const { parts } = await publicWeb(options).getParts(url);
    expect(await failureOf(joined(parts))).toMatchObject(unreachable);
  });

  it('whose parts nobody reads harms nobody', async () => {
    const url = await serve(cutHalfway);
    await publicWeb({ timeoutMs: 100 }).getParts(url);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await failureOf(publicWeb().get('https://127.0.0.1/'))).toMatchObject(unreachable);
  });
});
