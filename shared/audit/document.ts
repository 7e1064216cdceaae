/**
 * The audit trail outside the ledger: one JSON object for each entry and each checkpoint, complete enough to be checked
 * without the ledger; and a table for people. Numbers of 64 bits are decimal strings, instants ISO 8601 in UTC.
 */

import type { ChainedEntry, ChainHead, CrlListing, StoredCheckpoint } from '../ports/ledger/audit-chains.ts';
import type { AuditEntry } from '../ports/ledger.ts';
import { leaveTermsOf } from './leave.ts';

/** Where a revocation became public, and how long it took. */
export interface RevocationPublished {
  readonly serialHex: string;
  readonly issuerId: string;
  /** The first CRL that lists it; absent while none does. */
  readonly crlNumber?: string;
  readonly crlPublishedAt?: string;
  /**
   * From what happened in the directory (or the admin's order) to the revocation, with the grace period between the two; absent
   * where the source did not say when it was.
   */
  readonly secondsFromEvent?: number;
  /** From the same to the CRL. */
  readonly secondsFromEventToCrl?: number;
  /** What policy put between the event and the revocation; absent where the departure had no grace period. */
  readonly grace?: GraceServed;
}

/** A grace period that ended with a revocation. What is over `seconds` is the delay that is ours. */
export interface GraceServed {
  readonly endedAt: string;
  /** From the first look that found them leaving to the end, as policy had it when they were revoked. */
  readonly seconds: number;
  /** From the end to the revocation. */
  readonly secondsToRevocation: number;
  /** From the end to the CRL; absent while none lists it. */
  readonly secondsToCrl?: number;
  /** What began it; absent where the trail has no entry of that. */
  readonly begunBy?: GraceBegun;
}

/** From the entry `leave-begun`. */
export interface GraceBegun {
  /** Its number. */
  readonly entry: string;
  readonly cause: EntryDocument['cause'];
}

export interface EntryDocument extends Omit<AuditEntry, 'cause'> {
  readonly kind: 'entry';
  readonly id: string;
  readonly at: string;
  readonly cause: Omit<AuditEntry['cause'], 'at'> & { readonly at?: string };
  readonly place: string;
  readonly previousSha256Hex: string;
  readonly sha256Hex: string;
  /** Beside entries that revoke; not part of what is hashed. */
  readonly revocation?: RevocationPublished;
}

export interface CheckpointDocument {
  readonly kind: 'checkpoint';
  readonly number: string;
  readonly lastEntryId: string;
  readonly statement: string;
  /** DER of CMS SignedData, base64; absent while it is not signed. */
  readonly signed?: string;
}

/** Where a chain ends by the ledger's own account. */
export interface ChainEndDocument extends Omit<ChainHead, 'place'> {
  readonly place: string;
}

const causeDocument = ({ at, ...cause }: AuditEntry['cause']): EntryDocument['cause'] => ({
  ...cause,
  ...(at === undefined ? {} : { at: at.toISOString() }),
});

/** `begun` is the entry with which the departure began that this one carries out (`beginningOf`). */
export function entryDocument(
  chained: ChainedEntry,
  listing: CrlListing | undefined,
  begun?: ChainedEntry,
): EntryDocument {
  const { id, at, cause, place, ...entry } = chained;
  return {
    kind: 'entry',
    ...entry,
    id: String(id),
    at: at.toISOString(),
    cause: causeDocument(cause),
    place: String(place),
    ...(listing === undefined ? {} : { revocation: published(chained, listing, begun) }),
  };
}

const secondsBetween = (from: Date, to: Date): number => (to.getTime() - from.getTime()) / 1000;

function published(
  entry: ChainedEntry,
  listing: CrlListing,
  begun: ChainedEntry | undefined,
): RevocationPublished {
  const { serialHex, issuerId, revokedAt, crl } = listing;
  const eventAt = (begun ?? entry).cause.at;
  const grace = graceServed(entry, listing, begun);
  const secondsSince = (instant: Date): number | undefined =>
    eventAt === undefined ? undefined : secondsBetween(eventAt, instant);
  const secondsFromEvent = secondsSince(revokedAt);
  const secondsFromEventToCrl = crl === undefined ? undefined : secondsSince(crl.publishedAt);
  return {
    serialHex,
    issuerId,
    ...(crl === undefined
      ? {}
      : { crlNumber: String(crl.crlNumber), crlPublishedAt: crl.publishedAt.toISOString() }),
    ...(secondsFromEvent === undefined ? {} : { secondsFromEvent }),
    ...(secondsFromEventToCrl === undefined ? {} : { secondsFromEventToCrl }),
    ...(grace === undefined ? {} : { grace }),
  };
}

function graceServed(
  entry: ChainedEntry,
  { revokedAt, crl }: CrlListing,
  begun: ChainedEntry | undefined,
): GraceServed | undefined {
  const terms = leaveTermsOf(entry);
  if (terms === undefined) return undefined;
  const end = new Date(terms.graceEndsAt);
  return {
    endedAt: terms.graceEndsAt,
    seconds: secondsBetween(new Date(terms.leavingSince), end),
    secondsToRevocation: secondsBetween(end, revokedAt),
    ...(crl === undefined ? {} : { secondsToCrl: secondsBetween(end, crl.publishedAt) }),
    ...(begun === undefined
      ? {}
      : { begunBy: { entry: String(begun.id), cause: causeDocument(begun.cause) } }),
  };
}

export const checkpointDocument = (checkpoint: StoredCheckpoint): CheckpointDocument => ({
  kind: 'checkpoint',
  number: String(checkpoint.number),
  lastEntryId: String(checkpoint.lastEntryId),
  statement: checkpoint.statement,
  ...(checkpoint.signedDer === undefined
    ? {}
    : { signed: Buffer.from(checkpoint.signedDer).toString('base64') }),
});

/** Back into what is hashed. The document must have the right form; what it says is for the checker to judge. */
export function entryOf(document: EntryDocument): ChainedEntry {
  const { kind: _kind, revocation: _revocation, cause, id, at, place, ...entry } = document;
  const { at: causeAt, ...rest } = cause;
  return {
    ...entry,
    id: BigInt(id),
    at: new Date(at),
    cause: { ...rest, ...(causeAt === undefined ? {} : { at: new Date(causeAt) }) },
    place: BigInt(place),
  };
}

const COLUMNS: readonly (readonly [string, (entry: EntryDocument) => string | number | undefined])[] = [
  ['entry', ({ id }) => id],
  ['at', ({ at }) => at],
  ['user_id', ({ userId }) => userId],
  ['source', ({ cause }) => cause.source],
  ['event', ({ cause }) => cause.event],
  ['event_id', ({ cause }) => cause.eventId],
  ['actor', ({ cause }) => cause.actor],
  ['event_at', ({ cause }) => cause.at],
  ['step', ({ step }) => step],
  ['outcome', ({ outcome }) => outcome],
  ['reason', ({ reason }) => reason],
  ['serial', ({ details }) => text(details?.['serialHex'])],
  ['first_crl_number', ({ revocation }) => revocation?.crlNumber],
  ['first_crl_at', ({ revocation }) => revocation?.crlPublishedAt],
  ['seconds_event_to_revocation', ({ revocation }) => revocation?.secondsFromEvent],
  ['seconds_event_to_crl', ({ revocation }) => revocation?.secondsFromEventToCrl],
  ['grace_begun_by_entry', ({ revocation }) => revocation?.grace?.begunBy?.entry],
  ['grace_begun_by_event', ({ revocation }) => revocation?.grace?.begunBy?.cause.event],
  ['grace_begun_by_event_id', ({ revocation }) => revocation?.grace?.begunBy?.cause.eventId],
  ['grace_begun_by_actor', ({ revocation }) => revocation?.grace?.begunBy?.cause.actor],
  ['grace_seconds', ({ revocation }) => revocation?.grace?.seconds],
  ['seconds_grace_to_revocation', ({ revocation }) => revocation?.grace?.secondsToRevocation],
  ['seconds_grace_to_crl', ({ revocation }) => revocation?.grace?.secondsToCrl],
  ['details', ({ details }) => (details === undefined ? undefined : JSON.stringify(details))],
  ['place', ({ place }) => place],
  ['sha256', ({ sha256Hex }) => sha256Hex],
];

const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

export const CSV_HEADER = COLUMNS.map(([name]) => name).join(',');

/** One row, RFC 4180, without its line end. */
export const csvRow = (entry: EntryDocument): string =>
  COLUMNS.map(([, column]) => csvField(String(column(entry) ?? ''))).join(',');

/**
 * A text that a spreadsheet would take for a formula gets an apostrophe in front: names of units and people come from
 * whoever may edit the directory. https://owasp.org/www-community/attacks/CSV_Injection
 */
function csvField(value: string): string {
  const harmless = /^[=+\-@\t\r]/.test(value) && !/^-?\d+(\.\d+)?$/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
