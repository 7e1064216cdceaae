/**
 * Certificates-only PKCS#7 (RFC 5652 §5.1, a SignedData without content and signers), as Gmail takes a chain and as
 * `openssl crl2pkcs7 -nocrl` writes it.
 */
import { derFromBer } from './ber.ts';
import { contextConstructed, integer, oid, sequence, tlv } from './der.ts';
import { DerError, inside, readOid, readWhole } from './der-reader.ts';
import { derToPem } from './pem.ts';

const emptySet = () => tlv(0x31);

/**
 * DER with the certificates in the given order (leaf, issuing CA, root is what working Gmail clients send). Version 1,
 * no digest algorithms, no CRLs, no signers.
 */
export const certsOnlyPkcs7 = (certificatesDer: readonly Uint8Array[]): Uint8Array =>
  sequence(
    oid('1.2.840.113549.1.7.2'),
    contextConstructed(
      0,
      sequence(
        integer(1),
        emptySet(),
        sequence(oid('1.2.840.113549.1.7.1')),
        contextConstructed(0, ...certificatesDer),
        emptySet(),
      ),
    ),
  );

/**
 * The text Gmail's `pkcs7` field takes: PEM labelled PKCS7 over leaf, issuing CA and root. The chain must be whole:
 * "complete up to and including the root" (https://support.google.com/a/answer/13069736).
 */
export const gmailPkcs7Pem = (leafDer: Uint8Array, chainDer: readonly Uint8Array[]): string =>
  derToPem('PKCS7', certsOnlyPkcs7([leafDer, ...chainDer]));

/**
 * The certificates of any PKCS#7 SignedData, DER or BER, in the file's order; content, CRLs and signers are passed over.
 * Throws `DerError` for bytes that are none.
 */
export function readPkcs7Certificates(bytes: Uint8Array): readonly Uint8Array[] {
  const info = inside(readWhole(derFromBer(bytes), 'SEQUENCE', 'the PKCS#7 file'));
  if (readOid(info.next()) !== '1.2.840.113549.1.7.2') throw new DerError('it is no SignedData', 0);
  const content = info.takeIf(0xa0);
  info.end('the PKCS#7 file');
  if (content === undefined) throw new DerError('the SignedData is missing', 0);
  const signedData = inside(inside(content).take('SEQUENCE'));
  signedData.take('INTEGER');
  signedData.take('SET');
  signedData.take('SEQUENCE');
  const list = signedData.takeIf(0xa0);
  const certificates: Uint8Array[] = [];
  if (list === undefined) return certificates;
  const cursor = inside(list);
  while (!cursor.atEnd) {
    const element = cursor.next();
    // The other choices (attribute certificates, obsolete forms) carry context tags.
    if (element.tag === 0x30) certificates.push(element.der);
  }
  return certificates;
}
