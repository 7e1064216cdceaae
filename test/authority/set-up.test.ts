import { X509Certificate } from 'node:crypto';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { pinnedCaKeys } from '../../shared/authority/ca-keys.ts';
import { publishCrl } from '../../shared/authority/publish-crl.ts';
import { type SetUpDeps, setUpAuthority } from '../../shared/authority/set-up.ts';
import { signCrlIntent } from '../../shared/authority/sign.ts';
import { retryable } from '../../shared/errors.ts';
import { readCrl, verifyCrl } from '../../shared/pki/crl-reader.ts';
import type { RsaKey } from '../../shared/pki/key.ts';
import { EXAMPLE_POLICY_OID } from '../../shared/pki/oids.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import { openssl, opensslInstalled } from '../pki/openssl.ts';
import { seededRandom } from '../pki/sample-authority.ts';
import { type FakeBucket, fakeBucket } from '../support/fakes/bucket.ts';
import { surround } from '../support/fakes/calls.ts';
import { manualClock } from '../support/fakes/clock.ts';
import { type KeyPool, keyPool } from '../support/fakes/key-pool.ts';
import { keptLog } from '../support/fakes/log.ts';
import { type FakeSecrets, fakeSecrets } from '../support/fakes/secrets.ts';
import { noSigningKeys } from '../support/fakes/signing-keys.ts';
import { START } from '../support/fakes/world.ts';
import { openTestLedger } from '../support/ledger.ts';

const REQUEST = {
  country: 'DE',
  organization: 'Acme GmbH',
  pkiUrl: 'http://pki.acme.example',
  keySecret: 'projects/acme/secrets/issuing-key',
  policyOid: EXAMPLE_POLICY_OID,
  modulusBits: 2048,
};
const CERTIFICATE = 'application/pkix-cert';

let pool: KeyPool;
let ledger: Ledger;
let secrets: FakeSecrets;
let bucket: FakeBucket;
let made: RsaKey[];
let deps: SetUpDeps;
const clock = manualClock(START);

beforeAll(async () => {
  pool = await keyPool(4);
});
beforeEach(async () => {
  ledger = await openTestLedger(clock);
  secrets = fakeSecrets();
  bucket = fakeBucket();
  made = [];
  deps = {
    signingKeys: noSigningKeys,
    clock,
    ledger,
    secrets,
    bucket,
    random: seededRandom('set-up'),
    generateKey: async (modulusBits) => {
      const key = await pool.generateKey(modulusBits);
      made.push(key);
      return key;
    },
  };
});
afterEach(() => ledger.close());

const isWiped = (bytes: Uint8Array | undefined): boolean => bytes?.every((byte) => byte === 0) === true;

describe('setting up a CA', () => {
  test('puts the issuing key into Secret Manager only, and hands the root key back only', async () => {
    const { issuer, rootPkcs8Der } = await setUpAuthority(deps, REQUEST);
    expect(secrets.versions).toEqual(['projects/acme/secrets/issuing-key/versions/1']);
    expect(issuer.keyVersion).toBe('projects/acme/secrets/issuing-key/versions/1');
    const issuingKey = await secrets.read(issuer.keyVersion);
    expect(isWiped(rootPkcs8Der)).toBe(false);
    expect(Buffer.from(issuingKey).equals(Buffer.from(rootPkcs8Der))).toBe(false);
    // Of the two keys made, the issuing one is wiped here; the root's buffer is the caller's to wipe.
    expect(made.map(({ pkcs8Der }) => isWiped(pkcs8Der)).sort()).toEqual([false, true]);
    const published = bucket.names.map((name) => Buffer.from(bucket.object(name)?.bytes ?? []));
    for (const key of [issuingKey, rootPkcs8Der])
      expect(published.some((bytes) => bytes.includes(Buffer.from(key).subarray(600, 640)))).toBe(false);
  });

  test('publishes both certificates and the root’s first CRL where the certificates say', async () => {
    const { issuer, rootDer, rootCrlUrl } = await setUpAuthority(deps, REQUEST);
    const issuing = new X509Certificate(issuer.certificateDer);
    const name = (url: string) => new URL(url).pathname.slice(1);
    const rootUrl = /URI:(http:\/\/\S+\.cer)/.exec(issuing.infoAccess ?? '')?.[1] ?? '';
    expect(bucket.names).toEqual([issuer.issuerUrl, rootUrl, rootCrlUrl].map(name).sort());
    expect(Buffer.from(bucket.object(name(rootUrl))?.bytes ?? []).equals(Buffer.from(rootDer))).toBe(true);
    expect(bucket.object(name(issuer.issuerUrl))).toMatchObject({
      bytes: Uint8Array.from(issuer.certificateDer),
      contentType: CERTIFICATE,
    });
    const crl = bucket.object(name(rootCrlUrl));
    expect(crl).toMatchObject({ contentType: 'application/pkix-crl', cacheControl: 'public, max-age=60' });
    expect(verifyCrl(crl?.bytes ?? new Uint8Array(), rootDer)).toBe(true);
    expect(readCrl(crl?.bytes ?? new Uint8Array())).toMatchObject({ crlNumber: 1n });
    expect(issuing.verify(new X509Certificate(rootDer).publicKey)).toBe(true);
  });

  test.skipIf(!opensslInstalled)(
    'makes a chain that OpenSSL verifies, revocation checks included',
    async () => {
      const { issuer, rootDer, rootCrlUrl } = await setUpAuthority(deps, REQUEST);
      const crl = bucket.object(new URL(rootCrlUrl).pathname.slice(1))?.bytes ?? new Uint8Array();
      const pem = (label: string, der: Uint8Array) =>
        `-----BEGIN ${label}-----\n${Buffer.from(der).toString('base64')}\n-----END ${label}-----\n`;
      const answer = openssl(
        [
          'verify',
          '-attime',
          String(START.getTime() / 1000),
          '-crl_check',
          '-CRLfile',
          'crl.pem',
          '-CAfile',
          'root.pem',
          'issuing.pem',
        ],
        {
          'root.pem': pem('CERTIFICATE', rootDer),
          'issuing.pem': pem('CERTIFICATE', issuer.certificateDer),
          'crl.pem': pem('X509 CRL', crl),
        },
      );
      expect(answer.text).toContain('issuing.pem: OK');
    },
  );

  test('leaves an issuer that can sign: its first CRL is published at the address in the ledger', async () => {
    const { issuer } = await setUpAuthority(deps, REQUEST);
    const recorded = await ledger.activeIssuer();
    expect(recorded).toMatchObject({ issuerId: issuer.issuerId, state: 'active', crlUrl: issuer.crlUrl });
    expect(Buffer.from(issuer.certificateDer).equals(recorded?.certificateDer ?? Buffer.alloc(0))).toBe(true);
    const caKeys = pinnedCaKeys({ secrets, signingKeys: noSigningKeys, clock });
    await publishCrl(
      {
        clock,
        ledger,
        bucket,
        log: keptLog(),
        signing: {
          signLeaf: () => expect.unreachable(),
          signCrl: (issuerId, number) => signCrlIntent({ clock, ledger, caKeys }, issuerId, number),
          signOcspSigner: () => expect.unreachable(),
          signOcspBatch: () => expect.unreachable(),
          signAuditSigner: () => expect.unreachable(),
          signCheckpoint: () => expect.unreachable(),
        },
      },
      issuer,
      { eventId: 'set-up', event: 'schedule' },
    );
    expect(bucket.object(new URL(issuer.crlUrl).pathname.slice(1))).toBeDefined();
  });

  test('is refused where there is an active issuer, and touches nothing', async () => {
    await setUpAuthority(deps, REQUEST);
    const before = bucket.names.map((name) => bucket.object(name)?.generation);
    await expect(setUpAuthority(deps, REQUEST)).rejects.toMatchObject({
      kind: 'permanent',
      code: 'conflict',
    });
    expect(secrets.versions).toHaveLength(1);
    expect(bucket.names.map((name) => bucket.object(name)?.generation)).toEqual(before);
  });

  test('that lost a race is refused and does not write over the other’s root', async () => {
    const slow: SetUpDeps = { ...deps, ledger: { ...ledger, activeIssuer: async () => undefined } };
    const first = await setUpAuthority(deps, REQUEST);
    const generations = new Map(bucket.names.map((name) => [name, bucket.object(name)?.generation]));
    await expect(setUpAuthority(slow, REQUEST)).rejects.toMatchObject({ code: 'conflict' });
    for (const [name, generation] of generations) expect(bucket.object(name)?.generation).toBe(generation);
    expect((await ledger.issuers()).map(({ issuerId }) => issuerId)).toEqual([first.issuer.issuerId]);
  });

  test.each([1, 2, 3])('records nothing and wipes both keys when upload %i fails', async (nth) => {
    let writes = 0;
    const failing = surround('bucket', bucket, async (call, perform) => {
      if (call.method === 'write') writes += 1;
      if (writes === nth) throw retryable('storage-unavailable', 'The bucket is away.');
      return await perform();
    });
    await expect(setUpAuthority({ ...deps, bucket: failing }, REQUEST)).rejects.toMatchObject({
      code: 'storage-unavailable',
    });
    expect(await ledger.issuers()).toEqual([]);
    expect(made.every(({ pkcs8Der }) => isWiped(pkcs8Der))).toBe(true);
    // It can be tried again from the start.
    await expect(setUpAuthority(deps, REQUEST)).resolves.toBeDefined();
  });

  test('publishes nothing and wipes both keys when the issuing key cannot be stored', async () => {
    const failing = surround('secrets', secrets, async () => {
      throw retryable('secrets-unavailable', 'Secret Manager is away.');
    });
    await expect(setUpAuthority({ ...deps, secrets: failing }, REQUEST)).rejects.toMatchObject({
      code: 'secrets-unavailable',
    });
    expect(bucket.names).toEqual([]);
    expect(await ledger.issuers()).toEqual([]);
    expect(made.every(({ pkcs8Der }) => isWiped(pkcs8Der))).toBe(true);
  });

  test.each(['https://pki.acme.example', 'http://acme.run.app', 'http://127.0.0.1:8600'])(
    'is refused for the public address %s, which cannot stand in a certificate',
    async (pkiUrl) => {
      await expect(setUpAuthority(deps, { ...REQUEST, pkiUrl })).rejects.toMatchObject({
        code: 'lint-failed',
      });
      expect(await ledger.issuers()).toEqual([]);
      expect(secrets.versions).toEqual([]);
    },
  );
});
