/** Whether a covered user needs a certificate: their first one, one instead of another, or a renewal (`renewalTime` says when). */
import type { DirectoryUser } from '../../domain/directory-user.ts';
import type { PolicyRule } from '../../domain/policy.ts';
import type { KeyPurpose, LeafRecord, UserKeyRecord } from '../../domain/records.ts';
import type { LeafReference, Step } from '../../domain/step.ts';
import type { Facts } from '../facts.ts';
import {
  type Currents,
  gmailLeaves,
  isKeyCompromised,
  keyOf,
  newestFirst,
  openWish,
  purposesOf,
  wantedAddresses,
  wantedSubject,
} from '../holdings.ts';
import { INTENT_LIFETIME_MS, renewalTime } from '../timing.ts';
import { unsuitability } from './suitability.ts';

/** The leaves a covered user should be using once these steps are done. */
export interface Issuance {
  readonly steps: readonly Step[];
  readonly currents: Currents;
}

/** For each purpose of the rule: the leaf to use, or the steps to one. */
export function issuance(facts: Facts, user: DirectoryUser, rule: PolicyRule): Issuance {
  const found = purposesOf(rule).map((purpose) => ({
    purpose,
    ...issuanceFor(facts, user, rule, purpose),
  }));
  return {
    steps: found.flatMap(({ steps }) => steps),
    currents: new Map(found.map(({ purpose, current }) => [purpose, current])),
  };
}

/** Finds the leaf to use, or says how to get one: finish what was begun, use a key that has no leaf yet, make a key. */
function issuanceFor(
  facts: Facts,
  user: DirectoryUser,
  rule: PolicyRule,
  purpose: KeyPurpose,
): { readonly steps: readonly Step[]; readonly current: LeafReference } {
  const leaves = newestFirst(gmailLeaves(facts)).filter((leaf) => leaf.purpose === purpose);
  const candidates = leaves.filter((leaf) => unsuitability(facts, user, rule, leaf) === undefined);
  const fresh = candidates.find((leaf) => renewalTime(leaf, rule).getTime() > facts.now.getTime());
  if (fresh?.state === 'signed') return { steps: [], current: { serialHex: fresh.serialHex } };
  if (fresh !== undefined) {
    const reason = 'An issuance stopped between its intent and its certificate; it is finished.';
    return {
      steps: [{ kind: 'sign-leaf', chain: 'certificate', serialHex: fresh.serialHex, reason }],
      current: { serialHex: fresh.serialHex },
    };
  }
  const reason = whyIssue(facts, user, rule, leaves, candidates);
  const key =
    keptKey(facts, rule, candidates) ?? keptCardKey(facts, rule, leaves) ?? unusedKey(facts, rule, purpose);
  return {
    steps: [
      ...(key === undefined ? [newKey(facts, rule, purpose, reason)] : []),
      {
        kind: 'issue-leaf',
        chain: 'certificate',
        purpose,
        key: key === undefined ? { made: purpose } : { keyId: key.keyId },
        addresses: wantedAddresses(facts, user, rule),
        validityDays: rule.validityDays,
        ...wantedSubject(user, rule),
        reason,
      },
    ],
    current: { made: purpose },
  };
}

function newKey(facts: Facts, rule: PolicyRule, purpose: KeyPurpose, reason: string): Step {
  const wish = openWish(facts);
  const step = {
    chain: 'certificate',
    purpose,
    ...(wish === undefined ? {} : { wishId: wish.wishId }),
    reason,
  } as const;
  const { keyServiceUrl, modulusBits } = rule;
  if (keyServiceUrl === undefined) return { ...step, kind: 'take-card-key' };
  const supplied = rule.keySource === 'supplied' ? ({ supplied: true } as const) : {};
  return { ...step, kind: 'make-key', modulusBits, keyServiceUrl, ...supplied };
}

/** Where policy renews with the same key: that of the leaf that is due, as long as the rule still asks for such a key. */
function keptKey(
  facts: Facts,
  rule: PolicyRule,
  candidates: readonly LeafRecord[],
): UserKeyRecord | undefined {
  const [due] = candidates;
  if (rule.renewKey !== 'same' || due === undefined) return undefined;
  const key = keyOf(facts, due);
  return key !== undefined && hasWantedSize(key, rule) ? key : undefined;
}

/** The size that a rule names is that of keys made here; others come as they are. */
const hasWantedSize = ({ modulusBits }: UserKeyRecord, rule: PolicyRule): boolean =>
  (rule.keySource ?? 'made') !== 'made' || modulusBits === rule.modulusBits;

/**
 * A new certificate over the card's key, where only the certificate has to change (a rename, an alias, a retired issuer):
 * asking for a new key would mean a visit to every card. A re-key gets none, nor does a renewal unless the rule keeps keys.
 */
function keptCardKey(
  facts: Facts,
  rule: PolicyRule,
  [newest]: readonly LeafRecord[],
): UserKeyRecord | undefined {
  if (rule.keySource !== 'smart-card' || newest === undefined || newest.retirement !== undefined)
    return undefined;
  const key = keyOf(facts, newest);
  const wish = openWish(facts);
  if (key?.card === undefined || isKeyCompromised(facts, key.keyId)) return undefined;
  if (wish !== undefined && key.wishId !== wish.wishId) return undefined;
  const isDue = renewalTime(newest, rule).getTime() <= facts.now.getTime();
  return isDue && rule.renewKey === 'new' ? undefined : key;
}

/**
 * A wrapped key that no leaf was ever intended for: a crash came between wrapping and issuing. Only a fresh one, newer
 * than every leaf of its purpose: a key that lay about through a re-key would bring back what the re-key was to get rid
 * of.
 */
function unusedKey(facts: Facts, rule: PolicyRule, purpose: KeyPurpose): UserKeyRecord | undefined {
  const wish = openWish(facts);
  const { leaves } = facts.ledger;
  const used = new Set(leaves.map((leaf) => leaf.keyId));
  const ofPurpose = leaves.filter((leaf) => leaf.holder === 'key-service' && leaf.purpose === purpose);
  const newestLeafMs = Math.max(...ofPurpose.map((leaf) => leaf.intendedAt.getTime()), 0);
  const oldestMs = Math.max(newestLeafMs, facts.now.getTime() - INTENT_LIFETIME_MS);
  return facts.ledger.keys.find(
    (key) =>
      key.purpose === purpose &&
      !used.has(key.keyId) &&
      key.createdAt.getTime() >= oldestMs &&
      key.keyServiceUrl === rule.keyServiceUrl &&
      hasWantedSize(key, rule) &&
      key.wishId === wish?.wishId,
  );
}

function whyIssue(
  facts: Facts,
  user: DirectoryUser,
  rule: PolicyRule,
  leaves: readonly LeafRecord[],
  candidates: readonly LeafRecord[],
): string {
  const wish = openWish(facts);
  if (wish !== undefined) return `${wish.requestedBy} asked for a re-key (${wish.reason}).`;
  const [due] = candidates;
  if (due !== undefined) {
    return facts.issuerStates.get(due.issuerId) === 'retiring'
      ? `The certificate nears its end and is renewed under the new issuer; ${due.issuerId} is being retired.`
      : 'The certificate nears its end and is renewed.';
  }
  const [newest] = leaves;
  const objection = newest === undefined ? undefined : unsuitability(facts, user, rule, newest);
  if (objection !== undefined) return objection;
  if (gmailLeaves(facts).length > 0) {
    return rule.profile === 'split'
      ? `Rule "${rule.name}" now splits signing from encryption.`
      : `Rule "${rule.name}" now has one key for signing and encryption.`;
  }
  return `Rule "${rule.name}" covers ${user.orgUnitPath} and the user has no certificate in use.`;
}
