/**
 * Keys of other mail clients. They are certified when an admin asks and the user is covered, run out by themselves, are
 * left alone by a re-key (which is about the key Gmail uses) and go with everything else when the user departs.
 */
import type { DirectoryUser } from '../../domain/directory-user.ts';
import type { PolicyRule } from '../../domain/policy.ts';
import type { DeviceKeyRecord } from '../../domain/records.ts';
import type { RevokeLeafStep, Step } from '../../domain/step.ts';
import type { Facts } from '../facts.ts';
import { liveLeaves, wantedAddresses, wantedSubject } from '../holdings.ts';
import { INTENT_LIFETIME_MS } from '../timing.ts';

/** Issues what was asked for and has no certificate yet, or finishes what stopped between intent and certificate. */
export function issueForDevices(facts: Facts, user: DirectoryUser, rule: PolicyRule): readonly Step[] {
  return facts.ledger.deviceKeys
    .filter((key) => isOpen(facts, key))
    .map((key) => ({
      kind: 'issue-device-leaf',
      chain: 'certificate',
      deviceKeyId: key.keyId,
      addresses: wantedAddresses(facts, user, rule),
      validityDays: rule.validityDays,
      ...wantedSubject(user, rule),
      reason: `${key.requestedBy} asked for a certificate for "${key.device}".`,
    }));
}

/** Nobody waits longer for an answer; a request that was not met by then is met by asking again with a new key. */
function isOpen(facts: Facts, key: DeviceKeyRecord): boolean {
  if (key.withdrawnAt !== undefined) return false;
  if (facts.now.getTime() - key.createdAt.getTime() > INTENT_LIFETIME_MS) return false;
  const leaves = facts.ledger.leaves.filter((leaf) => leaf.keyId === key.keyId);
  return (
    leaves.length === 0 ||
    liveLeaves(facts).some((leaf) => leaves.includes(leaf) && leaf.state === 'intended')
  );
}

/** Certificates of requests that were taken back while they were being met. */
export function revokeWithdrawn(facts: Facts): readonly RevokeLeafStep[] {
  const withdrawn = new Set(
    facts.ledger.deviceKeys.filter((key) => key.withdrawnAt !== undefined).map((key) => key.keyId),
  );
  return liveLeaves(facts)
    .filter((leaf) => leaf.holder === 'device' && withdrawn.has(leaf.keyId))
    .map((leaf) => ({
      kind: 'revoke-leaf',
      chain: 'certificate',
      serialHex: leaf.serialHex,
      revocationReason: leaf.retirement?.reason ?? 'cessationOfOperation',
      departure: false,
      reason: 'The request for the device was taken back.',
    }));
}
