import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { builtOnce } from '../../functions/built-once.ts';
import { FUNCTION_NAMES } from '../../functions/catalog.ts';
import { registerFunction } from '../../functions/register.ts';
import { systemClock } from '../../shared/adapters/clock/system-clock.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import { GMAIL_ORIGIN } from '../kacls/world.ts';
import { openTestLedger } from '../support/ledger.ts';
import { settings } from './support/deployed.ts';
import { type Served, serve } from './support/served.ts';
import { keepStandardOutput } from './support/standard-output.ts';

/** What a function that cannot start answers: all of it. */
const NOT_CONFIGURED = {
  error: {
    code: 503,
    status: 'UNAVAILABLE',
    message: 'This function is not configured; its log says why.',
  },
};
/** The key service speaks Google's KACLS form, where the id leads to the line of the log. */
const NOT_STARTED_KEY_SERVICE = {
  code: 503,
  message: 'The key service cannot do this now; its log says why, under the id in details.',
  details: expect.stringMatching(/^[0-9a-f]{32}$/),
};
const PASSWORD = 'hunter2';
/** Nothing listens there. */
const GOOGLE = 'http://127.0.0.1:1/';

let folder: string;
let ledger: Ledger;
let output: ReturnType<typeof keepStandardOutput>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'register-'));
  ledger = await openTestLedger(systemClock);
});
afterAll(async () => {
  await ledger.close();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  output = keepStandardOutput();
});
afterEach(() => output.restore());

const lines = (): Record<string, unknown>[] =>
  output
    .text()
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
const notStarted = () => lines().filter(({ event }) => event === 'not-started');

/** What every function needs, and what the ones that need more are told first. */
const FIRST_MISSING = {
  'directory-watch': 'SEALWRIGHT_DATABASE_URL',
  'directory-event': 'SEALWRIGHT_GMAIL_ACCOUNT',
  due: 'SEALWRIGHT_DATABASE_URL',
  sweep: 'SEALWRIGHT_AUDIENCE',
  sign: 'SEALWRIGHT_AUDIENCE',
  'publish-crl': 'SEALWRIGHT_AUDIENCE',
  admin: 'SEALWRIGHT_ADMIN_AUDIENCES',
  'key-service': 'SEALWRIGHT_DATABASE_URL',
  ocsp: 'SEALWRIGHT_DATABASE_URL',
} as const;

describe.each(FUNCTION_NAMES)('the function %s', (name) => {
  const refusal = name === 'key-service' ? NOT_STARTED_KEY_SERVICE : NOT_CONFIGURED;
  let environment: Record<string, string>;
  let served: Served;
  beforeEach(async () => {
    environment = {};
    registerFunction(name, environment);
    served = await serve(name);
  });
  afterEach(() => served.close());

  it('without settings answers 503 and names the missing one in its log alone', async () => {
    const answer = await served.request('/');
    expect(answer.status).toBe(503);
    expect(answer.json).toEqual(refusal);
    expect(answer.text).not.toContain('SEALWRIGHT');
    expect(notStarted()).toEqual([
      {
        severity: 'CRITICAL',
        event: 'not-started',
        function: name,
        message: expect.stringContaining(FIRST_MISSING[name]),
        ...(name === 'key-service' ? { correlationId: (answer.json as { details: string }).details } : {}),
      },
    ]);
  });

  it('that cannot start keeps its secrets to itself', async () => {
    Object.assign(environment, settings(folder, GOOGLE));
    expect(environment['SEALWRIGHT_DATABASE_URL']).toContain(PASSWORD);
    const answer = await served.request('/');
    expect(answer.status).toBe(503);
    expect(answer.json).toEqual(refusal);
    expect(notStarted()).toHaveLength(1);
    expect(output.text()).not.toContain(PASSWORD);
  });
});

describe('a key service that cannot start', () => {
  let served: Served;
  beforeEach(async () => {
    registerFunction('key-service', {});
    served = await serve('key-service');
  });
  afterEach(() => served.close());
  const ask = (method: string, path: string, origin: string) =>
    served.request(path, { method, headers: { origin } });

  it('lets the browser of a Gmail user read its refusal, after the preflight', async () => {
    const preflight = await ask('OPTIONS', '/v1/privatekeysign', GMAIL_ORIGIN);
    expect([preflight.status, preflight.text]).toEqual([204, '']);
    expect(Object.fromEntries(preflight.headers)).toMatchObject({
      'access-control-allow-origin': GMAIL_ORIGIN,
      'access-control-allow-methods': 'GET, POST, OPTIONS',
      'access-control-allow-headers': 'Content-Type',
    });
    const answer = await ask('POST', '/v1/privatekeysign', GMAIL_ORIGIN);
    expect(answer.status).toBe(503);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'access-control-allow-origin': GMAIL_ORIGIN,
      'cache-control': 'no-store',
      'content-type': 'application/json; charset=utf-8',
      'retry-after': '5',
      vary: 'Origin',
    });
  });

  it('lets the Admin console read the status alone, and nobody else anything', async () => {
    const allowed = async (path: string, origin: string) =>
      (await ask('GET', path, origin)).headers.get('access-control-allow-origin');
    expect(await allowed('/v1/status', 'https://admin.google.com')).toBe('https://admin.google.com');
    expect(await allowed('/v1/certs', 'https://admin.google.com')).toBeNull();
    expect(await allowed('/v1/status', 'https://evil.example')).toBeNull();
  });
});

// The responder needs a database and nothing else, so with a ledger at hand there is nothing to correct.
describe.each(FUNCTION_NAMES.filter((name) => name !== 'ocsp'))(
  'the function %s with an environment that is corrected',
  (name) => {
    it('works from the next request on, and stays built', async () => {
      const environment: Record<string, string> = {};
      registerFunction(name, environment, { ledger });
      const served = await serve(name);
      try {
        expect((await served.request('/')).status).toBe(503);
        Object.assign(environment, settings(folder, GOOGLE));
        // Not answered like a function that works on a request, but refused by one that looked at it.
        const refused = await served.request('/', { body: '{}' });
        expect([401, 404]).toContain(refused.status);
        for (const setting of Object.keys(environment)) delete environment[setting];
        expect((await served.request('/', { body: '{}' })).status).toBe(refused.status);
        expect(notStarted()).toHaveLength(1);
      } finally {
        await served.close();
      }
    });
  },
);

describe('a function that is built at its first request', () => {
  it('is built once for requests that come together', async () => {
    let builds = 0;
    const served = await serve(
      builtOnce(
        'together',
        async () => {
          builds += 1;
          await new Promise((resolve) => setImmediate(resolve));
          return (_request, response) => {
            response.status(204).end();
          };
        },
        {},
      ),
    );
    try {
      const answers = await Promise.all(Array.from({ length: 5 }, () => served.request('/')));
      expect(answers.map(({ status }) => status)).toEqual([204, 204, 204, 204, 204]);
      expect(builds).toBe(1);
    } finally {
      await served.close();
    }
  });

  it('is not built before it, so that a broken setting does not keep the others of a process from starting', () => {
    expect(() =>
      builtOnce('later', () => Promise.reject(new Error('built')), { SEALWRIGHT_LEASE_SECONDS: 'x' }),
    ).not.toThrow();
    expect(output.text()).toBe('');
  });

  it.each([
    ['an address that is none', { SEALWRIGHT_SIGN_URL: `not-${PASSWORD}` }, 'SEALWRIGHT_SIGN_URL'],
    ['a number that is none', { SEALWRIGHT_LEASE_SECONDS: `not-${PASSWORD}` }, 'SEALWRIGHT_LEASE_SECONDS'],
    ['a choice that is none', { SEALWRIGHT_BEHIND_IAM: PASSWORD }, 'SEALWRIGHT_BEHIND_IAM'],
    [
      'a list that is no JSON',
      { SEALWRIGHT_KEY_SERVICE_IDENTITY_PROVIDERS: `[${PASSWORD}` },
      'SEALWRIGHT_KEY_SERVICE_IDENTITY_PROVIDERS',
    ],
  ])('names a setting with %s, and does not repeat its value', async (_what, environment, setting) => {
    const served = await serve(builtOnce('strict', () => Promise.reject(new Error('built')), environment));
    try {
      expect(await served.request('/')).toMatchObject({ status: 503, json: NOT_CONFIGURED });
      expect(notStarted()).toMatchObject([{ message: expect.stringContaining(setting) }]);
      expect(output.text()).not.toContain(PASSWORD);
    } finally {
      await served.close();
    }
  });
});
