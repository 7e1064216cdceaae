import { describe, expect, test } from 'vitest';
import type { Plan } from '../../shared/domain/step.ts';
import { departureLimit, guard } from '../../shared/plan/guard.ts';
import { policy } from './facts.ts';

const leaver: Plan = {
  userId: '1',
  steps: [
    {
      kind: 'revoke-leaf',
      chain: 'certificate',
      serialHex: '0a',
      revocationReason: 'affiliationChanged',
      departure: true,
      reason: 'left',
    },
    {
      kind: 'revoke-leaf',
      chain: 'certificate',
      serialHex: '0b',
      revocationReason: 'superseded',
      departure: false,
      reason: 'replaced',
    },
    { kind: 'delete-identity', chain: 'gmail', address: 'a@acme.example', departure: true, reason: 'left' },
  ],
  verdict: { state: 'out', reason: 'left' },
};

describe('the departure limit', () => {
  test.each([
    [0, 5],
    [100, 5],
    [101, 5],
    [200, 10],
    [4_000, 200],
    [1_000_000, 200],
  ])('for %d covered users is %d an hour', (covered, limit) => {
    expect(departureLimit(covered, policy.guard)).toBe(limit);
  });
});

describe('the guard', () => {
  test('lets the fifth departure of an hour through', () => {
    expect(guard(leaver, { departures: 4, coveredUsers: 50 }, policy.guard)).toEqual({
      kind: 'allowed',
      plan: leaver,
    });
  });

  test('holds the sixth, names the limit, and lets harmless steps go on', () => {
    const verdict = guard(leaver, { departures: 5, coveredUsers: 50 }, policy.guard);
    expect(verdict).toMatchObject({
      kind: 'held',
      held: [leaver.steps[0], leaver.steps[2]],
      plan: { steps: [leaver.steps[1]] },
    });
    expect(verdict.kind === 'held' && verdict.reason).toContain('the limit for 50 covered users is 5');
  });

  test('never holds a plan without departures', () => {
    const replaced: Plan = { ...leaver, steps: leaver.steps.slice(1, 2) };
    expect(guard(replaced, { departures: 10_000, coveredUsers: 1 }, policy.guard).kind).toBe('allowed');
  });
});
