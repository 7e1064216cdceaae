import { beforeAll, describe, expect, it } from 'vitest';
import { madeOffline } from '../../shared/domain/recorded.ts';
import { type Authority, createAuthority } from '../../shared/pki/authority.ts';
import { issueCertificate } from '../../shared/pki/issue.ts';
import { generateEcKey } from '../../shared/pki/key.ts';
import { EXAMPLE_POLICY_OID } from '../../shared/pki/oids.ts';
import { derToPem } from '../../shared/pki/pem.ts';
import { AUDIT_SIGNER } from '../../shared/pki/profile.ts';
import { drawSerial } from '../../shared/pki/serial.ts';
import { buildAuditSigner } from '../../shared/pki/service-certificate.ts';
import { signText } from '../../shared/pki/signed-text.ts';
import { readSignedText } from '../../shared/pki/signed-text-reader.ts';
import { signerFromPkcs8 } from '../../shared/pki/signer.ts';
import { openssl, opensslInstalled } from './openssl.ts';
import { CRL_URL, ISSUER_URL, NOW, seededRandom } from './sample-authority.ts';

const TEXT = 'Sealwright audit checkpoint, version 1\nnumber: 1\nhöher\r\n';
const random = seededRandom('signed text');

let ca: Authority;
let certificateDer: Uint8Array;
let signedDer: Uint8Array;

beforeAll(async () => {
  ca = await createAuthority({
    country: 'DE',
    organization: 'Acme GmbH',
    rootName: 'Acme S/MIME Root 1',
    issuingName: 'Acme S/MIME Issuing CA 1',
    rootCrlUrl: 'http://pki.acme.example/root.crl',
    rootUrl: 'http://pki.acme.example/root.cer',
    policyOids: { own: EXAMPLE_POLICY_OID },
    now: NOW,
    random,
    curve: 'P-256',
  });
  const key = await generateEcKey('P-256');
  const { tbsDer } = buildAuditSigner({
    issuer: { certificateDer: ca.issuing.certificateDer, crlUrl: CRL_URL, issuerUrl: ISSUER_URL },
    spkiDer: key.spkiDer,
    subject: { country: 'DE', organization: 'Acme GmbH', commonName: 'S/MIME audit signer' },
    serialHex: drawSerial(random),
    now: NOW,
    validityDays: 365,
  });
  certificateDer = await issueCertificate({
    tbsDer: madeOffline(tbsDer),
    profile: AUDIT_SIGNER,
    issuerCertificateDer: ca.issuing.certificateDer,
    signer: signerFromPkcs8(ca.issuing.pkcs8Der),
    signingTime: NOW,
  });
  signedDer = await signText({
    text: TEXT,
    signer: signerFromPkcs8(key.pkcs8Der, { certificateDer }),
    signerCertificateDer: certificateDer,
    chainDer: [ca.issuing.certificateDer],
    signingTime: NOW,
  });
});

describe('a signed text', () => {
  it('is read back with its signer, octet for octet', () => {
    const { text, signer, chainDer, signingTime } = readSignedText(signedDer);
    expect(text).toBe(TEXT);
    expect(Buffer.from(signer.certificateDer)).toEqual(Buffer.from(certificateDer));
    expect(chainDer.map((der) => Buffer.from(der))).toEqual([Buffer.from(ca.issuing.certificateDer)]);
    expect(signingTime).toEqual(new Date(Math.floor(NOW.getTime() / 1000) * 1000));
  });

  it('does not survive a flipped bit in its text, its attributes or its signature', () => {
    const places = [
      Buffer.from(signedDer).indexOf(Buffer.from('number: 1')),
      Buffer.from(signedDer).lastIndexOf(Buffer.from('2a864886f70d010905', 'hex')) + 15,
      signedDer.length - 5,
    ];
    for (const place of places) {
      const changed = Uint8Array.from(signedDer);
      changed[place] = (changed[place] ?? 0) ^ 1;
      expect(() => readSignedText(changed), `octet ${place}`).toThrow();
    }
  });

  it.each([0, 1, 40, 400])(
    'that is cut short by %i octets or is rubbish is refused in a sentence',
    (short) => {
      const cut = short === 0 ? Buffer.from('rubbish') : signedDer.subarray(0, signedDer.length - short);
      expect(() => readSignedText(cut)).toThrow(/cut short|must be|is missing|no SignedData|expected/);
    },
  );
});

// Skipped, by name, where OpenSSL is not installed.
describe.skipIf(!opensslInstalled)('OpenSSL', () => {
  const verify = (der: Uint8Array) =>
    openssl(
      [
        ...['cms', '-verify', '-inform', 'DER', '-in', 'checkpoint.p7s', '-binary', '-purpose', 'any'],
        ...['-CAfile', 'root.pem', '-attime', `${Math.floor(NOW.getTime() / 1000)}`],
      ],
      { 'checkpoint.p7s': der, 'root.pem': derToPem('CERTIFICATE', ca.root.certificateDer) },
    );

  it('verifies it up to the root and prints the text', () => {
    const { status, output, text } = verify(signedDer);
    expect(status, text).toBe(0);
    expect(output.toString()).toBe(TEXT);
  });

  it('refuses it with another text', () => {
    const changed = Buffer.from(signedDer);
    changed.write('number: 2', changed.indexOf('number: 1'));
    expect(verify(changed).status).not.toBe(0);
  });
});
