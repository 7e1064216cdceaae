import { verify } from 'node:crypto';
import { BitString, Enumerated, Integer, Sequence } from 'asn1js';
import { IssuingDistributionPoint } from 'pkijs';
import { dateOf, derOf, extensionsOf, fieldsOf, insideOf, integerOf, isTime, oidOf, parsed } from './asn1.ts';
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

/** Throws an error whose message is the end of a sentence when the bytes are no DER CertificateList. */
export function readCrl(der: Buffer): Crl {
  try {
    return listIn(der);
  } catch (error) {
    throw new Error('what is served there is no DER CRL', { cause: error });
  }
}

function listIn(der: Buffer): Crl {
  const [tbs, algorithm, signature] = fieldsOf(parsed(der));
  if (!(signature instanceof BitString)) throw new RangeError('This is no BIT STRING.');
  const fields = [...fieldsOf(tbs)];
  if (fields[0] instanceof Integer) fields.shift();
  const [, issuer, thisUpdate, ...rest] = fields;
  const nextUpdate = isTime(rest[0]) ? rest.shift() : undefined;
  const revoked = rest[0] instanceof Sequence ? rest.shift() : undefined;
  const extensions = rest[0] === undefined ? [] : extensionsOf(insideOf(rest[0])[0]);
  const scope = extensions.find((extension) => extension.oid === OID.issuingDistributionPoint);
  return {
    issuerDn: derOf(issuer),
    thisUpdate: dateOf(thisUpdate),
    nextUpdate: nextUpdate === undefined ? undefined : dateOf(nextUpdate),
    entries: new Map(revoked === undefined ? [] : fieldsOf(revoked).map(entryOf)),
    isDelta: extensions.some((extension) => extension.oid === OID.deltaCrlIndicator),
    scope: scope === undefined ? undefined : IssuingDistributionPoint.fromBER(scope.value),
    unknownCritical: extensions
      .filter((extension) => extension.critical && extension.oid !== OID.issuingDistributionPoint)
      .map((extension) => extension.oid),
    toBeSigned: derOf(tbs),
    signatureAlgorithm: oidOf(fieldsOf(algorithm)[0]),
    signature: Buffer.from(signature.valueBlock.valueHexView),
  };
}

/**
 * True when the key of `issuer` made the CRL's signature with SHA-256, SHA-384 or SHA-512. Verified once for each two: neither ever
 * changes, and each upload brings the same.
 */
export function isCrlSignedBy(crl: Crl, issuer: ReadCertificate): boolean {
  let answers = verified.get(crl);
  if (answers === undefined) {
    answers = new WeakMap();
    verified.set(crl, answers);
  }
  let answer = answers.get(issuer);
  if (answer === undefined) {
    const hash = HASHES[crl.signatureAlgorithm];
    answer = hash !== undefined && verify(hash, crl.toBeSigned, issuer.x509.publicKey, crl.signature);
    answers.set(issuer, answer);
  }
  return answer;
}

const verified = new WeakMap<Crl, WeakMap<ReadCertificate, boolean>>();

function entryOf(value: unknown): [string, CrlEntry] {
  const [serial, revokedAt, extensionList] = fieldsOf(value);
  const extensions = extensionList === undefined ? [] : extensionsOf(extensionList);
  const inner = (oid: string): unknown => {
    const extension = extensions.find((candidate) => candidate.oid === oid);
    return extension === undefined ? undefined : parsed(extension.value);
  };
  const reason = inner(OID.reasonCode);
  const invalidFrom = inner(OID.invalidityDate);
  return [
    integerOf(serial).toString('hex'),
    {
      revokedAt: dateOf(revokedAt),
      reason: reason instanceof Enumerated ? reason.valueBlock.valueDec : 0,
      invalidFrom: invalidFrom === undefined ? undefined : dateOf(invalidFrom),
    },
  ];
}
