import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it, test } from 'vitest';
import { type Answer, errorBody, type FakeAdmin, startFakeAdmin } from './fake-admin.ts';
import { launch, sealwright, TOKEN } from './sealwright.ts';

let admin: FakeAdmin;
let environment: Record<string, string>;

beforeAll(async () => {
  admin = await startFakeAdmin();
  environment = { SEALWRIGHT_ADMIN_URL: admin.url, SEALWRIGHT_ADMIN_TOKEN: TOKEN };
});
afterAll(() => admin.close());
beforeEach(() => admin.reset());

const html = (status: number, headers: Record<string, string> = {}): Answer => ({
  status,
  headers,
  body: '<html><h1>Error: Forbidden</h1></html>',
});

describe('a command whose request the admin API refuses', () => {
  test.each<[string, Answer, string, string[]]>([
    [
      'because the token is not good',
      {
        status: 401,
        ...errorBody(401, 'UNAUTHENTICATED', 'unauthenticated', 'The token has expired; get a fresh one.'),
      },
      'unauthenticated',
      ['The token has expired; get a fresh one.', 'gcloud auth print-identity-token'],
    ],
    [
      'because the caller is no admin',
      {
        status: 403,
        ...errorBody(
          403,
          'PERMISSION_DENIED',
          'forbidden',
          'eve@acme.example is not one of the admins of this service.',
        ),
      },
      'forbidden',
      ['eve@acme.example is not one of the admins', 'SEALWRIGHT_ADMINS'],
    ],
    [
      'because there is no such user',
      { status: 404, ...errorBody(404, 'NOT_FOUND', 'not-found', 'The ledger knows nobody called x.') },
      'not-found',
      ['The ledger knows nobody called x.'],
    ],
    [
      'because something broke there',
      {
        status: 500,
        ...errorBody(
          500,
          'INTERNAL',
          'internal',
          'Something went wrong here; the log of this function says what.',
        ),
      },
      'internal',
      ['the log of this function says what'],
    ],
  ])('%s says what the API said and what to do, and ends with 1', async (_why, answer, code, sentences) => {
    admin.otherwise(answer);
    const { exit, stdout, stderr } = await launch(['user', 'x', '--json'], { environment });
    expect(exit).toBe(1);
    for (const sentence of sentences) expect(stderr).toContain(sentence);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(JSON.parse(stdout)).toMatchObject({
      error: { code, message: expect.stringContaining(sentences[0] ?? '') },
    });
    expect(admin.asked).toHaveLength(1);
  });
});

describe('a command whose request never reaches the admin API', () => {
  test.each<[string, Answer, string]>([
    ['a token refused by Cloud Run', html(401), 'refused the token before Sealwright was asked (HTTP 401)'],
    [
      'a caller refused by Cloud Run',
      html(403),
      'your account needs roles/run.invoker on the admin function',
    ],
    [
      'another page',
      html(200),
      'answered text/html (HTTP 200) where the admin API answers JSON. Check --admin-url.',
    ],
    ['nothing at that path', html(404), 'answered text/html (HTTP 404) where the admin API answers JSON'],
    [
      'a login page',
      html(302, { location: 'https://accounts.google.com/login' }),
      'redirects to https://accounts.google.com/login instead of answering',
    ],
    [
      'JSON of something else',
      { status: 418, body: { hello: 'world' } },
      'answered application/json (HTTP 418)',
    ],
    [
      'an answer of another version',
      { body: { people: [] } },
      'in a form this version does not know ("users"',
    ],
  ])('but meets %s says so in a sentence and ends with 1', async (_what, answer, sentence) => {
    admin.otherwise(answer);
    const { exit, stdout, stderr } = await sealwright(['users'], environment);
    expect([exit, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^sealwright: .*\n$/);
    expect(stderr).toContain(sentence);
    expect(stderr).not.toContain('<html>');
  });

  it('because nothing listens there says so at once', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const { exit, stderr } = await launch(['users', '--admin-url', `http://127.0.0.1:${port}`], {
      environment,
    });
    expect([exit, stderr]).toEqual([
      1,
      `sealwright: Nothing listens at http://127.0.0.1:${port}/. Check --admin-url, and that the admin function runs.\n`,
    ]);
  });

  it('because there is plain http behind https says so', async () => {
    const { exit, stderr } = await sealwright(
      ['users', '--admin-url', admin.url.replace('http:', 'https:')],
      environment,
    );
    expect(exit).toBe(1);
    expect(stderr).toMatch(/What listens at 127\.0\.0\.1:\d+ does not speak TLS\./);
  });
});

describe('a command that only reads', () => {
  const ok: Answer = { body: { users: [] } };
  const busy: Answer = {
    status: 429,
    headers: { 'retry-after': '0' },
    ...errorBody(429, 'RESOURCE_EXHAUSTED', 'busy', 'Too many requests.'),
  };

  test.each<[string, Answer]>([
    ['an API that is busy', busy],
    ['a front that has no instance yet', { ...html(503), headers: { 'retry-after': '0' } }],
    ['a connection that breaks', { cut: true }],
  ])('asks again after %s', async (_what, first) => {
    admin.answer('GET /v1/users?limit=1000', first, ok);
    const { exit, stdout } = await sealwright(['users', '--json'], environment);
    expect(exit).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ users: [] });
    expect(admin.asked).toHaveLength(2);
  });

  it('gives up after the third time and says what the API said', async () => {
    admin.otherwise(busy);
    const { exit, stderr } = await sealwright(['users'], environment);
    expect([exit, stderr]).toEqual([1, 'sealwright: Too many requests.\n']);
    expect(admin.asked).toHaveLength(3);
  });
});

describe('a bug', () => {
  it('is called one in a sentence, and shows its place only when asked', async () => {
    const buggy = {
      name: 'users',
      summary: '',
      operands: [],
      flags: {},
      notes: [],
      run: () => Promise.reject(new TypeError('x is not a function')),
    };
    const plain = await sealwright(['users'], {}, [buggy]);
    expect(plain.exit).toBe(1);
    expect(plain.stderr).toBe(
      'sealwright: Something went wrong inside sealwright: x is not a function. This is a bug; with SEALWRIGHT_DEBUG=1 it prints where.\n',
    );
    const debugging = await sealwright(['users'], { SEALWRIGHT_DEBUG: '1' }, [buggy]);
    expect(debugging.stderr).toMatch(/^\s+at /m);
  });
});
