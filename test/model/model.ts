/**
 * What Sealwright should come to, told far more simply than it is done: people, their certificates in order of birth, which of
 * them are revoked and why, and whom each issuer's CRL lists. No ledger, no steps, no crashes, and of Gmail only what leaving
 * took away there. A certificate's serial, and with it when it is renewed, is drawn, so the model is told both once the
 * certificate is there; it is told when CRLs were made, too.
 */
import type { DepartureTerms, PolicyRule } from '../../shared/domain/policy.ts';
import type { KeyPurpose } from '../../shared/domain/records.ts';
import type { RevocationReason } from '../../shared/domain/revocation-reason.ts';

export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

/** `none`: never covered, no trace. */
export type PersonState = 'none' | 'active' | 'leaving' | 'out';

/** The group's rule comes before the unit's. */
export type RuleName = 'vip' | 'staff';
export type Rules = Readonly<Record<RuleName, PolicyRule>>;

export interface ModelLeaf {
  readonly purpose: KeyPurpose;
  /** Which of the user's keys it is over, in the order in which they were made. */
  readonly keyNumber: number;
  /** The primary one first. */
  readonly addresses: readonly string[];
  readonly service: string | undefined;
  readonly validityDays: number;
  /** The issuer that was active when it was issued. */
  readonly isUnderNext: boolean;
  /** Whether its key was made because somebody asked for a re-key. */
  readonly answersWish: boolean;
  /** It was issued after this. */
  readonly afterMs: number;
  dueMs?: number;
  revoked?: RevocationReason;
  /** Told, not predicted. */
  serial?: string;
  renewMs?: number;
  endMs?: number;
}

export interface Person {
  readonly userId: string;
  state: PersonState;
  presence: 'absent' | 'present' | 'deleted';
  unit: string;
  inGroup: boolean;
  /** Of the primary address, and of the others. */
  name: string;
  aliases: readonly string[];
  suspended: boolean;
  archived: boolean;
  encryption: boolean;
  /** The rule that covered them last. */
  rule?: RuleName;
  leftMs?: number | undefined;
  suspendedMs?: number | undefined;
  deletedMs?: number;
  wish: boolean;
  /** What leaving took from them in Gmail. */
  taken: { identity: boolean; pairs: boolean };
  /** Whether somebody changed that in Gmail by hand. */
  handled: { identity: boolean; pairs: boolean };
  /** When they came to be out. */
  outMs: number;
  /** When they were last brought to what should hold. */
  settledMs: number;
  readonly leaves: ModelLeaf[];
  /** Of those the ones that the identity uses. */
  inUse: readonly ModelLeaf[];
}

export interface Model {
  readonly startMs: number;
  nowMs: number;
  rules: Rules;
  /** The unit that the rule `staff` covers. */
  scope: string;
  hasRolled: boolean;
  /** Commands carried out so far, and how many may be. */
  done: number;
  readonly longest: number;
  readonly people: ReadonlyMap<string, Person>;
}

export const newModel = (
  userIds: readonly string[],
  nowMs: number,
  rules: Rules,
  longest = Number.POSITIVE_INFINITY,
): Model => ({
  startMs: nowMs,
  ...{ nowMs, longest },
  rules,
  scope: '/Staff',
  hasRolled: false,
  done: 0,
  people: new Map(
    userIds.map((userId) => [
      userId,
      {
        userId,
        state: 'none',
        presence: 'absent',
        unit: '/Staff',
        inGroup: false,
        name: 'a',
        aliases: [],
        suspended: false,
        archived: false,
        encryption: true,
        wish: false,
        taken: { identity: false, pairs: false },
        handled: { identity: false, pairs: false },
        outMs: 0,
        settledMs: nowMs,
        leaves: [],
        inUse: [],
      },
    ]),
  ),
});

export const personOf = (model: Model, userId: string): Person => {
  const person = model.people.get(userId);
  if (person === undefined) throw new Error(`The model knows nobody called ${userId}.`);
  return person;
};

/** An address that goes from one to another; all others are somebody's own. */
export const SHARED = 'office';

export const addressOf = (userId: string, name: string): string =>
  name === SHARED ? 'office@acme.example' : `${name}-${userId}@acme.example`;

/** The deleted keep theirs. */
export const hasShared = ({ presence, name, aliases }: Person): boolean =>
  presence !== 'absent' && [name, ...aliases].includes(SHARED);

const hasEnded = ({ endMs }: ModelLeaf, atMs: number): boolean => endMs !== undefined && endMs <= atMs;

/** What has ended by itself needs no revocation. */
function revoke(leaf: ModelLeaf, atMs: number, reason: RevocationReason): void {
  if (leaf.revoked === undefined && !hasEnded(leaf, atMs)) leaf.revoked = reason;
}

/** Somebody reports the key as compromised: whatever is live is revoked, whoever they are now, and a new key is wished. */
export function compromise(person: Person, nowMs: number): void {
  for (const leaf of person.leaves) revoke(leaf, nowMs, 'keyCompromise');
  person.wish = true;
}

/** The rule that covers whoever is neither archived nor suspended. */
const ruleFor = (model: Model, { inGroup, unit }: Person): RuleName | undefined => {
  if (inGroup) return 'vip';
  return `${unit}/`.startsWith(`${model.scope}/`) ? 'staff' : undefined;
};

/** Brings everybody to what should hold now. */
export function settle(model: Model): void {
  for (const person of model.people.values()) {
    revokeDue(model, person);
    giveUp(model, person);
    bring(model, person);
    revokeDue(model, person);
    person.settledMs = model.nowMs;
  }
}

/** Nobody has a certificate for an address that somebody else has, whatever else is to become of it. */
function giveUp(model: Model, person: Person): void {
  const holder = [...model.people.values()].find(hasShared);
  if (holder === undefined || holder === person) return;
  for (const leaf of person.leaves) {
    if (!leaf.addresses.includes(addressOf(person.userId, SHARED))) continue;
    revoke(leaf, model.nowMs, leaf.dueMs === undefined ? 'affiliationChanged' : 'superseded');
  }
}

function revokeDue(model: Model, person: Person): void {
  for (const leaf of person.leaves)
    if (leaf.dueMs !== undefined && leaf.dueMs <= model.nowMs) revoke(leaf, leaf.dueMs, 'superseded');
}

function bring(model: Model, person: Person): void {
  if (person.presence === 'absent') return;
  const covering = ruleFor(model, person);
  if (person.presence === 'deleted') {
    if (person.rule === undefined) return;
    // Whoever comes back and is outside begins a grace period of their own.
    person.leftMs = undefined;
    const { deleteMs } = model.rules[person.rule].grace;
    leave(model, person, 'cessationOfOperation', person.deletedMs ?? 0, deleteMs);
    return;
  }
  const isOutside = covering === undefined || person.archived;
  if (!isOutside && !person.suspended) person.rule = covering;
  if (person.rule === undefined) return;
  person.leftMs = isOutside ? (person.leftMs ?? model.nowMs) : undefined;
  person.suspendedMs = person.suspended ? (person.suspendedMs ?? model.nowMs) : undefined;
  const rule = model.rules[covering ?? person.rule];
  const { grace, onArchive, onLeave, onSuspend } = rule;
  if (person.leftMs !== undefined) {
    const [graceMs, terms] = person.archived ? [grace.archiveMs, onArchive] : [grace.leaveMs, onLeave];
    leave(model, person, 'affiliationChanged', person.leftMs, graceMs, terms);
  } else if (person.suspendedMs !== undefined) {
    leave(model, person, 'privilegeWithdrawn', person.suspendedMs, grace.suspendMs, onSuspend);
  } else {
    person.state = 'active';
    if (person.encryption) issue(model, person, rule);
  }
}

/** `terms`: what is done in Gmail; nothing, where the account is gone. */
function leave(
  model: Model,
  person: Person,
  reason: RevocationReason,
  beganMs: number,
  graceMs: number,
  terms: DepartureTerms = { identity: 'keep', keypair: 'keep' },
): void {
  const dueMs = beganMs + graceMs;
  if (person.leaves.length === 0) {
    person.wish = false;
    person.state = 'out';
    return;
  }
  if (model.nowMs < dueMs) {
    person.state = 'leaving';
    return;
  }
  // When it falls due, somebody looks; what a change of policy made overdue is done now.
  const atMs = dueMs > person.settledMs ? dueMs : model.nowMs;
  for (const leaf of person.leaves) revoke(leaf, atMs, leaf.dueMs === undefined ? reason : 'superseded');
  person.wish = false;
  const takes = terms.identity === 'delete' || terms.keypair === 'disable';
  // Once is enough, but whoever is out and then leaves in another way goes by the terms of that, too.
  if (person.state === 'out' && (beganMs <= person.outMs || !takes)) return;
  if (takes && (!person.encryption || person.suspended)) {
    person.state = 'leaving';
    return;
  }
  person.taken.identity ||= terms.identity === 'delete';
  person.taken.pairs ||= terms.keypair === 'disable';
  person.state = 'out';
  person.outMs = model.nowMs;
}

function issue(model: Model, person: Person, rule: PolicyRule): void {
  const { userId, name, aliases } = person;
  const wanted = [name, ...(rule.aliases === 'no' ? [] : aliases)].map((each) => addressOf(userId, each));
  const loses = ({ addresses }: ModelLeaf) => addresses.some((address) => !wanted.includes(address));
  const fits = (leaf: ModelLeaf) =>
    !person.wish &&
    leaf.revoked === undefined &&
    leaf.dueMs === undefined &&
    // Its renewal fell due since, or was not possible then and is now.
    !hasEnded(leaf, Math.min(model.nowMs, Math.max(leaf.renewMs ?? 0, person.settledMs))) &&
    leaf.addresses[0] === wanted[0] &&
    (rule.aliases !== 'at-once' || (!loses(leaf) && leaf.addresses.length === wanted.length)) &&
    leaf.service === rule.keyServiceUrl;
  const purposes: readonly KeyPurpose[] = rule.profile === 'split' ? ['signing', 'encryption'] : ['dual-use'];
  const inUse = purposes.map((purpose) => {
    const fitting = person.leaves.filter((leaf) => leaf.purpose === purpose && fits(leaf));
    const known = fitting.findLast(({ renewMs = Number.POSITIVE_INFINITY }) => renewMs > model.nowMs);
    if (known !== undefined) return known;
    const kept = rule.renewKey === 'same' ? fitting.at(-1) : undefined;
    const made: ModelLeaf = {
      ...{ purpose, addresses: wanted, service: rule.keyServiceUrl, validityDays: rule.validityDays },
      ...{ isUnderNext: model.hasRolled, afterMs: person.settledMs },
      answersWish: kept?.answersWish ?? person.wish,
      keyNumber: kept?.keyNumber ?? person.leaves.length,
    };
    person.leaves.push(made);
    return made;
  });
  person.inUse = inUse;
  person.wish = false;
  person.taken = { identity: false, pairs: false };
  const overlapMs = rule.grace.supersededMs;
  if (overlapMs === undefined) return;
  for (const leaf of person.leaves) {
    if (inUse.includes(leaf) || leaf.revoked || leaf.dueMs !== undefined || hasEnded(leaf, model.nowMs))
      continue;
    const current = inUse.find(({ purpose }) => purpose === leaf.purpose) ?? inUse[0];
    const isRekeyed = current?.answersWish === true && leaf.keyNumber < current.keyNumber;
    if (leaf.addresses[0] !== wanted[0] || isRekeyed || (rule.aliases === 'at-once' && loses(leaf)))
      leaf.dueMs = model.nowMs + overlapMs;
  }
}

/**
 * Whom an issuer's last CRL lists: everybody who is revoked, until one CRL made after their certificate's end has listed them
 * (RFC 5280 §3.3). `madeMs`: when this issuer's CRLs were made, the last one last.
 */
export function predictedCrl(model: Model, isNext: boolean, madeMs: readonly number[]): readonly string[] {
  const earlierMs = madeMs.at(-2) ?? Number.NEGATIVE_INFINITY;
  return [...model.people.values()]
    .flatMap(({ leaves }) => leaves)
    .filter(
      ({ isUnderNext, revoked, endMs }) =>
        isUnderNext === isNext && revoked !== undefined && (endMs ?? 0) >= earlierMs,
    )
    .map(({ serial }) => serial ?? 'not told')
    .sort();
}
