/** The issuer that an admin names. */
import type { IssuerRecord } from '../domain/records.ts';
import { permanent } from '../errors.ts';
import type { AuthorityDeps } from './deps.ts';

/** Throws `issuer-missing` (permanent), with those there are, for one the ledger does not know. */
export async function knownIssuer(
  { ledger }: Pick<AuthorityDeps, 'ledger'>,
  issuerId: string,
): Promise<IssuerRecord> {
  const issuer = await ledger.readIssuer(issuerId);
  if (issuer !== undefined) return issuer;
  const known = (await ledger.issuers()).map((each) => `${each.issuerId} (${each.state})`).join(', ');
  throw permanent(
    'issuer-missing',
    `The ledger has no issuer ${issuerId}; it has ${known === '' ? 'none' : known}.`,
  );
}
