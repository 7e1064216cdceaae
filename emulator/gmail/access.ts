import { failedPrecondition, GoogleError, permissionDenied } from '../core/google-error.ts';
import type { Account, Accounts } from '../core/rooms.ts';
import type { Call } from '../core/route.ts';
import type { CseAdministration } from './administration.ts';

const SCOPE = 'https://www.googleapis.com/auth/gmail';

/** Any one of these lets a caller change CSE settings. */
export const WRITE_SCOPES: readonly string[] = [`${SCOPE}.settings.basic`, `${SCOPE}.settings.sharing`];
/** Any one of these lets a caller read them. */
export const READ_SCOPES: readonly string[] = [
  ...WRITE_SCOPES,
  'https://mail.google.com/',
  `${SCOPE}.modify`,
  `${SCOPE}.readonly`,
];

/**
 * The account a CSE call is about. Throws as Gmail does: 400 for a service account that speaks for nobody, 403 when
 * the path names somebody else than the token's user, 400 without a mailbox, 403 without client-side encryption.
 */
export function accountOf(call: Call, accounts: Accounts, administration: CseAdministration): Account {
  const { caller } = call;
  if (caller?.kind !== 'user') throw failedPrecondition('Precondition check failed.');
  const named = call.params['userId'] ?? 'me';
  if (named !== 'me' && named.toLowerCase() !== caller.email.toLowerCase()) {
    throw permissionDenied(`Delegation denied for ${caller.email}`);
  }
  const account = accounts.byAddress(caller.email);
  if (account === undefined || !hasMailService(account)) throw failedPrecondition('Mail service not enabled');
  const refusal = administration.refusal(account);
  if (refusal !== undefined) throw new GoogleError(403, 'permissionDenied', refusal);
  return account;
}

/** False for accounts that Gmail does not serve: suspended, archived, or without a mailbox as yet. */
export const hasMailService = (account: Account): boolean =>
  account.mailboxReady && !account.suspended && !account.archived;
