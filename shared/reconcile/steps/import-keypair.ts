import type { GmailKeypair } from '../../domain/gmail.ts';
import type { ImportKeypairStep } from '../../domain/step.ts';
import { isSealwrightError, permanent } from '../../errors.ts';
import { gmailPkcs7Pem } from '../../pki/pkcs7.ts';
import type { StepContext, StepOutcome } from '../context.ts';
import { assertMailboxIsTheirs } from '../mailbox.ts';

/**
 * Uploads a certificate of old mail with its wrapped key. It may have run out, be of a CA that Gmail does not know or name a
 * former address, so it goes up with `chainValidation=none`, which is for exactly this: Gmail then lets no identity use
 * it. A pair that already holds it is adopted, whoever uploaded it. What Gmail refuses for good closes the import and is what
 * the admin is told; the user's other steps go on.
 */
export async function importKeypair(step: ImportKeypairStep, context: StepContext): Promise<StepOutcome> {
  const { deps, lease, facts, mailbox } = context;
  const { importId } = step;
  const refuse = async (detail: string): Promise<StepOutcome> => {
    await deps.ledger.closeImport(lease, { importId, state: 'refused', detail });
    return { outcome: 'done', details: { importId, refused: true } };
  };
  if (step.refuse !== undefined) return refuse(step.refuse);
  const imported = await deps.ledger.readImport(importId);
  const [certificateDer, ...chainDer] = imported?.chainDer ?? [];
  if (imported?.userId !== facts.userId || certificateDer === undefined)
    throw permanent('intent-mismatch', `The ledger has no import ${importId} of user ${facts.userId}.`);
  const find = async (): Promise<GmailKeypair | undefined> =>
    (await deps.gmail.listKeypairs(mailbox)).find(
      ({ leafSha256Hex }) => leafSha256Hex === imported.certificateSha256Hex,
    );
  const close = async (keypairId: string, outcome: 'done' | 'adopted'): Promise<StepOutcome> => {
    await deps.ledger.recordKeypair(lease, { serialHex: importId, keypairId });
    // One made anew after another was obliterated is as enabled as any.
    await deps.ledger.recordKeypairEnabled(lease, importId);
    await deps.ledger.closeImport(lease, { importId, state: 'uploaded' });
    return { outcome, details: { importId, keypairId } };
  };

  // Somebody disabled it on purpose: whoever imports it again is told, and nothing is undone behind their back.
  const adopt = async ({ keypairId, enabled }: GmailKeypair): Promise<StepOutcome> =>
    enabled
      ? close(keypairId, 'adopted')
      : refuse(
          `Gmail has the certificate in key pair ${keypairId}, which is disabled: enable it there (keypairs.enable) and import it again.`,
        );
  const there = await find();
  if (there !== undefined) return adopt(there);
  await deps.ledger.recordKeypairIntent(lease, importId);
  await assertMailboxIsTheirs(deps, facts.userId, mailbox);
  const { keyServiceUrl, wrappedKey } = imported.key;
  let created: Awaited<ReturnType<typeof deps.gmail.createKeypair>>;
  try {
    created = await deps.gmail.createKeypair(mailbox, {
      pkcs7Pem: gmailPkcs7Pem(certificateDer, chainDer),
      privateKey: { keyServiceUrl, wrappedKey },
      chainValidation: 'none',
    });
  } catch (error) {
    if (!isSealwrightError(error) || error.code !== 'gmail-refused') throw error;
    return refuse(error.message);
  }
  if (created.kind === 'created') return close(created.keypairId, 'done');
  const meanwhile = await find();
  if (meanwhile !== undefined) return adopt(meanwhile);
  return refuse('Gmail says that it has the certificate and lists no key pair with it.');
}
