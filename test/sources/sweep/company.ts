/** A company whose directory and ledger are in one hand, for tests of the sweep: the real ledger, a directory in memory. */

import type { Database } from '../../../shared/adapters/ledger/database.ts';
import { createLedger } from '../../../shared/adapters/ledger/ledger.ts';
import type { DirectoryUser } from '../../../shared/domain/directory-user.ts';
import type { NextAction } from '../../../shared/domain/next-action.ts';
import type { UserState } from '../../../shared/domain/records.ts';
import { EVERYBODY } from '../../../shared/ports/ledger/sweeps.ts';
import type { Ledger } from '../../../shared/ports/ledger.ts';
import type { SweepDeps } from '../../../shared/sources/sweep/context.ts';
import { tick } from '../../../shared/sources/sweep/tick.ts';
import { type KeptBus, keptBus } from '../../support/fakes/bus.ts';
import { type ManualClock, manualClock } from '../../support/fakes/clock.ts';
import { type FakeDirectory, fakeDirectory } from '../../support/fakes/directory.ts';
import { memoryDatabase } from '../../support/fakes/ledger/ledger.ts';
import { type KeptLog, keptLog } from '../../support/fakes/log.ts';
import { DAY_MS, HOUR_MS, noDatabase, POLICY, START } from '../../support/fakes/world.ts';
import { openTestDatabase } from '../../support/ledger.ts';

export interface Company {
  readonly clock: ManualClock;
  readonly database: Database;
  readonly ledger: Ledger;
  readonly directory: FakeDirectory;
  readonly bus: KeptBus;
  readonly log: KeptLog;
  readonly deps: SweepDeps;
  /** In the directory and in the ledger, as a look would have left them: ready, if nothing else is said. */
  employ(userId: string, changes?: Partial<DirectoryUser>, state?: UserState): Promise<void>;
  /** Writes down what a look would see of this user now. */
  sight(userId: string, state?: UserState, nextAction?: string): Promise<void>;
  /** Writes down that a look found this user's account gone, under a rule that only observes. */
  findGone(userId: string): Promise<void>;
  requestSweep(event: string): Promise<void>;
  /** One tick; answers whom it hinted at, with the event, in order of id. */
  sweep(changes?: Partial<SweepDeps>): Promise<readonly string[]>;
  /** The next whole sweep's time comes, and it runs. */
  nextSweep(changes?: Partial<SweepDeps>): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** `memory`: its ledger is the one in memory, for a company of hundreds. */
export async function openCompany(kind: 'real' | 'memory' = 'real'): Promise<Company> {
  const clock = manualClock(START);
  const database = kind === 'real' ? await openTestDatabase() : noDatabase;
  const ledger = kind === 'real' ? createLedger({ database, clock }) : memoryDatabase().open({ clock });
  const directory = fakeDirectory(clock);
  const bus = keptBus();
  const log = keptLog();
  const deps: SweepDeps = {
    clock,
    elapsedMs: () => performance.now(),
    directory,
    ledger,
    bus,
    policy: POLICY,
    log,
    intervalMs: 6 * HOUR_MS,
    budgetMs: 60_000,
    lookByAgeMs: 7 * DAY_MS,
    hintsPerMinute: 400,
  };
  const sight = async (userId: string, state: UserState = 'ready', nextAction?: NextAction) => {
    const lease = await ledger.acquireLease(`user:${userId}`, 60_000);
    const user = directory.living(userId);
    if (lease === undefined || user === undefined) throw new Error(`${userId} cannot be sighted.`);
    await ledger.recordSighting(lease, { ...user, ruleName: 'staff' });
    const next = nextAction === undefined ? {} : { nextAction };
    await ledger.recordState(lease, { userId, state, reason: 'As told.', failures: 0, ...next });
    await ledger.releaseLease(lease);
  };
  const sweep = async (changes: Partial<SweepDeps> = {}) => {
    bus.hints.length = 0;
    await tick({ ...deps, ...changes });
    return bus.hints
      .map((hint) => ('userId' in hint ? `${hint.userId} ${hint.cause.event}` : 'an address'))
      .toSorted();
  };
  return {
    clock,
    database,
    ledger,
    directory,
    bus,
    log,
    deps,
    async employ(userId, changes = {}, state = 'ready') {
      directory.put({ userId, ...changes });
      await sight(userId, state);
    },
    sight,
    async findGone(userId) {
      const lease = await ledger.acquireLease(`user:${userId}`, 60_000);
      if (lease === undefined) throw new Error(`${userId} is being looked at.`);
      const state = { userId, state: 'ready', reason: 'As told.', failures: 0, deleted: true } as const;
      await ledger.recordState(lease, { ...state, nextAction: 'observe-again' });
      await ledger.releaseLease(lease);
    },
    requestSweep: (event) => ledger.requestSweep({ scope: EVERYBODY, cause: { eventId: 'test', event } }),
    sweep,
    async nextSweep(changes) {
      clock.advance(6 * HOUR_MS);
      return await sweep(changes);
    },
    close: () => ledger.close(),
  };
}
