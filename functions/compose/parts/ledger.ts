/** The ledger on PostgreSQL, unless the instance was given one. */
import { openPostgresLedger } from '../../../shared/adapters/ledger/open.ts';
import { need, type Settings } from '../../../shared/config/settings.ts';
import type { Ledger } from '../../../shared/ports/ledger.ts';
import type { Base, Given } from './base.ts';

/** For a function, whose login should be able to do what its role may and no more: says so in the log where it can do all. */
export async function ledgerOf(settings: Settings, given: Given, { clock, log }: Base): Promise<Ledger> {
  if (given.ledger !== undefined) return given.ledger;
  const connectionString = need(settings, 'SEALWRIGHT_DATABASE_URL');
  const ownsTables = (login: string) =>
    log.warning('ledger-login-owns', {
      login,
      message: `The function works on the ledger as ${login}, which may do everything there; give it the login of its own role (docs/deploy.md).`,
    });
  return await openPostgresLedger({ connectionString, clock, ownsTables });
}

/** For an admin's command, as the owner of the tables. */
export async function ledgerOfOwner(
  settings: Settings,
  given: Given,
  { clock }: Base,
  options: { readonly migrate: boolean },
): Promise<Ledger> {
  if (given.ledger !== undefined) return given.ledger;
  const connectionString = need(settings, 'SEALWRIGHT_DATABASE_URL');
  return await openPostgresLedger({ connectionString, clock, ...options });
}
