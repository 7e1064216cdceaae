/** Small pieces of DER that CMS is made of. */
import {
  type BaseBlock,
  Constructed,
  Set as DerSet,
  fromBER,
  Integer,
  Null,
  ObjectIdentifier,
  Sequence,
} from 'asn1js';
import type { MailCertificate } from './certificate.ts';

const CONTEXT_CLASS = 3;

export const tag = (tagNumber: number) => ({ tagClass: CONTEXT_CLASS, tagNumber });
export const sequence = (...value: BaseBlock[]): Sequence => new Sequence({ value });
export const der = (block: BaseBlock): Buffer => Buffer.from(block.toBER());

export const attribute = (type: string, value: BaseBlock): Sequence =>
  sequence(new ObjectIdentifier({ value: type }), new DerSet({ value: [value] }));

export const algorithm = (oid: string): Sequence =>
  sequence(new ObjectIdentifier({ value: oid }), new Null());

export const issuerAndSerial = ({ issuerDn, serial }: MailCertificate): Sequence =>
  sequence(parsed(issuerDn), new Integer({ valueHex: serial }));

export const contentInfo = (type: string, content: BaseBlock): Buffer =>
  der(
    sequence(new ObjectIdentifier({ value: type }), new Constructed({ idBlock: tag(0), value: [content] })),
  );

/** X.690 section 11.6: the elements of a SET OF are in the order of their encodings. */
export const derSetOf = (blocks: readonly BaseBlock[]): Buffer =>
  der(new DerSet({ value: sorted(blocks.map(der)).map(parsed) }));

export const sorted = (encodings: readonly Buffer[]): readonly Buffer[] => encodings.toSorted(Buffer.compare);

export function parsed(bytes: Buffer): BaseBlock {
  const { offset, result } = fromBER(bytes);
  if (offset !== bytes.length) throw new RangeError('These bytes are not one DER value.');
  return result as BaseBlock;
}

export function childrenOf(set: Buffer): BaseBlock[] {
  const block = parsed(set);
  if (!(block instanceof DerSet)) throw new RangeError('These bytes are not a SET.');
  return block.valueBlock.value;
}
