import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from 'vitest';
import { leanFetch } from '../../../shared/adapters/google/lean-fetch.ts';

let server: Server;
async function serving(listener: RequestListener): Promise<string> {
  server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/path?query=1`;
}
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

describe('the fetch that Google’s clients and our own are given', () => {
  test('sends method, target, headers and a form, and answers status, headers and text', async () => {
    const url = await serving((request, response) => {
      let body = '';
      request.on('data', (chunk) => {
        body += chunk;
      });
      request.on('end', () => {
        const { method, url: target, headers } = request;
        response.writeHead(201, { 'x-one': 'a' });
        response.end(JSON.stringify([method, target, headers['content-type'], headers['x-mine'], body]));
      });
    });
    const answer = await leanFetch(5_000)(url, {
      method: 'POST',
      headers: new Headers({ 'x-mine': 'yes' }),
      body: new URLSearchParams({ a: 'b c' }),
    });
    expect([answer.status, answer.ok, answer.headers.get('x-one')]).toEqual([201, true, 'a']);
    const form = 'application/x-www-form-urlencoded;charset=UTF-8';
    expect(JSON.parse(await answer.text())).toEqual(['POST', '/path?query=1', form, 'yes', 'a=b+c']);
  });

  test('unpacks an answer that came packed', async () => {
    const url = await serving((_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('{"a":"ü"}'));
    });
    expect(await (await leanFetch(5_000)(url)).text()).toBe('{"a":"ü"}');
  });

  test('takes no part of an answer for the whole', async () => {
    const url = await serving((_request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{"users":[]}');
      setTimeout(() => response.destroy(), 20);
    });
    await expect(leanFetch(5_000)(url)).rejects.toMatchObject({ code: 'ECONNRESET' });
  });

  test('hangs up on an answer that is longer than was asked for', async () => {
    const hungUp = Promise.withResolvers<void>();
    const url = await serving((_request, response) => {
      response.once('close', () => hungUp.resolve());
      const more = () => response.write('x'.repeat(1_000), () => setImmediate(more));
      more();
    });
    const answer = await leanFetch(5_000, 2_500)(url, { headers: { 'x-mine': 'yes' } });
    const text = await answer.text();
    expect(text.length).toBeGreaterThan(2_500);
    expect(text.length).toBeLessThan(1_000_000);
    await hungUp.promise;
  });

  test('gives up an answer that does not come, or does not end, in time', async () => {
    const url = await serving((request, response) => {
      if (request.method === 'GET') response.writeHead(200).write('{');
    });
    for (const method of ['GET', 'POST'])
      await expect(leanFetch(50)(url, { method })).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  test('follows no redirect', async () => {
    const url = await serving((_request, response) => {
      response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end();
    });
    expect((await leanFetch(5_000)(url)).status).toBe(302);
  });

  test('says that nothing was sent where nobody listens', async () => {
    const url = await serving(() => undefined);
    await new Promise((resolve) => server.close(resolve));
    await expect(leanFetch(5_000)(url)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});
