import { createHash, type KeyObject, X509Certificate } from 'node:crypto';
import { Certificate } from 'pkijs';

/** How CMS names a certificate, RFC 5652 section 10.2.4, and what the client does with it. */
export interface MailCertificate {
  readonly der: Buffer;
  /** The issuer's name as the DER that stands in the certificate. */
  readonly issuerDn: Buffer;
  /** The serial number's content octets. */
  readonly serial: Buffer;
  /** Content of the subjectKeyIdentifier extension, if there is one. */
  readonly subjectKeyId: Buffer | undefined;
  readonly publicKey: KeyObject;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Standard base64 SHA-256 of the DER SubjectPublicKeyInfo. */
  readonly spkiHashBase64: string;
}

const SUBJECT_KEY_IDENTIFIER = '2.5.29.14';
const OCTET_STRING_HEADER_BYTES = 2;

/** Throws when the bytes are no certificate. */
export function readMailCertificate(der: Buffer): MailCertificate {
  const x509 = new X509Certificate(der);
  const certificate = Certificate.fromBER(der);
  const keyId = certificate.extensions?.find((extension) => extension.extnID === SUBJECT_KEY_IDENTIFIER);
  return {
    der,
    issuerDn: Buffer.from(certificate.issuer.valueBeforeDecode),
    serial: Buffer.from(certificate.serialNumber.valueBlock.valueHexView),
    subjectKeyId:
      keyId === undefined
        ? undefined
        : Buffer.from(keyId.extnValue.valueBlock.valueHexView).subarray(OCTET_STRING_HEADER_BYTES),
    publicKey: x509.publicKey,
    notBefore: x509.validFromDate,
    notAfter: x509.validToDate,
    spkiHashBase64: createHash('sha256')
      .update(x509.publicKey.export({ type: 'spki', format: 'der' }))
      .digest('base64'),
  };
}
