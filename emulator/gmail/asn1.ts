/** Looks into DER that asn1js has read. Each function throws when the value is another than it should be; the caller says of what. */
import {
  Boolean as Asn1Boolean,
  BaseBlock,
  Constructed,
  fromBER,
  GeneralizedTime,
  Integer,
  ObjectIdentifier,
  OctetString,
  Sequence,
  UTCTime,
} from 'asn1js';

const CONTEXT_CLASS = 3;

/** An extension of a certificate or of a list, RFC 5280 section 4.2. */
export interface Extension {
  readonly oid: string;
  readonly critical: boolean;
  /** DER of what is inside the OCTET STRING. */
  readonly value: Buffer;
}

/** The one value that the bytes are. What strings of octets hold is not read with it. */
export function parsed(der: Uint8Array): BaseBlock {
  // The library stops at 10,000 nodes by default, which is about a thousand entries of a list; a node has at least two bytes.
  const { offset, result } = fromBER(der, { maxNodes: der.length, parseEmbedded: false });
  if (offset !== der.length) throw new RangeError('These bytes are not one DER value.');
  return result;
}

export function fieldsOf(value: unknown): readonly unknown[] {
  if (!(value instanceof Sequence)) throw new RangeError('This is no SEQUENCE.');
  return value.valueBlock.value;
}

/** What is inside a SEQUENCE, a SET or a constructed value with a tag of its own. */
export function insideOf(value: unknown): readonly unknown[] {
  if (!(value instanceof Constructed)) throw new RangeError('This is no constructed value.');
  return value.valueBlock.value;
}

/** The number of a context-specific tag; undefined for any other. */
export function tagOf(value: unknown): number | undefined {
  return value instanceof BaseBlock && value.idBlock.tagClass === CONTEXT_CLASS
    ? value.idBlock.tagNumber
    : undefined;
}

export function oidOf(value: unknown): string {
  if (!(value instanceof ObjectIdentifier)) throw new RangeError('This is no OBJECT IDENTIFIER.');
  return value.getValue();
}

export const isTime = (value: unknown): boolean =>
  value instanceof UTCTime || value instanceof GeneralizedTime;

export function dateOf(value: unknown): Date {
  // asn1js: GeneralizedTime is a UTCTime too, and both answer a Date.
  if (value instanceof UTCTime || value instanceof GeneralizedTime) return value.toDate();
  throw new RangeError('This is no time.');
}

/** Content octets of an INTEGER. */
export function integerOf(value: unknown): Buffer {
  if (!(value instanceof Integer)) throw new RangeError('This is no INTEGER.');
  return Buffer.from(value.valueBlock.valueHexView);
}

/** Tag, length and contents, as they stand in what was read. */
export function derOf(value: unknown): Buffer {
  if (!(value instanceof BaseBlock)) throw new RangeError('This is no value.');
  return Buffer.from(value.valueBeforeDecodeView);
}

export function extensionsOf(value: unknown): readonly Extension[] {
  return fieldsOf(value).map((extension) => {
    const fields = fieldsOf(extension);
    const content = fields.at(-1);
    if (!(content instanceof OctetString)) throw new RangeError('This is no OCTET STRING.');
    return {
      oid: oidOf(fields[0]),
      critical: fields[1] instanceof Asn1Boolean && fields[1].getValue(),
      value: Buffer.from(content.valueBlock.valueHexView),
    };
  });
}
