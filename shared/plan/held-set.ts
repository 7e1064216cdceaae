import { createHash } from 'node:crypto';
import type { FullHeldSet, HeldDeparture } from '../domain/held.ts';

/** Who waits in a set: the open departures. */
export const waiting = ({ departures }: Pick<FullHeldSet, 'departures'>): readonly HeldDeparture[] =>
  departures.filter(({ state }) => state === 'held');

/**
 * What an admin approves: the set's number, a hyphen, and the SHA-256 in lower-case hex of its scope and of everybody who
 * waits in it with what would be done to them. Anybody who joins, leaves or would be treated otherwise changes it.
 */
export function heldSetDigest(set: FullHeldSet): string {
  const shown = {
    set: String(set.setId),
    scope: set.scope,
    departures: waiting(set)
      .map(({ userId, primaryEmail, steps }) => ({ userId, primaryEmail, steps: steps.map(canonical) }))
      .toSorted((left, right) => (left.userId < right.userId ? -1 : 1)),
  };
  return `${set.setId}-${createHash('sha256').update(JSON.stringify(shown)).digest('hex')}`;
}

const canonical = ({ kind, target, revocationReason }: HeldDeparture['steps'][number]) => [
  kind,
  target,
  revocationReason ?? null,
];

const DIGEST = /^([1-9]\d{0,17})-[0-9a-f]{64}$/;

/** The number of the set a digest belongs to; undefined for what is no digest. */
export function setIdOfDigest(digest: string): bigint | undefined {
  const number = DIGEST.exec(digest)?.[1];
  return number === undefined ? undefined : BigInt(number);
}
