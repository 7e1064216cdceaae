import { parseDuration } from '../core/clock.ts';
import type { OidcIdentity } from '../core/outbound-request.ts';
import { type CronSchedule, parseCron } from './cron.ts';

/** A job as the wiring describes it; limits and defaults are Cloud Scheduler's. */
export interface JobDefinition {
  /** Short name, 1 to 500 letters, digits, hyphens and underscores. */
  readonly name: string;
  /** unix-cron in UTC. */
  readonly schedule: string;
  readonly target: {
    readonly url: string;
    /** POST unless told. */
    readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string;
    readonly oidc?: OidcIdentity;
  };
  /** How long one attempt may take: `180s` unless told, from 15 s to 30 min. */
  readonly attemptDeadline?: string;
  readonly retry?: {
    /** Further attempts after a failed one, 0 to 5; 0 unless told. */
    readonly count?: number;
    /** `5s` unless told. */
    readonly minBackoff?: string;
    /** `1h` unless told. */
    readonly maxBackoff?: string;
    /** After that many doublings the wait stays; 5 unless told. */
    readonly maxDoublings?: number;
  };
}

export interface Job {
  readonly definition: JobDefinition;
  readonly schedule: CronSchedule;
  readonly attemptDeadlineMs: number;
  readonly retryCount: number;
  /** The wait after the nth failed attempt, in milliseconds. */
  backoffMs(failures: number): number;
}

/** Throws a RangeError naming the job and what is wrong with it. */
export function jobFrom(definition: JobDefinition): Job {
  const { name, target, retry = {} } = definition;
  try {
    if (!/^[A-Za-z0-9_-]{1,500}$/.test(name))
      throw new RangeError('the name has other characters than letters, digits, - and _.');
    if (!URL.canParse(target.url)) throw new RangeError(`"${target.url}" is no address to call.`);
    const retryCount = retry.count ?? 0;
    if (!Number.isInteger(retryCount) || retryCount < 0 || retryCount > 5)
      throw new RangeError(`${retryCount} retries; between 0 and 5 are possible.`);
    const minMs = length(retry.minBackoff ?? '5s');
    const maxMs = length(retry.maxBackoff ?? '1h');
    if (maxMs < minMs) throw new RangeError('the longest back-off is shorter than the shortest.');
    const maxDoublings = retry.maxDoublings ?? 5;
    return {
      definition,
      schedule: parseCron(definition.schedule),
      attemptDeadlineMs: deadline(definition.attemptDeadline ?? '180s'),
      retryCount,
      backoffMs: (failures) => Math.min(minMs * 2 ** Math.min(failures - 1, maxDoublings), maxMs),
    };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new RangeError(`Scheduled job ${name}: ${why}`, { cause: error });
  }
}

function deadline(text: string): number {
  const ms = length(text);
  if (ms < 15_000 || ms > 1_800_000)
    throw new RangeError(`an attempt deadline of ${text}; it takes 15s to 30m.`);
  return ms;
}

function length(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new RangeError(`"${text}" is no length of time, such as 30s or 5m.`);
  return ms;
}
