/** What the guard holds: reading it, and deciding on it by its digest. */
import type { FullHeldSet, HeldDeparture, HeldSet } from '../../shared/domain/held.ts';
import { invalidInput, isSealwrightError, permanent } from '../../shared/errors.ts';
import { heldSetDigest, setIdOfDigest, waiting } from '../../shared/plan/held-set.ts';
import type { Bus } from '../../shared/ports/bus.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import type { Log } from '../../shared/ports/log.ts';
import type { HttpAnswer } from '../wire/http.ts';

export interface HeldDeps {
  readonly ledger: Pick<Ledger, 'heldSets' | 'readHeldSet' | 'decideHeldSet'>;
  readonly bus: Pick<Bus, 'publishHints'>;
  /** What `due` and the waves let out in a minute. */
  readonly hintsPerMinute: number;
  readonly log: Log;
}

/** So few are hinted at once; `due` finds the others as their time comes, at the pace that it shares with the waves. */
const HINTED_AT_ONCE = 20;

/** Users are woken this far apart: no faster than `due` lets hints out, or the last of them would count as late. */
export const wakePaceMs = (hintsPerMinute: number): number => Math.ceil(60_000 / hintsPerMinute);

/** `{"sets":[…]}`, newest first; `?state=any` also shows what was decided. */
export async function readHeldSets(deps: HeldDeps, query: URLSearchParams): Promise<HttpAnswer> {
  const state = query.get('state') ?? 'open';
  if (state !== 'open' && state !== 'any')
    throw invalidInput('malformed-request', '"state" must be open or any.');
  const sets = await deps.ledger.heldSets({ state });
  const body = await Promise.all(sets.map(async (set) => summary(set, set.held, await digestOf(deps, set))));
  return { status: 200, body: { sets: body } };
}

/** One set with everybody in it, by its present digest or the one it was decided on, or by its number. */
export async function readHeldSet(deps: HeldDeps, name: string): Promise<HttpAnswer> {
  const set = await deps.ledger.readHeldSet(/^[1-9]\d{0,17}$/.test(name) ? BigInt(name) : setIdOf(name));
  if (set === undefined) throw unknownSet(name);
  const digest = set.decided?.digest ?? heldSetDigest(set);
  if (name.includes('-') && name !== digest)
    throw set.absorbedBy === undefined ? changed(set) : partOf(set, set.absorbedBy);
  const shown = set.state === 'open' ? waiting(set) : set.departures;
  return { status: 200, body: { ...summary(set, shown.length, digest), users: shown.map(departure) } };
}

/** 202 `{"job"}` for an approval, 200 for a dismissal; refused when the set is no longer what the digest was of. */
export async function decideOnHeld(
  deps: HeldDeps,
  admin: string,
  digest: string,
  decision: 'approved' | 'dismissed',
): Promise<HttpAnswer> {
  const setId = setIdOf(digest);
  const outcome = await deps.ledger.decideHeldSet(
    setId,
    (set) => {
      if (set.absorbedBy !== undefined) throw partOf(set, set.absorbedBy);
      if (set.decided !== undefined) throw decidedAlready(set, set.decided, admin);
      if (heldSetDigest(set) !== digest) throw changed(set);
      return { setId, decision, by: admin, digest, paceMs: wakePaceMs(deps.hintsPerMinute) };
    },
    (set) => ({
      cause: { source: 'admin', eventId: digest, event: `held-${decision}`, actor: admin },
      step: 'held-set',
      reason: `${admin} ${decision} held set ${setId} with ${waiting(set).length} departures. It was opened because: ${set.reason}`,
      outcome: 'done',
      details: { heldSet: Number(setId), digest, departures: waiting(set).length, decision },
    }),
  );
  if (outcome === undefined) throw unknownSet(digest);
  const { set, userIds } = outcome;
  await wake(deps, set, userIds, admin);
  const body = { set: String(set.setId), digest, decision, users: userIds.length };
  const job = set.decided?.jobId;
  return job === undefined ? { status: 200, body } : { status: 202, body: { ...body, job } };
}

/** It is decided and they are due: from here on a failure is logged and not thrown. */
async function wake(deps: HeldDeps, set: HeldSet, userIds: readonly string[], admin: string): Promise<void> {
  const cause = {
    source: 'admin',
    eventId: set.decided?.jobId ?? `held-${set.setId}`,
    event: `held-${set.state}`,
    actor: admin,
  } as const;
  try {
    await deps.bus.publishHints(userIds.slice(0, HINTED_AT_ONCE).map((userId) => ({ userId, cause })));
    deps.log.info('held-set-decided', {
      set: String(set.setId),
      decision: set.state,
      users: userIds.length,
      admin,
    });
  } catch (error) {
    if (!isSealwrightError(error)) throw error;
    deps.log.error('held-set-not-announced', { code: error.code, message: error.message });
  }
}

function setIdOf(digest: string): bigint {
  const setId = setIdOfDigest(digest);
  if (setId !== undefined) return setId;
  throw invalidInput(
    'malformed-request',
    `"${digest}" is no digest of a held set: it is the set's number, a hyphen and 64 hexadecimal digits, as "sealwright held list" shows it.`,
    { details: { field: 'digest' } },
  );
}

async function digestOf(deps: HeldDeps, set: HeldSet): Promise<string> {
  if (set.decided !== undefined) return set.decided.digest;
  const full = await deps.ledger.readHeldSet(set.setId);
  return heldSetDigest(full ?? { ...set, departures: [] });
}

const unknownSet = (name: string) => permanent('not-found', `There is no held set ${name}.`);

const partOf = (set: HeldSet, absorbedBy: bigint) =>
  permanent(
    'held-set-changed',
    `Held set ${set.setId} is part of held set ${absorbedBy} now, because a wider unit or the tenant passed its limit too. Look at that one and decide on it.`,
    { details: { set: String(set.setId), absorbedBy: String(absorbedBy) } },
  );

const changed = (set: FullHeldSet) =>
  permanent(
    'held-set-changed',
    `Held set ${set.setId} has changed since that digest was shown: ${waiting(set).length} departures wait in it now. Look at it again and decide on what it is.`,
    { details: { set: String(set.setId), users: waiting(set).length } },
  );

const decidedAlready = (set: HeldSet, decided: NonNullable<HeldSet['decided']>, admin: string) =>
  permanent(
    'held-set-decided',
    `Held set ${set.setId} is ${set.state} already, by ${decided.by === admin ? 'you' : decided.by} at ${decided.at.toISOString()}; nothing was changed.`,
    {
      details: {
        set: String(set.setId),
        by: decided.by,
        ...(decided.jobId === undefined ? {} : { job: decided.jobId }),
      },
    },
  );

const summary = (set: HeldSet, users: number, digest: string) => ({
  set: String(set.setId),
  digest,
  scope: set.scope,
  state: set.state,
  reason: set.reason,
  since: set.openedAt,
  users,
  decidedBy: set.decided?.by,
  decidedAt: set.decided?.at,
  job: set.decided?.jobId,
  absorbedBy: set.absorbedBy === undefined ? undefined : String(set.absorbedBy),
});

const departure = ({ userId, primaryEmail, unit, steps, heldAt, state, detail }: HeldDeparture) => ({
  userId,
  user: primaryEmail,
  unit,
  steps,
  heldAt,
  state,
  detail,
});
