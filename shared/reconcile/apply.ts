import type { LeafReference, Plan, Step, StepChain, StepKind } from '../domain/step.ts';
import { isSealwrightError, permanent, retryable, type SealwrightError } from '../errors.ts';
import { departureSteps } from '../plan/guard.ts';
import { goesOnUnderStop, whyStopped } from '../plan/stop.ts';
import type { AuditEntry } from '../ports/ledger.ts';
import { auditEntry } from './audit-entry.ts';
import type { StepContext, StepOutcome } from './context.ts';
import { createKeypair } from './steps/create-keypair.ts';
import { deleteIdentity } from './steps/delete-identity.ts';
import { disableKeypair } from './steps/disable-keypair.ts';
import { enableKeypair } from './steps/enable-keypair.ts';
import { failWish } from './steps/fail-wish.ts';
import { fulfilWish } from './steps/fulfil-wish.ts';
import { importKeypair } from './steps/import-keypair.ts';
import { issueDeviceLeaf } from './steps/issue-device-leaf.ts';
import { issueLeaf } from './steps/issue-leaf.ts';
import { makeKey } from './steps/make-key.ts';
import { moveKeypair } from './steps/move-keypair.ts';
import { obliterateKeypair } from './steps/obliterate-keypair.ts';
import { retireLeaf } from './steps/retire-leaf.ts';
import { revokeLeaf } from './steps/revoke-leaf.ts';
import { setIdentity } from './steps/set-identity.ts';
import { signLeaf } from './steps/sign-leaf.ts';
import { takeCardKey } from './steps/take-card-key.ts';

type StepHandler<K extends StepKind> = (
  step: Extract<Step, { kind: K }>,
  context: StepContext,
) => Promise<StepOutcome>;

const HANDLERS = {
  'make-key': makeKey,
  'take-card-key': takeCardKey,
  'issue-leaf': issueLeaf,
  'sign-leaf': signLeaf,
  'issue-device-leaf': issueDeviceLeaf,
  'retire-leaf': retireLeaf,
  'revoke-leaf': revokeLeaf,
  'create-keypair': createKeypair,
  'enable-keypair': enableKeypair,
  'disable-keypair': disableKeypair,
  'obliterate-keypair': obliterateKeypair,
  'move-keypair': moveKeypair,
  'import-keypair': importKeypair,
  'set-identity': setIdentity,
  'delete-identity': deleteIdentity,
  'fulfil-wish': fulfilWish,
  'fail-wish': failWish,
} satisfies { [K in StepKind]: StepHandler<K> };

/** Where a chain stopped, and why. Reading comes before the first step and can stop a chain too. */
export interface Stop {
  readonly chain: StepChain;
  readonly step: StepKind | 'read-directory' | 'read-gmail';
  readonly error: SealwrightError;
}

/**
 * Applies a plan: the certificate chain, then the Gmail chain, each until its own first failure. A Gmail step that
 * needs what a stopped certificate chain did not make is not begun. Bugs (anything that is no `SealwrightError`; a
 * departure that nobody judged is one) and a lost lease end everything at once.
 */
export async function apply(plan: Plan, context: StepContext): Promise<readonly Stop[]> {
  if (!context.isJudged && departureSteps(plan).length > 0)
    throw new Error(`A departure of user ${plan.userId} that nobody judged; nothing was begun.`);
  const certificateStop = await applyChain(plan, 'certificate', context, () => true);
  const gmailStop = await applyChain(
    plan,
    'gmail',
    context,
    (step) => certificateStop === undefined || isPossible(step, context),
  );
  return [certificateStop, gmailStop].filter((stop) => stop !== undefined);
}

async function applyChain(
  plan: Plan,
  chain: StepChain,
  context: StepContext,
  isWanted: (step: Step) => boolean,
): Promise<Stop | undefined> {
  for (const step of plan.steps) {
    if (step.chain !== chain) continue;
    if (!isWanted(step)) return undefined;
    try {
      await applyStep(step, context);
    } catch (error) {
      if (!isSealwrightError(error) || error.code === 'lease-lost') throw error;
      return { chain, step: step.kind, error };
    }
  }
  return undefined;
}

async function applyStep(step: Step, context: StepContext): Promise<void> {
  const { deps, cause, facts } = context;
  const line = { eventId: cause.eventId, userId: facts.userId, step: step.kind, reason: step.reason };
  const startedMs = performance.now();
  const durationMs = () => Math.round(performance.now() - startedMs);
  deps.log.info('step-started', line);
  const handler = HANDLERS[step.kind] as StepHandler<StepKind>;
  let reached: 'nothing' | 'begun' | 'done' = 'nothing';
  try {
    // Not every step writes to the ledger before it acts, and a process that slept may have been replaced: whoever has
    // lost the lease finds out here, before the effect. A stop may have come while the steps before this one were applied.
    const stop = await deps.ledger.renewHeedingStop(context.lease, deps.leaseMs);
    if (stop !== undefined && !goesOnUnderStop(step)) throw permanent('stopped', whyStopped(stop));
    reached = 'begun';
    const { outcome, audited, details } = await handler(step, context);
    reached = 'done';
    if (audited !== true) await tellDone(context, auditEntry(context, step, outcome, details));
    deps.log.info('step-ended', { ...line, outcome, durationMs: durationMs(), ...details });
  } catch (error) {
    const code = isSealwrightError(error) ? error.code : 'bug';
    deps.log.warning('step-failed', {
      ...line,
      outcome: 'failed',
      code,
      durationMs: durationMs(),
      message: error instanceof Error ? error.message : String(error),
    });
    if (reached !== 'done' && code !== 'lease-lost')
      await tellFailed(step, context, error, reached === 'begun');
    throw error;
  }
}

/** After a bug, or an answer of the ledger that was lost, nobody knows how far a step got that was begun. */
async function tellFailed(
  step: Step,
  { deps, cause, facts, untold }: StepContext,
  error: unknown,
  isBegun: boolean,
): Promise<void> {
  if (!isSealwrightError(error) || error.code === 'ledger-unavailable') {
    if (isBegun)
      untold.push(`How ${step.kind} ended is not known: it may be done and have no line of its own.`);
    return;
  }
  await deps.ledger.audit({
    userId: facts.userId,
    cause,
    step: step.kind,
    reason: `${step.reason} ${error.message}`,
    outcome: 'failed',
    details: { code: error.code },
  });
}

/**
 * Whatever the ledger says against the line, the step is done: the next look goes on from there, so a refusal keeps nobody blocked.
 */
async function tellDone({ deps, untold }: StepContext, line: AuditEntry): Promise<void> {
  try {
    await deps.ledger.audit(line);
  } catch (error) {
    untold.push(
      `The ledger did not take the line of ${line.step} (${line.outcome}) once it was done: it may have no line of its own.`,
    );
    if (!isSealwrightError(error) || error.kind === 'retryable') throw error;
    throw retryable(
      'ledger-unavailable',
      `${line.step} is done, and its line was not taken: ${error.message}`,
      {
        cause: error,
      },
    );
  }
}

const NEEDS_NO_LEAF: ReadonlySet<StepKind> = new Set([
  'delete-identity',
  'enable-keypair',
  'disable-keypair',
  'obliterate-keypair',
  'move-keypair',
  'import-keypair',
]);

/** After the certificate chain stopped: steps that refer to nothing it still had to make. */
function isPossible(step: Step, { facts, made }: StepContext): boolean {
  const exists = (reference: LeafReference) => {
    const serialHex = 'made' in reference ? made.serials.get(reference.made) : reference.serialHex;
    return serialHex !== undefined && (facts.leafSha256BySerial.has(serialHex) || made.signed.has(serialHex));
  };
  switch (step.kind) {
    case 'create-keypair':
      return exists(step.leaf);
    case 'set-identity':
      return step.leaves.kind === 'dual'
        ? exists(step.leaves.leaf)
        : exists(step.leaves.signing) && exists(step.leaves.encryption);
    default:
      return NEEDS_NO_LEAF.has(step.kind);
  }
}
