/**
 * One seed, one run: a company in which things happen while workers run, die, are slow, get no answers and half pages; then
 * faults stop, twelve days pass, and everybody must be where the directory says. The same seed is the same run.
 */

import type { Policy } from '../../shared/domain/policy.ts';
import { isSealwrightError } from '../../shared/errors.ts';
import type { Bus } from '../../shared/ports/bus.ts';
import { EVERYBODY } from '../../shared/ports/ledger/sweeps.ts';
import { ACCEPT_SHRUNK } from '../../shared/sources/sweep/context.ts';
import { CRL_URL, ISSUER_URL, type SampleAuthority } from '../pki/sample-authority.ts';
import { type Around, ProcessDied } from '../support/fakes/calls.ts';
import { memoryDatabase } from '../support/fakes/ledger/ledger.ts';
import { drawnKeyDetector } from '../support/fakes/plain-keys.ts';
import { createWorld, type Materials, START, type World } from '../support/fakes/world.ts';
import { call, pushOf } from '../support/invocation.ts';
import { publishAuthority } from '../support/next-authority.ts';
import {
  adminActs,
  type Company,
  decideHeldSets,
  isObserved,
  NEXT_ISSUER_ID,
  POLICIES,
  somethingHappens,
  USERS,
} from './company.ts';
import {
  assertArrived,
  assertKept,
  assertUntouched,
  type Dismissal,
  dismissalOf,
  type Ending,
  holdingsOf,
} from './expected.ts';
import { assertNoPlainKey, type Sight, Violated, type Watch, watch } from './invariants.ts';
import { type Dice, dice } from './random.ts';
import { type Scheduler, scheduler, type Worker } from './scheduler.ts';
import { type Functions, hintMessage, type MakeFunctions, system } from './system.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

export interface SimulationMaterials extends Materials {
  readonly next: SampleAuthority;
}

export interface Report {
  readonly trace: readonly string[];
  readonly steps: number;
  readonly deaths: number;
  readonly faults: number;
  readonly leaves: number;
  readonly revocations: number;
  /** Answers that came, or did not, after half a minute. */
  readonly timeouts: number;
  /** People whose departure the admin dismissed in the end and who keep what they have. */
  readonly kept: number;
  /** Whether the policy in the end only observes. */
  readonly observed: number;
}

interface Message {
  readonly id: string;
  readonly to: 'directoryEvent' | 'publishCrl';
  readonly data: object;
  readonly attempts: number;
  readonly notBeforeMs: number;
}

interface Run {
  readonly world: World;
  readonly random: Dice;
  readonly scheduler: Scheduler;
  readonly company: Company;
  readonly queue: Message[];
  readonly functions: MakeFunctions;
  readonly sight: Sight;
  readonly watch: Watch;
  readonly holdsPlainKey: (value: unknown) => boolean;
  /** Those that were in force since anybody now at work began. */
  readonly policies: Set<Policy>;
  workers: number;
  busy: number;
  logLines: number;
  kept: number;
  /** What the admin does with everything that is held, once faults have stopped. */
  readonly admin: 'approves' | 'dismisses';
  broken?: unknown;
}

const ACTIONS = 30;

/** A port that does not do what it should: to see that a run finds out. */
export type Breaking = (world: World) => Around;
const nothing: Breaking = () => (_call, perform) => perform();

/** Throws with the seed in its message what went wrong first. */
export async function simulate(
  seed: string,
  materials: SimulationMaterials,
  breaking = nothing,
): Promise<Report> {
  const run = await begin(seed, materials, breaking);
  try {
    await settled(run);
    await inTrouble(run);
    await inPeace(run);
    return reportOf(run);
  } catch (error) {
    const last = run.scheduler.trace.slice(-40).join('\n  ');
    throw new Violated(
      `Seed ${seed}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n  …\n  ${last}`,
      { cause: error },
    );
  }
}

async function begin(seed: string, materials: SimulationMaterials, breaking: Breaking): Promise<Run> {
  const random = dice(seed);
  let nowMs = () => START.getTime();
  let ids = 0;
  const memory = memoryDatabase(() => nowMs());
  const randomId = () => {
    ids += 1;
    return `id-${String(ids).padStart(5, '0')}`;
  };
  materials.pool.startOver();
  const world = await createWorld(materials, { rows: { memory, randomId } });
  nowMs = () => world.clock.now().getTime();
  await prepareNextIssuer(world, materials.next);
  const gates = scheduler(random, { ofDeath: 0.4 });
  const queue: Message[] = [];
  const company: Company = {
    ...{
      world,
      random,
      policy: random.one(POLICIES.filter((policy) => !isObserved(policy))),
      switchedOff: new Set(),
      log: gates.note,
    },
    notify: (userId) => {
      const cause = { source: 'watch', eventId: `event-${queue.length}`, event: 'update' };
      send(run, 'directoryEvent', { version: 1, userId, cause }, random.below(5 * MINUTE_MS));
    },
  };
  const holdsPlainKey = drawnKeyDetector(materials.pool);
  const rows = () => memory.look();
  const policies = new Set([company.policy]);
  const sight = {
    ...{ rows, gmail: world.gmail, directory: world.directory, bucket: world.bucket },
    policies: () => [...policies],
  };
  const run: Run = {
    ...{
      world,
      random,
      scheduler: gates,
      company,
      queue,
      sight,
      watch: watch(sight),
      holdsPlainKey,
      policies,
    },
    ...{ workers: 0, busy: 0, logLines: 0, kept: 0, admin: random.percent(50) ? 'dismisses' : 'approves' },
    functions: system(world, {
      ...{ random, scheduler: gates, rows, faultPercent: 3, holdsPlainKey },
      ...{
        broken: breaking(world),
        bus: busOf(() => run),
        policy: () => company.policy,
        pass: (waitMs) => world.clock.advance(waitMs),
      },
    }),
  };
  return run;
}

async function prepareNextIssuer(world: World, next: SampleAuthority): Promise<void> {
  const keyVersion = 'projects/acme/secrets/issuing-key-2/versions/1';
  const issuerUrl = ISSUER_URL.replace('issuing', 'issuing-2');
  world.secrets.put(keyVersion, next.issuing.pkcs8Der);
  await publishAuthority(world, next, issuerUrl);
  await world.ledger.recordIssuer({
    ...{ issuerId: NEXT_ISSUER_ID, certificateDer: next.issuing.certificateDer, keyVersion, issuerUrl },
    ...{
      chainDer: [next.root.certificateDer],
      crlUrl: CRL_URL.replace('issuing', 'issuing-2'),
      state: 'prepared',
    },
  });
}

/** Pub/Sub: at least once, in any order, late. */
const busOf = (run: () => Run): Bus => {
  const late = () => (run().scheduler.isCalm ? 0 : run().random.below(2 * MINUTE_MS));
  const publishHint: Bus['publishHint'] = async (hint) =>
    send(run(), 'directoryEvent', hintMessage(hint), late());
  return {
    publishHint,
    publishHints: async (hints) => {
      for (const hint of hints) await publishHint(hint);
    },
    requestCrl: async (issuerId) => send(run(), 'publishCrl', { issuerId }, late()),
  };
};

function send(run: Run, to: Message['to'], data: object, delayMs: number): void {
  const notBeforeMs = run.world.clock.now().getTime() + delayMs;
  run.queue.push({ id: `message-${run.workers}-${run.queue.length}`, to, data, attempts: 0, notBeforeMs });
}

/** Most people are there already and have what they should. */
async function settled(run: Run): Promise<void> {
  const { world, random, scheduler: gates } = run;
  gates.isCalm = true;
  for (const userId of USERS) {
    if (!random.percent(75)) continue;
    world.directory.put({ userId, primaryEmail: `a-${userId}@acme.example`, orgUnitPath: '/Staff/Legal' });
    const cause = { source: 'watch', eventId: `begin-${userId}`, event: 'add' };
    send(run, 'directoryEvent', { version: 1, userId, cause }, 0);
  }
  await start(run, 'publishCrl', (functions) => call(functions.publishCrl));
  check(run);
  await deliverAll(run);
  gates.isCalm = false;
}

/** Faults, deaths, and things happening. */
async function inTrouble(run: Run): Promise<void> {
  const { random, scheduler: gates, world, company } = run;
  for (let left = ACTIONS; left > 0; ) {
    throwBroken(run);
    const choice = random.below(100);
    if (choice < 84 && !gates.isIdle) await gates.step();
    else if (choice < 91) takeMessage(run);
    else if (choice < 93) startSchedule(run);
    else if (choice < 97) world.clock.advance(passing(run));
    else {
      left -= 1;
      if (random.percent(12)) await adminActs(company);
      else await somethingHappens(company);
    }
    await gates.settle();
    check(run);
  }
}

/** Seconds while somebody is at work, now and then more than a lease; minutes, hours or days while nobody is. */
function passing({ random, busy }: Run): number {
  if (busy > 0) return random.percent(90) ? random.below(8_000) : random.below(3 * MINUTE_MS);
  return random.percent(60) ? random.below(10 * MINUTE_MS) : random.below(40 * HOUR_MS);
}

function takeMessage(run: Run): void {
  const nowMs = run.world.clock.now().getTime();
  const ready = run.queue.filter(({ notBeforeMs }) => notBeforeMs <= nowMs);
  if (ready.length === 0 || run.busy >= 4) return;
  const message = run.random.one(ready);
  // Delivered twice now and then: the first delivery's acknowledgement is lost.
  if (run.scheduler.isCalm || !run.random.percent(10)) run.queue.splice(run.queue.indexOf(message), 1);
  start(
    run,
    message.to,
    (functions) => call(functions[message.to], '/', pushOf(message.id, message.data)),
    () => {
      const backOffMs = Math.min(10_000 * 2 ** message.attempts, 10 * MINUTE_MS);
      run.queue.push({
        ...message,
        attempts: message.attempts + 1,
        notBeforeMs: run.world.clock.now().getTime() + backOffMs,
      });
    },
  );
}

function startSchedule(run: Run): void {
  if (run.busy >= 4) return;
  const which = run.random.one(['due', 'due', 'sweep', 'sweep', 'publishCrl'] as const);
  start(run, which, (functions) => call(functions[which]));
}

/** One invocation by a worker of its own. What may pass is delivered again; a bug ends the run. */
function start(
  run: Run,
  what: string,
  work: (functions: Functions) => unknown,
  again: () => void = () => undefined,
): Promise<void> {
  run.workers += 1;
  run.busy += 1;
  const worker: Worker = { name: `${what}#${run.workers}`, isDead: false };
  run.scheduler.note(`${worker.name} begins`);
  const invocation = async () => {
    try {
      await work(run.functions(worker));
      run.scheduler.note(`${worker.name} ends`);
    } catch (error) {
      if (!isSealwrightError(error) && !(error instanceof ProcessDied)) run.broken ??= error;
      run.scheduler.note(`${worker.name} fails`);
      again();
    } finally {
      run.busy -= 1;
    }
  };
  return invocation();
}

function throwBroken({ broken }: Run): void {
  if (broken !== undefined) throw broken;
}

function check(run: Run): void {
  throwBroken(run);
  run.policies.add(run.company.policy);
  run.watch.check();
  if (run.busy === 0) run.policies.clear();
  const { lines } = run.world.log;
  assertNoPlainKey(run.holdsPlainKey, 'the log', lines.slice(run.logLines));
  run.logLines = lines.length;
}

/** More than a week in all: whoever is in order is looked at by age once in seven days, and drift is found then. */
const ROUND_MS = 12 * HOUR_MS;
const ROUNDS = 24;

/** No faults any more: whoever is at work finishes, twelve days pass, and everybody must have arrived. */
async function inPeace(run: Run): Promise<void> {
  const { scheduler: gates, world, company } = run;
  gates.isCalm = true;
  while (await gates.step()) check(run);
  await gates.settle();
  await world.ledger.recordResume({ by: 'admin@acme.example', paceMs: 1000 });
  const before = isObserved(company.policy) ? holdingsOf(run.sight) : undefined;
  const dismissed = new Map<string, Dismissal>();
  for (let round = 0; round < ROUNDS; round += 1) {
    await decideAll(run, dismissed);
    // Where one of four is missing no read is whole; an admin says that the numbers are right.
    const cause = { eventId: `admin-${round}`, event: ACCEPT_SHRUNK };
    await world.ledger.requestSweep({ scope: EVERYBODY, cause });
    for (const which of round % 4 === 0
      ? (['publishCrl', 'due', 'sweep'] as const)
      : (['due', 'sweep'] as const)) {
      await start(run, which, (functions) => call(functions[which]));
      check(run);
      await deliverAll(run);
    }
    world.clock.advance(ROUND_MS);
  }
  const ending: Ending = {
    ...{ sight: run.sight, policy: company.policy, switchedOff: company.switchedOff },
    nowMs: world.clock.now().getTime(),
  };
  if (before !== undefined) assertUntouched(run.sight, before);
  for (const userId of USERS) assertArrived(ending, userId);
  for (const dismissal of dismissed.values()) assertKept(run.sight, dismissal);
  run.kept = dismissed.size;
}

/** Of somebody whose departure was dismissed more than once the first counts: what was there then is to be there in the end. */
async function decideAll({ company, admin, sight }: Run, dismissed: Map<string, Dismissal>): Promise<void> {
  if (admin === 'approves') {
    await decideHeldSets(company, 'approved');
    return;
  }
  for (const departure of await decideHeldSets(company, 'dismissed'))
    if (departure.state === 'held' && !dismissed.has(departure.userId))
      dismissed.set(departure.userId, dismissalOf(sight, departure));
}

/** One message after the other, everything checked after each. */
async function deliverAll(run: Run): Promise<void> {
  for (let deliveries = 0; run.queue.length > 0; deliveries += 1) {
    if (deliveries > 500) throw new Violated('Messages beget messages without end.');
    const next = run.queue.toSorted((left, right) => left.notBeforeMs - right.notBeforeMs)[0];
    if (next === undefined) return;
    const { clock } = run.world;
    clock.set(new Date(Math.max(clock.now().getTime(), next.notBeforeMs)));
    run.queue.splice(run.queue.indexOf(next), 1);
    const retry = () => {
      const notBeforeMs = clock.now().getTime() + MINUTE_MS;
      run.queue.push({ ...next, attempts: next.attempts + 1, notBeforeMs });
    };
    await start(
      run,
      next.to,
      (functions) => call(functions[next.to], '/', pushOf(next.id, next.data)),
      retry,
    );
    check(run);
  }
}

function reportOf({ scheduler: { trace }, sight, company, kept }: Run): Report {
  const rows = sight.rows();
  const count = (mark: string) => trace.filter((line) => line.includes(mark)).length;
  return {
    trace,
    steps: trace.length,
    deaths: count(' dies at '),
    faults: count(' fails: ') + count(' loses its answer') + count(' is truncated'),
    leaves: rows.leaves.size,
    revocations: rows.revocations.size,
    timeouts: count(' in vain'),
    kept,
    observed: isObserved(company.policy) ? 1 : 0,
  };
}
