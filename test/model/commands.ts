/** What may happen to people, told to the model and to the system alike. After each, both must agree. */
import fc from 'fast-check';
import { KEY_SERVICE_URL } from '../support/fakes/world.ts';
import { compromise, DAY_MS, HOUR_MS, type Model, type Person, personOf, settle } from './model.ts';
import {
  addressOf,
  expectAgreement,
  expectListed,
  GROUP,
  look,
  pass,
  type Real,
  rollIssuer,
  tellRenewals,
} from './real.ts';

export type Command = fc.AsyncCommand<Model, Real>;

export const USERS = ['101', '102', '103'] as const;
const OTHER_SERVICE = 'https://kacls-2.acme.example';
const MINUTE_MS = 60_000;
/** The issuer outlives everything here. */
const LONGEST_STORY_MS = 900 * DAY_MS;

interface Happening {
  readonly name: string;
  /** Whom it is about; everybody where it says nobody. */
  readonly userId?: string;
  readonly possible?: (person: Person, model: Model) => boolean;
  readonly inModel: (person: Person, model: Model) => void;
  readonly inReal: (real: Real, userId: string, person: Person) => Promise<void> | void;
}

/** A command made of what happens on both sides; a minute passes before it, so that no two things happen at once. */
function command({ name, userId, possible, inModel, inReal }: Happening): Command {
  const about = userId ?? USERS[0];
  return {
    check: (model) => possible?.(personOf(model, about), model) ?? true,
    toString: () => (userId === undefined ? name : `${userId} ${name}`),
    async run(model, real) {
      await pass(real, MINUTE_MS);
      model.nowMs += MINUTE_MS;
      const whom = personOf(model, about);
      await inReal(real, about, whom);
      inModel(whom, model);
      for (const other of USERS) {
        if (userId === undefined || other === userId) await look(real, other);
      }
      for (const person of model.people.values()) settle(model, person);
      await expectAgreement(real, model);
      await tellRenewals(real, model);
      await expectListed(real, model);
    },
  };
}

const present = (person: Person) => person.presence === 'present';
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

export const rename = (userId: string, name: string): Command =>
  command({
    name: `is renamed to ${name}`,
    userId,
    possible: present,
    inModel: (person) => {
      person.name = name;
    },
    inReal: ({ world }) => {
      world.directory.put({ userId, primaryEmail: addressOf(userId, name) });
    },
  });

/** By the default policy certificates name no aliases: nothing follows. */
export const alias = (userId: string, count: number): Command =>
  command({
    name: `has ${count} aliases`,
    userId,
    possible: present,
    inModel: () => undefined,
    inReal: ({ world }) => {
      const aliases = Array.from({ length: count }, (_, index) => `alias-${index}-${userId}@acme.example`);
      world.directory.put({ userId, aliases });
    },
  });

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
    inModel: (person) => {
      person.presence = 'deleted';
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
    inModel: () => undefined,
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

export const changeKeyService = (service: string): Command =>
  command({
    name: `the key service is ${service}`,
    inModel: (_, model) => {
      model.service = service;
    },
    inReal: (real) => {
      real.service = service;
    },
  });

export const changeScope = (scope: string): Command =>
  command({
    name: `the policy covers ${scope}`,
    inModel: (_, model) => {
      model.scope = scope;
    },
    inReal: (real) => {
      real.scope = scope;
    },
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
  });

const someone = fc.constantFrom(...USERS);

/** Any of them; joining, moving and time are more likely than the rest. */
export const anyCommand: fc.Arbitrary<Command>[] = [
  someone.map(join),
  someone.map(join),
  fc
    .tuple(someone, fc.constantFrom('/Staff', '/Staff/Legal', '/Contractors'))
    .map(([who, unit]) => move(who, unit)),
  fc.tuple(someone, fc.constantFrom('a', 'b', 'c')).map(([who, name]) => rename(who, name)),
  fc.tuple(someone, fc.nat(2)).map(([who, count]) => alias(who, count)),
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
  fc.constantFrom(KEY_SERVICE_URL, OTHER_SERVICE).map(changeKeyService),
  fc.constantFrom('/Staff', '/Staff', '/Staff/Legal').map(changeScope),
  fc.tuple(someone, fc.boolean()).map(([who, isMember]) => group(who, isMember)),
  fc.constant(undefined).map(roll),
  fc.constantFrom(HOUR_MS, 25 * HOUR_MS, 73 * HOUR_MS, 31 * DAY_MS).map(wait),
  fc.constantFrom(HOUR_MS, 25 * HOUR_MS, 73 * HOUR_MS, 31 * DAY_MS).map(wait),
];
