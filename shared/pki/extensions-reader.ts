/** Reading the certificate extensions that our profiles know, strictly (RFC 5280 §4.2). */
import {
  DerCursor,
  DerError,
  type Element,
  inside,
  readBoolean,
  readInteger,
  readNamedBits,
  readOid,
} from './der-reader.ts';
import { CPS_QUALIFIER, EXTENSION_OIDS, type ExtensionName, KEY_USAGE_BITS, type KeyUsage } from './oids.ts';

/** A GeneralName by its context tag number (RFC 5280 §4.2.1.6): 1 rfc822Name, 2 dNSName, 6 URI, 7 iPAddress… */
export interface GeneralName {
  readonly type: number;
  /** Text for the IA5String choices (1, 2, 6), hex for the others. */
  readonly value: string;
}

export interface PolicyInformation {
  readonly oid: string;
  /** Each practice-statement URI; other qualifiers appear as their OID. */
  readonly qualifiers: readonly { readonly oid: string; readonly cps?: string }[];
}

export interface DistributionPoint {
  readonly names: readonly GeneralName[];
  /** Whether it has anything but a fullName: a relative name, reasons, or another CRL issuer. */
  readonly hasMore: boolean;
}

export interface DecodedExtensions {
  readonly keyUsage?: readonly KeyUsage[];
  readonly extKeyUsage?: readonly string[];
  readonly basicConstraints?: { readonly ca: boolean; readonly pathLength: number | undefined };
  readonly certificatePolicies?: readonly PolicyInformation[];
  readonly cRLDistributionPoints?: readonly DistributionPoint[];
  readonly authorityInfoAccess?: readonly { readonly method: string; readonly location: GeneralName }[];
  readonly subjectKeyIdentifier?: Uint8Array;
  readonly authorityKeyIdentifier?: {
    readonly keyIdentifier: Uint8Array | undefined;
    /** Whether issuer and serial are there too. */
    readonly hasMore: boolean;
  };
  readonly subjectAltName?: readonly GeneralName[];
  /** There is nothing to decode: the extension is a NULL. */
  readonly ocspNoCheck?: true;
}

export interface MalformedExtension {
  readonly oid: string;
  readonly why: string;
}

type Decoder<Name extends ExtensionName> = (cursor: DerCursor) => Required<DecodedExtensions>[Name];

const DECODERS: { readonly [Name in ExtensionName]: Decoder<Name> } = {
  keyUsage: (cursor) => {
    const bits = readNamedBits(cursor.take('BIT STRING'));
    return bits.map((bit) => {
      const name = USAGE_BY_BIT.get(bit);
      if (name === undefined) throw new DerError(`bit ${bit} is no key usage`, cursor.offset);
      return name;
    });
  },
  extKeyUsage: (cursor) => listOf(cursor, readOid),
  basicConstraints: (cursor) => {
    const body = inside(cursor.take('SEQUENCE'));
    const ca = body.takeIf(0x01);
    if (ca !== undefined && !readBoolean(ca)) throw new DerError('cA spells out its default', ca.offset);
    const pathLength = body.takeIf(0x02);
    body.end('basicConstraints');
    return {
      ca: ca !== undefined,
      pathLength: pathLength === undefined ? undefined : Number(readInteger(pathLength)),
    };
  },
  certificatePolicies: (cursor) => listOf(cursor, readPolicy),
  cRLDistributionPoints: (cursor) => listOf(cursor, readDistributionPoint),
  authorityInfoAccess: (cursor) =>
    listOf(cursor, (element) => {
      const body = inside(element);
      const description = { method: readOid(body.next()), location: readGeneralName(body.next()) };
      body.end('an access description');
      return description;
    }),
  subjectKeyIdentifier: (cursor) => cursor.take('OCTET STRING').content,
  authorityKeyIdentifier: (cursor) => {
    const body = inside(cursor.take('SEQUENCE'));
    const keyIdentifier = body.takeIf(0x80)?.content;
    return { keyIdentifier, hasMore: !body.atEnd };
  },
  subjectAltName: (cursor) => listOf(cursor, readGeneralName),
  ocspNoCheck: (cursor) => {
    const element = cursor.take('NULL');
    if (element.content.length > 0) throw new DerError('a NULL has contents', element.offset);
    return true;
  },
};

const USAGE_BY_BIT = new Map<number, KeyUsage>(
  (Object.keys(KEY_USAGE_BITS) as readonly KeyUsage[]).map((usage) => [KEY_USAGE_BITS[usage], usage]),
);

const NAME_BY_OID = new Map<string, ExtensionName>(
  (Object.keys(EXTENSION_OIDS) as readonly ExtensionName[]).map((name) => [EXTENSION_OIDS[name], name]),
);

/** The name of an extension our profiles know, or undefined. */
export const extensionName = (oid: string): ExtensionName | undefined => NAME_BY_OID.get(oid);

/**
 * Decodes the extensions we know; those that do not follow their syntax are listed with the reason. Of an extension
 * that appears twice the first is decoded (the linter refuses the second).
 */
export function decodeExtensions(
  extensions: readonly { readonly oid: string; readonly value: Uint8Array }[],
): {
  readonly decoded: DecodedExtensions;
  readonly malformed: readonly MalformedExtension[];
} {
  const decoded: Record<string, unknown> = {};
  const malformed: MalformedExtension[] = [];
  for (const extension of extensions) {
    const name = extensionName(extension.oid);
    if (name === undefined || Object.hasOwn(decoded, name)) continue;
    try {
      const cursor = new DerCursor(extension.value);
      decoded[name] = DECODERS[name](cursor);
      cursor.end(name);
    } catch (error) {
      if (!(error instanceof DerError)) throw error;
      delete decoded[name];
      malformed.push({ oid: extension.oid, why: error.message });
    }
  }
  return { decoded, malformed };
}

/** SEQUENCE SIZE (1..MAX) OF something. */
function listOf<Item>(cursor: DerCursor, read: (element: Element) => Item): readonly Item[] {
  const element = cursor.take('SEQUENCE');
  const body = inside(element);
  const items: Item[] = [];
  while (!body.atEnd) items.push(read(body.next()));
  if (items.length === 0) throw new DerError('a list is empty', element.offset);
  return items;
}

function readGeneralName(element: Element): GeneralName {
  const type = element.tag & 0x1f;
  if ((element.tag & 0xc0) !== 0x80 || type > 8) {
    throw new DerError('a GeneralName has an unknown tag', element.offset);
  }
  const bytes = Buffer.from(element.content);
  const isText = type === 1 || type === 2 || type === 6;
  return { type, value: bytes.toString(isText ? 'utf8' : 'hex') };
}

function readPolicy(element: Element): PolicyInformation {
  const body = inside(element);
  const oid = readOid(body.next());
  if (body.atEnd) return { oid, qualifiers: [] };
  const list = inside(body.take('SEQUENCE'));
  body.end('a policy');
  const qualifiers: { oid: string; cps?: string }[] = [];
  while (!list.atEnd) {
    const qualifier = inside(list.take('SEQUENCE'));
    const id = readOid(qualifier.next());
    const value = qualifier.next();
    qualifiers.push(
      id === CPS_QUALIFIER ? { oid: id, cps: Buffer.from(value.content).toString() } : { oid: id },
    );
  }
  return { oid, qualifiers };
}

function readDistributionPoint(element: Element): DistributionPoint {
  const body = inside(element);
  const point = body.takeIf(0xa0);
  const hasMore = !body.atEnd;
  if (point === undefined) return { names: [], hasMore: true };
  const full = inside(point).next();
  if (full.tag !== 0xa0) return { names: [], hasMore: true };
  const list = inside(full);
  const names: GeneralName[] = [];
  while (!list.atEnd) names.push(readGeneralName(list.next()));
  return { names, hasMore };
}
