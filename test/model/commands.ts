/**
 * What may happen to people, told to the model and to the system alike. After each, both must agree; the CRLs, which cost the most,
 * are compared whenever time has passed.
 */
import fc from 'fast-check';
import type { DepartureTerms, PolicyRule } from '../../shared/domain/policy.ts';
import { KEY_SERVICE_URL } from '../support/fakes/world.ts';
import {
  addressOf,
  compromise,
  DAY_MS,
  HOUR_MS,
  hasShared,
  type Model,
  type Person,
  personOf,
  type RuleName,
  SHARED,
  settle,
} from './model.ts';
import {
  changeRule,
  expectAgreement,
  expectListed,
  GROUP,
  lookAt,
  pass,
  type Real,
  rollIssuer,
} from './real.ts';

export type Command = fc.AsyncCommand<Model, Real>;

export const USERS = ['101', '102'] as const;
export const OTHER_SERVICE = 'https://kacls-2.acme.example';
const MINUTE_MS = 60_000;
/** The issuer outlives everything here. */
const LONGEST_STORY_MS = 900 * DAY_MS;

interface Happening {
  readonly name: string;
  /** Whom it is about; everybody where it says nobody. */
  readonly userId?: string;
  readonly possible?: (person: Person, model: Model) => boolean;
  readonly inModel: (person: Person, model: Model) => void;
  /** Before the model is told. */
  readonly inReal: (real: Real, userId: string, person: Person, model: Model) => Promise<void> | void;
  /** Nobody is looked at but those who are due; whoever it is about, or everybody, unless told. */
  readonly isTime?: true;
  /** Others are looked at after it, too. */
  readonly concernsOthers?: boolean;
}

/** A command made of what happens on both sides; a minute passes before it, so that no two things happen at once. */
function command({ name, userId, possible, inModel, inReal, isTime, concernsOthers }: Happening): Command {
  const about = userId ?? USERS[0];
  const others = USERS.filter((other) => other !== userId);
  const seen = userId === undefined ? USERS : concernsOthers === true ? [userId, ...others] : [userId];
  return {
    check: (model) => model.done < model.longest && (possible?.(personOf(model, about), model) ?? true),
    toString: () => (userId === undefined ? name : `${userId} ${name}`),
    async run(model, real) {
      model.done += 1;
      await pass(real, MINUTE_MS);
      model.nowMs += MINUTE_MS;
      const whom = personOf(model, about);
      await inReal(real, about, whom, model);
      inModel(whom, model);
      if (isTime !== true) await lookAt(real, seen);
      settle(model);
      await expectAgreement(real, model);
      if (isTime === true) await expectListed(real, model);
    },
  };
}

const present = (person: Person) => person.presence === 'present';
/** Whoever is there may have any name; the deleted keep theirs. */
const mayHave =
  (...names: readonly string[]) =>
  (person: Person, model: Model) =>
    present(person) && (!names.includes(SHARED) || holderBeside(model, person)?.presence !== 'deleted');

const holderBeside = (model: Model, person: Person): Person | undefined =>
  [...model.people.values()].find((one) => one !== person && hasShared(one));

interface Names {
  readonly name: string;
  readonly aliases: readonly string[];
}

/** What is left to whoever has the shared address taken from them. */
const withoutShared = ({ name, aliases }: Names): Names =>
  name === SHARED
    ? { name: 'a', aliases: aliases.filter((alias) => alias !== 'a') }
    : { name, aliases: aliases.filter((alias) => alias !== SHARED) };

/** Other names for somebody; the shared one is taken from whoever had it. */
const named = (
  userId: string,
  what: string,
  wanted: readonly string[],
  change: (person: Person) => Names,
): Command => {
  const isShared = wanted.includes(SHARED);
  const holder = (model: Model, person: Person) => (isShared ? holderBeside(model, person) : undefined);
  return command({
    name: what,
    userId,
    possible: mayHave(...wanted),
    concernsOthers: isShared,
    inModel: (person, model) => {
      const before = holder(model, person);
      if (before !== undefined) Object.assign(before, withoutShared(before));
      Object.assign(person, change(person));
    },
    inReal: ({ world }, _, person, model) => {
      const put = (whose: string, { name, aliases }: Names) =>
        world.directory.put({
          userId: whose,
          primaryEmail: addressOf(whose, name),
          aliases: aliases.map((alias) => addressOf(whose, alias)),
        });
      const before = holder(model, person);
      if (before !== undefined) put(before.userId, withoutShared(before));
      put(userId, change(person));
    },
  });
};

const known = (person: Person) => present(person) && person.state !== 'none';

export const join = (userId: string): Command =>
  command({
    name: 'joins',
    userId,
    possible: (person) => person.presence === 'absent',
    inModel: (person) => {
      person.presence = 'present';
    },
    inReal: ({ world }) => {
      world.directory.put({ userId, primaryEmail: addressOf(userId, 'a') });
    },
  });

export const move = (userId: string, unit: string): Command =>
  command({
    name: `moves to ${unit}`,
    userId,
    possible: present,
    inModel: (person) => {
      person.unit = unit;
    },
    inReal: ({ world }) => {
      world.directory.put({ userId, orgUnitPath: unit });
    },
  });

/** The former primary address becomes an alias, as Google has it; the new one may have been one. */
export const rename = (userId: string, name: string): Command =>
  named(userId, `is renamed to ${name}`, [name], (person) => ({
    name,
    aliases:
      person.name === name
        ? person.aliases
        : [...person.aliases.filter((alias) => alias !== name), person.name],
  }));

/** Those of `names` that are not the primary address. */
export const alias = (userId: string, ...names: readonly string[]): Command =>
  named(userId, `has the aliases ${names.join(' ')}`, names, ({ name }) => ({
    name,
    aliases: names.filter((one) => one !== name),
  }));

export const suspend = (userId: string, suspended: boolean): Command =>
  command({
    name: suspended ? 'is suspended' : 'is restored',
    userId,
    possible: present,
    inModel: (person) => {
      person.suspended = suspended;
    },
    inReal: ({ world }) => {
      world.directory.put({ userId, suspended });
    },
  });

export const archive = (userId: string, archived: boolean): Command =>
  command({
    name: archived ? 'is archived' : 'is taken from the archive',
    userId,
    possible: present,
    inModel: (person) => {
      person.archived = archived;
    },
    inReal: ({ world }) => {
      world.directory.put({ userId, archived });
    },
  });

export const remove = (userId: string): Command =>
  command({
    name: 'is deleted',
    userId,
    possible: present,
    inModel: (person, model) => {
      person.presence = 'deleted';
      person.deletedMs = model.nowMs;
    },
    inReal: ({ world }) => world.directory.remove(userId),
  });

export const undelete = (userId: string): Command =>
  command({
    name: 'is undeleted',
    userId,
    possible: (person) => person.presence === 'deleted',
    inModel: (person) => {
      person.presence = 'present';
    },
    inReal: ({ world }) => {
      world.directory.put({ userId });
    },
  });

export const rekey = (userId: string, reason: 'superseded' | 'keyCompromise'): Command =>
  command({
    name: `is re-keyed (${reason})`,
    userId,
    possible: known,
    inModel: (person, model) => {
      if (reason === 'keyCompromise') compromise(person, model.nowMs);
      else person.wish = true;
    },
    inReal: async ({ world }, _, person) => {
      await world.ledger.recordRekeyJob({
        requestedBy: 'admin@acme.example',
        reason,
        users: [{ userId, primaryEmail: addressOf(userId, person.name) }],
      });
    },
  });

export const switchEncryption = (userId: string, encryption: boolean): Command =>
  command({
    name: encryption ? 'has encryption switched on' : 'has encryption switched off',
    userId,
    possible: present,
    inModel: (person) => {
      person.encryption = encryption;
    },
    inReal: ({ world }) => world.gmail.setEnabled(userId, encryption),
  });

export const drift = (userId: string, kind: 'identity' | 'pairs' | 'foreign'): Command =>
  command({
    name: {
      identity: 'loses the identity by hand',
      pairs: 'has the pairs disabled by hand',
      foreign: 'gets a foreign pair',
    }[kind],
    userId,
    possible: present,
    inModel: (person) => {
      person.handled[kind === 'pairs' ? 'pairs' : 'identity'] = true;
    },
    inReal: async ({ world }) => {
      if (kind === 'identity') world.gmail.deleteIdentityByHand(userId);
      else if (kind === 'pairs') world.gmail.disablePairsByHand(userId);
      else
        world.gmail.setIdentityByHand(
          userId,
          world.gmail.addForeignPair(userId, await world.authority.leaf()),
        );
    },
  });

/** Another policy in force, which differs from the one before in one rule. */
export const changePolicy = (
  name: RuleName,
  what: string,
  change: (rule: PolicyRule) => PolicyRule,
): Command =>
  command({
    name: `rule ${name} has ${what}`,
    inModel: (_, model) => {
      model.rules = { ...model.rules, [name]: change(model.rules[name]) };
    },
    inReal: (real) => changeRule(real, name, change),
  });

export const setRule = (name: RuleName, fields: Partial<PolicyRule>): Command =>
  changePolicy(name, JSON.stringify(fields), (rule) => ({ ...rule, ...fields }));

/** `supersededMs` undefined: what is replaced runs out by itself. */
export const setGrace = (name: RuleName, grace: Partial<PolicyRule['grace']>): Command =>
  changePolicy(
    name,
    Object.entries(grace)
      .map(([field, milliseconds]) => `${field} ${milliseconds ?? 'never'}`)
      .join(),
    (rule) => ({ ...rule, grace: { ...rule.grace, ...grace } }),
  );

export const changeScope = (path: string): Command =>
  command({
    name: `rule staff covers ${path}`,
    inModel: (_, model) => {
      model.scope = path;
    },
    inReal: (real) => changeRule(real, 'staff', (rule) => ({ ...rule, scope: { kind: 'org-unit', path } })),
  });

/** Certificates stay; the next ones come from the new issuer, and each CRL lists its own. */
export const roll = (): Command =>
  command({
    name: 'another issuer takes over',
    possible: (_, model) => !model.hasRolled,
    inModel: (_, model) => {
      model.hasRolled = true;
    },
    inReal: rollIssuer,
  });

export const group = (userId: string, isMember: boolean): Command =>
  command({
    name: isMember ? 'joins the group' : 'leaves the group',
    userId,
    possible: present,
    inModel: (person) => {
      person.inGroup = isMember;
    },
    inReal: ({ world }) => {
      const members = world.directory.members.get(GROUP) ?? new Set<string>();
      if (isMember) members.add(userId);
      else members.delete(userId);
      world.directory.members.set(GROUP, members);
    },
  });

export const wait = (milliseconds: number): Command =>
  command({
    name: `${milliseconds / HOUR_MS} hours pass`,
    possible: (_, model) => model.nowMs - model.startMs + milliseconds < LONGEST_STORY_MS,
    inModel: (_, model) => {
      model.nowMs += milliseconds;
    },
    inReal: (real) => pass(real, milliseconds),
    isTime: true,
  });

const someone = fc.constantFrom(...USERS);
const someRule = fc.constantFrom<RuleName>('vip', 'staff');
/** The longest is shorter than the time between two renewals: the model brings people to what should hold after it, and once. */
const someTime = fc.constantFrom(HOUR_MS, 25 * HOUR_MS, 73 * HOUR_MS, 31 * DAY_MS, 45 * DAY_MS);
const someTerms = fc.record<DepartureTerms>({
  identity: fc.constantFrom('delete', 'keep'),
  keypair: fc.constantFrom('keep', 'disable'),
});

/** What a policy may come to say otherwise. */
const anyPolicyChange: readonly fc.Arbitrary<Command>[] = [
  fc
    .tuple(someRule, fc.constantFrom(KEY_SERVICE_URL, OTHER_SERVICE))
    .map(([name, keyServiceUrl]) => setRule(name, { keyServiceUrl })),
  fc
    .tuple(someRule, fc.constantFrom('no' as const, 'next' as const, 'at-once' as const))
    .map(([name, aliases]) => setRule(name, { aliases })),
  fc
    .tuple(someRule, fc.constantFrom('dual-use' as const, 'split' as const))
    .map(([name, profile]) => setRule(name, { profile })),
  fc
    .tuple(someRule, fc.constantFrom('new' as const, 'same' as const))
    .map(([name, renewKey]) => setRule(name, { renewKey })),
  fc.tuple(someRule, fc.constantFrom(365, 90)).map(([name, validityDays]) => setRule(name, { validityDays })),
  fc
    .tuple(
      someRule,
      fc.constantFrom('onLeave' as const, 'onSuspend' as const, 'onArchive' as const),
      someTerms,
    )
    .map(([name, when, terms]) => setRule(name, { [when]: terms })),
  fc
    .tuple(
      someRule,
      fc.constantFrom('leaveMs' as const, 'suspendMs' as const, 'archiveMs' as const, 'deleteMs' as const),
      fc.constantFrom(0, 2 * HOUR_MS, DAY_MS, 30 * DAY_MS),
    )
    .map(([name, when, milliseconds]) => setGrace(name, { [when]: milliseconds })),
  fc
    .tuple(someRule, fc.constantFrom(0, 2 * HOUR_MS, 3 * DAY_MS, undefined))
    .map(([name, supersededMs]) => setGrace(name, { supersededMs })),
  fc.constantFrom('/Staff', '/Staff', '/Staff/Legal').map(changeScope),
];

/** Any of them; joining and time are more likely than the rest. */
export const anyCommand: fc.Arbitrary<Command>[] = [
  someone.map(join),
  someone.map(join),
  fc
    .tuple(someone, fc.constantFrom('/Staff', '/Staff/Legal', '/Contractors'))
    .map(([who, unit]) => move(who, unit)),
  fc.tuple(someone, fc.constantFrom('a', 'b', SHARED)).map(([who, name]) => rename(who, name)),
  fc.tuple(someone, fc.subarray(['a', 'b', SHARED])).map(([who, names]) => alias(who, ...names)),
  fc.tuple(someone, fc.boolean()).map(([who, on]) => suspend(who, on)),
  fc.tuple(someone, fc.boolean()).map(([who, on]) => archive(who, on)),
  someone.map(remove),
  someone.map(undelete),
  fc
    .tuple(someone, fc.constantFrom('superseded' as const, 'keyCompromise' as const))
    .map(([who, why]) => rekey(who, why)),
  fc.tuple(someone, fc.boolean()).map(([who, on]) => switchEncryption(who, on)),
  fc
    .tuple(someone, fc.constantFrom('identity' as const, 'pairs' as const, 'foreign' as const))
    .map(([who, kind]) => drift(who, kind)),
  fc.tuple(someone, fc.boolean()).map(([who, isMember]) => group(who, isMember)),
  fc.constant(undefined).map(roll),
  fc.oneof(...anyPolicyChange),
  fc.oneof(...anyPolicyChange),
  someTime.map(wait),
  someTime.map(wait),
];
