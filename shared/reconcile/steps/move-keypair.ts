import { createHash } from 'node:crypto';
import { isImportId } from '../../domain/imported-certificate.ts';
import type { UserLedger, WrappedKeyRecord } from '../../domain/records.ts';
import type { MoveKeypairStep } from '../../domain/step.ts';
import { isSealwrightError, permanent } from '../../errors.ts';
import { gmailPkcs7Pem } from '../../pki/pkcs7.ts';
import type { StepContext, StepOutcome } from '../context.ts';

/**
 * Has the wrapped key of an old pair wrapped again by another key service, and uploads the same certificate with it. The new
 * form is committed before Gmail sees it, and a second pair that is there already is adopted. What the key service or Gmail
 * refuses for good closes the move as refused: the old key service is then still needed for this mail, and that is
 * what the admin is told.
 */
export async function moveKeypair(step: MoveKeypairStep, context: StepContext): Promise<StepOutcome> {
  const { deps, lease } = context;
  const { jobId, serialHex } = step;
  const refuse = async (detail: string): Promise<StepOutcome> => {
    await deps.ledger.closeKeyMove(lease, { jobId, serialHex, state: 'refused', detail });
    return { outcome: 'done', details: { jobId, serialHex, refused: true } };
  };
  if (step.refuse !== undefined) return refuse(step.refuse);
  const { chainDer, key, movedForm } = await subjectOf(step, context);
  let wrappedKey = movedForm;
  if (wrappedKey === undefined) {
    try {
      wrappedKey = await wrappedAgain(step, key, context);
    } catch (error) {
      if (!isSealwrightError(error) || error.kind !== 'permanent') throw error;
      return refuse(`${error.message} The old key service must stay for this mail.`);
    }
    await deps.ledger.recordMovedForm(lease, { jobId, serialHex, wrappedKey });
  }
  let second: Awaited<ReturnType<typeof secondPair>>;
  try {
    second = await secondPair(step, { chainDer, wrappedKey }, context);
  } catch (error) {
    if (!isSealwrightError(error) || error.code !== 'gmail-refused') throw error;
    return refuse(`${error.message} The old key service must stay for this mail.`);
  }
  if (second === undefined) {
    return refuse(
      'Gmail does not take the same certificate twice. The old key service must stay for this mail.',
    );
  }
  if (step.disableOld) {
    await deps.ledger.recordKeypairDisabled(lease, { serialHex, because: 'admin' });
    await deps.gmail.disableKeypair(context.mailbox, step.keypairId);
  }
  await deps.ledger.closeKeyMove(lease, { jobId, serialHex, state: 'moved', keypairId: second.keypairId });
  return {
    outcome: second.adopted ? 'adopted' : 'done',
    details: { jobId, serialHex, keypairId: second.keypairId, oldDisabled: step.disableOld },
  };
}

interface Subject {
  /** The certificate, then what is above it. */
  readonly chainDer: readonly [Uint8Array, ...Uint8Array[]];
  readonly key: WrappedKeyRecord;
  /** What an earlier attempt had wrapped. */
  readonly movedForm: string | undefined;
}

async function subjectOf({ jobId, serialHex }: MoveKeypairStep, context: StepContext): Promise<Subject> {
  const ledger = await context.deps.ledger.readUser(context.facts.userId);
  const { chainDer, key } = isImportId(serialHex)
    ? importedSubject(ledger, serialHex)
    : await ownSubject(ledger, serialHex, context);
  const [certificateDer, ...aboveDer] = chainDer;
  if (certificateDer === undefined || key === undefined)
    throw permanent('intent-mismatch', `Serial ${serialHex} has no signed certificate or no wrapped key.`);
  const move = ledger.keyMoves?.find(
    (candidate) => candidate.jobId === jobId && candidate.serialHex === serialHex,
  );
  return { chainDer: [certificateDer, ...aboveDer], key, movedForm: move?.wrappedKey };
}

interface Found {
  /** Empty where there is none. */
  readonly chainDer: readonly Uint8Array[];
  readonly key: WrappedKeyRecord | undefined;
}

function importedSubject({ imported = [] }: UserLedger, importId: string): Found {
  const found = imported.find((candidate) => candidate.importId === importId);
  return { chainDer: found?.chainDer ?? [], key: found?.key };
}

async function ownSubject(ledger: UserLedger, serialHex: string, { deps }: StepContext): Promise<Found> {
  const leaf = ledger.leaves.find((candidate) => candidate.serialHex === serialHex);
  const key = ledger.keys.find((candidate) => candidate.keyId === leaf?.keyId);
  if (leaf?.leafDer === undefined || key === undefined || key.card !== undefined)
    return { chainDer: [], key: undefined };
  const issuer = await deps.ledger.readIssuer(leaf.issuerId);
  if (issuer === undefined)
    throw permanent('issuer-missing', `The ledger does not know the issuer ${leaf.issuerId}.`);
  return { chainDer: [leaf.leafDer, issuer.certificateDer, ...issuer.chainDer], key };
}

async function wrappedAgain(
  { toUrl }: MoveKeypairStep,
  key: WrappedKeyRecord,
  { deps }: StepContext,
): Promise<string> {
  const { wrappedKey } = await deps.keyRewrapping.rewrapPrivateKey({
    keyServiceUrl: toUrl,
    wrappedKey: key.wrappedKey,
  });
  return wrappedKey;
}

/** Gmail's second pair over the same leaf; undefined where Gmail takes no second one. */
async function secondPair(
  { toUrl, keypairId }: MoveKeypairStep,
  { chainDer, wrappedKey }: Pick<Subject, 'chainDer'> & { readonly wrappedKey: string },
  context: StepContext,
): Promise<{ readonly keypairId: string; readonly adopted: boolean } | undefined> {
  const { deps, mailbox } = context;
  const [certificateDer, ...aboveDer] = chainDer;
  const leafSha256Hex = createHash('sha256').update(certificateDer).digest('hex');
  const find = async (): Promise<string | undefined> => {
    const pairs = await deps.gmail.listKeypairs(mailbox);
    return pairs.find((pair) => pair.leafSha256Hex === leafSha256Hex && pair.keypairId !== keypairId)
      ?.keypairId;
  };
  const there = await find();
  if (there !== undefined) return { keypairId: there, adopted: true };
  const created = await deps.gmail.createKeypair(mailbox, {
    pkcs7Pem: gmailPkcs7Pem(certificateDer, aboveDer),
    privateKey: { keyServiceUrl: toUrl, wrappedKey },
    // It serves to read old mail alone, and may have run out or be revoked by now.
    chainValidation: 'none',
  });
  if (created.kind === 'created') return { keypairId: created.keypairId, adopted: false };
  const meanwhile = await find();
  return meanwhile === undefined ? undefined : { keypairId: meanwhile, adopted: true };
}
