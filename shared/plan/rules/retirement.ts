import type { DirectoryUser } from '../../domain/directory-user.ts';
import type { PolicyRule } from '../../domain/policy.ts';
import type { LeafRecord, WishRecord } from '../../domain/records.ts';
import type { LeafReference, RevokeLeafStep, Step } from '../../domain/step.ts';
import type { Facts } from '../facts.ts';
import { gmailLeaves, isKeyCompromised, keyOf, liveLeaves, openWish } from '../holdings.ts';
import { INTENT_LIFETIME_MS, plus } from '../timing.ts';
import { revokeWithdrawn } from './devices.ts';

/** What needs neither directory nor Gmail to be right: reported compromises first, then overlaps that have ended. */
export function urgentRevocations(facts: Facts): readonly Step[] {
  const steps: Step[] = [];
  for (const rule of [revokeCompromised, revokeOverCompromisedKeys, revokeWithdrawn, revokeRetired]) {
    const serials = serialsRevokedBy(steps);
    steps.push(...rule(facts).filter((step) => step.kind === 'revoke-leaf' && !serials.has(step.serialHex)));
  }
  return steps;
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
function isKeyFromBefore(facts: Facts, leaf: LeafRecord, wish: WishRecord): boolean {
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
 * Decides when replaced leaves are revoked: after a re-key and a rename when the overlap ends, never where policy lets
 * them run out. A leaf replaced by
 * renewal or by another key service runs out by itself.
 */
export function retireReplaced(
  facts: Facts,
  user: DirectoryUser,
  rule: PolicyRule,
  current: LeafReference,
): readonly Step[] {
  const wish = openWish(facts);
  const currentLeaf =
    current === 'made' ? undefined : facts.ledger.leaves.find((leaf) => leaf.serialHex === current.serialHex);
  const rekeyed =
    wish !== undefined || (currentLeaf !== undefined && keyOf(facts, currentLeaf)?.wishId !== undefined);
  const overlapMs = rule.grace.supersededMs;
  return liveLeaves(facts)
    .filter((leaf) => leaf.serialHex !== currentLeaf?.serialHex && leaf.retirement === undefined)
    .flatMap((leaf): Step[] => {
      if (isAbandoned(facts, leaf)) return [revokeAbandoned(leaf)];
      if (overlapMs === undefined) return [];
      const renamed = leaf.addresses[0] !== user.primaryEmail;
      const replaced = leaf.holder === 'key-service' && rekeyed && isOlder(facts, leaf, currentLeaf);
      if (!renamed && !replaced) return [];
      return [
        {
          kind: 'retire-leaf',
          chain: 'certificate',
          serialHex: leaf.serialHex,
          revocationReason: renamed ? 'superseded' : (wish?.reason ?? 'superseded'),
          dueAt: plus(facts.now, overlapMs),
          reason: renamed ? `The primary address is now ${user.primaryEmail}.` : 'A re-key replaced it.',
        },
      ];
    });
}

function isOlder(facts: Facts, leaf: LeafRecord, currentLeaf: LeafRecord | undefined): boolean {
  const currentKey = currentLeaf === undefined ? undefined : keyOf(facts, currentLeaf);
  const key = keyOf(facts, leaf);
  return (
    currentKey === undefined || key === undefined || key.createdAt.getTime() < currentKey.createdAt.getTime()
  );
}

function isAbandoned(facts: Facts, leaf: LeafRecord): boolean {
  return leaf.state === 'intended' && facts.now.getTime() - leaf.intendedAt.getTime() > INTENT_LIFETIME_MS;
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
