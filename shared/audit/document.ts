/**
 * The audit trail outside the ledger: one JSON object for each entry and each checkpoint, complete enough to be checked
 * without the ledger; and a table for people. Numbers of 64 bits are decimal strings, instants ISO 8601 in UTC.
 */

import type { ChainedEntry, CrlListing, StoredCheckpoint } from '../ports/ledger/audit-chains.ts';
import type { AuditEntry } from '../ports/ledger.ts';

/** Where a revocation became public, and how long it took. */
export interface RevocationPublished {
  readonly serialHex: string;
  readonly issuerId: string;
  /** The first CRL that lists it; absent while none does. */
  readonly crlNumber?: string;
  readonly crlPublishedAt?: string;
  /** From what happened in the directory (or the admin's order) to the revocation; absent where the source did not say when it was. */
  readonly secondsFromEvent?: number;
  /** From the same to the CRL. */
  readonly secondsFromEventToCrl?: number;
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

export function entryDocument(
  { id, at, cause, place, ...entry }: ChainedEntry,
  listing: CrlListing | undefined,
): EntryDocument {
  const { at: causeAt, ...rest } = cause;
  return {
    kind: 'entry',
    ...entry,
    id: String(id),
    at: at.toISOString(),
    cause: { ...rest, ...(causeAt === undefined ? {} : { at: causeAt.toISOString() }) },
    place: String(place),
    ...(listing === undefined ? {} : { revocation: published(listing, causeAt) }),
  };
}

function published(
  { serialHex, issuerId, revokedAt, crl }: CrlListing,
  eventAt: Date | undefined,
): RevocationPublished {
  const secondsSince = (instant: Date): number | undefined =>
    eventAt === undefined ? undefined : (instant.getTime() - eventAt.getTime()) / 1000;
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
