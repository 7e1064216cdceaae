import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { cloudkms } from 'googleapis/build/src/apis/cloudkms/index.js';
import { afterAll, beforeAll, beforeEach, describe, expect, it, test } from 'vitest';
import type { Algorithm } from '../../../emulator/cloud-kms/index.ts';
import { cloudKmsSigningKeys } from '../../../shared/adapters/cloud-kms/signing-keys.ts';
import { pinnedCaKeys, remoteKey } from '../../../shared/authority/ca-keys.ts';
import { madeOffline } from '../../../shared/domain/recorded.ts';
import { makeIssuing } from '../../../shared/pki/authority.ts';
import { buildCrl } from '../../../shared/pki/crl.ts';
import { digestSigner } from '../../../shared/pki/digest-signer.ts';
import { issueCertificate, issueCrl } from '../../../shared/pki/issue.ts';
import { buildLeaf } from '../../../shared/pki/leaf.ts';
import { EXAMPLE_POLICY_OID } from '../../../shared/pki/oids.ts';
import { derToPem } from '../../../shared/pki/pem.ts';
import { DUAL_USE_RSA } from '../../../shared/pki/profile.ts';
import { drawSerial } from '../../../shared/pki/serial.ts';
import { signable, signableParts } from '../../../shared/pki/signable.ts';
import { openssl, opensslInstalled } from '../../pki/openssl.ts';
import { type SampleAuthority, sampleAuthority } from '../../pki/sample-authority.ts';
import { type Company, FUNCTION, openCompany, STRANGER } from '../emulator-company.ts';
import { failureOf } from '../world.ts';

const SIGN = 'cloudkms.projects.locations.keyRings.cryptoKeys.cryptoKeyVersions.asymmetricSign';
const pair = {
  RSA_SIGN_PKCS1_2048_SHA256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
  RSA_SIGN_PKCS1_3072_SHA256: () => generateKeyPairSync('rsa', { modulusLength: 3072 }).privateKey,
  EC_SIGN_P256_SHA256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  EC_SIGN_P384_SHA384: () => generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
} satisfies Partial<Record<Algorithm, () => KeyObject>>;

let company: Company;
let authority: SampleAuthority;
const keysAs = (who?: string) =>
  cloudKmsSigningKeys({ own: company.own(who), endpoints: company.endpoints, retry: company.retry });

const keyOf = (algorithm: Algorithm, privateKey?: KeyObject, key: string = algorithm) =>
  company.kms.ensureKey({
    location: 'europe-west1',
    ring: 'ca',
    key,
    algorithm,
    bindings: [{ role: 'roles/cloudkms.signerVerifier', members: [`serviceAccount:${FUNCTION}`] }],
    ...(privateKey === undefined ? {} : { privateKey }),
  });

beforeAll(async () => {
  company = await openCompany();
  authority = await sampleAuthority();
});
beforeEach(() => company.faults.apply({ reset: true }));
afterAll(() => company.close());

/** An issuing CA over a key in KMS, a leaf and a CRL of it, all signed through the real adapter. */
async function issueWith(keyVersion: string) {
  const key = await remoteKey(keysAs(), keyVersion);
  const { now } = authority.leafRequest();
  const certificateDer = await makeIssuing({
    root: { certificateDer: authority.root.certificateDer, signer: authority.rootSigner },
    subject: { country: 'DE', organization: 'Acme GmbH', commonName: 'Acme S/MIME Issuing CA 2' },
    spkiDer: key.spkiDer,
    serialHex: drawSerial(authority.random),
    now,
    rootCrlUrl: 'http://pki.acme.example/root.crl',
    rootUrl: 'http://pki.acme.example/root.cer',
    policyOids: { own: EXAMPLE_POLICY_OID },
  });
  const { signerOf } = pinnedCaKeys({
    secrets: { read: async () => Promise.reject(new Error('the key is not in Secret Manager')) },
    signingKeys: keysAs(),
    clock: company.clock,
  });
  const signer = await signerOf({ keyVersion, certificateDer });
  const issuer = {
    certificateDer,
    crlUrl: 'http://pki.acme.example/2.crl',
    issuerUrl: 'http://pki.acme.example/2.cer',
  };
  const leaf = buildLeaf(authority.leafRequest({ issuer }));
  const leafDer = await issueCertificate({
    tbsDer: madeOffline(leaf.tbsDer),
    profile: DUAL_USE_RSA,
    issuerCertificateDer: certificateDer,
    signer,
    signingTime: now,
  });
  const crl = buildCrl({ issuerCertificateDer: certificateDer, crlNumber: 1n, now, entries: [] });
  const crlDer = await issueCrl({
    tbsDer: madeOffline(crl.tbsDer),
    issuerCertificateDer: certificateDer,
    signer,
    signingTime: now,
  });
  return { certificateDer, leafDer, crlDer };
}

describe('a CA key in Cloud KMS', () => {
  it.each(Object.keys(pair) as (keyof typeof pair)[])(
    'of %s signs leaves and CRLs that OpenSSL verifies up to the root',
    async (algorithm) => {
      const { certificateDer, leafDer, crlDer } = await issueWith(await keyOf(algorithm, pair[algorithm]()));
      expect(leafDer.length).toBeGreaterThan(500);
      if (!opensslInstalled) return;
      const at = String(Math.floor(authority.leafRequest().now.getTime() / 1000));
      const pem = (der: Uint8Array) => derToPem('CERTIFICATE', der);
      const verdict = openssl(
        [
          'verify',
          '-crl_check',
          '-attime',
          at,
          '-CAfile',
          'root.pem',
          '-CRLfile',
          'crl.pem',
          '-untrusted',
          'issuing.pem',
          'leaf.pem',
        ],
        {
          'root.pem': pem(authority.root.certificateDer),
          'issuing.pem': pem(certificateDer),
          'leaf.pem': pem(leafDer),
          'crl.pem': derToPem('X509 CRL', crlDer),
        },
      );
      expect(verdict).toMatchObject({ status: 0, text: expect.stringContaining('leaf.pem: OK') });
    },
  );

  it('answers its public key as Google has it, checked', async () => {
    const privateKey = pair.EC_SIGN_P384_SHA384();
    const name = await keyOf('EC_SIGN_P384_SHA384', privateKey, 'public-key');
    const { spkiDer, hash } = await keysAs().publicKey(name);
    expect(hash).toBe('sha384');
    const wanted = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
    expect(Buffer.from(spkiDer).equals(wanted)).toBe(true);
  });

  describe('whose answers are wrong', () => {
    let signer: ReturnType<typeof digestSigner>;
    beforeEach(async () => {
      const name = await keyOf('EC_SIGN_P256_SHA256');
      signer = digestSigner(await remoteKey(keysAs(), name));
    });

    test.each([
      ['another digest was signed', { wrongDigest: 1 }, 'signature', /another digest/],
      ['the CRC32C does not fit', { wrongCrc32c: 1 }, 'checksum', /does not fit its own CRC32C/],
      ['our CRC32C is not confirmed', { unverified: 1 }, 'unconfirmed', /without confirming/],
      ['another version answers', { otherVersion: 1 }, 'version', /another key version/],
    ])('is refused by name: %s', async (_what, cloudKms, problem, words) => {
      company.faults.apply({ cloudKms });
      const failure = await failureOf(signer.sign(signable(Buffer.from('to be signed'))));
      expect(failure).toMatchObject({ kind: 'permanent', code: 'kms-answer-refused', details: { problem } });
      expect(failure.message).toMatch(words);
      if (signer.signParts === undefined) throw new Error('A signer over digests signs parts.');
      const parts = [Buffer.from('to be '), Buffer.from('signed')];
      expect(await failureOf(signer.signParts(signableParts(parts)))).toMatchObject({
        code: 'kms-answer-refused',
      });
    });

    it('is asked again where the answer was damaged on its way', async () => {
      company.faults.apply({ seed: 3, cloudKms: { wrongCrc32c: 0.3, unverified: 0.2 } });
      for (let count = 0; count < 5; count += 1) await signer.sign(signable(Buffer.from(`message ${count}`)));
    });

    it('gets through throttling, a lost answer and rubbish with status 200', async () => {
      company.faults.apply({
        calls: [
          { method: SIGN, nth: [1], status: 429 },
          { method: SIGN, nth: [2], cut: 'after' },
          { method: SIGN, nth: [3], body: '<html>Sign in to the hotel network</html>' },
        ],
      });
      await signer.sign(signable(Buffer.from('message')));
    });

    it('is unavailable, and worth another try, while Google is down', async () => {
      company.faults.apply({ calls: [{ method: SIGN, status: 503 }] });
      expect(await failureOf(signer.sign(signable(Buffer.from('message'))))).toMatchObject({
        kind: 'retryable',
        code: 'kms-unavailable',
      });
    });
  });

  it('signs nothing when it is missing, not ours, disabled or destroyed, and says which', async () => {
    const name = await keyOf('EC_SIGN_P256_SHA256', undefined, 'states');
    const digest = new Uint8Array(32);
    const missing = name.replace(/\d+$/, '7');
    expect((await failureOf(keysAs().publicKey(missing))).message).toMatch(/not found/);
    const stranger = await failureOf(keysAs(STRANGER).signDigest(name, 'sha256', digest));
    expect(stranger).toMatchObject({ kind: 'permanent', code: 'kms-key-unusable' });
    expect(stranger.message).toContain('roles/cloudkms.signer');
    await company.kms.ensureKey({
      location: 'europe-west1',
      ring: 'ca',
      key: 'states',
      algorithm: 'EC_SIGN_P256_SHA256',
      bindings: ['roles/cloudkms.admin', 'roles/cloudkms.signerVerifier'].map((role) => ({
        role,
        members: [`serviceAccount:${FUNCTION}`],
      })),
    });
    const { versions } = { versions: administration().cryptoKeyVersions };
    await versions.patch({ name, updateMask: 'state', requestBody: { state: 'DISABLED' } }, await token());
    const disabled = await failureOf(keysAs().signDigest(name, 'sha256', digest));
    expect(disabled).toMatchObject({ kind: 'permanent', code: 'kms-key-unusable' });
    expect(disabled.message).toMatch(/current state is: DISABLED.*Enable the version/);
    await versions.destroy({ name }, await token());
    expect((await failureOf(keysAs().signDigest(name, 'sha256', digest))).message).toMatch(
      /DESTROY_SCHEDULED/,
    );
  });

  it('must be pinned to a version, sign the right hash and be the certificate’s', async () => {
    expect(
      await failureOf(keysAs().publicKey('projects/p/locations/l/keyRings/r/cryptoKeys/k')),
    ).toMatchObject({
      code: 'settings-invalid',
    });
    const wrong = {
      spkiDer: authority.userKey.spkiDer,
      hash: 'sha512',
      name: 'k',
      signDigest: async () => new Uint8Array(),
    } as const;
    expect(() => digestSigner(wrong)).toThrow(/sha512 digests where sha256 is wanted/);
    const other = { ...wrong, hash: 'sha256' } as const;
    expect(() => digestSigner(other, { certificateDer: authority.issuing.certificateDer })).toThrow(
      /does not belong to the issuer's certificate/,
    );
  });
});

const administration = () =>
  cloudkms({ version: 'v1', rootUrl: company.endpoints.rootUrl ?? '', retry: false }).projects.locations
    .keyRings.cryptoKeys;
const token = async () => ({ headers: { authorization: `Bearer ${await company.own().accessToken()}` } });
