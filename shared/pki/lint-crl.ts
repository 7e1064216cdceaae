/**
 * The CRL linter: the rules of RFC 5280 §5, of the S/MIME Baseline Requirements ("SMBR") 4.9.7 and 7.2, and our own.
 * Reads with the strict reader, in one pass, without keeping entries.
 */
import { IS_REASON_CODE } from '../domain/revocation-reason.ts';
import { fitsKey, signatureAlgorithmOf } from './algorithm.ts';
import { type IssuerCertificate, readIssuer } from './certificate.ts';
import {
  type CrlHeader,
  commonEntryEnd,
  compareSerials,
  crlKeyIdentifier,
  crlNumberOf,
  type RawCrlEntry,
  readCrlHeader,
  readEntry,
  readRevocation,
  viewOf,
} from './crl-reader.ts';
import { crlSchedule } from './crl-schedule.ts';
import { DerCursor, DerError, sameBytes, toHex } from './der-reader.ts';
import type { Finding } from './finding.ts';
import { CRL_OIDS, EXTENSION_OIDS } from './oids.ts';
import type { Rule } from './rules.ts';

const bug = 'The bytes were not made by this version of the product: build the CRL again under a new number.';

export const CRL_RULES = {
  'crl-der': {
    sentence: 'The CRL is DER with nothing left over; no list of extensions is empty.',
    source: 'RFC 5280 §5.1',
    scope: 'rfc',
    fix: bug,
  },
  'crl-version': { sentence: 'The version is 2.', source: 'RFC 5280 §5.1.2.1', scope: 'rfc', fix: bug },
  'crl-signature-algorithm': {
    sentence:
      'The signature algorithm is RSA or ECDSA with SHA-256 or stronger, for the issuer’s key, the same inside and outside.',
    source: 'SMBR 7.1.3.2; RFC 5280 §5.1.1.2',
    scope: 'smbr',
    fix: 'Sign with the algorithm of the issuer’s key and SHA-256 or stronger.',
  },
  'crl-issuer-dn': {
    sentence: 'The issuer name is byte for byte the subject of the issuer’s certificate.',
    source: 'RFC 5280 §5.1.2.3; SMBR 7.1.4.1',
    scope: 'rfc',
    fix: 'Check that the CRL is built for the issuer it is published for.',
  },
  'crl-issuer-may-sign': {
    sentence: 'The issuer’s key usage has cRLSign.',
    source: 'RFC 5280 §4.2.1.3',
    scope: 'rfc',
    fix: 'Use an issuing CA made by this product.',
  },
  'crl-this-update': {
    sentence: 'thisUpdate is at most a minute after the signing time and at most 24 hours before it.',
    source: 'ours: a CRL is signed when it is built',
    scope: 'ours',
    fix: 'Build the CRL again; if it is fresh, check the clock.',
  },
  'crl-next-update': {
    sentence:
      'nextUpdate is there, after the signing time, at most ten days (a root’s: twelve months) after thisUpdate.',
    source: 'SMBR 4.9.7; RFC 5280 §5.1.2.5',
    scope: 'smbr',
    fix: 'Build the CRL again with the schedule of its issuer.',
  },
  'crl-time-encoding': {
    sentence: 'Times are UTCTime through 2049 and GeneralizedTime after.',
    source: 'RFC 5280 §5.1.2.4 to §5.1.2.6',
    scope: 'rfc',
    fix: bug,
  },
  'crl-extensions': {
    sentence:
      'There are exactly an authority key identifier and a CRL number, neither critical: no issuingDistributionPoint, no delta.',
    source: 'RFC 5280 §5.2; ours: NSS and dirmngr refuse a critical issuingDistributionPoint',
    scope: 'rfc',
    fix: 'Publish one full CRL per issuer.',
  },
  'crl-authority-key-identifier': {
    sentence: 'The authority key identifier is the issuer’s key identifier.',
    source: 'RFC 5280 §5.2.1',
    scope: 'rfc',
    fix: 'Check that the CRL is built for the issuer it is published for.',
  },
  'crl-number': {
    sentence: 'The CRL number is not negative and has at most 20 octets.',
    source: 'RFC 5280 §5.2.3',
    scope: 'rfc',
    fix: 'Take the next number from the ledger.',
  },
  'crl-empty-list': {
    sentence: 'Where nothing is revoked the list is absent, not empty.',
    source: 'RFC 5280 §5.1.2.6',
    scope: 'rfc',
    fix: bug,
  },
  'crl-entry-serial': {
    sentence: 'Each serial is positive and at most 20 octets.',
    source: 'RFC 5280 §4.1.2.2',
    scope: 'rfc',
    fix: 'Look for a serial in the ledger that was not drawn by this product.',
  },
  'crl-entry-order': {
    sentence: 'Serials ascend, so none is listed twice.',
    source: 'ours: the same ledger gives the same bytes',
    scope: 'ours',
    fix: 'Read the revoked leaves from the ledger in order of serial.',
  },
  'crl-entry-extensions': {
    sentence: 'An entry has a reason and perhaps an invalidity date, each once, neither critical.',
    source: 'RFC 5280 §5.3; SMBR 7.2.2',
    scope: 'rfc',
    fix: bug,
  },
  'crl-entry-reason': {
    sentence:
      'The reason is keyCompromise, affiliationChanged, superseded, cessationOfOperation or privilegeWithdrawn.',
    source: 'SMBR 7.2.2 (never unspecified, no certificateHold)',
    scope: 'smbr',
    fix: 'Revoke with one of these reasons.',
  },
} as const satisfies Record<string, Rule>;

export type CrlRuleId = keyof typeof CRL_RULES;

export interface CrlLintContext {
  readonly issuerCertificateDer: Uint8Array;
  /** When the CRL is or will be signed. */
  readonly signingTime: Date;
}

/**
 * Lints a CRL or a TBSCertList, DER; answers at most one finding for each broken rule, the first. Throws
 * `issuer-not-ready` for an issuer's certificate that cannot be read.
 */
export function lintCrl(der: Uint8Array, context: CrlLintContext): readonly Finding[] {
  const linter = new CrlLinter(context);
  try {
    const header = readCrlHeader(der);
    const list = header.revokedCertificates?.content;
    linter.header(header, list !== undefined);
    if (list !== undefined) linter.entries(list);
  } catch (error) {
    linter.unreadable(error);
  }
  return linter.findings();
}

type Note = (rule: CrlRuleId, holds: boolean, what: () => string) => void;

/** The same rules for a CRL that comes by: runs of entries in their order, and the header before or after them. */
export class CrlLinter {
  readonly #context: CrlLintContext;
  readonly #issuer: IssuerCertificate;
  readonly #found = new Map<CrlRuleId, string>();
  /** Where the entry before lies, if it was of the common form; `#previous` is its serial if it was not. */
  #previousBlock: DataView | undefined;
  #previousAt = 0;
  #previous: bigint | undefined;
  #hasEntries = false;
  #hasList = false;

  /** Throws `issuer-not-ready` for an issuer's certificate that cannot be read. */
  constructor(context: CrlLintContext) {
    this.#context = context;
    this.#issuer = readIssuer(context.issuerCertificateDer);
  }

  readonly #note: Note = (rule, holds, what) => {
    if (!holds && !this.#found.has(rule)) this.#found.set(rule, what());
  };

  /** Notes a `DerError`; throws what is none. */
  unreadable(error: unknown): void {
    if (!(error instanceof DerError)) throw error;
    this.#note('crl-der', false, () => error.message);
  }

  /** Everything but the entries. Throws `DerError`. */
  header(header: CrlHeader, hasList: boolean): void {
    this.#hasList = hasList;
    checkHeader(header, this.#issuer, this.#context.signingTime, this.#note);
  }

  /**
   * A run of whole entries; one of the common form is looked at where it lies, any other is taken apart. The run must stay as
   * it is until the next one. Throws `DerError`.
   */
  entries(block: Uint8Array): void {
    if (block.length > 0) this.#hasEntries = true;
    const view = viewOf(block);
    for (let at = 0; at < block.length; ) {
      const end = commonEntryEnd(view, at);
      if (
        end > 0 &&
        this.#previousBlock !== undefined &&
        compareSerials(this.#previousBlock, this.#previousAt, view, at) < 0 &&
        IS_REASON_CODE[view.getUint8(end - 1)] === 1
      ) {
        if (this.#previousBlock !== view) this.#previousBlock = view;
        this.#previousAt = at;
        at = end;
        continue;
      }
      at = this.#uncommonEntry(block, at, end > 0 ? view : undefined);
    }
  }

  /** `common`: a view of the block, if the entry is of the common form. */
  #uncommonEntry(block: Uint8Array, at: number, common: DataView | undefined): number {
    const { entry, length } = readEntry(new DerCursor(block.subarray(at), at));
    if (this.#previousBlock !== undefined) this.#previous = serialAt(this.#previousBlock, this.#previousAt);
    const serial = BigInt(`0x${entry.serialHex}`);
    this.#note(
      'crl-entry-order',
      this.#previous === undefined || serial > this.#previous,
      () => `serial ${entry.serialHex}`,
    );
    checkEntry(entry, this.#note);
    this.#previousBlock = common;
    this.#previousAt = at;
    this.#previous = serial;
    return at + length;
  }

  /** At most one for each broken rule, the first. */
  findings(): readonly Finding[] {
    this.#note('crl-empty-list', !this.#hasList || this.#hasEntries, () => 'an empty list');
    return Array.from(this.#found, ([rule, what]) => ({ rule, ...CRL_RULES[rule], found: what }));
  }
}

const serialAt = (block: DataView, at: number): bigint => {
  const entry = new Uint8Array(block.buffer, block.byteOffset + at, block.byteLength - at);
  return BigInt(`0x${readEntry(new DerCursor(entry, at)).entry.serialHex}`);
};

const HOURS_24_MS = 24 * 3_600_000;
/** Builder and signer run on different machines, whose clocks are never quite the same. */
const CLOCK_TOLERANCE_MS = 60_000;

function checkHeader(header: CrlHeader, issuer: IssuerCertificate, signingTime: Date, note: Note): void {
  const { thisUpdate, nextUpdate, extensions } = header;
  const algorithm = signatureAlgorithmOf(header.signatureAlgorithmDer);
  note('crl-version', header.version === 2, () => `version ${header.version}`);
  note(
    'crl-signature-algorithm',
    algorithm !== undefined &&
      fitsKey(algorithm, issuer.certificate.spkiDer) &&
      (header.signed === undefined || sameBytes(header.signed.algorithmDer, header.signatureAlgorithmDer)),
    () => toHex(header.signatureAlgorithmDer),
  );
  note(
    'crl-issuer-dn',
    sameBytes(header.issuerDer, issuer.certificate.subjectDer),
    () => 'another issuer name',
  );
  note('crl-issuer-may-sign', issuer.extensions.keyUsage?.includes('cRLSign') === true, () =>
    (issuer.extensions.keyUsage ?? ['none']).join(' + '),
  );
  const age = signingTime.getTime() - thisUpdate.at.getTime();
  note(
    'crl-this-update',
    age >= -CLOCK_TOLERANCE_MS && age <= HOURS_24_MS,
    () => `thisUpdate ${thisUpdate.at.toISOString()}, signed ${signingTime.toISOString()}`,
  );
  const { maximumMs } = crlSchedule(issuer.certificate);
  note(
    'crl-next-update',
    nextUpdate !== undefined &&
      nextUpdate.at > thisUpdate.at &&
      nextUpdate.at > signingTime &&
      nextUpdate.at.getTime() - thisUpdate.at.getTime() <= maximumMs,
    () => (nextUpdate === undefined ? 'none' : `nextUpdate ${nextUpdate.at.toISOString()}`),
  );
  for (const field of nextUpdate === undefined ? [thisUpdate] : [thisUpdate, nextUpdate]) {
    note('crl-time-encoding', wellEncoded(field), () => `${field.form} time for ${field.at.toISOString()}`);
  }
  const oids = extensions.map(({ oid }) => oid).toSorted();
  note(
    'crl-extensions',
    JSON.stringify(oids) === JSON.stringify(CRL_EXTENSIONS) && extensions.every(({ critical }) => !critical),
    () =>
      extensions.map(({ oid, critical }) => `${oid}${critical ? ', critical' : ''}`).join(' + ') || 'none',
  );
  checkHeaderValues(header, issuer, note);
}

const CRL_EXTENSIONS = [EXTENSION_OIDS.authorityKeyIdentifier, CRL_OIDS.cRLNumber].toSorted();

function checkHeaderValues(header: CrlHeader, issuer: IssuerCertificate, note: Note): void {
  const identifier = crlKeyIdentifier(header);
  const wanted = issuer.extensions.subjectKeyIdentifier;
  note(
    'crl-authority-key-identifier',
    identifier !== undefined && wanted !== undefined && sameBytes(identifier, wanted),
    () => (identifier === undefined ? 'none' : toHex(identifier)),
  );
  const number = crlNumberOf(header);
  note(
    'crl-number',
    number !== undefined && number >= 0n && number < 1n << 159n,
    () => `number ${number ?? 'missing'}`,
  );
}

const wellEncoded = ({ at, form }: { readonly at: Date; readonly form: 'utc' | 'generalized' }) =>
  at.getUTCFullYear() < 2050 === (form === 'utc');

function checkEntry(entry: RawCrlEntry, note: Note): void {
  const { serialHex, revocationDate, extensions } = entry;
  note(
    'crl-entry-serial',
    serialHex.length <= 40 && !/^[89a-f]/.test(serialHex) && serialHex !== '00',
    () => `serial ${serialHex}`,
  );
  note('crl-time-encoding', wellEncoded(revocationDate), () => `revocation date of ${serialHex}`);
  const [first, second, ...more] = extensions;
  note(
    'crl-entry-extensions',
    first?.oid === CRL_OIDS.reasonCode &&
      (second === undefined || second.oid === CRL_OIDS.invalidityDate) &&
      more.length === 0 &&
      extensions.every(({ critical }) => !critical),
    () =>
      `${serialHex}: ${extensions.map(({ oid, critical }) => `${oid}${critical ? ', critical' : ''}`).join(' + ') || 'none'}`,
  );
  const { reasonCode } = readRevocation(entry);
  note(
    'crl-entry-reason',
    reasonCode === undefined || IS_REASON_CODE[reasonCode] === 1,
    () => `${serialHex}: reason ${reasonCode}`,
  );
}
