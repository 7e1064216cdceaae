/** Two ledgers that are told the same and must answer the same: how the one in memory is held to the one in SQL. */
import { isDeepStrictEqual } from 'node:util';
import { isSealwrightError } from '../../../../shared/errors.ts';
import type { SweptMoment } from '../../../../shared/ports/ledger/sweeps.ts';
import type { CrlIntent, CrlText, Lease, Ledger } from '../../../../shared/ports/ledger.ts';
import { PackedUsers, Statuses } from '../../../../shared/sources/sweep/packed-users.ts';
import { gathered } from '../../gathered.ts';

/** Thrown when the two answer differently. No error of the product's, so nothing handles it. */
export class TwinsDiffer extends Error {
  override readonly name = 'TwinsDiffer';
}

type Outcome = { readonly answer: unknown } | { readonly code: string; readonly error: unknown };

/**
 * Answers as `first` does, once `second` has answered the same. Calls take turns, so that both see one order. Errors of
 * the product are compared by code, other ones only by being there: whose sentence it is differs.
 */
export function twinLedger(first: Ledger, second: Ledger): Ledger {
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn =
    <Args extends readonly unknown[], T>(work: (...args: Args) => Promise<T>) =>
    (...args: Args): Promise<T> => {
      const mine = turn.then(() => work(...args));
      turn = mine.catch(() => undefined);
      return mine;
    };
  const both = (name: string, given: readonly unknown[]): Promise<unknown> => {
    const args = given.map((arg) => (typeof arg === 'function' ? askedOnce(arg as Ask) : arg));
    const mine = turn.then(async () => {
      const one = await outcomeOf(first, name, args);
      expectSame(name, one, await outcomeOf(second, name, args));
      if ('error' in one) throw one.error;
      return one.answer;
    });
    turn = mine.catch(() => undefined);
    return mine;
  };
  return new Proxy(first, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function' || typeof name !== 'string') return value;
      if (name === 'recordCrlIntent')
        return async (lease: Lease, intent: CrlIntent) =>
          both(name, [lease, { ...intent, text: await readOnce(intent.text) }]);
      if (name === 'seenBySweep')
        return (sweepId: bigint) => alike(name, first.seenBySweep(sweepId), second.seenBySweep(sweepId));
      if (name === 'membersOfSweep')
        return (sweepId: bigint) =>
          alike(name, first.membersOfSweep(sweepId), second.membersOfSweep(sweepId));
      if (name === 'atOneMoment') return inTurn((read: Read) => atBoth(first, second, read));
      if (name === 'keepTable') return inTurn((...kept: Kept) => keepInBoth(first, second, kept));
      return (...args: readonly unknown[]) => both(name, args);
    },
  });
}

type Read = (moment: SweptMoment) => Promise<unknown>;
type Kept = Parameters<Ledger['keepTable']>;

const atBoth = (first: Ledger, second: Ledger, read: Read): Promise<unknown> =>
  first.atOneMoment((one) => second.atOneMoment((other) => read(momentOfBoth(one, other))));

async function keepInBoth(first: Ledger, second: Ledger, [lease, moment, table]: Kept): Promise<void> {
  const [one, other] = JSON.parse(moment) as [string, string];
  await first.keepTable(lease, one, table);
  await second.keepTable(lease, other, table);
}

/** The real one counts a write that changes nothing in the end; who is there is compared in whatever order. */
const momentOfBoth = (one: SweptMoment, other: SweptMoment): SweptMoment => ({
  ...one,
  name: JSON.stringify([one.name, other.name]),
  packedUsers: async (take) => {
    const [parts, also] = [await gathered(one.packedUsers), await gathered(other.packedUsers)];
    expectSame('packedUsers', { answer: records(parts) }, { answer: records(also) });
    take(parts);
  },
  keptTable: async () => {
    const [kept, also] = [await one.keptTable(), await other.keptTable()];
    expectSame('keptTable', { answer: kept?.head }, { answer: also?.head });
    return kept;
  },
});

function records(packed: Uint8Array): readonly string[] {
  const statuses = new Statuses();
  const users = new PackedUsers(packed, statuses);
  const found: string[] = [];
  while (users.next())
    found.push(`${users.id} ${users.hasDigest} ${users.digest} ${JSON.stringify(statuses.at(users.status))}`);
  return found.toSorted();
}

type Ask = (...asked: readonly unknown[]) => unknown;

/** Whoever is asked something by a ledger is asked by the first one alone: what they read from may be gone by then. */
function askedOnce(ask: Ask): Ask {
  const said = new Map<string, unknown>();
  return (...asked) => {
    const question = text(asked);
    if (!said.has(question)) said.set(question, ask(...asked));
    return said.get(question);
  };
}

/** The text of a CRL as both can read it: its blocks come once, and ask these ledgers while they do. */
async function readOnce({ blocks, around }: CrlText): Promise<CrlText> {
  const read: Uint8Array[] = [];
  for await (const block of blocks) read.push(block);
  return { blocks: read, around };
}

async function outcomeOf(ledger: Ledger, name: string, args: readonly unknown[]): Promise<Outcome> {
  try {
    const method = Reflect.get(ledger, name) as (...args: readonly unknown[]) => unknown;
    return { answer: await Reflect.apply(method, ledger, args) };
  } catch (error) {
    return { code: isSealwrightError(error) ? error.code : 'refused', error };
  }
}

function expectSame(name: string, one: Outcome, other: Outcome): void {
  const said = (outcome: Outcome): unknown =>
    'code' in outcome ? { code: outcome.code } : { answer: plain(outcome.answer) };
  if (isDeepStrictEqual(said(one), said(other))) return;
  throw new TwinsDiffer(`${name} answers ${text(said(one))} in SQL and ${text(said(other))} in memory.`);
}

/** Bytes compare as bytes, whatever their class; a field that is undefined is an absent one. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (value instanceof Date) return value;
  if (value instanceof Map) return new Map([...value].map(([key, entry]) => [key, plain(entry)]));
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'function') return 'a function';
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, entry]) => (entry === undefined ? [] : [[key, plain(entry)]])),
  );
}

const text = (value: unknown): string =>
  JSON.stringify(value, (_, entry: unknown) =>
    typeof entry === 'bigint' ? `${entry}n` : entry instanceof Map ? [...entry] : entry,
  );

async function* alike<T>(name: string, first: AsyncIterable<T>, second: AsyncIterable<T>): AsyncGenerator<T> {
  const [one, other] = await Promise.all([all(first), all(second)]);
  expectSame(name, { answer: one }, { answer: other });
  yield* one;
}

async function all<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}
