/**
 * Who goes on next. Every call to a port waits at a *gate*, before it is made and again before its answer is heard; one
 * gate is opened at a time, and what it sets going runs until everything waits again. So the order of everything is the
 * seed's, and two workers meet at every await.
 */
import { ProcessDied } from '../support/fakes/calls.ts';
import type { Dice } from './random.ts';

/** One invocation of a function: it may die at any gate, and then does nothing any more. */
export interface Worker {
  readonly name: string;
  isDead: boolean;
}

interface Gate {
  readonly worker: Worker;
  readonly what: string;
  open(): void;
  die(error: ProcessDied): void;
}

export interface Scheduler {
  /** While calm, gates are open and nobody dies. */
  isCalm: boolean;
  /** What happened, in order: two runs of one seed have the same. */
  readonly trace: readonly string[];
  readonly isIdle: boolean;
  /** Throws `ProcessDied` when the worker dies here. */
  pass(worker: Worker, what: string): Promise<void>;
  note(what: string): void;
  /** Opens one gate; answers false where nobody waits. */
  step(): Promise<boolean>;
  /** Until everything that can go on by itself has. */
  settle(): Promise<void>;
  /** Work that a thread does: nobody goes on before it is done, so that chance decides nothing. */
  outside<T>(work: Promise<T>): Promise<T>;
}

export function scheduler(random: Dice, chances: { readonly ofDeath: number }): Scheduler {
  const gates: Gate[] = [];
  const trace: string[] = [];
  let outside = 0;
  // Nothing else in a simulation waits for a thread or a socket, so one turn of the event loop is enough.
  const settle = async () => {
    do await new Promise<void>((resolve) => setImmediate(resolve));
    while (outside > 0);
  };
  const self: Scheduler = {
    isCalm: false,
    trace,
    get isIdle() {
      return gates.length === 0;
    },
    note: (what) => {
      trace.push(what);
    },
    settle,
    outside: async (work) => {
      outside += 1;
      try {
        return await work;
      } finally {
        outside -= 1;
      }
    },
    pass: (worker, what) => {
      if (worker.isDead) return Promise.reject(new ProcessDied(`${worker.name} is dead.`));
      if (self.isCalm) return Promise.resolve();
      return new Promise((open, die) => gates.push({ worker, what, open, die }));
    },
    async step() {
      const gate = gates.splice(random.below(gates.length), 1)[0];
      if (gate === undefined) return false;
      const dies = !gate.worker.isDead && !self.isCalm && random.percent(chances.ofDeath);
      if (dies) gate.worker.isDead = true;
      trace.push(`${gate.worker.name} ${gate.worker.isDead ? 'dies at ' : ''}${gate.what}`);
      if (gate.worker.isDead) gate.die(new ProcessDied(`${gate.worker.name} died at ${gate.what}.`));
      else gate.open();
      await settle();
      return true;
    },
  };
  return self;
}
