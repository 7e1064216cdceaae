import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { GoogleError } from '../../../emulator/core/google-error.ts';
import { jsonBody, ok, type Route } from '../../../emulator/core/route.ts';
import { EmulatorWorld, until } from './world.ts';

const SCOPE = 'https://www.googleapis.com/auth/admin.directory.user';
let world: EmulatorWorld;
let effects: string[];
let shown: ReturnType<typeof vi.spyOn>;

beforeEach(async () => {
  world = new EmulatorWorld();
  effects = [];
  shown = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  await world.serve(ROUTES, 1000);
});
afterEach(async () => {
  shown.mockRestore();
  await world.close();
});

const ROUTES: readonly Route[] = [
  {
    id: 'things.act',
    verb: 'POST',
    path: '/v1/things/:thing\\:act',
    scopes: 'none',
    handle: (call) => {
      effects.push(`act ${call.params['thing']}`);
      return ok({ acted: jsonBody(call) });
    },
  },
  {
    id: 'things.get',
    verb: 'GET',
    path: '/v1/things/:thing',
    scopes: [SCOPE],
    handle: (call) =>
      ok({ thing: call.params['thing'], caller: call.caller?.email, page: call.query.get('page') }),
  },
  {
    id: 'things.delete',
    verb: 'DELETE',
    path: '/v1/things/:thing',
    scopes: 'none',
    handle: () => ({ status: 204 }),
  },
  {
    id: 'bytes.get',
    verb: 'GET',
    path: '/bytes',
    scopes: 'none',
    handle: () => ok(Buffer.from([0, 255, 7]), { 'content-type': 'application/pkix-crl' }),
  },
  {
    id: 'broken.get',
    verb: 'GET',
    path: '/broken',
    scopes: 'none',
    handle: () => {
      throw new TypeError('secret detail');
    },
  },
  {
    id: 'refusing.get',
    verb: 'GET',
    path: '/refusing',
    scopes: 'none',
    handle: () => {
      throw new GoogleError(400, 'failedPrecondition', 'Mail service not enabled', {
        status: 'FAILED_PRECONDITION',
      });
    },
  },
  { id: 'emulator.x', verb: '*', path: '/_emulator/x', scopes: 'none', control: true, handle: () => ok({}) },
];

const call = (path: string, init?: RequestInit) => fetch(new URL(path, world.root), init);

describe('the emulator server', () => {
  it('answers JSON with decoded path parameters, the query and the caller', async () => {
    const token = world.tokenOf({ kind: 'service-account', email: 'robot@x', scopes: [SCOPE] });
    const response = await call('/v1/things/a%40b.c?page=2', {
      headers: { authorization: `Bearer ${token}` },
    });
    expect(response.headers.get('content-type')).toBe('application/json; charset=UTF-8');
    expect(await response.json()).toEqual({ thing: 'a@b.c', caller: 'robot@x', page: '2' });
  });

  it('tells custom verbs from ids', async () => {
    const response = await call('/v1/things/seven:act', { method: 'POST', body: '{"hard":true}' });
    expect(await response.json()).toEqual({ acted: { hard: true } });
    expect(effects).toEqual(['act seven']);
  });

  it('sends bytes as they are and nothing where there is nothing', async () => {
    const bytes = await call('/bytes');
    expect([bytes.headers.get('content-type'), Buffer.from(await bytes.arrayBuffer())]).toEqual([
      'application/pkix-crl',
      Buffer.from([0, 255, 7]),
    ]);
    const empty = await call('/v1/things/x', { method: 'DELETE' });
    expect([empty.status, await empty.text()]).toEqual([204, '']);
  });

  it("refuses in Google's shape", async () => {
    const response = await call('/refusing');
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({
      error: {
        code: 400,
        message: 'Mail service not enabled',
        errors: [{ message: 'Mail service not enabled', domain: 'global', reason: 'failedPrecondition' }],
        status: 'FAILED_PRECONDITION',
      },
    });
  });

  it.each([
    ['an unknown path', '/v1/nothing', 'GET', 404],
    ['another verb on a known path', '/bytes', 'PUT', 404],
    ['no token', '/v1/things/x', 'GET', 401],
  ])('refuses %s', async (_what, path, method, status) => {
    const response = await call(path, { method });
    expect(response.status).toBe(status);
    expect(((await response.json()) as { error: { code: number } }).error.code).toBe(status);
  });

  it.each(['{', '[1]', 'null', '7'])('refuses the body %s before anything happens', async (body) => {
    expect((await call('/v1/things/x:act', { method: 'POST', body })).status).toBe(400);
  });

  it('refuses a body above its limit', async () => {
    const body = JSON.stringify({ x: 'y'.repeat(1000) });
    expect((await call('/v1/things/x:act', { method: 'POST', body })).status).toBe(413);
    expect(effects).toEqual([]);
  });

  it('keeps the details of a bug to itself', async () => {
    const response = await call('/broken');
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain('secret detail');
    expect(shown).toHaveBeenCalledWith(expect.stringContaining('secret detail'));
  });

  it.each([
    ['an address without a path', 'GET // HTTP/1.1\r\nHost: x\r\n'],
    ['a host that cannot be', 'GET /bytes HTTP/1.1\r\nHost: a b\r\n'],
  ])('answers %s with 400 and no noise', async (_what, head) => {
    const answer = await raw(`${head}Connection: close\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(shown).not.toHaveBeenCalled();
  });

  it('takes a client that goes away in the middle of its body in silence, and goes on', async () => {
    const socket = connect(world.port, '127.0.0.1');
    socket.write('POST /v1/things/x:act HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"half":');
    await new Promise((resolve) => setTimeout(resolve, 20));
    socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect((await call('/bytes')).status).toBe(200);
    expect(effects).toEqual([]);
    expect(shown).not.toHaveBeenCalled();
  });

  it('writes a line for each call, without query, body and token', async () => {
    await call('/v1/things/x?secret=1', { headers: { authorization: 'Bearer sesame' } });
    await call('/v1/things/seven:act', { method: 'POST', body: '{"secret":2}' });
    await call('/nowhere');
    await call('/_emulator/x');
    expect(world.calls.since(0)).toMatchObject([
      { n: 1, method: 'things.get', verb: 'GET', path: '/v1/things/x', status: 401, reason: 'authError' },
      { n: 2, method: 'things.act', path: '/v1/things/seven:act', status: 200, caller: undefined },
      { n: 3, method: 'unknown', path: '/nowhere', status: 404 },
    ]);
    expect(JSON.stringify(world.calls.since(0))).not.toMatch(/secret|sesame/);
  });
});

describe('a call fault', () => {
  it('answers with its status and reason instead of the effect', async () => {
    world.faults.apply({
      calls: [{ method: 'things.act', status: 429, reason: 'rateLimitExceeded', retryAfterSeconds: 3 }],
    });
    const response = await call('/v1/things/x:act', { method: 'POST' });
    expect(response.headers.get('retry-after')).toBe('3');
    expect(await response.json()).toMatchObject({
      error: {
        code: 429,
        status: 'RESOURCE_EXHAUSTED',
        errors: [{ domain: 'usageLimits', reason: 'rateLimitExceeded' }],
      },
    });
    expect(effects).toEqual([]);
    expect(world.calls.since(0)).toMatchObject([{ status: 429, reason: 'rateLimitExceeded' }]);
  });

  it.each([
    ['before', []],
    ['after', ['act x']],
  ])('that cuts the connection %s the effect shows the client no answer', async (cut, left) => {
    world.faults.apply({ calls: [{ method: 'things.act', cut }] });
    await expect(call('/v1/things/x:act', { method: 'POST' })).rejects.toThrow('fetch failed');
    expect(effects).toEqual(left);
    expect(world.calls.since(0)).toMatchObject([{ method: 'things.act', cut }]);
  });

  it('that cuts the connection after the effect hides a refusal as well', async () => {
    world.faults.apply({ calls: [{ method: 'refusing.get', cut: 'after' }] });
    await expect(call('/refusing')).rejects.toThrow('fetch failed');
    expect(world.calls.since(0)).toMatchObject([{ status: 400, cut: 'after' }]);
  });

  it('still asks for the token first', async () => {
    world.faults.apply({ calls: [{ method: 'things.get', status: 503 }] });
    expect((await call('/v1/things/x')).status).toBe(401);
  });

  it('slows a call down by its latency', async () => {
    world.faults.apply({ calls: [{ method: 'bytes.get', latencyMs: 60 }] });
    await call('/bytes');
    const [line] = await until(() => world.calls.since(0).length > 0 && world.calls.since(0));
    expect(line?.durationMs).toBeGreaterThanOrEqual(59);
  });

  it('does not reach the controls', async () => {
    world.faults.apply({ calls: [{ method: '*', status: 503 }] });
    expect((await call('/_emulator/x')).status).toBe(200);
  });
});

function raw(request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(world.port, '127.0.0.1');
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk.toString();
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(answer));
    socket.write(request);
  });
}
