import { afterEach, beforeAll, beforeEach, describe, expect, it, test } from 'vitest';
import { activate } from '../../shared/authority/activate.ts';
import { pinnedCaKeys } from '../../shared/authority/ca-keys.ts';
import type { AuthorityDeps } from '../../shared/authority/deps.ts';
import { importIssuer, installIssuer, requestIssuer, rollIssuer } from '../../shared/authority/follow.ts';
import { publishCrl } from '../../shared/authority/publish-crl.ts';
import { type SetUpResult, setUpAuthority } from '../../shared/authority/set-up.ts';
import { signCrlIntent, signLeafIntent } from '../../shared/authority/sign.ts';
import { trustBundles } from '../../shared/authority/trust-bundle.ts';
import { upkeep } from '../../shared/authority/upkeep.ts';
import type { IssuerRecord } from '../../shared/domain/records.ts';
import { isSealwrightError } from '../../shared/errors.ts';
import { readIssuer, readRsaPublicKey, sha256Hex } from '../../shared/pki/certificate.ts';
import { readChainFile } from '../../shared/pki/chain-file.ts';
import { addressesOf } from '../../shared/pki/issuer-addresses.ts';
import { generateRsaKey, type RsaKey } from '../../shared/pki/key.ts';
import { buildLeaf } from '../../shared/pki/leaf.ts';
import { describeName, readName } from '../../shared/pki/name.ts';
import { EXAMPLE_POLICY_OID } from '../../shared/pki/oids.ts';
import { derToPem, pemToDer } from '../../shared/pki/pem.ts';
import { readPrivateKeyPem } from '../../shared/pki/private-key.ts';
import { drawSerial } from '../../shared/pki/serial.ts';
import { type Signer, signerFromPkcs8 } from '../../shared/pki/signer.ts';
import { openssl, opensslInstalled } from '../pki/openssl.ts';
import { seededRandom } from '../pki/sample-authority.ts';
import { rsaSpki } from '../pki/weak-moduli.ts';
import { type FakeBucket, fakeBucket } from '../support/fakes/bucket.ts';
import { type KeptBus, keptBus } from '../support/fakes/bus.ts';
import { type ManualClock, manualClock } from '../support/fakes/clock.ts';
import { type KeyPool, keyPool } from '../support/fakes/key-pool.ts';
import { keptLog } from '../support/fakes/log.ts';
import { type FakeSecrets, fakeSecrets } from '../support/fakes/secrets.ts';
import { noSigningKeys } from '../support/fakes/signing-keys.ts';
import {
  type ForeignCa,
  type ForeignCaOptions,
  foreignCa,
  ISSUING_EXTENSIONS,
  PASSWORD,
  RSA,
} from '../support/foreign-ca.ts';
import { openTestLedger } from '../support/ledger.ts';

const DAY_MS = 86_400_000;
const SECRET = 'projects/acme/secrets/issuing-ca-key';
const PKI = 'http://pki.acme.example/';
const MODULUS_BITS = 2048;

let pool: KeyPool;
let userKey: RsaKey;
let corporate: ForeignCa;
let deps: AuthorityDeps;
let clock: ManualClock;
let secrets: FakeSecrets;
let bucket: FakeBucket;
let bus: KeptBus;
const random = seededRandom('follow');

beforeAll(async () => {
  [pool, userKey] = await Promise.all([keyPool(6), generateRsaKey(2048)]);
  if (opensslInstalled) corporate = foreignCa();
});
beforeEach(async () => {
  // OpenSSL makes its certificates by this machine's clock.
  clock = manualClock(new Date(Date.now() + 60_000));
  secrets = fakeSecrets();
  bucket = fakeBucket();
  bus = keptBus();
  deps = {
    clock,
    ledger: await openTestLedger(clock),
    secrets,
    signingKeys: noSigningKeys,
    bucket,
    bus,
    random,
    generateKey: pool.generateKey,
  };
});
afterEach(() => deps.ledger.close());

const caKeysNow = () => pinnedCaKeys({ secrets, signingKeys: noSigningKeys, clock });

async function publish(issuerId: string): Promise<void> {
  const issuer = await deps.ledger.readIssuer(issuerId);
  if (issuer === undefined) throw new Error(`There is no issuer ${issuerId}.`);
  const signing = {
    signLeaf: (serialHex: string) => signLeafIntent({ ...deps, caKeys: caKeysNow() }, serialHex),
    signCrl: (id: string, number: bigint) => signCrlIntent({ ...deps, caKeys: caKeysNow() }, id, number),
  };
  // As publish-crl does once it has fetched them.
  for (const address of addressesOf(issuer)) {
    await deps.ledger.recordAddressCheck(issuerId, {
      ...address,
      sha256Hex: '0'.repeat(64),
      found: 'as expected',
    });
  }
  await publishCrl({ ...deps, log: keptLog(), signing: signing as never }, issuer, {
    eventId: 'test',
    event: 'test',
  });
}

async function ownCa(): Promise<SetUpResult & { rootSigner: Signer }> {
  const made = await setUpAuthority(deps, {
    country: 'DE',
    organization: 'Acme GmbH',
    pkiUrl: PKI,
    keySecret: SECRET,
    policyOid: EXAMPLE_POLICY_OID,
    modulusBits: MODULUS_BITS,
  });
  await publish(made.issuer.issuerId);
  const rootSigner = signerFromPkcs8(made.rootPkcs8Der, {
    algorithm: 'sha384WithRSA',
    certificateDer: made.rootDer,
  });
  return { ...made, rootSigner };
}

const states = async () =>
  Object.fromEntries((await deps.ledger.issuers()).map(({ issuerId, state }) => [issuerId, state]));

/** A user with a signed leaf of the issuer. */
async function enrol(
  userId: string,
  issuer: IssuerRecord,
  validityDays = 365,
  spkiSha256Hex = Buffer.from(userId.padEnd(32)).toString('hex'),
): Promise<string> {
  const lease = await deps.ledger.acquireLease(`user:${userId}`, 60_000);
  if (lease === undefined) throw new Error('The lease is not free.');
  const key = userKey;
  await deps.ledger.recordSighting(lease, { userId, primaryEmail: `${userId}@acme.example`, aliases: [] });
  await deps.ledger.recordKey(lease, {
    keyId: `key-${userId}`,
    userId,
    spkiSha256Hex,
    spkiDer: key.spkiDer,
    modulusBits: 2048,
    keyServiceUrl: 'https://kacls.acme.example/v1',
    wrappedKey: 'wrapped',
    proof: 'proven',
    purpose: 'dual-use',
  });
  const leaf = buildLeaf({
    issuer,
    spkiDer: key.spkiDer,
    addresses: [`${userId}@acme.example`],
    serialHex: drawSerial(random),
    now: clock.now(),
    validityDays,
  });
  await deps.ledger.recordLeafIntent(lease, {
    ...leaf,
    issuerId: issuer.issuerId,
    userId,
    keyId: `key-${userId}`,
  });
  await signLeafIntent({ ...deps, caKeys: caKeysNow() }, leaf.serialHex);
  await deps.ledger.releaseLease(lease);
  return leaf.serialHex;
}

/** The sentence and rule something is refused with. */
async function refusal(attempt: Promise<unknown>): Promise<{ rule: unknown; message: string }> {
  try {
    await attempt;
  } catch (error) {
    if (!isSealwrightError(error)) throw error;
    return { rule: error.details?.['rule'], message: error.message };
  }
  throw new Error('It was taken where it should have been refused.');
}

const nothingWritten = async () => ({
  issuers: (await deps.ledger.issuers()).length,
  secrets: secrets.versions.length,
  objects: bucket.names.length,
  requests: bus.crlRequests.length,
});
const NOTHING = { issuers: 0, secrets: 0, objects: 0, requests: 0 };

describe.runIf(opensslInstalled)('importing an issuing CA that OpenSSL made', () => {
  const importing = (
    changes: { file?: Uint8Array; password?: string; ca?: ForeignCa; withoutRoot?: boolean } = {},
  ) => {
    const ca = changes.ca ?? corporate;
    if (changes.file !== undefined) {
      const file = readChainFile(changes.file, changes.password);
      return importIssuer(deps, {
        ...file,
        pkcs8Der: file.pkcs8Der ?? new Uint8Array(),
        keySecret: SECRET,
        pkiUrl: PKI,
      });
    }
    const chain = changes.withoutRoot === true ? [ca.issuingPem] : [ca.rootPem, ca.issuingPem];
    return importIssuer(deps, {
      certificatesDer: chain.map((pem) => pemToDer(pem, 'CERTIFICATE')),
      pkcs8Der: readPrivateKeyPem(ca.encryptedKeyPem, PASSWORD),
      keySecret: SECRET,
      pkiUrl: PKI,
    });
  };

  it('takes PKCS#12, stores the key, publishes the certificate, asks for the first CRL and issues once active', async () => {
    const issuer = await importing({ file: corporate.pkcs12, password: PASSWORD });
    expect(issuer).toMatchObject({ state: 'prepared', keyVersion: `${SECRET}/versions/1` });
    expect(issuer.chainDer).toHaveLength(1);
    expect(bus.crlRequests).toEqual([issuer.issuerId]);
    expect(bucket.names).toContain(`issuing-${issuer.issuerId}.cer`);
    await publish(issuer.issuerId);
    await activate(deps, issuer.issuerId);
    const serialHex = await enrol('ana', issuer);
    const leaf = (await deps.ledger.readLeafIntent(serialHex))?.leafDer ?? new Uint8Array();
    const verdict = openssl(
      ['verify', '-CAfile', 'root.pem', '-untrusted', 'issuing.pem', '-purpose', 'smimesign', 'leaf.pem'],
      {
        'root.pem': corporate.rootPem,
        'issuing.pem': corporate.issuingPem,
        'leaf.pem': derToPem('CERTIFICATE', leaf),
      },
    );
    // The clock of the test is a minute ahead, which is less than a leaf is dated back.
    expect(verdict.text).toContain('leaf.pem: OK');
  });

  it('takes an encrypted key and a chain in PEM in any order, and doing it twice makes one issuer and one secret', async () => {
    const first = await importing();
    const again = await importing();
    expect(again.issuerId).toBe(first.issuerId);
    expect(secrets.versions).toEqual([`${SECRET}/versions/1`]);
    expect(Object.values(await states())).toEqual(['prepared']);
  });

  it('stores no second copy of the key when it died after storing the first', async () => {
    const { requestCrl } = bus;
    bus.requestCrl = () => Promise.reject(new Error('The process is gone.'));
    await expect(importing()).rejects.toThrow('The process is gone.');
    bus.requestCrl = requestCrl;
    const kept = secrets.add;
    secrets.add = async (secret, payload) => {
      await kept(secret, payload);
      throw new Error('The answer is lost.');
    };
    const other = foreignCa();
    await expect(importing({ ca: other })).rejects.toThrow('The answer is lost.');
    secrets.add = kept;
    await importing();
    await importing({ ca: other });
    expect(secrets.versions).toEqual([`${SECRET}/versions/1`, `${SECRET}/versions/2`]);
    const signers = (await deps.ledger.issuers()).map((issuer) => caKeysNow().signerOf(issuer));
    await expect(Promise.all(signers)).resolves.toHaveLength(2);
  });

  it('names the version that the key got where somebody else put one in meanwhile', async () => {
    const { recordIssuer } = deps.ledger;
    let isFirst = true;
    deps = {
      ...deps,
      ledger: {
        ...deps.ledger,
        recordIssuer: async (issuer) => {
          await recordIssuer(issuer);
          if (isFirst) await secrets.add(SECRET, Buffer.from('somebody else’s'));
          isFirst = false;
        },
      },
    };
    const { issuerId } = await importing();
    const issuer = await deps.ledger.readIssuer(issuerId);
    expect(issuer?.keyVersion).toBe(`${SECRET}/versions/2`);
  });

  it('stores the key again where the version that had it is destroyed', async () => {
    const { keyVersion } = await importing();
    secrets.destroy(keyVersion);
    expect((await importing()).keyVersion).toBe(`${SECRET}/versions/2`);
  });

  test('with a wrong password is refused, saying so', async () => {
    expect(() => readChainFile(corporate.pkcs12, 'not this one')).toThrow(/password/i);
    expect(() => readPrivateKeyPem(corporate.encryptedKeyPem, 'not this one')).toThrow(
      /passphrase does not open/,
    );
    expect(await nothingWritten()).toEqual(NOTHING);
  });

  const bad: readonly [string, string, RegExp, () => Parameters<typeof importing>[0], number?][] = [
    ['that has expired', 'chain-expired', /ended/, () => ({}), 3651],
    ['that ends within half a year', 'chain-issuer-ends-soon', /it ends/, () => ({}), 3650 - 182],
    ['before the clock says it began', 'chain-expired', /it begins/, () => ({}), -2],
    [
      'that is no CA',
      'chain-issuer-not-ca',
      /no CA|CA/,
      () => made({ extensions: ['basicConstraints = critical, CA:FALSE', ...ISSUING_EXTENSIONS.slice(1)] }),
    ],
    [
      'that may not sign certificates',
      'chain-issuer-not-ca',
      /key usage/,
      () =>
        made({
          extensions: ISSUING_EXTENSIONS.map((line) =>
            line.startsWith('keyUsage') ? 'keyUsage = critical, digitalSignature' : line,
          ),
        }),
    ],
    [
      'whose key is another one',
      'chain-key-mismatch',
      /belongs to the key/,
      () => made({ strangerKey: true }),
    ],
    [
      'without the certificates above it',
      'chain-root-missing',
      /is not in the file/,
      () => ({ withoutRoot: true }),
    ],
    ['with RSA-1024', 'gmail-key', /1024/, () => made({ key: RSA(1024) })],
  ];
  const made = (options: ForeignCaOptions) => ({ ca: foreignCa(options) });

  test.each(bad)(
    '%s is refused by the rule %s, and nothing is written',
    async (_what, rule, words, changes, days = 0) => {
      const given = changes();
      clock.set(new Date(Date.now() + 60_000 + days * DAY_MS));
      const refused = await refusal(importing(given));
      expect(refused).toEqual({ rule, message: expect.stringMatching(words) });
      expect(await nothingWritten()).toEqual(NOTHING);
    },
  );

  it('whose key shares its modulus with a user’s is refused, and nothing is written', async () => {
    const ca = foreignCa({ key: RSA(2048) });
    const [userId, requestedBy] = ['ana', 'admin@acme.example'];
    const { modulus } = readRsaPublicKey(
      readIssuer(pemToDer(ca.issuingPem, 'CERTIFICATE')).certificate.spkiDer,
    );
    const lease = (await deps.ledger.acquireLease(`user:${userId}`, 60_000)) ?? expect.unreachable();
    await deps.ledger.recordSighting(lease, { userId, primaryEmail: 'ana@acme.example', aliases: [] });
    const spkiDer = rsaSpki(modulus, 65_539n);
    const spkiSha256Hex = sha256Hex(spkiDer);
    await deps.ledger.recordDeviceKey({ userId, device: 'phone', spkiDer, spkiSha256Hex, requestedBy });
    const refused = await refusal(importing({ ca }));
    expect(refused).toEqual({ rule: 'chain-weak-key', message: expect.stringContaining('same modulus') });
    expect(await nothingWritten()).toEqual(NOTHING);
  });

  test('that is a root itself is refused: Gmail wants an intermediate', async () => {
    const root = foreignCa();
    const file = Buffer.from(root.rootPem);
    const { certificatesDer } = readChainFile(file);
    const [rootDer = new Uint8Array()] = certificatesDer;
    const { spkiDer } = readIssuer(rootDer).certificate;
    const { checkedChain } = await import('../../shared/authority/new-issuer.ts');
    await expect(async () => checkedChain(certificatesDer, spkiDer, clock.now())).rejects.toThrow(
      /is a root/,
    );
  });

  test('under which no certificate could be issued is refused with the linter’s words', async () => {
    const policyless = ISSUING_EXTENSIONS.filter((line) => !line.startsWith('certificatePolicies'));
    const refused = await refusal(importing(made({ extensions: policyless })));
    expect(refused).toMatchObject({ rule: 'issuer-cannot-issue', message: expect.stringMatching(/polic/i) });
    expect(await nothingWritten()).toEqual(NOTHING);
  });
});

describe.runIf(opensslInstalled)('asking another CA for a certificate', () => {
  const SUBJECT = { country: 'DE', organization: 'Acme GmbH', commonName: 'Acme S/MIME CA under Corporate' };

  it('makes a request that OpenSSL verifies and signs, and installs what comes back over the same key', async () => {
    const asked = await requestIssuer(deps, {
      subject: SUBJECT,
      key: { keySecret: SECRET, modulusBits: MODULUS_BITS },
    });
    expect(asked.keyVersion).toBe(`${SECRET}/versions/1`);
    const csrPem = derToPem('CERTIFICATE REQUEST', asked.csrDer);
    const shown = openssl(['req', '-in', 'asked.csr', '-noout', '-text'], { 'asked.csr': csrPem }).text;
    for (const wanted of [
      'CA:TRUE, pathlen:0',
      'Digital Signature, Certificate Sign, CRL Sign',
      'E-mail Protection',
      'C=?DE',
    ])
      expect(shown.replaceAll(' = ', '=')).toMatch(new RegExp(wanted.replace('=?', '=')));
    expect(await deps.ledger.openIssuerRequests()).toHaveLength(1);
    const signed = corporate.sign(csrPem);
    const certificatesDer = [signed, corporate.rootPem].map((pem) => pemToDer(pem, 'CERTIFICATE'));
    const issuer = await installIssuer(deps, { certificatesDer, pkiUrl: PKI });
    expect(issuer).toMatchObject({ keyVersion: asked.keyVersion, state: 'prepared' });
    expect(await deps.ledger.openIssuerRequests()).toEqual([]);
    await publish(issuer.issuerId);
    expect(await activate(deps, issuer.issuerId)).toEqual({});
    await enrol('ben', issuer);
  });

  it('refuses a certificate over a key that was never asked for, naming what is waited for', async () => {
    const asked = await requestIssuer(deps, {
      subject: SUBJECT,
      key: { keySecret: SECRET, modulusBits: MODULUS_BITS },
    });
    const certificatesDer = [corporate.issuingPem, corporate.rootPem].map((pem) =>
      pemToDer(pem, 'CERTIFICATE'),
    );
    const refused = await refusal(installIssuer(deps, { certificatesDer, pkiUrl: PKI }));
    expect(refused).toEqual({
      rule: 'chain-key-mismatch',
      message: expect.stringContaining(asked.spkiSha256Hex),
    });
    expect(await deps.ledger.issuers()).toEqual([]);
  });
});

describe('the next issuing CA under our own root', () => {
  it('takes over when its CRL is public; the one before signs CRLs until its last leaf has ended, and then retires', async () => {
    const own = await ownCa();
    const before = own.issuer;
    const serialHex = await enrol('ana', before, 30);
    clock.advance(10 * DAY_MS);
    const next = await rollIssuer(deps, {
      root: { certificateDer: own.rootDer, signer: own.rootSigner },
      key: { keySecret: SECRET, modulusBits: MODULUS_BITS },
    });
    expect(next).toMatchObject({ state: 'prepared', keyVersion: `${SECRET}/versions/2` });
    const { certificate, extensions } = readIssuer(next.certificateDer);
    expect(describeName(readName(certificate.subjectDer))).toBe('Acme GmbH S/MIME Issuing CA 2');
    expect(extensions.certificatePolicies?.map(({ oid }) => oid)).toEqual([EXAMPLE_POLICY_OID]);
    expect((await deps.ledger.activeIssuer())?.issuerId).toBe(before.issuerId);
    await expect(activate(deps, next.issuerId)).rejects.toMatchObject({
      kind: 'retryable',
      code: 'issuer-not-ready',
    });
    await publish(next.issuerId);
    expect(await activate(deps, next.issuerId)).toEqual({ retiring: before.issuerId });
    expect(await activate(deps, next.issuerId)).toEqual({});
    await enrol('ben', next);

    // The old issuer's leaf can still be revoked, and its CRL says so.
    const lease = await deps.ledger.acquireLease('user:ana', 60_000);
    if (lease === undefined) throw new Error('The lease is not free.');
    await deps.ledger.recordRevocation(lease, { serialHex, reason: 'superseded' });
    await publish(before.issuerId);
    const log = keptLog();
    clock.advance(19 * DAY_MS);
    await upkeep({ ...deps, log });
    expect((await states())[before.issuerId]).toBe('retiring');
    clock.advance(2 * DAY_MS);
    await upkeep({ ...deps, log });
    expect((await states())[before.issuerId]).toBe('retiring');
    await publish(before.issuerId);
    await upkeep({ ...deps, log });
    expect(await states()).toEqual({ [before.issuerId]: 'retired', [next.issuerId]: 'active' });
    await expect(publish(before.issuerId)).rejects.toMatchObject({ code: 'issuer-missing' });
  });

  it('signs no leaf while it is only prepared', async () => {
    const own = await ownCa();
    const next = await rollIssuer(deps, {
      root: { certificateDer: own.rootDer, signer: own.rootSigner },
      key: { keySecret: SECRET, modulusBits: MODULUS_BITS },
    });
    await expect(enrol('ana', next)).rejects.toMatchObject({ code: 'issuer-not-ready' });
  });

  const rolling = (own: Awaited<ReturnType<typeof ownCa>>, key?: RsaKey) =>
    rollIssuer(key === undefined ? deps : { ...deps, generateKey: async () => key }, {
      root: { certificateDer: own.rootDer, signer: own.rootSigner },
      key: { keySecret: SECRET, modulusBits: MODULUS_BITS },
    });

  it('does not get the key of an issuer that is there, and nothing is written', async () => {
    const own = await ownCa();
    const before = await nothingWritten();
    const { spkiDer } = readIssuer(own.issuer.certificateDer).certificate;
    const key = pool.keys.find((one) => Buffer.compare(one.spkiDer, spkiDer) === 0) ?? expect.unreachable();
    expect(await refusal(rolling(own, { ...key, pkcs8Der: Uint8Array.from(key.pkcs8Der) }))).toEqual({
      rule: 'key-of-another-issuer',
      message: expect.stringContaining(`is the key of issuer ${own.issuer.issuerId} (active)`),
    });
    expect(await nothingWritten()).toEqual(before);
  });

  it('does not get a key that was revoked for compromise, and nothing is written', async () => {
    const own = await ownCa();
    const serialHex = await enrol('ana', own.issuer, 365, sha256Hex(userKey.spkiDer));
    const lease = (await deps.ledger.acquireLease('user:ana', 60_000)) ?? expect.unreachable();
    await deps.ledger.recordRevocation(lease, { serialHex, reason: 'keyCompromise' });
    const before = await nothingWritten();
    expect(await refusal(rolling(own, { ...userKey, pkcs8Der: Uint8Array.from(userKey.pkcs8Der) }))).toEqual({
      rule: 'key-blocked',
      message: expect.stringContaining(`revoked for compromise at ${clock.now().toISOString()} with`),
    });
    expect(await nothingWritten()).toEqual(before);
  });

  it('is not made by a clock that is behind the ledger, whichever way it comes, and nothing is written', async () => {
    const own = await ownCa();
    const before = await nothingWritten();
    clock.set(new Date(clock.now().getTime() - DAY_MS));
    const key = { keySecret: SECRET, modulusBits: MODULUS_BITS };
    const subject = { country: 'DE', organization: 'Acme GmbH', commonName: 'Acme CA' };
    const { pkcs8Der } = await pool.generateKey(MODULUS_BITS);
    for (const attempt of [
      rolling(own),
      requestIssuer(deps, { subject, key }),
      installIssuer(deps, { certificatesDer: [own.rootDer], pkiUrl: PKI }),
      importIssuer(deps, { certificatesDer: [own.rootDer], pkcs8Der, keySecret: SECRET, pkiUrl: PKI }),
    ])
      expect(await refusal(attempt)).toEqual({
        rule: 'clock-behind',
        message: expect.stringMatching(
          /clock says .* and the ledger holds something of .*: set the clock right/,
        ),
      });
    expect(await nothingWritten()).toEqual(before);
    expect(await deps.ledger.openIssuerRequests()).toEqual([]);
  });

  it('is refused under another root, and nothing is written', async () => {
    await ownCa();
    const before = await nothingWritten();
    const [key] = pool.keys;
    if (key === undefined || !opensslInstalled) return;
    const rootDer = pemToDer(corporate.rootPem, 'CERTIFICATE');
    const attempt = rollIssuer(deps, {
      root: { certificateDer: rootDer, signer: signerFromPkcs8(key.pkcs8Der) },
      key: { keySecret: SECRET, modulusBits: MODULUS_BITS },
    });
    await expect(attempt).rejects.toMatchObject({ code: 'conflict' });
    expect(await nothingWritten()).toEqual(before);
  });

  it('stands with the one before and its leaves in one bundle for the Admin console, with exactly one root, last', async () => {
    const own = await ownCa();
    await enrol('ana', own.issuer);
    const next = await rollIssuer(deps, {
      root: { certificateDer: own.rootDer, signer: own.rootSigner },
      key: { keySecret: SECRET, modulusBits: MODULUS_BITS },
    });
    const [bundle, ...others] = await trustBundles(deps.ledger);
    expect(others).toEqual([]);
    expect(bundle).toMatchObject({ issuerIds: [own.issuer.issuerId, next.issuerId], hasLeaves: false });
    const { certificatesDer } = readChainFile(Buffer.from(bundle?.pem ?? ''));
    const names = certificatesDer.map((der) =>
      describeName(readName(readIssuer(der).certificate.subjectDer)),
    );
    expect(names).toEqual([
      'ana@acme.example',
      'Acme GmbH S/MIME Issuing CA 1',
      'Acme GmbH S/MIME Issuing CA 2',
      'Acme GmbH S/MIME Root CA',
    ]);
    expect(bundle?.pem).not.toContain('PRIVATE');
  });
});
