/** What everybody should have come to once faults have stopped: judged from the directory alone, far more simply than planned. */
import type { DepartureStep, HeldDeparture } from '../../shared/domain/held.ts';
import type { Policy, PolicyRule } from '../../shared/domain/policy.ts';
import type { AuditEntry } from '../../shared/ports/ledger.ts';
import { pairsOfUse } from '../support/fakes/gmail.ts';
import { isObserved, USERS } from './company.ts';
import { assertGmailAgrees, type Sight, Violated } from './invariants.ts';

export interface Ending {
  readonly sight: Sight;
  readonly policy: Policy;
  readonly nowMs: number;
  /** Client-side encryption is switched off for them. */
  readonly switchedOff: ReadonlySet<string>;
}

/** Group rules first, then units, as the policies of the simulation have them. */
export function ruleOf({ policy, sight }: Ending, userId: string): PolicyRule | undefined {
  const user = sight.directory.living(userId);
  if (user === undefined || user.archived) return undefined;
  return policy.rules.find(({ scope }) =>
    scope.kind === 'group'
      ? sight.directory.members.get(scope.groupId ?? '')?.has(userId) === true
      : `${user.orgUnitPath}/`.startsWith(`${scope.path}/`),
  );
}

/** Throws `Violated` unless this person is where they should be. Under a rule that only observes anywhere is right. */
export function assertArrived(ending: Ending, userId: string): void {
  const { sight, switchedOff } = ending;
  if (isObserved(ending.policy)) return;
  const user = sight.directory.living(userId);
  const rule = ruleOf(ending, userId);
  const isCovered = user !== undefined && rule !== undefined && !user.suspended;
  const mailboxAnswers = user !== undefined && !user.suspended && !switchedOff.has(userId);
  if (isCovered) {
    if (mailboxAnswers) assertServed(ending, userId, rule);
    return;
  }
  assertGone(ending, userId, mailboxAnswers);
  if (mailboxAnswers) assertNoIdentity(ending, userId);
}

function assertServed({ sight, nowMs }: Ending, userId: string, rule: PolicyRule): void {
  const rows = sight.rows();
  const row = rows.users.get(userId);
  if (waitsForSomebodyKept(sight, userId)) return;
  const { primaryEmail: address = '', aliases = [] } = sight.directory.living(userId) ?? {};
  if (row?.state !== 'ready') throw new Violated(`${userId} is ${row?.state} and not ready: ${row?.reason}`);
  const use = sight.gmail.account(userId).identities.get(address);
  if (use === undefined) throw new Violated(`${userId} has no identity ${address}.`);
  if (use.kind !== (rule.profile === 'split' ? 'split' : 'dual'))
    throw new Violated(
      `${userId} has an identity of ${use.kind} keys under a rule of profile ${rule.profile}.`,
    );
  assertGmailAgrees(sight, userId, nowMs);
  const openWish = [...rows.wishes.values()].find((wish) => wish.userId === userId && wish.state === 'open');
  if (openWish !== undefined) throw new Violated(`${userId} is ready and a re-key is still open.`);
  const inUse = [...rows.leaves.values()].some(
    (leaf) =>
      leaf.userId === userId &&
      namesAll(leaf.addresses, [address, ...(rule.aliases === 'at-once' ? aliases : [])]) &&
      leaf.state === 'signed' &&
      !rows.revocations.has(leaf.serialHex) &&
      rows.keys.get(leaf.keyId)?.keyServiceUrl === rule.keyServiceUrl,
  );
  if (!inUse) throw new Violated(`${userId} has no certificate for ${address} under ${rule.keyServiceUrl}.`);
}

const namesAll = (named: readonly string[], wanted: readonly string[]): boolean =>
  named[0] === wanted[0] && wanted.every((address) => named.includes(address));

/** By an admin's word, or until there is one. */
const isKept = ({ rows }: Sight, userId: string): boolean =>
  rows().departures.some(
    (one) => one.userId === userId && one.isStanding && (one.state === 'held' || one.state === 'dismissed'),
  );

/**
 * Whoever has an address now that a kept certificate of somebody else still names gets none for it, and says so; or an admin dismissed that
 * their own, for the address before, be revoked, which nothing could replace.
 */
function waitsForSomebodyKept(sight: Sight, userId: string): boolean {
  const { users, leaves, revocations } = sight.rows();
  const row = users.get(userId);
  const address = sight.directory.living(userId)?.primaryEmail ?? '';
  const isNamed = [...leaves.values()].some(
    (leaf) =>
      leaf.userId !== userId &&
      leaf.addresses.includes(address) &&
      !revocations.has(leaf.serialHex) &&
      isKept(sight, leaf.userId),
  );
  if (!isNamed) return false;
  if (row?.state === 'leaving') return isKept(sight, userId);
  return row?.nextAction === 'wait-for-address' && ['pending', 'blocked'].includes(row.state);
}

function assertGone({ sight, nowMs }: Ending, userId: string, mailboxAnswers: boolean): void {
  const rows = sight.rows();
  const row = rows.users.get(userId);
  if (row === undefined) return;
  if (isKept(sight, userId)) {
    if (row.state !== 'leaving')
      throw new Violated(`${userId} is kept by an admin's word and is ${row.state}: ${row.reason}`);
    return;
  }
  const ends = mailboxAnswers || sight.directory.living(userId) === undefined ? ['out'] : ['out', 'leaving'];
  if (!ends.includes(row.state)) throw new Violated(`${userId} is ${row.state} and not out: ${row.reason}`);
  for (const leaf of rows.leaves.values()) {
    if (leaf.userId === userId && leaf.notAfter.getTime() > nowMs && !rows.revocations.has(leaf.serialHex))
      throw new Violated(`${userId} is gone and ${leaf.serialHex} is not revoked.`);
  }
}

/** Whoever left with a foreign pair in use keeps it: what we did not make is not ours to delete. */
function assertNoIdentity({ sight, policy }: Ending, userId: string): void {
  const keepsArchived = policy.rules.some(({ onArchive }) => onArchive.identity === 'keep');
  if (isKept(sight, userId) || (keepsArchived && sight.directory.living(userId)?.archived === true)) return;
  const rows = sight.rows();
  const ours = new Set([...rows.keypairs.values()].map(({ keypairId }) => keypairId));
  for (const [address, use] of sight.gmail.account(userId).identities)
    if (pairsOfUse(use).some((keypairId) => ours.has(keypairId)))
      throw new Violated(`${userId} is gone and the identity ${address} is still there.`);
}

/** Of a departure that an admin dismissed: what of it was there to be taken. */
export interface Dismissal {
  readonly userId: string;
  readonly there: readonly DepartureStep[];
}

const isThere = ({ rows, gmail }: Sight, userId: string, { kind, target }: DepartureStep): boolean => {
  const { identities, pairs } = gmail.account(userId);
  switch (kind) {
    case 'revoke-leaf':
      return !rows().revocations.has(target);
    case 'delete-identity':
      return identities.has(target);
    case 'disable-keypair':
      return pairs.some(({ keypairId, enabled }) => keypairId === target && enabled);
    default:
      return kind satisfies never;
  }
};

export const dismissalOf = (sight: Sight, { userId, steps }: HeldDeparture): Dismissal => ({
  userId,
  there: steps.filter((step) => isThere(sight, userId, step)),
});

/** The trail from the end of a departure that the facts no longer asked for, if what it would have taken was taken after that. */
function afterItsEnd(
  sight: Sight,
  userId: string,
  { kind, target }: DepartureStep,
  isDeparture: boolean,
): { readonly before: readonly AuditEntry[]; readonly whole: readonly AuditEntry[] } | undefined {
  const trail = sight.rows().audit.filter((entry) => entry.userId === userId);
  const taken = trail.findIndex(
    ({ step, outcome, details }) =>
      step === kind &&
      outcome === 'done' &&
      (details?.['serialHex'] ?? details?.['address']) === target &&
      details?.['departure'] === isDeparture,
  );
  const ended = trail
    .slice(0, Math.max(0, taken))
    .findIndex(({ step, outcome }) => step === 'guard' && outcome === 'ignored');
  return ended === -1 ? undefined : { before: trail.slice(ended, taken), whole: trail.slice(ended) };
}

/**
 * A look that found other facts than the guard was asked about: a rename that had happened and was not seen yet, or not carried out to
 * its end, by which certificate and identity are replaced and nobody departs. At once, or after the overlap with a successor that was
 * there before. What was issued before the departure succeeds too, once the trail says of the older one that it is being replaced.
 */
const isReplacedInstead = (sight: Sight, userId: string, step: DepartureStep): boolean => {
  const successor = step.kind === 'revoke-leaf' ? 'issue-leaf' : 'set-identity';
  const told = afterItsEnd(sight, userId, step, false)?.whole ?? [];
  return (
    step.kind !== 'disable-keypair' &&
    told.some(
      (entry) =>
        entry.step === successor ||
        (entry.step === 'retire-leaf' && entry.details?.['serialHex'] === step.target),
    )
  );
};

/** Somebody who had come back, and left once more in another way: that the guard was asked about too, and let it through. */
const isLeftAnew = (sight: Sight, userId: string, step: DepartureStep): boolean =>
  afterItsEnd(sight, userId, step, true)?.before.some(
    (entry) => entry.step === 'guard' && entry.outcome === 'intended',
  ) === true;

/** A key that an admin reported as compromised is revoked whatever else was decided, and that is no departure. */
const isCompromised = (sight: Sight, { kind, target }: DepartureStep): boolean =>
  kind === 'revoke-leaf' && sight.rows().revocations.get(target)?.reason === 'keyCompromise';

/** A certificate for an address that somebody else has gained is revoked for their sake, and that is no departure. */
const isForSomebodyElse = (sight: Sight, userId: string, { kind, target }: DepartureStep): boolean => {
  const { leaves, addresses, audit } = sight.rows();
  const named = leaves.get(target)?.addresses ?? [];
  return (
    kind === 'revoke-leaf' &&
    [...addresses.values()].some((seen) => seen.userId !== userId && named.includes(seen.address)) &&
    audit.some(
      ({ step, details }) =>
        step === kind && details?.['serialHex'] === target && details['departure'] === false,
    )
  );
};

/**
 * What an admin decided not to take is there still, unless it was replaced, names an address that somebody else has by now, its key was reported as compromised, or it went with another
 * departure.
 */
export function assertKept(sight: Sight, { userId, there }: Dismissal): void {
  const gone = there.find(
    (step) =>
      !isThere(sight, userId, step) &&
      !isReplacedInstead(sight, userId, step) &&
      !isLeftAnew(sight, userId, step) &&
      !isForSomebodyElse(sight, userId, step) &&
      !isCompromised(sight, step),
  );
  if (gone !== undefined)
    throw new Violated(`The departure of ${userId} was dismissed, and ${gone.kind} took ${gone.target}.`);
}

/** Everything that looks could give or take, in words. */
export const holdingsOf = ({ rows, gmail }: Sight): string => {
  const { keys, leaves, revocations } = rows();
  const accounts = USERS.map((userId) => {
    const { pairs, identities } = gmail.account(userId);
    return [userId, pairs.map(({ keypairId, enabled }) => [keypairId, enabled]), [...identities]];
  });
  // A compromise that was reported is revoked under whatever rule.
  const taken = [...revocations].flatMap(([serialHex, { reason }]) =>
    reason === 'keyCompromise' ? [] : serialHex,
  );
  return JSON.stringify([[...keys.keys()], [...leaves.keys()], taken, accounts]);
};

/** Under a policy that only observes nobody is given or loses anything. */
export function assertUntouched(sight: Sight, before: string): void {
  const now = holdingsOf(sight);
  if (now !== before) throw new Violated(`The policy only observes, and ${before} became ${now}.`);
}
