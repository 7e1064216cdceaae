/** What the admin API answers about sweeps and the rollout, as far as this command line reads it. */
import { z } from 'zod';

const sweep = z.looseObject({
  scope: z.string(),
  state: z.string(),
  requestedAt: z.string().optional(),
  startedAt: z.string().optional(),
  endedAt: z.string().optional(),
  durationMs: z.number().optional(),
  users: z.number(),
  differing: z.number(),
  missing: z.number().optional(),
  pages: z.number(),
  why: z.string().optional(),
  groups: z.array(z.looseObject({ group: z.string(), members: z.number(), whole: z.boolean() })).optional(),
});

export type SweepView = z.output<typeof sweep>;

export const rolloutView = z.looseObject({
  paused: z.boolean(),
  changedBy: z.string().optional(),
  changedAt: z.string().optional(),
  begunAt: z.string().optional(),
  total: z.number(),
  waiting: z.number(),
  underWay: z.number(),
  ready: z.number(),
  blocked: z.number(),
  waitingSince: z.string().optional(),
  late: z.number(),
  hintsPerMinute: z.number(),
  pace: z.number(),
  minutesLeft: z.number().optional(),
});

export type RolloutView = z.output<typeof rolloutView>;

export const systemStatus = z.looseObject({
  sweep: z.looseObject({
    lastWhole: sweep.nullable(),
    lastEnded: sweep.nullable(),
    running: sweep.nullable(),
    waiting: z.array(sweep),
  }),
  rollout: rolloutView,
  sources: z.array(
    z.looseObject({
      source: z.string(),
      entries: z.number(),
      receivedAt: z.string().optional(),
      missedSince: z.string().optional(),
    }),
  ),
  channels: z.array(z.looseObject({ event: z.string(), expiresAt: z.string() })),
  notifications: z.looseObject({
    open: z.number(),
    until: z.string().optional(),
    without: z.array(z.looseObject({ kind: z.string(), since: z.string().optional() })),
  }),
  reports: z.looseObject({
    readAt: z.string().optional(),
    through: z.string().optional(),
    gaps: z.number(),
    failures: z.number(),
    why: z.string().optional(),
  }),
  backlog: z.looseObject({
    due: z.number(),
    oldestDueAt: z.string().optional(),
    pending: z.number(),
    oldestPending: z.looseObject({ userId: z.string(), since: z.string() }).optional(),
    /** Not said by a function of before. */
    putOff: z.number().default(0),
    oldestPutOffAt: z.string().optional(),
  }),
  notFollowed: z.array(
    z.looseObject({
      source: z.string(),
      kind: z.string(),
      name: z.string(),
      count: z.number(),
      lastAt: z.string(),
    }),
  ),
  alarms: z.array(z.looseObject({ alarm: z.string(), message: z.string() })),
  deadLetters: z.looseObject({ count: z.number().nullable(), more: z.boolean(), why: z.string().optional() }),
});

export type SystemStatus = z.output<typeof systemStatus>;

export const sweepAccepted = z.looseObject({ scope: z.string() });
