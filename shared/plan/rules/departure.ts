import type { WishRecord } from '../../domain/records.ts';
import type { RevocationReason } from '../../domain/revocation-reason.ts';
import type { Step } from '../../domain/step.ts';
import type { Facts } from '../facts.ts';
import { liveLeaves, ownKeypairs } from '../holdings.ts';
import { ownIdentities } from './gmail.ts';

/** Revokes everything live. A leaf that was already retired keeps the reason decided then. */
export function revokeAll(facts: Facts, revocationReason: RevocationReason, reason: string): readonly Step[] {
  return liveLeaves(facts).map((leaf) => ({
    kind: 'revoke-leaf',
    chain: 'certificate',
    serialHex: leaf.serialHex,
    revocationReason: leaf.retirement?.reason ?? revocationReason,
    departure: leaf.retirement === undefined,
    reason,
  }));
}

/** Deletes every identity that uses a pair of ours; the pairs stay, so that old mail opens. */
export function deleteIdentities(facts: Facts, reason: string): readonly Step[] {
  if (facts.gmail.kind !== 'observed') return [];
  return ownIdentities(facts, facts.gmail).map((identity) => ({
    kind: 'delete-identity',
    chain: 'gmail',
    address: identity.address,
    departure: true,
    reason,
  }));
}

/** Where policy disables the pairs of those who leave: ours alone, and coming back enables them again. */
export function disableKeypairs(facts: Facts, reason: string): readonly Step[] {
  return ownKeypairs(facts)
    .filter(({ keypair }) => keypair.enabled)
    .map(({ serialHex, keypair }) => ({
      kind: 'disable-keypair',
      chain: 'gmail',
      serialHex,
      keypairId: keypair.keypairId,
      because: 'left',
      departure: true,
      reason: `${reason} Policy disables the key pair.`,
    }));
}

/**
 * A reported compromise asks for the revocation first, which goes on before in the same chain. Who is leaving gets no new key, and who
 * comes back gets one without being asked for it again; so nothing is left to wait for. Key pairs that are to be disabled once
 * they are replaced are.
 */
const asksForRevocation = (wish: WishRecord): boolean =>
  wish.reason === 'keyCompromise' && wish.disableKeypairs !== true;

export const wishesThatWait = (facts: Facts): readonly WishRecord[] =>
  facts.ledger.openWishes.filter((wish) => !asksForRevocation(wish));

/** After the revocations. */
export const closeReports = (facts: Facts, reason: string): readonly Step[] =>
  facts.ledger.openWishes.filter(asksForRevocation).map((wish) => ({
    kind: 'fulfil-wish',
    chain: 'certificate',
    wishId: wish.wishId,
    detail: `The compromised certificate is revoked, and there is no new one to issue: ${reason}`,
    reason: 'What the key compromised is revoked, and whoever leaves gets no new key.',
  }));

/** A re-key cannot come true for somebody who left. */
export function failWishes(wishes: readonly WishRecord[], reason: string): readonly Step[] {
  return wishes.map((wish) => ({
    kind: 'fail-wish',
    chain: 'certificate',
    wishId: wish.wishId,
    reason,
  }));
}
