/** The sweep and the rollout as an admin sees and steers them. */
import { z } from 'zod';
import { isSealwrightError, permanent } from '../../shared/errors.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { DeadLetters } from '../../shared/ports/dead-letters.ts';
import type { Directory } from '../../shared/ports/directory.ts';
import type { ReportsReading } from '../../shared/ports/ledger/reports.ts';
import { EVERYBODY, type SweepRecord } from '../../shared/ports/ledger/sweeps.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import type { Log } from '../../shared/ports/log.ts';
import { isOver } from '../../shared/sources/event-kinds.ts';
import {
  alarmsOf,
  type FreshnessLedger,
  notificationsOf,
  readFreshness,
} from '../../shared/sources/freshness.ts';
import { ACCEPT_SHRUNK } from '../../shared/sources/sweep/context.ts';
import { minutesLeft, paceOf } from '../../shared/sources/sweep/waves.ts';
import type { HttpAnswer } from '../wire/http.ts';
import { bodyOf } from './body.ts';
import { refuseUnknownUnit } from './unknown-unit.ts';

export interface SweepAdminDeps {
  readonly ledger: Pick<
    Ledger,
    'sweepOverview' | 'requestSweep' | 'rolloutOverview' | 'switchRollout' | 'audit' | 'dueBy'
  > &
    FreshnessLedger;
  readonly directory: Pick<Directory, 'orgUnits'>;
  readonly clock: Clock;
  readonly deadLetters: Pick<DeadLetters, 'look'>;
  readonly log: Log;
  /** What the sweep lets out in a minute, for the estimate of the time left. */
  readonly hintsPerMinute: number;
}

/**
 * `{"sweep":{…},"rollout":{…}}`: the last whole sweep with its drift and how long it took, why the last one was not
 * whole, the one under way.
 */
export async function readStatus(deps: SweepAdminDeps): Promise<HttpAnswer> {
  const { running, waiting, lastWhole, lastEnded } = await deps.ledger.sweepOverview();
  return {
    status: 200,
    body: {
      sweep: {
        lastWhole: lastWhole === undefined ? null : view(lastWhole),
        lastEnded: lastEnded === undefined ? null : view(lastEnded),
        running: running === undefined ? null : view(running),
        waiting: waiting.map(view),
      },
      rollout: await rolloutView(deps),
      ...(await freshnessView(deps)),
      deadLetters: await deadLettersView(deps),
    },
  };
}

/** `sources`, `channels` that are open, `notifications` that they bring, `reports`, `backlog`, `notFollowed` and the `alarms` that stand. */
async function freshnessView(deps: SweepAdminDeps): Promise<Readonly<Record<string, unknown>>> {
  const freshness = await readFreshness(deps.ledger);
  const now = deps.clock.now();
  return {
    sources: freshness.sources,
    channels: freshness.channels
      .filter((channel) => !isOver(channel, now))
      .map(({ event, expiresAt }) => ({ event, expiresAt })),
    notifications: notificationsOf(freshness, now),
    reports: reportsView(freshness.reports),
    backlog: freshness.backlog,
    notFollowed: freshness.oddities,
    alarms: alarmsOf(freshness, now),
  };
}

/** Without the token of the next page, which says nothing to anybody. */
function reportsView({ underWay, ...reading }: ReportsReading): Readonly<Record<string, unknown>> {
  return { ...reading, ...(underWay && { underWay: { from: underWay.from, to: underWay.to } }) };
}

/** How many there are, as far as one look shows; null with the reason where Pub/Sub does not say. */
async function deadLettersView(deps: SweepAdminDeps): Promise<Readonly<Record<string, unknown>>> {
  try {
    const { letters, more } = await deps.deadLetters.look(100);
    return { count: letters.length, more };
  } catch (error) {
    if (!isSealwrightError(error)) throw error;
    return { count: null, more: false, why: error.message };
  }
}

const view = (sweep: SweepRecord) => ({
  sweep: String(sweep.sweepId),
  scope: sweep.scope,
  state: sweep.state,
  requestedAt: sweep.requestedAt,
  startedAt: sweep.startedAt,
  endedAt: sweep.endedAt,
  durationMs:
    sweep.startedAt === undefined || sweep.endedAt === undefined
      ? undefined
      : sweep.endedAt.getTime() - sweep.startedAt.getTime(),
  pages: sweep.pages,
  users: sweep.living,
  deleted: sweep.deleted,
  /** The drift: how many users the events had left behind. */
  differing: sweep.differing,
  sampled: sweep.sampled,
  missing: sweep.missing,
  passes: sweep.passes,
  failures: sweep.failures,
  why: sweep.why,
  /** Groups whose members take long to read: how many are read, and whether that is all of them. */
  groups: sweep.groups?.map(({ groupId, members, pageToken }) => ({
    group: groupId,
    members,
    whole: pageToken === undefined,
  })),
});

const wanted = z.strictObject({
  /** A subtree; absent: everybody. */
  orgUnit: z.string().startsWith('/').max(1_000).optional(),
  /** The directory did shrink: what this sweep counts is believed and is what later ones are held against. */
  acceptShrunk: z.literal(true).optional(),
});

/** 202: it begins within a minute, or when the one under way has ended. */
export async function startSweep(deps: SweepAdminDeps, admin: string, body: unknown): Promise<HttpAnswer> {
  const { orgUnit, acceptShrunk } = bodyOf(wanted, body);
  // One that finds its unit gone sweeps everybody instead, which nobody asked for with a misspelt path.
  if (orgUnit !== undefined) await refuseUnknownUnit(deps.directory, orgUnit);
  const scope = orgUnit ?? EVERYBODY;
  const event = acceptShrunk === true ? ACCEPT_SHRUNK : 'admin';
  const { waiting } = await deps.ledger.sweepOverview();
  if (waiting.some((sweep) => sweep.scope === scope && sweep.cause.event !== event)) {
    throw permanent(
      'conflict',
      `A sweep of ${scope} waits already; "sealwright status" says for what. Ask again when it has begun.`,
    );
  }
  await deps.ledger.requestSweep({ scope, cause: { eventId: admin, event } });
  await deps.ledger.audit({
    cause: { source: 'admin', eventId: scope, event, actor: admin },
    step: 'sweep-requested',
    reason:
      acceptShrunk === true
        ? `${admin} asked for a sweep and accepts that the directory has shrunk.`
        : `${admin} asked for a sweep of ${scope}.`,
    outcome: 'done',
  });
  deps.log.info('sweep-requested', { admin, scope, acceptShrunk: acceptShrunk === true });
  return { status: 202, body: { scope } };
}

const switching = z.strictObject({ paused: z.boolean() });

export async function switchRollout(deps: SweepAdminDeps, admin: string, body: unknown): Promise<HttpAnswer> {
  const { paused } = bodyOf(switching, body);
  await deps.ledger.switchRollout({ paused, by: admin });
  await deps.ledger.audit({
    cause: { source: 'admin', eventId: 'rollout', event: paused ? 'pause' : 'resume', actor: admin },
    step: paused ? 'rollout-paused' : 'rollout-resumed',
    reason: `${admin} ${paused ? 'paused' : 'resumed'} the rollout.`,
    outcome: 'done',
  });
  deps.log.info(paused ? 'rollout-paused' : 'rollout-resumed', { admin });
  return await readRollout(deps);
}

export const readRollout = async (deps: SweepAdminDeps): Promise<HttpAnswer> => ({
  status: 200,
  body: await rolloutView(deps),
});

/** `pace` is how many go out in a minute now, of `hintsPerMinute` at most, less what `due` takes. `minutesLeft` is absent while nobody goes out. */
async function rolloutView(deps: SweepAdminDeps) {
  const overview = await deps.ledger.rolloutOverview();
  const pace = paceOf(deps.hintsPerMinute, overview.late);
  return {
    ...overview,
    hintsPerMinute: deps.hintsPerMinute,
    pace,
    minutesLeft: await minutesLeft(deps, overview),
  };
}
