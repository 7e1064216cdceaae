import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { verifyAddressFeed } from '../../shared/kacls/address-feed.ts';
import { type FakeAdmin, startFakeAdmin } from './fake-admin.ts';
import { sealwright, TOKEN } from './sealwright.ts';

let admin: FakeAdmin;
let environment: Record<string, string>;
let folder: string;
beforeAll(async () => {
  admin = await startFakeAdmin();
  environment = { SEALWRIGHT_ADMIN_URL: admin.url, SEALWRIGHT_ADMIN_TOKEN: TOKEN };
  folder = mkdtempSync(join(tmpdir(), 'sealwright-feed-'));
});
afterAll(async () => {
  await admin.close();
  rmSync(folder, { recursive: true });
});
beforeEach(() => admin.reset());

const counts = (unreadable: number) => ({
  wrappedKeys: [
    {
      keyServiceUrl: 'https://kacls.acme.example/v1',
      ...{ kekId: 'kek/1', keys: 1200, rewrappedUnder: { 'kek/2': 1199 }, unproven: 0, unreadable },
    },
    {
      keyServiceUrl: 'https://kacls.vendor.example',
      ...{ keys: 3, rewrappedUnder: {}, unproven: 3, unreadable: 0 },
    },
  ],
});

describe('sealwright keys status', () => {
  it('lists wrapped keys by key service and key-encryption key', async () => {
    admin.answer('GET /v1/keys', { body: counts(0) });
    expect(await sealwright(['keys', 'status'], environment)).toEqual({
      exit: 0,
      stderr: '',
      stdout:
        'KEY SERVICE                    KEY-ENCRYPTION KEY  KEYS   WRAPPED AGAIN  UNPROVEN  UNREADABLE  UNDER\n' +
        'https://kacls.acme.example/v1  kek/1               1,200  1,199          0         0           kek/2\n' +
        'https://kacls.vendor.example   –                   3      0              3         0           –\n',
    });
  });

  it('counts keys on smart cards, of which nothing is wrapped', async () => {
    admin.answer('GET /v1/keys', { body: { wrappedKeys: [], cardKeys: 1200 } });
    const { stdout } = await sealwright(['keys', 'status'], environment);
    expect(stdout).toBe(
      'The ledger holds no wrapped key.\n\n1,200 keys on smart cards: nothing of them is wrapped.\n',
    );
  });

  it('says how many were imported for old mail', async () => {
    admin.answer('GET /v1/keys', { body: { ...counts(0), importedKeys: 3 } });
    const { stdout } = await sealwright(['keys', 'status'], environment);
    expect(stdout).toMatch(/\n\n3 keys of these imported, so that old mail opens\.\n$/);
  });

  it('ends with 4 when a key did not open, and says which key-encryption key to give back', async () => {
    admin.answer('GET /v1/keys', { body: counts(1) });
    const { exit, stdout } = await sealwright(['keys', 'status'], environment);
    expect(exit).toBe(4);
    expect(stdout).toMatch(
      /1 under kek\/1 of https:\/\/kacls\.acme\.example\/v1 did not open\. Give the key/,
    );
  });

  it('says that there are none', async () => {
    admin.answer('GET /v1/keys', { body: { wrappedKeys: [] } });
    const { stdout } = await sealwright(['keys', 'status'], environment);
    expect(stdout).toBe('The ledger holds no wrapped key.\n');
  });
});

describe('sealwright keys prove', () => {
  const withToken = () => ({ ...environment, SEALWRIGHT_KEY_SERVICE_TOKEN: 'the.admins.token' });
  const vendor = 'https://kacls.vendor.example';
  beforeEach(() => admin.answer('GET /v1/keys', { body: counts(0) }));

  it('has samples decrypted by the one service with unproven keys, page by page', async () => {
    admin.answer(
      'POST /v1/keys/prove',
      { body: { proven: 20, failed: [], next: 'k20' } },
      { body: { proven: 3, failed: [] } },
    );
    const { exit, stdout } = await sealwright(['keys', 'prove'], withToken());
    expect([exit, stdout]).toEqual([0, `${vendor} decrypted a sample with 23 keys: proven.\n`]);
    const asked = admin.asked.filter(({ method }) => method === 'POST').map(({ body }) => body);
    const first = { keyService: vendor, authentication: 'the.admins.token' };
    expect(asked).toEqual([first, { ...first, after: 'k20' }]);
  });

  it('ends with 4 and names whose key did not open', async () => {
    const failed = [{ keyId: 'k1', userId: '1', user: 'ana@acme.example', reason: 'It is damaged.' }];
    admin.answer('POST /v1/keys/prove', { body: { proven: 0, failed } });
    const { exit, stdout } = await sealwright(['keys', 'prove'], withToken());
    expect(exit).toBe(4);
    expect(stdout).toMatch(/1 key did not: re-key these users[\s\S]*ana@acme\.example +k1 +It is damaged\./);
  });

  it('says what is missing: a token, or which key service', async () => {
    const without = await sealwright(['keys', 'prove'], environment);
    expect([without.exit, without.stderr]).toEqual([2, expect.stringContaining('--key-service-token-file')]);
    const unknown = await sealwright(['keys', 'prove', '--key-service', 'https://x.example'], withToken());
    expect([unknown.exit, unknown.stderr]).toEqual([2, expect.stringContaining('has no wrapped key of')]);
    expect(`${without.stderr}${unknown.stderr}`).not.toContain('the.admins.token');
  });
});

describe('sealwright keys feed', () => {
  const people = [
    { userId: '1', addresses: ['ana@acme.example', 'anna@acme.example'] },
    { userId: '2', addresses: ['ben@acme.example'] },
  ];
  const file = (name: string) => join(folder, name);
  const feed = (key: string) =>
    sealwright(['keys', 'feed', '--key', key, '--tenant', 'C1', '--out', file('feed.jws')], environment);

  it.each([
    ['Ed25519', () => generateKeyPairSync('ed25519').privateKey],
    ['EC P-256', () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey],
  ])('signs the addresses of everybody with a key of %s', async (_kind, makeKey) => {
    const key = makeKey();
    writeFileSync(file('key.pem'), key.export({ type: 'pkcs8', format: 'pem' }));
    admin.answer('GET /v1/addresses', { body: { people: people.slice(0, 1), next: '1' } });
    admin.answer('GET /v1/addresses?after=1', { body: { people: people.slice(1) } });
    const ended = await feed(file('key.pem'));
    expect(ended).toMatchObject({ exit: 0, stderr: '' });
    expect(ended.stdout).toBe(`The addresses of 2 users are in ${file('feed.jws')}.\n`);
    const read = await verifyAddressFeed(readFileSync(file('feed.jws'), 'utf8'), {
      ...{ tenantId: 'C1', keys: [createPublicKey(key)], now: new Date() },
    });
    expect(read.people).toEqual(people.map(({ userId, addresses }) => [userId, addresses]));
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('refuses a key it cannot read, or of another kind, and leaves the feed as it was', async () => {
    writeFileSync(file('feed.jws'), 'as before');
    writeFileSync(
      file('rsa.pem'),
      generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }),
    );
    admin.answer('GET /v1/addresses', { body: { people } });
    expect((await feed(file('nothing.pem'))).stderr).toContain(
      'cannot be read as an unencrypted private key',
    );
    const ended = await feed(file('rsa.pem'));
    expect(ended.exit).not.toBe(0);
    expect(ended.stderr).toContain('Ed25519 or EC P-256');
    expect(readFileSync(file('feed.jws'), 'utf8')).toBe('as before');
  });

  it('says which flag is missing', async () => {
    expect(await sealwright(['keys', 'feed', '--key', 'x'], environment)).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining('--tenant is missing'),
    });
  });
});

describe('sealwright keys epochs', () => {
  const OLD = 'https://kacls.old.example/v1';
  const row = {
    keyServiceUrl: OLD,
    keypairs: 1200,
    users: 900,
    moved: 1100,
    disabledAfterMove: 0,
    refused: 3,
  };

  it('counts key pairs by key service, moved, refused and tied', async () => {
    const times = { from: '2025-01-02T00:00:00.000Z', until: '2027-03-04T00:00:00.000Z' };
    admin.answer('GET /v1/epochs', { body: { keyServices: [{ ...row, ...times }] } });
    expect((await sealwright(['keys', 'epochs'], environment)).stdout).toBe(
      'KEY SERVICE                   KEY PAIRS  USERS  MOVED AWAY  OF THESE DISABLED  REFUSED  TIED  SINCE       UNTIL\n' +
        'https://kacls.old.example/v1  1,200      900    1,100       0                  3        100   2025-01-02  2027-03-04\n',
    );
  });

  it('lists over all pages what is tied to one, and why it stayed', async () => {
    const epoch = (serialHex: string) => ({
      ...{ userId: '1', primaryEmail: 'ana@acme.example', serialHex, keypairId: `pair-${serialHex}` },
      ...{ from: '2025-01-02T00:00:00.000Z', until: '2026-01-02T00:00:00.000Z' },
    });
    const target = `GET /v1/epochs?service=${encodeURIComponent(OLD)}`;
    admin.answer(target, { body: { epochs: [epoch('01')], next: '01' } });
    admin.answer(`${target}&after=01`, {
      body: { epochs: [{ ...epoch('02'), refused: 'Gmail refuses.' }] },
    });
    const { stdout } = await sealwright(['keys', 'epochs', '--service', OLD], environment);
    expect(stdout).toMatch(
      /ana@acme\.example\s+2025-01-02\s+2026-01-02\s+pair-01\s+–\n.*pair-02\s+Gmail refuses\.\n/,
    );
  });
});

describe('sealwright keys move', () => {
  const flags = ['keys', 'move', '--from', 'https://old.example', '--to', 'https://new.example'];

  it('says in a dry run how many it would move', async () => {
    admin.answer('POST /v1/key-moves', { body: { dryRun: true, keypairs: 2, users: 1 } });
    const { exit, stdout } = await sealwright([...flags, '--dry-run'], environment);
    expect([exit, stdout]).toEqual([0, '2 key pairs of 1 user would be moved; nothing was changed.\n']);
    expect(admin.asked[0]?.body).toEqual({
      ...{ from: 'https://old.example', to: 'https://new.example', disableOld: false, dryRun: true },
    });
  });

  it('says how many are left out because their rule only observes', async () => {
    admin.answer('POST /v1/key-moves', {
      status: 202,
      body: { job: 'j1', keypairs: 2, users: 1, observed: 3 },
    });
    const { stdout } = await sealwright(flags, environment);
    expect(stdout).toMatch(/shows how it ends\. 3 users are left out: their rule only observes\.\n$/);
  });

  it('waits for the job and ends with 4 when some stayed', async () => {
    admin.answer('POST /v1/key-moves', { status: 202, body: { job: 'j1', keypairs: 3, users: 2 } });
    const users = [
      { user: 'ana@acme.example', state: 'done', detail: '2 moved' },
      { user: 'ben@acme.example', state: 'failed', detail: '1 stayed: Gmail refuses.' },
    ];
    admin.answer('GET /v1/jobs/j1', { body: { state: 'failed', total: 2, done: 1, failed: 1, users } });
    const { exit, stdout } = await sealwright([...flags, '--disable-old', '--wait'], environment);
    expect(exit).toBe(4);
    expect(stdout).toMatch(/ben@acme\.example\s+failed\s+1 stayed: Gmail refuses\.[\s\S]*1 of 2 users done/);
  });

  it('asks for both addresses', async () => {
    expect((await sealwright(['keys', 'move', '--from', 'https://a.example'], environment)).exit).toBe(2);
  });
});
