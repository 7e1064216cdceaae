/**
 * Erasing the wrapped keys of people who were deleted: two admins over exactly the set that was shown, by its digest, as with an
 * obliteration. Confirming carries it out, user by user under the user's lease, each checked once more by ledger, policy and
 * directory; what a call had no time for, or died before, the next confirmation of the same erasure goes on with.
 */
import { z } from 'zod';
import type { ActivePolicySource } from '../../shared/activation/active-policy.ts';
import type { ShownKey } from '../../shared/domain/erasure.ts';
import type { Policy } from '../../shared/domain/policy.ts';
import { isSealwrightError, permanent, type SealwrightError } from '../../shared/errors.ts';
import { dueForErasure, erasureDigest, whyDirectoryForbids, whyKept } from '../../shared/plan/erasure.ts';
import type { Bus } from '../../shared/ports/bus.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { Directory } from '../../shared/ports/directory.ts';
import type { Erasure } from '../../shared/ports/ledger/erasures.ts';
import type { Lease, Ledger } from '../../shared/ports/ledger.ts';
import type { HttpAnswer } from '../wire/http.ts';
import { bodyOf, noLegalHold } from './body.ts';

export interface ErasureDeps {
  readonly clock: Clock;
  readonly ledger: Pick<
    Ledger,
    | 'keysOfDeleted'
    | 'recordErasure'
    | 'decideErasure'
    | 'eraseKeys'
    | 'closeErasure'
    | 'readErasure'
    | 'erasures'
    | 'currentStop'
    | 'acquireLease'
    | 'releaseLease'
  >;
  readonly directory: Pick<Directory, 'presence'>;
  readonly policies: ActivePolicySource;
  readonly bus: Pick<Bus, 'publishHints'>;
}

/** Of one user; a look at them meanwhile is put off. */
const LEASE_MS = 60_000;
/** A request has two minutes; each user takes one call of the directory. */
const USERS_A_CALL = 200;

async function dueNow({ ledger, policies, clock }: ErasureDeps): Promise<readonly ShownKey[]> {
  const { policy } = await policies.current();
  return dueForErasure(await ledger.keysOfDeleted(), policy, clock.now());
}

/** `{"digest","keys","erasures"}`: what is due now, as one set, and the erasures there were, newest first. */
export async function readErasures(deps: ErasureDeps): Promise<HttpAnswer> {
  const keys = await dueNow(deps);
  const erasures = (await deps.ledger.erasures()).map(viewOf);
  return {
    status: 200,
    body: { ...(keys.length === 0 ? {} : { digest: erasureDigest(keys) }), keys, erasures },
  };
}

export async function readErasure(deps: ErasureDeps, erasureId: string): Promise<HttpAnswer> {
  const found = await deps.ledger.readErasure(erasureId);
  if (found === undefined) throw unknown(erasureId);
  return { status: 200, body: { ...viewOf(found), keys: found.shown } };
}

const request = z.strictObject({
  digest: z.string({ error: 'is missing: the digest of the set you were shown' }),
  noLegalHold,
});

/** 201: it waits for another admin. */
export async function requestErasure(deps: ErasureDeps, admin: string, body: unknown): Promise<HttpAnswer> {
  const { digest, noLegalHold } = bodyOf(request, body);
  const shown = await dueNow(deps);
  if (shown.length === 0) throw refused('no wrapped key is due for erasure.');
  if (erasureDigest(shown) !== digest) throw changed();
  const erasure = await deps.ledger.recordErasure({ digest, shown, noLegalHold, requestedBy: admin });
  return { status: 201, body: { ...viewOf(erasure), keys: shown } };
}

const confirmation = z.strictObject({
  digest: z.string({ error: 'is missing: the digest of the set you were shown' }),
  /** Of the answer before, where there was more than one call has time for. */
  after: z.string().optional(),
});

/**
 * 200 `{"state","erased","kept"}`, of this call. With `next` the same confirmation is sent again with it as `after`; with `busy`,
 * users who were just being looked at, without it.
 */
export async function confirmErasure(
  deps: ErasureDeps,
  admin: string,
  erasureId: string,
  body: unknown,
): Promise<HttpAnswer> {
  const { digest, after } = bodyOf(confirmation, body);
  const stop = await deps.ledger.currentStop();
  if (stop !== undefined) throw permanent('stopped', `${stop.by} stopped everything: ${stop.reason}`);
  const found = await deps.ledger.readErasure(erasureId);
  if (found === undefined) throw unknown(erasureId);
  requireOther(found, admin);
  if (found.digest !== digest)
    throw refused('the set you confirm is not the one of this erasure; look at it again.');
  if (found.state !== 'confirmed') {
    const now = await dueNow(deps);
    await deps.ledger.decideErasure(erasureId, { kind: 'confirmed', by: admin }, (current) => {
      if (current.state !== 'requested' && current.state !== 'confirmed') throw decided(current);
      if (erasureDigest(now) !== current.digest) throw changed();
    });
  }
  return await carryOut(deps, { ...found, confirmedBy: found.confirmedBy ?? admin }, after ?? '');
}

/** Any admin may take back what nobody has confirmed. */
export async function cancelErasure(
  deps: ErasureDeps,
  admin: string,
  erasureId: string,
): Promise<HttpAnswer> {
  const cancelled = await deps.ledger.decideErasure(
    erasureId,
    { kind: 'cancelled', by: admin },
    (current) => {
      if (current.state !== 'requested') throw decided(current);
    },
  );
  if (cancelled === undefined) throw unknown(erasureId);
  return { status: 200, body: viewOf(cancelled) };
}

async function carryOut(deps: ErasureDeps, erasure: Erasure, after: string): Promise<HttpAnswer> {
  const users = Map.groupBy(erasure.shown, ({ userId }) => userId);
  const waiting = [...users.keys()].filter((userId) => userId > after).toSorted();
  const turns = waiting.slice(0, USERS_A_CALL);
  const { policy } = await deps.policies.current();
  const kept: { user: string; why: string }[] = [];
  let erased = 0;
  let busy = 0;
  for (const userId of turns) {
    const keys = users.get(userId) ?? [];
    const outcome = await atTheirTurn(deps, policy, erasure, userId, keys);
    if (outcome === 'busy') busy += 1;
    else if (typeof outcome === 'number') erased += outcome;
    else kept.push({ user: keys[0]?.user ?? userId, why: outcome.why });
  }
  const next = waiting.length > turns.length ? turns.at(-1) : undefined;
  if (busy > 0 || next !== undefined)
    return { status: 200, body: { state: 'confirmed', erased, kept, busy, next } };
  const total = erasure.shown.length;
  const open = new Set((await deps.ledger.keysOfDeleted()).map(({ keyId }) => keyId));
  const still = erasure.shown.filter(({ keyId }) => open.has(keyId)).length;
  const reasons = kept.map(({ user, why }) => ` Kept of ${user}: ${why}.`).join('');
  await deps.ledger.closeErasure(
    erasure.erasureId,
    `${total - still} of ${total} wrapped keys are erased.${reasons}`,
  );
  return { status: 200, body: { state: 'done', erased, kept, busy } };
}

/** How many were erased, why they were not, or `busy` while somebody looks at the user. */
async function atTheirTurn(
  deps: ErasureDeps,
  policy: Policy,
  erasure: Erasure,
  userId: string,
  keys: readonly ShownKey[],
): Promise<number | 'busy' | { readonly why: string }> {
  const { ledger, clock } = deps;
  const lease = await ledger.acquireLease(`user:${userId}`, LEASE_MS);
  if (lease === undefined) return 'busy';
  try {
    const now = await ledger.keysOfDeleted(userId);
    const wanted = now.filter(({ keyId }) => keys.some((key) => key.keyId === keyId));
    const why =
      wanted.map((key) => whyKept(key, policy, clock.now())).find((one) => one !== undefined) ??
      whyDirectoryForbids(await deps.directory.presence(userId));
    if (why !== undefined) return { why };
    return await eraseUnder(deps, lease, erasure, keys);
  } catch (error) {
    if (!isSealwrightError(error) || error.kind === 'retryable') throw error;
    return { why: error.message };
  } finally {
    // It stays ours where somebody asked for a look meanwhile; that look is the hint.
    for (
      let answer = await ledger.releaseLease(lease);
      answer !== 'released';
      answer = await ledger.releaseLease(lease)
    ) {
      const cause = answer.again ?? {
        source: 'admin',
        eventId: erasure.erasureId,
        event: 'erasure-confirmed',
      };
      await deps.bus.publishHints([{ userId, cause }]);
    }
  }
}

const eraseUnder = (
  { ledger }: ErasureDeps,
  lease: Lease,
  { erasureId, requestedBy, confirmedBy = '', noLegalHold }: Erasure,
  keys: readonly ShownKey[],
): Promise<number> =>
  ledger.eraseKeys(lease, {
    erasureId,
    keyIds: keys.map(({ keyId }) => keyId),
    audit: {
      userId: keys[0]?.userId ?? '',
      cause: { source: 'admin', eventId: erasureId, event: 'erasure-confirmed', actor: confirmedBy },
      step: 'erase-wrapped-keys',
      reason: `The wrapped keys of this deleted user are erased: ${requestedBy} asked for it and ${confirmedBy} confirmed it; on legal holds: ${noLegalHold}`,
      outcome: 'done',
      details: { erasure: erasureId, keys: keys.map(({ spkiSha256 }) => spkiSha256).join(' ') },
    },
  });

function requireOther(erasure: Erasure, admin: string): void {
  if (erasure.requestedBy !== admin) return;
  throw permanent('same-admin', 'You asked for this yourself: an erasure needs another admin to confirm it.');
}

const refused = (why: string): SealwrightError => permanent('erasure-refused', `Nothing is erased: ${why}`);
const changed = (): SealwrightError =>
  refused('what is due is no longer what you were shown; look at "sealwright erasures list" and ask anew.');
const unknown = (erasureId: string) => permanent('not-found', `There is no erasure ${erasureId}.`);
const decided = ({ state }: Erasure) => permanent('conflict', `This erasure is ${state} already.`);

function viewOf({ erasureId, shown, ...rest }: Erasure) {
  return { erasure: erasureId, count: shown.length, ...rest };
}
