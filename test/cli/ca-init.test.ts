import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, test } from 'vitest';
import { caInit } from '../../cli/ca/init.ts';
import type { InitDeps } from '../../cli/ca/make-authority.ts';
import { composeSetUp } from '../../functions/compose/set-up.ts';
import type { Settings } from '../../shared/config/settings.ts';
import { retryable } from '../../shared/errors.ts';
import { readIssuer } from '../../shared/pki/certificate.ts';
import { type GenerateKey, generateRsaKey, type RsaKey } from '../../shared/pki/key.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import { type Company, FUNCTION, openCompany, PROJECT } from '../adapters/emulator-company.ts';
import { openssl, opensslInstalled } from '../pki/openssl.ts';
import { openTestLedger } from '../support/ledger.ts';
import { sealwright } from './sealwright.ts';

const PASSPHRASE = 'mauve tractor opens seven quiet harbours';
const FLAGS = [
  'ca',
  'init',
  '--country',
  'DE',
  '--organization',
  'Acme',
  '--pki-url',
  'http://pki.acme.example/',
  '--policy-oid',
  '1.3.6.1.4.1.32473.1.1',
];

let company: Company;
let keys: RsaKey[];
let ledger: Ledger;
let folder: string;
let offline: string;
let environment: Record<string, string>;
/** Settings that the command asked for, to see what it would have opened. */
let opened: Settings[];

beforeAll(async () => {
  company = await openCompany();
  keys = await Promise.all([generateRsaKey(2048), generateRsaKey(2048)]);
  await company.pubsub.ensureTopic(`projects/${PROJECT}/topics/crl-requests`);
});
afterAll(() => company.close());

beforeEach(async () => {
  ledger = await openTestLedger(company.clock);
  folder = mkdtempSync(join(tmpdir(), 'sealwright-cli-'));
  offline = join(folder, 'offline');
  opened = [];
  environment = {
    SEALWRIGHT_PROJECT: PROJECT,
    SEALWRIGHT_DATABASE_URL: 'postgres://ledger.invalid/sealwright',
    SEALWRIGHT_BUCKET: 'acme-pki',
    SEALWRIGHT_GOOGLE_ROOT_URL: company.endpoints.rootUrl ?? '',
    SEALWRIGHT_ROOT_PASSPHRASE: PASSPHRASE,
    // The sample company's own account; an admin's machine has application-default here.
    SEALWRIGHT_CREDENTIALS: 'metadata-server',
    SEALWRIGHT_SERVICE_ACCOUNT: FUNCTION,
  };
});
afterEach(async () => {
  await ledger.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Keys made once and handed out in turn, as copies: whoever gets one wipes it. */
function keysInTurn(): GenerateKey {
  const queue = [...keys];
  return async () => {
    const key = queue.shift();
    if (key === undefined) throw new Error('A CA has two keys, and both were made.');
    return { pkcs8Der: Uint8Array.from(key.pkcs8Der), spkiDer: key.spkiDer };
  };
}

/** The real adapters against the emulator; only the ledger is in memory and keys are short, to save time. */
const open = async (settings: Settings): Promise<InitDeps> => {
  opened.push(settings);
  const deps = await composeSetUp(settings, { ledger: { ...ledger, close: async () => undefined } });
  return { ...deps, clock: company.clock, generateKey: keysInTurn() };
};

const init = (
  words: readonly string[] = [...FLAGS, '--offline', offline],
  changes: Partial<Awaited<ReturnType<typeof open>>> = {},
) =>
  sealwright(words, environment, [
    caInit({
      open: async (settings) => ({ ...(await open(settings)), ...changes }),
      prompt: { input: new PassThrough(), output: new PassThrough() },
    }),
  ]);

const read = (...path: string[]) => readFileSync(join(offline, ...path), 'utf8');

describe('sealwright ca init', () => {
  it('leaves the encrypted root key and the certificates in the folder, and says what to do next', async () => {
    const { exit, stdout, stderr } = await init();
    expect([exit, stderr]).toEqual([0, '']);
    expect(readdirSync(offline).sort()).toEqual(['root.journal', 'root.key.pem', 'trust']);
    expect(readdirSync(join(offline, 'trust')).sort()).toEqual([
      'admin-console.pem',
      'issuing.pem',
      'root.crl',
      'root.pem',
    ]);
    expect(statSync(join(offline, 'root.key.pem')).mode & 0o777).toBe(0o600);
    expect(statSync(offline).mode & 0o777).toBe(0o700);
    expect(stdout).toContain(`Upload ${join(offline, 'trust', 'admin-console.pem')} in the Admin console`);
    expect(stdout).toContain(`Take ${join(offline, 'root.key.pem')} offline`);
    expect(stdout).not.toContain(PASSPHRASE);
  });

  it('stores the key that belongs to the root certificate, under the passphrase', async () => {
    await init();
    const root = new X509Certificate(read('trust', 'root.pem'));
    const key = createPrivateKey({ key: read('root.key.pem'), passphrase: PASSPHRASE });
    expect(createPublicKey(key).equals(root.publicKey)).toBe(true);
    expect(read('root.key.pem')).toMatch(
      /^-----BEGIN ENCRYPTED PRIVATE KEY-----\n[\s\S]+-----END ENCRYPTED PRIVATE KEY-----\n$/,
    );
  });

  it('writes for the Admin console the issuing certificate and then its root', async () => {
    await init();
    expect(read('trust', 'admin-console.pem')).toBe(read('trust', 'issuing.pem') + read('trust', 'root.pem'));
    const root = new X509Certificate(read('trust', 'root.pem'));
    const issuing = new X509Certificate(read('trust', 'issuing.pem'));
    expect(issuing.checkIssued(root) && issuing.verify(root.publicKey)).toBe(true);
    expect(issuing.subject).toBe('C=DE\nO=Acme\nCN=Acme S/MIME Issuing CA 1');
  });

  it.skipIf(!opensslInstalled)('makes a chain that OpenSSL accepts', async () => {
    await init();
    const { text } = openssl(['verify', '-x509_strict', '-CAfile', 'root.pem', 'issuing.pem'], {
      'root.pem': read('trust', 'root.pem'),
      'issuing.pem': read('trust', 'issuing.pem'),
    });
    expect(text).toContain('issuing.pem: OK');
  });

  it('records the issuer, stores its key as a pinned version, asks for its CRL and leaves an audit entry', async () => {
    const { stdout } = await init([...FLAGS, '--offline', offline, '--json']);
    const said = JSON.parse(stdout) as Record<string, string>;
    const issuer = await ledger.activeIssuer();
    const issuing = new X509Certificate(read('trust', 'issuing.pem'));
    expect(issuer?.issuerId).toBe(said['issuerId']);
    expect(Buffer.from(issuer?.certificateDer ?? []).equals(issuing.raw)).toBe(true);
    expect(said).toMatchObject({
      keyVersion: expect.stringMatching(/\/secrets\/issuing-ca-key\/versions\/\d+$/),
      crlUrl: `http://pki.acme.example/issuing-${issuer?.issuerId}.crl`,
      issuingSha256: issuing.fingerprint256.replaceAll(':', '').toLowerCase(),
      rootCrlUrl: expect.stringMatching(/^http:\/\/pki\.acme\.example\/root.*\.crl$/),
      rootKey: join(offline, 'root.key.pem'),
      problems: [],
    });
    expect(
      company.calls.since(0).filter((call) => call.method === 'pubsub.projects.topics.publish'),
    ).not.toEqual([]);
    expect(await ledger.auditTrail({ limit: 10 })).toMatchObject([
      { step: 'issuer-recorded', outcome: 'done', details: { issuerId: issuer?.issuerId } },
    ]);
  });

  it.each([
    ['no policy of the CA/Browser Forum unless it is asked for', [], ['1.3.6.1.4.1.32473.1.1']],
    [
      'the one that --reserved-policy-oid names, beside its own',
      ['--reserved-policy-oid', '2.23.140.1.5.1.3'],
      ['1.3.6.1.4.1.32473.1.1', '2.23.140.1.5.1.3'],
    ],
  ])('puts into the issuing CA %s', async (_what, more, oids) => {
    expect((await init([...FLAGS, '--offline', offline, ...more])).exit).toBe(0);
    const { raw } = new X509Certificate(read('trust', 'issuing.pem'));
    const policies = readIssuer(raw).extensions.certificatePolicies ?? [];
    expect(policies.map(({ oid }) => oid)).toEqual(oids);
  });

  it('makes nothing with a --reserved-policy-oid that is none, or as its own policy', async () => {
    const typo = await init([...FLAGS, '--offline', offline, '--reserved-policy-oid', '2.23.140.1.5.9']);
    expect([typo.exit, typo.stderr]).toEqual([
      2,
      expect.stringContaining('--reserved-policy-oid takes one of'),
    ]);
    const own = FLAGS.map((word) => (word === '1.3.6.1.4.1.32473.1.1' ? '2.23.140.1.5.1.3' : word));
    const swapped = await init([...own, '--offline', offline]);
    expect([swapped.exit, swapped.stderr]).toEqual([
      2,
      expect.stringContaining('--reserved-policy-oid beside it'),
    ]);
    expect(existsSync(offline)).toBe(false);
  });

  it('acts with Application Default Credentials unless it is told otherwise', async () => {
    delete environment['SEALWRIGHT_CREDENTIALS'];
    const refuse = async (settings: Settings): Promise<InitDeps> => {
      opened.push(settings);
      throw retryable('ledger-unavailable', 'Not today.');
    };
    await sealwright([...FLAGS, '--offline', offline], environment, [caInit({ open: refuse })]);
    expect(opened.map((settings) => settings.SEALWRIGHT_CREDENTIALS)).toEqual(['application-default']);
  });

  it('takes the name of another secret', async () => {
    const { stdout } = await init([...FLAGS, '--offline', offline, '--key-secret', 'ca-2027', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({
      keyVersion: expect.stringMatching(/\/secrets\/ca-2027\/versions\/1$/),
    });
  });
});

describe('sealwright ca init, where there is a CA already', () => {
  it('changes nothing, leaves no file behind and ends with 1', async () => {
    await init();
    const before = await ledger.activeIssuer();
    const second = join(folder, 'second');
    const { exit, stderr } = await init([...FLAGS, '--offline', second]);
    expect(exit).toBe(1);
    expect(stderr).toContain(`There is an active issuer already (${before?.issuerId})`);
    expect(existsSync(second)).toBe(false);
    expect((await ledger.issuers()).length).toBe(1);
  });

  it('never overwrites a root key', async () => {
    await init();
    const before = read('root.key.pem');
    const { exit, stderr } = await init();
    expect(exit).toBe(2);
    expect(stderr).toContain(`${join(offline, 'root.key.pem')} exists already and is never overwritten.`);
    expect(read('root.key.pem')).toBe(before);
  });
});

describe('sealwright ca init, before it makes anything,', () => {
  afterEach(async () => {
    expect(await ledger.activeIssuer()).toBeUndefined();
  });

  test.each(['root.pem', 'issuing.pem', 'admin-console.pem'])(
    'refuses a folder that has a %s',
    async (name) => {
      mkdirSync(join(offline, 'trust'), { recursive: true });
      writeFileSync(join(offline, 'trust', name), 'mine');
      const { exit, stderr } = await init();
      expect(exit).toBe(2);
      expect(stderr).toContain(`${name} exists already and is never overwritten`);
      expect(read('trust', name)).toBe('mine');
      expect(opened).toEqual([]);
    },
  );

  it('names what a run that was broken off has left', async () => {
    mkdirSync(offline);
    writeFileSync(join(offline, 'root.key.pem'), '\n\n');
    const { exit, stderr } = await init();
    expect(exit).toBe(2);
    expect(stderr).toContain('is empty: an earlier run was broken off before it made a CA. Delete it');
  });

  it('refuses a folder that cannot be', async () => {
    writeFileSync(join(folder, 'file'), '');
    const { exit, stderr } = await init([...FLAGS, '--offline', join(folder, 'file', 'offline')]);
    expect(exit).toBe(2);
    expect(stderr).toContain('cannot be written (ENOTDIR). Choose another folder for --offline.');
    expect(opened).toEqual([]);
  });

  it('refuses a weak passphrase', async () => {
    environment['SEALWRIGHT_ROOT_PASSPHRASE'] = 'hunter2';
    const { exit, stderr } = await init();
    expect(exit).toBe(2);
    expect(stderr).toContain('The passphrase in SEALWRIGHT_ROOT_PASSPHRASE has 7 characters');
    expect(stderr).not.toContain('hunter2');
    expect(existsSync(offline)).toBe(false);
  });

  test.each([
    [
      'without its flags',
      ['ca', 'init'],
      '"ca init" needs --country, --organization, --pki-url, --policy-oid, --offline.',
    ],
    ['for a country that is none', replaced('DE', 'Germany'), '--country takes two capital letters'],
    [
      'with https in the certificates',
      replaced('http://pki.acme.example/', 'https://pki.acme.example/'),
      'is not plain http',
    ],
    [
      "on a platform's host",
      replaced('http://pki.acme.example/', 'http://acme.run.app/'),
      'acme.run.app belongs to a hosting platform',
    ],
    ['below a path', replaced('http://pki.acme.example/', 'http://pki.acme.example/ca/'), 'Leave out "/ca/"'],
    ['with a policy that is none', replaced('1.3.6.1.4.1.32473.1.1', 'acme'), 'takes an object identifier'],
    [
      'with a policy that claims an audit',
      replaced('1.3.6.1.4.1.32473.1.1', '2.23.140.1.5.1.3'),
      'is audited',
    ],
    [
      'with a secret that is none',
      [...FLAGS, '--key-secret', 'a/b'],
      '--key-secret takes the name of a secret',
    ],
  ])('refuses to run %s', async (_what, words, sentence) => {
    const { exit, stderr } = await init(words.length > 2 ? [...words, '--offline', offline] : words);
    expect(exit).toBe(2);
    expect(stderr).toContain(sentence);
    expect(existsSync(offline)).toBe(false);
  });

  it('names all settings that are missing, at once', async () => {
    environment = { SEALWRIGHT_ROOT_PASSPHRASE: PASSPHRASE };
    const { exit, stderr } = await init();
    expect(exit).toBe(2);
    for (const name of ['SEALWRIGHT_PROJECT', 'SEALWRIGHT_DATABASE_URL', 'SEALWRIGHT_BUCKET'])
      expect(stderr).toContain(name);
  });

  it('leaves no file behind when the issuing key cannot be stored', async () => {
    const secrets = {
      add: () => Promise.reject(retryable('secrets-unavailable', 'Secret Manager cannot be reached.')),
    };
    const { exit, stderr } = await init(undefined, { secrets });
    expect([exit, stderr]).toEqual([1, 'sealwright: Secret Manager cannot be reached.\n']);
    expect(existsSync(offline)).toBe(false);
  });

  it('keeps a folder that was there before', async () => {
    mkdirSync(offline);
    await init(undefined, {
      secrets: { add: () => Promise.reject(retryable('secrets-unavailable', 'No.')) },
    });
    expect(readdirSync(offline)).toEqual([]);
  });
});

describe('sealwright ca init, after the CA was made,', () => {
  it('ends with 4 and names what is left to do when the first CRL cannot be asked for', async () => {
    const bus = {
      requestCrl: () => Promise.reject(retryable('bus-unavailable', 'Pub/Sub cannot be reached.')),
    };
    const { exit, stdout } = await init(undefined, { bus } as Partial<InitDeps>);
    expect(exit).toBe(4);
    expect(stdout).toContain(
      'The first CRL could not be asked for; run the scheduled job publish-crl: Pub/Sub cannot be reached.',
    );
    expect(createPrivateKey({ key: read('root.key.pem'), passphrase: PASSPHRASE }).type).toBe('private');
  });

  it('ends with 4 when there is no audit entry, and does the rest', async () => {
    const changed = {
      ...ledger,
      audit: () => Promise.reject(retryable('ledger-unavailable', 'The ledger is away.')),
    };
    const { exit, stdout } = await init(undefined, { ledger: { ...changed, close: async () => undefined } });
    expect(exit).toBe(4);
    expect(stdout).toContain('The audit trail has no entry of this: The ledger is away.');
    expect(existsSync(join(offline, 'trust', 'admin-console.pem'))).toBe(true);
  });

  it('keeps the key when the certificates cannot be written', async () => {
    const bucket = (await open(await settingsOnce())).bucket;
    const spoiling: InitDeps['bucket'] = {
      ...bucket,
      write: async (object) => {
        mkdirSync(join(offline, 'trust', 'root.pem'), { recursive: true });
        return await bucket.write(object);
      },
    };
    const { exit, stdout } = await init(undefined, { bucket: spoiling });
    expect(exit).toBe(4);
    expect(stdout).toContain('The certificates could not be written: EEXIST');
    expect(createPrivateKey({ key: read('root.key.pem'), passphrase: PASSPHRASE }).type).toBe('private');
  });
});

/** The settings as the command parses them, taken from a run that goes no further. */
async function settingsOnce(): Promise<Settings> {
  const seen: Settings[] = [];
  const refuse = async (settings: Settings): Promise<InitDeps> => {
    seen.push(settings);
    throw retryable('ledger-unavailable', 'Only looking.');
  };
  await sealwright([...FLAGS, '--offline', join(folder, 'none')], environment, [caInit({ open: refuse })]);
  const [settings] = seen;
  if (settings === undefined) throw new Error('The command did not get as far as its settings.');
  return settings;
}

function replaced(from: string, to: string): string[] {
  return FLAGS.map((word) => (word === from ? to : word));
}
