/** One database session that several users share in turns, for PGlite, which has no other. */
import type { Database } from './database.ts';
import { type LedgerUser, roleOf } from './ledger-users.ts';

export interface SharedSession {
  /** As whoever opened it. Closing it closes the session. */
  readonly owner: Database;
  /** The same database, each statement and transaction under that user's role; closing it does nothing. */
  as(user: LedgerUser): Database;
}

/**
 * Changes the session's role when its turn goes to another user. It keeps apart what code by mistake would do beyond
 * its rights, not what an attacker would: whoever runs code in this process can take back the role.
 */
export const shareSession = (session: Database): SharedSession => {
  let present: string | undefined;
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(role: string | undefined, work: () => Promise<T>): Promise<T> => {
    const done = turn.then(async () => {
      if (role !== present) {
        await session.query(role === undefined ? 'RESET ROLE' : `SET ROLE ${role}`);
        present = role;
      }
      return await work();
    });
    // Whoever waits for a turn does not care how the one before ended.
    turn = done.catch(() => undefined);
    return done;
  };
  const under = (role: string | undefined, close: () => Promise<void>): Database => ({
    query: (sql, parameters) => inTurn(role, () => session.query(sql, parameters)),
    transaction: (work) => inTurn(role, () => session.transaction(work)),
    bytes: (sql, parameters) => inTurn(role, () => session.bytes(sql, parameters)),
    close,
  });
  return {
    owner: under(undefined, () => session.close()),
    as: (user) => under(roleOf(user), async () => undefined),
  };
};
