/** What may happen to the company while the system is at work. Drawn from the seed; some of it tells nobody. */
import { activate } from '../../shared/authority/activate.ts';
import type { HeldDeparture } from '../../shared/domain/held.ts';
import { EMPTY_SELECTION } from '../../shared/domain/place.ts';
import type { Policy } from '../../shared/domain/policy.ts';
import { isSealwrightError } from '../../shared/errors.ts';
import { heldSetDigest } from '../../shared/plan/held-set.ts';
import { ISSUER_ID, KEY_SERVICE_URL, type World } from '../support/fakes/world.ts';
import { DEPARTURES, policyOf, policyRule } from '../support/policy.ts';
import type { Dice } from './random.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
export const USERS = ['101', '102', '103', '104'] as const;
export const NEXT_ISSUER_ID = 'issuing-2';
export const GROUP = 'vip@acme.example';

const rules = { ...DEPARTURES, grace: { ...DEPARTURES.grace, suspendMs: 2 * DAY_MS } };
const guard = { minimumPerHour: 2, shareOfCovered: 0.05, maximumPerHour: 200 };

/** Departures that wait for a human, however few depart: somebody's by id, those of whoever has an address, and super admins'. */
const PROTECTED = {
  protected: { ...EMPTY_SELECTION, superAdmins: true, users: ['103', 'a-104@acme.example'] },
};

/** And those of whoever is in a unit or a group. */
const PROTECTED_PLACES = {
  protected: {
    ...PROTECTED.protected,
    orgUnits: [{ path: '/Staff/Legal' }],
    groups: [{ address: GROUP, groupId: GROUP }],
  },
};

const policy = (
  changes: Parameters<typeof policyRule>[0],
  path = '/Staff',
  more: Partial<Policy> = {},
): Policy =>
  policyOf(
    [
      policyRule({
        ...{ ...rules, name: 'vip', modulusBits: 2048, keyServiceUrl: KEY_SERVICE_URL },
        observeOnly: changes?.observeOnly === true,
        scope: { kind: 'group', address: GROUP, groupId: GROUP },
      }),
      policyRule({
        ...{ ...rules, modulusBits: 2048, scope: { kind: 'org-unit', path }, keyServiceUrl: KEY_SERVICE_URL },
        ...changes,
      }),
    ],
    { guard, defaults: rules, ...more },
  );

/** Under the last one nothing is done for anybody. */
export const POLICIES: readonly Policy[] = [
  policy({}),
  policy({ keyServiceUrl: 'https://kacls-2.acme.example' }),
  policy({ aliases: 'at-once' }),
  policy({ onLeave: { identity: 'delete', keypair: 'disable' } }, '/Staff', PROTECTED),
  policy({}, '/Staff/Legal', PROTECTED),
  policy({ renewKey: 'same', validityDays: 60 }),
  policy({ profile: 'split' }),
  policy(
    { profile: 'split', aliases: 'at-once', keyServiceUrl: 'https://kacls-2.acme.example' },
    '/Staff',
    PROTECTED_PLACES,
  ),
  policy(
    {
      onSuspend: { identity: 'delete', keypair: 'disable' },
      onArchive: { identity: 'keep', keypair: 'keep' },
    },
    '/Staff',
    PROTECTED_PLACES,
  ),
  policy({ observeOnly: true }),
];

export const isObserved = ({ rules: all }: Policy): boolean => all.every(({ observeOnly }) => observeOnly);

export interface Company {
  readonly world: World;
  readonly random: Dice;
  policy: Policy;
  readonly switchedOff: Set<string>;
  /** Somebody's look is asked for; may be lost on the way. */
  readonly notify: (userId: string) => void;
  readonly log: (what: string) => void;
}

const addressOf = (userId: string, name: string): string => `${name}-${userId}@acme.example`;

type Happening = (company: Company, userId: string) => Promise<void> | void;

const isLiving = ({ world }: Company, userId: string): boolean =>
  world.directory.living(userId) !== undefined;

const change =
  (changes: (company: Company, userId: string) => object): Happening =>
  (company, userId) => {
    if (isLiving(company, userId)) company.world.directory.put({ userId, ...changes(company, userId) });
  };

/** Happens to those whom no policy protects by name. */
const ADMIN_LEAVES = 'becomes a super admin, and is deleted the next time';
const UNNAMED: readonly string[] = ['101', '102'];

const HAPPENINGS: Readonly<Record<string, Happening>> = {
  joins: ({ world }, userId) => {
    if (
      world.directory.living(userId) === undefined &&
      world.directory.owner(addressOf(userId, 'a')) === undefined
    )
      world.directory.put({
        userId,
        primaryEmail: addressOf(userId, 'a'),
        suspended: false,
        archived: false,
      });
  },
  'is renamed': change(({ random, world }, userId) => {
    const primaryEmail = addressOf(userId, random.one(['a', 'b', 'c']));
    return world.directory.owner(primaryEmail) === undefined ? { primaryEmail } : {};
  }),
  'takes over an address': ({ world, random }, userId) => {
    const other = random.one(USERS);
    const theirs = world.directory.living(other);
    if (theirs === undefined || other === userId || world.directory.living(userId) === undefined) return;
    world.directory.put({
      userId: other,
      primaryEmail: addressOf(other, `moved-${random.below(1_000_000)}`),
    });
    if (world.directory.owner(theirs.primaryEmail) === undefined)
      world.directory.put({ userId, primaryEmail: theirs.primaryEmail });
  },
  moves: change(({ random }) => ({ orgUnitPath: random.one(['/Staff', '/Staff/Legal', '/Contractors']) })),
  'has aliases': change(({ random }, userId) => ({
    aliases: Array.from({ length: random.below(3) }, (_, index) => `alias-${index}-${userId}@acme.example`),
  })),
  'is suspended or restored': change(({ random }) => ({ suspended: random.percent(50) })),
  'is archived or taken back': change(({ random }) => ({ archived: random.percent(40) })),
  'becomes a super admin or is one no longer': change(({ random }) => ({
    superAdmin: random.percent(60) ? true : undefined,
  })),
  'is deleted': ({ world }, userId) => {
    world.directory.remove(userId);
  },
  /** What but a name protects a deleted account only its last sightings know: so that there are some, several looks are asked for. */
  [ADMIN_LEAVES]: ({ world, notify }, userId) => {
    const user = world.directory.living(userId);
    if (user === undefined) return;
    if (user.superAdmin === true) world.directory.remove(userId);
    else {
      world.directory.put({ userId, superAdmin: true });
      for (const asked of [userId, userId, userId]) notify(asked);
    }
  },
  /** Not while somebody else has the address: no directory has two people at one. */
  'is undeleted': async ({ world: { directory } }, userId) => {
    const presence = await directory.presence(userId);
    if (presence.kind === 'deleted' && directory.owner(presence.primaryEmail) === undefined)
      directory.put({ userId });
  },
  'vanishes from every list': ({ world, random }, userId) => {
    if (random.percent(30)) world.directory.forget(userId);
  },
  'joins or leaves the group': ({ world, random }, userId) => {
    const members = world.directory.members.get(GROUP) ?? new Set<string>();
    if (random.percent(50)) members.add(userId);
    else members.delete(userId);
    world.directory.members.set(GROUP, members);
  },
  'is re-keyed': async ({ world, random }, userId) => {
    if (!(await world.ledger.users()).some(({ user }) => user?.userId === userId)) return;
    const reason = random.percent(50) ? 'keyCompromise' : 'superseded';
    const primaryEmail = world.directory.living(userId)?.primaryEmail ?? addressOf(userId, 'a');
    await world.ledger.recordRekeyJob({
      requestedBy: 'admin@acme.example',
      reason,
      users: [{ userId, primaryEmail }],
    });
  },
  'loses the identity by hand': ({ world }, userId) => world.gmail.deleteIdentityByHand(userId),
  'has the pairs disabled by hand': ({ world }, userId) => world.gmail.disablePairsByHand(userId),
  'gets a foreign pair': async ({ world }, userId) => {
    if (world.directory.living(userId) === undefined) return;
    world.gmail.setIdentityByHand(userId, world.gmail.addForeignPair(userId, await world.authority.leaf()));
  },
  'has encryption switched': ({ world, random, switchedOff }, userId) => {
    const isOn = random.percent(60);
    world.gmail.setEnabled(userId, isOn);
    if (isOn) switchedOff.delete(userId);
    else switchedOff.add(userId);
  },
};

const NAMES = Object.keys(HAPPENINGS);
/** Without people nothing happens. */
const WEIGHTED = [
  ...NAMES,
  ...['joins', 'joins', 'joins', 'moves'],
  ...[ADMIN_LEAVES, ADMIN_LEAVES, ADMIN_LEAVES],
];

/** One thing happens to somebody. The directory may or may not say so. */
export async function somethingHappens(company: Company): Promise<void> {
  const { random } = company;
  const name = random.one(WEIGHTED);
  const userId = random.one(name === ADMIN_LEAVES ? UNNAMED : USERS);
  company.log(`${userId} ${name}`);
  await HAPPENINGS[name]?.(company, userId);
  if (random.percent(70)) company.notify(userId);
  if (random.percent(15)) company.notify(userId);
}

/** What admins do to everybody at once. */
export async function adminActs(company: Company): Promise<void> {
  const { random, world } = company;
  switch (random.below(5)) {
    case 0:
      company.policy = random.one(POLICIES);
      company.log(`policy ${POLICIES.indexOf(company.policy)}`);
      return;
    case 1:
      await rollIssuer(company);
      return;
    case 2:
      await decideHeldSets(company, random.percent(60) ? 'approved' : 'dismissed');
      return;
    case 3:
      company.log(
        `stop ${await world.ledger.recordStop({ by: 'admin@acme.example', reason: 'Simulated.' })}`,
      );
      return;
    default:
      await world.ledger.recordResume({ by: 'admin@acme.example', paceMs: 1000 });
  }
}

async function rollIssuer({ world, log }: Company): Promise<void> {
  try {
    await activate({ ledger: world.ledger, clock: world.clock }, NEXT_ISSUER_ID);
    log(`issuer ${NEXT_ISSUER_ID} takes over from ${ISSUER_ID}`);
  } catch (error) {
    if (!isSealwrightError(error)) throw error;
    log(`issuer roll refused: ${error.code}`);
  }
}

/** Answers the departures that were decided on. */
export async function decideHeldSets(
  { world, log }: Company,
  decision: 'approved' | 'dismissed',
): Promise<readonly HeldDeparture[]> {
  const decided: HeldDeparture[] = [];
  for (const { setId } of await world.ledger.heldSets({ state: 'open' })) {
    log(`held set ${setId} ${decision}`);
    decided.push(...((await world.ledger.readHeldSet(setId))?.departures ?? []));
    await world.ledger.decideHeldSet(
      setId,
      (set) => ({ setId, decision, by: 'admin@acme.example', digest: heldSetDigest(set), paceMs: 1000 }),
      () => ({
        cause: { source: 'admin', eventId: `held-${setId}`, event: decision },
        step: 'held-set',
        reason: 'Simulated.',
        outcome: 'done',
      }),
    );
  }
  return decided;
}
