/**
 * The gap filler. Entries of the audit log reach us through the organization's log sink; what it did not bring, because it was
 * broken, not yet made or Google lost it, stands in the Reports API for 180 days and is followed from there. A *gap* is such
 * an entry; a *reading* goes through one window of each list, over several invocations if it must.
 *
 * What it will not do: act. Like the log sink's entries these become hints and sweeps of subtrees. It is written down as
 * followed once its hint is published, because from then on Pub/Sub keeps it.
 */
import { isSealwrightError } from '../../errors.ts';
import type { Bus } from '../../ports/bus.ts';
import type { Clock } from '../../ports/clock.ts';
import { REPORTS_SUBJECT, type ReportsLedger, type ReportsPosition } from '../../ports/ledger/reports.ts';
import type { Lease, Ledger } from '../../ports/ledger.ts';
import type { Log } from '../../ports/log.ts';
import type { ActivityPage, Reports, ReportsApplication } from '../../ports/reports.ts';
import { type SourceMeter, sourceMeter } from '../meter.ts';
import { entryOf, type ReportedEntry } from './activities.ts';
import { isReadingDue, nextWindow } from './window.ts';

export interface ReportsDeps {
  readonly clock: Clock;
  /** Milliseconds since some fixed moment; unlike `clock` it never jumps. */
  readonly elapsedMs: () => number;
  readonly reports: Reports;
  readonly ledger: ReportsLedger &
    Pick<
      Ledger,
      | 'acquireLease'
      | 'renewLease'
      | 'releaseLease'
      | 'arrivedEntries'
      | 'followEntries'
      | 'requestSweep'
      | 'recordNews'
      | 'latestPolicyActivation'
    >;
  readonly bus: Pick<Bus, 'publishHints'>;
  readonly log: Log;
  /** An invocation stops reading after this, milliseconds. */
  readonly budgetMs: number;
}

export type ReportsOutcome =
  /** Not yet, or another invocation is at work. */
  | { readonly kind: 'not-due' | 'busy' }
  | { readonly kind: 'read' | 'out-of-time'; readonly gaps: number }
  | { readonly kind: 'failed'; readonly why: string };

/** A page that Google takes its time for, with the adapter's own retries. */
const LEASE_MS = 180_000;

/**
 * Reads on, if a reading is due, until it is through or the time is over. Throws what keeps it from writing
 * (`ledger-unavailable`, `lease-lost`); whatever keeps it from reading or publishing is written down and tried again.
 */
export async function readReports(deps: ReportsDeps): Promise<ReportsOutcome> {
  if (!isReadingDue(await deps.ledger.reportsReading(), deps.clock.now())) return { kind: 'not-due' };
  const lease = await deps.ledger.acquireLease(REPORTS_SUBJECT, LEASE_MS);
  if (lease === undefined) return { kind: 'busy' };
  const meter = sourceMeter('reports', deps);
  try {
    return await readOn(deps, lease, meter);
  } catch (error) {
    if (!isSealwrightError(error) || error.code === 'ledger-unavailable' || error.code === 'lease-lost')
      throw error;
    deps.log.warning('reports-not-read', { code: error.code, message: error.message });
    await deps.ledger.recordReportsFailure(lease, error.message);
    return { kind: 'failed', why: error.message };
  } finally {
    await meter.tell();
    await deps.ledger.releaseLease(lease);
  }
}

async function readOn(deps: ReportsDeps, lease: Lease, meter: SourceMeter): Promise<ReportsOutcome> {
  const endsAtMs = deps.elapsedMs() + deps.budgetMs;
  // Read again: whoever had the lease before has moved on.
  const reading = await deps.ledger.reportsReading();
  if (!isReadingDue(reading, deps.clock.now())) return { kind: 'not-due' };
  const applications = await listsToRead(deps);
  let at: ReportsPosition | undefined = reading.underWay ?? {
    ...nextWindow(reading, deps.clock.now()),
    application: 'admin',
    gaps: 0,
  };
  // Nobody can have expected the sink to bring what is older than the first reading.
  const counts = reading.through !== undefined;
  for (;;) {
    const page = await pageAt(deps, lease, at);
    const found = await followPage(deps, meter, page, at.application);
    const gaps = at.gaps + (counts && at.application === 'admin' ? found : 0);
    const next: ReportsPosition | undefined = after({ ...at, gaps }, page, applications);
    if (next === undefined) {
      await deps.ledger.recordReportsRead(lease, { through: at.to, gaps, isDeep: at.isDeep });
      deps.log.info('reports-read', { from: at.from, through: at.to, gaps, deep: at.isDeep });
      return { kind: 'read', gaps };
    }
    at = next;
    await deps.ledger.recordReportsPosition(lease, at);
    if (deps.elapsedMs() >= endsAtMs) return { kind: 'out-of-time', gaps };
    await deps.ledger.renewLease(lease, LEASE_MS);
  }
}

/** Who comes into groups and leaves them matters where the policy in force names a group. */
async function listsToRead({ ledger }: ReportsDeps): Promise<readonly ReportsApplication[]> {
  const activation = await ledger.latestPolicyActivation();
  const namesGroups = Object.keys(activation?.pins.groups ?? {}).length > 0;
  return namesGroups ? ['admin', 'groups_enterprise'] : ['admin'];
}

/** The page a reading is at. A token that is no longer taken costs reading that list from its beginning, and no more. */
async function pageAt(deps: ReportsDeps, lease: Lease, at: ReportsPosition): Promise<ActivityPage> {
  try {
    return await deps.reports.activityPage(at);
  } catch (error) {
    if (!isSealwrightError(error) || error.code !== 'page-token-expired') throw error;
    const { pageToken: _, ...fromTheFirst } = at;
    await deps.ledger.recordReportsPosition(lease, fromTheFirst);
    return await deps.reports.activityPage(fromTheFirst);
  }
}

/** Undefined when the last list is read to its end. */
function after(
  at: ReportsPosition,
  page: ActivityPage,
  applications: readonly ReportsApplication[],
): ReportsPosition | undefined {
  const { pageToken: _, ...rest } = at;
  if (page.nextPageToken !== undefined) return { ...rest, pageToken: page.nextPageToken };
  const application = applications[applications.indexOf(at.application) + 1];
  return application === undefined ? undefined : { ...rest, application };
}

/**
 * Has whatever on the page nobody brought yet followed; answers how many entries that were. Hints first, then the ledger: a
 * crash between them repeats hints and loses none.
 */
async function followPage(
  deps: ReportsDeps,
  meter: SourceMeter,
  page: ActivityPage,
  application: ReportsApplication,
): Promise<number> {
  const entries = new Map<string, ReportedEntry>();
  for (const activity of page.activities) {
    const entry = entryOf(activity, application);
    if (entry !== undefined) entries.set(entry.key, entry);
  }
  const known = new Set(entries.size === 0 ? [] : await deps.ledger.arrivedEntries([...entries.keys()]));
  const gaps = [...entries.values()].filter(({ key }) => !known.has(key));
  if (gaps.length === 0) return 0;
  await deps.bus.publishHints(gaps.flatMap(({ hints }) => hints));
  for (const { orgUnitPath, cause } of gaps.flatMap(({ units }) => units))
    await deps.ledger.requestSweep({
      scope: orgUnitPath,
      cause: { eventId: cause.eventId, event: cause.event },
    });
  await deps.ledger.followEntries(gaps.map(({ key }) => key));
  for (const { happenedAt } of gaps)
    meter.entry({ happenedAt, ...(application === 'admin' ? { alsoFrom: 'audit' as const } : {}) });
  deps.log.info('reports-gap', {
    application,
    entries: gaps.length,
    first: gaps.map(({ key }) => key).at(-1),
    last: gaps[0]?.key,
  });
  return gaps.length;
}
