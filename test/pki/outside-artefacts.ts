/** One of every kind of file that leaves, good and bad, for programs that are not ours; the tools know the machine's clock only. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeRootCrl } from '../../shared/authority/root-crl.ts';
import { madeOffline } from '../../shared/domain/recorded.ts';
import type { LeafSubject } from '../../shared/domain/subject-template.ts';
import { makeIssuing } from '../../shared/pki/authority.ts';
import { readCertificate } from '../../shared/pki/certificate.ts';
import { buildCertificationRequest } from '../../shared/pki/certification-request.ts';
import { buildCrl } from '../../shared/pki/crl.ts';
import { makeIssuingCsr } from '../../shared/pki/csr.ts';
import { issueCertificate, issueCrl } from '../../shared/pki/issue.ts';
import { issueOcspAnswers } from '../../shared/pki/issue-ocsp.ts';
import { generateEcKey, generateRsaKey } from '../../shared/pki/key.ts';
import { buildLeaf, type LeafIssuer, type LeafRequest } from '../../shared/pki/leaf.ts';
import { encodeOcspAnswer, issuerHashes, responderKeyHash } from '../../shared/pki/ocsp.ts';
import { EXAMPLE_POLICY_OID } from '../../shared/pki/oids.ts';
import { derToPem, pemToDer } from '../../shared/pki/pem.ts';
import { certsOnlyPkcs7 } from '../../shared/pki/pkcs7.ts';
import { encryptPrivateKeyPem } from '../../shared/pki/private-key.ts';
import {
  AUDIT_SIGNER,
  type KeyKind,
  type LeafUse,
  leafProfileFor,
  OCSP_SIGNER,
} from '../../shared/pki/profile.ts';
import { drawSerial } from '../../shared/pki/serial.ts';
import { buildAuditSigner, buildOcspSigner } from '../../shared/pki/service-certificate.ts';
import { signText } from '../../shared/pki/signed-text.ts';
import { signerFromPkcs8 } from '../../shared/pki/signer.ts';
import { type SampleAuthority, sampleAuthority } from './sample-authority.ts';

export const PASSWORD = 'correct horse';

const SPONSOR: LeafSubject = {
  template: {
    country: 'DE',
    organization: 'Acme GmbH',
    organizationIdentifier: 'NTRDE-HRB123456',
    givenName: '{givenName}',
    surname: '{familyName}',
    commonName: '{givenName} {familyName}',
  },
  givenName: 'Ana',
  familyName: 'Ünal',
};

export interface LeafKind {
  readonly use?: LeafUse;
  readonly key?: KeyKind;
  /** Of another size than P-256 and RSA-2048. */
  readonly size?: 'P-384' | 3072 | 4096;
  readonly request?: Partial<LeafRequest>;
  /** Below the CA whose files begin with this; default: the one of RSA-2048, whose files begin with nothing. */
  readonly ca?: OtherCa;
}

/** The other issuing CAs: P-384 under a root of its own, and those of RSA under the root of RSA-2048. */
export type OtherCa = 'ec-' | 'rsa-3072-' | 'rsa-4096-';

/** Every kind of user certificate: by use, by key, by subject, by address. */
export const LEAF_KINDS = {
  'dual-use-rsa': {},
  'dual-use-ec': { key: 'ec' },
  'signing-rsa': { use: 'signing' },
  'signing-ec': { use: 'signing', key: 'ec' },
  'encryption-rsa': { use: 'encryption' },
  'encryption-ec': { use: 'encryption', key: 'ec' },
  'dual-use-rsa-3072': { size: 3072 },
  'dual-use-rsa-4096': { size: 4096 },
  'dual-use-p-384': { key: 'ec', size: 'P-384' },
  sponsor: { request: { subject: SPONSOR } },
  'several-addresses': { request: { addresses: ['ana@acme.example', 'a.unal@acme.example', 'a@b.example'] } },
  'international-domain': { request: { addresses: ['ana@bücher.example'] } },
  'below-ec-ca': { key: 'ec', ca: 'ec-' },
  'below-rsa-3072-ca': { ca: 'rsa-3072-' },
  'below-rsa-4096-ca': { ca: 'rsa-4096-' },
  'long-address': { request: { addresses: [`${'a'.repeat(60)}@${'b'.repeat(60)}.example`] } },
} as const satisfies Record<string, LeafKind>;

export type LeafKindName = keyof typeof LEAF_KINDS;
export type Files = Readonly<Record<string, Uint8Array | string>>;

const pem = (...ders: readonly Uint8Array[]) => ders.map((der) => derToPem('CERTIFICATE', der)).join('');
/** The same with the last octet changed, which is the signature's. */
const forged = (der: Uint8Array) =>
  Uint8Array.from(der, (octet, at) => (at === der.length - 1 ? octet ^ 1 : octet));

const publicKeyOfSize = (bits: 3072 | 4096): Uint8Array =>
  pemToDer(
    readFileSync(join(import.meta.dirname, `../vectors/public-keys/rsa-${bits}.pem`), 'utf8'),
    'PUBLIC KEY',
  );

interface Made {
  readonly files: Files;
  readonly goodDer: Uint8Array;
}

/** Another issuing CA under the same root, of RSA keys that take long to make: each is made once. */
async function rsaCa(root: SampleAuthority, bits: 3072 | 4096, urlBase: string, now: Date) {
  const { spkiDer, pkcs8Der } = await generateRsaKey(bits);
  const certificateDer = await makeIssuing({
    root: { certificateDer: root.root.certificateDer, signer: root.rootSigner },
    subject: { country: 'DE', organization: 'Acme GmbH', commonName: `Acme S/MIME Issuing CA RSA-${bits}` },
    spkiDer,
    serialHex: drawSerial(randomBytes),
    now,
    rootCrlUrl: `${urlBase}/root.crl`,
    rootUrl: `${urlBase}/root.cer`,
    policyOids: { own: EXAMPLE_POLICY_OID },
    trial: true,
  });
  const issuingSigner = signerFromPkcs8(pkcs8Der, { certificateDer });
  return { ...root, issuing: { certificateDer, pkcs8Der }, issuingSigner };
}

interface LeafOf {
  readonly serialHex: string;
  readonly state: 'good' | 'revoked';
}

/** An answer for each of these leaves, signed by a delegated signer of this CA: by `KIND.STATE.ocsp`. */
async function ocspAnswers(
  ca: SampleAuthority,
  issuer: LeafIssuer,
  leaves: ReadonlyMap<string, LeafOf>,
  now: Date,
): Promise<Files> {
  const key = await generateEcKey('P-256');
  const { certificateDer } = ca.issuing;
  const { tbsDer } = buildOcspSigner({
    issuer,
    spkiDer: key.spkiDer,
    subject: { country: 'DE', organization: 'Acme GmbH', commonName: 'Acme OCSP signer' },
    serialHex: drawSerial(randomBytes),
    now,
    validityDays: 14,
  });
  const signerCertificateDer = await issueCertificate({
    tbsDer: madeOffline(tbsDer),
    profile: OCSP_SIGNER,
    issuerCertificateDer: certificateDer,
    signer: ca.issuingSigner,
    signingTime: now,
  });
  const names = [...leaves.keys()];
  const answers = await issueOcspAnswers({
    tbsDers: [...leaves.values()].map(({ serialHex, state }) =>
      madeOffline(
        encodeOcspAnswer({
          issuer: issuerHashes(certificateDer, 'sha256'),
          hash: 'sha256',
          responderKeyHash: responderKeyHash(key.spkiDer),
          serialHex,
          status:
            state === 'good'
              ? { kind: 'good' }
              : { kind: 'revoked', reason: 'keyCompromise', revokedAt: now },
          now,
          nextUpdate: new Date(Math.floor(now.getTime() / 1000) * 1000 + 3 * 86_400_000),
        }),
      ),
    ),
    issuerCertificateDer: certificateDer,
    signerCertificateDer,
    signer: signerFromPkcs8(key.pkcs8Der, { certificateDer: signerCertificateDer }),
    signingTime: now,
  });
  return Object.fromEntries(answers.map((answer, index) => [`${names[index]}.ocsp`, answer]));
}

/** A CA's certificates, its CRLs, the leaves below it and, for other CAs than the first, an OCSP answer about each. */
async function leavesAndCrls(
  ca: SampleAuthority,
  issuer: LeafIssuer,
  prefix: '' | OtherCa,
  now: Date,
): Promise<Made> {
  const [p256, p384] = await Promise.all([generateEcKey('P-256'), generateEcKey('P-384')]);
  const spkiOf = ({ key, size }: LeafKind): Uint8Array => {
    if (size === 'P-384') return p384.spkiDer;
    if (size !== undefined) return publicKeyOfSize(size);
    return key === 'ec' ? p256.spkiDer : ca.userKey.spkiDer;
  };
  const above = [ca.issuing.certificateDer, ca.root.certificateDer] as const;
  const files: Record<string, Uint8Array | string> = {
    [`${prefix}root.pem`]: pem(above[1]),
    [`${prefix}issuing.pem`]: pem(above[0]),
  };
  const leaves = new Map<string, LeafOf>();
  let goodDer: Uint8Array = new Uint8Array();
  for (const [name, kind] of Object.entries<LeafKind>(LEAF_KINDS)) {
    if ((kind.ca ?? '') !== prefix) continue;
    const key = kind.key ?? 'rsa';
    const profile = leafProfileFor(
      kind.use ?? 'dual-use',
      key,
      kind.request?.subject === undefined ? 'mailbox' : 'sponsor',
    );
    for (const state of ['good', 'revoked'] as const) {
      const { tbsDer } = buildLeaf(
        ca.leafRequest({
          issuer,
          profile,
          spkiDer: spkiOf(kind),
          addresses: [`${name}@acme.example`],
          ...kind.request,
        }),
      );
      const der = await issueCertificate({
        tbsDer: madeOffline(tbsDer),
        profile,
        issuerCertificateDer: above[0],
        signer: ca.issuingSigner,
        signingTime: now,
      });
      leaves.set(`${name}.${state}`, { serialHex: readCertificate(der).serialHex, state });
      if (state === 'good') goodDer = der;
      files[`${name}.${state}.pem`] = pem(der);
      files[`${name}.${state}.chain.pem`] = pem(der, ...above);
    }
  }
  const { tbsDer: crlTbs } = buildCrl({
    issuerCertificateDer: above[0],
    crlNumber: 3n,
    now,
    entries: [...leaves.values()]
      .flatMap(({ serialHex, state }) => (state === 'revoked' ? [serialHex] : []))
      .toSorted()
      .map((serialHex) => ({ serialHex, reason: 'keyCompromise' as const, revokedAt: now })),
  });
  const crl = await issueCrl({
    tbsDer: madeOffline(crlTbs),
    issuerCertificateDer: above[0],
    signer: ca.issuingSigner,
    signingTime: now,
  });
  return {
    goodDer,
    files: {
      ...files,
      ...(prefix === '' ? {} : await ocspAnswers(ca, issuer, leaves, now)),
      [`${prefix}issuing.crl`]: crl,
      [`${prefix}root.crl`]: ca.root.crlDer,
      [`${prefix}crls.pem`]: [crl, ca.root.crlDer].map((der) => derToPem('X509 CRL', der)).join(''),
    },
  };
}

/**
 * `urlBase` is where the CRLs will be fetched from; `/ec/` in an address is `ec-` in the name, and so on. For each leaf kind there are
 * `KIND.good.pem` and `KIND.revoked.pem`.
 */
export async function outsideArtefacts(urlBase: string): Promise<Files> {
  const now = new Date();
  const [ca, ecCa, auditKey, device] = await Promise.all([
    sampleAuthority({ now, trial: true, urlBase }),
    sampleAuthority({ now, trial: true, urlBase: `${urlBase}/ec`, curve: 'P-384' }),
    generateEcKey('P-256'),
    generateRsaKey(2048),
  ]);
  const issuerOf = (of: SampleAuthority, base: string): LeafIssuer => ({
    certificateDer: of.issuing.certificateDer,
    crlUrl: `${base}/issuing.crl`,
    issuerUrl: `${base}/issuing.cer`,
  });
  const issuer = issuerOf(ca, urlBase);
  const above = [ca.issuing.certificateDer, ca.root.certificateDer] as const;
  const { files, goodDer } = await leavesAndCrls(ca, issuer, '', now);
  const below = await Promise.all([
    leavesAndCrls(ecCa, issuerOf(ecCa, `${urlBase}/ec`), 'ec-', now),
    ...([3072, 4096] as const).map(async (bits) => {
      const rsa = await rsaCa(ca, bits, urlBase, now);
      return leavesAndCrls(rsa, issuerOf(rsa, `${urlBase}/rsa-${bits}`), `rsa-${bits}-`, now);
    }),
  ]);
  const rootRevoking = await makeRootCrl({
    rootDer: above[1],
    signer: ca.rootSigner,
    previousDer: ca.root.crlDer,
    now,
    revoke: { certificateDer: above[0], reason: 'keyCompromise' },
  });
  const csr = await makeIssuingCsr(
    { country: 'DE', organization: 'Acme GmbH', commonName: 'Acme S/MIME Issuing CA 2' },
    ca.issuingSigner,
  );
  const deviceCsr = await buildCertificationRequest(
    'Ana’s phone',
    signerFromPkcs8(device.pkcs8Der, { algorithm: 'sha256WithRSA' }),
  );
  const audit = buildAuditSigner({
    issuer,
    spkiDer: auditKey.spkiDer,
    subject: { country: 'DE', organization: 'Acme GmbH', commonName: 'Acme audit signer' },
    serialHex: drawSerial(randomBytes),
    now,
    validityDays: 365,
  });
  const auditDer = await issueCertificate({
    tbsDer: madeOffline(audit.tbsDer),
    profile: AUDIT_SIGNER,
    issuerCertificateDer: above[0],
    signer: ca.issuingSigner,
    signingTime: now,
  });
  const checkpoint = await signText({
    text: 'Sealwright audit checkpoint, version 1\nnumber: 1\n',
    signer: signerFromPkcs8(auditKey.pkcs8Der, { certificateDer: auditDer }),
    signerCertificateDer: auditDer,
    chainDer: [above[0]],
    signingTime: now,
  });
  const changed = Buffer.from(checkpoint);
  changed.write('2', changed.indexOf('number: 1') + 8);
  return {
    ...files,
    ...Object.assign({}, ...below.map((made) => made.files)),
    'root-key.pem': encryptPrivateKeyPem(ca.root.pkcs8Der, PASSWORD, randomBytes, 10_000),
    'root-revoking.crl': rootRevoking,
    'pkcs7.pem': derToPem('PKCS7', certsOnlyPkcs7([goodDer, ...above])),
    'pkcs7.bad.pem': derToPem('PKCS7', certsOnlyPkcs7([forged(goodDer), ...above])),
    'ca.csr': derToPem('CERTIFICATE REQUEST', csr),
    'ca.bad.csr': derToPem('CERTIFICATE REQUEST', forged(csr)),
    'device.csr': derToPem('CERTIFICATE REQUEST', deviceCsr),
    'device.bad.csr': derToPem('CERTIFICATE REQUEST', forged(deviceCsr)),
    'audit.pem': pem(auditDer),
    'checkpoint.p7': checkpoint,
    'checkpoint.bad.p7': changed,
    'bundle.pem': pem(goodDer, ...above),
    'bundle.bad.pem': pem(goodDer, forged(above[0]), above[1]),
  };
}
