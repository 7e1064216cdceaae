/** Writing CMS (RFC 5652) as S/MIME 3.2 wants it, in DER. The private key is elsewhere: signing comes in two steps. */
import { constants, createCipheriv, createHash, publicEncrypt, randomBytes } from 'node:crypto';
import {
  type BaseBlock,
  Constructed,
  Set as DerSet,
  fromBER,
  Integer,
  Null,
  ObjectIdentifier,
  OctetString,
  Primitive,
  Sequence,
  UTCTime,
} from 'asn1js';
import type { MailCertificate } from './certificate.ts';
import { OID } from './cms-oids.ts';

const AES_256_KEY_BYTES = 32;
const AES_BLOCK_BYTES = 16;
const CONTEXT_CLASS = 3;

/** DER of the SignedAttributes SET OF (contentType, signingTime, messageDigest) over detached `content`, SHA-256. */
export function signedAttributes(content: Buffer, signingTime: Date): Buffer {
  const digest = createHash('sha256').update(content).digest();
  return derSetOf([
    attribute(OID.contentType, new ObjectIdentifier({ value: OID.data })),
    attribute(OID.signingTime, new UTCTime({ valueDate: signingTime })),
    attribute(OID.messageDigest, new OctetString({ valueHex: digest })),
  ]);
}

/**
 * DER of a ContentInfo with detached SignedData by one RSA signer (PKCS#1 v1.5, SHA-256). `signature` is over the
 * digest of `attributes`, as `signedAttributes` gave them. The leaf and the CAs below the root go along.
 */
export function signedData(parts: {
  readonly attributes: Buffer;
  readonly signature: Buffer;
  readonly signer: MailCertificate;
  readonly certificates: readonly Buffer[];
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
      sequence(new ObjectIdentifier({ value: OID.data })),
      new Constructed({ idBlock: tag(0), value: sorted(parts.certificates).map(parsed) }),
      new DerSet({ value: [signerInfo] }),
    ),
  );
}

/** DER of a ContentInfo with EnvelopedData: AES-256-CBC, the key sent to each RSA recipient with PKCS#1 v1.5. */
export function envelopedData(content: Buffer, recipients: readonly MailCertificate[]): Buffer {
  const key = randomBytes(AES_256_KEY_BYTES);
  const iv = randomBytes(AES_BLOCK_BYTES);
  const cipher = createCipheriv('aes-256-cbc', key, iv);
  const encrypted = Buffer.concat([cipher.update(content), cipher.final()]);
  const recipientInfos = recipients.map((recipient) =>
    sequence(
      new Integer({ value: 0 }),
      issuerAndSerial(recipient),
      algorithm(OID.rsaEncryption),
      new OctetString({
        valueHex: publicEncrypt({ key: recipient.publicKey, padding: constants.RSA_PKCS1_PADDING }, key),
      }),
    ),
  );
  return contentInfo(
    OID.envelopedData,
    sequence(
      new Integer({ value: 0 }),
      parsed(derSetOf(recipientInfos)),
      sequence(
        new ObjectIdentifier({ value: OID.data }),
        sequence(new ObjectIdentifier({ value: OID.aes256Cbc }), new OctetString({ valueHex: iv })),
        new Primitive({ idBlock: tag(0), valueHex: encrypted }),
      ),
    ),
  );
}

const tag = (tagNumber: number) => ({ tagClass: CONTEXT_CLASS, tagNumber });
const sequence = (...value: BaseBlock[]): Sequence => new Sequence({ value });
const der = (block: BaseBlock): Buffer => Buffer.from(block.toBER());

const attribute = (type: string, value: BaseBlock): Sequence =>
  sequence(new ObjectIdentifier({ value: type }), new DerSet({ value: [value] }));

const algorithm = (oid: string): Sequence => sequence(new ObjectIdentifier({ value: oid }), new Null());

const issuerAndSerial = ({ issuerDn, serial }: MailCertificate): Sequence =>
  sequence(parsed(issuerDn), new Integer({ valueHex: serial }));

const contentInfo = (type: string, content: BaseBlock): Buffer =>
  der(
    sequence(new ObjectIdentifier({ value: type }), new Constructed({ idBlock: tag(0), value: [content] })),
  );

/** X.690 section 11.6: the elements of a SET OF are in the order of their encodings. */
const derSetOf = (blocks: readonly BaseBlock[]): Buffer =>
  der(new DerSet({ value: sorted(blocks.map(der)).map(parsed) }));

const sorted = (encodings: readonly Buffer[]): readonly Buffer[] => encodings.toSorted(Buffer.compare);

function parsed(bytes: Buffer): BaseBlock {
  const { offset, result } = fromBER(bytes);
  if (offset !== bytes.length) throw new RangeError('These bytes are not one DER value.');
  return result as BaseBlock;
}

function childrenOf(set: Buffer): BaseBlock[] {
  const block = parsed(set);
  if (!(block instanceof DerSet)) throw new RangeError('These bytes are not a SET.');
  return block.valueBlock.value;
}
