import type { Database } from '../../shared/adapters/ledger/database.ts';
import { createLedger } from '../../shared/adapters/ledger/ledger.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import { memoryDatabase } from '../support/fakes/ledger/ledger.ts';

/** Rows that several processes share, and what a contract needs to see of them. */
export interface LedgerSubject {
  /** The ledger as one more process sees it. */
  open(clock: Clock): Ledger;
  /** Every row of every table but the leases', to see that nothing was written. */
  contents(): Promise<unknown>;
  /** Ends the lease on a subject, as its expiry would. */
  expire(subject: string): Promise<void>;
  close(): Promise<void>;
  /** Throws where there is none: only for what is about SQL. */
  readonly database: Database;
}

/** What a contract is run against. Promises that only SQL can be asked about are left out where there is none. */
export interface LedgerKind {
  readonly speaksSql: boolean;
  start(): Promise<LedgerSubject>;
}

/** `open` answers an empty database with the schema. */
export const inSql = (open: () => Promise<Database>): LedgerKind => ({
  speaksSql: true,
  start: async () => {
    const database = await open();
    return {
      open: (clock) => createLedger({ database, clock }),
      contents: () => contentsOf(database),
      expire: async (subject) => {
        await database.query(
          `UPDATE leases SET expires_at = now() - interval '1 second' WHERE subject = $1`,
          [subject],
        );
      },
      close: () => database.close(),
      database,
    };
  },
});

export const inMemory: LedgerKind = {
  speaksSql: false,
  start: async () => {
    const memory = memoryDatabase();
    return {
      open: (clock) => memory.open({ clock }),
      contents: async () => memory.contents(),
      expire: async (subject) => memory.expireLeases(subject),
      close: async () => undefined,
      get database(): Database {
        throw new Error('There is no database behind a ledger in memory.');
      },
    };
  },
};

async function contentsOf(database: Database): Promise<unknown> {
  const tables = await database.query<{ tablename: string }>(
    `SELECT tablename FROM pg_tables
      WHERE schemaname = current_schema() AND tablename NOT IN ('leases', 'migrations') ORDER BY tablename`,
  );
  const rows: Record<string, unknown> = {};
  for (const { tablename } of tables) {
    const found = await database.query<{ row: string }>(
      `SELECT row::text AS row FROM ${tablename} AS row ORDER BY 1`,
    );
    rows[tablename] = found.map(({ row }) => row);
  }
  return rows;
}
