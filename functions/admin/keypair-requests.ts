/**
 * Requests about single key pairs. Disabling takes one admin. Obliterating destroys for ever what was encrypted to the pair, so
 * it takes two: one who says that no legal hold exists and is shown what becomes unreadable, and another who confirms exactly
 * that. Nothing here touches Gmail; the loop does it, and checks once more.
 */
import { z } from 'zod';
import type { ActivePolicySource } from '../../shared/activation/active-policy.ts';
import type { UserLedger } from '../../shared/domain/records.ts';
import { invalidInput, isSealwrightError, permanent, type SealwrightError } from '../../shared/errors.ts';
import {
  isInUse,
  type ObliterationStatement,
  obliterationStatement,
  statementDigest,
  whyNotObliterate,
} from '../../shared/plan/obliteration.ts';
import type { Bus } from '../../shared/ports/bus.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { KeypairRequestView } from '../../shared/ports/ledger/keypair-requests.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import type { Log } from '../../shared/ports/log.ts';
import type { HttpAnswer } from '../wire/http.ts';
import { bodyOf, noLegalHold, sentence } from './body.ts';
import { refuseForObserved } from './observed.ts';
import { howToName } from './somebody.ts';

export interface KeypairRequestDeps {
  readonly clock: Clock;
  readonly ledger: Pick<
    Ledger,
    | 'readUser'
    | 'userIdOfAddress'
    | 'recordKeypairRequest'
    | 'decideKeypairRequest'
    | 'readKeypairRequest'
    | 'keypairRequests'
  >;
  readonly policies: ActivePolicySource;
  readonly bus: Pick<Bus, 'publishHints'>;
  readonly log: Log;
}

const request = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('disable'),
    user: z.string().min(1),
    /** Gmail's id, or the certificate's serial. */
    keypair: z.string().min(1),
    reason: sentence('why the key pair is disabled'),
  }),
  z.strictObject({
    kind: z.literal('obliterate'),
    user: z.string().min(1),
    keypair: z.string().min(1),
    noLegalHold,
  }),
]);

/** 202 for a disable, which waits for its turn; 201 for an obliteration, which waits for another admin. */
export async function requestKeypairChange(
  deps: KeypairRequestDeps,
  admin: string,
  body: unknown,
): Promise<HttpAnswer> {
  const wanted = bodyOf(request, body);
  const ledger = await userOf(deps, wanted.user);
  const { user } = ledger;
  const pair = ledger.keypairs.find(
    ({ keypairId, serialHex }) => keypairId === wanted.keypair || serialHex === wanted.keypair.toLowerCase(),
  );
  if (user === undefined || pair?.keypairId === undefined) {
    throw permanent(
      'not-found',
      `${wanted.user} has no key pair ${wanted.keypair} that Sealwright made; "sealwright user ${wanted.user}" shows which there are.`,
      { details: { field: 'keypair' } },
    );
  }
  const { policy } = await deps.policies.current();
  refuseForObserved(policy, user);
  const { keypairId, serialHex } = pair;
  const about = {
    userId: user.userId,
    primaryEmail: user.primaryEmail,
    keypairId,
    serialHex,
    requestedBy: admin,
  };
  if (wanted.kind === 'disable') {
    if (isInUse(ledger, keypairId)) {
      throw permanent(
        'conflict',
        `Key pair ${keypairId} is the one ${user.primaryEmail} uses now, so it would be enabled again: re-key the user first, or take them out of the policy.`,
      );
    }
    const { requestId } = await deps.ledger.recordKeypairRequest({
      ...about,
      kind: 'disable',
      reason: wanted.reason,
    });
    await hint(deps, user.userId, requestId, admin);
    return { status: 202, body: { request: requestId } };
  }
  const statement = requireObliterable(deps, ledger, keypairId);
  const { requestId } = await deps.ledger.recordKeypairRequest({
    ...about,
    kind: 'obliterate',
    reason: wanted.noLegalHold,
    statement: { ...statement },
  });
  return { status: 201, body: { request: requestId, statement, digest: statementDigest(statement) } };
}

/** `{"requests":[…]}`, newest first; the open ones, or with `?state=any` all of them. */
export async function readKeypairRequests(
  deps: KeypairRequestDeps,
  query: URLSearchParams,
): Promise<HttpAnswer> {
  const state = query.get('state') ?? 'open';
  if (state !== 'open' && state !== 'any')
    throw invalidInput('malformed-request', '"state" must be open or any.');
  const requests = await deps.ledger.keypairRequests({ open: state === 'open' });
  return { status: 200, body: { requests: requests.map(viewOf) } };
}

export async function readKeypairRequest(deps: KeypairRequestDeps, requestId: string): Promise<HttpAnswer> {
  const found = await deps.ledger.readKeypairRequest(requestId);
  if (found === undefined) throw unknownRequest(requestId);
  return { status: 200, body: viewOf(found) };
}

const confirmation = z.strictObject({
  statement: z.string({ error: 'is missing: the digest of the statement you were shown' }),
});

/** 202: it waits for its turn. Every condition is checked again, on the ledger as it is now. */
export async function confirmKeypairRequest(
  deps: KeypairRequestDeps,
  admin: string,
  requestId: string,
  body: unknown,
): Promise<HttpAnswer> {
  const { statement } = bodyOf(confirmation, body);
  const found = await deps.ledger.readKeypairRequest(requestId);
  if (found === undefined) throw unknownRequest(requestId);
  const ledger = await deps.ledger.readUser(found.userId);
  if (ledger.user !== undefined) refuseForObserved((await deps.policies.current()).policy, ledger.user);
  const confirmed = await deps.ledger.decideKeypairRequest(
    requestId,
    { kind: 'confirmed', by: admin },
    (current) => {
      if (current.state !== 'requested') throw notWaiting(current, admin);
      if (current.requestedBy === admin) {
        throw permanent(
          'same-admin',
          `You asked for this yourself: obliterating ${current.keypairId} needs another admin to confirm it.`,
        );
      }
      const now = requireObliterable(deps, ledger, current.keypairId);
      const recorded = current.statement as unknown as ObliterationStatement;
      if (statementDigest(now) !== statementDigest(recorded)) {
        throw refused(
          'what would become unreadable has changed since it was asked for; cancel it and ask anew.',
        );
      }
      if (statementDigest(now) !== statement) {
        throw refused('the statement you confirm is not the one of this request; look at the request again.');
      }
    },
  );
  if (confirmed === undefined) throw unknownRequest(requestId);
  await hint(deps, confirmed.userId, requestId, admin);
  return { status: 202, body: viewOf(confirmed) };
}

/** Any admin may take back what has not been carried out. */
export async function cancelKeypairRequest(
  deps: KeypairRequestDeps,
  admin: string,
  requestId: string,
): Promise<HttpAnswer> {
  const cancelled = await deps.ledger.decideKeypairRequest(
    requestId,
    { kind: 'cancelled', by: admin },
    (current) => {
      if (current.state !== 'requested' && current.state !== 'confirmed') throw notWaiting(current, admin);
    },
  );
  if (cancelled === undefined) throw unknownRequest(requestId);
  return { status: 200, body: viewOf(cancelled) };
}

function requireObliterable(
  deps: KeypairRequestDeps,
  ledger: UserLedger,
  keypairId: string,
): ObliterationStatement {
  const disabledAt = ledger.keypairs.find((pair) => pair.keypairId === keypairId)?.disabled?.at;
  const against = whyNotObliterate(disabledAt, deps.clock.now(), keypairId);
  if (against !== undefined) throw refused(against);
  const statement = obliterationStatement(ledger, keypairId);
  if (statement === undefined) throw refused(`the ledger does not know the certificate of ${keypairId}.`);
  return statement;
}

const refused = (why: string): SealwrightError =>
  permanent('obliteration-refused', `Nothing is obliterated: ${why}`);

async function userOf(deps: KeypairRequestDeps, name: string): Promise<UserLedger> {
  const userId = /^\d+$/.test(name) ? name : await deps.ledger.userIdOfAddress(name.toLowerCase());
  const ledger = userId === undefined ? undefined : await deps.ledger.readUser(userId);
  if (ledger?.user === undefined) {
    throw permanent('not-found', `The ledger knows nobody called ${name}.${howToName(name)}`, {
      details: { field: 'user' },
    });
  }
  return ledger;
}

/** It is recorded and the user is due: a hint that cannot be published is logged, and nobody has to ask twice. */
async function hint(
  deps: KeypairRequestDeps,
  userId: string,
  requestId: string,
  admin: string,
): Promise<void> {
  const cause = { source: 'admin', eventId: requestId, event: 'keypair-request', actor: admin } as const;
  try {
    await deps.bus.publishHints([{ userId, cause }]);
  } catch (error) {
    if (!isSealwrightError(error)) throw error;
    deps.log.error('keypair-request-not-announced', { requestId, code: error.code, message: error.message });
  }
}

const unknownRequest = (requestId: string) => permanent('not-found', `There is no request ${requestId}.`);

const notWaiting = (request: KeypairRequestView, admin: string): SealwrightError =>
  permanent(
    'conflict',
    request.state === 'confirmed'
      ? `${request.confirmedBy === admin ? 'You have' : `${request.confirmedBy ?? 'Its admin has'}`} confirmed this request already; it waits for its turn.`
      : `This request is ${request.state} already.`,
  );

function viewOf(request: KeypairRequestView) {
  const { requestId, primaryEmail, statement, ...rest } = request;
  return {
    request: requestId,
    user: primaryEmail,
    ...rest,
    ...(statement === undefined
      ? {}
      : { statement, digest: statementDigest(statement as unknown as ObliterationStatement) }),
  };
}
