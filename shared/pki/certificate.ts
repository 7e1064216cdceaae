/**
 * Reading certificates and to-be-signed certificates, strictly. Positions in the structure are checked here; whether
 * the values are the ones we want is the linter's business.
 */
import { createHash } from 'node:crypto';
import { permanent } from '../errors.ts';
import {
  DerError,
  type Element,
  inside,
  integerHex,
  readBitString,
  readBoolean,
  readInteger,
  readOid,
  readTime,
  readWhole,
} from './der-reader.ts';
import { type DecodedExtensions, decodeExtensions } from './extensions-reader.ts';
import { rememberingLast } from './last-read.ts';

export interface RawExtension {
  readonly oid: string;
  readonly critical: boolean;
  /** Contents of extnValue. */
  readonly value: Uint8Array;
}

export interface TimeField {
  readonly at: Date;
  readonly form: 'utc' | 'generalized';
}

/** What a TBSCertificate says (RFC 5280 §4.1). All bytes are views into the buffer that was read. */
export interface TbsCertificate {
  readonly tbsDer: Uint8Array;
  /** 1, 2 or 3. */
  readonly version: number;
  /** Lower-case hex of the INTEGER's content octets. */
  readonly serialHex: string;
  readonly signatureAlgorithmDer: Uint8Array;
  readonly issuerDer: Uint8Array;
  readonly notBefore: TimeField;
  readonly notAfter: TimeField;
  readonly subjectDer: Uint8Array;
  readonly spkiDer: Uint8Array;
  readonly hasUniqueIds: boolean;
  readonly extensions: readonly RawExtension[];
}

export interface Certificate extends TbsCertificate {
  readonly certificateDer: Uint8Array;
  /** AlgorithmIdentifier outside the to-be-signed part; must equal the one inside. */
  readonly outerAlgorithmDer: Uint8Array;
  readonly signature: Uint8Array;
}

/** Reads a certificate, DER. Throws `DerError` for anything that is not one. */
export function readCertificate(certificateDer: Uint8Array): Certificate {
  const body = inside(readWhole(certificateDer, 'SEQUENCE', 'the certificate'));
  const tbs = readTbsElement(body.take('SEQUENCE'));
  const outerAlgorithmDer = body.take('SEQUENCE').der;
  const signature = readBitString(body.take('BIT STRING'));
  body.end('the certificate');
  return { ...tbs, certificateDer, outerAlgorithmDer, signature };
}

/** Reads a TBSCertificate, DER. Throws `DerError` for anything that is not one. */
export const readTbsCertificate = (tbsDer: Uint8Array): TbsCertificate =>
  readTbsElement(readWhole(tbsDer, 'SEQUENCE', 'the to-be-signed certificate'));

function readTbsElement(element: Element): TbsCertificate {
  const body = inside(element);
  const version = body.takeIf(0xa0);
  const serialHex = integerHex(body.take('INTEGER'));
  const signatureAlgorithmDer = body.take('SEQUENCE').der;
  const issuerDer = body.take('SEQUENCE').der;
  const validity = inside(body.take('SEQUENCE'));
  const notBefore = readTime(validity.next());
  const notAfter = readTime(validity.next());
  validity.end('the validity');
  const subjectDer = body.take('SEQUENCE').der;
  const spkiDer = body.take('SEQUENCE').der;
  const issuerUniqueId = body.takeIf(0x81);
  const subjectUniqueId = body.takeIf(0x82);
  const extensions = body.takeIf(0xa3);
  body.end('the to-be-signed certificate');
  return {
    tbsDer: element.der,
    version: version === undefined ? 1 : Number(readInteger(inside(version).take('INTEGER'))) + 1,
    serialHex,
    signatureAlgorithmDer,
    issuerDer,
    notBefore,
    notAfter,
    subjectDer,
    spkiDer,
    hasUniqueIds: issuerUniqueId !== undefined || subjectUniqueId !== undefined,
    extensions: extensions === undefined ? [] : readExtensionList(extensions),
  };
}

/** Reads `[n] EXPLICIT Extensions`, as certificates and CRLs have it. */
export function readExtensionList(wrapper: Element): readonly RawExtension[] {
  const outer = inside(wrapper);
  const list = outer.take('SEQUENCE');
  outer.end('the extensions');
  return readExtensionSequence(list);
}

/** Reads Extensions: one or more (an empty list is not DER for `SIZE (1..MAX)`). */
export function readExtensionSequence(sequenceElement: Element): readonly RawExtension[] {
  const list = inside(sequenceElement);
  if (list.atEnd) throw new DerError('a list of extensions is empty', sequenceElement.offset);
  const extensions: RawExtension[] = [];
  while (!list.atEnd) {
    const extension = inside(list.take('SEQUENCE'));
    const id = readOid(extension.next());
    const criticality = extension.takeIf(0x01);
    if (criticality !== undefined && !readBoolean(criticality)) {
      throw new DerError('an extension spells out that it is not critical', criticality.offset);
    }
    const value = extension.take('OCTET STRING').content;
    extension.end('an extension');
    extensions.push({ oid: id, critical: criticality !== undefined, value });
  }
  return extensions;
}

/** An issuer's certificate with its extensions decoded, or `issuer-not-ready` when it cannot be read. */
export interface IssuerCertificate {
  readonly certificate: Certificate;
  readonly extensions: DecodedExtensions;
}

/** Throws `issuer-not-ready` (permanent), for certificates that come from our own ledger or settings. */
export const readIssuer: (certificateDer: Uint8Array) => IssuerCertificate = rememberingLast(
  (certificateDer) => {
    try {
      const certificate = readCertificate(certificateDer);
      const { decoded, malformed } = decodeExtensions(certificate.extensions);
      const [first] = malformed;
      if (first !== undefined) throw new DerError(`extension ${first.oid}: ${first.why}`, 0);
      return { certificate, extensions: decoded };
    } catch (error) {
      if (!(error instanceof DerError)) throw error;
      throw permanent(
        'issuer-not-ready',
        `The issuer's certificate cannot be read: ${error.message}. Record the issuer again from its original file.`,
        { cause: error },
      );
    }
  },
);

/** The issuer's subject key identifier; throws `issuer-not-ready` where its certificate has none. */
export function issuerKeyIdentifier(issuer: IssuerCertificate): Uint8Array {
  const identifier = issuer.extensions.subjectKeyIdentifier;
  if (identifier === undefined) {
    throw permanent(
      'issuer-not-ready',
      "The issuer's certificate has no subject key identifier, so nothing can point at it: record an issuer made by this product.",
    );
  }
  return identifier;
}

/** Lower-case hex of a SHA-256. */
export const sha256Hex = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/**
 * A key identifier from the public key: the leftmost 160 bits of SHA-256 over the key's BIT STRING (RFC 7093 §2,
 * method 1). The SHA-1 of RFC 5280 would do as well, but then SHA-1 would be in the product. Throws `DerError`.
 */
export function keyIdentifier(spkiDer: Uint8Array): Uint8Array {
  const spki = inside(readWhole(spkiDer, 'SEQUENCE', 'the public key'));
  spki.take('SEQUENCE');
  const key = readBitString(spki.take('BIT STRING'));
  return new Uint8Array(createHash('sha256').update(key).digest().subarray(0, 20));
}

export { RSA_KEY_ALGORITHM, type RsaPublicKey, readRsaPublicKey } from './public-key.ts';
