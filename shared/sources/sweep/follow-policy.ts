/**
 * A rule that changes under its name concerns everybody whom it covers, and no event names any of them. Each user's row says
 * under which form of the rule they were last looked at; whoever's differs waits for a wave, like joiners. So do those who are blocked
 * because a unit or group was gone: the form of their rule is as before, and what it is pinned to is not.
 */
import type { Policy } from '../../domain/policy.ts';
import { ruleDigest } from '../../plan/rule-digest.ts';
import { EVERYBODY } from '../../ports/ledger/sweeps.ts';
import { LEASE_MS, type Tick } from './context.ts';

const USERS_A_STATEMENT = 10_000;
const HOUR_MS = 3_600_000;
const STRAGGLERS_MS = 48 * HOUR_MS;
/** Other instances ask for the policy in force twice a minute; a look under the one before would be for nothing. */
export const SETTLE_MS = 2 * 60_000;

/**
 * Once per activation: queues those whose rule it changed and asks for a sweep, which finds those whom it covers otherwise. The
 * first activation of all needs none of it, since everybody comes into scope by the sweep that is due then.
 */
export async function followPolicy(tick: Tick): Promise<void> {
  const { deps, lease } = tick;
  const { activation } = deps;
  if (activation === undefined) return;
  const { followed, noticed } = await deps.ledger.policyFollowing();
  if (followed?.activation === activation) return;
  if (followed === undefined) return await deps.ledger.recordPolicyFollowed(lease, activation);
  if (noticed?.activation !== activation) return await deps.ledger.recordPolicyNoticed(lease, activation);
  if (deps.clock.now().getTime() - noticed.at.getTime() < SETTLE_MS) return;
  const users = await queueOutdated(tick, {
    withUnknown: true,
    // Every instance has had the new policy since then; and nobody is hinted at twice in a minute.
    exceptHintedSince: new Date(noticed.at.getTime() + SETTLE_MS / 2),
  });
  const cause = { eventId: `policy-${activation.slice(0, 12)}`, event: 'policy' };
  await deps.ledger.requestSweep({ scope: EVERYBODY, cause });
  // Written down last: a crash before it queues them once more, and whoever waits keeps their place.
  await deps.ledger.recordPolicyFollowed(lease, activation);
  deps.log.info('policy-followed', { activation, users });
  await deps.ledger.audit({
    cause: { source: 'sweep', ...cause },
    step: 'policy-followed',
    reason: `The policy changed: ${users} users were last looked at under another form of their rule, or found its unit or group gone, and wait for a wave; everybody is compared.`,
    outcome: 'done',
    details: { activation, users },
  });
}

/**
 * At the end of a whole sweep, for two days after an activation: whom a function that still had the policy before, because its own
 * deployment took longer, looked at meanwhile. Answers how many.
 */
export async function queueStragglers(tick: Tick): Promise<number> {
  const { deps } = tick;
  const nowMs = deps.clock.now().getTime();
  const { followed } = await deps.ledger.policyFollowing();
  if (followed === undefined || followed.activation !== deps.activation) return 0;
  if (nowMs - followed.at.getTime() > STRAGGLERS_MS) return 0;
  return await queueOutdated(tick, { withUnknown: false, exceptHintedSince: new Date(nowMs - HOUR_MS) });
}

async function queueOutdated(
  { deps, lease }: Tick,
  which: { readonly withUnknown: boolean; readonly exceptHintedSince: Date },
): Promise<number> {
  if (deps.activation === undefined) return 0;
  const outdated = { ...which, rules: formsOf(deps.policy), activation: deps.activation };
  let users = 0;
  let after: string | undefined;
  do {
    const batch = await deps.ledger.queueOutdated(lease, {
      ...outdated,
      limit: USERS_A_STATEMENT,
      ...(after === undefined ? {} : { after }),
    });
    users += batch.users;
    after = batch.after;
    await deps.ledger.renewLease(lease, LEASE_MS);
  } while (after !== undefined);
  return users;
}

const formsOf = ({ rules }: Policy): readonly { readonly name: string; readonly digest: string }[] =>
  rules.map((rule) => ({ name: rule.name, digest: ruleDigest(rule) }));
