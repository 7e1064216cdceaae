import { verify } from 'node:crypto';
import {
  BitString,
  Constructed,
  Enumerated,
  fromBER,
  GeneralizedTime,
  Integer,
  ObjectIdentifier,
  OctetString,
  Sequence,
  UTCTime,
} from 'asn1js';
import { IssuingDistributionPoint } from 'pkijs';
import type { ReadCertificate } from './certificate.ts';

/** One revoked serial, RFC 5280 section 5.3. */
export interface CrlEntry {
  readonly revokedAt: Date;
  /** CRLReason by number; 0 (unspecified) when the entry says none. */
  readonly reason: number;
  readonly invalidFrom: Date | undefined;
}

/** A certificate revocation list as the checks need it, RFC 5280 section 5. */
export interface Crl {
  readonly issuerDn: Buffer;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date | undefined;
  /** By serial, the INTEGER's content octets in lower-case hex. */
  readonly entries: ReadonlyMap<string, CrlEntry>;
  readonly isDelta: boolean;
  readonly scope: IssuingDistributionPoint | undefined;
  readonly unknownCritical: readonly string[];
  readonly toBeSigned: Buffer;
  readonly signatureAlgorithm: string;
  readonly signature: Buffer;
}

const OID = {
  reasonCode: '2.5.29.21',
  invalidityDate: '2.5.29.24',
  deltaCrlIndicator: '2.5.29.27',
  issuingDistributionPoint: '2.5.29.28',
} as const;

const HASHES: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
};

const NO_CRL = 'what is served there is no DER CRL';

/** Throws an error whose message is the end of a sentence when the bytes are no DER CertificateList. */
export function readCrl(der: Buffer): Crl {
  // The library stops at 10,000 nodes by default, which is about a thousand entries; a node has at least two bytes.
  const { offset, result } = fromBER(der, { maxNodes: der.length });
  if (offset !== der.length) throw new Error(NO_CRL);
  const [tbs, algorithm, signature] = fieldsOf(result);
  if (!(tbs instanceof Sequence) || !(signature instanceof BitString)) throw new Error(NO_CRL);
  const fields = [...tbs.valueBlock.value];
  if (fields[0] instanceof Integer) fields.shift();
  const [, issuer, thisUpdate, ...rest] = fields;
  const nextUpdate = isTime(rest[0]) ? rest.shift() : undefined;
  const revoked = rest[0] instanceof Sequence ? rest.shift() : undefined;
  const extensions = rest[0] instanceof Constructed ? extensionsOf(rest[0].valueBlock.value[0]) : [];
  if (!(issuer instanceof Sequence)) throw new Error(NO_CRL);
  const scope = extensions.find((extension) => extension.oid === OID.issuingDistributionPoint);
  return {
    issuerDn: Buffer.from(issuer.valueBeforeDecodeView),
    thisUpdate: dateOf(thisUpdate),
    nextUpdate: nextUpdate === undefined ? undefined : dateOf(nextUpdate),
    entries: new Map(revoked === undefined ? [] : fieldsOf(revoked).map(entryOf)),
    isDelta: extensions.some((extension) => extension.oid === OID.deltaCrlIndicator),
    scope: scope === undefined ? undefined : IssuingDistributionPoint.fromBER(scope.value),
    unknownCritical: extensions
      .filter((extension) => extension.critical && extension.oid !== OID.issuingDistributionPoint)
      .map((extension) => extension.oid),
    toBeSigned: Buffer.from(tbs.valueBeforeDecodeView),
    signatureAlgorithm: oidOf(fieldsOf(algorithm)[0]),
    signature: Buffer.from(signature.valueBlock.valueHexView),
  };
}

/** True when the key of `issuer` made the CRL's signature with SHA-256, SHA-384 or SHA-512. */
export function isCrlSignedBy(crl: Crl, issuer: ReadCertificate): boolean {
  const hash = HASHES[crl.signatureAlgorithm];
  return hash !== undefined && verify(hash, crl.toBeSigned, issuer.x509.publicKey, crl.signature);
}

function entryOf(value: unknown): [string, CrlEntry] {
  const [serial, revokedAt, extensionList] = fieldsOf(value);
  if (!(serial instanceof Integer)) throw new Error(NO_CRL);
  const extensions = extensionList === undefined ? [] : extensionsOf(extensionList);
  const inner = (oid: string): unknown => {
    const extension = extensions.find((candidate) => candidate.oid === oid);
    return extension === undefined ? undefined : fromBER(extension.value).result;
  };
  const reason = inner(OID.reasonCode);
  const invalidFrom = inner(OID.invalidityDate);
  return [
    Buffer.from(serial.valueBlock.valueHexView).toString('hex'),
    {
      revokedAt: dateOf(revokedAt),
      reason: reason instanceof Enumerated ? reason.valueBlock.valueDec : 0,
      invalidFrom: invalidFrom === undefined ? undefined : dateOf(invalidFrom),
    },
  ];
}

function extensionsOf(value: unknown): readonly { oid: string; critical: boolean; value: Buffer }[] {
  return fieldsOf(value).map((extension) => {
    const fields = fieldsOf(extension);
    const content = fields.at(-1);
    if (!(content instanceof OctetString)) throw new Error(NO_CRL);
    // `critical` is a BOOLEAN that DER leaves out when false, so three fields mean true.
    return {
      oid: oidOf(fields[0]),
      critical: fields.length === 3,
      value: Buffer.from(content.valueBlock.valueHexView),
    };
  });
}

function fieldsOf(value: unknown): readonly unknown[] {
  if (!(value instanceof Sequence)) throw new Error(NO_CRL);
  return value.valueBlock.value;
}

function oidOf(value: unknown): string {
  if (!(value instanceof ObjectIdentifier)) throw new Error(NO_CRL);
  return value.getValue();
}

const isTime = (value: unknown): boolean => value instanceof UTCTime || value instanceof GeneralizedTime;

function dateOf(value: unknown): Date {
  // asn1js: GeneralizedTime is a UTCTime too, and both answer a Date.
  if (value instanceof UTCTime || value instanceof GeneralizedTime) return value.toDate();
  throw new Error(NO_CRL);
}
