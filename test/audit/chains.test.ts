import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from '../../shared/adapters/ledger/database.ts';
import { createLedger } from '../../shared/adapters/ledger/ledger.ts';
import { ChainChecker } from '../../shared/audit/chain-checker.ts';
import { detailsText, entrySha256Hex } from '../../shared/audit/entry.ts';
import type { ChainedEntry } from '../../shared/ports/ledger/audit-chains.ts';
import type { AuditEntry, Ledger } from '../../shared/ports/ledger.ts';
import { asReplica } from '../support/fakes/database-copy.ts';
import { openTestDatabase } from '../support/ledger.ts';

const NOW = new Date('2027-03-01T08:00:00.123Z');

let database: Database;
let ledger: Ledger;

beforeAll(async () => {
  database = await openTestDatabase();
  ledger = createLedger({ database, clock: { now: () => NOW } });
});
afterAll(() => ledger.close());
beforeEach(() => asSuperuser('DELETE FROM audit; DELETE FROM audit_chains;'));

const asSuperuser = (sql: string) => asReplica(database, sql);

const entry = (userId: string | undefined, fields: Partial<AuditEntry> = {}): AuditEntry => ({
  ...(userId === undefined ? {} : { userId }),
  cause: { source: 'watch', eventId: 'e-1', event: 'add', at: new Date('2027-03-01T07:59:59.001Z') },
  step: 'issue-leaf',
  reason: 'Rule "staff" covers /Staff — größer: 日本.',
  outcome: 'done',
  details: { serialHex: '01ab', departure: false, ms: 12, nothing: null },
  ...fields,
});

const trail = (): Promise<readonly ChainedEntry[]> => ledger.auditTrail({ limit: 10_000 });

/** Kinds and places of what a checker finds, in order. */
const findings = (entries: readonly ChainedEntry[]): readonly string[] => {
  const checker = new ChainChecker();
  const found = [...entries.flatMap((taken) => checker.take(taken)), ...checker.end()];
  return found.map(({ kind, chain, place }) => `${kind} ${chain || '-'} ${place}`);
};

describe('the audit trail', () => {
  it('is chained by the database in the way that shared/audit computes, user by user', async () => {
    for (const userId of ['1', '2', undefined, '1', undefined, '1']) await ledger.audit(entry(userId));
    const entries = await trail();
    expect(entries.map(({ userId, place }) => `${userId ?? '-'} ${place}`)).toEqual([
      '1 1',
      '2 1',
      '- 1',
      '1 2',
      '- 2',
      '1 3',
    ]);
    expect(entries.map(entrySha256Hex)).toEqual(entries.map(({ sha256Hex }) => sha256Hex));
    expect(findings(entries)).toEqual([]);
  });

  it('hashes every text, every detail and every absence alike in SQL and in JavaScript', async () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 12 }).filter((value) => !value.includes('\0'));
    const value = fc.oneof(
      text,
      fc.boolean(),
      fc.constant(null),
      fc.integer(),
      fc.double({ noDefaultInfinity: true, noNaN: true }).map((number) => (number === 0 ? 0 : number)),
    );
    let last = 0n;
    const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
    await fc.assert(
      fc.asyncProperty(
        optional(text.filter((id) => id !== '')),
        text,
        optional(text),
        optional(fc.date({ min: new Date(0), max: new Date('9999-01-01'), noInvalidDate: true })),
        optional(fc.dictionary(text, value, { maxKeys: 5 })),
        async (userId, reason, actor, at, details) => {
          await ledger.audit({
            ...(userId === undefined ? {} : { userId }),
            cause: {
              source: 'audit',
              eventId: reason,
              event: 'X',
              ...(actor === undefined ? {} : { actor }),
              ...(at === undefined ? {} : { at }),
            },
            step: 'hint-ignored',
            reason,
            outcome: 'ignored',
            ...(details === undefined ? {} : { details }),
          });
          const [written] = await ledger.auditTrail({ afterId: last, limit: 2 });
          if (written === undefined) throw new Error('it was written');
          expect(entrySha256Hex(written)).toBe(written.sha256Hex);
          last = written.id;
        },
      ),
      { numRuns: 150 },
    );
  });

  it('writes details as the database prints them', async () => {
    const details = { b: 1e21, aa: 1e-7, a: -2.5e-10, c: 12.75, long: 'x"\\\n\u0001\u2028', é: true };
    const [row] = await database.query<{ text: string }>('SELECT ($1::jsonb)::text AS text', [
      JSON.stringify(details),
    ]);
    expect(detailsText(details)).toBe(row?.text);
  });

  it('takes what an earlier version wrote into its chains', async () => {
    // As the migration found them: rows that nothing had chained.
    await asSuperuser(`
      INSERT INTO audit (at, user_id, cause_source, cause_id, cause_event, step, reason, outcome, place,
                         previous_sha256_hex, sha256_hex)
      VALUES ('2027-01-01T00:00:00.5Z', '1', 'due', 'd', 'renew', 'issue-leaf', 'r', 'done', 1, repeat('0', 64), '');
      UPDATE audit SET sha256_hex = encode(sha256(convert_to(audit_text(audit), 'UTF8')), 'hex');
      INSERT INTO audit_chains SELECT user_id, place, sha256_hex FROM audit;`);
    await ledger.audit(entry('1'));
    expect(findings(await trail())).toEqual([]);
  });

  it('is refused a change by the database itself', async () => {
    await ledger.audit(entry('1'));
    await expect(database.query(`UPDATE audit SET reason = 'another'`)).rejects.toThrow('only grows');
    await expect(database.query('DELETE FROM audit')).rejects.toThrow('only grows');
    await expect(database.query('DELETE FROM audit_chains')).rejects.toThrow('are kept');
    await expect(database.query('UPDATE audit_chains SET place = place + 2')).rejects.toThrow(
      'one entry at a time',
    );
  });
});

describe('somebody with all rights on the database', () => {
  const changes: readonly (readonly [string, string, readonly string[]])[] = [
    ['changes a reason', `UPDATE audit SET reason = 'nothing happened' WHERE place = 2`, ['changed 1 2']],
    [
      'changes who did it',
      `UPDATE audit SET cause_actor = 'somebody@acme.example' WHERE place = 3`,
      ['changed 1 3'],
    ],
    ['changes a detail', `UPDATE audit SET details = '{"serialHex": "02"}' WHERE place = 1`, ['changed 1 1']],
    ['changes when it was', `UPDATE audit SET at = at - interval '1 day' WHERE place = 2`, ['changed 1 2']],
    ['removes an entry', 'DELETE FROM audit WHERE place = 2', ['removed 1 2']],
    ['removes the first', 'DELETE FROM audit WHERE place = 1', ['removed 1 1']],
    [
      'gives an entry to another user',
      `UPDATE audit SET user_id = '2' WHERE place = 4`,
      ['removed 2 1', 'removed 2 2', 'removed 2 3', 'changed 2 4'],
    ],
    [
      'removes one and closes the gap',
      `DELETE FROM audit WHERE place = 2;
       UPDATE audit SET place = place - 1 WHERE place > 2;
       UPDATE audit SET sha256_hex = encode(sha256(convert_to(audit_text(audit), 'UTF8')), 'hex') WHERE place > 1;`,
      ['inserted 1 2', 'inserted 1 3'],
    ],
    [
      'inserts one in the middle',
      `UPDATE audit SET place = place + 10 WHERE place > 2;
       INSERT INTO audit (at, user_id, cause_source, cause_id, cause_event, step, reason, outcome, place,
                          previous_sha256_hex, sha256_hex)
       SELECT at, user_id, 'admin', 'x', 'x', 'issue-leaf', 'made up', 'done', 3, sha256_hex, '' FROM audit WHERE place = 2;
       UPDATE audit SET sha256_hex = encode(sha256(convert_to(audit_text(audit), 'UTF8')), 'hex') WHERE place = 3;
       UPDATE audit SET place = place - 9 WHERE place > 10;`,
      ['changed 1 4', 'changed 1 5'],
    ],
  ];
  it.each(changes)('%s, and it shows', async (_what, sql, expected) => {
    for (let count = 0; count < 4; count += 1) await ledger.audit(entry('1', { reason: `reason ${count}` }));
    await asSuperuser(sql);
    expect(findings(await trail())).toEqual(expected);
  });
});

describe('the checker of chains', () => {
  it('takes entries of one chain that two writers numbered in the other order', async () => {
    for (let count = 0; count < 3; count += 1) await ledger.audit(entry('1'));
    const [first, second, third] = await trail();
    if (first === undefined || second === undefined || third === undefined)
      throw new Error('three were written');
    expect(findings([second, first, third])).toEqual([]);
    expect(findings([third, second])).toEqual(['removed 1 1']);
    expect(findings([first, second, second, third])).toEqual(['inserted 1 2']);
  });
});
