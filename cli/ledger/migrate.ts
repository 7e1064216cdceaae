/** `ledger migrate`: the tables of a ledger that exists, brought to what the next version's functions need. */
import { parseSettings, type Settings } from '../../shared/config/settings.ts';
import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { withProgress } from '../progress.ts';

export interface Migrated {
  readonly applied: readonly number[];
  readonly schema: number;
  readonly missingRoles: readonly string[];
}

export interface LedgerSurroundings {
  /** By default the ledger that the settings name. */
  readonly migrate?: (settings: Settings) => Promise<Migrated>;
}

export const ledgerMigrate = ({ migrate = migrateSettings }: LedgerSurroundings = {}): Command => ({
  name: 'ledger migrate',
  summary: 'brings the tables of a ledger that exists to this version; before the functions are deployed',
  operands: [],
  flags: {},
  notes: [
    'In the environment: SEALWRIGHT_DATABASE_URL, the address of the ledger with the login of its owner (docs/deploy.md). All that is missing is applied in one transaction, and the roles of functions get their rights; done already is success. A new ledger gets its tables from "ca init".',
    'Ends with 4 when a role of a function is missing because the owner may not make roles; says which.',
  ],
  async run(call) {
    if ((call.environment['SEALWRIGHT_DATABASE_URL'] ?? '') === '')
      throw new UsageError(
        'Missing in the environment: SEALWRIGHT_DATABASE_URL (the address of the ledger, postgres://…).',
      );
    const settings = parseSettings({ ...call.environment });
    const migrated = await withProgress(
      call.terminal,
      () => 'migrating the ledger',
      () => migrate(settings),
    );
    return {
      exitCode: migrated.missingRoles.length > 0 ? EXIT.partlyDone : EXIT.done,
      document: migrated,
      text: describe(migrated),
    };
  },
});

/** Loaded only here: other commands need no database. */
async function migrateSettings(settings: Settings): Promise<Migrated> {
  const { composeMigration } = await import('../../functions/compose/migration.ts');
  return await composeMigration(settings);
}

const describe = ({ applied, schema, missingRoles }: Migrated): string =>
  [
    applied.length === 0
      ? `The ledger is at migration ${schema} already.`
      : `The ledger is at migration ${schema}; applied ${applied.join(', ')}.`,
    ...(missingRoles.length === 0
      ? []
      : [
          `Roles are missing: ${missingRoles.join(', ')}. Have an administrator of the database make each (CREATE ROLE … NOLOGIN), then run this again: it gives them their rights.`,
        ]),
  ].join('\n');
