import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it, test } from 'vitest';
import { judgeCustody } from '../../cli/doctor/custody.ts';
import { type FakeAdmin, startFakeAdmin } from './fake-admin.ts';
import { sealwright, TOKEN } from './sealwright.ts';

const STATUS = {
  server_type: 'KACLS',
  vendor_id: 'Sealwright',
  version: '7',
  operations_supported: ['privatekeysign', 'privatekeydecrypt'],
};

let admin: FakeAdmin;
let server: Server;
let url: string;
let answer: (request: IncomingMessage, response: ServerResponse) => void;
beforeAll(async () => {
  admin = await startFakeAdmin();
  server = createServer((request, response) => answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
});
afterAll(async () => {
  await admin.close();
  await new Promise((resolve) => server.close(resolve));
});
const keys = (changes: object = {}) =>
  admin.answer('GET /v1/keys', {
    body: {
      wrappedKeys: [
        ...[
          {
            keyServiceUrl: url,
            kekId: 'kek/1',
            keys: 5,
            rewrappedUnder: {},
            unproven: 0,
            unreadable: 0,
            ...changes,
          },
        ],
      ],
    },
  });
const status = (reports: object = { readAt: '2027-03-01T09:00:00Z' }, alarms: readonly object[] = []) =>
  admin.answer('GET /v1/status', { body: { reports: { gaps: 0, failures: 0, ...reports }, alarms } });
beforeEach(() => {
  admin.reset();
  keys();
  status();
  answer = healthy();
});

const healthy =
  (changes: object = {}, headers: Readonly<Record<string, string>> = {}) =>
  (request: IncomingMessage, response: ServerResponse) => {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    if (request.method === 'OPTIONS') {
      response.setHeader('access-control-allow-origin', request.headers.origin ?? '');
      response.writeHead(204).end();
    } else response.end(JSON.stringify({ ...STATUS, ...changes }));
  };

interface Found {
  readonly check: string;
  readonly verdict: string;
  readonly detail: string;
}
async function look(): Promise<{ exit: number | string; findings: readonly Found[] }> {
  const { exit, stdout } = await sealwright(['doctor', '--json'], {
    SEALWRIGHT_ADMIN_URL: admin.url,
    SEALWRIGHT_ADMIN_TOKEN: TOKEN,
  });
  return { exit, findings: (JSON.parse(stdout) as { findings: Found[] }).findings };
}
const badOnes = (findings: readonly Found[]) =>
  findings.filter(({ verdict }) => verdict === 'failed' || verdict === 'warning').map(({ detail }) => detail);

describe('sealwright doctor', () => {
  it('finds nothing wrong where nothing is, and calls unknown what it cannot see', async () => {
    const { exit, findings } = await look();
    expect(exit).toBe(0);
    expect(badOnes(findings)).toEqual([]);
    expect(findings.at(-1)).toMatchObject({ check: 'who holds what', verdict: 'unknown' });
  });

  it('names keys of old mail', async () => {
    admin.answer('GET /v1/keys', { body: { wrappedKeys: [], cardKeys: 0, importedKeys: 2 } });
    const { findings } = await look();
    expect(findings).toContainEqual(
      expect.objectContaining({ check: 'imported keys', detail: expect.stringMatching(/^2 keys/) }),
    );
  });

  it('names keys on smart cards, and asks for no key service where there are no others', async () => {
    admin.answer('GET /v1/keys', { body: { wrappedKeys: [], cardKeys: 3 } });
    const { exit, findings } = await look();
    expect(exit).toBe(0);
    expect(findings).toContainEqual(
      expect.objectContaining({
        check: 'keys on smart cards',
        verdict: 'ok',
        detail: expect.stringMatching(/^3 keys/),
      }),
    );
    expect(findings.map(({ check }) => check)).not.toContain('key service');
  });

  it.each<[string, object, { verdict: string; detail: RegExp }]>([
    ['was read', { readAt: '2027-03-01T09:00:00Z' }, { verdict: 'ok', detail: /2027-03-01/ }],
    ['was not read yet', {}, { verdict: 'unknown', detail: /not read yet/ }],
    [
      'could never be read',
      { failures: 2, why: 'You are not authorized to read activity records.' },
      { verdict: 'failed', detail: /2 readings failed: You are not authorized/ },
    ],
    [
      'could not be read the last time',
      { readAt: '2027-03-01T09:00:00Z', failures: 1, why: 'No answer.' },
      { verdict: 'warning', detail: /last reading failed: No answer/ },
    ],
  ])('says that the Reports API %s', async (_what, reports, { verdict, detail }) => {
    status(reports);
    const { exit, findings } = await look();
    expect(findings.find(({ check }) => check === 'Reports API')).toMatchObject({
      verdict,
      detail: expect.stringMatching(detail),
    });
    expect(exit).toBe(verdict === 'failed' ? 1 : 0);
  });

  it('fails with each alarm about events that stands', async () => {
    status({}, [{ alarm: 'audit-silent', message: 'The audit log never brought anything.' }]);
    const { exit, findings } = await look();
    expect(exit).toBe(1);
    expect(findings).toContainEqual(
      expect.objectContaining({
        check: 'alarm audit-silent',
        verdict: 'failed',
        detail: expect.stringContaining('never'),
      }),
    );
  });

  it.each<[string, typeof answer, RegExp]>([
    ['is no KACLS', (_request, response) => response.end('{}'), /HTTP 200 and is no KACLS/],
    ['answers with an error', (_request, response) => response.writeHead(503).end(), /HTTP 503/],
    ['hangs up', (request) => request.socket.destroy(), /the connection failed/],
    [
      'does not decrypt',
      healthy({ operations_supported: ['privatekeysign'] }),
      /does not list privatekeydecrypt/,
    ],
    [
      'has another time',
      healthy({}, { date: new Date(Date.now() - 90_000).toUTCString() }),
      /clock is (89|90|91) s off/,
    ],
    [
      'does not let Gmail call it',
      (request, response) => (request.method === 'OPTIONS' ? response.end() : healthy()(request, response)),
      /does not let Gmail/,
    ],
  ])('fails when the key service %s', async (_what, behaviour, detail) => {
    answer = behaviour;
    const { exit, findings } = await look();
    expect(exit).toBe(1);
    expect(badOnes(findings)).toEqual([expect.stringMatching(detail)]);
  });

  it('warns of keys nobody has seen open, and fails for keys that are lost', async () => {
    keys({ unproven: 2 });
    expect(await look()).toMatchObject({
      exit: 0,
      findings: expect.arrayContaining([
        expect.objectContaining({
          verdict: 'warning',
          detail: expect.stringContaining('2 of 5 are unproven'),
        }),
      ]),
    });
    keys({ unreadable: 1 });
    const { exit, findings } = await look();
    expect([exit, badOnes(findings)]).toEqual([1, [expect.stringContaining('1 of 5 did not open')]]);
  });

  it('warns when the key service stands behind a front of Google', async () => {
    answer = healthy({}, { via: '1.1 google' });
    const { findings } = await look();
    expect(findings.at(-1)).toMatchObject({ check: 'who holds what', verdict: 'warning' });
  });

  it('prints a table for people, and the advice under it', async () => {
    keys({ unproven: 1 });
    const { stdout } = await sealwright(['doctor'], {
      SEALWRIGHT_ADMIN_URL: admin.url,
      SEALWRIGHT_ADMIN_TOKEN: TOKEN,
    });
    expect(stdout).toMatch(/^VERDICT {2}CHECK/);
    expect(stdout).toContain('WARNING');
    expect(stdout).toMatch(
      /: Where the service lets you use privilegedprivatekeydecrypt: sealwright keys prove/,
    );
  });
});

describe('who holds what', () => {
  const GOOGLE = 'https://accounts.google.com/.well-known/openid-configuration';
  const OWN = 'https://login.acme.example/.well-known/openid-configuration';
  test.each([
    [GOOGLE, true, 'warning', /Google alone could open everything/],
    [GOOGLE, false, 'warning', /can mint both tokens/],
    [OWN, true, 'warning', /Google runs the machine/],
    [undefined, true, 'warning', /if that is Google too/],
    [OWN, false, 'ok', /No front of Google/],
    [undefined, false, 'unknown', /cannot be seen/],
    [OWN, undefined, 'unknown', /cannot be seen/],
    ['https://accounts.google.com.evil.example/', false, 'ok', /No front/],
  ])(
    'with the identity provider %s and a key service behind Google: %s, is %s',
    (identityProvider, keyServiceBehindGoogle, verdict, detail) => {
      const finding = judgeCustody({ identityProvider, keyServiceBehindGoogle });
      expect(finding.verdict).toBe(verdict);
      expect(finding.detail).toMatch(detail);
    },
  );
});
