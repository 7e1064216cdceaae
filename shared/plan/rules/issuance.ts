import type { DirectoryUser } from '../../domain/directory-user.ts';
import type { PolicyRule } from '../../domain/policy.ts';
import type { LeafRecord, UserKeyRecord } from '../../domain/records.ts';
import type { LeafReference, Step } from '../../domain/step.ts';
import type { Facts } from '../facts.ts';
import { gmailLeaves, keyOf, newestFirst, openWish } from '../holdings.ts';
import { INTENT_LIFETIME_MS, renewalTime } from '../timing.ts';

/** The leaf a covered user should be using once these steps are done. */
export interface Issuance {
  readonly steps: readonly Step[];
  readonly current: LeafReference;
}

/** Finds the leaf to use, or says how to get one: finish what was begun, use a key that has no leaf yet, make a key. */
export function issuance(facts: Facts, user: DirectoryUser, rule: PolicyRule): Issuance {
  const candidates = newestFirst(gmailLeaves(facts)).filter((leaf) => isSuitable(facts, user, rule, leaf));
  const fresh = candidates.find((leaf) => renewalTime(leaf, rule).getTime() > facts.now.getTime());
  if (fresh?.state === 'signed') return { steps: [], current: { serialHex: fresh.serialHex } };
  if (fresh !== undefined) {
    const reason = 'An issuance stopped between its intent and its certificate; it is finished.';
    return {
      steps: [{ kind: 'sign-leaf', chain: 'certificate', serialHex: fresh.serialHex, reason }],
      current: { serialHex: fresh.serialHex },
    };
  }
  const reason = whyIssue(facts, user, rule, candidates);
  const key = unusedKey(facts, rule);
  const wish = openWish(facts);
  const makeKey: Step[] =
    key !== undefined
      ? []
      : [
          {
            kind: 'make-key',
            chain: 'certificate',
            modulusBits: rule.modulusBits,
            keyServiceUrl: rule.keyServiceUrl,
            ...(wish === undefined ? {} : { wishId: wish.wishId }),
            reason,
          },
        ];
  return {
    steps: [
      ...makeKey,
      {
        kind: 'issue-leaf',
        chain: 'certificate',
        key: key === undefined ? 'made' : { keyId: key.keyId },
        addresses: rule.aliases === 'no' ? [user.primaryEmail] : [user.primaryEmail, ...user.aliases],
        validityDays: rule.validityDays,
        reason,
      },
    ],
    current: 'made',
  };
}

/** Fit to be used, renewal aside: right address, right key service, newer than any re-key wish, not on its way out. */
function isSuitable(facts: Facts, user: DirectoryUser, rule: PolicyRule, leaf: LeafRecord): boolean {
  const key = keyOf(facts, leaf);
  const wish = openWish(facts);
  const abandoned =
    leaf.state === 'intended' && facts.now.getTime() - leaf.intendedAt.getTime() > INTENT_LIFETIME_MS;
  return (
    key !== undefined &&
    !abandoned &&
    leaf.retirement === undefined &&
    leaf.addresses[0] === user.primaryEmail &&
    key.keyServiceUrl === rule.keyServiceUrl &&
    (wish === undefined || key.wishId === wish.wishId)
  );
}

/**
 * A wrapped key that no leaf was ever intended for: a crash came between wrapping and issuing. Only a fresh one, newer
 * than every leaf: a key that lay about through a re-key would bring back what the re-key was to get rid of.
 */
function unusedKey(facts: Facts, rule: PolicyRule): UserKeyRecord | undefined {
  const wish = openWish(facts);
  const { leaves } = facts.ledger;
  const used = new Set(leaves.map((leaf) => leaf.keyId));
  const newestLeafMs = Math.max(
    ...leaves.filter((leaf) => leaf.holder === 'key-service').map((leaf) => leaf.intendedAt.getTime()),
    0,
  );
  const oldestMs = Math.max(newestLeafMs, facts.now.getTime() - INTENT_LIFETIME_MS);
  return facts.ledger.keys.find(
    (key) =>
      !used.has(key.keyId) &&
      key.createdAt.getTime() >= oldestMs &&
      key.keyServiceUrl === rule.keyServiceUrl &&
      key.modulusBits === rule.modulusBits &&
      key.wishId === wish?.wishId,
  );
}

function whyIssue(
  facts: Facts,
  user: DirectoryUser,
  rule: PolicyRule,
  candidates: readonly LeafRecord[],
): string {
  const wish = openWish(facts);
  if (wish !== undefined) return `${wish.requestedBy} asked for a re-key (${wish.reason}).`;
  if (candidates.length > 0) return 'The certificate nears its end and is renewed.';
  const live = gmailLeaves(facts);
  if (live.some((leaf) => leaf.addresses[0] !== user.primaryEmail))
    return `The primary address is now ${user.primaryEmail}.`;
  if (live.some((leaf) => keyOf(facts, leaf)?.keyServiceUrl !== rule.keyServiceUrl)) {
    return `Rule "${rule.name}" now uses the key service ${rule.keyServiceUrl}.`;
  }
  return `Rule "${rule.name}" covers ${user.orgUnitPath} and the user has no certificate in use.`;
}
