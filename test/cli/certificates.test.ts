/** `sealwright cert …` against the real admin function, ledger and loop; what comes out is opened with other tools. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { inspect } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it, test } from 'vitest';
import { certExport } from '../../cli/certificate/export.ts';
import { certIssue } from '../../cli/certificate/issue.ts';
import { certRevoke } from '../../cli/certificate/revoke.ts';
import { readCertificate } from '../../shared/pki/certificate.ts';
import { buildCertificationRequest } from '../../shared/pki/certification-request.ts';
import { readChainFile } from '../../shared/pki/chain-file.ts';
import { generateEcKey } from '../../shared/pki/key.ts';
import { derToPem } from '../../shared/pki/pem.ts';
import { encryptPrivateKeyPem } from '../../shared/pki/private-key.ts';
import { signerFromPkcs8 } from '../../shared/pki/signer.ts';
import { reconcile } from '../../shared/reconcile/run.ts';
import { type Served, serveHandler } from '../functions/support/served.ts';
import { openssl, opensslInstalled } from '../pki/openssl.ts';
import { adminOver } from '../support/admin.ts';
import { CAUSE, createWorld, makeMaterials, type World } from '../support/fakes/world.ts';
import { inForce } from '../support/policy.ts';
import { sealwright, TOKEN } from './sealwright.ts';

const PASSWORD = 'a long enough password';
const ANA = 'ana@acme.example';

let world: World;
let served: Served;
let folder: string;
let environment: Record<string, string>;
/** Whether hints reach the loop. */
let listening = true;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sealwright-cert-'));
  world = await createWorld(await makeMaterials());
  const admin = adminOver(world, {
    bus: {
      publishHints: async (hints) => {
        for (const hint of hints)
          if (listening && 'userId' in hint && hint.userId !== undefined)
            await reconcile(world.deps, hint.userId, CAUSE);
      },
    },
    policies: inForce(world.deps.policy),
  });
  served = await serveHandler(admin, world.log);
  environment = { SEALWRIGHT_ADMIN_URL: served.url, SEALWRIGHT_ADMIN_TOKEN: TOKEN };
  world.directory.put({ userId: '1', primaryEmail: ANA });
  await reconcile(world.deps, '1', CAUSE);
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await served.close();
  await world.close();
});
beforeEach(() => {
  listening = true;
});

const noTerminal = { input: new PassThrough(), output: new PassThrough() };
const COMMANDS = [certExport, certIssue(noTerminal, 600), certRevoke];
const run = (words: readonly string[], more: Record<string, string> = { SEALWRIGHT_PASSWORD: PASSWORD }) =>
  sealwright(['cert', ...words], { ...environment, ...more }, COMMANDS);
const path = (name: string) => join(folder, name);
const issue = (out: string, ...more: readonly string[]) =>
  run(['issue', ANA, '--for-device', `Ana’s ${out}`, '--out', path(out), '--key-type', 'p256', ...more]);
/** With a request from a key made here, as a device would: quicker than a PKCS#12 file. */
const forRequest = async (name: string, ...more: readonly string[]) => {
  const { pkcs8Der } = await generateEcKey('P-256');
  const request = await buildCertificationRequest('anything', signerFromPkcs8(pkcs8Der));
  writeFileSync(path(`${name}.csr`), derToPem('CERTIFICATE REQUEST', request));
  const words = [
    'issue',
    ANA,
    '--for-device',
    name,
    '--csr',
    path(`${name}.csr`),
    '--out',
    path(`${name}.pem`),
  ];
  return await run([...words, ...more], {});
};
const devices = async () => (await world.ledger.readUser('1')).deviceKeys;
const deviceLeaves = async () =>
  (await world.ledger.readUser('1')).leaves.filter(({ holder }) => holder === 'device');

describe('sealwright cert issue --for-device', () => {
  test.each([
    ['p256', [], /PBES2, PBKDF2, AES-256-CBC/],
    ['rsa2048', [], /PBES2, PBKDF2, AES-256-CBC/],
    ['p384', ['--legacy'], /pbeWithSHA1And3-KeyTripleDES-CBC/],
  ] as const)(
    '(%s) writes one file with key, chain and name, for its owner alone',
    async (type, flags, cipher) => {
      const out = `${type}.p12`;
      const { exit, stdout, stderr } = await run([
        'issue',
        ANA,
        '--for-device',
        `Ana’s ${out}`,
        '--out',
        path(out),
        '--key-type',
        type,
        ...flags,
      ]);
      expect(exit).toBe(0);
      expect(stdout).toMatch(/is written \(PKCS#12.*certificate [0-9a-f]{36} of ana@acme\.example/);
      expect(stderr).toEqual(flags.length === 0 ? '' : expect.stringContaining('3DES and SHA-1'));
      expect(statSync(path(out)).mode & 0o777).toBe(0o600);
      // The legacy form takes seconds to open here; OpenSSL does it below.
      if (type !== 'p384') {
        const { certificatesDer, pkcs8Der } = readChainFile(readFileSync(path(out)), PASSWORD);
        expect(certificatesDer).toHaveLength(3);
        // Nothing of the key is anywhere else; in these places is its secret part.
        const secret = Buffer.from(pkcs8Der ?? expect.unreachable()).subarray(40, 64);
        const seen = [stdout, stderr, world.log.lines, await world.ledger.users()];
        const everything = inspect(seen, { depth: 9, maxArrayLength: 100_000 });
        expect(everything).not.toContain(secret.toString('hex'));
        expect(everything).not.toContain(secret.toString('base64'));
        expect(everything).not.toContain(PASSWORD);
      }
      if (!opensslInstalled) return;
      const { status, text } = openssl(
        ['pkcs12', '-in', 'a.p12', '-passin', `pass:${PASSWORD}`, '-nodes', '-info'],
        {
          'a.p12': readFileSync(path(out)),
        },
      );
      expect([status, text]).toEqual([0, expect.stringMatching(cipher)]);
      expect(text).toMatch(/friendlyName: .*ana/);
    },
  );

  it('certifies the key of a request that was made elsewhere', async () => {
    const { exit } = await forRequest('laptop');
    expect(exit).toBe(0);
    expect(readFileSync(path('laptop.pem'), 'utf8').match(/BEGIN CERTIFICATE/g)).toHaveLength(3);
  });

  test.each([
    ['no device', ['issue', ANA, '--out', 'x'], 'Say with --for-device NAME'],
    ['no file', ['issue', ANA, '--for-device', 'x'], 'Say with --out FILE'],
    [
      'a kind of key that there is not',
      ['issue', ANA, '--for-device', 'x', '--out', 'x', '--key-type', 'dsa'],
      '"dsa" is none of them',
    ],
    [
      'a flag for a key with --csr',
      ['issue', ANA, '--for-device', 'x', '--out', 'x', '--csr', 'y', '--legacy'],
      'leave out --legacy',
    ],
  ])('with %s says what is missing, ends with 2 and asks nobody', async (_what, words, text) => {
    const before = (await devices()).length;
    const { exit, stderr } = await run(words);
    expect([exit, stderr]).toEqual([2, expect.stringContaining(text)]);
    expect((await devices()).length).toBe(before);
  });

  it('never overwrites a file, nor makes a key for it', async () => {
    writeFileSync(path('there.p12'), 'precious');
    const { exit, stderr } = await issue('there.p12');
    expect([exit, stderr]).toEqual([2, expect.stringContaining('exists already and is not overwritten')]);
    expect(readFileSync(path('there.p12'), 'utf8')).toBe('precious');
  });

  test.each([
    ['short', 'seven77', []],
    ['short for the legacy form', 'fifteen-letters', ['--legacy']],
  ])('refuses a password that is too %s', async (_what, password, flags) => {
    const { exit, stderr } = await run(
      ['issue', ANA, '--for-device', 'x', '--out', path('short.p12'), ...flags],
      {
        SEALWRIGHT_PASSWORD: password,
      },
    );
    expect([exit, stderr]).toEqual([2, expect.stringContaining('The password needs at least')]);
    expect(stderr).not.toContain(password);
  });

  it('takes the password of the file where the variable is set and empty', async () => {
    writeFileSync(path('password'), 'seven77\n');
    const words = ['issue', ANA, '--for-device', 'x', '--out', path('x.p12')];
    words.push('--password-file', path('password'));
    const empty = await run(words, { SEALWRIGHT_PASSWORD: '' });
    expect([empty.exit, empty.stderr]).toEqual([2, expect.stringContaining('The password needs at least')]);
    const both = await run(words, { SEALWRIGHT_PASSWORD: PASSWORD });
    expect([both.exit, both.stderr]).toEqual([2, expect.stringContaining('The password is given twice')]);
  });

  it('for somebody unknown says so and leaves no file', async () => {
    const { exit, stderr } = await run([
      'issue',
      'nobody@acme.example',
      '--for-device',
      'x',
      '--out',
      path('none.p12'),
    ]);
    expect([exit, stderr]).toEqual([1, expect.stringContaining('nobody called nobody@acme.example')]);
    expect(readdirSync(folder)).not.toContain('none.p12');
  });

  it('that is not met in time takes its request back, and what comes later is revoked', async () => {
    listening = false;
    const { exit, stderr } = await issue('late.p12');
    expect([exit, stderr]).toEqual([1, expect.stringContaining('the request is taken back')]);
    expect(readdirSync(folder)).not.toContain('late.p12');
    expect((await devices()).at(-1)?.withdrawnAt).toBeDefined();
    const before = (await deviceLeaves()).length;
    await reconcile(world.deps, '1', CAUSE);
    expect(await deviceLeaves()).toHaveLength(before);
  });
});

describe('sealwright cert revoke', () => {
  it('revokes a device’s certificate and blocks its key', async () => {
    const { stdout } = await forRequest('stolen', '--json');
    const { device, serial } = JSON.parse(stdout) as { device: string; serial: string };
    const { exit, stdout: said } = await run(['revoke', device, '--reason', 'keyCompromise']);
    expect([exit, said]).toEqual([0, expect.stringContaining(`Certificate ${serial} of ana@acme.example`)]);
    const leaf = (await deviceLeaves()).find(({ serialHex }) => serialHex === serial);
    expect(leaf?.revocation?.reason).toBe('keyCompromise');
    const key = (await devices()).find(({ keyId }) => keyId === device);
    expect(await world.ledger.readBlockedKey(key?.spkiSha256Hex ?? '')).toMatchObject({ serialHex: serial });
  });

  it('wants a reason and a device there is', async () => {
    expect(await run(['revoke', 'x'])).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining('Say with --reason why'),
    });
    expect(await run(['revoke', 'x', '--reason', 'superseded'])).toMatchObject({ exit: 1 });
  });
});

describe('sealwright cert export', () => {
  test.each([
    ['pem', ['openssl', 'crl2pkcs7', '-nocrl', '-certfile', 'f', '-out', '/dev/null'], 3],
    ['leaf', ['openssl', 'x509', '-in', 'f', '-noout', '-subject'], 1],
    ['pkcs7', ['openssl', 'pkcs7', '-in', 'f', '-print_certs', '-noout'], 0],
  ] as const)('(%s) prints text that OpenSSL takes', async (format, [, ...args], blocks) => {
    const { exit, stdout, stderr } = await run(['export', ANA, '--format', format]);
    expect([exit, stderr]).toEqual([0, '']);
    expect(stdout.match(/BEGIN CERTIFICATE/g)?.length ?? 0).toBe(blocks);
    if (opensslInstalled) expect(openssl(args, { f: stdout }).status).toBe(0);
  });

  test.each([
    [
      'der',
      ['x509', '-inform', 'DER', '-in', 'f', '-noout', '-ext', 'subjectAltName'],
      'email:ana@acme.example',
    ],
    ['pkcs7-der', ['pkcs7', '-inform', 'DER', '-in', 'f', '-print_certs', '-noout'], 'Root'],
  ] as const)('(%s) writes a file that OpenSSL takes', async (format, args, text) => {
    const { exit } = await run(['export', ANA, '--format', format, '--out', path(format)]);
    expect(exit).toBe(0);
    if (opensslInstalled) expect(openssl(args, { f: readFileSync(path(format)) }).text).toContain(text);
  });

  it('gives Gmail’s certificate and not a device’s, unless that is named', async () => {
    const [own] = (await world.ledger.readUser('1')).leaves;
    const { stdout } = await run(['export', ANA, '--format', 'leaf']);
    expect(stdout).toContain(
      Buffer.from(own?.leafDer ?? [])
        .toString('base64')
        .slice(0, 60),
    );
    const device = (await deviceLeaves())[0];
    const named = await run(['export', ANA, '--format', 'leaf', '--serial', device?.serialHex ?? '']);
    expect(named.stdout).toContain(
      Buffer.from(device?.leafDer ?? [])
        .toString('base64')
        .slice(0, 60),
    );
  });

  it('(pkcs12) puts a private key that is given beside its chain, and no other key', async () => {
    const { certificatesDer, pkcs8Der } = readChainFile(readFileSync(path('p256.p12')), PASSWORD);
    const { serialHex } = readCertificate(certificatesDer[0] ?? expect.unreachable());
    const pem = encryptPrivateKeyPem(pkcs8Der ?? expect.unreachable(), PASSWORD, randomBytes, 1000);
    writeFileSync(path('key.pem'), pem);
    const words = ['export', ANA, '--format', 'pkcs12', '--key', path('key.pem'), '--out'];
    expect(await run([...words, path('again.p12'), '--serial', serialHex])).toMatchObject({
      exit: 0,
      stderr: '',
    });
    expect(readChainFile(readFileSync(path('again.p12')), PASSWORD)).toMatchObject({
      certificatesDer,
      pkcs8Der,
    });
    const wrong = await run([...words, path('wrong.p12')]);
    expect([wrong.exit, wrong.stderr]).toEqual([
      1,
      expect.stringContaining('does not belong to the certificate'),
    ]);
    expect(readdirSync(folder)).not.toContain('wrong.p12');
  });

  test.each([
    ['a format there is not', ['--format', 'jks'], '"jks" is none of them'],
    ['PKCS#12 without a key', ['--format', 'pkcs12', '--out', 'x'], 'which is not here'],
    ['DER without a file', ['--format', 'der'], 'is no text'],
  ])('with %s says so and ends with 2', async (_what, words, text) => {
    expect(await run(['export', ANA, ...words])).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining(text),
    });
  });
});
