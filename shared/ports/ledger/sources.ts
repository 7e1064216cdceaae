/**
 * What the sources brought, kept so that a source that has fallen silent can be told from a quiet day
 * (`shared/sources/freshness.ts`).
 */
import type { UserState } from '../../domain/records.ts';

/** `watch`: the directory's notifications; `audit`: the log sink; `reports`: the Reports API. */
export type SourceName = 'watch' | 'audit' | 'reports';

/** What came and was not followed. Counted, shown, never an error. */
export type OddityKind =
  /** An event this product has no use for; the name is the event's. */
  | 'unknown-event'
  /** An entry of another organization; the name is its number. */
  | 'foreign-organization'
  /** Nobody can read it. */
  | 'malformed'
  /** A notification through a channel that we do not know. */
  | 'unknown-channel'
  /** A notification through a channel of ours that is over. */
  | 'expired-channel'
  /** A notification with a token that is not the channel's. */
  | 'wrong-token'
  /** An entry that came once more. */
  | 'repeated-entry'
  /** An entry more than an hour old when it came. */
  | 'late-entry';

export interface SourceNews {
  readonly source: SourceName;
  /** How many came since the last news. */
  readonly entries: number;
  /** The latest instant that any of them tells of. */
  readonly happenedAt?: Date;
  /**
   * Another source that brings each of these too, where there is one: unless it has brought something since they happened, it
   * counts as missing them until it does.
   */
  readonly alsoFrom?: SourceName;
  readonly oddities: readonly { readonly kind: OddityKind; readonly name: string; readonly count: number }[];
}

export interface SourceRecord {
  readonly source: SourceName;
  readonly entries: number;
  /** Absent while none ever came. */
  readonly receivedAt?: Date;
  readonly happenedAt?: Date;
  /** Since when another source has brought what this one should have brought as well. */
  readonly missedSince?: Date;
}

export interface OddityRecord {
  readonly source: SourceName;
  readonly kind: OddityKind;
  readonly name: string;
  readonly count: number;
  readonly firstAt: Date;
  readonly lastAt: Date;
}

/** How the users stand who are not at rest, and who is not shown yet. */
export interface Backlog {
  /** Users whose time has come and whom nobody has looked at yet, and the longest overdue of them. */
  readonly due: number;
  readonly oldestDueAt?: Date;
  readonly pending: number;
  readonly oldestPending?: { readonly userId: string; readonly since: Date; readonly state: UserState };
  /** Hints that were put off because the directory does not show whom they are about, and when the first of what they tell happened. */
  readonly putOff: number;
  readonly oldestPutOffAt?: Date;
}

export interface SourceLedger {
  recordNews(news: SourceNews): Promise<void>;
  sources(): Promise<readonly SourceRecord[]>;
  /** The latest first, at most a hundred. */
  oddities(): Promise<readonly OddityRecord[]>;
  backlog(): Promise<Backlog>;
  /** Writes these entries down as followed. Forgets those that were first followed more than ten days ago. */
  followEntries(entryKeys: readonly string[]): Promise<void>;
  /** Which of these were followed already. */
  followedEntries(entryKeys: readonly string[]): Promise<readonly string[]>;
  /** They came, and the looks they asked for failed; whoever brought them brings them again. */
  noteArrivals(entryKeys: readonly string[]): Promise<void>;
  /** Which of these came already, followed or not. */
  arrivedEntries(entryKeys: readonly string[]): Promise<readonly string[]>;
}
