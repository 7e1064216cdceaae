/** What the admin API answers about sweeps and the rollout, as far as this command line reads it. */
import { z } from 'zod';

const sweep = z.looseObject({
  scope: z.string(),
  state: z.string(),
  startedAt: z.string().optional(),
  endedAt: z.string().optional(),
  durationMs: z.number().optional(),
  users: z.number(),
  differing: z.number(),
  missing: z.number().optional(),
  pages: z.number(),
  why: z.string().optional(),
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
  hintsPerMinute: z.number(),
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
});

export type SystemStatus = z.output<typeof systemStatus>;

export const sweepAccepted = z.looseObject({ scope: z.string() });
