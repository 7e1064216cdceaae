/**
 * Certificates-only PKCS#7 (RFC 5652 §5.1, a SignedData without content and signers), as Gmail takes a chain and as
 * `openssl crl2pkcs7 -nocrl` writes it.
 */
import { contextConstructed, integer, oid, sequence, tlv } from './der.ts';
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
