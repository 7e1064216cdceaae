/** Reading what was encrypted to recipients: EnvelopedData (RFC 5652) and AuthEnvelopedData (RFC 5083, 5084). */
import { createDecipheriv } from 'node:crypto';
import { type BaseBlock, Constructed, Set as DerSet, Integer, OctetString, Sequence } from 'asn1js';
import {
  EncryptedContentInfo,
  type EnvelopedData,
  KeyTransRecipientInfo,
  RecipientInfo,
  RSAESOAEPParams,
} from 'pkijs';
import { type CertificateName, nameOf } from './cms-names.ts';
import { AUTHENTICATED_CIPHERS, CIPHERS, DIGESTS, OID } from './cms-oids.ts';
import { der } from './der.ts';

/** aes-ICVlen when it is left out, RFC 5084 section 3.2. */
const DEFAULT_TAG_BYTES = 12;
const AUTHENTICATED_ATTRIBUTES = 1;

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

/** Throws nothing by itself: what is not supported is told when the envelope is opened. */
export function envelopeOf(data: EnvelopedData): Envelope {
  const { encryptedContentInfo } = data;
  const { algorithmId, algorithmParams } = encryptedContentInfo.contentEncryptionAlgorithm;
  return {
    keys: sealedKeys(data.recipientInfos),
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

/** Throws a sentence for what is no AuthEnvelopedData. */
export function authEnvelopeOf(content: unknown): Envelope {
  const members = content instanceof Sequence ? content.valueBlock.value : [];
  const infos = members.find((member) => member instanceof DerSet);
  const encrypted = members.find((member) => member instanceof Sequence);
  const mac = members.find((member) => member instanceof OctetString);
  if (infos === undefined || encrypted === undefined || mac === undefined) {
    throw new Error('The S/MIME part holds no whole AuthEnvelopedData.');
  }
  const attributes = members.find(
    (member) => member instanceof Constructed && member.idBlock.tagNumber === AUTHENTICATED_ATTRIBUTES,
  );
  const info = new EncryptedContentInfo({ schema: encrypted });
  return {
    keys: sealedKeys(infos.valueBlock.value.map((schema) => new RecipientInfo({ schema }))),
    open: (key) => openAuthenticated(info, { key, tag: Buffer.from(mac.getValue()), attributes }),
  };
}

function openAuthenticated(
  info: EncryptedContentInfo,
  parts: { key: Buffer; tag: Buffer; attributes: BaseBlock | undefined },
): Buffer {
  const { algorithmId, algorithmParams } = info.contentEncryptionAlgorithm;
  const cipher = AUTHENTICATED_CIPHERS[algorithmId];
  const [nonce, length] = algorithmParams instanceof Sequence ? algorithmParams.valueBlock.value : [];
  if (cipher === undefined || !(nonce instanceof OctetString)) {
    throw new Error(`The message is encrypted with ${algorithmId}, which is not supported.`);
  }
  const authTagLength = length instanceof Integer ? length.valueBlock.valueDec : DEFAULT_TAG_BYTES;
  try {
    const decipher = createDecipheriv(cipher, parts.key, Buffer.from(nonce.getValue()), { authTagLength });
    decipher.setAuthTag(parts.tag);
    // What is authenticated is the attributes as a SET OF, not as the [1] they are sent as (RFC 5083 section 2.2).
    if (parts.attributes instanceof Constructed) {
      decipher.setAAD(der(new DerSet({ value: parts.attributes.valueBlock.value })));
    }
    const encrypted = Buffer.from(info.getEncryptedContent());
    return Buffer.concat([decipher.update(encrypted), decipher.final()]);
  } catch (error) {
    throw new Error('The content key does not open the message, or the message was changed.', {
      cause: error,
    });
  }
}

const sealedKeys = (infos: readonly RecipientInfo[]): readonly SealedKey[] =>
  infos.flatMap(({ value }) => (value instanceof KeyTransRecipientInfo ? [sealedKeyOf(value)] : []));

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
  return {
    ...sealed,
    algorithm: `RSA/ECB/OAEPwith${hash}andMGF1Padding`,
    oaepLabel: labelIn(algorithmParams),
  };
}

const P_SOURCE_ALGORITHM = 2;

/** Not asked of pkijs: where no label is named it answers the SHA-1 of nothing as one. */
function labelIn(parameters: unknown): Buffer | undefined {
  const members = parameters instanceof Sequence ? parameters.valueBlock.value : [];
  const source = members.find(
    (member) => member instanceof Constructed && member.idBlock.tagNumber === P_SOURCE_ALGORITHM,
  );
  const [algorithm] = source instanceof Constructed ? source.valueBlock.value : [];
  const [, label] = algorithm instanceof Sequence ? algorithm.valueBlock.value : [];
  const bytes = label instanceof OctetString ? Buffer.from(label.getValue()) : Buffer.alloc(0);
  return bytes.length === 0 ? undefined : bytes;
}
