import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type OutboundRequest, sendOutbound } from '../../../emulator/core/outbound-request.ts';
import { serviceAccountId } from '../../../emulator/core/service-account-id.ts';
import { claimsOf, readableIdTokens } from '../pubsub/world.ts';

let server: Server;
let root: string;
let seen: { url: string | undefined; headers: IncomingHttpHeaders; body: string }[];
let answer: (response: ServerResponse) => void;

beforeEach(async () => {
  seen = [];
  answer = (response) => response.writeHead(204).end();
  server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    seen.push({ url: request.url, headers: request.headers, body: Buffer.concat(chunks).toString() });
    answer(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  root = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const send = (more: Partial<OutboundRequest> = {}, signal = new AbortController().signal) =>
  sendOutbound(
    { idTokens: readableIdTokens },
    {
      method: 'POST',
      url: `${root}/deep/path?x=1`,
      headers: { 'x-one': '1' },
      body: Buffer.from('grüße'),
      oidc: undefined,
      timeoutMs: 20_000,
      ...more,
    },
    signal,
  );

describe('a call the emulator makes', () => {
  it('carries method, address, headers and body', async () => {
    expect(await send()).toEqual({ kind: 'answered', status: 204 });
    expect(seen).toMatchObject([
      { url: '/deep/path?x=1', headers: { 'x-one': '1', 'content-length': '7' }, body: 'grüße' },
    ]);
  });

  it('does not follow a redirect', async () => {
    answer = (response) => response.writeHead(302, { location: `${root}/elsewhere` }).end();
    expect(await send()).toEqual({ kind: 'answered', status: 302 });
    expect(seen).toHaveLength(1);
  });

  it('goes to where the public name really is and keeps the name in Host', async () => {
    const outcome = await sendOutbound(
      {
        idTokens: readableIdTokens,
        hostNames: {
          resolve: (url) => (url.hostname === 'event.acme.example' ? new URL(url.pathname, root) : undefined),
        },
      },
      {
        method: 'POST',
        url: 'https://event.acme.example/push',
        headers: {},
        body: undefined,
        oidc: { serviceAccountEmail: 'pusher@x.iam.gserviceaccount.com' },
        timeoutMs: 20_000,
      },
      new AbortController().signal,
    );
    expect(outcome).toEqual({ kind: 'answered', status: 204 });
    expect(seen[0]).toMatchObject({ url: '/push', headers: { host: 'event.acme.example' } });
    expect(claimsOf(seen[0]?.headers.authorization)['aud']).toBe('https://event.acme.example/push');
  });

  it('gives up when no answer comes in time', async () => {
    answer = () => undefined;
    expect(await send({ timeoutMs: 30 })).toEqual({ kind: 'failed', why: 'no answer within 0.03 s' });
  });

  it('ends when it is aborted', async () => {
    const stop = new AbortController();
    answer = () => stop.abort();
    expect(await send({}, stop.signal)).toMatchObject({ kind: 'failed' });
  });

  it.each([
    ['nobody listens', 'http://127.0.0.1:1/', 'ECONNREFUSED'],
    ['the address is none', 'nowhere', 'Invalid URL'],
  ])('says so when %s', async (_what, url, why) => {
    expect(await send({ url })).toEqual({ kind: 'failed', why: expect.stringContaining(why) });
  });

  it('says so when the connection breaks', async () => {
    answer = (response) => void response.socket?.destroy();
    expect(await send()).toMatchObject({ kind: 'failed', why: expect.stringContaining('socket hang up') });
  });

  it('says so when no token can be minted', async () => {
    const idTokens = { ...readableIdTokens, mint: () => Promise.reject(new Error('no key')) };
    const request = { method: 'GET', url: root, headers: {}, body: undefined, timeoutMs: 1000 };
    const oidc = { serviceAccountEmail: 'pusher@x.iam.gserviceaccount.com' };
    expect(await sendOutbound({ idTokens }, { ...request, oidc }, new AbortController().signal)).toEqual({
      kind: 'failed',
      why: 'no key',
    });
    expect(seen).toEqual([]);
  });
});

describe("a service account's numeric id", () => {
  it('has 21 digits, is the same for the same address, and another for another', () => {
    expect(serviceAccountId('a@x.iam.gserviceaccount.com')).toMatch(/^1\d{20}$/);
    expect(serviceAccountId('A@x.iam.gserviceaccount.com')).toBe(
      serviceAccountId('a@x.iam.gserviceaccount.com'),
    );
    expect(serviceAccountId('b@x.iam.gserviceaccount.com')).not.toBe(
      serviceAccountId('a@x.iam.gserviceaccount.com'),
    );
  });
});
