import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createStorage, type Storage } from '../../../emulator/storage/index.ts';
import { type Serving, serve } from '../identity/serving.ts';

const PUBLISHER = 'sealwright-publish-crl@acme-sealwright.iam.gserviceaccount.com';
const CRL = Buffer.from('30820102', 'hex');

let serving: Serving<Storage>;
let site: Server;
let port: number;

beforeAll(async () => {
  serving = await serve((context) =>
    createStorage(context, {
      buckets: [
        { name: 'acme-pki', publicRead: true, objectAdmins: [PUBLISHER] },
        { name: 'acme-audit', objectAdmins: [PUBLISHER] },
      ],
    }),
  );
  const { room, calls } = serving;
  site = createServer(room.publicSite({ bucket: 'acme-pki', calls, method: 'pki.get' }));
  site.listen(0, '127.0.0.1');
  await once(site, 'listening');
  port = (site.address() as AddressInfo).port;
  await put('crl/issuing 1.crl', 'application/pkix-crl', CRL, 'public, max-age=300');
  await put('root.cer', 'application/pkix-cert', Buffer.from('root'));
});
afterAll(async () => {
  site.closeAllConnections();
  site.close();
  await serving[Symbol.asyncDispose]();
});
beforeEach(() => {
  serving.context.faults.apply({ reset: true });
});

async function put(name: string, contentType: string, content: Buffer, cacheControl?: string) {
  const metadata = JSON.stringify({ name, contentType, cacheControl });
  const body = Buffer.concat([
    Buffer.from(`--b\r\nContent-Type: application/json\r\n\r\n${metadata}\r\n--b\r\n\r\n`),
    content,
    Buffer.from('\r\n--b--'),
  ]);
  const scopes = ['https://www.googleapis.com/auth/devstorage.read_write'];
  const response = await fetch(`${serving.root}upload/storage/v1/b/acme-pki/o?uploadType=multipart`, {
    method: 'POST',
    headers: {
      authorization: serving.bearer({ kind: 'service-account', email: PUBLISHER, scopes }),
      'content-type': 'multipart/related; boundary=b',
    },
    body,
  });
  expect(response.status).toBe(200);
}

/** By node:http, which sends the path as it is and follows nothing. */
async function ask(
  path: string,
  options: { method?: string; headers?: Record<string, string> } = {},
): Promise<{ status: number | undefined; headers: IncomingHttpHeaders; body: Buffer }> {
  const call = request({ host: '127.0.0.1', port, path, agent: false, ...options });
  call.end();
  const [response] = await once(call, 'response');
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return { status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) };
}

const CRL_PATH = '/crl/issuing%201.crl';

describe('the public site of a bucket', () => {
  it('serves an object with its type, caching and validators, without a redirect', async () => {
    const answer = await ask(CRL_PATH);
    expect(answer.status).toBe(200);
    expect(answer.body.equals(CRL)).toBe(true);
    expect(answer.headers).toMatchObject({
      'content-type': 'application/pkix-crl',
      'cache-control': 'public, max-age=300',
      'content-length': String(CRL.length),
      etag: expect.stringMatching(/^"[0-9a-f]{32}"$/),
      'last-modified': expect.stringMatching(/GMT$/),
      date: expect.stringMatching(/GMT$/),
    });
  });

  it("says what Google says about caching where the object doesn't", async () => {
    expect((await ask('/root.cer')).headers['cache-control']).toBe('public, max-age=3600');
  });

  it('answers HEAD with the same headers and no body', async () => {
    const answer = await ask(CRL_PATH, { method: 'HEAD' });
    expect(answer).toMatchObject({ status: 200, headers: { 'content-length': String(CRL.length) } });
    expect(answer.body).toHaveLength(0);
  });

  it('ignores a query, and takes the path of a proxy', async () => {
    expect((await ask(`${CRL_PATH}?x=1`)).status).toBe(200);
    expect((await ask(`http://pki.acme.example${CRL_PATH}`)).status).toBe(200);
  });

  it('answers 304 with validators and no body to whoever has this version', async () => {
    const { etag = '', 'last-modified': modified = '' } = (await ask(CRL_PATH)).headers;
    for (const headers of [
      { 'if-none-match': etag },
      { 'if-none-match': `"x", W/${etag}` },
      { 'if-none-match': '*' },
      { 'if-modified-since': modified },
    ]) {
      const answer = await ask(CRL_PATH, { headers: headers as Record<string, string> });
      expect(answer).toMatchObject({
        status: 304,
        headers: { etag, 'cache-control': 'public, max-age=300' },
      });
      expect(answer.body).toHaveLength(0);
    }
  });

  it('sends the bytes to whoever has another version', async () => {
    const { 'last-modified': modified = '' } = (await ask(CRL_PATH)).headers;
    for (const headers of [
      { 'if-none-match': '"x"' },
      { 'if-none-match': '"x"', 'if-modified-since': modified },
      { 'if-modified-since': 'Thu, 01 Jan 2015 00:00:00 GMT' },
      { 'if-modified-since': 'rubbish' },
    ]) {
      expect((await ask(CRL_PATH, { headers: headers as Record<string, string> })).status).toBe(200);
    }
  });

  it('changes its validators when the object is replaced', async () => {
    await put('moving', 'text/plain', Buffer.from('1'));
    const before = (await ask('/moving')).headers;
    serving.context.clock.advance(60_000);
    await put('moving', 'text/plain', Buffer.from('2'));
    const after = (await ask('/moving')).headers;
    expect(after.etag).not.toBe(before.etag);
    expect(after['last-modified']).not.toBe(before['last-modified']);
    expect(Date.parse(after.date ?? '')).toBeGreaterThanOrEqual(Date.parse(after['last-modified'] ?? ''));
  });

  it.each(['/none', '/', '/crl/', '/%zz', '/constructor', '//', '/../root.cer'])(
    'answers 404 to %s',
    async (path) => {
      const answer = await ask(path);
      expect(answer.status).toBe(404);
      expect(answer.body.toString()).toContain('<Code>NoSuchKey</Code>');
    },
  );

  it.each(['POST', 'PUT', 'DELETE'])('answers 405 to %s', async (method) => {
    const answer = await ask(CRL_PATH, { method });
    expect(answer).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } });
  });

  it('is disturbed by faults under its name, and writes the call log', async () => {
    const since = serving.calls.last;
    const calls = [{ method: 'pki.get', nth: [1], status: 503, retryAfterSeconds: 5 }];
    serving.context.faults.apply({ calls });
    expect(await ask(CRL_PATH)).toMatchObject({ status: 503, headers: { 'retry-after': '5' } });
    expect((await ask(CRL_PATH)).status).toBe(200);
    serving.context.faults.apply({ calls: [{ method: 'pki.get', cut: 'before' }] });
    await expect(ask(CRL_PATH)).rejects.toThrow(/socket hang up/);
    expect(serving.calls.since(since)).toMatchObject([
      { method: 'pki.get', verb: 'GET', path: CRL_PATH, status: 503 },
      { method: 'pki.get', status: 200 },
      { method: 'pki.get', cut: 'before' },
    ]);
  });

  it('is refused for a bucket that is not public', () => {
    const make = () => serving.room.publicSite({ bucket: 'acme-audit', calls: serving.calls, method: 'x' });
    expect(make).toThrow(RangeError);
  });
});
