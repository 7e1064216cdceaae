/**
 * Whether anything goes unnoticed: how fresh each source is, how far the sweep, who waits. An *alarm* is a fact that will
 * not mend itself; it stands as long as its cause does, and is no error of the function that finds it.
 *
 * A source that is silent on a quiet day cannot be told from one that is broken by its silence alone. What tells is another
 * source: the directory's notifications and the audit log both bring every user that is created, deleted or undeleted, and
 * the sweep and the Reports API find what neither brought.
 */
import type { ReportsReading } from '../ports/ledger/reports.ts';
import type { Backlog, OddityRecord, SourceRecord } from '../ports/ledger/sources.ts';
import type { SweepRecord } from '../ports/ledger/sweeps.ts';
import type { Ledger } from '../ports/ledger.ts';
import { endsOfKinds, isAnswered, isNeeded, isOver, type KindEnd } from './event-kinds.ts';

export interface Freshness {
  readonly sources: readonly SourceRecord[];
  readonly oddities: readonly OddityRecord[];
  /** That Google has opened; some are over. */
  readonly channels: readonly { readonly event: string; readonly expiresAt: Date }[];
  readonly lastWhole?: SweepRecord;
  readonly lastEnded?: SweepRecord;
  /** While no sweep has ever ended: since when a policy is in force, if one is. */
  readonly unsweptSince?: Date;
  readonly backlog: Backlog;
  readonly reports: ReportsReading;
}

export const ALARM_NAMES = [
  ...(['audit-silent', 'watch-silent', 'no-channel', 'sweep-late', 'drift'] as const),
  ...(['backlog-late', 'pending-long', 'audit-gaps', 'reports-failing'] as const),
] as const;

export type AlarmName = (typeof ALARM_NAMES)[number];

export interface Alarm {
  readonly alarm: AlarmName;
  /** A sentence: what is wrong and what to do. */
  readonly message: string;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** Google says "a couple of minutes", and that some entries take longer. */
const MISSED_MS = 2 * HOUR_MS;
/** Two sweeps of six hours and one more hour: as in terraform/monitoring.tf. */
const SWEEP_LATE_MS = 13 * HOUR_MS;
/** A channel is replaced when an hour is left of it, so less means that replacing it fails. */
const CHANNEL_LEFT_MS = 45 * MINUTE_MS;
const BACKLOG_LATE_MS = 30 * MINUTE_MS;
/** Somebody without a mailbox is blocked after this long; nobody should be pending for longer. */
const PENDING_LONG_MS = 25 * HOUR_MS;
const FAILED_READINGS = 3;
const DRIFT = { minimum: 20, share: 0.02 };

export type FreshnessLedger = Pick<
  Ledger,
  | 'sources'
  | 'oddities'
  | 'channels'
  | 'sweepOverview'
  | 'latestPolicyActivation'
  | 'backlog'
  | 'reportsReading'
>;

export async function readFreshness(ledger: FreshnessLedger): Promise<Freshness> {
  const { lastWhole, lastEnded } = await ledger.sweepOverview();
  const activation = lastEnded === undefined ? await ledger.latestPolicyActivation() : undefined;
  return {
    sources: await ledger.sources(),
    oddities: await ledger.oddities(),
    channels: (await ledger.channels()).filter(isAnswered),
    ...(lastWhole === undefined ? {} : { lastWhole }),
    ...(lastEnded === undefined ? {} : { lastEnded }),
    ...(activation === undefined ? {} : { unsweptSince: activation.activatedAt }),
    backlog: await ledger.backlog(),
    reports: await ledger.reportsReading(),
  };
}

export const alarmsOf = (freshness: Freshness, now: Date): readonly Alarm[] => [
  ...silence(freshness, now),
  ...channelAlarms(freshness, now),
  ...sweepAlarms(freshness, now),
  ...backlogAlarms(freshness, now),
  ...reportsAlarms(freshness),
];

function silence({ sources }: Freshness, now: Date): readonly Alarm[] {
  const advice = {
    audit:
      'Look whether Workspace data is still shared with Google Cloud (Admin console, Account settings) and whether the log sink may publish to its topic.',
    watch:
      'The channel is replaced by itself; if this stays, look at the log of directory-watch and its public address.',
    reports: '',
  };
  return sources.flatMap(({ source, missedSince, receivedAt }) => {
    if (source === 'reports' || missedSince === undefined || age(missedSince, now) < MISSED_MS) return [];
    const last =
      receivedAt === undefined
        ? 'never brought anything'
        : `brought something last at ${receivedAt.toISOString()}`;
    return [
      {
        alarm: `${source}-silent` as const,
        message: `The ${source === 'audit' ? 'audit log' : "directory's notifications"} ${last}, and another source has known of changes since ${missedSince.toISOString()}. ${advice[source]}`,
      },
    ];
  });
}

function channelAlarms({ channels }: Freshness, now: Date): readonly Alarm[] {
  const kinds = endsOfKinds(channels).filter(({ kind }) => isNeeded(kind));
  const leftMs = (kind: KindEnd) => (kind.endsAt === undefined ? 0 : kind.endsAt.getTime() - now.getTime());
  const without = kinds.filter((kind) => leftMs(kind) <= 0);
  const ending = kinds.filter((kind) => leftMs(kind) < CHANNEL_LEFT_MS);
  if (ending.length === 0) return [];
  const named = (some: readonly KindEnd[]) =>
    some.length === kinds.length ? '' : ` for ${some.map(({ kind }) => kind).join(', ')}`;
  const ended = latest(without.map(({ endsAt }) => endsAt));
  const minutes = Math.floor(Math.min(...ending.map(leftMs)) / MINUTE_MS);
  const said =
    without.length > 0
      ? `No notification channel is open${named(without)}${ended === undefined ? '' : `; the last one ended at ${ended.toISOString()}`}`
      : `The last notification channel${named(ending)} ends in ${minutes} minutes and was not replaced`;
  return [
    {
      alarm: 'no-channel',
      message: `${said}. The log of due says why Google refuses one (channel-refused).`,
    },
  ];
}

function latest(dates: readonly (Date | undefined)[]): Date | undefined {
  return dates.reduce(
    (one, other) => (one === undefined || (other !== undefined && other > one) ? other : one),
    undefined,
  );
}

/** Until the first of the kinds that are needed has no channel any more; 0 when one has none. */
function channelLeftMs(channels: Freshness['channels'], now: Date): number {
  const ends = endsOfKinds(channels)
    .filter(({ kind }) => isNeeded(kind))
    .map(({ endsAt }) => endsAt?.getTime() ?? 0);
  return Math.max(0, Math.min(...ends) - now.getTime());
}

export interface Notifications {
  /** Channels that are open. */
  readonly open: number;
  /** When the first of the kinds that are brought is brought no more, unless its channel is replaced; absent: none is brought. */
  readonly until?: Date;
  /** Kinds that no open channel brings, and since when, where that is known. */
  readonly without: readonly { readonly kind: string; readonly since?: Date }[];
}

/** What notifications there can be now. */
export function notificationsOf({ channels }: Freshness, now: Date): Notifications {
  const kinds = endsOfKinds(channels);
  const isBrought = ({ endsAt }: KindEnd) => endsAt !== undefined && endsAt > now;
  const ends = kinds.filter(isBrought).flatMap(({ endsAt }) => endsAt?.getTime() ?? []);
  return {
    open: channels.filter((channel) => !isOver(channel, now)).length,
    ...(ends.length === 0 ? {} : { until: new Date(Math.min(...ends)) }),
    without: kinds
      .filter((kind) => !isBrought(kind))
      .map(({ kind, endsAt }) => ({ kind, ...(endsAt === undefined ? {} : { since: endsAt }) })),
  };
}

function sweepAlarms({ lastWhole, lastEnded, unsweptSince }: Freshness, now: Date): readonly Alarm[] {
  const alarms: Alarm[] = [];
  if (unsweptSince !== undefined && age(unsweptSince, now) > SWEEP_LATE_MS) {
    alarms.push({
      alarm: 'sweep-late',
      message: `No sweep has ever ended, and the policy is in force since ${unsweptSince.toISOString()}. Look whether Cloud Scheduler calls sweep every minute, and at the log of sweep.`,
    });
  }
  const ended = lastWhole?.endedAt;
  if (lastEnded !== undefined && (ended === undefined || age(ended, now) > SWEEP_LATE_MS)) {
    const since = ended === undefined ? 'never' : `last at ${ended.toISOString()}`;
    alarms.push({
      alarm: 'sweep-late',
      message: `The directory was ${since} read whole${lastEnded.why === undefined ? '' : `: ${lastEnded.why.replace(/\.+$/, '')}`}. Users in no list do not depart until it is.`,
    });
  }
  if (
    lastWhole !== undefined &&
    lastWhole.differing > Math.max(DRIFT.minimum, DRIFT.share * lastWhole.living)
  ) {
    alarms.push({
      alarm: 'drift',
      message: `The last whole sweep found ${lastWhole.differing} of ${lastWhole.living} users that no event had told of. After a change of policy that is expected; otherwise a source loses events.`,
    });
  }
  return alarms;
}

function backlogAlarms({ backlog }: Freshness, now: Date): readonly Alarm[] {
  const alarms: Alarm[] = [];
  const { due, oldestDueAt, oldestPending } = backlog;
  if (oldestDueAt !== undefined && age(oldestDueAt, now) > BACKLOG_LATE_MS) {
    alarms.push({
      alarm: 'backlog-late',
      message: `${due} users are due and the first of them since ${oldestDueAt.toISOString()}. The log of directory-event says what keeps them waiting; "sealwright status" says whether everything is stopped.`,
    });
  }
  if (oldestPending !== undefined && age(oldestPending.since, now) > PENDING_LONG_MS) {
    alarms.push({
      alarm: 'pending-long',
      message: `User ${oldestPending.userId} is pending since ${oldestPending.since.toISOString()}: "sealwright user ${oldestPending.userId}" says why.`,
    });
  }
  return alarms;
}

function reportsAlarms({ reports }: Freshness): readonly Alarm[] {
  const alarms: Alarm[] = [];
  if (reports.gaps > 0) {
    alarms.push({
      alarm: 'audit-gaps',
      message: `The Reports API had ${reports.gaps} entries that the log sink has not brought; they were followed all the same. Look whether the sink may publish to its topic.`,
    });
  }
  if (reports.failures >= FAILED_READINGS) {
    alarms.push({
      alarm: 'reports-failing',
      message: `The Reports API could not be read ${reports.failures} times in a row: ${reports.why ?? 'no reason was given'}`,
    });
  }
  return alarms;
}

/** Numbers for a log line, in seconds and counts; what is unknown is left out. */
export function measure(freshness: Freshness, now: Date): Readonly<Record<string, number>> {
  const seconds = (ms: number | undefined) => (ms === undefined ? undefined : Math.round(ms / 1000));
  const since = (date: Date | undefined) => (date === undefined ? undefined : seconds(age(date, now)));
  const { sources, backlog, lastWhole, reports, channels } = freshness;
  const received = (name: string) => since(sources.find(({ source }) => source === name)?.receivedAt);
  const numbers = {
    auditAgeSeconds: received('audit'),
    watchAgeSeconds: received('watch'),
    reportsAgeSeconds: since(reports.readAt),
    channelLeftSeconds: seconds(channelLeftMs(channels, now)),
    sweepAgeSeconds: since(lastWhole?.endedAt),
    sweepDrift: lastWhole?.differing,
    dueUsers: backlog.due,
    oldestDueSeconds: since(backlog.oldestDueAt) ?? 0,
    pendingUsers: backlog.pending,
    oldestPendingSeconds: since(backlog.oldestPending?.since) ?? 0,
  };
  return Object.fromEntries(
    Object.entries(numbers).filter((entry): entry is [string, number] => entry[1] !== undefined),
  );
}

const age = (date: Date, now: Date): number => now.getTime() - date.getTime();
