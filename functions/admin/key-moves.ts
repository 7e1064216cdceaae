/**
 * Whose mail needs which key service, and moving old key pairs to another one. Nothing here touches Gmail or a key: a move is
 * written down for each pair, and the loop does it.
 */
import { z } from 'zod';
import type { ActivePolicySource } from '../../shared/activation/active-policy.ts';
import { invalidInput, permanent } from '../../shared/errors.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import type { Log } from '../../shared/ports/log.ts';
import type { HttpAnswer } from '../wire/http.ts';
import { bodyOf } from './body.ts';
import { requireConfirmed } from './confirmed.ts';

export interface KeyMoveDeps {
  readonly clock: Clock;
  readonly ledger: Pick<
    Ledger,
    | 'mailEpochs'
    | 'tiedEpochs'
    | 'keyMovesWanted'
    | 'recordKeyMoveJob'
    | 'departuresSince'
    | 'usersTakenFromByJobs'
    | 'audit'
  >;
  readonly policies: ActivePolicySource;
  readonly log: Log;
}

const EPOCHS_PER_PAGE = 1_000;
/** A hundred users a minute: each takes a handful of Gmail's calls. */
const PACE_MS = 600;

/** `{"keyServices":[…]}`; with `service`, `{"epochs":[…],"next"}`: those tied to it still. */
export async function readEpochs(deps: KeyMoveDeps, query: URLSearchParams): Promise<HttpAnswer> {
  const service = query.get('service');
  if (service === null) return { status: 200, body: { keyServices: await deps.ledger.mailEpochs() } };
  const after = query.get('after');
  if (after !== null && !/^[0-9a-f]{2,40}$/.test(after))
    throw invalidInput('malformed-request', '"after" must be a serial.');
  const found = await deps.ledger.tiedEpochs(service, {
    limit: EPOCHS_PER_PAGE,
    ...(after === null ? {} : { after }),
  });
  const last = found.length === EPOCHS_PER_PAGE ? found.at(-1) : undefined;
  return {
    status: 200,
    body: { epochs: found, ...(last === undefined ? {} : { next: last.serialHex }) },
  };
}

const request = z.strictObject({
  /** Base addresses as key pairs name them. */
  from: z.string().min(1),
  to: z.string().min(1),
  /** Disable the pair under the old service once the new one is there. */
  disableOld: z.boolean().default(false),
  /** How many users the admin means: must be stated where the pairs of more are disabled than an hour allows. */
  confirmUsers: z.number().int().min(1).optional(),
  dryRun: z.boolean().default(false),
});

/**
 * 202 `{"job","keypairs","users","observed"}`; 200 with `dryRun` and the numbers alone, or when nothing is left to move. Users whose
 * rule only observes are left out and counted (`observed`); `conflict` where there are no others.
 */
export async function requestKeyMove(deps: KeyMoveDeps, admin: string, body: unknown): Promise<HttpAnswer> {
  const wanted = bodyOf(request, body);
  const { policy } = await deps.policies.current();
  if (policy.rules.some(({ keyServiceUrl }) => keyServiceUrl === wanted.from)) {
    throw permanent(
      'conflict',
      `A rule of the policy still names the key service ${wanted.from}: new pairs would be made there all the time. Change the policy first, then move what is old.`,
      { details: { field: 'from' } },
    );
  }
  // Wrapped keys go only where the policy sends keys anyway: a typo must not have them sent elsewhere.
  if (!policy.rules.some(({ keyServiceUrl }) => keyServiceUrl === wanted.to)) {
    throw invalidInput(
      'malformed-request',
      `No rule of the policy names the key service ${wanted.to}; move to one that the policy uses.`,
      { details: { field: 'to' } },
    );
  }
  const epochs = (await deps.ledger.mailEpochs()).find(({ keyServiceUrl }) => keyServiceUrl === wanted.from);
  if (epochs === undefined) {
    throw permanent('not-found', `No key pair in the ledger names the key service ${wanted.from}.`, {
      details: { field: 'from' },
    });
  }
  const observing = policy.rules.filter(({ observeOnly }) => observeOnly);
  const exceptRules = observing.map(({ name }) => name);
  const { observed, ...left } = await deps.ledger.keyMovesWanted(wanted.from, exceptRules);
  if (left.keypairs === 0 && observed > 0) {
    throw permanent(
      'conflict',
      `Nothing is moved: the rules that cover the ${observed} users with key pairs under ${wanted.from} only observe (${exceptRules.join(', ')}). Set them to "mode: act" first.`,
      { details: { field: 'from' } },
    );
  }
  if (wanted.dryRun) return { status: 200, body: { dryRun: true, ...left, observed } };
  if (left.keypairs > 0) {
    await requireConfirmed(deps, {
      users: left.users,
      confirmUsers: wanted.confirmUsers,
      does: `move the key pairs of ${left.users} users`,
      takes: wanted.disableOld ? `disable the old key pairs of ${left.users} users` : undefined,
    });
  }
  const { jobId, keypairs, users } = await deps.ledger.recordKeyMoveJob({
    fromUrl: wanted.from,
    toUrl: wanted.to,
    disableOld: wanted.disableOld,
    requestedBy: admin,
    paceMs: PACE_MS,
    exceptRules,
  });
  if (keypairs === 0) return { status: 200, body: { keypairs: 0, users: 0, observed } };
  await deps.ledger.audit({
    cause: { source: 'admin', eventId: jobId, event: 'move-keys', actor: admin },
    step: 'key-move-requested',
    reason: `${admin} asked to move ${keypairs} key pairs from ${wanted.from} to ${wanted.to}.`,
    outcome: 'done',
    details: { jobId, keypairs, users, observed, disableOld: wanted.disableOld },
  });
  deps.log.info('key-move-requested', { jobId, keypairs, users, admin });
  return { status: 202, body: { job: jobId, keypairs, users, observed } };
}
