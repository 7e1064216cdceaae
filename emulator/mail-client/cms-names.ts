import { IssuerAndSerialNumber } from 'pkijs';
import type { MailCertificate } from './certificate.ts';

/** Names a certificate the way a SignerInfo or RecipientInfo does. */
export type CertificateName =
  | { readonly kind: 'issuer-and-serial'; readonly issuerDn: Buffer; readonly serial: Buffer }
  | { readonly kind: 'key-id'; readonly keyId: Buffer };

export function isNamed(certificate: MailCertificate, name: CertificateName): boolean {
  return name.kind === 'key-id'
    ? (certificate.subjectKeyId?.equals(name.keyId) ?? false)
    : certificate.issuerDn.equals(name.issuerDn) && certificate.serial.equals(name.serial);
}

/** Of a SignerIdentifier or RecipientIdentifier as pkijs reads it. */
export function nameOf(identifier: unknown): CertificateName {
  if (identifier instanceof IssuerAndSerialNumber) {
    return {
      kind: 'issuer-and-serial',
      issuerDn: Buffer.from(identifier.issuer.valueBeforeDecode),
      serial: Buffer.from(identifier.serialNumber.valueBlock.valueHexView),
    };
  }
  // [0] IMPLICIT OCTET STRING comes as a primitive of its own class.
  const block = identifier as { valueBlock?: { valueHexView?: Uint8Array } };
  return { kind: 'key-id', keyId: Buffer.from(block.valueBlock?.valueHexView ?? []) };
}
