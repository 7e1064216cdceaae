/** Writing CMS SignedData (RFC 5652) as S/MIME wants it, in DER. The private key is elsewhere: signing comes in two steps. */
import { createHash } from 'node:crypto';
import { Constructed, Set as DerSet, Integer, ObjectIdentifier, OctetString, UTCTime } from 'asn1js';
import type { MailCertificate } from './certificate.ts';
import { OID, WRITTEN_CIPHERS } from './cms-oids.ts';
import {
  algorithm,
  attribute,
  childrenOf,
  contentInfo,
  derSetOf,
  issuerAndSerial,
  parsed,
  sequence,
  sorted,
  tag,
} from './der.ts';

/** What the signer tells recipients about answering, RFC 8551 section 2.5. */
export interface SignerWishes {
  /** Whether the signer reads AES-GCM, which is what S/MIME 4.0 adds. */
  readonly readsGcm: boolean;
  /** The certificate to encrypt answers to, when it is not the signing one. */
  readonly encryptTo: MailCertificate | undefined;
}

/**
 * DER of the SignedAttributes SET OF over `content`, SHA-256: contentType, signingTime, messageDigest,
 * sMIMECapabilities, and encryptionKeyPreference where answers go to another certificate.
 */
export function signedAttributes(content: Buffer, signingTime: Date, wishes: SignerWishes): Buffer {
  const digest = createHash('sha256').update(content).digest();
  const ciphers = Object.values(WRITTEN_CIPHERS)
    .filter(({ authenticated }) => !authenticated || wishes.readsGcm)
    .toReversed();
  return derSetOf([
    attribute(OID.contentType, new ObjectIdentifier({ value: OID.data })),
    attribute(OID.signingTime, new UTCTime({ valueDate: signingTime })),
    attribute(OID.messageDigest, new OctetString({ valueHex: digest })),
    // SMIMECapability has no parameters for AES (RFC 3565 section 4.1, RFC 5084 section 4.1).
    attribute(
      OID.smimeCapabilities,
      sequence(...ciphers.map(({ oid }) => sequence(new ObjectIdentifier({ value: oid })))),
    ),
    ...(wishes.encryptTo === undefined ? [] : [encryptionKeyPreference(wishes.encryptTo)]),
  ]);
}

/** SMIMEEncryptionKeyPreference, its first choice: [0] IMPLICIT IssuerAndSerialNumber. */
const encryptionKeyPreference = (certificate: MailCertificate) =>
  attribute(
    OID.encryptionKeyPreference,
    new Constructed({ idBlock: tag(0), value: issuerAndSerial(certificate).valueBlock.value }),
  );

/**
 * DER of a ContentInfo with SignedData by one RSA signer (PKCS#1 v1.5, SHA-256), detached unless it has the content. `signature` is over the
 * digest of `attributes`, as `signedAttributes` gave them. The leaf and the CAs below the root go along.
 */
export function signedData(parts: {
  readonly attributes: Buffer;
  readonly signature: Buffer;
  readonly signer: MailCertificate;
  readonly certificates: readonly Buffer[];
  readonly content: Buffer | undefined;
}): Buffer {
  const signerInfo = sequence(
    new Integer({ value: 1 }),
    issuerAndSerial(parts.signer),
    algorithm(OID.sha256),
    // [0] IMPLICIT SET OF: the same content under another tag.
    new Constructed({ idBlock: tag(0), value: childrenOf(parts.attributes) }),
    algorithm(OID.rsaEncryption),
    new OctetString({ valueHex: parts.signature }),
  );
  return contentInfo(
    OID.signedData,
    sequence(
      new Integer({ value: 1 }),
      new DerSet({ value: [algorithm(OID.sha256)] }),
      sequence(
        new ObjectIdentifier({ value: OID.data }),
        ...(parts.content === undefined
          ? []
          : [new Constructed({ idBlock: tag(0), value: [new OctetString({ valueHex: parts.content })] })]),
      ),
      new Constructed({ idBlock: tag(0), value: sorted(parts.certificates).map(parsed) }),
      new DerSet({ value: [signerInfo] }),
    ),
  );
}
