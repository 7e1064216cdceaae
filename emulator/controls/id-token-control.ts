import { invalidArgument, notFound } from '../core/google-error.ts';
import { GOOGLE_ISSUER } from '../core/outbound-request.ts';
import type { Accounts, IdTokens } from '../core/rooms.ts';
import { serviceAccountId } from '../core/service-account-id.ts';

/**
 * `{"email","audience"}`: a fresh Google ID token for an account of the tenant or a service account, one hour by the
 * emulator's clock. Throws 400 for a request that does not fit or an account that cannot sign in, 404 for an address
 * nobody has.
 */
export async function mintIdToken(
  parts: { readonly accounts: Accounts; readonly idTokens: IdTokens },
  request: Readonly<Record<string, unknown>>,
): Promise<string> {
  const unknown = Object.keys(request).find((key) => key !== 'email' && key !== 'audience');
  if (unknown !== undefined)
    throw invalidArgument(`Unknown field "${unknown}"; known are email and audience.`);
  const email = text(request, 'email').toLowerCase();
  const audience = text(request, 'audience');
  return parts.idTokens.mint(GOOGLE_ISSUER, { ...claimsFor(parts.accounts, email, audience), aud: audience });
}

function claimsFor(accounts: Accounts, email: string, audience: string): Record<string, unknown> {
  if (email.endsWith('.gserviceaccount.com')) {
    const id = serviceAccountId(email);
    return { azp: id, sub: id, email, email_verified: true };
  }
  const account = accounts.byAddress(email);
  if (account === undefined) throw notFound(`Nobody in the directory has the address ${email}.`);
  if (account.suspended || account.archived)
    throw invalidArgument(
      `${account.primaryEmail} cannot sign in: the account is ${account.suspended ? 'suspended' : 'archived'}.`,
    );
  return {
    azp: audience,
    sub: account.id,
    hd: account.primaryEmail.slice(account.primaryEmail.indexOf('@') + 1),
    email: account.primaryEmail,
    email_verified: true,
  };
}

function text(request: Readonly<Record<string, unknown>>, field: string): string {
  const value = request[field];
  if (typeof value !== 'string' || value === '')
    throw invalidArgument(`"${field}" must be a text that is not empty.`);
  return value;
}
