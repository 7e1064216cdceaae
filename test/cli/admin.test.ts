import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, test } from 'vitest';
import { madeOffline } from '../../shared/domain/recorded.ts';
import { buildCrl } from '../../shared/pki/crl.ts';
import { issueCrl } from '../../shared/pki/issue.ts';
import { type SampleAuthority, sampleAuthority } from '../pki/sample-authority.ts';
import { type FakeAdmin, startFakeAdmin } from './fake-admin.ts';
import { launch, sealwright, TOKEN } from './sealwright.ts';

const ben = {
  userId: '101',
  user: 'ben@acme.example',
  state: 'ready',
  reason: 'Rule "staff" covers the user.',
  since: '2026-11-23T15:29:57.874Z',
  nextAction: 'renew',
  nextActionAt: '2027-10-22T14:20:26.353Z',
};
const ada = {
  userId: '102',
  user: 'ada@acme.example',
  state: 'blocked',
  reason: 'Client-side encryption is not switched on for ada@acme.example.',
  since: '2026-11-22T08:00:00.000Z',
  nextAction: 'ask-gmail-again',
  nextActionAt: '2026-11-24T08:00:00.000Z',
};
const zoe = { userId: '103', user: 'zoe@acme.example', state: 'out', reason: 'Left.', since: ada.since };

let admin: FakeAdmin;
let environment: Record<string, string>;

beforeAll(async () => {
  admin = await startFakeAdmin();
  environment = { SEALWRIGHT_ADMIN_URL: admin.url, SEALWRIGHT_ADMIN_TOKEN: TOKEN };
});
afterAll(() => admin.close());
beforeEach(() => admin.reset());

describe('sealwright users', () => {
  it('prints an aligned table by address, and how many there are', async () => {
    admin.answer('GET /v1/users?limit=1000', { body: { users: [ben, ada, zoe] } });
    const { exit, stdout, stderr } = await launch(['users'], { environment });
    expect([exit, stderr]).toEqual([0, '']);
    expect(stdout).toBe(`\
USER              STATE    SINCE              NEXT             AT                 REASON
ada@acme.example  blocked  2026-11-22 08:00Z  ask-gmail-again  2026-11-24 08:00Z  Client-side encryption is not switched on for ada@acme.example.
ben@acme.example  ready    2026-11-23 15:29Z  renew            2027-10-22 14:20Z  Rule "staff" covers the user.
zoe@acme.example  out      2026-11-22 08:00Z  –                –                  Left.

3 users.
`);
  });

  it('reads every page', async () => {
    admin.answer('GET /v1/users?limit=1000', { body: { users: [ben], next: '101' } });
    admin.answer('GET /v1/users?limit=1000&after=101', { body: { users: [ada, zoe] } });
    const { stdout } = await sealwright(['users', '--json'], environment);
    expect(JSON.parse(stdout)).toEqual({ users: [ada, ben, zoe] });
  });

  it('shows only the state that was asked for', async () => {
    admin.answer('GET /v1/users?limit=1000', { body: { users: [ben, ada, zoe] } });
    const { stdout } = await sealwright(['users', '--state', 'out'], environment);
    expect(stdout).toContain('zoe@acme.example');
    expect(stdout).toContain('1 user.');
    expect(stdout).not.toContain('ben@acme.example');
  });

  it('says so when there is nobody', async () => {
    admin.answer('GET /v1/users?limit=1000', { body: { users: [] } });
    expect(await sealwright(['users'], environment)).toEqual({
      exit: 0,
      stdout: 'The ledger knows no user.\n',
      stderr: '',
    });
    const json = await sealwright(['users', '--json', '--state', 'out'], environment);
    expect(JSON.parse(json.stdout)).toEqual({ users: [] });
  });

  it('keeps in JSON what only a newer API says', async () => {
    admin.answer('GET /v1/users?limit=1000', { body: { users: [{ ...ben, licence: 'plus' }] } });
    const { stdout } = await sealwright(['users', '--json'], environment);
    expect(JSON.parse(stdout)).toEqual({ users: [{ ...ben, licence: 'plus' }] });
  });

  it('does not let a reason play with the terminal', async () => {
    const reason = 'Refused.\u001b]0;owned\u0007\u001b[2J \u202etxt.exe\nsecond line';
    admin.answer('GET /v1/users?limit=1000', { body: { users: [{ ...ben, reason }] } });
    const { stdout } = await sealwright(['users'], environment);
    expect(stdout).toContain('Refused.\\u001b]0;owned\\u0007\\u001b[2J \\u202etxt.exe second line\n');
  });

  it('sends the token for Cloud Run and for the function, to the given address and below it', async () => {
    admin.answer('GET /fn/admin/v1/users?limit=1000', { body: { users: [] } });
    await sealwright(['users', '--admin-url', `${admin.url}fn/admin`], environment);
    expect(admin.asked).toHaveLength(1);
    expect(admin.asked[0]?.headers).toMatchObject({
      authorization: `Bearer ${TOKEN}`,
      'x-serverless-authorization': `Bearer ${TOKEN}`,
    });
  });

  it('takes the token from a file before the environment, and ignores its line break', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sealwright-cli-'));
    const file = join(folder, 'token');
    writeFileSync(file, 'ZnJvbQ.YQ.ZmlsZQ\n');
    admin.answer('GET /v1/users?limit=1000', { body: { users: [] } });
    await sealwright(['users', '--token-file', file], environment);
    rmSync(folder, { recursive: true });
    expect(admin.asked[0]?.headers.authorization).toBe('Bearer ZnJvbQ.YQ.ZmlsZQ');
  });
});

describe('sealwright user', () => {
  const view = {
    ...ben,
    certificates: [
      {
        serial: '33aa',
        state: 'signed',
        addresses: ['ben@acme.example'],
        notBefore: '2026-11-01T00:00:00.000Z',
        notAfter: '2027-11-01T00:00:00.000Z',
        issuer: 'i1',
        revocation: { reason: 'superseded', revokedAt: '2026-11-05T12:00:00.000Z' },
        keyProof: 'proven',
        keypairId: 'pair-1',
      },
      {
        serial: '55cc',
        state: 'signed',
        addresses: ['ben@acme.example', 'b@acme.example'],
        notBefore: '2026-11-03T00:00:00.000Z',
        notAfter: '2027-11-03T00:00:00.000Z',
        issuer: 'i1',
        keyProof: 'unproven',
        keypairId: 'pair-2',
      },
      {
        serial: '44bb',
        state: 'signed',
        addresses: ['ben@acme.example'],
        notBefore: '2026-11-02T00:00:00.000Z',
        notAfter: '2027-11-02T00:00:00.000Z',
        issuer: 'i1',
        retirement: { reason: 'superseded', dueAt: '2026-11-06T00:00:00.000Z' },
      },
      {
        serial: '66dd',
        state: 'intended',
        addresses: ['ben@acme.example'],
        notBefore: '2026-11-04T00:00:00.000Z',
        notAfter: '2027-11-04T00:00:00.000Z',
        issuer: 'i1',
      },
    ],
    openWishes: [
      {
        jobId: 'j7',
        reason: 'superseded',
        requestedBy: 'admin@acme.example',
        requestedAt: '2026-11-04T09:30:00.000Z',
      },
    ],
  };

  it('shows state, reason, next action, open wishes and every certificate, newest first', async () => {
    admin.answer('GET /v1/users/ben%40acme.example', { body: view });
    const { exit, stdout } = await sealwright(['user', 'ben@acme.example'], environment);
    expect(exit).toBe(0);
    expect(stdout).toBe(`\
User       ben@acme.example
User id    101
State      ready, since 2026-11-23 15:29Z
Reason     Rule "staff" covers the user.
Next       renew, 2027-10-22 14:20Z
Open wish  re-key (superseded), asked for by admin@acme.example at 2026-11-04 09:30Z, job j7

SERIAL  FROM               UNTIL              REVOKED                           KEY PROOF  ADDRESSES                         KEY IS IN
66dd    2026-11-04 00:00Z  2027-11-04 00:00Z  not signed yet                    –          ben@acme.example                  –
55cc    2026-11-03 00:00Z  2027-11-03 00:00Z  no                                unproven   ben@acme.example, b@acme.example  pair-2
44bb    2026-11-02 00:00Z  2027-11-02 00:00Z  due 2026-11-06 00:00Z superseded  –          ben@acme.example                  –
33aa    2026-11-01 00:00Z  2027-11-01 00:00Z  2026-11-05 12:00Z superseded      proven     ben@acme.example                  pair-1
`);
  });

  it('shows what an admin should know, what a split key is for and which pair was disabled why', async () => {
    const [certificate] = view.certificates;
    admin.answer('GET /v1/users/101', {
      body: {
        ...view,
        notices: [{ kind: 'foreign-keypair', message: 'A pair.', since: '2026-11-04T09:30:00.000Z' }],
        certificates: [
          {
            ...certificate,
            keypairId: 'pair-1',
            purpose: 'signing',
            keypairDisabled: { at: '2026-11-04T09:30:00.000Z', because: 'left' },
          },
        ],
      },
    });
    const { stdout } = await sealwright(['user', '101'], environment);
    expect(stdout).toContain('Notice     A pair. (since 2026-11-04 09:30Z)');
    expect(stdout).toContain('pair-1 (signing, disabled: left)');
  });

  it('shows keys of old mail below, with their pair or what they wait for', async () => {
    const old = {
      ...{ id: 'imported-ab', certificateSha256: 'ab', addresses: ['ben@old.example'], keyProof: 'proven' },
      ...{ notBefore: '2020-01-01T00:00:00.000Z', notAfter: '2022-01-01T00:00:00.000Z' },
    };
    const imported = [
      { ...old, state: 'uploaded', keypairId: 'pair-old', keypairDisabled: { at: '2026', because: 'left' } },
      { ...old, id: 'imported-cd', state: 'refused', reason: 'Gmail refused.' },
    ];
    admin.answer('GET /v1/users/101', { body: { ...view, imported } });
    const { stdout } = await sealwright(['user', '101'], environment);
    expect(stdout).toMatch(/^IMPORTED FOR OLD MAIL/m);
    expect(stdout).toMatch(/^imported-ab .*ben@old\.example +pair-old \(disabled: left\)$/m);
    expect(stdout).toMatch(/^imported-cd .*refused: Gmail refused\.$/m);
  });

  it('says of a key on a smart card that it is there, and that there is nothing to prove', async () => {
    const [certificate] = view.certificates;
    const smartCard = { keyProof: 'not-applicable', smartCard: 'Key on a smart card', keypairId: 'pair-1' };
    admin.answer('GET /v1/users/101', {
      body: { ...view, certificates: [{ ...certificate, ...smartCard }] },
    });
    const { stdout } = await sealwright(['user', '101'], environment);
    expect(stdout).toMatch(/not-applicable .*pair-1 \(smart card\)/);
  });

  it('prints the answer as it is with --json', async () => {
    admin.answer('GET /v1/users/101', { body: view });
    const { stdout } = await sealwright(['user', '101', '--json'], environment);
    expect(JSON.parse(stdout)).toEqual(view);
  });
});

const FRESH = {
  sources: [{ source: 'audit', entries: 3, receivedAt: '2026-11-23T15:30:00Z' }],
  channels: [{ event: 'all', expiresAt: '2026-11-23T21:00:00Z' }],
  notifications: { open: 1, until: '2026-11-23T21:00:00Z', without: [] },
  reports: { gaps: 0, failures: 0 },
  backlog: { due: 0, pending: 0 },
  notFollowed: [],
  alarms: [],
  deadLetters: { count: 0, more: false },
};
const SYSTEM = {
  ...FRESH,
  sweep: {
    lastWhole: {
      scope: '/',
      state: 'whole',
      startedAt: '2026-11-22T06:00:00.000Z',
      endedAt: '2026-11-22T06:01:05.000Z',
      durationMs: 65_000,
      users: 1_234,
      differing: 2,
      missing: 1,
      pages: 3,
    },
    lastEnded: {
      scope: '/',
      state: 'not-whole',
      endedAt: '2026-11-22T12:00:00.000Z',
      users: 12,
      differing: 0,
      pages: 1,
      why: 'The directory listed 12 users.',
    },
    running: null,
    waiting: [],
  },
  rollout: {
    paused: false,
    total: 200,
    waiting: 50,
    underWay: 50,
    ready: 90,
    blocked: 10,
    begunAt: '2026-11-22T06:00:00.000Z',
    waitingSince: '2026-11-22T06:00:00.000Z',
    late: 40,
    hintsPerMinute: 33,
    pace: 25,
    minutesLeft: 2,
  },
};

describe('sealwright status', () => {
  let authority: SampleAuthority;
  let site: Server;
  let urlBase: string;
  let crlUrl: string;
  let published: Buffer | undefined;

  beforeAll(async () => {
    site = createServer((_request, response) => {
      response.writeHead(published === undefined ? 404 : 200).end(published);
    });
    await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
    urlBase = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
    crlUrl = `${urlBase}/issuing.crl`;
    authority = await sampleAuthority({ now: new Date(), trial: true, urlBase });
  });
  afterAll(async () => {
    site.closeAllConnections();
    await new Promise((resolve) => site.close(resolve));
  });

  const crlOf = async (now: Date): Promise<Buffer> => {
    const issuerCertificateDer = authority.issuing.certificateDer;
    const { tbsDer } = buildCrl({ issuerCertificateDer, crlNumber: 17n, now, entries: [] });
    const signer = authority.issuingSigner;
    return Buffer.from(
      await issueCrl({ tbsDer: madeOffline(tbsDer), issuerCertificateDer, signer, signingTime: now }),
    );
  };

  function nothingStoppedOrHeld(): void {
    admin.answer('GET /v1/stop', { body: { stop: null } });
    admin.answer('GET /v1/held', { body: { sets: [] } });
    admin.answer('GET /v1/status', { body: SYSTEM });
  }

  async function statusWith(crl: Buffer | undefined) {
    published = crl;
    const leaf = await authority.leaf({
      issuer: {
        certificateDer: authority.issuing.certificateDer,
        crlUrl,
        issuerUrl: `${urlBase}/issuing.cer`,
      },
    });
    const certificate = {
      serial: '33aa',
      state: 'signed',
      addresses: ['ben@acme.example'],
      notBefore: ben.since,
      notAfter: ben.nextActionAt,
      issuer: 'i1',
      certificate: Buffer.from(leaf).toString('base64'),
    };
    nothingStoppedOrHeld();
    admin.answer('GET /v1/users?limit=1000', { body: { users: [ben, ada, zoe] } });
    admin.answer('GET /v1/users/101', { body: { ...ben, certificates: [certificate], openWishes: [] } });
    const json = await sealwright(['status', '--json'], environment);
    const people = await sealwright(['status'], environment);
    expect([json.exit, people.exit]).toEqual([0, 0]);
    return { document: JSON.parse(json.stdout) as { crls: unknown[] }, text: people.stdout };
  }

  it('says when the directory was last read whole, why the last time it was not, and how far a rollout is', async () => {
    const { text } = await statusWith(undefined);
    expect(text).toContain('NOT WHOLE');
    expect(text).toContain('The directory listed 12 users.');
    expect(text).toMatch(/Last whole sweep: .*1,234 users in 65 s, 2 differed, 1 in no list\./);
    expect(text).toMatch(/50 % of 200 users/);
    expect(text).toMatch(/about 2 minutes/);
    expect(text).toContain('25 a minute instead of 33, because 40 users let out before are not through');
  });

  it.each([
    [
      'the channels that are open and their end',
      { open: 1, until: '2026-11-23T21:00:00Z', without: [] },
      '1 notification channel open, until 2026-11-23 21:00Z.\n',
    ],
    [
      'the kinds of event that no channel brings',
      {
        open: 3,
        until: '2026-11-23T21:00:00Z',
        without: [{ kind: 'makeAdmin' }, { kind: 'update', since: '2026-11-23T14:00:00Z' }],
      },
      '3 notification channels open, until 2026-11-23 21:00Z. None for makeAdmin, update (since 2026-11-23 14:00Z).\n',
    ],
    [
      'when the last channel ended where none is open',
      { open: 0, without: [{ kind: 'add', since: '2026-11-23T04:40:00Z' }, { kind: 'update' }] },
      'No notification channel is open; the last one ended 2026-11-23 04:40Z.\n',
    ],
    [
      'that none was ever opened',
      { open: 0, without: [{ kind: 'add' }] },
      'No notification channel is open.\n',
    ],
  ])('says %s', async (_what, notifications, sentence) => {
    nothingStoppedOrHeld();
    admin.answer('GET /v1/status', { body: { ...SYSTEM, notifications } });
    admin.answer('GET /v1/users?limit=1000', { body: { users: [zoe] } });
    const people = await sealwright(['status'], environment);
    const { stdout } = await sealwright(['status', '--json'], environment);
    expect(people.stdout).toContain(sentence);
    expect(JSON.parse(stdout)).toMatchObject({ notifications });
  });

  it('counts users by state and lists who is blocked, and why', async () => {
    const { document, text } = await statusWith(await crlOf(new Date()));
    expect(document).toMatchObject({
      users: { ready: 1, pending: 0, blocked: 1, leaving: 0, out: 1, total: 3 },
      blocked: [ada],
    });
    expect(text).toMatch(
      /^ready {4}1\npending {2}0\nblocked {2}1\nleaving {2}0\nout {6}1\ntotal {4}3 users\n/,
    );
    expect(text).toContain('ada@acme.example  2026-11-22 08:00Z  ask-gmail-again');
  });

  it('finds the public CRL through a certificate and says until when it is good', async () => {
    const now = new Date();
    const { document, text } = await statusWith(await crlOf(now));
    expect(document.crls).toEqual([
      expect.objectContaining({ url: crlUrl, standing: 'fresh', crlNumber: '17' }),
    ]);
    expect(text).toMatch(/CRL http:\S+: number 17 of \d{4}-\S+ \S+Z, good until \d{4}-\S+ \S+Z\./);
  });

  it('shouts when the CRL is overdue', async () => {
    const { document, text } = await statusWith(await crlOf(new Date(Date.now() - 60 * 86_400_000)));
    expect(document.crls).toEqual([expect.objectContaining({ standing: 'overdue', crlNumber: '17' })]);
    expect(text).toContain('OVERDUE, number 17');
  });

  test.each([
    ['is not there', undefined, 'unreachable', 'cannot be fetched from this machine (HTTP 404)'],
    ['is something else', Buffer.from('<html>'), 'unreadable', 'NOT A CRL'],
  ])('says so when what the address serves %s', async (_what, body, standing, sentence) => {
    const { document, text } = await statusWith(body);
    expect(document.crls).toEqual([expect.objectContaining({ standing })]);
    expect(text).toContain(sentence);
  });

  it('says that there is no certificate to look at while nobody is ready', async () => {
    nothingStoppedOrHeld();
    admin.answer('GET /v1/users?limit=1000', { body: { users: [zoe] } });
    const { exit, stdout } = await sealwright(['status'], environment);
    expect(exit).toBe(0);
    expect(stdout).toContain('Nobody is blocked.');
    expect(stdout).toContain('No user is ready');
  });
});

describe('sealwright audit', () => {
  const entry = (id: number) => ({
    id: String(id),
    at: '2026-11-23T15:29:54.986Z',
    cause: { source: 'audit', eventId: 'e', event: 'CREATE_USER', actor: 'admin@acme.example' },
    step: 'make-key',
    reason: 'The user has no certificate in use.',
    outcome: 'done',
    userId: '101',
  });

  it('prints one line an entry with its user’s address or, where there is none, id, oldest first, over all pages, with one header', async () => {
    const addresses = { 101: 'ben@acme.example' };
    const stranger = { ...entry(2), userId: '102' };
    admin.answer('GET /v1/audit?limit=1000&addresses=true', {
      body: { entries: [entry(1), stranger], addresses, next: '2' },
    });
    admin.answer('GET /v1/audit?limit=1000&after=2&addresses=true', {
      body: { entries: [entry(3)], addresses },
    });
    const { exit, stdout } = await sealwright(['audit'], environment);
    expect(exit).toBe(0);
    const line = (id: number, user = 'ben@acme.example') =>
      `${id}      2026-11-23 15:29Z  ${user.padEnd(24)}  make-key         done      audit CREATE_USER  The user has no certificate in use.`;
    expect(stdout.trimEnd().split('\n')).toEqual([
      'ENTRY  AT                 USER                      STEP             OUTCOME   HINT               REASON',
      line(1),
      line(2, '102'),
      line(3),
    ]);
  });

  it('asks for one user, after one entry, and for no more than the limit', async () => {
    admin.answer('GET /v1/audit?limit=2&user=ben%40acme.example&after=5', {
      body: { entries: [entry(6), entry(7)], next: '7' },
    });
    const { stdout } = await sealwright(
      ['audit', '--user', 'ben@acme.example', '--after', '5', '--limit', '2', '--json'],
      environment,
    );
    expect(JSON.parse(stdout)).toEqual({ entries: [entry(6), entry(7)] });
    expect(admin.asked).toHaveLength(1);
  });

  it('prints each entry as a line of JSON with --json-lines', async () => {
    admin.answer('GET /v1/audit?limit=1000', { body: { entries: [entry(1)], next: '1' } });
    admin.answer('GET /v1/audit?limit=1000&after=1', { body: { entries: [entry(2)] } });
    const { stdout } = await launch(['audit', '--json-lines'], { environment });
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([entry(1), entry(2)]);
  });

  it('says so when there is nothing, and stays empty for a program', async () => {
    admin.answer('GET /v1/audit?limit=1000&addresses=true', { body: { entries: [] } });
    admin.answer('GET /v1/audit?limit=1000', { body: { entries: [] } });
    expect((await sealwright(['audit'], environment)).stdout).toBe('The audit trail has no such entries.\n');
    expect((await sealwright(['audit', '--json-lines'], environment)).stdout).toBe('');
    expect(JSON.parse((await sealwright(['audit', '--json'], environment)).stdout)).toEqual({ entries: [] });
  });
});
