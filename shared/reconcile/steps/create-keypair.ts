import { createHash } from 'node:crypto';
import type { CreateKeypairStep } from '../../domain/step.ts';
import { isSealwrightError, permanent, retryable } from '../../errors.ts';
import { errorsOf, lintChain } from '../../pki/lint-chain.ts';
import { gmailPkcs7Pem } from '../../pki/pkcs7.ts';
import type { StepContext, StepOutcome, Upload } from '../context.ts';
import { assertMailboxIsTheirs } from '../mailbox.ts';
import { resolveLeaf } from './references.ts';

/**
 * Uploads the chain, with the wrapped key or word of the card that has it. Gmail's create has no idempotency key, so the intent is
 * committed first and a pair that already holds this leaf is adopted: an earlier answer may have been lost. There is no earlier one
 * where this very plan issued the leaf: then Gmail is not asked, nor the ledger for what was just written to it.
 */
export async function createKeypair(step: CreateKeypairStep, context: StepContext): Promise<StepOutcome> {
  const { deps, lease, facts, mailbox, made } = context;
  const serialHex = resolveLeaf(step.leaf, context);
  const issuedHere = made.uploads.get(serialHex);
  const { leafDer, chainDer, privateKey } = issuedHere ?? (await uploadOf(serialHex, context));
  if (issuedHere === undefined) {
    const adopted = await findKeypair(context, leafDer);
    if (adopted !== undefined) {
      await deps.ledger.recordKeypair(lease, { serialHex, keypairId: adopted });
      return { outcome: 'adopted', details: { serialHex, keypairId: adopted } };
    }
  }
  await deps.ledger.recordKeypairIntent(lease, serialHex);
  await assertMailboxIsTheirs(deps, facts.userId, mailbox);
  const pkcs7Pem = gmailPkcs7Pem(leafDer, chainDer);
  const created = await namingTheRule(deps.gmail.createKeypair(mailbox, { pkcs7Pem, privateKey }), pkcs7Pem, {
    now: deps.clock.now(),
    address: mailbox,
  });
  const keypairId = created.kind === 'created' ? created.keypairId : await findKeypair(context, leafDer);
  if (keypairId === undefined) {
    throw retryable(
      'gmail-unavailable',
      `Gmail says a key pair for serial ${serialHex} exists but does not list it; it is asked again.`,
    );
  }
  await deps.ledger.recordKeypair(lease, { serialHex, keypairId });
  made.keypairIds.set(serialHex, keypairId);
  return { outcome: created.kind === 'created' ? 'done' : 'adopted', details: { serialHex, keypairId } };
}

/** The leaf as the ledger has it, with its issuer and its key. */
async function uploadOf(serialHex: string, { deps, facts }: StepContext): Promise<Upload> {
  const ledger = await deps.ledger.readUser(facts.userId);
  const leaf = ledger.leaves.find((candidate) => candidate.serialHex === serialHex);
  if (leaf?.holder === 'device') {
    throw new Error(`bug: leaf ${serialHex} is a device's and was about to be uploaded to Gmail.`);
  }
  const key = ledger.keys.find((candidate) => candidate.keyId === leaf?.keyId);
  if (leaf?.leafDer === undefined || key === undefined) {
    throw retryable(
      'intent-mismatch',
      `Serial ${serialHex} has no signed certificate yet; the user is looked at again.`,
    );
  }
  const issuer = await deps.ledger.readIssuer(leaf.issuerId);
  if (issuer === undefined)
    throw permanent('issuer-missing', `The ledger does not know the issuer ${leaf.issuerId}.`);
  return {
    leafDer: leaf.leafDer,
    chainDer: [issuer.certificateDer, ...issuer.chainDer],
    privateKey:
      key.card === undefined
        ? { keyServiceUrl: key.keyServiceUrl, wrappedKey: key.wrappedKey }
        : { cardDescription: key.card.description },
  };
}

/**
 * Gmail says "invalid argument" and no more. Where the linter finds what Gmail must have meant, the refusal says so: rule,
 * what was found, what to do. An error of any other kind, or a chain the linter has nothing against, goes on as it was.
 */
async function namingTheRule<Answer>(
  upload: Promise<Answer>,
  pkcs7Pem: string,
  about: { readonly now: Date; readonly address: string },
): Promise<Answer> {
  try {
    return await upload;
  } catch (error) {
    if (!isSealwrightError(error) || error.code !== 'gmail-refused') throw error;
    const broken = errorsOf(lintChain(Buffer.from(pkcs7Pem), about));
    const [first] = broken;
    if (first === undefined) throw error;
    const rules = broken.map(({ rule, found }) => `${rule} (${found})`).join(', ');
    throw permanent('gmail-refused', `${error.message} The linter finds: ${rules}. ${first.fix}`, {
      cause: error,
      details: { ...error.details, rules: broken.map(({ rule }) => rule).join(', ') },
    });
  }
}

async function findKeypair({ deps, mailbox }: StepContext, leafDer: Uint8Array): Promise<string | undefined> {
  const sha256Hex = createHash('sha256').update(leafDer).digest('hex');
  const keypairs = await deps.gmail.listKeypairs(mailbox);
  return keypairs.find((keypair) => keypair.leafSha256Hex === sha256Hex)?.keypairId;
}
