import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PolicyRule } from '../../../shared/domain/policy.ts';
import type { SweepDeps } from '../../../shared/sources/sweep/context.ts';
import { MINUTE_MS } from '../../support/fakes/world.ts';
import { policyOf, policyRule } from '../../support/policy.ts';
import { type Company, openCompany } from './company.ts';

let company: Company;
beforeEach(async () => {
  company = await openCompany();
  company.directory.put({ userId: '1', orgUnitPath: '/Staff/Sales' });
  company.directory.put({ userId: '2', orgUnitPath: '/Staff/Legal', suspended: true });
});
afterEach(() => company.close());

const unit = (name: string, path: string, changes: Partial<PolicyRule> = {}) =>
  policyRule({ name, scope: { kind: 'org-unit', path }, ...changes });
const members = (name: string, ...userIds: readonly string[]) => {
  company.directory.members.set(name, new Set(userIds));
  return policyRule({ name, scope: { kind: 'group', address: `${name}@acme.example`, groupId: name } });
};
const under = (activation: string, ...rules: readonly PolicyRule[]): Partial<SweepDeps> => ({
  activation,
  policy: policyOf(rules),
});
const told = () => company.log.of('policy-rule-empty').map(({ fields }) => fields['rule']);

describe('the first whole sweep under a policy', () => {
  it('names the rules that cover nobody, in the log and in the trail', async () => {
    const other = unit('other', '/Other');
    const shadowed = unit('shadowed', '/Staff/Sales/Field');
    await company.sweep(under('a', unit('staff', '/Staff'), unit('legal', '/Staff/Legal'), other, shadowed));
    expect(told()).toEqual(['other', 'shadowed']);
    const lines = (await company.ledger.auditTrail({ limit: 10 })).filter(
      ({ step }) => step === 'policy-rule-empty',
    );
    expect(lines).toMatchObject([
      {
        reason:
          'Rule "other" covers nobody: org unit /Other is empty, excluded, or covered by rules that go before it.',
        outcome: 'ignored',
        details: { rule: 'other', activation: 'a' },
      },
      { details: { rule: 'shadowed' } },
    ]);
  });

  it('names a rule whose members others cover or nobody is, and none that covers somebody suspended', async () => {
    const legal = members('legal', '2');
    await company.sweep(under('a', members('first', '1'), members('second', '1'), members('third'), legal));
    expect(told()).toEqual(['second', 'third']);
  });

  it('says it once, and again of the policy that follows', async () => {
    const first = under('a', unit('other', '/Other'));
    await company.sweep(first);
    await company.nextSweep(first);
    expect(told()).toEqual(['other']);
    const second = under('b', unit('another', '/Another'));
    await company.sweep(second);
    company.clock.advance(3 * MINUTE_MS);
    await company.sweep(second);
    await company.nextSweep(second);
    expect(told()).toEqual(['other', 'another']);
  });

  it('tries again where somebody was in a unit that came after the tree was read, and says that', async () => {
    const { directory } = company.deps;
    const root = { orgUnitId: 'id:root', path: '/' };
    const below = (name: string) => ({ orgUnitId: `id:${name}`, path: `/${name}`, parentId: 'id:root' });
    const pinned = (name: string) =>
      unit(name, `/${name}`, { scope: { kind: 'org-unit', path: `/${name}`, orgUnitId: `id:${name}` } });
    const deps = (...units: readonly string[]) => ({
      ...under('a', pinned('Staff'), pinned('Other')),
      directory: { ...directory, orgUnits: async () => [root, ...units.map(below)] },
    });
    await company.sweep(deps('Staff', 'Other'));
    expect((await company.ledger.sweepOverview()).lastWhole).toBeDefined();
    expect(told()).toEqual([]);
    expect(company.log.of('policy-rules-not-judged')).toHaveLength(1);
    await company.nextSweep(deps('Staff', 'Other', 'Staff/Sales', 'Staff/Legal'));
    expect(told()).toEqual(['Staff', 'Other']);
    company.directory.put({ userId: '1', orgUnitPath: '/Staff' });
    await company.nextSweep(deps('Staff', 'Other', 'Staff/Sales', 'Staff/Legal'));
    expect(told()).toHaveLength(2);
  });

  it('says nothing of a rule whose own unit is gone', async () => {
    const gone = unit('gone', '/Gone', { scope: { kind: 'org-unit', path: '/Gone', orgUnitId: 'id:gone' } });
    const tree = ['/', '/Staff', '/Staff/Sales', '/Staff/Legal', '/Other'].map((path) => ({
      ...{ orgUnitId: `id:${path}`, path },
    }));
    const other = unit('other', '/Other', {
      scope: { kind: 'org-unit', path: '/Other', orgUnitId: 'id:/Other' },
    });
    const directory = { ...company.deps.directory, orgUnits: async () => tree };
    await company.sweep({ ...under('a', gone, other), directory });
    expect(told()).toEqual(['other']);
  });

  it('names no rule whose people an earlier invocation saw', async () => {
    for (const userId of ['3', '4', '5', '6', '7']) company.directory.put({ userId, orgUnitPath: '/Staff' });
    company.directory.put({ userId: '8', orgUnitPath: '/Last' });
    const sales = unit('sales', '/Staff/Sales');
    let pages = 0;
    const directory: SweepDeps['directory'] = {
      ...company.deps.directory,
      livingPage: (request) => {
        pages += 1;
        return company.directory.livingPage(request);
      },
    };
    const rules = under('a', sales, unit('last', '/Last'), unit('other', '/Other'));
    let invocations = 0;
    for (; (await company.ledger.sweepOverview()).lastWhole === undefined; invocations += 1) {
      if (invocations > 10) throw new Error('The sweep does not end.');
      // A clock that moves with each page: there is time for one.
      const begun = pages;
      await company.sweep({ ...rules, directory, budgetMs: 1, elapsedMs: () => pages - begun });
    }
    expect(invocations).toBeGreaterThan(2);
    expect(told()).toEqual(['other']);
  });

  it('reads nothing of the directory for that which the comparison does not need', async () => {
    const { directory } = company.deps;
    const asked: string[] = [];
    const watched: SweepDeps['directory'] = {
      ...directory,
      livingPage: (request) => {
        asked.push(`living ${request.orgUnitPath}`);
        return directory.livingPage(request);
      },
      membersPage: (request) => {
        asked.push(`members of ${request.groupId}`);
        return directory.membersPage(request);
      },
    };
    await company.sweep({ ...under('a', members('empty'), unit('other', '/Other')), directory: watched });
    expect(told()).toEqual(['empty', 'other']);
    expect(asked).toEqual(['members of empty', 'living /']);
  });
});
