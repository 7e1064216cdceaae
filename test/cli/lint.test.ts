import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, it, test } from 'vitest';
import { lint } from '../../cli/lint/lint.ts';
import { derToPem } from '../../shared/pki/pem.ts';
import { certsOnlyPkcs7 } from '../../shared/pki/pkcs7.ts';
import { writePkcs12 } from '../../shared/pki/pkcs12.ts';
import { encryptPrivateKeyPem } from '../../shared/pki/private-key.ts';
import { foreignChain } from '../pki/foreign-chain.ts';
import { opensslInstalled } from '../pki/openssl.ts';
import { DAY, NOW, type SampleAuthority, sampleAuthority } from '../pki/sample-authority.ts';
import { type FakeAdmin, startFakeAdmin } from './fake-admin.ts';
import { type Ended, sealwright, TOKEN } from './sealwright.ts';

const PASSWORD = 'correct horse';
const pem = (...certificates: readonly Uint8Array[]) =>
  certificates.map((der) => derToPem('CERTIFICATE', der)).join('');

let folder: string;
let ca: SampleAuthority;
let leaf: Uint8Array;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sealwright-lint-'));
  ca = await sampleAuthority();
  leaf = await ca.leaf();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const file = (name: string, content: Uint8Array | string): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};
const chain = () => [leaf, ca.issuing.certificateDer, ca.root.certificateDer];
const noTerminal = { input: new PassThrough(), output: new PassThrough() };
const run = (words: readonly string[], environment: Record<string, string> = {}, now = NOW): Promise<Ended> =>
  sealwright(['lint', ...words], environment, [lint(noTerminal, () => now)]);
const json = async (words: readonly string[], environment = {}) => {
  const { stdout } = await run([...words, '--json'], environment);
  return JSON.parse(stdout) as {
    passes: boolean;
    files: {
      format: string;
      acceptable: boolean;
      findings: { rule: string; severity: string; fix: string; source: string }[];
      certificates: { role: string; profile: string; findings: { rule: string; severity: string }[] }[];
    }[];
  };
};

describe('sealwright lint, for a good chain,', () => {
  const forms: readonly (readonly [string, string, () => Uint8Array | string])[] = [
    ['PEM', 'PEM', () => pem(...chain())],
    ['PEM in another order', 'PEM', () => pem(...chain().toReversed())],
    ['PKCS#7 in DER', 'PKCS#7', () => certsOnlyPkcs7(chain())],
    ['PKCS#7 in PEM', 'PKCS#7', () => derToPem('PKCS7', certsOnlyPkcs7(chain()))],
    [
      'PEM with an encrypted key',
      'PEM',
      () => pem(...chain()) + encryptPrivateKeyPem(ca.userKey.pkcs8Der, PASSWORD, randomBytes, 1000),
    ],
    ...(['modern', 'legacy'] as const).map(
      (form) =>
        [
          `PKCS#12, ${form},`,
          'PKCS#12',
          () =>
            writePkcs12({
              form,
              leafDer: leaf,
              chainDer: chain().slice(1),
              pkcs8Der: ca.userKey.pkcs8Der,
              friendlyName: 'Ana',
              password: PASSWORD,
              random: randomBytes,
            }).der,
        ] as const,
    ),
  ];
  test.each(forms)('reads %s, names each role and ends with 0', async (name, format, content) => {
    const path = file(name.replaceAll(/\W/g, '-'), content());
    const { passes, files } = await json([path, '--ours'], { SEALWRIGHT_PASSWORD: PASSWORD });
    expect(passes).toBe(true);
    expect(files).toMatchObject([
      {
        format,
        findings: [],
        certificates: [
          { role: 'leaf', profile: 'dual-use-rsa/1', findings: [] },
          { role: 'issuing', findings: [] },
          { role: 'root', findings: [] },
        ],
      },
    ]);
    const { exit, stdout, stderr } = await run([path], { SEALWRIGHT_PASSWORD: PASSWORD });
    expect([exit, stderr]).toEqual([0, '']);
    expect(stdout).toContain('Gmail should take it; no rule is broken.');
    expect(stdout).toMatch(/^JUDGED AS +NEAREST PROFILE +SUBJECT/m);
    expect(stdout).toMatch(/^issuing +issuing\/1 +Acme S\/MIME Issuing CA 1/m);
  });
});

describe('sealwright lint, for a chain that breaks a rule,', () => {
  it('names rule, finding, source and what to do, and ends with 1', async () => {
    const { exit, stdout } = await run([file('no-root.pem', pem(leaf, ca.issuing.certificateDer))]);
    expect(exit).toBe(1);
    expect(stdout).toContain('Gmail refuses it: 1 error, 0 warnings.');
    expect(stdout).toMatch(/^error +chain +chain-root-missing +the certificate of "Acme S\/MIME Root 1"/m);
    expect(stdout).toMatch(
      /^chain-root-missing: The chain goes up .* \[Google, https:.*\]\n {2}Add the missing issuer/m,
    );
    expect(stdout).not.toContain('invalid argument');
  });

  it('judges a single certificate in DER as what it is', async () => {
    const { files } = await json([file('leaf.der', leaf)]);
    expect(files[0]?.format).toBe('DER');
    expect(files[0]?.findings.map(({ rule }) => rule)).toEqual([
      'chain-root-missing',
      'chain-intermediate-missing',
    ]);
  });

  it('wants the address that was named', async () => {
    const path = file('good.pem', pem(...chain()));
    expect((await run([path, '--address', 'ana@acme.example'])).exit).toBe(0);
    const { exit, stdout } = await run([path, '--address', 'ben@acme.example']);
    expect(exit).toBe(1);
    expect(stdout).toContain('gmail-leaf-address');
  });

  it('judges as of now', async () => {
    const path = file('good.pem', pem(...chain()));
    const { exit, stdout } = await run([path], {}, new Date(NOW.getTime() + 400 * DAY));
    expect([exit, stdout]).toEqual([1, expect.stringContaining('chain-expired')]);
  });

  it('goes through every file and fails when one does', async () => {
    const good = file('good.pem', pem(...chain()));
    const bad = file('bad.pem', pem(leaf));
    const { passes, files } = await json([good, bad]);
    expect([passes, ...files.map(({ acceptable }) => acceptable)]).toEqual([false, true, false]);
    expect((await run([good, bad])).exit).toBe(1);
  });

  it('takes an issuing CA without users only when told so', async () => {
    const path = file('ca.pem', pem(ca.issuing.certificateDer, ca.root.certificateDer));
    expect((await run([path])).stdout).toContain('chain-leaf-missing');
    expect((await run([path, '--issuing'])).exit).toBe(0);
  });
});

describe.skipIf(!opensslInstalled)('sealwright lint, for a chain of another CA,', () => {
  it('has warnings where ours would be errors; --strict and --ours fail on them', async () => {
    const foreign = foreignChain();
    const path = file('foreign.pem', pem(foreign.leaf, foreign.issuing, foreign.root));
    const now = new Date();
    const { exit, stdout } = await run([path], {}, now);
    expect(exit).toBe(0);
    expect(stdout).toMatch(/^warning +leaf +extended-key-usage/m);
    expect((await run([path, '--strict'], {}, now)).exit).toBe(1);
    const ours = await run([path, '--ours'], {}, now);
    expect([ours.exit, ours.stdout]).toEqual([1, expect.stringMatching(/^error +leaf +extended-key-usage/m)]);
  });
});

describe('sealwright lint, for what cannot be opened,', () => {
  test.each([
    ['no file', [], 'Name at least one file, or give --live for everything in the ledger.'],
    ['a file that is not there', ['/nowhere/x.pem'], '/nowhere/x.pem cannot be read: there is no such file.'],
    ['a folder', ['/tmp'], '/tmp cannot be read: it is a folder.'],
    [
      'files and --live',
      ['x.pem', '--live'],
      '--live looks at the ledger; leave out the files, or leave out --live.',
    ],
    ['--live without an address', ['--live'], 'The address of the admin API is missing'],
  ])('(%s) says so and ends with 2', async (_what, words, text) => {
    const { exit, stdout, stderr } = await run(words);
    expect([exit, stdout, stderr]).toEqual([2, '', expect.stringContaining(text)]);
  });

  const pkcs12 = () =>
    writePkcs12({
      form: 'modern',
      leafDer: leaf,
      chainDer: [],
      pkcs8Der: ca.userKey.pkcs8Der,
      friendlyName: 'Ana',
      password: PASSWORD,
      random: randomBytes,
    }).der;

  it('(no password) asks for one in a sentence, where nobody can be asked', async () => {
    const { exit, stderr } = await run([file('a.p12', pkcs12())]);
    expect([exit, stderr]).toEqual([
      2,
      expect.stringMatching(/a\.p12: The file is PKCS#12.*Give --password-file/),
    ]);
  });

  it('(a wrong password) says that and never the password', async () => {
    const path = file('a.p12', pkcs12());
    const { exit, stderr } = await run([path, '--password-file', file('pw', 'Correct horse\n')]);
    expect([exit, stderr]).toEqual([
      2,
      expect.stringContaining('The password does not open the PKCS#12 file.'),
    ]);
    expect(stderr).not.toContain('Correct horse');
    expect((await run([path, '--password-file', file('pw', `${PASSWORD}\n`)])).stdout).toContain(
      'chain-root-missing',
    );
  });

  it('(garbage) says what it is not', async () => {
    const { exit, stderr } = await run([file('garbage', randomBytes(50))]);
    expect([exit, stderr]).toEqual([2, expect.stringContaining('neither PEM nor a certificate')]);
  });

  test.each([
    ['a text', 'notes', 'Ask Ana for the chain.\n', /is text without a PEM block.+neither PEM nor .+P7M/],
    ['a text that begins as DER does', 'list', '0123456789 Grüße\n', /is text without a PEM block/],
    ['a picture', 'picture', Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0, 1), /begins like none of them/],
    ['nothing', 'nothing', '', /The file is empty\./],
  ])('(%s) says what it is not, and nothing of bytes', async (_what, name, content, said) => {
    const { exit, stderr } = await run([file(name, content)]);
    expect([exit, stderr]).toEqual([2, expect.stringMatching(said)]);
    expect(stderr).not.toMatch(/at byte|cut short/);
  });
});

describe('sealwright lint --live', () => {
  let admin: FakeAdmin;
  beforeAll(async () => {
    admin = await startFakeAdmin();
  });
  afterAll(() => admin.close());
  beforeEach(() => admin.reset());

  const finding = (rule: string, severity: 'error' | 'warning') => ({
    rule,
    severity,
    found: `found ${rule}`,
    sentence: 'It holds.',
    source: 'Google A.5',
    fix: 'Do it.',
  });
  const certificate = (user: string, ...findings: readonly object[]) => ({
    user,
    serial: '0a01',
    role: 'leaf',
    profile: 'dual-use-rsa/1',
    revoked: false,
    findings,
  });
  const live = (...words: readonly string[]) =>
    run(['--live', ...words], { SEALWRIGHT_ADMIN_URL: admin.url, SEALWRIGHT_ADMIN_TOKEN: TOKEN });
  const pages = (last: object) => {
    admin.answer('GET /v1/lint?limit=200', {
      body: {
        certificates: [certificate('ana@acme.example')],
        issuers: [
          {
            issuer: 'issuing-1',
            findings: [],
            certificates: [
              {
                role: 'issuing',
                subject: 'Acme CA',
                serial: '01',
                findings: [finding('chain-issuer-ends-soon', 'warning')],
              },
            ],
          },
        ],
        next: '17',
      },
    });
    admin.answer('GET /v1/lint?limit=200&after=17', { body: { certificates: [last] } });
  };

  it('shows each finding as it arrives, each rule once, and counts; ends with 1 on an error', async () => {
    pages(
      certificate(
        'ben@acme.example',
        finding('gmail-leaf-validity', 'error'),
        finding('gmail-leaf-validity', 'error'),
      ),
    );
    const { exit, stdout, stderr } = await live();
    expect([exit, stderr]).toEqual([1, '']);
    expect(stdout).toMatch(/^SEVERITY +WHOSE +SERIAL +JUDGED AS +RULE +FOUND$/m);
    expect(stdout).toMatch(/^warning +Acme CA +01 +issuing +chain-issuer-ends-soon/m);
    expect(stdout).toMatch(/^error +ben@acme\.example +0a01 +leaf +gmail-leaf-validity/m);
    expect(stdout.match(/^gmail-leaf-validity: It holds\./gm)).toHaveLength(1);
    expect(stdout).toContain('2 certificates and 1 issuing CA judged: 2 errors, 1 warning.');
  });

  it('ends with 0 on warnings alone, and with 1 on those too when strict', async () => {
    pages(certificate('ben@acme.example'));
    expect((await live()).exit).toBe(0);
    expect((await live('--strict')).exit).toBe(1);
  });

  it('gives all of it as one document', async () => {
    pages(certificate('ben@acme.example'));
    const { stdout } = await live('--json');
    expect(JSON.parse(stdout)).toMatchObject({
      passes: true,
      issuers: [{ issuer: 'issuing-1' }],
      certificates: [{ user: 'ana@acme.example', role: 'leaf' }, { user: 'ben@acme.example' }],
    });
  });
});
