/**
 * Ends the process at every point of a run that can be told apart, then runs again. The run that dies and the run that follows must together leave
 * what one undisturbed run leaves.
 */
import { expect } from 'vitest';
import type { ReconcileDeps } from '../../shared/reconcile/context.ts';
import { reconcile } from '../../shared/reconcile/run.ts';
import { type Death, mortal, type PortCall, ProcessDied } from '../support/fakes/calls.ts';
import { plainKeyDetector } from '../support/fakes/plain-keys.ts';
import { CAUSE, createWorld, type Materials, type World } from '../support/fakes/world.ts';
import { changesSomething } from './outcome.ts';
import { type Shape, shapeOf } from './shape.ts';
import { USER_ID, type Workflow } from './workflows.ts';

export interface Campaign {
  readonly clean: Shape;
  /** `port.method` of each call of the undisturbed run. */
  readonly calls: readonly string[];
  readonly crashes: number;
}

/**
 * Where a process has to die so that it has died everywhere: at the very start, and after each effect before its
 * answer is heard. Dying before a call, or between two reads, leaves exactly what dying after the effect before it
 * leaves.
 */
const deathsOf = (calls: readonly PortCall[]): readonly Death[] => [
  { call: 1, moment: 'before' },
  ...calls.flatMap((call, index): Death[] =>
    changesSomething(call) ? [{ call: index + 1, moment: 'after' }] : [],
  ),
];

export interface CampaignOptions {
  readonly changes?: Partial<ReconcileDeps>;
  /** In memory unless told: between two calls it is what the one in SQL is, at a hundredth of the time. */
  readonly ledger?: 'memory' | 'pglite';
}

/** Dies everywhere, runs again, and checks the end each time. */
export async function crashEverywhere(
  materials: Materials,
  workflow: Workflow,
  { changes = {}, ledger = 'memory' }: CampaignOptions = {},
): Promise<Campaign> {
  const world = await createWorld(materials, { ledger });
  try {
    await workflow.prepare(world);
    const restore = await world.save();
    const holdsPlainKey = plainKeyDetector(materials.pool);

    const undisturbed = mortal();
    await reconcile({ ...world.surrounded(undisturbed.around), ...changes }, USER_ID, CAUSE);
    const clean = await shapeOf(world);
    const deaths = deathsOf(undisturbed.calls);
    for (const death of deaths) {
      const call = undisturbed.calls[death.call - 1];
      const where = `died ${death.moment} call ${death.call}, ${call?.port}.${call?.method}`;
      await restore();
      const process = mortal(death);
      await expect(
        reconcile({ ...world.surrounded(process.around), ...changes }, USER_ID, CAUSE),
        where,
      ).rejects.toThrow(ProcessDied);
      await world.expireLeases();
      await reconcile({ ...world.deps, ...changes }, USER_ID, CAUSE);
      expect(await shapeOf(world), where).toEqual(clean);
      const leaving = process.calls.filter(({ port }) => port !== 'keyService').map(({ args }) => args);
      expect(holdsPlainKey(leaving), `${where}: a plain key left the process`).toBe(false);
    }
    expectEachSerialSignedOnce(world);
    expect(holdsPlainKey(world.log.lines), 'a plain key in the log').toBe(false);
    return {
      clean,
      calls: undisturbed.calls.map(({ port, method }) => `${port}.${method}`),
      crashes: deaths.length,
    };
  } finally {
    await world.close();
  }
}

function expectEachSerialSignedOnce(world: World): void {
  for (const [serialHex, digests] of world.signedBySerial)
    expect(digests.size, `serial ${serialHex} was signed over different bytes`).toBe(1);
}
