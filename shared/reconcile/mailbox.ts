import { retryable } from '../errors.ts';
import type { ReconcileDeps } from './context.ts';

/**
 * Gmail knows a mailbox by its address alone, and an address may go to somebody else after the look at the directory: what
 * is then read or written there is theirs. Asked after reading what lets somebody go for good, and before a key goes up,
 * which are rare; throws `intent-mismatch` (retryable), and the user is looked at again.
 */
export async function assertMailboxIsTheirs(
  { directory }: Pick<ReconcileDeps, 'directory'>,
  userId: string,
  mailbox: string,
): Promise<void> {
  const presence = await directory.presence(userId);
  if (presence.kind === 'present' && presence.user.primaryEmail === mailbox) return;
  throw retryable(
    'intent-mismatch',
    `The mailbox ${mailbox} is no longer that of the user ${userId}: nothing was done there, and the user is looked at again.`,
  );
}
