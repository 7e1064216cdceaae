import type { Facts } from '../facts.ts';

/**
 * Why Gmail has nothing more of somebody, without a full stop: deleted, or out and in no list, as the deleted are after twenty days.
 * Undefined for all others: whoever is not out may be in no list by a mistake of the directory, and waits.
 */
export function whyGone({ presence, ledger }: Facts): string | undefined {
  if (presence.kind === 'deleted') return 'The account is deleted';
  if (presence.kind === 'absent' && ledger.user?.state === 'out')
    return 'The account is in no list of the directory';
  return undefined;
}
