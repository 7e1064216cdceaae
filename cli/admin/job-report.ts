/** How a job stands, in words and as an exit code; and waiting for its end. */
import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { CommandFailure } from '../failure.ts';
import { table } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { counted } from '../words.ts';
import type { JobView } from './answers.ts';
import type { AdminClient } from './client.ts';
import { Unavailable } from './refusal.ts';

const FIRST_PAUSE_MS = 300;
const LONGEST_PAUSE_MS = 5_000;
/** How long the admin API may be away before the wait is given up; the job itself goes on. */
const PATIENCE_MS = 120_000;

/** Some users failed and some did not: 4. All failed, or the job was cancelled before anybody was done: 1. */
export function exitCodeOfJob(job: JobView): ExitCode {
  if (job.state === 'paused') return EXIT.refusedByGuard;
  if (job.failed === 0 && job.state !== 'cancelled' && job.state !== 'failed') return EXIT.done;
  return job.done > 0 ? EXIT.partlyDone : EXIT.failed;
}

/** Those who failed first, then those who wait: what an admin looks for. */
const ORDER: Readonly<Record<string, number>> = { failed: 0, waiting: 1, done: 2 };

export function describeJob(id: string, job: JobView): string {
  const waiting = job.total - job.done - job.failed;
  const summary = `Job ${id} is ${job.state}: ${job.done} of ${counted(job.total, 'user')} done, ${job.failed} failed, ${waiting} waiting.`;
  if (job.users.length === 0) return summary;
  const rows = job.users.toSorted((left, right) => (ORDER[left.state] ?? 1) - (ORDER[right.state] ?? 1));
  return [
    table(
      [
        { title: 'USER', value: ({ user }) => user },
        { title: 'STATE', value: ({ state }) => state },
        { title: 'DETAIL', value: ({ detail }) => detail },
      ],
      rows,
    ),
    '',
    summary,
  ].join('\n');
}

/** Of a re-key, sentences to go after another one: who is left out, and who gets no new key. */
export const describeExceptions = (counts: {
  readonly observed: number;
  readonly revokedOnly: number;
}): string => `${describeObserved(counts.observed)}${describeRevokedOnly(counts.revokedOnly)}`;

const describeRevokedOnly = (users: number): string =>
  users === 0
    ? ''
    : ` ${counted(users, 'user')} ${users === 1 ? 'is' : 'are'} covered by no rule, archived, deleted or in no list: the certificate is revoked and there is no new key.`;

/** A sentence to go after another one; nothing where nobody was left out. */
export const describeObserved = (users: number): string =>
  users === 0
    ? ''
    : ` ${counted(users, 'user')} ${users === 1 ? 'is' : 'are'} left out: their rule only observes.`;

/**
 * Asks until the job is no longer running, telling progress on standard error whenever a number changed. An admin API
 * that is away for a moment is waited for.
 */
export async function waitForJob(admin: AdminClient, id: string, terminal: Terminal): Promise<JobView> {
  let pauseMs = FIRST_PAUSE_MS;
  let told = '';
  let awaySinceMs: number | undefined;
  for (;;) {
    try {
      const job = await admin.job(id);
      awaySinceMs = undefined;
      if (job.state !== 'running') return job;
      const now = `${job.done} of ${counted(job.total, 'user')} done${job.failed === 0 ? '' : `, ${job.failed} failed`}`;
      if (now !== told) {
        terminal.tell(`… ${now}`);
        told = now;
        pauseMs = FIRST_PAUSE_MS;
      }
    } catch (error) {
      if (!(error instanceof Unavailable)) throw stillRunning(id, error);
      awaySinceMs ??= performance.now();
      if (performance.now() - awaySinceMs > PATIENCE_MS) throw stillRunning(id, error);
      terminal.tell(`… ${error.message} Waiting for it.`);
    }
    await sleep(pauseMs);
    pauseMs = Math.min(pauseMs * 1.5, LONGEST_PAUSE_MS);
  }
}

/** Only the waiting failed. Whoever reads this must not think that the job did. */
function stillRunning(id: string, error: unknown): unknown {
  if (!(error instanceof CommandFailure) || error.code === 'not-found') return error;
  return new CommandFailure(
    error.code,
    `${error.message} The job goes on without this command: "sealwright job ${id} --wait" takes the waiting up again.`,
    { exitCode: error.exitCode, cause: error, details: error.details },
  );
}
