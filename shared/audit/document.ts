/**
 * The audit trail outside the ledger: one JSON object for each entry and each checkpoint, complete enough to be checked
 * without the ledger; and a table for people. Numbers of 64 bits are decimal strings, instants ISO 8601 in UTC.
 */

import type { ChainedEntry, ChainHead, CrlListing, StoredCheckpoint } from '../ports/ledger/audit-chains.ts';
import type { AuditEntry } from '../ports/ledger.ts';
import { leaveTermsOf, type WayOut } from './leave.ts';

/** Where a revocation became public, and how long it took. */
export interface RevocationPublished {
  readonly serialHex: string;
  readonly issuerId: string;
  /** The first CRL that lists it; absent while none does. */
  readonly crlNumber?: string;
  readonly crlPublishedAt?: string;
  /**
   * From what happened in the directory (or the admin's order) to the revocation, with a grace period and the time it was held
   * between the two; absent where nobody said when it was and nobody leaves.
   */
  readonly secondsFromEvent?: number;
  /** From the same to the CRL. */
  readonly secondsFromEventToCrl?: number;
  /** Of a leaver: who said when the event was. */
  readonly eventTimeFrom?: EventTimeSource;
  /** What began the departure, where that is another entry: the revocation's own cause is then only what carried it out. */
  readonly begunBy?: DepartureBegun;
  /** What policy put between the event and the revocation; absent where the departure had no grace period. */
  readonly grace?: GraceServed;
  /** What the guard put between them; absent where it let the departure through. */
  readonly held?: HeldServed;
}

/**
 * `source`: the event's own source. `directory`: the day of deletion that the directory shows. `first-look`: nobody said, so that the
 * seconds count from when Sealwright first saw them leave, and the event was earlier.
 */
export type EventTimeSource = 'source' | 'directory' | 'first-look';

/** A grace period that ended with a revocation. What is over `seconds` is the delay that is ours. */
export interface GraceServed {
  readonly endedAt: string;
  /** From the first look that found them leaving to the end, as policy had it when they were revoked. */
  readonly seconds: number;
  /** From the end to the revocation. */
  readonly secondsToRevocation: number;
  /** From the end to the CRL; absent while none lists it. */
  readonly secondsToCrl?: number;
}

/** Time in which a departure waited for an admin. What comes after it is the delay that is ours. */
export interface HeldServed {
  /** The set that was approved. */
  readonly set: string;
  /** From the guard's first refusal to the approval. */
  readonly seconds: number;
  readonly approvedAt: string;
  /** From the approval to the revocation. */
  readonly secondsToRevocation: number;
  /** From the approval to the CRL; absent while none lists it. */
  readonly secondsToCrl?: number;
}

/** From the entry `leave-begun`, or from the guard's refusal where there is none. */
export interface DepartureBegun {
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
  /** Beside entries that revoke; not part of what is hashed, and checked against it (`figures-checker.ts`). */
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

/** `way` is what came between the event and the departure that this entry carries out (`wayOut`). */
export function entryDocument(
  chained: ChainedEntry,
  listing: CrlListing | undefined,
  way: WayOut = {},
): EntryDocument {
  const { id, at, cause, place, ...entry } = chained;
  return {
    kind: 'entry',
    ...entry,
    id: String(id),
    at: at.toISOString(),
    cause: causeDocument(cause),
    place: String(place),
    ...(listing === undefined ? {} : { revocation: figuresOf(chained, listing, way) }),
  };
}

const secondsBetween = (from: Date, to: Date): number => (to.getTime() - from.getTime()) / 1000;

/** The serial that an entry says was revoked with it. */
export function serialRevokedBy({ step, outcome, details }: AuditEntry): string | undefined {
  if (step !== 'revoke-leaf' || outcome !== 'done') return undefined;
  const serialHex = details?.['serialHex'];
  return typeof serialHex === 'string' ? serialHex : undefined;
}

/** What stands beside an entry that revokes. */
export function figuresOf(entry: ChainedEntry, listing: CrlListing, way: WayOut): RevocationPublished {
  const { serialHex, issuerId, revokedAt, crl } = listing;
  const event = eventOf(entry, way);
  return {
    serialHex,
    issuerId,
    ...(crl === undefined
      ? {}
      : { crlNumber: String(crl.crlNumber), crlPublishedAt: crl.publishedAt.toISOString() }),
    ...(event === undefined ? {} : { secondsFromEvent: secondsBetween(event.at, revokedAt) }),
    ...(event === undefined || crl === undefined
      ? {}
      : { secondsFromEventToCrl: secondsBetween(event.at, crl.publishedAt) }),
    ...(event?.from === undefined ? {} : { eventTimeFrom: event.from }),
    ...(way.begun === undefined
      ? {}
      : { begunBy: { entry: String(way.begun.id), cause: causeDocument(way.begun.cause) } }),
    ...optionally('grace', graceServed(entry, listing)),
    ...optionally('held', heldServed(listing, way)),
  };
}

const optionally = <K extends string, T>(name: K, value: T | undefined): { readonly [P in K]?: T } =>
  (value === undefined ? {} : { [name]: value }) as { readonly [P in K]?: T };

/** When what led to a revocation happened. Somebody who does not leave has no time but what the source said. */
function eventOf(
  entry: ChainedEntry,
  { begun }: WayOut,
): { readonly at: Date; readonly from?: EventTimeSource } | undefined {
  const said = (begun ?? entry).cause.at;
  if (entry.details?.['departure'] !== true) return said === undefined ? undefined : { at: said };
  if (said !== undefined) return { at: said, from: 'source' };
  const terms = leaveTermsOf(entry);
  const deletedAt = terms?.leaving === 'deleted' ? new Date(terms.leavingSince) : undefined;
  // The first of 1970 is what a deletion has that the directory gave no day.
  if (deletedAt !== undefined && deletedAt.getTime() > 0) return { at: deletedAt, from: 'directory' };
  return { at: (begun ?? entry).at, from: 'first-look' };
}

/** To the revocation and to the CRL, from when nothing but our own work was between. */
const delaySince = (instant: Date, { revokedAt, crl }: CrlListing) => ({
  secondsToRevocation: secondsBetween(instant, revokedAt),
  ...(crl === undefined ? {} : { secondsToCrl: secondsBetween(instant, crl.publishedAt) }),
});

function graceServed(entry: ChainedEntry, listing: CrlListing): GraceServed | undefined {
  const terms = leaveTermsOf(entry);
  if (terms === undefined || terms.graceEndsAt === terms.leavingSince) return undefined;
  const end = new Date(terms.graceEndsAt);
  return {
    endedAt: terms.graceEndsAt,
    seconds: secondsBetween(new Date(terms.leavingSince), end),
    ...delaySince(end, listing),
  };
}

const heldServed = (listing: CrlListing, { held }: WayOut): HeldServed | undefined =>
  held === undefined
    ? undefined
    : {
        set: held.setId,
        seconds: secondsBetween(held.from, held.until),
        approvedAt: held.until.toISOString(),
        ...delaySince(held.until, listing),
      };

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
  ['event_time_from', ({ revocation }) => revocation?.eventTimeFrom],
  ['begun_by_entry', ({ revocation }) => revocation?.begunBy?.entry],
  ['begun_by_event', ({ revocation }) => revocation?.begunBy?.cause.event],
  ['begun_by_event_id', ({ revocation }) => revocation?.begunBy?.cause.eventId],
  ['begun_by_actor', ({ revocation }) => revocation?.begunBy?.cause.actor],
  ['grace_seconds', ({ revocation }) => revocation?.grace?.seconds],
  ['seconds_grace_to_revocation', ({ revocation }) => revocation?.grace?.secondsToRevocation],
  ['seconds_grace_to_crl', ({ revocation }) => revocation?.grace?.secondsToCrl],
  ['held_set', ({ revocation }) => revocation?.held?.set],
  ['held_seconds', ({ revocation }) => revocation?.held?.seconds],
  ['seconds_approval_to_revocation', ({ revocation }) => revocation?.held?.secondsToRevocation],
  ['seconds_approval_to_crl', ({ revocation }) => revocation?.held?.secondsToCrl],
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
