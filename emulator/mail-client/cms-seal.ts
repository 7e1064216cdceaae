/** Writing CMS for recipients, in DER: EnvelopedData (RFC 5652) and AuthEnvelopedData (RFC 5083, 5084). */
import { constants, createCipheriv, publicEncrypt, randomBytes } from 'node:crypto';
import {
  type BaseBlock,
  Constructed,
  Integer,
  ObjectIdentifier,
  OctetString,
  Primitive,
  type Sequence,
} from 'asn1js';
import type { MailCertificate } from './certificate.ts';
import { OID, WRITTEN_CIPHERS, type WrittenCipher } from './cms-oids.ts';
import { algorithm, contentInfo, derSetOf, issuerAndSerial, parsed, sequence, tag } from './der.ts';

const CBC_IV_BYTES = 16;
/** What every implementation takes, RFC 5084 section 3.2. */
const GCM_NONCE_BYTES = 12;
const GCM_TAG_BYTES = 16;

/** `pkcs1` is RSAES-PKCS1-v1_5; `oaep` is RSAES-OAEP with SHA-256 and MGF1 with SHA-256, without a label. */
export type KeyTransport = 'pkcs1' | 'oaep';

export interface Sealing {
  readonly cipher: WrittenCipher;
  readonly keyTransport: KeyTransport;
}

/**
 * DER of a ContentInfo for RSA recipients. AES-CBC makes EnvelopedData, which S/MIME 3.2 has; AES-GCM makes
 * AuthEnvelopedData, which came with 4.0.
 */
export function sealedData(
  content: Buffer,
  recipients: readonly MailCertificate[],
  sealing: Sealing,
): Buffer {
  const { oid, keyBytes, authenticated } = WRITTEN_CIPHERS[sealing.cipher];
  const key = randomBytes(keyBytes);
  const infos = parsed(derSetOf(recipients.map((recipient) => recipientInfo(recipient, key, sealing))));
  if (!authenticated) {
    const iv = randomBytes(CBC_IV_BYTES);
    const cipher = createCipheriv(sealing.cipher, key, iv);
    const encrypted = Buffer.concat([cipher.update(content), cipher.final()]);
    const info = encryptedContentInfo(oid, new OctetString({ valueHex: iv }), encrypted);
    return contentInfo(OID.envelopedData, sequence(new Integer({ value: 0 }), infos, info));
  }
  const nonce = randomBytes(GCM_NONCE_BYTES);
  const cipher = createCipheriv(sealing.cipher as 'aes-256-gcm', key, nonce, {
    authTagLength: GCM_TAG_BYTES,
  });
  const encrypted = Buffer.concat([cipher.update(content), cipher.final()]);
  const parameters = sequence(new OctetString({ valueHex: nonce }), new Integer({ value: GCM_TAG_BYTES }));
  return contentInfo(
    OID.authEnvelopedData,
    sequence(
      new Integer({ value: 0 }),
      infos,
      encryptedContentInfo(oid, parameters, encrypted),
      new OctetString({ valueHex: cipher.getAuthTag() }),
    ),
  );
}

const encryptedContentInfo = (oid: string, parameters: BaseBlock, encrypted: Buffer): Sequence =>
  sequence(
    new ObjectIdentifier({ value: OID.data }),
    sequence(new ObjectIdentifier({ value: oid }), parameters),
    new Primitive({ idBlock: tag(0), valueHex: encrypted }),
  );

function recipientInfo(recipient: MailCertificate, key: Buffer, { keyTransport }: Sealing): Sequence {
  const padding =
    keyTransport === 'oaep'
      ? { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }
      : { padding: constants.RSA_PKCS1_PADDING };
  const encrypted = publicEncrypt({ key: recipient.publicKey, ...padding }, key);
  return sequence(
    new Integer({ value: 0 }),
    issuerAndSerial(recipient),
    keyTransport === 'oaep' ? oaepAlgorithm() : algorithm(OID.rsaEncryption),
    new OctetString({ valueHex: encrypted }),
  );
}

/** RFC 8017 A.2.1; the label is left at its default, empty. */
const oaepAlgorithm = (): Sequence =>
  sequence(
    new ObjectIdentifier({ value: OID.rsaesOaep }),
    sequence(
      new Constructed({ idBlock: tag(0), value: [algorithm(OID.sha256)] }),
      new Constructed({
        idBlock: tag(1),
        value: [sequence(new ObjectIdentifier({ value: OID.mgf1 }), algorithm(OID.sha256))],
      }),
    ),
  );
