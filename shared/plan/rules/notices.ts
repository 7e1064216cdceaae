/**
 * What an admin should know about a user and what no step changes: a certificate near its end that could not be renewed, or
 * that is in another mail client, where nobody renews it, a
 * card whose key is wanted, and what is in Gmail that Sealwright did not make or did not disable. Each has a key that stays the same from look to
 * look, so that it is told once.
 */
import { isImportId } from '../../domain/imported-certificate.ts';
import type { PolicyRule } from '../../domain/policy.ts';
import type { LeafRecord, Notice, NoticeKind } from '../../domain/records.ts';
import type { PlanNotices, Step } from '../../domain/step.ts';
import type { Facts } from '../facts.ts';
import { newestFirst, ourKeypairIds, ownKeypairs, purposesOf } from '../holdings.ts';
import { DAY_MS, earliest, plus, renewalTime } from '../timing.ts';
import { keypairIdsOf } from './gmail.ts';

/** Days before its end at which a certificate is warned about that could not be renewed, or that nobody renews; 0 is its end. */
export const WARNING_DAYS = [0, 1, 7, 14, 30] as const;

/** Told under a rule that only observes, too. */
export const EXPIRING_KINDS = ['certificate-expiring', 'device-certificate-expiring'] as const;

const GMAIL_KINDS = ['foreign-keypair', 'foreign-identity', 'keypair-disabled'] as const;

/** `rule`: the one that wants certificates for this user; undefined when none does, and then nothing expires unduly. */
export function noticesFor(
  facts: Facts,
  rule: PolicyRule | undefined,
  steps: readonly Step[] = [],
): PlanNotices {
  const expiring = rule === undefined ? [] : [...expiringLeaves(facts, rule), ...expiringOnDevices(facts)];
  const gmail = facts.gmail.kind === 'observed';
  const kinds: readonly NoticeKind[] = [...EXPIRING_KINDS, 'card-key-wanted', ...(gmail ? GMAIL_KINDS : [])];
  return { kinds, notices: [...expiring, ...cardKeysWanted(facts, steps), ...gmailNotices(facts)] };
}

/** What only somebody with the card can do. */
function cardKeysWanted(facts: Facts, steps: readonly Step[]): readonly Notice[] {
  return steps.flatMap((step): readonly Notice[] => {
    if (step.kind !== 'take-card-key') return [];
    const { purpose, reason, wishId } = step;
    const [newest] = newestFirst(facts.ledger.leaves).filter((leaf) => leaf.purpose === purpose);
    return [
      {
        key: `card-key-wanted/${purpose}/${wishId ?? newest?.serialHex ?? 'first'}`,
        kind: 'card-key-wanted',
        message: `A ${purpose} key on a smart card is wanted: ${reason} Have the card make one and put its certification request into the key folder.`,
      },
    ];
  });
}

/** The same once a card's key was found where it was wanted. */
export const withoutCardKeysWanted = ({ kinds, notices }: PlanNotices): PlanNotices => ({
  kinds,
  notices: notices.filter(({ kind }) => kind !== 'card-key-wanted'),
});

/** When the next warning about a certificate of this user falls due; undefined when none will. */
export function nextWarningAt(facts: Facts, rule: PolicyRule): Date | undefined {
  return earliest(
    nextDeviceWarningAt(facts),
    ...leavesToRenew(facts, rule)
      .flatMap((leaf) => WARNING_DAYS.map((days) => plus(leaf.notAfter, -days * DAY_MS)))
      .filter((instant) => instant.getTime() > facts.now.getTime()),
  );
}

/** The same of the certificates in other mail clients alone: those of a user who is ready. */
export function nextDeviceWarningAt(facts: Facts): Date | undefined {
  const instants = leavesOnDevices(facts).flatMap((leaf) =>
    WARNING_DAYS.map((days) => Math.max(warnedFromMs(leaf), leaf.notAfter.getTime() - days * DAY_MS)),
  );
  return earliest(...instants.filter((ms) => ms > facts.now.getTime()).map((ms) => new Date(ms)));
}

function expiringLeaves(facts: Facts, rule: PolicyRule): readonly Notice[] {
  return leavesToRenew(facts, rule).flatMap((leaf) => {
    const leftMs = leaf.notAfter.getTime() - facts.now.getTime();
    const threshold = WARNING_DAYS.find((days) => leftMs <= days * DAY_MS);
    if (threshold === undefined || renewalTime(leaf, rule).getTime() > facts.now.getTime()) return [];
    const ends = leaf.notAfter.toISOString();
    const message =
      threshold === 0
        ? `The certificate ${leaf.serialHex} ended on ${ends} and could not be renewed.`
        : `The certificate ${leaf.serialHex} ends on ${ends}, in ${threshold === 1 ? 'a day' : `${threshold} days`} or less, and could not be renewed yet.`;
    return [
      { key: `certificate-expiring/${leaf.serialHex}/${threshold}`, kind: 'certificate-expiring', message },
    ];
  });
}

/** Whoever has not replaced it a month after its end does without it. */
const TOLD_AFTER_END_MS = 30 * DAY_MS;

/** Not in the first half of its life, however short that is. */
const warnedFromMs = ({ notBefore, notAfter }: LeafRecord): number =>
  notAfter.getTime() - (notAfter.getTime() - notBefore.getTime()) / 2;

function expiringOnDevices(facts: Facts): readonly Notice[] {
  const nowMs = facts.now.getTime();
  return leavesOnDevices(facts).flatMap((leaf) => {
    const leftMs = leaf.notAfter.getTime() - nowMs;
    const threshold = WARNING_DAYS.find((days) => leftMs <= days * DAY_MS);
    if (threshold === undefined || nowMs < warnedFromMs(leaf) || leftMs < -TOLD_AFTER_END_MS) return [];
    const ends = leaf.notAfter.toISOString();
    const when =
      threshold === 0
        ? `ended on ${ends}`
        : `ends on ${ends}, in ${threshold === 1 ? 'a day' : `${threshold} days`} or less`;
    const message = `The certificate ${leaf.serialHex} of "${deviceOf(facts, leaf)}" ${when}, and only the device can have another one: ask for it with "sealwright cert issue ${facts.ledger.user?.primaryEmail ?? facts.userId} --for-device".`;
    const kind = 'device-certificate-expiring';
    return [{ key: `${kind}/${leaf.serialHex}/${threshold}`, kind, message }];
  });
}

const deviceOf = ({ ledger }: Facts, leaf: LeafRecord): string | undefined =>
  ledger.deviceKeys.find(({ keyId }) => keyId === leaf.keyId)?.device;

/** Of each device the certificate that lasts longest, unless it is revoked or about to be. */
function leavesOnDevices(facts: Facts): readonly LeafRecord[] {
  const standing = facts.ledger.leaves.filter(
    (leaf) =>
      leaf.holder === 'device' &&
      leaf.state === 'signed' &&
      leaf.revocation === undefined &&
      leaf.retirement === undefined,
  );
  return standing.filter((leaf) =>
    standing.every(
      (other) =>
        deviceOf(facts, other) !== deviceOf(facts, leaf) ||
        other.notAfter.getTime() <= leaf.notAfter.getTime(),
    ),
  );
}

/** The newest certificate of each purpose, in use or already past its end: what a renewal would have replaced. */
function leavesToRenew(facts: Facts, rule: PolicyRule): readonly LeafRecord[] {
  const inUse = newestFirst(facts.ledger.leaves).filter(
    (leaf) =>
      leaf.holder === 'key-service' &&
      leaf.state === 'signed' &&
      leaf.revocation === undefined &&
      leaf.retirement === undefined,
  );
  return purposesOf(rule).flatMap((purpose) => {
    const newest = inUse.find((leaf) => leaf.purpose === purpose);
    return newest === undefined ? [] : [newest];
  });
}

function gmailNotices(facts: Facts): readonly Notice[] {
  const { gmail, ledger } = facts;
  if (gmail.kind !== 'observed') return [];
  const ours = ourKeypairIds(facts, gmail);
  const foreignPairs = gmail.keypairs
    .filter(({ keypairId }) => !ours.has(keypairId))
    .map(
      ({ keypairId }): Notice => ({
        key: `foreign-keypair/${keypairId}`,
        kind: 'foreign-keypair',
        message: `Gmail holds the key pair ${keypairId}, which Sealwright did not make and leaves alone.`,
      }),
    );
  const foreignIdentities = gmail.identities
    .filter((identity) => keypairIdsOf(identity).some((id) => !ours.has(id)))
    .map(
      (identity): Notice => ({
        key: `foreign-identity/${identity.address}/${keypairIdsOf(identity).join('+')}`,
        kind: 'foreign-identity',
        message: `The identity ${identity.address} uses the key pair ${keypairIdsOf(identity).join(' and ')}, which Sealwright did not make.`,
      }),
    );
  const disabled = ownKeypairs(facts)
    .filter(({ serialHex, keypair }) => {
      const record = ledger.keypairs.find((candidate) => candidate.serialHex === serialHex);
      return !keypair.enabled && record?.disabled === undefined;
    })
    .map(
      ({ serialHex, keypair }): Notice => ({
        key: `keypair-disabled/${keypair.keypairId}`,
        kind: 'keypair-disabled',
        message: `The key pair ${keypair.keypairId} of the ${isImportId(serialHex) ? 'imported ' : ''}certificate ${serialHex} was disabled, and not by Sealwright: mail that was encrypted to it cannot be read in Gmail.`,
      }),
    );
  return [...foreignPairs, ...foreignIdentities, ...disabled];
}
