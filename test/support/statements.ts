/** Which statements each of the ledger's methods sends, learnt while others use ledgers made by `notingLedger`. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Database, Queries } from '../../shared/adapters/ledger/database.ts';
import type { createLedger } from '../../shared/adapters/ledger/ledger.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';

/** By method. */
export const STATEMENTS = new Map<string, Set<string>>();

const method = new AsyncLocalStorage<string>();

/** `createLedger`, whose ledgers note each statement under the method that sends it. */
export const notingLedger =
  (create: typeof createLedger): typeof createLedger =>
  (options) => {
    const ledger = create({ ...options, database: noting(options.database) });
    return Object.fromEntries(
      Object.entries(ledger).map(([name, call]: [string, (...values: unknown[]) => unknown]) => [
        name,
        (...values: unknown[]) => method.run(name, () => withIts(name, call(...values))),
      ]),
    ) as unknown as Ledger;
  };

/** What is iterated sends its statements when it is asked for more. */
function withIts(name: string, answer: unknown): unknown {
  if (typeof answer !== 'object' || answer === null || !(Symbol.asyncIterator in answer)) return answer;
  const inner = (answer as AsyncIterable<unknown>)[Symbol.asyncIterator]();
  const next = () => method.run(name, () => inner.next());
  const end = async () => (await inner.return?.()) ?? { done: true as const, value: undefined };
  return { [Symbol.asyncIterator]: () => ({ next, return: end }) };
}

const noting = (database: Database): Database => {
  const note = (sql: string): void => {
    const name = method.getStore();
    if (name !== undefined) STATEMENTS.set(name, (STATEMENTS.get(name) ?? new Set<string>()).add(sql));
  };
  const noted =
    (queries: Queries): Queries['query'] =>
    (sql, parameters) => {
      note(sql);
      return queries.query(sql, parameters);
    };
  return {
    ...database,
    query: noted(database),
    bytes: (sql, parameters) => {
      note(sql);
      return database.bytes(sql, parameters);
    },
    transaction: (work) => database.transaction((queries) => work({ ...queries, query: noted(queries) })),
  };
};
