import { afterEach, beforeAll, beforeEach, describe, expect, it, test } from 'vitest';
import { pinnedCaKeys } from '../../shared/authority/ca-keys.ts';
import { authorityHealth, type HealthDeps } from '../../shared/authority/health.ts';
import { publishCrl } from '../../shared/authority/publish-crl.ts';
import { makeRootCrl, publishRootCrl } from '../../shared/authority/root-crl.ts';
import { type SetUpResult, setUpAuthority } from '../../shared/authority/set-up.ts';
import { signCrlIntent } from '../../shared/authority/sign.ts';
import { upkeep } from '../../shared/authority/upkeep.ts';
import type { IssuerRecord } from '../../shared/domain/records.ts';
import { permanent } from '../../shared/errors.ts';
import { readIssuer } from '../../shared/pki/certificate.ts';
import { readCrl } from '../../shared/pki/crl-reader.ts';
import { EXAMPLE_POLICY_OID } from '../../shared/pki/oids.ts';
import { derToPem } from '../../shared/pki/pem.ts';
import { type Signer, signerFromPkcs8 } from '../../shared/pki/signer.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import { openssl, opensslInstalled } from '../pki/openssl.ts';
import { seededRandom } from '../pki/sample-authority.ts';
import { type FakeBucket, fakeBucket } from '../support/fakes/bucket.ts';
import { type ManualClock, manualClock } from '../support/fakes/clock.ts';
import { type KeyPool, keyPool } from '../support/fakes/key-pool.ts';
import { keptLog } from '../support/fakes/log.ts';
import { type FakeSecrets, fakeSecrets } from '../support/fakes/secrets.ts';
import { noSigningKeys } from '../support/fakes/signing-keys.ts';
import { START } from '../support/fakes/world.ts';
import { openTestLedger } from '../support/ledger.ts';

const DAY_MS = 86_400_000;
let pool: KeyPool;
let clock: ManualClock;
let ledger: Ledger;
let secrets: FakeSecrets;
let bucket: FakeBucket;
let made: SetUpResult;
let rootSigner: Signer;
let deps: HealthDeps;
const states = new Map<string, string>();

beforeAll(async () => {
  pool = await keyPool(2);
});
beforeEach(async () => {
  clock = manualClock(START);
  ledger = await openTestLedger(clock);
  secrets = fakeSecrets();
  bucket = fakeBucket();
  states.clear();
  const parts = { clock, ledger, secrets, bucket, signingKeys: noSigningKeys };
  made = await setUpAuthority(
    { ...parts, random: seededRandom('health'), generateKey: pool.generateKey },
    {
      country: 'DE',
      organization: 'Acme GmbH',
      pkiUrl: 'http://pki.acme.example/',
      keySecret: 'projects/acme/secrets/issuing-key',
      policyOid: EXAMPLE_POLICY_OID,
      modulusBits: 2048,
    },
  );
  rootSigner = signerFromPkcs8(made.rootPkcs8Der, { algorithm: 'sha384WithRSA' });
  deps = { clock, ledger, bucket, secretState: async (version) => states.get(version) ?? 'ENABLED' };
  await publish();
});
afterEach(() => ledger.close());

async function publish(): Promise<void> {
  const caKeys = pinnedCaKeys({ secrets, signingKeys: noSigningKeys, clock });
  const signing = {
    signCrl: (id: string, number: bigint) => signCrlIntent({ clock, ledger, caKeys }, id, number),
  };
  const event = { eventId: 'test', event: 'schedule' };
  await publishCrl({ clock, ledger, bucket, log: keptLog(), signing: signing as never }, made.issuer, event);
}

/** Ids of what is worth acting on; the short keys of tests aside. */
async function ids(changes: Partial<HealthDeps> = {}): Promise<string[]> {
  const findings = await authorityHealth({ ...deps, ...changes });
  return findings
    .filter(({ id }) => id !== 'issuer-key-small')
    .map(({ id, severity }) => `${severity} ${id}`);
}

const rootCrlName = () => new URL(made.rootCrlUrl).pathname.slice(1);
const nextRootCrl = (changes: Partial<Parameters<typeof makeRootCrl>[0]> = {}) =>
  makeRootCrl({
    rootDer: made.rootDer,
    signer: rootSigner,
    previousDer: made.rootCrlDer,
    now: clock.now(),
    ...changes,
  });

describe('the health of a CA', () => {
  it('is good when it was just made, short keys of tests aside', async () => {
    expect(await ids()).toEqual([]);
    expect((await authorityHealth(deps)).map(({ id }) => id)).toEqual(['issuer-key-small']);
  });

  it('asks for one where there is none', async () => {
    const empty = await openTestLedger(clock);
    expect(await ids({ ledger: empty })).toEqual(['error issuer-missing']);
    await empty.close();
  });

  test.each([
    ['sixty days and a minute', 60 * DAY_MS + 60_000, []],
    ['a minute less than sixty days', 60 * DAY_MS - 60_000, ['error root-crl-ends-soon']],
    ['a minute', 60_000, ['error root-crl-ends-soon']],
    ['nothing', -60_000, ['error root-crl-ended']],
  ])(
    'alarms about the root’s CRL sixty days before its end: with %s left',
    async (_what, leftMs, expected) => {
      const { nextUpdate } = readCrl(made.rootCrlDer);
      clock.set(new Date((nextUpdate?.getTime() ?? 0) - leftMs));
      await publish();
      expect(await ids()).toEqual(expected);
    },
  );

  it('is good again when a new root CRL was made offline and published', async () => {
    clock.advance(150 * DAY_MS);
    await publish();
    expect(await ids()).toEqual(['error root-crl-ends-soon']);
    const crlDer = await nextRootCrl();
    expect(await publishRootCrl(deps, crlDer)).toMatchObject({
      crlNumber: 2n,
      entries: 0,
      url: made.rootCrlUrl,
    });
    expect(await publishRootCrl(deps, crlDer)).toMatchObject({ crlNumber: 2n });
    expect(await ids()).toEqual([]);
    if (!opensslInstalled) return;
    const shown = openssl(
      ['crl', '-inform', 'DER', '-in', 'root.crl', '-noout', '-text', '-CAfile', 'root.pem'],
      {
        'root.crl': crlDer,
        'root.pem': derToPem('CERTIFICATE', made.rootDer),
      },
    );
    expect(shown.text).toMatch(/verify OK[\s\S]*|CRL Number:\s+2/);
    expect(shown.text).toContain('No Revoked Certificates');
  });

  it('says when the root’s CRL is not there, or is something else', async () => {
    bucket.overwrite(rootCrlName(), Buffer.from('an error page'));
    expect(await ids()).toEqual(['error root-crl-missing']);
  });

  it('says when an issuing CA is revoked by its root', async () => {
    clock.advance(DAY_MS);
    const revoke = { certificateDer: made.issuer.certificateDer, reason: 'keyCompromise' } as const;
    await publishRootCrl(deps, await nextRootCrl({ revoke }));
    // No cache may hide it for longer than a user's revocation.
    expect(bucket.object(rootCrlName())?.cacheControl).toBe('public, max-age=60');
    expect(await ids()).toEqual(['error issuer-revoked']);
  });

  it('says when the issuer’s own CRL is late, over, or missing', async () => {
    clock.advance(3.4 * DAY_MS);
    expect(await ids()).toEqual([]);
    clock.advance(0.2 * DAY_MS);
    expect(await ids()).toEqual(['error crl-late']);
    clock.advance(4 * DAY_MS);
    expect(await ids()).toEqual(['error crl-ended']);
    const empty = { ...ledger, latestPublishedCrl: async () => undefined };
    expect(await ids({ ledger: empty })).toEqual(['error crl-missing']);
  });

  it('says when the issuer ends: for a year’s leaf, within half a year, already', async () => {
    const { notAfter } = readIssuer(made.issuer.certificateDer).certificate;
    const quiet = {
      ...ledger,
      latestPublishedCrl: async () => fresh(),
      latestInstant: async () => undefined,
    };
    const bucketWithCrl = { ...bucket, read: async () => ({ bytes: await freshRootCrl(), generation: '1' }) };
    const freshRootCrl = () => nextRootCrl();
    const fresh = () => ({
      issuerId: made.issuer.issuerId,
      crlNumber: 9n,
      thisUpdate: clock.now(),
      nextUpdate: new Date(clock.now().getTime() + 7 * DAY_MS),
      tbsDer: new Uint8Array(),
      state: 'published' as const,
    });
    const seen: string[][] = [];
    for (const days of [401, 399, 182, -1]) {
      clock.set(new Date(notAfter.at.getTime() - days * DAY_MS));
      seen.push(await ids({ ledger: quiet, bucket: bucketWithCrl }));
    }
    expect(seen).toEqual([[], ['warning issuer-ends'], ['error issuer-ends-soon'], ['error issuer-ended']]);
  });

  it('says when the key’s version is disabled or destroyed, and nothing when it may not look', async () => {
    states.set(made.issuer.keyVersion, 'DESTROYED');
    const [first] = await authorityHealth(deps);
    expect(first).toMatchObject({ id: 'key-unusable', severity: 'error', issuerId: made.issuer.issuerId });
    expect(first?.sentence).toContain('DESTROYED');
    expect(await ids({ secretState: async () => undefined })).toEqual([]);
  });

  it('says when the root’s CRL is not there at all', async () => {
    const read = async () => undefined;
    const [first] = await authorityHealth({ ...deps, bucket: { ...bucket, read } });
    expect(first).toMatchObject({
      id: 'root-crl-missing',
      sentence: `Under ${made.rootCrlUrl}, where the root's CRL should be, there is nothing.`,
    });
  });

  it('says which address was not right and why, until it was seen right again', async () => {
    const failed = { failedAt: clock.now(), failure: 'it answered 301' };
    const address = { kind: 'crl' as const, url: made.issuer.crlUrl };
    const told = async (seenAt: Date | undefined) => {
      const row = { ...address, ...failed, ...(seenAt === undefined ? {} : { seenAt }) };
      return await authorityHealth({ ...deps, ledger: { ...ledger, issuerAddresses: async () => [row] } });
    };
    const [first] = await told(new Date(clock.now().getTime() - 1));
    expect(first).toMatchObject({ id: 'address-failing', severity: 'error' });
    expect(first?.sentence).toMatch(/^http.*\.crl, which .* was not right on .* UTC: it answered 301\.$/);
    expect((await told(undefined)).map(({ id }) => id)).toContain('address-failing');
    expect((await told(clock.now())).map(({ id }) => id)).not.toContain('address-failing');
  });

  const withIssuer = (changes: Partial<IssuerRecord>): Partial<HealthDeps> => ({
    ledger: { ...ledger, issuers: async () => [{ ...made.issuer, ...changes }] },
  });

  it('says when a chain does not end at a root', async () => {
    expect(await ids(withIssuer({ chainDer: [made.issuer.certificateDer] }))).toContain(
      'error chain-incomplete',
    );
    expect(await ids(withIssuer({ chainDer: [] }))).toEqual(['error chain-incomplete']);
  });

  it('says when the key in Cloud KMS is another one than the certificate’s', async () => {
    const keyVersion = 'projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1';
    const kms = (spkiDer: Uint8Array): Partial<HealthDeps> => ({
      ...withIssuer({ keyVersion }),
      signingKeys: { publicKey: async () => ({ spkiDer, hash: 'sha256' as const }) },
    });
    expect(await ids(kms(readIssuer(made.rootDer).certificate.spkiDer))).toEqual([
      'error key-of-another-issuer',
    ]);
    expect(await ids(kms(readIssuer(made.issuer.certificateDer).certificate.spkiDer))).toEqual([]);
  });

  it('says which key in Secret Manager no issuer and no open request names, destroyed ones aside', async () => {
    expect(await ids({ secrets })).toEqual([]);
    const { keyVersion } = made.issuer;
    const secret = keyVersion.slice(0, keyVersion.lastIndexOf('/versions/'));
    const lost = await secrets.add(secret, Buffer.from('stored by a command that died'));
    secrets.destroy(await secrets.add(secret, Buffer.from('another')));
    const asked = await secrets.add(secret, Buffer.from('of a request'));
    await ledger.recordIssuerRequest({
      ...{ spkiSha256Hex: 'a'.repeat(64), keyVersion: asked, csrDer: Buffer.from('request') },
    });
    expect(await ids({ secrets })).toEqual(['warning key-unnamed', 'info request-open']);
    const found = await authorityHealth({ ...deps, secrets });
    expect(found.find(({ id }) => id === 'key-unnamed')?.sentence).toContain(`${lost} holds a key`);
    expect(await ids()).toEqual(['info request-open']);
    const listVersions = () =>
      Promise.reject(permanent('secrets-unavailable', 'Not you.', { details: { httpStatus: 403 } }));
    expect(await ids({ secrets: { listVersions } }), 'where the caller may not list them').toEqual([
      'info request-open',
    ]);
  });

  it('says of an issuer that is retiring how many of its certificates have not ended', async () => {
    const retiring = withIssuer({ state: 'retiring' });
    const found = await authorityHealth({ ...deps, ...retiring });
    expect(found.map(({ id }) => id)).toEqual(['issuer-missing', 'issuer-key-small', 'issuer-retiring']);
    expect(found.at(-1)?.sentence).toContain('0 of its certificates have not ended');
  });

  it('says when the root ends before the longest certificate below it would', async () => {
    const { notAfter } = readIssuer(made.rootDer).certificate;
    const quiet = { ...ledger, issuers: async () => [{ ...made.issuer, state: 'prepared' as const }] };
    const seen: boolean[] = [];
    for (const days of [3 * 365 + 1, 3 * 365 - 1]) {
      clock.set(new Date(notAfter.at.getTime() - days * DAY_MS));
      seen.push((await ids({ ledger: quiet })).includes('warning root-ends'));
    }
    expect(seen).toEqual([false, true]);
  });

  it('says when this clock is behind what the ledger holds', async () => {
    clock.set(new Date(START.getTime() - DAY_MS));
    expect(await ids()).toContain('error clock-behind');
  });

  it('is written into the log on each scheduled run, errors as errors', async () => {
    clock.advance(150 * DAY_MS);
    await publish();
    const log = keptLog();
    await upkeep({ ...deps, log });
    const lines = log.lines.filter(({ event }) => event === 'ca-finding');
    expect(lines.map(({ severity, fields }) => [severity, fields['id']])).toEqual([
      ['error', 'root-crl-ends-soon'],
      ['warning', 'issuer-key-small'],
    ]);
  });
});

describe('the root’s next CRL', () => {
  it('keeps what the last one listed and numbers on', async () => {
    clock.advance(DAY_MS);
    const revoke = { certificateDer: made.issuer.certificateDer, reason: 'superseded' } as const;
    const second = await nextRootCrl({ revoke });
    clock.advance(DAY_MS);
    const third = readCrl(await nextRootCrl({ previousDer: second }));
    expect(third.crlNumber).toBe(3n);
    const { serialHex } = readIssuer(made.issuer.certificateDer).certificate;
    expect(third.entries.get(serialHex)).toMatchObject({ reason: 'superseded' });
    expect((third.nextUpdate?.getTime() ?? 0) - third.thisUpdate.getTime()).toBe(183 * DAY_MS);
    const again = readCrl(await nextRootCrl({ previousDer: second, revoke }));
    expect(again.entries.size).toBe(1);
  });

  test.each([
    [
      'with a clock in the past',
      'clock-behind',
      /clock says/,
      () => ({ now: new Date(START.getTime() - DAY_MS) }),
    ],
    [
      'with a clock beyond the root’s end',
      'root-not-valid',
      /The root is valid/,
      () => ({ now: new Date('2060-01-01T00:00:00Z') }),
    ],
    [
      'after something that is no CRL',
      'another-root',
      /is none/,
      () => ({ previousDer: Buffer.from('no CRL') }),
    ],
    [
      'revoking a stranger’s certificate',
      'not-ours',
      /another CA/,
      () => ({ revoke: { certificateDer: stranger(), reason: 'keyCompromise' as const } }),
    ],
  ])('is not made %s', async (_what, problem, words, changes) => {
    const attempt = nextRootCrl(changes());
    await expect(attempt).rejects.toMatchObject({ code: 'settings-invalid', details: { problem } });
    await expect(attempt).rejects.toThrow(words);
  });

  /** Somebody else's certificate: its issuer's name is changed in one byte. */
  function stranger(): Uint8Array {
    const der = Buffer.from(made.issuer.certificateDer);
    const at = der.indexOf('S/MIME Root CA');
    der[at] = 'X'.charCodeAt(0);
    return der;
  }

  it('is not published when it is older, when an entry vanished, or when it is nobody’s', async () => {
    clock.advance(DAY_MS);
    const revoke = { certificateDer: made.issuer.certificateDer, reason: 'superseded' } as const;
    const second = await nextRootCrl({ revoke });
    await publishRootCrl(deps, second);
    await expect(publishRootCrl(deps, made.rootCrlDer)).rejects.toMatchObject({
      code: 'publication-refused',
    });
    clock.advance(DAY_MS);
    const forgetful = await nextRootCrl();
    await expect(publishRootCrl(deps, forgetful)).rejects.toMatchObject({ code: 'publication-refused' });
    await expect(publishRootCrl(deps, Buffer.from('no CRL'))).rejects.toMatchObject({
      code: 'settings-invalid',
    });
    expect(Buffer.compare(bucket.object(rootCrlName())?.bytes ?? new Uint8Array(), second)).toBe(0);
  });
});
