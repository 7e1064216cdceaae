/** What everybody should have come to once faults have stopped: judged from the directory alone, far more simply than planned. */
import type { Policy, PolicyRule } from '../../shared/domain/policy.ts';
import { assertGmailAgrees, type Sight, Violated } from './invariants.ts';

export interface Ending {
  readonly sight: Sight;
  readonly policy: Policy;
  readonly nowMs: number;
  /** Client-side encryption is switched off for them. */
  readonly switchedOff: ReadonlySet<string>;
}

/** Group rules first, then units, as the policies of the simulation have them. */
export function ruleOf({ policy, sight }: Ending, userId: string): PolicyRule | undefined {
  const user = sight.directory.living(userId);
  if (user === undefined || user.archived) return undefined;
  return policy.rules.find(({ scope }) =>
    scope.kind === 'group'
      ? sight.directory.members.get(scope.groupId ?? '')?.has(userId) === true
      : `${user.orgUnitPath}/`.startsWith(`${scope.path}/`),
  );
}

/** Throws `Violated` unless this person is where they should be. */
export function assertArrived(ending: Ending, userId: string): void {
  const { sight, switchedOff } = ending;
  const user = sight.directory.living(userId);
  const rule = ruleOf(ending, userId);
  const isCovered = user !== undefined && rule !== undefined && !user.suspended;
  const mailboxAnswers = user !== undefined && !user.suspended && !switchedOff.has(userId);
  if (isCovered) {
    if (mailboxAnswers) assertServed(ending, userId, rule);
    return;
  }
  assertGone(ending, userId, mailboxAnswers);
  if (mailboxAnswers) assertNoIdentity(ending, userId);
}

function assertServed({ sight, nowMs }: Ending, userId: string, rule: PolicyRule): void {
  const rows = sight.rows();
  const row = rows.users.get(userId);
  const address = sight.directory.living(userId)?.primaryEmail ?? '';
  if (row?.state !== 'ready') throw new Violated(`${userId} is ${row?.state} and not ready: ${row?.reason}`);
  if (!sight.gmail.account(userId).identities.has(address))
    throw new Violated(`${userId} has no identity ${address}.`);
  assertGmailAgrees(sight, userId, nowMs);
  const openWish = [...rows.wishes.values()].find((wish) => wish.userId === userId && wish.state === 'open');
  if (openWish !== undefined) throw new Violated(`${userId} is ready and a re-key is still open.`);
  const inUse = [...rows.leaves.values()].some(
    (leaf) =>
      leaf.userId === userId &&
      leaf.addresses[0] === address &&
      leaf.state === 'signed' &&
      !rows.revocations.has(leaf.serialHex) &&
      rows.keys.get(leaf.keyId)?.keyServiceUrl === rule.keyServiceUrl,
  );
  if (!inUse) throw new Violated(`${userId} has no certificate for ${address} under ${rule.keyServiceUrl}.`);
}

function assertGone({ sight, nowMs }: Ending, userId: string, mailboxAnswers: boolean): void {
  const rows = sight.rows();
  const row = rows.users.get(userId);
  if (row === undefined) return;
  const ends = mailboxAnswers || sight.directory.living(userId) === undefined ? ['out'] : ['out', 'leaving'];
  if (!ends.includes(row.state)) throw new Violated(`${userId} is ${row.state} and not out: ${row.reason}`);
  for (const leaf of rows.leaves.values()) {
    if (leaf.userId === userId && leaf.notAfter.getTime() > nowMs && !rows.revocations.has(leaf.serialHex))
      throw new Violated(`${userId} is gone and ${leaf.serialHex} is not revoked.`);
  }
}

/** Whoever left with a foreign pair in use keeps it: what we did not make is not ours to delete. */
function assertNoIdentity({ sight }: Ending, userId: string): void {
  const rows = sight.rows();
  const ours = new Set([...rows.keypairs.values()].map(({ keypairId }) => keypairId));
  for (const [address, use] of sight.gmail.account(userId).identities)
    if (use.kind === 'dual' && ours.has(use.keypairId))
      throw new Violated(`${userId} is gone and the identity ${address} is still there.`);
}
