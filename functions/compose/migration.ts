import { type MigratedLedger, migrateAsOwner } from '../../shared/adapters/ledger/migrate-as-owner.ts';
import { need, type Settings } from '../../shared/config/settings.ts';

/** For the command line: the ledger that the settings name, brought to this code's schema by the login they name. */
export const composeMigration = (settings: Settings): Promise<MigratedLedger> =>
  migrateAsOwner(need(settings, 'SEALWRIGHT_DATABASE_URL'));
