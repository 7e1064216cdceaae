/**
 * Ends the process at every point of a workflow that can be told apart, then lets another one go on; and has each answer that
 * comes after an effect get lost, while the process lives on and hears an error. What is left in the end must be what one
 * undisturbed run leaves.
 */
import { expect } from 'vitest';
import type { StepKind } from '../../shared/domain/step.ts';
import { isSealwrightError, type SealwrightError } from '../../shared/errors.ts';
import { PASSING } from '../reconcile/outcome.ts';
import { type Shape, shapeOf } from '../reconcile/shape.ts';
import { type Around, type Death, mortal, type PortCall, ProcessDied } from '../support/fakes/calls.ts';
import { drawnKeyDetector } from '../support/fakes/plain-keys.ts';
import { createWorld, type World } from '../support/fakes/world.ts';
import { changesSomething } from './effects.ts';
import type { CrashMaterials, Workflow } from './workflow.ts';

export interface Campaign {
  /** What the undisturbed run left. */
  readonly clean: End;
  /** `port.method` of each call of the undisturbed run. */
  readonly calls: readonly string[];
  /** Kinds of step that the undisturbed run carried out. */
  readonly steps: ReadonlySet<StepKind>;
  readonly deaths: number;
  readonly lostAnswers: number;
}

export interface End {
  readonly users: Readonly<Record<string, Shape>>;
  /** Whatever else the workflow is about. */
  readonly more?: unknown;
}

/**
 * Where a process has to die so that it has died everywhere: at the very start, and after each effect before its
 * answer is heard. Dying before a call, or between two reads, leaves exactly what dying after the effect before it
 * leaves.
 */
const deathsOf = (calls: readonly PortCall[]): readonly Death[] => [
  { call: 1, moment: 'before' },
  ...effectsAmong(calls).map((call): Death => ({ call, moment: 'after' })),
];

/** Numbers of the calls that change something, from 1. */
const effectsAmong = (calls: readonly PortCall[]): readonly number[] =>
  calls.flatMap((call, index) => (changesSomething(call) ? [index + 1] : []));

/** Does everything and, of one call, hears an error instead of the answer. */
function deafAt(call: number): Around {
  let calls = 0;
  return async ({ port }, perform) => {
    calls += 1;
    const mine = calls === call;
    const answer = await perform();
    if (mine) throw lostAnswer(port);
    return answer;
  };
}

/** What a ledger does whose answers are lost, the one in memory shows; in SQL the same takes a hundred times as long. */
const isLostIn = ({ world }: Workflow, calls: readonly PortCall[], call: number): boolean =>
  world?.ledger !== 'pglite' || calls[call - 1]?.port !== 'ledger';

function lostAnswer(port: string): SealwrightError {
  const error = PASSING[port];
  if (error === undefined) throw new Error(`Nobody said what the port ${port} throws when it is away.`);
  return error;
}

export async function crashEverywhere(materials: CrashMaterials, workflow: Workflow): Promise<Campaign> {
  const world = await createWorld(materials, { ledger: 'memory', ...workflow.world });
  try {
    await workflow.prepare(world, materials);
    const restore = await world.save();
    const holdsPlainKey = drawnKeyDetector(materials.pool);
    const said: unknown[] = [];
    const disturbed = async (around: Around) => {
      said.push(...world.log.lines.splice(0));
      await workflow.run(world.through(around), world, materials);
    };
    const goOn = async () => {
      await world.expireLeases();
      await (workflow.again ?? workflow.run)(
        world.through((_, perform) => perform()),
        world,
        materials,
      );
    };
    const end = async () => {
      await workflow.afterwards?.(world, materials);
      return await endOf(world, workflow);
    };

    const undisturbed = mortal();
    await disturbed(undisturbed.around);
    const steps = new Set(world.log.of('step-ended').map(({ fields }) => fields['step'] as StepKind));
    const clean = await end();
    const told = await linesOf(world);

    const deaths = deathsOf(undisturbed.calls);
    for (const death of deaths) {
      const where = `died ${death.moment} ${nameOf(undisturbed.calls, death.call)}`;
      await restore();
      const process = mortal(death);
      await expect(disturbed(process.around), where).rejects.toThrow(ProcessDied);
      await goOn();
      expect(await end(), where).toEqual(clean);
      expectTold(told, await linesOf(world), where);
      const leaving = process.calls.filter(({ port }) => port !== 'keyService').map(({ args }) => args);
      expect(holdsPlainKey(leaving), `${where}: a plain key left the process`).toBe(false);
    }
    const lost = effectsAmong(undisturbed.calls).filter((call) =>
      isLostIn(workflow, undisturbed.calls, call),
    );
    for (const call of lost) {
      await restore();
      await disturbed(deafAt(call)).catch((error: unknown) => {
        if (!isSealwrightError(error)) throw error;
      });
      await goOn();
      const where = `lost the answer of ${nameOf(undisturbed.calls, call)}`;
      expect(await end(), where).toEqual(clean);
      expectTold(told, await linesOf(world), where);
    }
    expectEachSerialSignedOnce(world);
    expect(holdsPlainKey([...said, ...world.log.lines]), 'a plain key in the log').toBe(false);
    return {
      ...{ clean, steps, deaths: deaths.length, lostAnswers: lost.length },
      calls: undisturbed.calls.map(({ port, method }) => `${port}.${method}`),
    };
  } finally {
    await world.close();
  }
}

function nameOf(calls: readonly PortCall[], call: number): string {
  const { port, method } = calls[call - 1] ?? { port: 'no port', method: 'no method' };
  return `call ${call}, ${port}.${method}`;
}

async function endOf(world: World, { end }: Workflow): Promise<End> {
  const users: Record<string, Shape> = {};
  for (const ledger of await world.ledger.users()) {
    const userId = ledger.user?.userId;
    if (userId !== undefined) users[userId] = await shapeOf(world, userId, ledger);
  }
  return { users, ...(end === undefined ? {} : { more: await end(world) }) };
}

/** Each user’s trail: the kinds of step, and other things that have a line, in their order. */
type Lines = ReadonlyMap<string, readonly string[]>;

async function linesOf(world: World): Promise<Lines> {
  const lines = new Map<string, string[]>();
  for (const { userId = '', step } of await world.ledger.auditTrail({ limit: 1000 }))
    lines.set(userId, [...(lines.get(userId) ?? []), step]);
  return lines;
}

/** A step's line follows its effect, so the last one may be lost with the process or an answer; then the trail says that one may be. */
function expectTold(clean: Lines, found: Lines, where: string): void {
  for (const [userId, steps] of clean) {
    const left = [...(found.get(userId) ?? [])];
    const lost = steps.filter((step) => {
      const at = left.indexOf(step);
      if (at !== -1) left.splice(at, 1);
      return at === -1;
    });
    if (lost.length === 0 || userId === '') continue;
    expect(lost, `${where}: of ${userId} the trail lacks`).toHaveLength(1);
    expect(left, `${where}: the trail of ${userId} lacks ${lost} and does not say so`).toContain(
      'look-interrupted',
    );
  }
}

function expectEachSerialSignedOnce(world: World): void {
  for (const [serialHex, digests] of world.signedBySerial)
    expect(digests.size, `serial ${serialHex} was signed over different bytes`).toBe(1);
}
