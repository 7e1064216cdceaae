/**
 * A sweep hints at whom a look would change, and at nobody else. Here both are asked, of whatever has become of four people, their
 * units and groups and the policy, of which events told or did not: whoever is not hinted at is looked at all the same, and that has to
 * leave everything as it is; and once everybody who is hinted at was looked at, the next sweep has to be silent.
 */
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { EMPTY_SELECTION } from '../../../shared/domain/place.ts';
import type { GroupReference, Policy, PolicyRule } from '../../../shared/domain/policy.ts';
import { isSealwrightError } from '../../../shared/errors.ts';
import { EVERYBODY } from '../../../shared/ports/ledger/sweeps.ts';
import { ACCEPT_SHRUNK, type SweepDeps } from '../../../shared/sources/sweep/context.ts';
import { SETTLE_MS } from '../../../shared/sources/sweep/follow-policy.ts';
import { tick } from '../../../shared/sources/sweep/tick.ts';
import { look } from '../../reconcile/outcome.ts';
import { keyPoolOfPairs } from '../../support/fakes/key-pool.ts';
import {
  createWorld,
  DAY_MS,
  HOUR_MS,
  KEY_SERVICE_URL,
  type Materials,
  makeMaterials,
  type World,
} from '../../support/fakes/world.ts';
import { DEPARTURES, policyOf, policyRule } from '../../support/policy.ts';

const PEOPLE = ['101', '102', '103', '104'] as const;
const UNITS = ['/Staff', '/Labs', '/Other'] as const;
const RULES = ['pilots', 'staff', 'labs'] as const;
const GROUPS = ['pilots@acme.example', 'temps@acme.example'] as const;
const RUNS = Number(process.env['SEALWRIGHT_AGREEMENT_RUNS'] ?? 300);

const group = (address: string): GroupReference => ({ address, groupId: address });
const unit = (path: string) => ({ path, orgUnitId: `id:${path.toLowerCase()}` });

/** What a policy may say of its three rules, and what it says of departures, which stays the same when the rules change. */
const rulesDrawn = fc.record({
  has: fc.subarray([...RULES], { minLength: 1 }),
  observing: fc.oneof(fc.constant<(typeof RULES)[number][]>([]), fc.subarray([...RULES])),
  excludesTemps: fc.subarray([...RULES]),
  excludesUser: fc.boolean(),
  excludesUnit: fc.boolean(),
});
const grace = fc.constantFrom(0, 30 * DAY_MS);
const termsDrawn = fc.record({
  leaveMs: grace,
  suspendMs: grace,
  archiveMs: grace,
  deleteMs: grace,
  deletes: fc.boolean(),
  protects: fc.subarray(['user', 'group', 'unit']),
  minimumPerHour: fc.constantFrom(1, 50),
});
type RulesDrawn = typeof rulesDrawn extends fc.Arbitrary<infer Drawn> ? Drawn : never;
type TermsDrawn = typeof termsDrawn extends fc.Arbitrary<infer Drawn> ? Drawn : never;

function policyFrom(rules: RulesDrawn, terms: TermsDrawn): Policy {
  const { leaveMs, suspendMs, archiveMs, deleteMs, deletes, protects, minimumPerHour } = terms;
  const departures = {
    ...DEPARTURES,
    grace: { ...DEPARTURES.grace, leaveMs, suspendMs, archiveMs, deleteMs },
    onSuspend: { identity: deletes ? 'delete' : 'keep', keypair: 'keep' } as const,
  };
  const rule = (name: (typeof RULES)[number], scope: PolicyRule['scope']): readonly PolicyRule[] =>
    rules.has.includes(name)
      ? [
          policyRule({
            ...{ ...departures, name, scope, modulusBits: 2048, keyServiceUrl: KEY_SERVICE_URL },
            observeOnly: rules.observing.includes(name),
            exclude: {
              users: rules.excludesUser ? ['user-102@acme.example'] : [],
              orgUnits: rules.excludesUnit ? [unit('/Staff/Legal')] : [],
              groups: rules.excludesTemps.includes(name) ? [group(GROUPS[1])] : [],
            },
          }),
        ]
      : [];
  return policyOf(
    [
      ...rule('pilots', { kind: 'group', ...group(GROUPS[0]) }),
      ...rule('staff', { kind: 'org-unit', ...unit('/Staff') }),
      ...rule('labs', { kind: 'org-unit', ...unit('/Labs') }),
    ],
    {
      defaults: departures,
      guard: { minimumPerHour, shareOfCovered: 0.05, maximumPerHour: 200 },
      protected: {
        ...EMPTY_SELECTION,
        superAdmins: false,
        users: protects.includes('user') ? ['103'] : [],
        groups: protects.includes('group') ? [group(GROUPS[1])] : [],
        orgUnits: protects.includes('unit') ? [unit('/Labs')] : [],
      },
    },
  );
}

const person = fc.constantFrom(...PEOPLE);
/** Of each person `told` says whether an event does, upon which somebody looks. */
const eventDrawn = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('person' as const),
      userId: person,
      told: fc.boolean(),
      what: fc.oneof(
        { weight: 2, arbitrary: fc.record({ orgUnitPath: fc.constantFrom(...UNITS, '/Staff/Legal') }) },
        { weight: 4, arbitrary: fc.record({ suspended: fc.boolean() }) },
        { weight: 2, arbitrary: fc.record({ archived: fc.boolean() }) },
        { weight: 2, arbitrary: fc.record({ primaryEmail: fc.constantFrom('a', 'b') }) },
        { weight: 3, arbitrary: fc.constant('delete' as const) },
        { weight: 1, arbitrary: fc.constant('undelete' as const) },
        // In no list any more.
        { weight: 1, arbitrary: fc.constant('forget' as const) },
      ),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('member' as const),
      userId: person,
      told: fc.boolean(),
      group: fc.constantFrom(...GROUPS),
      joins: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('group' as const),
      group: fc.constantFrom(...GROUPS),
      exists: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('time' as const), hours: fc.constantFrom(1, 25, 800) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('policy' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('sweep' as const) }) },
);
type Event = typeof eventDrawn extends fc.Arbitrary<infer Drawn> ? Drawn : never;

/** A company under the first of its policies, and then under the second. */
interface Story {
  readonly terms: TermsDrawn;
  readonly rules: readonly [RulesDrawn, RulesDrawn];
  readonly places: readonly string[];
  readonly events: readonly Event[];
}
const storyDrawn: fc.Arbitrary<Story> = fc.record({
  terms: termsDrawn,
  rules: fc.tuple(rulesDrawn, rulesDrawn),
  places: fc.array(fc.constantFrom(...UNITS), { minLength: PEOPLE.length, maxLength: PEOPLE.length }),
  events: fc.array(eventDrawn, { minLength: 2, maxLength: 10 }),
});

class Disagreement extends Error {}

/** `isForPolicy`: because the rule changed under its name, and not because the sweep found a difference. */
interface Hinted {
  readonly why: string;
  readonly isForPolicy: boolean;
}

/** A company at work: its people, its policy, and the two who judge of them. */
class Company {
  readonly world: World;
  readonly #planted: Partial<SweepDeps>;
  readonly #policies: readonly Policy[];
  #activation = 0;

  constructor(world: World, policies: readonly Policy[], planted: Partial<SweepDeps>) {
    this.world = world;
    this.#policies = policies;
    this.#planted = planted;
  }

  get #policy(): Policy {
    const policy = this.#policies[this.#activation];
    if (policy === undefined) throw new Error('There is no such policy.');
    return policy;
  }

  activateNext(): void {
    this.#activation = Math.min(this.#activation + 1, this.#policies.length - 1);
  }

  /** What waits for somebody else is tried again by itself. */
  async look(userId: string): Promise<void> {
    try {
      await look({ ...this.world.deps, policy: this.#policy }, userId);
    } catch (error) {
      if (!isSealwrightError(error) || error.kind !== 'retryable') throw error;
    }
  }

  async lookAtDue(): Promise<void> {
    for (const userId of PEOPLE) {
      const { user } = await this.world.ledger.readUser(userId);
      if (user?.nextActionAt !== undefined && user.nextActionAt <= this.world.clock.now())
        await this.look(userId);
    }
  }

  /** Six hours pass, whoever is due is looked at, and everybody is swept; answers whom that hints at and why. */
  async sweep(): Promise<ReadonlyMap<string, Hinted>> {
    const { clock, directory, ledger, bus, log } = this.world;
    clock.advance(6 * HOUR_MS);
    await this.world.publishCrl();
    await this.lookAtDue();
    const deps: SweepDeps = {
      ...{ clock, directory, ledger, bus, log, policy: this.#policy },
      activation: `activation ${this.#activation}`,
      elapsedMs: () => performance.now(),
      ...{ intervalMs: 6 * HOUR_MS, budgetMs: 60_000, lookByAgeMs: 7 * DAY_MS, hintsPerMinute: 400 },
      ...this.#planted,
    };
    bus.hints.length = 0;
    // The first one may notice another policy, the next one follows it, and what waits goes out a minute later.
    for (const moment of ['notice', 'follow', 'let out'] as const) {
      // A few people less are more than any allowance.
      if (moment === 'follow')
        await ledger.requestSweep({
          scope: EVERYBODY,
          cause: { eventId: 'admin-1', event: ACCEPT_SHRUNK },
        });
      await tick(deps);
      clock.advance(SETTLE_MS);
    }
    expect((await ledger.sweepOverview()).lastEnded?.state).toBe('whole');
    const hinted = new Map<string, Hinted>();
    for (const hint of bus.hints) {
      const { event: why, eventId } = hint.cause;
      if (!('userId' in hint) || why === 'look-by-age') continue;
      const isForPolicy = eventId.startsWith('policy-');
      // Whoever is hinted at for the policy's sake may differ besides.
      if (!isForPolicy || !hinted.has(hint.userId)) hinted.set(hint.userId, { why, isForPolicy });
    }
    return hinted;
  }

  /** All that a look may change of somebody. */
  async #seen(userId: string) {
    const { user, leaves, keypairs } = await this.world.ledger.readUser(userId);
    const { pairs, identities } = this.world.gmail.account(userId);
    return {
      row: {
        state: user?.state,
        rule: user?.ruleName,
        hasLeft: user?.leftScopeAt !== undefined,
        // Of whoever is outside it decides nothing.
        isSuspended: user?.leftScopeAt === undefined && user?.suspendedAt !== undefined,
        address: user?.primaryEmail,
      },
      holdings: [
        leaves.map(({ serialHex, revocation }) => [serialHex, revocation?.reason]),
        keypairs.length,
        pairs.map(({ enabled }) => enabled),
        [...identities.keys()],
      ],
      nextMs: user?.nextActionAt?.getTime() ?? Number.POSITIVE_INFINITY,
      isFrozen: user?.nextAction === 'look-at-policy',
      isObserved: user?.nextAction === 'observe-again',
    };
  }

  /** Throws where a look at somebody would change something, and nobody would look within a day. */
  async assertSettled(userId: string): Promise<void> {
    const before = await this.#seen(userId);
    // Whoever waits is looked at by themselves.
    if (before.nextMs <= this.world.clock.now().getTime() + DAY_MS) return;
    const restore = await this.world.save();
    await this.look(userId);
    const after = await this.#seen(userId);
    await restore();
    const said = `${userId}: ${JSON.stringify(before)} became ${JSON.stringify(after)}`;
    if (JSON.stringify(before.holdings) !== JSON.stringify(after.holdings)) throw new Disagreement(said);
    // That nothing can be said of somebody whose rule is gone, an admin is told by the policy's own check.
    if (after.isFrozen) return;
    if (JSON.stringify(before.row) !== JSON.stringify(after.row)) throw new Disagreement(said);
    // To observe is to do nothing, and tomorrow again.
    if (after.nextMs < before.nextMs && !after.isObserved) throw new Disagreement(said);
  }
}

function happen(company: Company, event: Event): void {
  const { directory, clock } = company.world;
  switch (event.kind) {
    case 'person': {
      const { userId, what } = event;
      const isLiving = directory.living(userId) !== undefined;
      if (what === 'delete') directory.remove(userId);
      else if (what === 'forget') directory.forget(userId);
      else if (what === 'undelete') directory.put({ userId });
      else if (isLiving && 'primaryEmail' in what)
        directory.put({ userId, primaryEmail: `${what.primaryEmail}-${userId}@acme.example` });
      else if (isLiving) directory.put({ userId, ...what });
      return;
    }
    case 'member':
      directory.members.get(event.group)?.[event.joins ? 'add' : 'delete'](event.userId);
      return;
    case 'group':
      if (!event.exists) directory.members.delete(event.group);
      else if (!directory.members.has(event.group)) directory.members.set(event.group, new Set());
      return;
    case 'time':
      clock.advance(event.hours * HOUR_MS);
      return;
    case 'policy':
      company.activateNext();
      return;
    case 'sweep':
      return;
    default:
      event satisfies never;
  }
}

/** How often something was hinted at, and why. */
type Counts = Map<string, number>;

async function live(
  { terms, rules, places, events }: Story,
  materials: Materials,
  counts: Counts,
  planted: Partial<SweepDeps> = {},
): Promise<void> {
  const world = await createWorld(materials, { ledger: 'memory' });
  try {
    const company = new Company(
      world,
      rules.map((drawn) => policyFrom(drawn, terms)),
      planted,
    );
    for (const name of GROUPS) world.directory.members.set(name, new Set());
    for (const [at, userId] of PEOPLE.entries())
      world.directory.put({ userId, orgUnitPath: places[at] ?? '/Staff' });
    for (const userId of PEOPLE.slice(0, 3)) await company.look(userId);
    for (const event of events) {
      world.clock.advance(60_000);
      happen(company, event);
      await company.lookAtDue();
      if ('told' in event && event.told) await company.look(event.userId);
      if (event.kind === 'sweep')
        for (const userId of (await company.sweep()).keys()) await company.look(userId);
    }
    const hinted = await company.sweep();
    for (const { why } of hinted.values()) counts.set(why, (counts.get(why) ?? 0) + 1);
    for (const userId of PEOPLE) if (!hinted.has(userId)) await company.assertSettled(userId);
    for (const userId of hinted.keys()) await company.look(userId);
    const again = await hintedAtAgain(company);
    if (again.length > 0) throw new Disagreement(`The second sweep hints at ${JSON.stringify(again)}`);
  } finally {
    await world.close();
  }
}

/**
 * Whom the sweep after the looks hints at all the same. Somebody in no list is hinted at for the day that proves their absence, and whoever
 * is hinted at meanwhile is looked at.
 */
async function hintedAtAgain(company: Company): Promise<readonly (readonly [string, Hinted])[]> {
  const isOver = company.world.clock.now().getTime() + DAY_MS + 12 * HOUR_MS;
  for (;;) {
    // For two days after a change of policy whoever left under it is hinted at for the policy's sake: no look can write down its new form.
    const again = [...(await company.sweep())].filter(([, { isForPolicy }]) => !isForPolicy);
    const isAwaited = again.length > 0 && again.every(([, { why }]) => why === 'missing');
    if (!isAwaited || company.world.clock.now().getTime() >= isOver) return again;
    for (const [userId] of again) await company.look(userId);
  }
}

let materials: Materials;
beforeAll(async () => {
  materials = { ...(await makeMaterials()), pool: await keyPoolOfPairs(60) };
});

describe('whatever has become of people, units, groups and the policy, a sweep', () => {
  test('hints at everybody whom a look would change, and after the looks at nobody', {
    timeout: 60_000 + RUNS * 2_000,
  }, async () => {
    const counts: Counts = new Map();
    await fc.assert(
      fc.asyncProperty(storyDrawn, (drawn) => live(drawn, materials, counts)),
      { numRuns: RUNS },
    );
    console.info(JSON.stringify(Object.fromEntries(counts)));
    // Of a few stories none may come to each.
    if (RUNS < 100) return;
    for (const why of [
      'came-into-scope',
      'rule-changed',
      'left-scope',
      'suspended',
      'deleted',
      'addresses-changed',
      'missing',
    ])
      expect(counts.get(why) ?? 0, why).toBeGreaterThan(0);
  });
});

const PLAIN: RulesDrawn = {
  ...{ has: ['staff'], observing: [], excludesTemps: [], excludesUser: false, excludesUnit: false },
};
const OBSERVING: RulesDrawn = { ...PLAIN, observing: ['staff'] };
const AT_ONCE: TermsDrawn = {
  ...{ leaveMs: 0, suspendMs: 0, archiveMs: 0, deleteMs: 0, deletes: false },
  ...{ protects: [], minimumPerHour: 50 },
};
const told = (userId: '101' | '103' | '104', what: Extract<Event, { kind: 'person' }>['what']): Event => ({
  ...{ kind: 'person', userId, told: true, what },
});
const story = (changes: Partial<Story>): Story => ({
  ...{ terms: AT_ONCE, rules: [PLAIN, PLAIN], places: ['/Staff', '/Staff', '/Staff', '/Other'], events: [] },
  ...changes,
});
const switched: Event = { kind: 'policy' };

describe('once looked at, a sweep hints no more at somebody', () => {
  test.each([
    ['who is observed', story({ rules: [OBSERVING, OBSERVING] })],
    [
      'with certificates who left under a rule that only observes',
      story({ rules: [PLAIN, OBSERVING], events: [switched, told('101', { orgUnitPath: '/Other' })] }),
    ],
    [
      'with certificates who is suspended under a rule that only observes',
      story({ rules: [PLAIN, OBSERVING], events: [switched, told('101', { suspended: true })] }),
    ],
    [
      'with certificates who is deleted under a rule that only observes',
      story({ rules: [PLAIN, OBSERVING], events: [switched, told('101', 'delete')] }),
    ],
    [
      'with certificates who is in no list under a rule that only observes',
      story({ rules: [PLAIN, OBSERVING], events: [switched, told('101', 'forget')] }),
    ],
    [
      'with certificates who is deleted, and then in no list, under a rule that only observes',
      story({ rules: [PLAIN, OBSERVING], events: [switched, told('101', 'delete'), told('101', 'forget')] }),
    ],
    ['who is in no list', story({ events: [told('101', 'forget')] })],
    [
      'who is in no list and protected',
      story({ terms: { ...AT_ONCE, protects: ['user'] }, events: [told('103', 'forget')] }),
    ],
    [
      'who is in no list and held by the guard',
      story({
        terms: { ...AT_ONCE, minimumPerHour: 1 },
        events: [told('101', 'forget'), told('103', 'forget')],
      }),
    ],
    [
      'who is deleted and protected',
      story({ terms: { ...AT_ONCE, protects: ['user'] }, events: [told('103', 'delete')] }),
    ],
    [
      'who is deleted and held by the guard',
      story({
        terms: { ...AT_ONCE, minimumPerHour: 1 },
        events: [told('101', 'delete'), told('103', 'delete')],
      }),
    ],
    [
      'who is deleted and has a grace period',
      story({ terms: { ...AT_ONCE, deleteMs: 30 * DAY_MS }, events: [told('101', 'delete')] }),
    ],
    [
      'who was suspended, is deleted and has a grace period',
      story({
        terms: { ...AT_ONCE, suspendMs: 30 * DAY_MS, deleteMs: 30 * DAY_MS },
        events: [told('101', { suspended: true }), told('101', 'delete')],
      }),
    ],
  ])('%s', async (_who, history) => {
    await live(history, materials, new Map());
  });
});

describe('the comparison of both finds', () => {
  const moved: Event = { kind: 'person', userId: '101', told: false, what: { orgUnitPath: '/Other' } };

  test('a sweep that does not see that somebody has left', async () => {
    const staysInStaff = policyFrom({ ...PLAIN, has: ['staff', 'labs'] }, AT_ONCE);
    const [staff] = staysInStaff.rules;
    const everywhere: Policy = {
      ...staysInStaff,
      rules: staff === undefined ? [] : [{ ...staff, scope: { kind: 'org-unit', ...unit('/') } }],
    };
    const blind = live(
      story({ events: [moved], places: ['/Staff', '/Staff', '/Staff', '/Staff'] }),
      materials,
      new Map(),
      {
        policy: everywhere,
      },
    );
    await expect(blind).rejects.toThrow(/^101: .*"hasLeft":false.* became .*"hasLeft":true/);
  });

  test('a sweep that hints at the same people again after every look', async () => {
    const forgetful = live(story({ events: [moved] }), materials, new Map(), {
      policy: policyFrom({ ...PLAIN, has: ['labs'] }, AT_ONCE),
    });
    await expect(forgetful).rejects.toThrow(/^The second sweep hints at .*"left-scope"/);
  });
});
