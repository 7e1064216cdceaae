import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isWithin } from '../../shared/domain/org-unit-path.ts';
import { EMPTY_SELECTION, type OrgUnit, placeOf } from '../../shared/domain/place.ts';
import type { Policy, PolicyRule } from '../../shared/domain/policy.ts';
import { considerations, nearest, protectionOf, ruleCovering } from '../../shared/plan/scope.ts';
import { policyOf, policyRule } from '../support/policy.ts';
import { directoryUser } from './facts.ts';

const segment = fc.stringMatching(/^[A-Za-z0-9 äÖ.-]{1,6}$/).filter((text) => text.trim() === text);
const names = fc.array(segment, { minLength: 1, maxLength: 5 });
const pathOf = (parts: readonly string[]) => `/${parts.join('/')}`;

describe('an org unit path', () => {
  test('lies within itself, the root and every unit above it, whatever the case', () => {
    fc.assert(
      fc.property(names, fc.nat(4), (parts, cut) => {
        const above = pathOf(parts.slice(0, cut));
        return isWithin(pathOf(parts), above.toUpperCase()) && isWithin(pathOf(parts).toLowerCase(), above);
      }),
    );
  });

  test('does not lie within a unit whose name only begins alike', () => {
    fc.assert(
      fc.property(names, segment, (parts, more) => {
        const path = pathOf(parts);
        return !isWithin(`${path}${more}`, path) && !isWithin(path, `${path}${more}`);
      }),
    );
  });
});

const TREE: readonly OrgUnit[] = [
  { orgUnitId: 'id:root', path: '/' },
  { orgUnitId: 'id:staff', path: '/Staff', parentId: 'id:root' },
  { orgUnitId: 'id:legal', path: '/Staff/Legal', parentId: 'id:staff' },
  { orgUnitId: 'id:interns', path: '/Staff/Legal/Interns', parentId: 'id:legal' },
  { orgUnitId: 'id:staffing', path: '/Staffing', parentId: 'id:root' },
];

const unitRule = (name: string, orgUnitId: string, changes: Partial<PolicyRule> = {}) => {
  const path = TREE.find((unit) => unit.orgUnitId === orgUnitId)?.path ?? '/Gone';
  return policyRule({ name, scope: { kind: 'org-unit', path, orgUnitId }, ...changes });
};
const groupRule = (name: string, groupId: string, changes: Partial<PolicyRule> = {}) =>
  policyRule({ name, scope: { kind: 'group', address: `${groupId}@acme.example`, groupId }, ...changes });

interface Situation {
  readonly path: string;
  readonly groups?: readonly string[];
  readonly tree?: readonly OrgUnit[];
  readonly vanished?: readonly string[];
}

function covering(policy: Policy, { path, groups = [], tree = TREE, vanished = [] }: Situation) {
  const user = directoryUser({ orgUnitPath: path, aliases: ['old@acme.example'] });
  const place = placeOf(user, tree, { containing: new Set(groups), vanished: new Set(vanished) }, policy);
  if (place === undefined) throw new Error(`${path} is in no unit`);
  return {
    rule: ruleCovering(policy, user, place)?.name,
    asked: considerations(policy, user, place).map(({ rule, fits, why }) => [rule.name, fits, why]),
    protectedAs: protectionOf(policy, user, place),
  };
}

describe('the rule that covers somebody', () => {
  const policy = policyOf([
    unitRule('everybody', 'id:root', {
      exclude: { ...EMPTY_SELECTION, groups: [{ address: 'no@acme.example', groupId: 'no' }] },
    }),
    unitRule('staff', 'id:staff'),
    unitRule('legal', 'id:legal', {
      exclude: { ...EMPTY_SELECTION, orgUnits: [{ path: '/Staff/Legal/Interns', orgUnitId: 'id:interns' }] },
    }),
    groupRule('board', 'board'),
    groupRule('pilots', 'pilots'),
  ]);

  test.each([
    ['/Staff', [], 'staff'],
    ['/Staff/Legal', [], 'legal'],
    ['/staff/LEGAL', [], 'legal'],
    ['/Staff/Legal/Interns', [], 'staff'],
    ['/Staffing', [], 'everybody'],
    ['/', [], 'everybody'],
    ['/', ['no'], undefined],
    ['/Staff', ['no'], 'staff'],
    ['/Staff/Legal', ['pilots'], 'pilots'],
    ['/Staff/Legal', ['pilots', 'board'], 'board'],
  ] as const)('in %s and the groups %j is %s', (path, groups, rule) => {
    expect(covering(policy, { path, groups }).rule).toBe(rule);
  });

  test('stays the same when covered units are renamed and moved', () => {
    const tree = [
      { orgUnitId: 'id:root', path: '/' },
      { orgUnitId: 'id:people', path: '/People', parentId: 'id:root' },
      { orgUnitId: 'id:staff', path: '/People/Workers', parentId: 'id:people' },
      { orgUnitId: 'id:legal', path: '/People/Workers/Law', parentId: 'id:staff' },
      { orgUnitId: 'id:new', path: '/Staff', parentId: 'id:root' },
    ];
    expect(covering(policy, { path: '/People/Workers/Law', tree }).rule).toBe('legal');
    expect(covering(policy, { path: '/People/Workers', tree }).rule).toBe('staff');
    // A new unit of the old name is another unit.
    expect(covering(policy, { path: '/Staff', tree }).rule).toBe('everybody');
  });

  test('is told with every rule that was asked and why not', () => {
    expect(covering(policy, { path: '/Staff/Legal/Interns', groups: ['no'] }).asked).toEqual([
      ['legal', false, 'excluded: the org unit /Staff/Legal/Interns'],
      ['staff', true, 'ana@acme.example is in org unit /Staff'],
      ['everybody', false, 'excluded: the group no@acme.example'],
      ['board', false, 'not in group board@acme.example'],
      ['pilots', false, 'not in group pilots@acme.example'],
    ]);
    expect(covering(policy, { path: '/', vanished: ['board'] }).asked).toContainEqual([
      'board',
      false,
      'group board@acme.example (board) is gone from the directory',
    ]);
  });

  test('is the nearest of any set of unit rules, in whatever order they stand', () => {
    const rules = ['id:root', 'id:staff', 'id:legal', 'id:interns'].map((id) => unitRule(id, id));
    fc.assert(
      fc.property(
        fc.shuffledSubarray(rules, { minLength: 1 }),
        fc.integer({ min: 0, max: 3 }),
        (some, depth) => {
          const path = ['/', '/Staff', '/Staff/Legal', '/Staff/Legal/Interns'][depth] ?? '/';
          const nearest = rules.slice(0, depth + 1).findLast((rule) => some.includes(rule));
          expect(covering(policyOf(some), { path }).rule).toBe(nearest?.name);
        },
      ),
    );
  });

  test.each([['ana@acme.example'], ['old@acme.example'], ['111222333444555666777']])(
    'is none whom it excludes as %s',
    (name) => {
      const only = policyOf([
        unitRule('staff', 'id:staff', { exclude: { ...EMPTY_SELECTION, users: [name] } }),
      ]);
      expect(covering(only, { path: '/Staff' }).rule).toBeUndefined();
    },
  );

  test('of a draft without pins goes by path, and by group it is none', () => {
    const draft = policyOf([
      policyRule({ name: 'unit', scope: { kind: 'org-unit', path: '/STAFF' } }),
      policyRule({ name: 'group', scope: { kind: 'group', address: 'g@acme.example' } }),
    ]);
    expect(ruleCovering(draft, directoryUser({ orgUnitPath: '/Staff/Legal' }), undefined)?.name).toBe('unit');
    expect(ruleCovering(draft, directoryUser({ orgUnitPath: '/Staffing' }), undefined)).toBeUndefined();
  });

  test('cannot be asked of a pinned policy without the place of the user', () => {
    expect(() => ruleCovering(policy, directoryUser(), undefined)).toThrow('whose place is not known');
  });
});

describe('a place', () => {
  test('is not known for a user whose unit the tree does not have', () => {
    const user = directoryUser({ orgUnitPath: '/Renamed' });
    const groups = { containing: new Set<string>(), vanished: new Set<string>() };
    expect(placeOf(user, TREE, groups, policyOf([unitRule('staff', 'id:staff')]))).toBeUndefined();
  });
});

describe('a protected account', () => {
  const policy = policyOf([unitRule('staff', 'id:staff')], {
    protected: {
      superAdmins: true,
      users: [],
      groups: [{ address: 'board@acme.example', groupId: 'board' }],
      orgUnits: [{ path: '/Staff/Legal', orgUnitId: 'id:legal' }],
    },
  });

  test.each([
    ['/Staff', [], undefined],
    ['/Staff', ['board'], 'the group board@acme.example'],
    ['/Staff/Legal/Interns', [], 'the org unit /Staff/Legal'],
  ] as const)('in %s and the groups %j is protected as %s', (path, groups, protectedAs) => {
    expect(covering(policy, { path, groups }).protectedAs).toBe(protectedAs);
  });

  test('is every super admin where the policy says so', () => {
    const place = { unitIds: [], groupIds: new Set<string>(), vanishedIds: new Set<string>() };
    expect(protectionOf(policy, directoryUser({ superAdmin: true }), place)).toBe('a super admin');
  });
});

describe('of rules none of which fits, the nearest', () => {
  const unitOf = (name: string, path: string, changes: Partial<PolicyRule> = {}) =>
    policyRule({ name, scope: { kind: 'org-unit', path }, ...changes });
  const nearestIn = (unit: string, ...rules: readonly PolicyRule[]) => {
    const user = directoryUser({ orgUnitPath: unit });
    return nearest(considerations(policyOf(rules), user, undefined), user)?.rule.name;
  };
  const excluding = unitOf('excluding', '/', {
    exclude: { ...EMPTY_SELECTION, users: ['ana@acme.example'] },
  });

  test.each([
    [
      'the one whose unit has most in common',
      '/Staff/EU/Sales',
      [unitOf('us', '/Staff/US'), unitOf('eu', '/staff/eu/Legal')],
      'eu',
    ],
    [
      'the one that reaches and excludes them',
      '/Staff/EU',
      [unitOf('us', '/Staff/US'), excluding],
      'excluding',
    ],
    ['the only one there is', '/Other', [unitOf('us', '/Staff/US')], 'us'],
    [
      'none of several that have nothing in common',
      '/Other',
      [unitOf('us', '/Staff/US'), unitOf('eu', '/EU')],
      undefined,
    ],
    ['none where there is no rule', '/Other', [], undefined],
  ])('is %s', (_which, unit, rules, expected) => {
    expect(nearestIn(unit, ...rules)).toBe(expected);
  });
});
