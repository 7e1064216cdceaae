/** What a user holds, read out of the ledger in the words the rules use. */
import type { GmailFacts, GmailKeypair } from '../domain/gmail.ts';
import type { LeafRecord, UserKeyRecord, WishRecord } from '../domain/records.ts';
import type { Facts } from './facts.ts';

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
    (left, right) => right.requestedAt.getTime() - left.requestedAt.getTime(),
  )[0];
}

export const newestFirst = (leaves: readonly LeafRecord[]): readonly LeafRecord[] =>
  leaves.toSorted(
    (left, right) =>
      right.intendedAt.getTime() - left.intendedAt.getTime() || right.serialHex.localeCompare(left.serialHex),
  );

/** Gmail's pair that holds exactly this leaf, whoever made it. */
export function keypairHolding(facts: Facts, serialHex: string): GmailKeypair | undefined {
  const sha256 = facts.leafSha256BySerial.get(serialHex);
  if (facts.gmail.kind !== 'observed' || sha256 === undefined) return undefined;
  return facts.gmail.keypairs.find((keypair) => keypair.leafSha256Hex === sha256);
}

/** Gmail ids of the pairs that hold leaves of ours; every other pair is foreign and stays untouched. */
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
