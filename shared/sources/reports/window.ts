/**
 * Which part of the activity lists to ask for. A window that began where the last one ended would miss what came late, so
 * each reaches back over the last ones; a few times a day one reaches back for days. What was followed already is known by its id.
 */
import type { ReportsReading } from '../../ports/ledger/reports.ts';

export interface ReportsWindow {
  readonly from: Date;
  readonly to: Date;
  readonly isDeep: boolean;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** The lists are read this often. */
export const READ_EVERY_MS = 10 * MINUTE_MS;
/** The log sink brings an entry within two minutes, mostly within seconds, and so long nobody else need bring it. */
export const SETTLE_MS = 10 * MINUTE_MS;
/** Google's "some take longer" is hours. */
export const OVERLAP_MS = 4 * HOUR_MS;
/** An entry a day late is found by the next deep reading after it has come. */
export const DEEP_OVERLAP_MS = 50 * HOUR_MS;
export const DEEP_EVERY_MS = 6 * HOUR_MS;
/** Google keeps the lists for 180 days. */
const KEPT_MS = 179 * DAY_MS;

/** False too while the last attempt failed a moment ago. */
export function isReadingDue(reading: ReportsReading, now: Date): boolean {
  const { through, underWay, failures, triedAt } = reading;
  if (failures > 0 && triedAt !== undefined && sinceMs(triedAt, now) < READ_EVERY_MS) return false;
  if (underWay !== undefined || through === undefined) return true;
  return sinceMs(through, now) >= SETTLE_MS + READ_EVERY_MS;
}

/** The first one reaches back a little, and no later one before it. */
export function nextWindow(reading: ReportsReading, now: Date): ReportsWindow {
  const toMs = now.getTime() - SETTLE_MS;
  const { through, deepAt, since } = reading;
  const isFirst = through === undefined;
  const isDeep = isFirst || deepAt === undefined || sinceMs(deepAt, now) >= DEEP_EVERY_MS;
  const overlapMs = isDeep && !isFirst ? DEEP_OVERLAP_MS : OVERLAP_MS;
  // A clock that went backwards leaves `through` in the future.
  const lastMs = Math.min((through ?? new Date(toMs)).getTime(), toMs);
  const fromMs = Math.max(lastMs - overlapMs, toMs - KEPT_MS, since?.getTime() ?? 0);
  return { from: new Date(Math.min(fromMs, toMs - 1)), to: new Date(toMs), isDeep };
}

const sinceMs = (date: Date, now: Date): number => now.getTime() - date.getTime();
