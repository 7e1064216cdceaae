/** Reading CMS (RFC 5652, 5083) as other mail programs write it, BER included. */
import { constants, createHash, type KeyObject, verify, X509Certificate } from 'node:crypto';
import { Constructed, ObjectIdentifier, OctetString, Sequence, UTCTime } from 'asn1js';
import {
  type Attribute,
  Certificate,
  ContentInfo,
  EnvelopedData,
  IssuerAndSerialNumber,
  RSASSAPSSParams,
  SignedData,
  type SignerInfo,
} from 'pkijs';
import { type MailCertificate, readMailCertificate } from './certificate.ts';
import { type CertificateName, isNamed, nameOf } from './cms-names.ts';
import { DIGESTS, OID } from './cms-oids.ts';
import { authEnvelopeOf, type Envelope, envelopeOf } from './cms-unseal.ts';

export interface SignedContent {
  /** What was signed, when the message carries it inside (opaque signing). */
  readonly content: Buffer | undefined;
  /** The signer's certificate first, then the others that were sent along. */
  readonly certificates: readonly Buffer[];
  /** The certificate the signer wants answers encrypted to (RFC 8551 section 2.5.3): the signer's own unless it says so. */
  readonly answerTo: Buffer;
  readonly signedAt: Date | undefined;
  /** Checks the signature over `content`; answers why it does not hold, as a sentence. */
  readonly problem: (content: Buffer) => string | undefined;
}

export type Cms =
  | { readonly kind: 'enveloped'; readonly envelope: Envelope }
  | { readonly kind: 'signed'; readonly signed: SignedContent };

/** Throws an error with a plain sentence for anything but EnvelopedData, AuthEnvelopedData or SignedData by one signer. */
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
  if (info.contentType === OID.authEnvelopedData) {
    return { kind: 'enveloped', envelope: authEnvelopeOf(info.content) };
  }
  if (info.contentType === OID.signedData) {
    return { kind: 'signed', signed: signedContentOf(new SignedData({ schema: info.content })) };
  }
  throw new Error(
    `The S/MIME part holds CMS content of the type ${info.contentType}, which is not supported.`,
  );
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
    answerTo: preferredCertificate(signer, leaf, sent).der,
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

/**
 * Only a certificate that came along, of the same issuer and for the same addresses, is believed: the signature covers its
 * name, and the chain was judged for the signer.
 */
function preferredCertificate(
  signer: SignerInfo,
  leaf: MailCertificate,
  sent: readonly MailCertificate[],
): MailCertificate {
  const value = attributeOf(signer, OID.encryptionKeyPreference);
  if (!(value instanceof Constructed) || value.idBlock.tagNumber !== 0) return leaf;
  const name: CertificateName = nameOf(
    new IssuerAndSerialNumber({ schema: new Sequence({ value: value.valueBlock.value }) }),
  );
  const addresses = new X509Certificate(leaf.der).subjectAltName;
  return (
    sent.find(
      (other) =>
        isNamed(other, name) &&
        other.issuerDn.equals(leaf.issuerDn) &&
        new X509Certificate(other.der).subjectAltName === addresses,
    ) ?? leaf
  );
}

function attributeOf(signer: SignerInfo, type: string): unknown {
  const found =
    signer.signedAttrs?.attributes.filter((attribute: Attribute) => attribute.type === type) ?? [];
  return found.length === 1 ? found[0]?.values[0] : undefined;
}
