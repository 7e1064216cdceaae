import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EMPTY_SELECTION } from '../../../shared/domain/place.ts';
import type { Policy } from '../../../shared/domain/policy.ts';
import { policyOf, policyRule } from '../../support/policy.ts';
import { type Company, openCompany } from './company.ts';

let company: Company;
beforeEach(async () => {
  company = await openCompany('memory');
  company.directory.members.set('temps', new Set());
});
afterEach(() => company.close());

const unitRule = (name: string, path: string, changes: Parameters<typeof policyRule>[0] = {}) =>
  policyRule({ name, scope: { kind: 'org-unit', path, orgUnitId: `id:${path.toLowerCase()}` }, ...changes });
const excludingTemps = {
  exclude: { ...EMPTY_SELECTION, groups: [{ address: 'temps@acme.example', groupId: 'temps' }] },
};
const sweep = (policy: Policy) => company.sweep({ policy });

describe('while the unit of another rule is gone from the directory, a sweep', () => {
  const policy = policyOf([unitRule('staff', '/Staff'), unitRule('gone', '/Gone')]);

  it('hints at whoever left the rule that covered them', async () => {
    await company.employ('1');
    await company.employ('2');
    company.directory.put({ userId: '2', orgUnitPath: '/Other' });
    expect(await sweep(policy)).toEqual(['2 left-scope']);
  });

  it('says nothing of whoever the rule that is gone covered, but that they are archived', async () => {
    const under = policyOf([unitRule('others', '/Other'), unitRule('staff', '/Gone')]);
    for (const userId of ['1', '2', '3']) await company.employ(userId);
    company.directory.put({ userId: '2', archived: true });
    company.directory.put({ userId: '3', suspended: true });
    expect(await sweep(under)).toEqual(['2 left-scope']);
  });
});

describe('while a group that a rule excludes is gone from the directory, a sweep', () => {
  const policy = policyOf([unitRule('staff', '/Staff', excludingTemps)]);
  beforeEach(() => company.directory.members.delete('temps'));

  it('hints at the suspended and the archived under that rule', async () => {
    for (const userId of ['1', '2', '3']) await company.employ(userId);
    company.directory.put({ userId: '2', suspended: true });
    company.directory.put({ userId: '3', archived: true });
    expect(await sweep(policy)).toEqual(['2 suspended', '3 left-scope']);
  });

  it('hints at whoever the rule covered before and comes back, and at nobody new', async () => {
    await company.employ('1', {}, 'leaving');
    company.directory.put({ userId: '2' });
    expect(await sweep(policy)).toEqual(['1 came-into-scope']);
  });
});

describe('a sweep hints at whoever', () => {
  const policy = policyOf([unitRule('staff', '/Staff')]);
  const leave = async (userId: string, changes: { readonly isArchived?: boolean } = {}) => {
    const lease = await company.ledger.acquireLease(`user:${userId}`, 60_000);
    const user = company.directory.living(userId);
    if (lease === undefined || user === undefined) throw new Error(`${userId} cannot leave.`);
    await company.ledger.recordSighting(lease, {
      ...user,
      leftScopeAt: company.clock.now(),
      ...(user.suspended ? { suspendedAt: company.clock.now() } : {}),
      ...changes,
    });
    await company.ledger.recordState(lease, { userId, state: 'leaving', reason: 'As told.', failures: 0 });
    await company.ledger.releaseLease(lease);
  };

  it('left and is back and suspended: the grace period is another', async () => {
    await company.employ('1', { suspended: true });
    await leave('1');
    expect(await sweep(policy)).toEqual(['1 suspended']);
  });

  it('left and is archived by now, or was archived and is not: the terms are others', async () => {
    await company.employ('1');
    await company.employ('2', { orgUnitPath: '/Other' });
    await company.employ('3', { orgUnitPath: '/Other' });
    for (const userId of ['1', '2']) await leave(userId);
    await leave('3', { isArchived: true });
    company.directory.put({ userId: '1', archived: true });
    expect(await sweep(policy)).toEqual(['1 left-scope', '3 left-scope']);
  });

  it('was out already and is deleted by now: since when decides when their keys may be erased', async () => {
    await company.employ('1', {}, 'out');
    company.directory.remove('1');
    await company.employ('2');
    expect(await sweep(policy)).toEqual(['1 deleted']);
  });
});
