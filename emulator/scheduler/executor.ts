/** One job: when it is next due, and its executions, never two at once. */
import type { EmulatorContext } from '../core/context.ts';
import { type OutboundOutcome, type OutboundParts, sendOutbound } from '../core/outbound-request.ts';
import type { Job } from './jobs.ts';

/** What is remembered of a job over a restart. */
export interface JobRecord {
  /** Due times up to this instant are dealt with, in milliseconds. */
  considered: number;
  last?: ExecutionOutcome;
}

export interface ExecutionOutcome {
  /** The due time, or for a run on demand the time of asking; RFC 3339. */
  readonly scheduledFor: string;
  readonly finishedAt: string;
  readonly attempts: number;
  readonly succeeded: boolean;
  /** Status of the last attempt; absent when nothing answered. */
  readonly status?: number;
  /** Why nothing answered. */
  readonly why?: string;
}

const LONGEST_SLEEP_MS = 3_600_000;

export class Executor {
  readonly #context: EmulatorContext;
  readonly #outbound: OutboundParts;
  readonly #job: Job;
  readonly #record: JobRecord;
  readonly #stopping = new AbortController();
  #watching = false;
  #running: Promise<ExecutionOutcome | undefined> | undefined;
  #step = '';
  /** Looks at the clock again, where an execution waits for its next attempt. */
  #wake: () => void = () => undefined;
  #alarm: NodeJS.Timeout | undefined;

  constructor(context: EmulatorContext, outbound: OutboundParts, job: Job, record: JobRecord) {
    this.#context = context;
    this.#outbound = outbound;
    this.#job = job;
    this.#record = record;
    context.clock.onMove(() => {
      this.#wake();
      this.look();
    });
  }

  get nextDueMs(): number {
    return this.#job.schedule.nextAfter(this.#record.considered);
  }

  get last(): ExecutionOutcome | undefined {
    return this.#record.last;
  }

  pending(): readonly string[] {
    return this.#running === undefined ? [] : [`job ${this.#job.definition.name}: ${this.#step}`];
  }

  start(): void {
    this.#watching = true;
    this.look();
  }

  /**
   * Starts an execution when one is due, and sets the alarm for the next. However many due times have passed, one
   * execution answers for them all; those that pass while one runs are answered by one more after it.
   */
  look(): void {
    clearTimeout(this.#alarm);
    if (!this.#watching || this.#stopping.signal.aborted || this.#running !== undefined) return;
    const nowMs = this.#context.clock.nowMs();
    const dueMs = this.nextDueMs;
    if (dueMs <= nowMs) {
      this.#record.considered = nowMs;
      this.#context.state.changed();
      void this.#start(dueMs);
      return;
    }
    this.#alarm = setTimeout(() => this.look(), Math.min(dueMs - nowMs, LONGEST_SLEEP_MS)).unref();
  }

  /** An execution on demand, after the one under way if there is one. Undefined when the emulator stops meanwhile. */
  async run(): Promise<ExecutionOutcome | undefined> {
    while (this.#running !== undefined) await this.#running;
    return this.#stopping.signal.aborted ? undefined : this.#start(this.#context.clock.nowMs());
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    clearTimeout(this.#alarm);
    this.#wake();
    await this.#running;
  }

  #start(scheduledForMs: number): Promise<ExecutionOutcome | undefined> {
    const running = this.#execute(scheduledForMs).finally(() => {
      this.#running = undefined;
      this.look();
    });
    this.#running = running;
    return running;
  }

  async #execute(scheduledForMs: number): Promise<ExecutionOutcome | undefined> {
    for (let attempt = 1; ; attempt += 1) {
      this.#step = `attempt ${attempt} under way`;
      const outcome = await this.#attempt(scheduledForMs);
      if (this.#stopping.signal.aborted) return undefined;
      const succeeded = outcome.kind === 'answered' && outcome.status >= 200 && outcome.status < 300;
      if (succeeded || attempt > this.#job.retryCount) {
        const { kind, ...result } = outcome;
        this.#record.last = {
          scheduledFor: new Date(scheduledForMs).toISOString(),
          finishedAt: this.#context.clock.now().toISOString(),
          attempts: attempt,
          succeeded,
          ...result,
        };
        this.#context.state.changed();
        return this.#record.last;
      }
      const waitMs = this.#job.backoffMs(attempt);
      this.#step = `attempt ${attempt} failed, the next follows after ${waitMs / 1000} s`;
      await this.#until(this.#context.clock.nowMs() + waitMs);
      if (this.#stopping.signal.aborted) return undefined;
    }
  }

  #attempt(scheduledForMs: number): Promise<OutboundOutcome> {
    const { definition, attemptDeadlineMs } = this.#job;
    const { target, name } = definition;
    return sendOutbound(
      this.#outbound,
      {
        method: target.method ?? 'POST',
        url: target.url,
        headers: {
          ...(target.body === undefined ? {} : { 'content-type': 'application/octet-stream' }),
          ...target.headers,
          'user-agent': 'Google-Cloud-Scheduler',
          'x-cloudscheduler': 'true',
          'x-cloudscheduler-jobname': name,
          'x-cloudscheduler-scheduletime': new Date(scheduledForMs).toISOString(),
        },
        body: target.body === undefined ? undefined : Buffer.from(target.body),
        oidc: target.oidc,
        timeoutMs: attemptDeadlineMs,
      },
      this.#stopping.signal,
    );
  }

  /** Waits for the emulator's clock to reach the instant, in real time or by a jump. */
  #until(instantMs: number): Promise<void> {
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const look = (): void => {
        clearTimeout(timer);
        const leftMs = instantMs - this.#context.clock.nowMs();
        if (leftMs <= 0 || this.#stopping.signal.aborted) resolve();
        else timer = setTimeout(look, Math.min(leftMs, LONGEST_SLEEP_MS)).unref();
      };
      this.#wake = look;
      look();
    });
  }
}
