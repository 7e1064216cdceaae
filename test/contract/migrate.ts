/** What migrating promises, whatever database is underneath. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from '../../shared/adapters/ledger/database.ts';
import { type Migration, migrate, migrationOf, requireSchema } from '../../shared/adapters/ledger/migrate.ts';

const FIRST = migrationOf('0001-first.sql', 'CREATE TABLE first (a integer); INSERT INTO first VALUES (1);');
const SECOND = migrationOf(
  '0002-second.sql',
  'ALTER TABLE first ADD COLUMN b text; UPDATE first SET b = a::text;',
);
const BROKEN = migrationOf(
  '0002-broken.sql',
  'ALTER TABLE first ADD COLUMN c text; SELECT no_such_function();',
);

/** `open` answers a database without any table of the ledger's. */
export const migrationContract = (open: () => Promise<Database>): void => {
  let database: Database;
  beforeEach(async () => {
    database = await open();
  });
  afterEach(() => database.close());

  const first = () => database.query('SELECT * FROM first');
  const refusal = (message: RegExp) =>
    expect.objectContaining({
      kind: 'permanent',
      code: 'settings-invalid',
      message: expect.stringMatching(message),
    });
  const rejection = (promise: Promise<unknown>) =>
    promise.then(
      () => undefined,
      (error: unknown) => error,
    );

  it('applies what is missing, in order, once', async () => {
    expect(await migrate(database, [FIRST])).toEqual([1]);
    expect(await first()).toEqual([{ a: 1 }]);
    expect(await migrate(database, [FIRST, SECOND])).toEqual([2]);
    expect(await first()).toEqual([{ a: 1, b: '1' }]);
    expect(await migrate(database, [FIRST, SECOND])).toEqual([]);
    expect(await first()).toEqual([{ a: 1, b: '1' }]);
  });

  it('applies all or none: one that fails leaves nothing of any, and succeeds once repaired', async () => {
    await expect(migrate(database, [FIRST, BROKEN])).rejects.toThrow(/no_such_function/);
    await expect(first()).rejects.toThrow(/first/);
    expect(await migrate(database, [FIRST, SECOND])).toEqual([1, 2]);
  });

  it('refuses a database that is newer than the code, naming both, and changes nothing', async () => {
    await migrate(database, [FIRST, SECOND]);
    expect(await rejection(migrate(database, [FIRST]))).toEqual(refusal(/at migration 2 .* only 1/));
    expect(await first()).toEqual([{ a: 1, b: '1' }]);
  });

  it('refuses a migration that was edited after it was applied, naming it', async () => {
    await migrate(database, [FIRST]);
    const edited: Migration = migrationOf('0001-first.sql', `${FIRST.sql} -- one more thing`);
    expect(await rejection(migrate(database, [edited, SECOND]))).toEqual(refusal(/0001-first/));
    expect(await first()).toEqual([{ a: 1 }]);
  });

  it('does not take CRLF line ends for an edit', async () => {
    await migrate(database, [migrationOf('0001-first.sql', 'CREATE TABLE first\n(a integer)')]);
    expect(
      await migrate(database, [migrationOf('0001-first.sql', 'CREATE TABLE first\r\n(a integer)')]),
    ).toEqual([]);
  });

  describe('for code that may not migrate, a check', () => {
    it('refuses a database without, with an older and with a newer schema, and accepts its own', async () => {
      expect(await rejection(requireSchema(database, 1))).toEqual(refusal(/at migration 0 .* needs 1/));
      await migrate(database, [FIRST]);
      expect(await rejection(requireSchema(database, 2))).toEqual(refusal(/at migration 1 .* needs 2/));
      await requireSchema(database, 1);
      await migrate(database, [FIRST, SECOND]);
      expect(await rejection(requireSchema(database, 1))).toEqual(refusal(/at migration 2 .* only 1/));
    });
  });
};
