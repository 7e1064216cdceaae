import type { DirectoryUser } from '../../domain/directory-user.ts';
import type { PolicyRule } from '../../domain/policy.ts';
import type { LeafRecord, WishRecord } from '../../domain/records.ts';
import type { RevokeLeafStep, Step } from '../../domain/step.ts';
import type { Facts } from '../facts.ts';
import {
  type Currents,
  gmailLeaves,
  isKeyCompromised,
  keyOf,
  leafOf,
  liveLeaves,
  openWish,
  printed,
  wantedAddresses,
} from '../holdings.ts';
import { plus } from '../timing.ts';
import { revokeWithdrawn } from './devices.ts';
import { isAbandoned } from './suitability.ts';

/**
 * What needs neither the directory's nor Gmail's consent to be right: reported compromises first, then addresses that
 * somebody else has now, then overlaps that have ended. `replaced` says that the user gets another certificate in the
 * same plan, so that nothing is taken from them.
 */
export function urgentRevocations(facts: Facts, replaced: boolean): readonly Step[] {
  const bySerial = new Map<string, RevokeLeafStep>();
  for (const step of [
    ...revokeCompromised(facts),
    ...revokeOverCompromisedKeys(facts),
    ...revokeReassigned(facts, replaced),
    ...revokeWithdrawn(facts),
    ...revokeRetired(facts),
  ]) {
    if (!bySerial.has(step.serialHex)) bySerial.set(step.serialHex, step);
  }
  return [...bySerial.values()];
}

export const serialsRevokedBy = (steps: readonly Step[]): ReadonlySet<string> =>
  new Set(steps.flatMap((step) => (step.kind === 'revoke-leaf' ? [step.serialHex] : [])));

/** After `keyCompromise` the old leaves go first and at once; nothing new is issued before. */
function revokeCompromised(facts: Facts): readonly RevokeLeafStep[] {
  const wish = facts.ledger.openWishes.find((open) => open.reason === 'keyCompromise');
  if (wish === undefined) return [];
  // About the key Gmail uses; a device's leaf is revoked by its own serial.
  return gmailLeaves(facts)
    .filter((leaf) => isKeyFromBefore(facts, leaf, wish))
    .map((leaf) => ({
      kind: 'revoke-leaf',
      chain: 'certificate',
      serialHex: leaf.serialHex,
      revocationReason: 'keyCompromise',
      ...(wish.invalidityDate === undefined ? {} : { invalidityDate: wish.invalidityDate }),
      departure: false,
      reason: `${wish.requestedBy} reported the key as compromised.`,
    }));
}

/** By the key's age, not the leaf's: a look that was under way may certify an old key after the report. */
export function isKeyFromBefore(facts: Facts, leaf: LeafRecord, wish: WishRecord): boolean {
  const key = keyOf(facts, leaf);
  return (
    key === undefined || (key.wishId !== wish.wishId && key.createdAt.getTime() <= wish.requestedAt.getTime())
  );
}

/** Another leaf over a key that was reported as compromised, however it came about. */
const revokeOverCompromisedKeys = (facts: Facts): readonly RevokeLeafStep[] =>
  liveLeaves(facts)
    .filter((leaf) => isKeyCompromised(facts, leaf.keyId))
    .map((leaf) => ({
      kind: 'revoke-leaf',
      chain: 'certificate',
      serialHex: leaf.serialHex,
      revocationReason: 'keyCompromise',
      departure: false,
      reason: 'Another certificate over the same key was revoked for compromise.',
    }));

/**
 * A leaf that names an address which somebody else has now goes at once, whatever grace period runs: mail to the new
 * holder must not be encrypted to the old one. RFC 5280's affiliationChanged is for names that are no longer right.
 */
function revokeReassigned(facts: Facts, replaced: boolean): readonly RevokeLeafStep[] {
  return liveLeaves(facts).flatMap((leaf): RevokeLeafStep[] => {
    const claim = facts.lostAddresses.find(({ address }) => leaf.addresses.includes(address));
    if (claim === undefined) return [];
    return [
      {
        kind: 'revoke-leaf',
        chain: 'certificate',
        serialHex: leaf.serialHex,
        revocationReason: leaf.retirement?.reason ?? 'affiliationChanged',
        departure: !replaced && leaf.retirement === undefined,
        nextHolderId: claim.userId,
        reason: `The address ${claim.address} now belongs to the user ${claim.userId}.`,
      },
    ];
  });
}

/** Revokes what was decided earlier and whose time has come. */
function revokeRetired(facts: Facts): readonly RevokeLeafStep[] {
  return liveLeaves(facts).flatMap((leaf): RevokeLeafStep[] => {
    const { retirement } = leaf;
    if (retirement === undefined || retirement.dueAt.getTime() > facts.now.getTime()) return [];
    return [
      {
        kind: 'revoke-leaf',
        chain: 'certificate',
        serialHex: leaf.serialHex,
        revocationReason: retirement.reason,
        departure: false,
        reason: 'The overlap after its replacement has ended.',
      },
    ];
  });
}

/**
 * Decides when replaced leaves are revoked: after a re-key, a rename and the loss of an alias when the overlap ends,
 * never where policy lets them run out. A leaf replaced by renewal, by another key service, issuer or profile runs out
 * by itself.
 */
export function retireReplaced(
  facts: Facts,
  user: DirectoryUser,
  rule: PolicyRule,
  currents: Currents,
): readonly Step[] {
  const inUse = new Set([...currents.values()].map((current) => leafOf(facts, current)?.serialHex));
  const overlapMs = rule.grace.supersededMs;
  return liveLeaves(facts)
    .filter((leaf) => !inUse.has(leaf.serialHex) && leaf.retirement === undefined)
    .flatMap((leaf): Step[] => {
      if (isAbandoned(facts, leaf)) return [revokeAbandoned(leaf)];
      if (overlapMs === undefined) return [];
      const why = whyRetire(facts, user, rule, currents, leaf);
      if (why === undefined) return [];
      return [
        {
          kind: 'retire-leaf',
          chain: 'certificate',
          serialHex: leaf.serialHex,
          revocationReason: why.revocationReason,
          dueAt: plus(facts.now, overlapMs),
          reason: why.reason,
        },
      ];
    });
}

function whyRetire(
  facts: Facts,
  user: DirectoryUser,
  rule: PolicyRule,
  currents: Currents,
  leaf: LeafRecord,
) {
  if (leaf.addresses[0] !== printed(facts, user.primaryEmail)) {
    const reason = `The primary address is now ${user.primaryEmail}.`;
    return { revocationReason: 'superseded', reason } as const;
  }
  if (leaf.holder === 'key-service' && isRekeyed(facts, currents, leaf)) {
    const revocationReason = openWish(facts)?.reason ?? 'superseded';
    return { revocationReason, reason: 'A re-key replaced it.' };
  }
  const wanted = wantedAddresses(facts, user, rule);
  const lost = leaf.addresses.filter((address) => !wanted.includes(address));
  if (rule.aliases !== 'at-once' || lost.length === 0) return undefined;
  return { revocationReason: 'superseded', reason: `The alias ${lost.join(', ')} is gone.` } as const;
}

/** A re-key is asked for or was answered, and this leaf's key is older than the one that answers it. */
function isRekeyed(facts: Facts, currents: Currents, leaf: LeafRecord): boolean {
  // A leaf whose purpose the rule does not ask for any more is replaced by all that are in use.
  const current = currents.get(leaf.purpose) ?? [...currents.values()][0];
  const currentLeaf = leafOf(facts, current);
  const currentKey = currentLeaf === undefined ? undefined : keyOf(facts, currentLeaf);
  if (openWish(facts) === undefined && currentKey?.wishId === undefined) return false;
  const key = keyOf(facts, leaf);
  return (
    currentKey === undefined || key === undefined || key.createdAt.getTime() < currentKey.createdAt.getTime()
  );
}

/** Its signature may exist even though nobody recorded it, so its serial is listed as revoked. */
function revokeAbandoned(leaf: LeafRecord): Step {
  return {
    kind: 'revoke-leaf',
    chain: 'certificate',
    serialHex: leaf.serialHex,
    revocationReason: 'superseded',
    departure: false,
    reason: 'An issuance was begun and never finished; whether it was signed is not known.',
  };
}
