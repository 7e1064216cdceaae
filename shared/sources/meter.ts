/**
 * Counts what a source brings and what of it is not followed, and tells the ledger every few seconds, not at each entry:
 * thousands of events a minute would all write the same row. What an instance counted in its last seconds may be lost.
 */
import { isSealwrightError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { OddityKind, SourceName } from '../ports/ledger/sources.ts';
import type { Ledger } from '../ports/ledger.ts';
import type { Log } from '../ports/log.ts';

export interface SourceMeter {
  /** `alsoFrom`: another source that has to bring this too. */
  entry(entry: { readonly happenedAt?: Date | undefined; readonly alsoFrom?: SourceName | undefined }): void;
  oddity(kind: OddityKind, name?: string): void;
  /** To be called at the end of each request; never throws for a ledger that is away, and counts on. */
  tell(): Promise<void>;
}

export interface SourceMeterDeps {
  readonly clock: Clock;
  readonly ledger: Pick<Ledger, 'recordNews'>;
  readonly log: Log;
}

const TELL_EVERY_MS = 5_000;
const LATE_MS = 3_600_000;
const MAX_NAME_LENGTH = 100;

interface Counts {
  entries: number;
  happenedAt?: Date | undefined;
  alsoFrom?: SourceName | undefined;
  readonly oddities: Map<string, { kind: OddityKind; name: string; count: number }>;
}

const nothing = (): Counts => ({ entries: 0, oddities: new Map() });

export function sourceMeter(source: SourceName, deps: SourceMeterDeps): SourceMeter {
  let counts = nothing();
  let toldMs = Number.NEGATIVE_INFINITY;

  const oddity = (kind: OddityKind, name = '', count = 1): void => {
    const short = name.slice(0, MAX_NAME_LENGTH);
    const key = `${kind} ${short}`;
    const before = counts.oddities.get(key)?.count ?? 0;
    counts.oddities.set(key, { kind, name: short, count: before + count });
  };

  /** What could not be told stands beside what has come since. */
  const restore = (untold: Counts): void => {
    counts.entries += untold.entries;
    counts.happenedAt = later(counts.happenedAt, untold.happenedAt);
    counts.alsoFrom ??= untold.alsoFrom;
    for (const { kind, name, count } of untold.oddities.values()) oddity(kind, name, count);
  };

  return {
    entry: ({ happenedAt, alsoFrom }) => {
      counts.entries += 1;
      counts.happenedAt = later(counts.happenedAt, happenedAt);
      counts.alsoFrom ??= alsoFrom;
      if (happenedAt !== undefined && deps.clock.now().getTime() - happenedAt.getTime() > LATE_MS)
        oddity('late-entry');
    },
    oddity: (kind, name) => oddity(kind, name),
    tell: async () => {
      const nowMs = deps.clock.now().getTime();
      if (counts.entries === 0 && counts.oddities.size === 0) return;
      if (nowMs - toldMs < TELL_EVERY_MS && nowMs >= toldMs) return;
      const told = counts;
      counts = nothing();
      toldMs = nowMs;
      try {
        const { entries, happenedAt, alsoFrom } = told;
        await deps.ledger.recordNews({
          source,
          entries,
          ...(happenedAt === undefined ? {} : { happenedAt }),
          ...(alsoFrom === undefined ? {} : { alsoFrom }),
          oddities: [...told.oddities.values()],
        });
      } catch (error) {
        restore(told);
        if (!isSealwrightError(error)) throw error;
        deps.log.warning('source-news-not-told', { source, code: error.code, message: error.message });
      }
    },
  };
}

const later = (one: Date | undefined, other: Date | undefined): Date | undefined =>
  one === undefined || (other !== undefined && other > one) ? other : one;
