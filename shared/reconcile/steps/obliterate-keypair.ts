import type { WrappedKeyRecord } from '../../domain/records.ts';
import type { ObliterateKeypairStep } from '../../domain/step.ts';
import { permanent } from '../../errors.ts';
import {
  type ObliterationStatement,
  whyGmailForbidsObliterating,
  whyWrappedKeyStays,
  wrappedKeyOf,
} from '../../plan/obliteration.ts';
import type { AuditEntry } from '../../ports/ledger.ts';
import type { StepContext, StepOutcome } from '../context.ts';

/**
 * Carries out an obliteration that two admins asked for, if what they were shown still holds by Gmail's own account:
 * disabled for more than 30 days, used by no identity. Otherwise the request is closed as refused and nothing is
 * destroyed; asking again is a new request. A pair that is gone is done already. With the last pair of a key its wrapped forms in
 * the ledger go, in the transaction that closes the request, where the admins were told that they do.
 */
export async function obliterateKeypair(
  step: ObliterateKeypairStep,
  context: StepContext,
): Promise<StepOutcome> {
  const { deps, lease, facts, mailbox } = context;
  const { keypairId, requestId, refuse } = step;
  if (refuse !== undefined) {
    await deps.ledger.closeKeypairRequest(lease, { requestId, state: 'refused', detail: refuse });
    return { outcome: 'done', details: { requestId, keypairId, refused: true } };
  }
  const against = whyGmailForbidsObliterating(facts.gmail, deps.clock.now(), keypairId);
  if (against !== undefined) {
    await deps.ledger.closeKeypairRequest(lease, { requestId, state: 'refused', detail: against });
    throw permanent('obliteration-refused', `Nothing was obliterated. ${against}`, {
      details: { requestId, keypairId },
    });
  }
  const key = await keyThatGoes(step, context);
  const stays = key === undefined ? undefined : await whyItStays(key, keypairId, context);
  const answer = await deps.gmail.obliterateKeypair(mailbox, keypairId);
  const gone = answer === 'absent' ? 'Gmail had it no more.' : 'It is obliterated.';
  if (key === undefined || stays !== undefined) {
    const kept = stays === undefined ? '' : ` The wrapped key stays in the ledger: ${stays}.`;
    await deps.ledger.closeKeypairRequest(lease, { requestId, state: 'done', detail: `${gone}${kept}` });
  } else {
    await deps.ledger.closeKeypairRequest(lease, {
      ...{ requestId, state: 'done', detail: `${gone} The wrapped key is erased with it.` },
      erase: { spkiSha256Hex: key.spkiSha256Hex, audit: entryOf(step, context, key) },
    });
  }
  const wrappedKey = key === undefined ? {} : { wrappedKeyErased: stays === undefined };
  return {
    outcome: answer === 'absent' ? 'already' : 'done',
    details: { keypairId, requestId, ...wrappedKey },
  };
}

/** The wrapped key of the pair, where the admins were told that it goes with it. */
async function keyThatGoes(
  { keypairId, requestId }: ObliterateKeypairStep,
  { deps, facts }: StepContext,
): Promise<WrappedKeyRecord | undefined> {
  const request = await deps.ledger.readKeypairRequest(requestId);
  const statement = request?.statement as ObliterationStatement | undefined;
  return statement?.takesWrappedKey === true ? wrappedKeyOf(facts.ledger, keypairId) : undefined;
}

async function whyItStays(
  key: WrappedKeyRecord,
  keypairId: string,
  { deps, facts }: StepContext,
): Promise<string | undefined> {
  const ledger = await deps.ledger.readUser(facts.userId);
  const needed = whyWrappedKeyStays(ledger, facts.gmail, key, keypairId, deps.clock.now());
  if (needed !== undefined) return needed;
  const holder = await deps.ledger.otherHolderOfKey(key.spkiSha256Hex, facts.userId);
  return holder === undefined ? undefined : `user ${holder} has the same key`;
}

const entryOf = (
  { keypairId, requestId, reason }: ObliterateKeypairStep,
  { facts, cause }: StepContext,
  { spkiSha256Hex }: WrappedKeyRecord,
): AuditEntry => ({
  userId: facts.userId,
  cause,
  step: 'erase-wrapped-keys',
  reason: `The wrapped key goes with key pair ${keypairId}, which is obliterated: ${reason}`,
  outcome: 'done',
  details: { requestId, keypairId, keys: spkiSha256Hex },
});
