/** Schemas of their own on the PostgreSQL that `run.ts` provides, or a benchmark. Knows no test runner. */
import { randomUUID } from 'node:crypto';
import { openPostgres } from '../../shared/adapters/ledger/postgres.ts';

export const serverUrl = (): string => {
  const url = process.env.DATABASE_URL;
  if (url === undefined || url === '') {
    throw new Error('DATABASE_URL is not set: these tests are run by `npm run test:postgres`');
  }
  return url;
};

export interface Place {
  /** Leads every connection into a schema of its own. */
  readonly connectionString: string;
  readonly schema: string;
  /** Removes the schema with everything in it. */
  remove(): Promise<void>;
}

/** A new, empty schema. */
export const makePlace = async (): Promise<Place> => {
  const schema = `test_${randomUUID().replaceAll('-', '')}`;
  const admin = openPostgres({ connectionString: serverUrl(), maxConnections: 1 });
  await admin.query(`CREATE SCHEMA ${schema}`);
  await admin.close();
  const url = new URL(serverUrl());
  url.searchParams.set('options', `-c search_path=${schema}`);
  return {
    connectionString: url.href,
    schema,
    remove: async () => {
      const remover = openPostgres({ connectionString: serverUrl(), maxConnections: 1 });
      await remover.query('SET client_min_messages = warning');
      await remover.query(`DROP SCHEMA ${schema} CASCADE`);
      await remover.close();
    },
  };
};
