/**
 * The table of every kind of file that leaves and every program that is not ours: each program accepts the good one and refuses the
 * revoked or changed one, or cannot, and that is shown. A cell that is missing does not compile. Kinds with a file of their own
 * have their cases in `outside-cases.ts`, where the tests there take their titles from.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, test } from 'vitest';
import {
  type Files,
  LEAF_KINDS,
  type LeafKind,
  type LeafKindName,
  outsideArtefacts,
  PASSWORD,
} from './outside-artefacts.ts';
import { type CaseName, casesOf, outsideCase } from './outside-cases.ts';
import { installed, tool } from './tools.ts';

const TOOLS = {
  OpenSSL: { commands: ['openssl'], debian: 'openssl' },
  GnuTLS: { commands: ['certtool'], debian: 'gnutls-bin' },
  NSS: { commands: ['certutil', 'crlutil', 'cmsutil', 'pk12util'], debian: 'libnss3-tools' },
  gpgsm: { commands: ['gpgsm', 'dirmngr', 'openssl'], debian: 'gpgsm and dirmngr' },
} as const;
type ToolName = keyof typeof TOOLS;
const TOOL_NAMES = Object.keys(TOOLS) as readonly ToolName[];

/** What a cell of the table says, and how it is shown. */
type Cell =
  | { readonly says: 'accepts the good, refuses the bad'; readonly show: () => void | Promise<void> }
  | { readonly says: 'does not support it'; readonly why: string; readonly show: () => void | Promise<void> }
  | { readonly says: 'shown elsewhere'; readonly name: CaseName };

const judged = (show: () => void | Promise<void>): Cell => ({
  says: 'accepts the good, refuses the bad',
  show,
});
const unsupported = (why: string, show: () => void | Promise<void>): Cell => ({
  says: 'does not support it',
  why,
  show,
});
const elsewhere = (name: CaseName): Cell => ({ says: 'shown elsewhere', name });

let files: Files;
let site: Server;
beforeAll(async () => {
  site = createServer((request, response) => {
    const bytes = files[request.url?.slice(1).replaceAll('/', '-') ?? ''];
    response.statusCode = bytes === undefined ? 404 : 200;
    response.end(bytes);
  });
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
  files = await outsideArtefacts(`http://127.0.0.1:${(site.address() as AddressInfo).port}`);
});
afterAll(() => site.close());

const run = (command: string, ...words: readonly string[]) => tool(files).run(command, ...words);

/** Whose files begin with what, of the CAs. */
const caOf = (kind: LeafKindName): string => {
  const { ca }: LeafKind = LEAF_KINDS[kind];
  return ca ?? '';
};

/** An NSS database that trusts the root for mail and for signing anything. */
function nss(ca = '') {
  const box = tool(files);
  box.run('mkdir', 'db');
  box.run('certutil', '-N', '-d', 'sql:db', '--empty-password');
  box.run('certutil', '-A', '-d', 'sql:db', '-n', 'root', '-t', ',C,C', '-i', `${ca}root.pem`);
  box.run('certutil', '-A', '-d', 'sql:db', '-n', 'issuing', '-t', ',,', '-i', `${ca}issuing.pem`);
  return (command: string, ...words: readonly string[]) => box.run(command, '-d', 'sql:db', ...words);
}

/** A gpgsm home that trusts both roots; it fetches CRLs where the certificates say. */
function gpgsm() {
  const box = tool(files);
  box.run('mkdir', '-m', '700', 'home');
  const prints = ['root.pem', 'ec-root.pem'].map(
    (root) => box.run('openssl', 'x509', '-in', root, '-noout', '-fingerprint', '-sha1').text,
  );
  box.write(
    'home/trustlist.txt',
    prints.map((print) => `${/=([0-9A-F:]+)/.exec(print)?.[1]} S relax\n`).join(''),
  );
  onTestFinished(() => void box.run('gpgconf', '--homedir', 'home', '--kill', 'all'));
  return (...words: readonly string[]) => box.runAside('gpgsm', '--homedir', 'home', '--batch', ...words);
}
const OFFLINE = ['--disable-dirmngr', '--disable-crl-checks'];

/** What each use is called by programs that ask for a purpose. */
const SIGNS = { openssl: 'smimesign', nss: 'S' };
const RECEIVES = { openssl: 'smimeencrypt', nss: 'R' };

function purposesOf(kind: LeafKindName) {
  const { use = 'dual-use', key = 'rsa' }: LeafKind = LEAF_KINDS[kind];
  return {
    good: use === 'dual-use' ? [SIGNS, RECEIVES] : [use === 'signing' ? SIGNS : RECEIVES],
    wrong: use === 'dual-use' ? [] : [use === 'signing' ? RECEIVES : SIGNS],
    isEc: key === 'ec',
  };
}

function opensslJudgesLeaf(kind: LeafKindName): void {
  const ca = caOf(kind);
  const verify = (state: string, purpose: string) =>
    run(
      ...(['openssl', 'verify', '-purpose', purpose, '-crl_check_all', '-CRLfile', `${ca}crls.pem`] as const),
      ...['-CAfile', `${ca}root.pem`, '-untrusted', `${ca}issuing.pem`, `${kind}.${state}.pem`],
    );
  const { good, wrong, isEc } = purposesOf(kind);
  for (const { openssl: purpose } of good) {
    // OpenSSL asks for keyEncipherment of whoever receives, which an EC key has not (RFC 8550 §4.4.2: keyAgreement).
    if (isEc && purpose === RECEIVES.openssl) {
      expect(verify('good', purpose).text).toMatch(/(unsuitable|unsupported) certificate purpose/);
      expect(verify('good', 'any')).toMatchObject({ status: 0 });
    } else expect(verify('good', purpose)).toMatchObject({ status: 0 });
    expect(verify('revoked', purpose).text).toContain('certificate revoked');
  }
  if (ca !== '') opensslJudgesOcsp(kind, ca);
  for (const { openssl: purpose } of wrong)
    expect(verify('good', purpose).text).toMatch(/(unsuitable|unsupported) certificate purpose/);
}

/** The answers below the first CA have a file of their own, with a responder. */
function opensslJudgesOcsp(kind: LeafKindName, ca: string): void {
  const ask = (state: string, answer: string, trusted: string) =>
    run(
      ...(['openssl', 'ocsp', '-sha256', '-respin', `${kind}.${answer}.ocsp`, '-CAfile', trusted] as const),
      ...[
        '-issuer',
        `${ca}issuing.pem`,
        '-verify_other',
        `${ca}issuing.pem`,
        '-cert',
        `${kind}.${state}.pem`,
      ],
    ).text;
  for (const state of ['good', 'revoked']) {
    const text = ask(state, state, `${ca}root.pem`);
    expect(text).toContain('Response verify OK');
    expect(text).toContain(`${kind}.${state}.pem: ${state}`);
  }
  expect(ask('good', 'revoked', `${ca}root.pem`)).toContain('No Status found');
  expect(ask('good', 'good', ca === 'ec-' ? 'root.pem' : 'ec-root.pem')).toContain('Response Verify Failure');
}

function gnutlsJudgesOcsp(kind: LeafKindName, ca: string): void {
  const verify = (state: string, trusted: string) =>
    run(
      ...(['ocsptool', '--verify-response', '--load-response', `${kind}.${state}.ocsp`] as const),
      ...['--load-trust', trusted],
    ).text;
  const info = (state: string) =>
    run('ocsptool', '--response-info', '--load-response', `${kind}.${state}.ocsp`).text;
  for (const state of ['good', 'revoked']) {
    expect(verify(state, `${ca}issuing.pem`)).toContain('Verifying OCSP Response: Success');
    expect(info(state)).toContain(`Certificate Status: ${state}`);
  }
  expect(verify('good', ca === 'ec-' ? 'issuing.pem' : 'ec-issuing.pem')).toContain(
    'Verifying OCSP Response: Failure',
  );
}

function gnutlsJudgesLeaf(kind: LeafKindName): void {
  const verify = (state: string) =>
    /Chain verification output: .*/.exec(
      run(
        ...(['certtool', '--verify', '--load-ca-certificate', `${caOf(kind)}root.pem`] as const),
        ...[
          '--load-crl',
          `${caOf(kind)}crls.pem`,
          '--infile',
          `${kind}.${state}.chain.pem`,
          '--verify-purpose',
          '1.3.6.1.5.5.7.3.4',
        ],
      ).text,
    )?.[0];
  expect(verify('good')).toContain('Verified. The certificate is trusted.');
  expect(verify('revoked')).toContain('The certificate chain is revoked.');
  if (caOf(kind) !== '' && installed('ocsptool')) gnutlsJudgesOcsp(kind, caOf(kind));
}

function nssJudgesLeaf(kind: LeafKindName): void {
  const ask = nss(caOf(kind));
  for (const state of ['good', 'revoked'])
    ask('certutil', '-A', '-n', state, '-t', ',,', '-i', `${kind}.${state}.pem`);
  for (const crl of ['issuing.crl', 'root.crl'])
    expect(ask('crlutil', '-I', '-i', `${caOf(kind)}${crl}`, '-t', '1').status).toBe(0);
  const verify = (name: string, usage: string) => ask('certutil', '-V', '-e', '-n', name, '-u', usage);
  const { good, wrong, isEc } = purposesOf(kind);
  for (const { nss: usage } of good) {
    expect(verify('good', usage)).toMatchObject({
      status: 0,
      text: expect.stringContaining('certificate is valid'),
    });
    expect(verify('revoked', usage)).toMatchObject({
      status: 255,
      text: expect.stringContaining('Certificate has been revoked'),
    });
  }
  for (const { nss: usage } of wrong) {
    // NSS takes any EC key for one that can agree on a key, whatever its certificate says.
    expect(verify('good', usage).text).toContain(
      isEc && usage === RECEIVES.nss
        ? 'certificate is valid'
        : 'key usage inadequate for attempted operation',
    );
  }
}

/** What gpgsm says of all leaves of all kinds, by `KIND.STATE`: made once, as a home and its daemons take half a second. */
let allVerdicts: Promise<ReadonlyMap<string, string>> | undefined;
async function verdictsOfAll(): Promise<ReadonlyMap<string, string>> {
  const names = Object.keys(LEAF_KINDS).flatMap((kind) => [`${kind}.good`, `${kind}.revoked`]);
  const verdicts = await gpgsmVerdicts(...names.map((name) => `${name}.pem`));
  return new Map(names.map((name, index) => [name, verdicts[index] ?? 'nothing']));
}

/** What gpgsm says in the end of each user's certificate of a file; that of a CA is left out. */
async function gpgsmVerdicts(...kinds: readonly string[]): Promise<readonly string[]> {
  const ask = gpgsm();
  const cas = [
    ...['root.pem', 'issuing.pem', 'ec-root.pem', 'ec-issuing.pem'],
    ...['rsa-3072-issuing.pem', 'rsa-4096-issuing.pem'],
  ];
  await ask('--disable-crl-checks', '--import', ...cas, ...kinds);
  const { text } = await ask('--list-keys', '--with-validation');
  return text
    .split(/^ +ID: /m)
    .slice(cas.length + 1)
    .map((of) => [...of.matchAll(/^ +\[((?:certificate|checking) .*)\]$/gm)].at(-1)?.[1] ?? 'nothing');
}

const leafCells = (kind: LeafKindName): Readonly<Record<ToolName, Cell>> => ({
  OpenSSL: judged(() => opensslJudgesLeaf(kind)),
  GnuTLS: judged(() => gnutlsJudgesLeaf(kind)),
  NSS: judged(() => nssJudgesLeaf(kind)),
  gpgsm: judged(async () => {
    allVerdicts ??= verdictsOfAll();
    const verdicts = await allVerdicts;
    expect(verdicts.get(`${kind}.good`)).toBe('certificate is good');
    expect(verdicts.get(`${kind}.revoked`)).toBe('certificate is bad: Certificate revoked');
  }),
});

const requestCells = (name: string): Readonly<Record<ToolName, Cell>> => ({
  OpenSSL: judged(() => {
    const verify = (file: string) => run('openssl', 'req', '-in', file, '-verify', '-noout').text;
    expect(verify(`${name}.csr`)).toContain('self-signature verify OK');
    expect(verify(`${name}.bad.csr`)).toContain('self-signature verify failure');
  }),
  GnuTLS: judged(() => {
    const read = (file: string) => run('certtool', '--crq-info', '--infile', file).text;
    expect(read(`${name}.csr`)).toContain('Self signature: verified');
    expect(read(`${name}.bad.csr`)).toContain('Self signature: FAILED');
  }),
  // NSS reads a request where it issues a certificate for it.
  NSS: judged(() => {
    const box = tool({ ...files, noise: 'x'.repeat(100) });
    box.run('mkdir', 'db');
    box.run('certutil', '-N', '-d', 'sql:db', '--empty-password');
    const key = ['-k', 'ec', '-q', 'nistp256', '-z', 'noise'];
    box.run('certutil', '-S', '-d', 'sql:db', '-n', 'judge', '-s', 'CN=judge', '-x', '-t', ',C,', ...key);
    const issue = (file: string) =>
      box.run(
        ...(['certutil', '-C', '-d', 'sql:db', '-c', 'judge', '-a', '-m', '7'] as const),
        ...['-i', file, '-o', 'issued.pem'],
      );
    expect(issue(`${name}.bad.csr`)).toMatchObject({
      status: 255,
      text: expect.stringContaining('invalid signature'),
    });
    expect(issue(`${name}.csr`)).toMatchObject({ status: 0 });
    expect(box.read('issued.pem').toString()).toContain('BEGIN CERTIFICATE');
  }),
  gpgsm: unsupported('it makes requests and reads none', async () => {
    const { text } = await gpgsm()(...OFFLINE, '--import', `${name}.csr`);
    expect(text).toContain('total number processed');
    expect(text).not.toMatch(/^gpgsm: +(imported|unchanged):/m);
  }),
});

const TABLE = {
  ...(Object.fromEntries(
    (Object.keys(LEAF_KINDS) as readonly LeafKindName[]).map((kind) => [
      `certificate, ${kind}`,
      leafCells(kind),
    ]),
  ) as Readonly<Record<`certificate, ${LeafKindName}`, Readonly<Record<ToolName, Cell>>>>),
  'certification request of an issuing CA': requestCells('ca'),
  'certification request of a device': requestCells('device'),
  'signed audit checkpoint': {
    OpenSSL: judged(() => {
      const words = ['-inform', 'DER', '-CAfile', 'root.pem', '-purpose', 'any'];
      const verify = (file: string) => run('openssl', 'cms', '-verify', '-in', file, ...words);
      expect(verify('checkpoint.p7')).toMatchObject({
        status: 0,
        text: expect.stringContaining('number: 1'),
      });
      expect(verify('checkpoint.bad.p7')).toMatchObject({ status: 4 });
    }),
    GnuTLS: judged(() => {
      const verify = (file: string) =>
        run(
          ...(['certtool', '--p7-verify', '--inder', '--infile', file] as const),
          ...['--load-ca-certificate', 'root.pem'],
        );
      expect(verify('checkpoint.p7')).toMatchObject({
        status: 0,
        text: expect.stringContaining('Signature status: ok'),
      });
      expect(verify('checkpoint.bad.p7')).toMatchObject({
        status: 1,
        text: expect.stringContaining('Signature status: verification failed'),
      });
    }),
    NSS: unsupported('it knows no purpose "signing documents" (RFC 9336), and none of its own fits', () => {
      const ask = nss();
      // The usages that cmsutil has for a signer: mail, objects, any CA, the responder of a status.
      for (const usage of ['4', '6', '10']) {
        const { status, text } = ask('cmsutil', '-D', '-u', usage, '-i', 'checkpoint.p7');
        expect([status, text]).toEqual([1, expect.stringContaining('SEC_ERROR_INADEQUATE_CERT_TYPE')]);
      }
    }),
    gpgsm: judged(async () => {
      const ask = gpgsm();
      await ask('--disable-crl-checks', '--import', 'root.pem');
      const good = await ask('--verify', 'checkpoint.p7');
      expect([good.status, good.text]).toEqual([
        0,
        expect.stringContaining('Good signature from "/CN=Acme audit signer/O=Acme GmbH/C=DE"'),
      ]);
      const bad = await ask('--verify', 'checkpoint.bad.p7');
      expect([bad.status, bad.text]).toEqual([2, expect.stringContaining('invalid signature')]);
    }),
  },
  'root key in encrypted PEM': {
    OpenSSL: judged(() => {
      const open = (password: string) =>
        run('openssl', 'pkey', '-in', 'root-key.pem', '-passin', `pass:${password}`, '-check', '-noout');
      expect(open(PASSWORD)).toMatchObject({ status: 0, text: expect.stringContaining('Key is valid') });
      expect(open('Correct horse').status).not.toBe(0);
    }),
    GnuTLS: judged(() => {
      const open = (password: string) =>
        run('certtool', '--key-info', '--infile', 'root-key.pem', '--password', password).text;
      expect(open(PASSWORD)).toMatch(/Public Key Info[\s\S]*RSA[\s\S]*2048/);
      expect(open('Correct horse')).toContain('Decryption has failed');
    }),
    NSS: unsupported('it takes private keys in PKCS#12 alone', () => {
      expect(nss()('pk12util', '-i', 'root-key.pem', '-W', PASSWORD).text).toContain('SEC_ERROR_BAD_DER');
    }),
    gpgsm: unsupported('it takes private keys in PKCS#12 alone', async () => {
      expect((await gpgsm()(...OFFLINE, '--import', 'root-key.pem')).text).toMatch(/not imported: \d/);
    }),
  },
  'trust bundle': {
    OpenSSL: judged(() => {
      // The first certificate is judged, the others are what it is judged by.
      const verify = (file: string) => run('openssl', 'verify', '-CAfile', file, file);
      expect(verify('bundle.pem')).toMatchObject({ status: 0 });
      expect(verify('bundle.bad.pem').text).toContain('signature failure');
    }),
    GnuTLS: judged(() => {
      const verify = (file: string) => run('certtool', '--verify-chain', '--infile', file);
      expect(verify('bundle.pem')).toMatchObject({
        status: 0,
        text: expect.stringContaining('Chain verification output: Verified.'),
      });
      expect(verify('bundle.bad.pem')).toMatchObject({
        status: 1,
        text: expect.stringContaining('The signature in the certificate is invalid'),
      });
    }),
    NSS: unsupported('of several certificates in a file it takes the first', () => {
      const box = tool(files);
      box.run('mkdir', 'db');
      box.run('certutil', '-N', '-d', 'sql:db', '--empty-password');
      box.run('certutil', '-A', '-d', 'sql:db', '-n', 'one', '-t', ',,', '-i', 'bundle.pem');
      const names = box.run('certutil', '-L', '-d', 'sql:db').text.match(/^\S.*,,\s*$/gm);
      expect(names).toHaveLength(1);
    }),
    gpgsm: judged(async () => {
      expect((await gpgsm()(...OFFLINE, '--import', 'bundle.pem')).text).toMatch(/imported: 3/);
      // It looks at a signature where it knows the issuer already.
      const ask = gpgsm();
      await ask(...OFFLINE, '--import', 'root.pem');
      const { status, text } = await ask(...OFFLINE, '--import', 'bundle.bad.pem');
      expect([status, text]).toEqual([2, expect.stringContaining('BAD signature')]);
    }),
  },
  'PKCS#7 in PEM': {
    OpenSSL: elsewhere('OpenSSL, PKCS#7'),
    GnuTLS: elsewhere('GnuTLS, PKCS#7'),
    NSS: unsupported('p7content takes DER; certutil takes the first certificate of a PEM file', () => {
      const ask = nss();
      expect(ask('certutil', '-A', '-n', 'first', '-t', ',,', '-i', 'pkcs7.pem').status).not.toBe(0);
    }),
    gpgsm: judged(async () => {
      expect((await gpgsm()(...OFFLINE, '--import', 'pkcs7.pem')).text).toMatch(/imported: 3/);
      expect((await gpgsm()(...OFFLINE, '--import', 'pkcs7.bad.pem')).text).toContain('BAD signature');
    }),
  },
  'PKCS#7 in DER': {
    OpenSSL: elsewhere('OpenSSL, PKCS#7'),
    GnuTLS: elsewhere('GnuTLS, PKCS#7 that is cut'),
    NSS: elsewhere('NSS, PKCS#7'),
    gpgsm: elsewhere('gpgsm, PKCS#7'),
  },
  'PKCS#12, modern': {
    OpenSSL: elsewhere('OpenSSL, PKCS#12'),
    GnuTLS: elsewhere('GnuTLS, PKCS#12'),
    NSS: elsewhere('NSS, PKCS#12'),
    gpgsm: elsewhere('gpgsm, modern PKCS#12'),
  },
  'PKCS#12, legacy': {
    OpenSSL: elsewhere('OpenSSL, PKCS#12'),
    GnuTLS: elsewhere('GnuTLS, PKCS#12'),
    NSS: elsewhere('NSS, PKCS#12'),
    gpgsm: elsewhere('gpgsm, legacy PKCS#12'),
  },
  CRL: {
    OpenSSL: elsewhere('OpenSSL, CRL'),
    GnuTLS: elsewhere('GnuTLS, CRL'),
    NSS: elsewhere('NSS, CRL'),
    gpgsm: elsewhere('gpgsm, CRL'),
  },
  'CRL of the root': {
    OpenSSL: elsewhere('OpenSSL, CRL of the root'),
    GnuTLS: elsewhere('GnuTLS, CRL of the root'),
    NSS: judged(() => {
      const ask = nss();
      ask('certutil', '-A', '-n', 'good', '-t', ',,', '-i', 'dual-use-rsa.good.pem');
      const verify = () => ask('certutil', '-V', '-e', '-n', 'good', '-u', 'S').text;
      expect(verify()).toContain('certificate is valid');
      expect(ask('crlutil', '-I', '-i', 'root-revoking.crl', '-t', '1').status).toBe(0);
      expect(verify()).toContain('has been revoked');
    }),
    gpgsm: judged(async () => {
      const before = files;
      files = { ...before, 'root.crl': before['root-revoking.crl'] ?? expect.unreachable() };
      onTestFinished(() => {
        files = before;
      });
      expect(await gpgsmVerdicts('dual-use-rsa.good.pem')).toEqual([
        'certificate is bad: Certificate revoked',
      ]);
    }),
  },
  'OCSP answer': {
    OpenSSL: elsewhere('OpenSSL, OCSP'),
    GnuTLS: elsewhere('GnuTLS, OCSP'),
    NSS: elsewhere('NSS, OCSP'),
    gpgsm: elsewhere('gpgsm, OCSP'),
  },
} as const satisfies Readonly<Record<string, Readonly<Record<ToolName, Cell>>>>;

const CELLS = Object.entries<Readonly<Record<ToolName, Cell>>>(TABLE).flatMap(([kind, cells]) =>
  TOOL_NAMES.map((name) => ({ kind, name, cell: cells[name] })),
);

describe.each(TOOL_NAMES)('%s', (name) => {
  const { commands, debian } = TOOLS[name];
  const mine = CELLS.filter((cell) => cell.name === name);

  describe.skipIf(!commands.every(installed))(`(skipped without ${debian})`, () => {
    for (const { kind, cell } of mine) {
      if (cell.says === 'shown elsewhere') continue;
      const what = cell.says === 'does not support it' ? `does not support it, as ${cell.why}` : cell.says;
      it(`${kind}: ${what}`, cell.show);
    }
  });

  // That there is such a test is shown where it is (`casesOf`); that it speaks of this program, here.
  test.each(
    mine.flatMap(({ kind, cell }) =>
      cell.says === 'shown elsewhere' ? [{ kind, caseName: cell.name, ...outsideCase(cell.name) }] : [],
    ),
  )('$kind: "$title" in $file', ({ caseName }) => {
    expect(caseName.startsWith(`${name}, `)).toBe(true);
  });
});

describe('a case of the table', () => {
  it('that no test takes its title from is missed', () => {
    const cases = casesOf('test/functions/ocsp.test.ts');
    cases.titled('OpenSSL, OCSP');
    cases.titled('NSS, OCSP');
    expect(cases.missing()).toEqual(['GnuTLS, OCSP', 'gpgsm, OCSP']);
  });
});
