/** Reading CMS (RFC 5652) as other mail programs write it, BER included. */
import { constants, createDecipheriv, createHash, type KeyObject, verify } from 'node:crypto';
import { ObjectIdentifier, OctetString, UTCTime } from 'asn1js';
import {
  type Attribute,
  Certificate,
  ContentInfo,
  EnvelopedData,
  IssuerAndSerialNumber,
  KeyTransRecipientInfo,
  RSAESOAEPParams,
  RSASSAPSSParams,
  SignedData,
  type SignerInfo,
} from 'pkijs';
import { type MailCertificate, readMailCertificate } from './certificate.ts';
import { CIPHERS, DIGESTS, OID } from './cms-oids.ts';

/** Names a certificate the way a SignerInfo or RecipientInfo does. */
export type CertificateName =
  | { readonly kind: 'issuer-and-serial'; readonly issuerDn: Buffer; readonly serial: Buffer }
  | { readonly kind: 'key-id'; readonly keyId: Buffer };

/** The content key as it was sent to one recipient. */
export interface SealedKey {
  readonly recipient: CertificateName;
  /** Algorithm in the key service's spelling, such as `RSA/ECB/PKCS1Padding`. */
  readonly algorithm: string;
  readonly encryptedKey: Buffer;
  /** Label of RSAES-OAEP, when it is not empty. */
  readonly oaepLabel: Buffer | undefined;
}

export interface Envelope {
  readonly keys: readonly SealedKey[];
  /** The content, with the key that one of `keys` held. Throws a sentence when the key does not fit. */
  readonly open: (key: Buffer) => Buffer;
}

export interface SignedContent {
  /** What was signed, when the message carries it inside (opaque signing). */
  readonly content: Buffer | undefined;
  /** The signer's certificate first, then the others that were sent along. */
  readonly certificates: readonly Buffer[];
  readonly signedAt: Date | undefined;
  /** Checks the signature over `content`; answers why it does not hold, as a sentence. */
  readonly problem: (content: Buffer) => string | undefined;
}

export type Cms =
  | { readonly kind: 'enveloped'; readonly envelope: Envelope }
  | { readonly kind: 'signed'; readonly signed: SignedContent };

/** Throws an error with a plain sentence for anything but EnvelopedData or SignedData by one signer. */
export function readCms(ber: Buffer): Cms {
  let info: ContentInfo;
  try {
    info = ContentInfo.fromBER(ber);
  } catch (error) {
    throw new Error('The S/MIME part holds no CMS message.', { cause: error });
  }
  if (info.contentType === OID.envelopedData) {
    return { kind: 'enveloped', envelope: envelopeOf(new EnvelopedData({ schema: info.content })) };
  }
  if (info.contentType === OID.signedData) {
    return { kind: 'signed', signed: signedContentOf(new SignedData({ schema: info.content })) };
  }
  throw new Error(
    `The S/MIME part holds CMS content of the type ${info.contentType}, which is not supported.`,
  );
}

export function isNamed(certificate: MailCertificate, name: CertificateName): boolean {
  return name.kind === 'key-id'
    ? (certificate.subjectKeyId?.equals(name.keyId) ?? false)
    : certificate.issuerDn.equals(name.issuerDn) && certificate.serial.equals(name.serial);
}

function envelopeOf(data: EnvelopedData): Envelope {
  const keys = data.recipientInfos.flatMap(({ value }) =>
    value instanceof KeyTransRecipientInfo ? [sealedKeyOf(value)] : [],
  );
  const { encryptedContentInfo } = data;
  const { algorithmId, algorithmParams } = encryptedContentInfo.contentEncryptionAlgorithm;
  return {
    keys,
    open: (key) => {
      const cipher = CIPHERS[algorithmId];
      if (cipher === undefined || !(algorithmParams instanceof OctetString)) {
        throw new Error(`The message is encrypted with ${algorithmId}, which is not supported.`);
      }
      try {
        const decipher = createDecipheriv(cipher, key, Buffer.from(algorithmParams.getValue()));
        const encrypted = Buffer.from(encryptedContentInfo.getEncryptedContent());
        return Buffer.concat([decipher.update(encrypted), decipher.final()]);
      } catch (error) {
        throw new Error('The content key does not open the message.', { cause: error });
      }
    },
  };
}

function sealedKeyOf(info: KeyTransRecipientInfo): SealedKey {
  const { algorithmId, algorithmParams } = info.keyEncryptionAlgorithm;
  const sealed = {
    recipient: nameOf(info.rid),
    encryptedKey: Buffer.from(info.encryptedKey.getValue()),
  };
  if (algorithmId === OID.rsaEncryption) {
    return { ...sealed, algorithm: 'RSA/ECB/PKCS1Padding', oaepLabel: undefined };
  }
  if (algorithmId !== OID.rsaesOaep) return { ...sealed, algorithm: algorithmId, oaepLabel: undefined };
  const oaep = new RSAESOAEPParams({ schema: algorithmParams });
  const hash = DIGESTS[oaep.hashAlgorithm.algorithmId]?.replace('sha', 'SHA-') ?? 'SHA-1';
  const label: unknown = oaep.pSourceAlgorithm.algorithmParams;
  const bytes = label instanceof OctetString ? Buffer.from(label.getValue()) : Buffer.alloc(0);
  return {
    ...sealed,
    algorithm: `RSA/ECB/OAEPwith${hash}andMGF1Padding`,
    oaepLabel: bytes.length === 0 ? undefined : bytes,
  };
}

function nameOf(identifier: unknown): CertificateName {
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

function signedContentOf(data: SignedData): SignedContent {
  const [signer, second] = data.signerInfos;
  if (signer === undefined) throw new Error('The S/MIME signature has no signer.');
  if (second !== undefined)
    throw new Error('The S/MIME signature has several signers, which is not supported.');
  const sent = (data.certificates ?? [])
    .filter((entry) => entry instanceof Certificate)
    .map((certificate) => readMailCertificate(Buffer.from(certificate.toSchema().toBER())));
  const name = nameOf(signer.sid);
  const leaf = sent.find((certificate) => isNamed(certificate, name));
  if (leaf === undefined) throw new Error("The S/MIME signature does not carry its signer's certificate.");
  const inner = data.encapContentInfo.eContent;
  return {
    content: inner === undefined ? undefined : Buffer.from(inner.getValue()),
    certificates: [leaf.der, ...sent.filter((other) => other !== leaf).map((other) => other.der)],
    signedAt: signingTimeOf(signer),
    problem: (content) => signatureProblem(signer, leaf.publicKey, content),
  };
}

function signatureProblem(signer: SignerInfo, key: KeyObject, content: Buffer): string | undefined {
  const digest = DIGESTS[signer.digestAlgorithm.algorithmId];
  if (digest === undefined) {
    return `The message is signed over the digest ${signer.digestAlgorithm.algorithmId}, which is not accepted.`;
  }
  if (signer.signedAttrs === undefined) return 'The signature has no signed attributes.';
  const claimed = attributeOf(signer, OID.messageDigest);
  const actual = createHash(digest).update(content).digest();
  if (!(claimed instanceof OctetString) || !actual.equals(Buffer.from(claimed.getValue()))) {
    return 'The message was changed after it was signed: its digest is another one.';
  }
  const contentType = attributeOf(signer, OID.contentType);
  if (!(contentType instanceof ObjectIdentifier) || contentType.getValue() !== OID.data) {
    return 'The signature is over content of another type.';
  }
  const signed = Buffer.from(signer.signedAttrs.encodedValue);
  const bytes = Buffer.from(signer.signature.getValue());
  return verify(digest, signed, { key, ...paddingOf(signer) }, bytes)
    ? undefined
    : "The signature does not verify under the signer's key.";
}

function paddingOf(signer: SignerInfo): { padding?: number; saltLength?: number } {
  if (signer.signatureAlgorithm.algorithmId !== OID.rsassaPss) return {};
  const { saltLength } = new RSASSAPSSParams({ schema: signer.signatureAlgorithm.algorithmParams });
  return { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength };
}

function signingTimeOf(signer: SignerInfo): Date | undefined {
  const value = attributeOf(signer, OID.signingTime);
  // GeneralizedTime is a UTCTime too in asn1js.
  return value instanceof UTCTime ? value.toDate() : undefined;
}

function attributeOf(signer: SignerInfo, type: string): unknown {
  const found =
    signer.signedAttrs?.attributes.filter((attribute: Attribute) => attribute.type === type) ?? [];
  return found.length === 1 ? found[0]?.values[0] : undefined;
}
