/** What the admin API answers about policies. Fields this version does not know are kept for `--json`. */
import { z } from 'zod';

const counts = z.record(z.string(), z.number());
const step = z.looseObject({ kind: z.string(), reason: z.string() });

export const liveCheck = z.object({
  mistakes: z.array(z.object({ line: z.number(), column: z.number(), message: z.string() })),
  coveredByRule: counts,
  notCounted: z.string().optional(),
  warnings: z.array(z.string()).default([]),
});

const guardForecast = z.looseObject({
  scope: z.string(),
  covered: z.number(),
  departing: z.number(),
  limit: z.number(),
  held: z.boolean(),
});

const forecast = z.looseObject({
  user: z.string(),
  orgUnit: z.string(),
  change: z.string(),
  from: z.string().optional(),
  to: z.string().optional(),
  reason: z.string(),
  steps: z.array(step),
  later: z.looseObject({ at: z.string(), steps: z.array(step) }).optional(),
  departs: z.boolean(),
  protectedAs: z.string().optional(),
  observeOnly: z.boolean().optional(),
  event: z.looseObject({ at: z.string(), source: z.string(), event: z.string() }).optional(),
});

export const whatIfAnswer = z.looseObject({
  users: z.number(),
  changes: counts,
  coveredByRule: counts,
  steps: counts,
  later: counts,
  guard: z.array(guardForecast),
  forecasts: z.array(forecast),
  notShown: z.number().default(0),
  notKnown: z.array(z.string()).default([]),
  warnings: z.array(z.string()).optional(),
  inForce: z.string().nullish(),
  next: z.string().optional(),
});

export const testAnswer = z.looseObject({
  user: z.string(),
  orgUnit: z.string(),
  standing: z.string(),
  rule: z.string().optional(),
  why: z.string().optional(),
  protectedAs: z.string().optional(),
  considered: z.array(z.object({ rule: z.string(), fits: z.boolean(), why: z.string() })),
  steps: z.array(step),
  verdict: z.looseObject({ state: z.string(), reason: z.string() }),
});

export const activated = z.looseObject({ digest: z.string(), noForecast: z.string().optional() });

export type WhatIfAnswer = z.output<typeof whatIfAnswer>;
export type Forecast = z.output<typeof forecast>;
export type TestAnswer = z.output<typeof testAnswer>;
