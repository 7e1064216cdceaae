import { LOOK_AT_POLICY } from '../../../../shared/domain/step.ts';
import type { PolicyFollowingLedger } from '../../../../shared/ports/ledger/policy-following.ts';
import { SWEEP_SUBJECT } from '../../../../shared/ports/ledger/sweeps.ts';
import { holdLease } from './leases.ts';
import { underWay } from './rollouts.ts';
import { byText, type Memory } from './rows.ts';

const STATES: ReadonlySet<string> = new Set(['ready', 'pending', 'blocked']);

export const policyFollowing = (memory: Memory): PolicyFollowingLedger => {
  const { rows, clock } = memory;
  return {
    policyFollowing: async () => rows.now.policyFollowing ?? {},
    recordPolicyNoticed: async (lease, activation) => {
      holdLease(memory, lease, SWEEP_SUBJECT);
      const known = rows.now.policyFollowing;
      if (known !== undefined)
        rows.now.policyFollowing = { ...known, noticed: { activation, at: clock.now() } };
    },
    recordPolicyFollowed: async (lease, activation) => {
      holdLease(memory, lease, SWEEP_SUBJECT);
      rows.now.policyFollowing = { followed: { activation, at: clock.now(), areRulesJudged: false } };
    },
    recordRulesJudged: async (lease, activation) => {
      holdLease(memory, lease, SWEEP_SUBJECT);
      const { followed, ...rest } = rows.now.policyFollowing ?? {};
      if (followed?.activation === activation)
        rows.now.policyFollowing = { ...rest, followed: { ...followed, areRulesJudged: true } };
    },
    queueOutdated: async (
      lease,
      { rules, activation, withUnknown, exceptHintedSince, after = '', limit },
    ) => {
      holdLease(memory, lease, SWEEP_SUBJECT);
      const forms = new Map(rules.map(({ name, digest }) => [name, digest]));
      const found = [...rows.now.users.values()]
        .filter(({ userId, state, ruleName = '', ruleDigest, nextAction }) => {
          const form = forms.get(ruleName);
          if (form === undefined || userId <= after || !STATES.has(state)) return false;
          if (withUnknown && nextAction === LOOK_AT_POLICY) return true;
          return ruleDigest === undefined ? withUnknown : ruleDigest !== form;
        })
        .map(({ userId }) => userId)
        .toSorted(byText)
        .slice(0, limit);
      if (found.length === 0) return { users: 0 };
      const rolloutId = underWay(memory);
      for (const userId of found) {
        const { hintedAt, waitingSince } = rows.now.queue.get(userId) ?? {};
        if (hintedAt !== undefined && hintedAt > exceptHintedSince) continue;
        const since = hintedAt === undefined ? waitingSince : undefined;
        rows.now.queue.set(userId, {
          ...{ userId, kind: 'rule-changed', origin: { activation }, rolloutId },
          waitingSince: since ?? clock.now(),
        });
      }
      const last = found.length < limit ? undefined : found.at(-1);
      return { users: found.length, ...(last === undefined ? {} : { after: last }) };
    },
  };
};
