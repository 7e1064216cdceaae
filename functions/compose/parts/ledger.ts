/** The ledger on PostgreSQL, unless the instance was given one. */
import { openPostgresLedger } from '../../../shared/adapters/ledger/open.ts';
import { need, type Settings } from '../../../shared/config/settings.ts';
import type { Ledger } from '../../../shared/ports/ledger.ts';
import type { Base, Given } from './base.ts';

export async function ledgerOf(
  settings: Settings,
  given: Given,
  { clock }: Base,
  options: { readonly migrate?: boolean } = {},
): Promise<Ledger> {
  if (given.ledger !== undefined) return given.ledger;
  const connectionString = need(settings, 'SEALWRIGHT_DATABASE_URL');
  return await openPostgresLedger({ connectionString, clock, ...options });
}
