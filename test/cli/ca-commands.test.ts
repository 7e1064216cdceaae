import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, test } from 'vitest';
import type { AuthorityAccess, CaSurroundings } from '../../cli/ca/authority-access.ts';
import { caCsr } from '../../cli/ca/csr.ts';
import { caHealth } from '../../cli/ca/health.ts';
import { caImport } from '../../cli/ca/import.ts';
import { caInit } from '../../cli/ca/init.ts';
import { caInstall } from '../../cli/ca/install.ts';
import { caRetire } from '../../cli/ca/retire.ts';
import { caRoll } from '../../cli/ca/roll.ts';
import { caRootCrl } from '../../cli/ca/root-crl.ts';
import { caTrustBundle } from '../../cli/ca/trust-bundle.ts';
import { composePublishCrl } from '../../functions/compose/publish-crl.ts';
import { composeSetUp } from '../../functions/compose/set-up.ts';
import { pinnedCaKeys } from '../../shared/authority/ca-keys.ts';
import { publishCrl } from '../../shared/authority/publish-crl.ts';
import { signCrlIntent } from '../../shared/authority/sign.ts';
import { upkeep } from '../../shared/authority/upkeep.ts';
import { parseSettings, type Settings } from '../../shared/config/settings.ts';
import { addressesOf } from '../../shared/pki/issuer-addresses.ts';
import { generateRsaKey } from '../../shared/pki/key.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import { type Company, FUNCTION, openCompany, PROJECT } from '../adapters/emulator-company.ts';
import { openssl, opensslInstalled } from '../pki/openssl.ts';
import { type KeyPool, keyPool } from '../support/fakes/key-pool.ts';
import { keptLog } from '../support/fakes/log.ts';
import { type ForeignCa, foreignCa, PASSWORD } from '../support/foreign-ca.ts';
import { openTestLedger } from '../support/ledger.ts';
import { sealwright } from './sealwright.ts';

const PASSPHRASE = 'mauve tractor opens seven quiet harbours';
const DAY_MS = 86_400_000;
const INIT = [
  'ca',
  'init',
  '--country',
  'DE',
  '--organization',
  'Acme',
  '--pki-url',
  'http://pki.acme.example/',
];
const POLICY = ['--policy-oid', '1.3.6.1.4.1.32473.1.1'];

let company: Company;
let pool: KeyPool;
let corporate: ForeignCa;
let ledger: Ledger;
let folder: string;
let offline: string;
let environment: Record<string, string>;
/** Whether the functions that sign and publish CRLs are up. */
let functionsRun: boolean;

beforeAll(async () => {
  company = await openCompany();
  pool = await keyPool(6);
  if (opensslInstalled) corporate = foreignCa();
});
afterAll(() => company.close());

beforeEach(async () => {
  ledger = await openTestLedger(company.clock);
  folder = mkdtempSync(join(tmpdir(), 'sealwright-ca-'));
  offline = join(folder, 'offline');
  functionsRun = true;
  environment = {
    SEALWRIGHT_PROJECT: PROJECT,
    SEALWRIGHT_DATABASE_URL: 'postgres://ledger.invalid/sealwright',
    SEALWRIGHT_BUCKET: 'acme-pki',
    SEALWRIGHT_GOOGLE_ROOT_URL: company.endpoints.rootUrl ?? '',
    SEALWRIGHT_ROOT_PASSPHRASE: PASSPHRASE,
    SEALWRIGHT_CREDENTIALS: 'metadata-server',
    SEALWRIGHT_SERVICE_ACCOUNT: FUNCTION,
  };
});
afterEach(async () => {
  await ledger.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The real adapters against the emulator; the ledger is in memory, keys are short, CRLs are published when asked for. */
const open = async (settings: Settings): Promise<AuthorityAccess> => {
  const deps = await composeSetUp(settings, { ledger: { ...ledger, close: async () => undefined } });
  const caKeys = pinnedCaKeys({ ...deps, clock: company.clock });
  const signing = {
    signCrl: (id: string, number: bigint) =>
      signCrlIntent({ ...deps, clock: company.clock, caKeys }, id, number),
  };
  const requestCrl = async (issuerId: string) => {
    const issuer = await ledger.readIssuer(issuerId);
    if (!functionsRun || issuer === undefined) return;
    const parts = { ...deps, clock: company.clock, log: keptLog(), signing: signing as never };
    for (const { kind, url } of addressesOf(issuer))
      await ledger.recordAddressCheck(issuerId, { kind, url, sha256Hex: 'ab'.repeat(32), found: 'right' });
    await publishCrl(parts, issuer, { eventId: 'test', event: 'crl-requested' });
  };
  return {
    ...deps,
    clock: company.clock,
    bus: { requestCrl },
    generateKey: (bits) => (bits === 4096 ? pool.generateKey(2048) : generateRsaKey(bits)),
  };
};
const surroundings: CaSurroundings = {
  open,
  prompt: { input: new PassThrough(), output: new PassThrough() },
  waitMs: 50,
  pollMs: 10,
};
const commands = [
  caInit({
    open: async (settings) => (await open(settings)) as never,
    prompt: { input: new PassThrough(), output: new PassThrough() },
  }),
  ...[caHealth, caRootCrl, caRoll, caRetire, caImport, caCsr, caInstall, caTrustBundle].map((command) =>
    command(surroundings),
  ),
];
const run = (...words: readonly string[]) => sealwright(words, environment, commands);
const json = async (...words: readonly string[]) => {
  const ended = await run(...words, '--json');
  return { ...ended, document: JSON.parse(ended.stdout) };
};
const init = (...more: readonly string[]) => run(...INIT, ...POLICY, '--offline', offline, ...more);
const file = (name: string, content: string | Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};
const states = async () => (await ledger.issuers()).map(({ state }) => state);
/** Findings of every CA here: its keys are short, and the tests before it left theirs in the one Secret Manager. */
const OF_ALL = ['issuer-key-small', 'key-unnamed'];
const issueIds = ({ document }: { document: { findings: { id: string; severity: string }[] } }) =>
  document.findings.filter(({ id }) => !OF_ALL.includes(id)).map(({ id }) => id);

const kmsKey = (key: string) =>
  company.kms.ensureKey({
    location: 'europe-west1',
    ring: 'ca',
    key,
    algorithm: 'RSA_SIGN_PKCS1_2048_SHA256',
    bindings: [{ role: 'roles/cloudkms.signerVerifier', members: [`serviceAccount:${FUNCTION}`] }],
    privateKey: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
  });

describe('sealwright ca, over a key in Cloud KMS,', () => {
  it('makes the CA without an issuing key of its own, signs its CRL, and rolls to a key in Secret Manager', async () => {
    const kms = await kmsKey('init');
    const { exit, stdout } = await init('--kms-key', kms);
    expect([exit, stdout.includes(kms)]).toEqual([0, true]);
    const [issuer] = await ledger.issuers();
    expect(issuer).toMatchObject({ keyVersion: kms, state: 'active' });
    expect(await ledger.latestPublishedCrl(issuer?.issuerId ?? '')).toMatchObject({ crlNumber: 1n });
    expect(issueIds(await json('ca', 'health'))).toEqual([]);
    const rolled = await json('ca', 'roll', '--offline', offline);
    expect(rolled).toMatchObject({ exit: 0, document: { state: 'active', retiring: issuer?.issuerId } });
    expect(rolled.document.keyVersion).toMatch(/\/secrets\/issuing-ca-key\/versions\/\d+$/);
    expect((await states()).sort()).toEqual(['active', 'retiring']);
  });

  it('is refused by name, with nothing recorded, while the KMS signs another digest', async () => {
    await init();
    const kms = await kmsKey('damaged');
    company.faults.apply({ cloudKms: { wrongDigest: 1 } });
    const { exit, stderr } = await run(
      ...['ca', 'csr', '--country', 'DE', '--organization', 'Acme', '--common-name', 'Acme CA'],
      ...['--out', join(folder, 'a.csr'), '--kms-key', kms],
    );
    company.faults.apply({ reset: true });
    expect(exit).toBe(1);
    expect(stderr).toContain('signature over another digest');
    expect(await ledger.openIssuerRequests()).toEqual([]);
    expect(existsSync(join(folder, 'a.csr'))).toBe(false);
  });

  it('takes one pinned version, and one place for the key', async () => {
    expect((await init('--kms-key', 'projects/p/locations/l/keyRings/r/cryptoKeys/k')).exit).toBe(2);
    const both = await init('--kms-key', await kmsKey('both'), '--key-secret', 'other');
    expect(both).toMatchObject({ exit: 2, stderr: expect.stringContaining('--key-secret or --kms-key') });
    expect(existsSync(offline)).toBe(false);
  });
});

describe('sealwright ca root-crl', () => {
  beforeEach(async () => {
    await init();
  });

  it('makes the next CRL offline, without any setting, and publishes it apart from that', async () => {
    const settings = environment;
    environment = { SEALWRIGHT_ROOT_PASSPHRASE: PASSPHRASE };
    const made = await json('ca', 'root-crl', '--offline', offline);
    expect(made).toMatchObject({ exit: 0, document: { crlNumber: '2', entries: 0 } });
    expect(readdirSync(join(offline, 'trust')).sort()).toEqual([
      'admin-console.pem',
      'issuing.pem',
      'root-1.crl',
      'root.crl',
      'root.pem',
    ]);
    if (opensslInstalled) {
      const shown = openssl(['crl', '-inform', 'DER', '-in', 'a', '-CAfile', 'b', '-noout', '-crlnumber'], {
        a: readFileSync(join(offline, 'trust', 'root.crl')),
        b: readFileSync(join(offline, 'trust', 'root.pem')),
      });
      expect(shown.text).toMatch(/verify OK/);
    }
    environment = settings;
    const published = await json('ca', 'root-crl', '--publish', join(offline, 'trust', 'root.crl'));
    expect(published).toMatchObject({ exit: 0, document: { crlNumber: '2' } });
    const older = await run('ca', 'root-crl', '--publish', join(offline, 'trust', 'root-1.crl'));
    expect(older).toMatchObject({ exit: 1, stderr: expect.stringContaining('not greater than 2') });
  });

  it('revokes an issuing CA, which health then says', async () => {
    const issuing = join(offline, 'trust', 'issuing.pem');
    const made = await json(
      'ca',
      'root-crl',
      '--offline',
      offline,
      '--revoke',
      issuing,
      '--reason',
      'keyCompromise',
    );
    expect(made).toMatchObject({ exit: 0, document: { entries: 1 } });
    await run('ca', 'root-crl', '--publish', join(offline, 'trust', 'root.crl'));
    const health = await json('ca', 'health');
    expect([health.exit, issueIds(health)]).toEqual([1, ['issuer-revoked']]);
  });

  test('with a wrong passphrase changes nothing and says so', async () => {
    const before = readFileSync(join(offline, 'trust', 'root.crl'));
    environment = { SEALWRIGHT_ROOT_PASSPHRASE: 'not the passphrase at all' };
    const { exit, stderr } = await run('ca', 'root-crl', '--offline', offline);
    expect([exit, stderr]).toEqual([1, expect.stringContaining('passphrase does not open')]);
    expect(readFileSync(join(offline, 'trust', 'root.crl')).equals(before)).toBe(true);
  });

  test.each([
    [['ca', 'root-crl'], /--offline DIR, or publishes one with --publish FILE/],
    [['ca', 'root-crl', '--offline', '/nowhere'], /root\.crl is not there/],
    [['ca', 'root-crl', '--publish', '/nowhere/root.crl'], /cannot be read \(ENOENT\)/],
  ])('%j ends with 2 and one sentence', async (words, sentence) => {
    const { exit, stderr } = await run(...words);
    expect([exit, stderr]).toEqual([2, expect.stringMatching(sentence)]);
  });
});

describe('sealwright ca roll', () => {
  it('leaves the new issuer prepared while nobody publishes its CRL, and activates it afterwards', async () => {
    await init();
    functionsRun = false;
    const waiting = await json('ca', 'roll', '--offline', offline);
    expect(waiting).toMatchObject({ exit: 4, document: { state: 'prepared' } });
    const { issuerId } = waiting.document;
    const refused = await run('ca', 'roll', '--activate', issuerId);
    expect(refused).toMatchObject({ exit: 1, stderr: expect.stringContaining('has published no CRL yet') });
    expect(issueIds(await json('ca', 'health'))).toEqual(['crl-missing', 'issuer-prepared']);
    functionsRun = true;
    await publishFor(issuerId);
    const done = await json('ca', 'roll', '--activate', issuerId);
    expect(done).toMatchObject({ exit: 0, document: { state: 'active' } });
    expect((await states()).sort()).toEqual(['active', 'retiring']);
  });

  test('of an issuer that nobody knows names those that are known', async () => {
    await init();
    const { exit, stderr } = await run('ca', 'roll', '--activate', 'nobody');
    expect([exit, stderr]).toEqual([
      1,
      expect.stringMatching(/no issuer nobody; it has [0-9a-f]{16} \(active\)/),
    ]);
  });
});

async function publishFor(issuerId: string): Promise<void> {
  const deps = await open(parseSettings(environment));
  await deps.bus.requestCrl(issuerId);
}

describe.runIf(opensslInstalled)('sealwright ca import', () => {
  const pki = ['--pki-url', 'http://pki.acme.example/'];

  it('takes PKCS#12 under a password, becomes active where there was none, and stands in the bundle', async () => {
    environment['SEALWRIGHT_IMPORT_PASSWORD'] = PASSWORD;
    const p12 = file('ca.p12', corporate.pkcs12);
    const imported = await json('ca', 'import', p12, ...pki);
    expect(imported).toMatchObject({
      exit: 0,
      document: { state: 'active', subject: 'Corporate S-MIME CA 7' },
    });
    const bundle = await run('ca', 'trust-bundle');
    expect(bundle.exit).toBe(0);
    expect(bundle.stdout.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    expect(bundle.stderr).toContain('no living certificate yet');
    expect(
      new X509Certificate(bundle.stdout.slice(bundle.stdout.lastIndexOf('-----BEGIN'))).subject,
    ).toContain('Corporate Root');
    // A root of somebody else's publishes its CRL itself.
    expect(issueIds(await json('ca', 'health'))).toEqual([]);
  });

  it('takes an encrypted PEM key with its chain beside it, and follows the CA that is there', async () => {
    await init();
    // Another one than above: the bucket is shared, and an issuer's names follow its certificate.
    const other = foreignCa();
    const key = file('ca.key', other.encryptedKeyPem + other.issuingPem);
    const password = file('password', `${PASSWORD}\n`);
    const chain = ['--chain', file('root.pem', other.rootPem), '--password-file', password];
    const imported = await json('ca', 'import', key, ...chain, ...pki);
    expect(imported).toMatchObject({ exit: 0, document: { state: 'active', retiring: expect.any(String) } });
    const two = await run('ca', 'trust-bundle');
    expect(two).toMatchObject({ exit: 1, stderr: expect.stringContaining('There are 2 roots') });
    const written = await run('ca', 'trust-bundle', '--out', join(folder, 'trust'));
    expect(written.stdout.trim().split('\n')).toHaveLength(2);
  });

  test.each([
    ['a wrong password', () => [file('ca.p12', corporate.pkcs12)], 'wrong', /ca\.p12: .*password/],
    [
      'no key in the files',
      () => [file('ca.pem', corporate.issuingPem + corporate.rootPem)],
      PASSWORD,
      /holds a private key/,
    ],
    [
      'a chain without its root',
      () => [file('ca.pem', corporate.issuingPem + corporate.issuingKeyPem)],
      PASSWORD,
      /is not in the file/,
    ],
    ['a file that is nothing', () => [file('ca.pem', 'hello')], PASSWORD, /ca\.pem: /],
  ])('with %s writes nothing and says what is wrong', async (_what, words, password, sentence) => {
    environment['SEALWRIGHT_IMPORT_PASSWORD'] = password;
    const { exit, stderr, stdout } = await run('ca', 'import', ...words(), ...pki);
    expect([exit === 1 || exit === 2, stderr]).toEqual([true, expect.stringMatching(sentence)]);
    expect(stdout + stderr).not.toContain('PRIVATE KEY');
    expect(await states()).toEqual([]);
  });
});

describe.runIf(opensslInstalled)('sealwright ca csr and ca install', () => {
  it('have a subordinate signed elsewhere over a key in Cloud KMS that never leaves', async () => {
    const kms = await kmsKey('subordinate');
    const csr = join(folder, 'acme.csr');
    const asking = ['ca', 'csr', '--country', 'DE', '--organization', 'Acme', '--common-name', 'Acme CA'];
    const asked = await json(...asking, '--out', csr, '--kms-key', kms);
    expect(asked).toMatchObject({ exit: 0, document: { request: csr, keyVersion: kms } });
    expect(issueIds(await json('ca', 'health'))).toEqual(['issuer-missing', 'request-open']);
    const signed = file('acme.pem', corporate.sign(readFileSync(csr, 'utf8')));
    const chain = ['--chain', file('root.pem', corporate.rootPem), '--pki-url', 'http://pki.acme.example/'];
    const installed = await json('ca', 'install', signed, ...chain);
    expect(installed).toMatchObject({
      exit: 0,
      document: { state: 'active', keyVersion: kms, subject: 'Acme CA' },
    });
    expect(issueIds(await json('ca', 'health'))).toEqual([]);
    expect((await run(...asking, '--out', csr, '--kms-key', kms)).stderr).toContain('exists already');
  });
});

describe('sealwright ca retire', () => {
  const stateOf = async (issuerId: string) => (await ledger.issuerStates()).get(issuerId);

  it('ends the runbook of a compromised key: disabled, followed, revoked, retired, and nobody alarms about it any more', async () => {
    await init();
    const [old] = await ledger.issuers();
    const issuerId = old?.issuerId ?? '';
    const authorization = `Bearer ${await company.own().accessToken()}`;
    const url = `${company.endpoints.rootUrl}v1/${old?.keyVersion}:disable`;
    expect((await fetch(url, { method: 'POST', headers: { authorization } })).status).toBe(200);
    expect(issueIds(await json('ca', 'health'))).toEqual(['key-unusable']);
    expect(await run('ca', 'retire', issuerId)).toMatchObject({
      exit: 1,
      stderr: expect.stringContaining('is the active one: make the next issuing CA first'),
    });

    expect((await json('ca', 'roll', '--offline', offline)).document).toMatchObject({ state: 'active' });
    expect(await run('ca', 'retire', issuerId)).toMatchObject({
      exit: 1,
      stderr: expect.stringContaining(`does not list issuer ${issuerId}`),
    });
    expect(await stateOf(issuerId)).toBe('retiring');

    const certificate = join(offline, 'trust', 'issuing.pem');
    const revoke = ['--revoke', certificate, '--reason', 'keyCompromise'];
    expect((await run('ca', 'root-crl', '--offline', offline, ...revoke)).exit).toBe(0);
    const rootCrl = join(offline, 'trust', 'root.crl');
    expect((await run('ca', 'root-crl', '--publish', rootCrl)).exit).toBe(0);
    expect(issueIds(await json('ca', 'health'))).toContain('issuer-revoked');

    for (const _time of [1, 2]) {
      const retired = await json('ca', 'retire', issuerId);
      expect(retired).toMatchObject({ exit: 0, document: { issuerId, state: 'retired' } });
    }
    expect(await stateOf(issuerId)).toBe('retired');
    const told = (await ledger.auditTrail({ limit: 100 })).filter(({ step }) => step === 'issuer-retired');
    expect(told).toMatchObject([{ details: { issuerId } }]);
    expect(issueIds(await json('ca', 'health'))).toEqual([]);
    // When its last CRL has ended, and longer than that.
    company.clock.advance(8 * DAY_MS);
    await publishFor((await ledger.activeIssuer())?.issuerId ?? '');
    expect(issueIds(await json('ca', 'health'))).toEqual([]);
  });

  it('of a CRL that is no CRL of the CA above, or an issuer that nobody knows, is refused in a sentence', async () => {
    await init();
    const [old] = await ledger.issuers();
    const issuerId = old?.issuerId ?? '';
    await run('ca', 'roll', '--offline', offline);
    const wrong = await run('ca', 'retire', issuerId, '--crl', file('wrong.crl', 'an error page'));
    expect(wrong).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining('is not signed by the CA above'),
    });
    const unknown = await run('ca', 'retire', 'nobody');
    expect(unknown).toMatchObject({ exit: 1, stderr: expect.stringContaining('no issuer nobody; it has') });
    expect(await stateOf(issuerId)).toBe('retiring');
  });
});

describe('sealwright ca health', () => {
  it('prints each finding with what to do, and ends with 1 on an error, with 0 when all is well', async () => {
    await init();
    const well = await run('ca', 'health');
    expect([well.exit, well.stderr]).toEqual([0, '']);
    company.clock.advance(130 * DAY_MS);
    const ill = await run('ca', 'health');
    expect(ill.exit).toBe(1);
    expect(ill.stdout).toMatch(/^ERROR {3}\S+: /m);
    expect(ill.stdout).toContain('root-crl-ends-soon: The root');
    expect(ill.stdout).toContain('sealwright ca root-crl --offline DIR');
    const { document } = await json('ca', 'health');
    expect(document).toMatchObject({ healthy: false, errors: 2 });
    expect(document.findings[0]).toEqual({
      id: expect.any(String),
      severity: 'error',
      sentence: expect.any(String),
      fix: expect.any(String),
      issuerId: expect.any(String),
    });
  });

  it('says that a key was destroyed', async () => {
    await init();
    const [issuer] = await ledger.issuers();
    const auth = { authorization: `Bearer ${await company.own().accessToken()}` };
    const url = `${company.endpoints.rootUrl}v1/${issuer?.keyVersion}:destroy`;
    expect((await fetch(url, { method: 'POST', headers: auth })).status).toBe(200);
    const health = await json('ca', 'health');
    expect([health.exit, issueIds(health)]).toEqual([1, ['key-unusable']]);
    expect(await findingsOnSchedule()).toEqual(['key-unusable']);
  });

  it('names a key that no issuer names', async () => {
    await init();
    const [issuer] = await ledger.issuers();
    const secret = issuer?.keyVersion.split('/versions/')[0];
    const response = await fetch(`${company.endpoints.rootUrl}v1/${secret}:addVersion`, {
      method: 'POST',
      headers: { authorization: `Bearer ${await company.own().accessToken()}` },
      body: JSON.stringify({
        payload: { data: Buffer.from('stored by a command that died').toString('base64') },
      }),
    });
    const { name } = (await response.json()) as { name: string };
    const { stdout } = await run('ca', 'health');
    expect(stdout).toContain('key-unnamed: The secret version ');
    expect(stdout).toContain(`/versions/${name.split('/').at(-1)} holds a key that no issuer`);
    expect(await findingsOnSchedule({}, ['issuer-key-small'])).toContain('key-unnamed');
  });

  it('is told by publish-crl on its schedule too, of a key in Cloud KMS as well', async () => {
    await init('--kms-key', await kmsKey('scheduled'));
    expect(await findingsOnSchedule()).toEqual([]);
    const [issuer] = await ledger.issuers();
    const other = { ...issuer, keyVersion: await kmsKey('another') };
    expect(await findingsOnSchedule({ issuers: async () => [other as typeof issuer & object] })).toEqual([
      'key-of-another-issuer',
    ]);
  });

  /** Ids of what the function, composed as it is deployed, writes into the log, some aside. */
  async function findingsOnSchedule(
    changes: Partial<Ledger> = {},
    without: readonly unknown[] = OF_ALL,
  ): Promise<unknown[]> {
    const settings = parseSettings({
      ...environment,
      SEALWRIGHT_AUDIENCE: 'https://publish-crl.acme.example',
      SEALWRIGHT_CALLERS: 'scheduler@acme.example',
      SEALWRIGHT_SIGN_URL: 'https://sign.acme.example',
    });
    const deployed = await composePublishCrl(settings, { ledger: { ...ledger, ...changes } });
    const log = keptLog();
    await upkeep({ ...deployed, clock: company.clock, log });
    const ids = log.of('ca-finding').map(({ fields }) => fields['id']);
    return ids.filter((id) => !without.includes(id));
  }

  it('needs its settings and names them', async () => {
    environment = {};
    const { exit, stderr } = await run('ca', 'health');
    expect([exit, stderr]).toEqual([2, expect.stringContaining('SEALWRIGHT_DATABASE_URL')]);
  });
});
