import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { DIGEST, LISTED_WORDS } from '../../../shared/domain/listed-users.ts';
import { ID_WORDS, packedIds } from '../../../shared/domain/packed-id.ts';
import { permanent, retryable } from '../../../shared/errors.ts';
import {
  SWEEP_SUBJECT,
  type SweepLedger,
  type SweptMoment,
  type SweptUser,
} from '../../../shared/ports/ledger/sweeps.ts';
import { DELETED, type ListedStanding, UNPLACED } from '../../../shared/sources/sweep/compare.ts';
import { headText, type TableHead, usableHead } from '../../../shared/sources/sweep/kept-table.ts';
import { LedgerIndex } from '../../../shared/sources/sweep/ledger-index.ts';
import { DAY_MS, HOUR_MS } from '../../support/fakes/world.ts';
import { type Company, openCompany } from './company.ts';
import { packedAs } from './packed-as.ts';

const NOW = new Date('2027-03-01T09:00:00Z');
const isNotKept = (error: unknown): never => expect.unreachable(String(error));
const LEASE = { subject: SWEEP_SUBJECT, holder: 'somebody', fence: 1n };

type Table = Parameters<SweepLedger['keepTable']>[2];
type TestLedger = Parameters<typeof LedgerIndex.load>[0];

type Row = Required<SweptUser>;

/** Of a user whom no list shows in another way than the ledger has them. */
const plain = (userId: string, state: Row['state']): Row => ({
  ...{ userId, state, ruleName: 'staff', addressDigest: 1 },
  ...{ hasLeftScope: false, isSuspended: false, isDeleted: false, isArchived: false, isObserved: false },
});

/** A ledger of these rows, with what was kept of it and how often everybody's row was read. */
class Rows implements TestLedger {
  readonly rows = new Map<string, Row>();
  kept: Table | undefined;
  /** Written since, and once more where a test says so. */
  readonly changed = new Set<string>();
  writes = 0;
  reads = 0;

  write(row: Row): void {
    this.rows.set(row.userId, row);
    this.changed.add(row.userId);
    this.writes += 1;
  }

  async keepTable(_: unknown, __: string, { head, bytes }: Table): Promise<void> {
    this.kept = { head, bytes: bytes.slice() };
    this.changed.clear();
    this.writes = 0;
  }

  atOneMoment<T>(read: (moment: SweptMoment) => Promise<T>): Promise<T> {
    const { kept, writes } = this;
    const of = (rows: Iterable<Row>) => [...rows].map((row) => packedAs(row));
    const reads = () => {
      this.reads += 1;
      return of(this.rows.values());
    };
    return read({
      name: 'now',
      estimateUsers: async () => 0,
      packedUsers: async (take) => reads().forEach(take),
      keptTable: async () => (kept === undefined ? undefined : { head: kept.head, writes }),
      keptBytes: async (take) => {
        for (let at = 0; at < (kept?.bytes.length ?? 0); at += 1_000)
          take(kept?.bytes.subarray(at, at + 1_000) ?? new Uint8Array());
      },
      changedUsers: async () => ({
        users: this.changed.size,
        packed: of([...this.changed].flatMap((userId) => this.rows.get(userId) ?? [])),
      }),
    });
  }
}

const STATES = ['ready', 'pending', 'blocked', 'leaving', 'out'] as const;
const IDS = Array.from({ length: 40 }, (_, index) =>
  index % 4 === 0 ? `odd-${index}` : `1${String(index * 7_919).padStart(20, '0')}`,
);
const LAST = { isGone: () => false, observes: (ruleName?: string) => ruleName === 'others' };
const KINDS: readonly ListedStanding[] = [
  ...['staff', 'others'].flatMap((ruleName): ListedStanding[] => {
    const observes = LAST.observes(ruleName);
    return [
      { kind: 'covered', ruleName, observes, isUnsure: false },
      { kind: 'suspended', ruleName, observes },
    ];
  }),
  { kind: 'outside', last: LAST },
  { kind: 'archived', last: LAST },
  UNPLACED,
  DELETED,
];

/** All that a sweep asks of its table. */
function answers(index: LedgerIndex) {
  const ids = packedIds(IDS);
  const found = KINDS.flatMap((_, kind) =>
    [1, 2].map((digest) => {
      const words = new Int32Array(IDS.length * LISTED_WORDS);
      for (let at = 0; at < IDS.length; at += 1) {
        words.set(ids.subarray(at * ID_WORDS, (at + 1) * ID_WORDS), at * LISTED_WORDS);
        words[at * LISTED_WORDS + DIGEST] = digest;
      }
      return index.suspects({
        ...{ words, length: IDS.length, kinds: KINDS, oddIds: new Map() },
        standings: new Uint16Array(IDS.length).fill(kind),
      });
    }),
  );
  return { count: index.count(), size: index.size, found, deleted: index.suspectedDeleted(ids) };
}

describe('the table that a sweep kept', () => {
  test('says of everybody what their rows say, whatever was written since, and is taken up again and again', async () => {
    const row: fc.Arbitrary<Row> = fc.record({
      userId: fc.constantFrom(...IDS),
      state: fc.constantFrom(...STATES),
      ruleName: fc.constantFrom('staff', 'others'),
      addressDigest: fc.constantFrom(1, 2),
      hasLeftScope: fc.boolean(),
      isSuspended: fc.boolean(),
      isDeleted: fc.boolean(),
      isArchived: fc.boolean(),
      isObserved: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(row, { maxLength: 30 }), { minLength: 2 }), async (rounds) => {
        const ledger = new Rows();
        for (const rows of rounds) {
          for (const each of rows) ledger.write(each);
          const taken = await LedgerIndex.load(ledger, LEASE, NOW, isNotKept);
          const fresh = new Rows();
          for (const each of ledger.rows.values()) fresh.write(each);
          expect(answers(taken)).toEqual(answers(await LedgerIndex.load(fresh, LEASE, NOW, isNotKept)));
        }
        expect(ledger.reads).toBe(1);
      }),
      { numRuns: 40 },
    );
  });

  test('names whoever no list named, and nobody else', async () => {
    const ledger = new Rows();
    for (const userId of IDS) ledger.write(plain(userId, 'ready'));
    const [one, two, three, four] = IDS.filter((userId) => !userId.startsWith('odd'));
    const seenBut = async (userId: string | undefined) => {
      const index = await LedgerIndex.load(ledger, LEASE, NOW, isNotKept);
      index.suspectedDeleted(packedIds(IDS.filter((each) => each !== userId)));
      return [...index.unseen()].flat();
    };
    // Whom the first sweep saw, the second has not seen yet.
    expect(await seenBut(one)).toEqual([one]);
    expect(await seenBut(two)).toEqual([two]);
    ledger.write(plain(three ?? '', 'out'));
    expect(await seenBut(three)).toEqual([]);
    expect(await seenBut(four)).toEqual([four]);
    expect(ledger.reads).toBe(1);
  });

  test.each<[string, (ledger: Rows) => void]>([
    ['somebody’s row is gone', (ledger) => ledger.changed.add('nobody')],
    ['bytes are missing', (ledger) => cut(ledger, (bytes) => bytes.subarray(16))],
    ['there are too many bytes', (ledger) => cut(ledger, (bytes) => Buffer.concat([bytes, bytes]))],
    [
      'it was kept in another form',
      (ledger) => changeHead(ledger, (head) => head.replace('"format":1', '"format":0')),
    ],
    [
      'two of its statuses are one',
      (ledger) => changeHead(ledger, (head) => head.replace('"pending"', '"ready"')),
    ],
    [
      'more were written since than one in fifty',
      (ledger) => {
        ledger.writes = 1_001;
      },
    ],
  ])('is not used where %s; everybody’s row is read, and the table kept anew', async (_, spoil) => {
    const ledger = new Rows();
    for (const [at, userId] of IDS.entries()) ledger.write(plain(userId, STATES[at % 5] ?? 'out'));
    const before = answers(await LedgerIndex.load(ledger, LEASE, NOW, isNotKept));
    const { head } = ledger.kept ?? expect.unreachable();
    spoil(ledger);
    expect(answers(await LedgerIndex.load(ledger, LEASE, NOW, isNotKept))).toEqual(before);
    expect(ledger.reads).toBe(2);
    expect(ledger.kept?.head).toBe(head);
  });

  test('is not used where those written since would make more statuses than an entry can tell apart', async () => {
    const ledger = new Rows();
    const rule = (number: number, userId: string) => ({
      ...plain(userId, 'ready'),
      ruleName: `rule ${number}`,
    });
    for (let number = 1; number <= 1_000; number += 1) ledger.write(rule(number, String(number)));
    await LedgerIndex.load(ledger, LEASE, NOW, isNotKept);
    for (let number = 1; number <= 100; number += 1) ledger.write(rule(1_000 + number, String(number)));
    expect((await LedgerIndex.load(ledger, LEASE, NOW, isNotKept)).count()).toEqual({
      served: 1_000,
      ready: 1_000,
    });
    expect(ledger.reads).toBe(2);
  });

  test('has the form of its number: whoever changes what the bytes mean gives it another (`FORMAT`)', async () => {
    const ledger = new Rows();
    for (const [at, userId] of IDS.entries())
      ledger.write({ ...plain(userId, STATES[at % 5] ?? 'out'), addressDigest: at });
    await LedgerIndex.load(ledger, LEASE, NOW, isNotKept);
    const { head, bytes } = ledger.kept ?? expect.unreachable();
    expect([
      JSON.parse(head).format,
      createHash('sha256').update(head).update(bytes).digest('hex'),
    ]).toMatchInlineSnapshot(`
      [
        1,
        "18f17fa9f2a547b1476fa27c4627b01d0da05995e6834ca13d8cfb89c91fadb4",
      ]
    `);
  });
});

function cut(ledger: Rows, change: (bytes: Uint8Array) => Uint8Array): void {
  if (ledger.kept !== undefined) ledger.kept = { ...ledger.kept, bytes: change(ledger.kept.bytes) };
}

function changeHead(ledger: Rows, change: (head: string) => string): void {
  if (ledger.kept === undefined) return;
  const head = change(ledger.kept.head);
  expect(head).not.toBe(ledger.kept.head);
  ledger.kept = { ...ledger.kept, head };
}

describe('a table that was kept is to be used', () => {
  const head: TableHead = { readAt: NOW, slots: 10, entries: 1_000_000, statuses: [] };
  const at = (ms: number) => new Date(NOW.getTime() + ms);
  test.each([
    ['at once', 0, 0, true],
    ['until a day has passed', DAY_MS - 1, 0, true],
    ['and no longer', DAY_MS, 0, false],
    ['not before it was kept, by a clock that was put back', -1, 0, false],
    ['with one in fifty written since', 0, 20_000, true],
    ['and not with more', 0, 20_001, false],
  ])('%s', (_, afterMs, writes, isUsed) => {
    expect(usableHead({ head: headText(head), writes }, at(afterMs))).toEqual(
      isUsed ? expect.objectContaining(head) : undefined,
    );
  });

  test('of a small company whoever was written, and of a huge one not with more writes than are counted', () => {
    const small = headText({ ...head, entries: 10 });
    expect(usableHead({ head: small, writes: 1_000 }, NOW)).toBeDefined();
    const huge = headText({ ...head, entries: 100_000_000 });
    expect(usableHead({ head: huge, writes: 99_999 }, NOW)).toBeDefined();
    expect(usableHead({ head: huge, writes: 100_000 }, NOW)).toBeUndefined();
  });
});

describe('a sweep', () => {
  let company: Company;
  let reads: number;
  beforeEach(async () => {
    company = await openCompany();
    reads = 0;
    const { ledger } = company;
    const { atOneMoment } = ledger;
    ledger.atOneMoment = (read) =>
      Reflect.apply(atOneMoment, ledger, [
        (moment: SweptMoment) =>
          read({
            ...moment,
            packedUsers: (take) => {
              reads += 1;
              return moment.packedUsers(take);
            },
          }),
      ]);
    for (let id = 1; id <= 6; id += 1) await company.employ(String(id));
    company.clock.advance(1000);
  });
  afterEach(() => company.close());

  it('reads everybody’s row once a day, and in between whoever was written since', async () => {
    expect(await company.sweep()).toEqual([]);
    expect(reads).toBe(1);
    company.directory.put({ userId: '2', orgUnitPath: '/Contractors' });
    await company.sight('3', 'out');
    expect(await company.nextSweep()).toEqual(['2 left-scope', '3 came-into-scope']);
    await company.sight('3');
    expect(await company.nextSweep()).toEqual(['2 left-scope']);
    expect(reads).toBe(1);
    company.clock.advance(DAY_MS);
    await company.nextSweep();
    expect(reads).toBe(2);
  });

  it('sees what a look wrote after the table was kept', async () => {
    await company.sweep();
    company.directory.put({ userId: '4', primaryEmail: 'married@acme.example' });
    await company.sight('4');
    company.directory.put({ userId: '5', primaryEmail: 'also@acme.example' });
    expect(await company.nextSweep()).toEqual(['5 addresses-changed']);
    expect(reads).toBe(1);
  });

  it('that gives up waits for its table, or else an older one could take the place of one that the next sweep kept', async () => {
    const { ledger, directory } = company;
    const soon = () => new Promise((resolve) => setTimeout(resolve, 200));
    const { keepTable } = ledger;
    let kept = 0;
    ledger.keepTable = async (...args) => {
      kept += 1;
      if (kept === 1) await soon();
      return await Reflect.apply(keepTable, ledger, args);
    };
    let asked = 0;
    await company.sweep({
      directory: {
        ...directory,
        livingPage: async (page) => {
          asked += 1;
          if (asked > 1) {
            await soon();
            await soon();
            return await directory.livingPage(page);
          }
          // After the moment at which the ledger was read.
          await company.sight('3', 'out');
          await company.requestSweep('again');
          throw permanent('forbidden', 'Not allowed.');
        },
      },
    });
    expect(await company.nextSweep()).toEqual(['3 came-into-scope']);
  });

  it('is whole and says so where the table cannot be kept; where the ledger is gone it goes on later', async () => {
    const { ledger } = company;
    const { keepTable } = ledger;
    let error: Error = new Error('The database refused a statement.');
    ledger.keepTable = async () => {
      throw error;
    };
    company.directory.put({ userId: '2', orgUnitPath: '/Contractors' });
    expect(await company.sweep()).toEqual(['2 left-scope']);
    expect(company.log.of('sweep-table-not-kept')).toEqual([
      expect.objectContaining({
        fields: expect.objectContaining({ message: 'The database refused a statement.' }),
      }),
    ]);
    error = retryable('ledger-unavailable', 'The ledger is gone.');
    await expect(company.nextSweep()).rejects.toThrow('The ledger is gone.');
    ledger.keepTable = keepTable;
    expect(await company.sweep()).toEqual(['2 left-scope']);
    expect(company.log.of('sweep-table-not-kept')).toHaveLength(1);
  });

  it('finds somebody missing by a table that was kept', async () => {
    await company.sweep();
    company.directory.forget('6');
    company.clock.advance(HOUR_MS);
    await company.nextSweep();
    expect((await company.ledger.sweepOverview()).lastWhole).toMatchObject({ state: 'whole', missing: 1 });
    expect(reads).toBe(1);
  });
});
