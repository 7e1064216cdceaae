/** What the admin API answers about held departures, the stop and single key pairs, as far as this command line reads it. */
import { z } from 'zod';

const heldSet = z.looseObject({
  set: z.string(),
  digest: z.string(),
  scope: z.string(),
  state: z.string(),
  reason: z.string(),
  since: z.string(),
  users: z.number(),
  decidedBy: z.string().optional(),
  decidedAt: z.string().optional(),
  job: z.string().optional(),
  absorbedBy: z.string().optional(),
});

export type HeldSetView = z.output<typeof heldSet>;

export const heldList = z.looseObject({ sets: z.array(heldSet) });

const heldUser = z.looseObject({
  userId: z.string(),
  user: z.string(),
  unit: z.string().optional(),
  steps: z.array(
    z.looseObject({ kind: z.string(), target: z.string(), revocationReason: z.string().optional() }),
  ),
  heldAt: z.string(),
  state: z.string(),
  detail: z.string().optional(),
});

export type HeldUserView = z.output<typeof heldUser>;

export const fullHeldSet = heldSet.extend({ users: z.array(heldUser) });

export type FullHeldSetView = z.output<typeof fullHeldSet>;

export const heldDecision = z.looseObject({
  set: z.string(),
  decision: z.string(),
  users: z.number(),
  job: z.string().optional(),
});

export const stopView = z.looseObject({
  stop: z.looseObject({ reason: z.string(), by: z.string(), at: z.string() }).nullable(),
});

export type StopView = NonNullable<z.output<typeof stopView>['stop']>;

export const resumed = z.looseObject({ woken: z.number() });

const statement = z.looseObject({
  user: z.string(),
  keypairId: z.string(),
  disabledAt: z.string(),
  epochs: z.array(
    z.looseObject({
      serial: z.string(),
      from: z.string(),
      to: z.string(),
      addresses: z.array(z.string()),
    }),
  ),
  sameKey: z.array(z.string()),
});

export type StatementView = z.output<typeof statement>;

export const keypairRequested = z.looseObject({ request: z.string() });

export const obliterationRequested = z.looseObject({ request: z.string(), statement, digest: z.string() });

export const keypairRequest = z.looseObject({
  request: z.string(),
  kind: z.string(),
  user: z.string(),
  keypairId: z.string(),
  requestedBy: z.string(),
  requestedAt: z.string(),
  confirmedBy: z.string().optional(),
  reason: z.string(),
  state: z.string(),
  detail: z.string().optional(),
  statement: statement.optional(),
  digest: z.string().optional(),
});

export type KeypairRequestView = z.output<typeof keypairRequest>;

export const keypairRequestList = z.looseObject({ requests: z.array(keypairRequest) });
