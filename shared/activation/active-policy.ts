/**
 * Which policy is in force for a function: that of its file, with the pins recorded in the ledger when the text was
 * activated. A text met for the first time is activated here if the directory knows every unit and group it names, and
 * if no name of it now stands for another unit or group than before. Otherwise the activation before goes on, and the
 * log and the audit trail say why. `sealwright policy activate` is an admin's own word, and wins.
 *
 * What it will not do: take a policy without pins, or guess.
 */
import { createHash } from 'node:crypto';
import { parsePolicy } from '../config/policy.ts';
import type { Policy } from '../domain/policy.ts';
import { type PolicyPins, pinnedPolicy } from '../domain/policy-pins.ts';
import { isSealwrightError, retryable } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { Directory } from '../ports/directory.ts';
import type { StoredPolicyActivation } from '../ports/ledger/policy-activations.ts';
import type { Ledger } from '../ports/ledger.ts';
import type { Log } from '../ports/log.ts';
import { repointed, resolvePins } from './pins.ts';

/** How long an answer of the ledger is good: an admin's activation reaches every function within this time. */
const GOOD_FOR_MS = 30_000;

export interface ActivePolicyDeps {
  readonly ledger: Pick<Ledger, 'latestPolicyActivation' | 'recordPolicyActivation' | 'audit'>;
  readonly directory: Pick<Directory, 'orgUnits' | 'group' | 'groups'>;
  readonly clock: Clock;
  readonly log: Log;
}

/** The policy in force, pinned, with where it comes from. */
export interface ActivePolicy {
  readonly policy: Policy;
  readonly digest: string;
  readonly pins: PolicyPins;
}

export interface ActivePolicySource {
  /** Throws `policy-not-active` (retryable) while nothing was ever activated. */
  current(): Promise<ActivePolicy>;
}

/** One text activated twice may name other units by the same paths: text and pins together say what is in force. */
export const activationKey = (digest: string, { units, groups }: PolicyPins): string =>
  policyDigest(JSON.stringify([digest, Object.entries(units).toSorted(), Object.entries(groups).toSorted()]));

export const policyDigest = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Throws `policy-invalid` at once for a text with mistakes. `activatedBy` names the function in the record. */
export function activePolicySource(
  deps: ActivePolicyDeps,
  file: { readonly text: string; readonly name: string; readonly activatedBy: string },
): ActivePolicySource {
  const digest = policyDigest(file.text);
  const parsed = parsePolicy(file.text, file.name);
  let last: { readonly active: ActivePolicy; readonly untilMs: number } | undefined;
  let refusedBefore: string | undefined;

  /** The file's own activation; recorded now if it may be. Undefined when it was refused. */
  async function own(): Promise<ActivePolicy | undefined> {
    const recorded = await deps.ledger.latestPolicyActivation(digest);
    if (recorded !== undefined) return active(parsed, recorded);
    const before = await deps.ledger.latestPolicyActivation();
    const { pins, unknown } = await resolvePins(deps.directory, parsed, before?.pins);
    const objections = [
      ...unknown.map(({ message }) => message),
      ...(before === undefined ? [] : repointed(before.pins, pins, await deps.directory.orgUnits())),
    ];
    if (objections.length > 0) {
      await refuse(objections, before);
      return undefined;
    }
    await deps.ledger.recordPolicyActivation({
      digest,
      text: file.text,
      pins,
      activatedBy: file.activatedBy,
      automatic: true,
    });
    await audit(
      'policy-activated',
      `The policy ${digest.slice(0, 12)} is in force; ${countOf(pins)} pinned.`,
      'done',
    );
    deps.log.info('policy-activated', { digest, pins });
    const written = await deps.ledger.latestPolicyActivation(digest);
    if (written === undefined) throw new Error('An activation that was just recorded is not there.');
    return active(parsed, written);
  }

  /** Told once for each set of objections and instance, not once a minute. */
  async function refuse(
    objections: readonly string[],
    before: StoredPolicyActivation | undefined,
  ): Promise<void> {
    const what = objections.join('; ');
    if (refusedBefore === what) return;
    refusedBefore = what;
    const goesOn =
      before === undefined
        ? 'No policy was ever activated, so nothing is done.'
        : `The policy ${before.digest.slice(0, 12)}, activated ${before.activatedAt.toISOString()}, goes on.`;
    const reason = `The policy ${digest.slice(0, 12)} is not put in force: ${what}. ${goesOn}`;
    deps.log.error('policy-refused', { digest, objections });
    await audit('policy-activated', reason, 'refused');
  }

  const audit = (step: string, reason: string, outcome: 'done' | 'refused') =>
    deps.ledger.audit({
      cause: { source: 'admin', eventId: digest, event: 'policy' },
      step,
      reason,
      outcome,
      details: { digest },
    });

  return {
    async current() {
      const nowMs = deps.clock.now().getTime();
      if (last !== undefined && nowMs < last.untilMs && nowMs >= last.untilMs - GOOD_FOR_MS)
        return last.active;
      const mine = await own();
      const found = mine ?? (await previous(deps));
      if (found === undefined) {
        throw retryable(
          'policy-not-active',
          `No policy is in force: ${refusedBefore ?? 'none was activated'}. Correct the policy file, or make what it names.`,
        );
      }
      last = { active: found, untilMs: nowMs + GOOD_FOR_MS };
      return found;
    },
  };
}

/** The newest activation whose text this version still understands. */
async function previous(deps: ActivePolicyDeps): Promise<ActivePolicy | undefined> {
  const before = await deps.ledger.latestPolicyActivation();
  if (before === undefined) return undefined;
  try {
    return active(parsePolicy(before.text, 'the policy in force'), before);
  } catch (error) {
    if (!isSealwrightError(error)) throw error;
    deps.log.error('policy-in-force-not-understood', { digest: before.digest, message: error.message });
    return undefined;
  }
}

const active = (policy: Policy, { digest, pins }: StoredPolicyActivation): ActivePolicy => ({
  policy: pinnedPolicy(policy, pins),
  digest,
  pins,
});

const countOf = ({ units, groups }: PolicyPins): string =>
  `${counted(units, 'org unit')} and ${counted(groups, 'group')}`;

function counted(names: object, what: string): string {
  const count = Object.keys(names).length;
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
