/**
 * Obliterating a key pair: what stands against it, and what it costs. Pure. Nothing here decides that a pair is
 * obliterated; two admins do, and this is asked again before the second confirms and once more when the turn comes.
 */
import type { GmailFacts } from '../domain/gmail.ts';

/** Gmail obliterates only what has been disabled for more than this. */
export const OBLITERATE_AFTER_MS = 30 * 86_400_000;

/** Why the pair must not be obliterated now, in a sentence; undefined where nothing stands against it. */
export function whyNotObliterate(
  disabledAt: Date | undefined,
  now: Date,
  keypairId: string,
): string | undefined {
  if (disabledAt === undefined) {
    return `Key pair ${keypairId} is not disabled: disable it first, and wait more than 30 days.`;
  }
  if (now.getTime() - disabledAt.getTime() > OBLITERATE_AFTER_MS) return undefined;
  const from = new Date(disabledAt.getTime() + OBLITERATE_AFTER_MS);
  return `Key pair ${keypairId} is disabled since ${disabledAt.toISOString()}, which is not more than 30 days: it can be obliterated after ${from.toISOString()}.`;
}

/** The same by Gmail's own account, which also knows whether an identity still uses the pair. */
export function whyGmailForbidsObliterating(
  gmail: GmailFacts,
  now: Date,
  keypairId: string,
): string | undefined {
  if (gmail.kind !== 'observed') return 'Gmail did not say what it has.';
  const pair = gmail.keypairs.find((candidate) => candidate.keypairId === keypairId);
  if (pair === undefined) return undefined;
  const user = gmail.identities.find(({ use }) =>
    use.kind === 'dual'
      ? use.keypairId === keypairId
      : use.signingKeypairId === keypairId || use.encryptionKeypairId === keypairId,
  );
  if (user !== undefined) return `The identity ${user.address} uses key pair ${keypairId}.`;
  return whyNotObliterate(pair.enabled ? undefined : pair.disabledAt, now, keypairId);
}
