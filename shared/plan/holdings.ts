/** What a user holds, read out of the ledger in the words the rules use. */
import type { DirectoryUser } from '../domain/directory-user.ts';
import type { GmailFacts, GmailKeypair } from '../domain/gmail.ts';
import type { PolicyRule } from '../domain/policy.ts';
import type { KeyPurpose, LeafRecord, UserKeyRecord, WishRecord } from '../domain/records.ts';
import type { LeafReference } from '../domain/step.ts';
import type { LeafSubject } from '../domain/subject-template.ts';
import type { Facts } from './facts.ts';

/** The leaf to use for each purpose that the rule asks for, once the steps of a plan are done. */
export type Currents = ReadonlyMap<KeyPurpose, LeafReference>;

/** What a rule wants keys for: one for everything, or one to sign and one to be encrypted to. */
export const purposesOf = (rule: PolicyRule): readonly KeyPurpose[] =>
  rule.profile === 'split' ? ['signing', 'encryption'] : ['dual-use'];

/** As a certificate spells it. */
export const printed = (facts: Facts, address: string): string =>
  facts.printedAddresses.get(address) ?? address;

/** What a certificate issued now would name, primary first, as it would spell it. */
export const wantedAddresses = (facts: Facts, user: DirectoryUser, rule: PolicyRule): readonly string[] =>
  (rule.aliases === 'no' ? [user.primaryEmail] : [user.primaryEmail, ...user.aliases]).map((address) =>
    printed(facts, address),
  );

/** Neither revoked nor expired; an intended leaf is live too, because its signature may exist. */
export function liveLeaves(facts: Facts): readonly LeafRecord[] {
  return facts.ledger.leaves.filter(
    (leaf) => leaf.revocation === undefined && leaf.notAfter.getTime() > facts.now.getTime(),
  );
}

/** Of the live ones those that Gmail may use; a device's leaf never is. */
export const gmailLeaves = (facts: Facts): readonly LeafRecord[] =>
  liveLeaves(facts).filter((leaf) => leaf.holder === 'key-service');

/** Whether some leaf over the same key was revoked for compromise: the key is given away, under whatever serial. */
export const isKeyCompromised = (facts: Facts, keyId: string): boolean =>
  facts.ledger.leaves.some((leaf) => leaf.keyId === keyId && leaf.revocation?.reason === 'keyCompromise');

export function keyOf(facts: Facts, leaf: LeafRecord): UserKeyRecord | undefined {
  return facts.ledger.keys.find((key) => key.keyId === leaf.keyId);
}

/** The newest open wish: it stands for all earlier ones, since one new key answers them together. */
export function openWish(facts: Facts): WishRecord | undefined {
  return facts.ledger.openWishes.toSorted(
    (left, right) =>
      right.requestedAt.getTime() - left.requestedAt.getTime() || right.wishId.localeCompare(left.wishId),
  )[0];
}

export const newestFirst = (leaves: readonly LeafRecord[]): readonly LeafRecord[] =>
  leaves.toSorted(
    (left, right) =>
      right.intendedAt.getTime() - left.intendedAt.getTime() || right.serialHex.localeCompare(left.serialHex),
  );

/** The leaf that a reference stands for; undefined for one that is still to be made. */
export function leafOf(facts: Facts, reference: LeafReference | undefined): LeafRecord | undefined {
  if (reference === undefined || 'made' in reference) return undefined;
  return facts.ledger.leaves.find((leaf) => leaf.serialHex === reference.serialHex);
}

/** Gmail's pair that holds exactly this leaf, whoever made it. */
export function keypairHolding(facts: Facts, serialHex: string): GmailKeypair | undefined {
  const sha256 = facts.leafSha256BySerial.get(serialHex);
  if (facts.gmail.kind !== 'observed' || sha256 === undefined) return undefined;
  return facts.gmail.keypairs.find((keypair) => keypair.leafSha256Hex === sha256);
}

export interface OwnKeypair {
  /** Or the import id of an imported certificate. */
  readonly serialHex: string;
  readonly keypair: GmailKeypair;
}

/** Gmail's pairs that hold leaves of ours or imported certificates, in that order; every other pair is foreign. */
export function ownKeypairs(facts: Facts): readonly OwnKeypair[] {
  const { gmail } = facts;
  if (gmail.kind !== 'observed') return [];
  // One leaf may have two: the second was made when its key moved to another key service.
  const imported = (facts.ledger.imported ?? []).map(({ importId }) => importId);
  return [...facts.ledger.leaves.map(({ serialHex }) => serialHex), ...imported].flatMap((serialHex) => {
    const sha256 = facts.leafSha256BySerial.get(serialHex);
    return gmail.keypairs
      .filter((keypair) => sha256 !== undefined && keypair.leafSha256Hex === sha256)
      .map((keypair) => ({ serialHex, keypair }));
  });
}

/** Gmail ids of the pairs that hold leaves of ours or imported certificates; every other pair is foreign and stays untouched. */
export function ourKeypairIds(
  facts: Facts,
  gmail: Extract<GmailFacts, { kind: 'observed' }>,
): ReadonlySet<string> {
  const ours = new Set(facts.leafSha256BySerial.values());
  return new Set(
    gmail.keypairs
      .filter((keypair) => keypair.leafSha256Hex !== undefined && ours.has(keypair.leafSha256Hex))
      .map((keypair) => keypair.keypairId),
  );
}

/** The same facts without these leaves and their keys, as if they were revoked already. */
export function withoutLeaves(facts: Facts, serials: ReadonlySet<string>): Facts {
  if (serials.size === 0) return facts;
  const leaves = facts.ledger.leaves.filter((leaf) => !serials.has(leaf.serialHex));
  // The keys go too: a compromised key must not be mistaken for one that has no leaf yet.
  const dropped = new Set(
    facts.ledger.leaves.filter((leaf) => serials.has(leaf.serialHex)).map((leaf) => leaf.keyId),
  );
  const keys = facts.ledger.keys.filter((key) => !dropped.has(key.keyId));
  return { ...facts, ledger: { ...facts.ledger, leaves, keys } };
}

/** What the rule has certificates say of this person: nothing beside the address where it says nothing. */
export function wantedSubject(user: DirectoryUser, rule: PolicyRule): { readonly subject?: LeafSubject } {
  if (rule.subject === undefined) return {};
  const { givenName, familyName } = user;
  return {
    subject: {
      template: rule.subject,
      ...(givenName === undefined ? {} : { givenName }),
      ...(familyName === undefined ? {} : { familyName }),
    },
  };
}
