import type { IssueDeviceLeafStep } from '../../domain/step.ts';
import { buildLeaf } from '../../pki/leaf.ts';
import { leafProfileFor } from '../../pki/profile.ts';
import { readPublicKey } from '../../pki/public-key.ts';
import type { StepContext, StepOutcome } from '../context.ts';
import { commitIntent, readyIssuer, refuseReassigned, subjectKindOf } from './issue-leaf.ts';

/**
 * Certifies the key of another mail client on the same path as any other: serial and exact bytes are committed, then `sign`
 * uses the CA key. `made` is left alone: nothing of Gmail's refers to this leaf.
 */
export async function issueDeviceLeaf(step: IssueDeviceLeafStep, context: StepContext): Promise<StepOutcome> {
  const { deps, facts } = context;
  const { deviceKeys, leaves } = await deps.ledger.readUser(facts.userId);
  const key = deviceKeys.find((candidate) => candidate.keyId === step.deviceKeyId);
  if (key === undefined)
    throw new Error(`The ledger does not know the device key ${step.deviceKeyId} of user ${facts.userId}.`);
  const begun = leaves.find((leaf) => leaf.keyId === key.keyId && leaf.revocation === undefined);
  const serialHex = begun?.serialHex ?? (await intend(step, context, key.spkiDer));
  await deps.signing.signLeaf(serialHex);
  return {
    outcome: begun?.state === 'signed' ? 'already' : 'done',
    details: { serialHex, deviceKeyId: key.keyId, device: key.device },
  };
}

async function intend(step: IssueDeviceLeafStep, context: StepContext, spkiDer: Uint8Array): Promise<string> {
  const issuer = await readyIssuer(context);
  const profile = leafProfileFor(
    'dual-use',
    readPublicKey(spkiDer).kind === 'ec' ? 'ec' : 'rsa',
    subjectKindOf(step),
  );
  const leaf = await commitIntent(
    context,
    { issuerId: issuer.issuerId, keyId: step.deviceKeyId, holder: 'device' },
    (serial) =>
      buildLeaf({
        issuer,
        spkiDer,
        addresses: step.addresses,
        serialHex: serial,
        now: context.deps.clock.now(),
        validityDays: step.validityDays,
        profile,
        ...(step.subject === undefined ? {} : { subject: step.subject }),
      }),
  );
  await refuseReassigned(context, leaf);
  return leaf.serialHex;
}
