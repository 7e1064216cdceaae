/**
 * Cloud Scheduler's part: jobs on unix-cron schedules that call an address with an ID token, retried after a
 * failure. Due times follow the emulator's clock; a jump over many of them starts each job once. What it will not
 * do: the Cloud Scheduler API (jobs come from the wiring), time zones other than UTC, Pub/Sub and App Engine targets.
 */
import type { EmulatorContext } from '../core/context.ts';
import { invalidArgument, notFound } from '../core/google-error.ts';
import type { Busy, HostNames, IdTokens, Room } from '../core/rooms.ts';
import { jsonBody, ok, type Route } from '../core/route.ts';
import { type ExecutionOutcome, Executor, type JobRecord } from './executor.ts';
import { type JobDefinition, jobFrom } from './jobs.ts';

export type { ExecutionOutcome } from './executor.ts';
export type { JobDefinition } from './jobs.ts';

export interface SchedulerOptions {
  readonly idTokens: IdTokens;
  readonly jobs: readonly JobDefinition[];
  /** Where public names really are. */
  readonly hostNames?: HostNames;
}

export interface Scheduler extends Room, Busy {
  /** Begins to watch the clock; call it once what the jobs call is there to answer. */
  start(): void;
  /** Runs the job now and answers how it went. Throws 404 for a job that is not there. */
  run(name: string): Promise<ExecutionOutcome>;
  /** Breaks off what is under way. */
  stop(): Promise<void>;
}

interface SchedulerState {
  readonly jobs: Record<string, JobRecord>;
}

/** Throws a RangeError for a job that cannot be, or a name given twice. */
export function createScheduler(context: EmulatorContext, options: SchedulerOptions): Scheduler {
  const state = context.state.section<SchedulerState>('scheduler', () => ({ jobs: {} }));
  const executors = new Map<string, Executor>();
  for (const definition of options.jobs) {
    const job = jobFrom(definition);
    if (executors.has(definition.name))
      throw new RangeError(`There are two scheduled jobs named ${definition.name}.`);
    const known = Object.hasOwn(state.jobs, definition.name) ? state.jobs[definition.name] : undefined;
    const record = known ?? { considered: context.clock.nowMs() };
    state.jobs[definition.name] = record;
    context.state.changed();
    executors.set(definition.name, new Executor(context, options, job, record));
  }
  const run = async (name: string): Promise<ExecutionOutcome> => {
    const executor = executors.get(name);
    if (executor === undefined)
      throw notFound(
        `There is no scheduled job "${name}"; there are ${[...executors.keys()].join(', ') || 'none'}.`,
      );
    const outcome = await executor.run();
    if (outcome === undefined) throw new Error('The emulator stopped while the job ran.');
    return outcome;
  };
  const routes: readonly Route[] = [
    {
      id: 'emulator.scheduler.list',
      verb: 'GET',
      path: '/_emulator/scheduler',
      scopes: 'none',
      control: true,
      handle: () =>
        ok({
          jobs: [...executors].map(([name, executor]) => ({
            name,
            schedule: options.jobs.find((job) => job.name === name)?.schedule,
            nextDue: new Date(executor.nextDueMs).toISOString(),
            running: executor.pending().length > 0,
            ...(executor.last === undefined ? {} : { last: executor.last }),
          })),
        }),
    },
    {
      id: 'emulator.scheduler.run',
      verb: 'POST',
      path: '/_emulator/scheduler/:job/run',
      scopes: 'none',
      control: true,
      handle: async (call) => {
        if (Object.keys(jsonBody(call)).length > 0) throw invalidArgument('This call takes no body.');
        return ok(await run(call.params['job'] ?? ''));
      },
    },
  ];
  return {
    routes,
    run,
    pending: () => [...executors.values()].flatMap((executor) => executor.pending()),
    start() {
      for (const executor of executors.values()) executor.start();
    },
    async stop() {
      await Promise.all([...executors.values()].map((executor) => executor.stop()));
    },
  };
}
