import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PolicyRule } from '../../../shared/domain/policy.ts';
import { permanent } from '../../../shared/errors.ts';
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

  it('names no rule whose people are in a unit that came after the tree was read', async () => {
    const { directory } = company.deps;
    const staff = unit('staff', '/Staff', {
      scope: { kind: 'org-unit', path: '/Staff', orgUnitId: 'id:staff' },
    });
    const tree = [
      { orgUnitId: 'id:root', path: '/' },
      { orgUnitId: 'id:staff', path: '/Staff', parentId: 'id:root' },
    ];
    await company.sweep({ ...under('a', staff), directory: { ...directory, orgUnits: async () => tree } });
    expect((await company.ledger.sweepOverview()).lastWhole).toBeDefined();
    expect(told()).toEqual([]);
  });

  it('is whole also when the directory does not say who is in a rule, and says that', async () => {
    const { directory } = company.deps;
    const group = policyRule({
      name: 'g',
      scope: { kind: 'group', address: 'g@acme.example', groupId: 'g' },
    });
    // Read twice before: for the comparison, and for where people are.
    let readings = 0;
    const readTwice: SweepDeps['directory'] = {
      ...directory,
      group: async (name) => {
        readings += 1;
        if (readings > 2) throw permanent('directory-refused', 'Groups may not be read.');
        return await directory.group(name);
      },
    };
    await company.sweep({ ...under('a', group), directory: readTwice });
    expect((await company.ledger.sweepOverview()).lastWhole).toBeDefined();
    expect(company.log.of('policy-rules-not-judged')).toHaveLength(1);
  });
});
