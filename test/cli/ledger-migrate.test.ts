import { describe, expect, it } from 'vitest';
import { ledgerMigrate, type Migrated } from '../../cli/ledger/migrate.ts';
import { sealwright } from './sealwright.ts';

const ADDRESS = 'postgresql://sealwright:hunter2@127.0.0.1:5432/sealwright';

const run = (migrated: Migrated, environment: Readonly<Record<string, string>> = {}) =>
  sealwright(['ledger', 'migrate'], environment, [
    ledgerMigrate({
      migrate: async ({ SEALWRIGHT_DATABASE_URL: url }) => {
        expect(url).toBe(ADDRESS);
        return migrated;
      },
    }),
  ]);

describe('ledger migrate', () => {
  const environment = { SEALWRIGHT_DATABASE_URL: ADDRESS };

  it('says which migrations it applied', async () => {
    const ended = await run({ applied: [17, 18], schema: 18, missingRoles: [] }, environment);
    expect(ended).toMatchObject({
      exit: 0,
      stdout: 'The ledger is at migration 18; applied 17, 18.\n',
    });
  });

  it('succeeds where nothing is missing', async () => {
    const ended = await run({ applied: [], schema: 18, missingRoles: [] }, environment);
    expect(ended).toMatchObject({ exit: 0, stdout: 'The ledger is at migration 18 already.\n' });
  });

  it('ends with 4 and says what to do where the owner may not make roles', async () => {
    const ended = await run({ applied: [18], schema: 18, missingRoles: ['sealwright_sign'] }, environment);
    expect(ended.exit).toBe(4);
    expect(ended.stdout).toContain('Roles are missing: sealwright_sign.');
  });

  it('names the setting it needs', async () => {
    const ended = await run({ applied: [], schema: 18, missingRoles: [] });
    expect(ended).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining('Missing in the environment: SEALWRIGHT_DATABASE_URL'),
    });
  });
});
