/** Which entries of a backlog may go out now, and when the next one may. Pure over the record it is given. */
import { storedDurationMs } from './duration.ts';
import { type Entry, isPush, type SubscriptionRecord } from './resources.ts';

/**
 * What is known of a backlog's instants without looking through it, in milliseconds of the emulator's clock: a storm leaves thousands
 * of entries there, and each delivery asks. Both hold while entries go, and are stretched when one comes or is due at another time.
 */
export interface Horizon {
  /** No entry's retention ends before. */
  firstEndMs: number;
  /** No entry comes due later. */
  lastDueMs: number;
}

export function horizonOf(record: SubscriptionRecord): Horizon {
  const horizon: Horizon = { firstEndMs: Number.POSITIVE_INFINITY, lastDueMs: Number.NEGATIVE_INFINITY };
  for (const entry of record.backlog) stretch(horizon, record, entry);
  return horizon;
}

export function stretch(horizon: Horizon, record: SubscriptionRecord, entry: Entry): void {
  horizon.firstEndMs = Math.min(horizon.firstEndMs, retentionEndMs(record, entry));
  horizon.lastDueMs = Math.max(horizon.lastDueMs, entry.dueMs);
}

/** Entries that may be delivered now, in order of publication; at most `limit`. */
export function dueEntries(
  record: SubscriptionRecord,
  outstanding: ReadonlySet<Entry>,
  nowMs: number,
  limit: number,
): readonly Entry[] {
  const due: Entry[] = [];
  for (const entry of candidates(record, outstanding)) {
    if (due.length >= limit) break;
    if (entry.dueMs <= nowMs) due.push(entry);
  }
  return due;
}

/** The instant at which the next entry that now waits comes due; undefined when none waits for time. */
export function nextDueMs(
  record: SubscriptionRecord,
  outstanding: ReadonlySet<Entry>,
  nowMs: number,
): number | undefined {
  let next: number | undefined;
  for (const entry of candidates(record, outstanding)) {
    if (entry.dueMs > nowMs && (next === undefined || entry.dueMs < next)) next = entry.dueMs;
  }
  return next;
}

/**
 * Entries that nothing but time keeps back. With ordering, only the first of each key counts, so that a message
 * waits for the acknowledgement of the one before it.
 */
function* candidates(record: SubscriptionRecord, outstanding: ReadonlySet<Entry>): Iterable<Entry> {
  const ordered = record.subscription.enableMessageOrdering === true;
  const keysSeen = new Set<string>();
  for (const entry of record.backlog) {
    const key = entry.message.orderingKey;
    if (ordered && key !== '') {
      if (keysSeen.has(key)) continue;
      keysSeen.add(key);
    }
    if (!outstanding.has(entry)) yield entry;
  }
}

/**
 * True when the retention has passed. A push attempt that fell due inside the retention is still made: in real time
 * it would have been, and a jump of the clock must not lose what real time delivers.
 */
export function hasExpired(record: SubscriptionRecord, entry: Entry, nowMs: number): boolean {
  const endMs = retentionEndMs(record, entry);
  if (nowMs < endMs) return false;
  return !(isPush(record.subscription) && entry.dueMs < endMs);
}

const retentionEndMs = (record: SubscriptionRecord, { message }: Entry): number =>
  Date.parse(message.publishTime) + storedDurationMs(record.subscription.messageRetentionDuration);

/**
 * How long after its nth refusal an entry waits, in milliseconds: doubling from the policy's minimum up to its
 * maximum. Without a policy, and at least, `floorMs`.
 */
export function backoffMs(record: SubscriptionRecord, refusals: number, floorMs: number): number {
  const policy = record.subscription.retryPolicy;
  if (policy === undefined) return floorMs;
  const minimumMs = storedDurationMs(policy.minimumBackoff);
  const maximumMs = storedDurationMs(policy.maximumBackoff);
  return Math.max(floorMs, Math.min(minimumMs * 2 ** (refusals - 1), maximumMs));
}
