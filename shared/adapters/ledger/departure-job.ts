/** The carrying out of an approved held set, as a job that can be followed. */
import type { HeldState } from '../../domain/held.ts';
import type { JobProgress } from '../../ports/ledger.ts';
import type { Queries } from './database.ts';

/** What became of somebody who was approved. Coming back in time is a good end; being held anew needs an admin again. */
const PROGRESS: Readonly<Partial<Record<HeldState, JobProgress['users'][number]['state']>>> = {
  approved: 'waiting',
  done: 'done',
  unneeded: 'done',
  changed: 'failed',
};

export const readDepartureJob = async (queries: Queries, jobId: string): Promise<JobProgress | undefined> => {
  const [set] = await queries.query<{ set_id: bigint }>('SELECT set_id FROM held_sets WHERE job_id = $1', [
    jobId,
  ]);
  if (set === undefined) return undefined;
  // Who was withdrawn before the decision was not decided on.
  const rows = await queries.query<{ primary_email: string; state: HeldState; detail: string | null }>(
    `SELECT held.primary_email, held.state,
            CASE held.state WHEN 'approved' THEN users.reason ELSE held.detail END AS detail
       FROM held_departures AS held JOIN users USING (user_id)
      WHERE held.set_id = $1 AND held.state <> 'withdrawn'
      ORDER BY held.primary_email COLLATE "C"`,
    [set.set_id],
  );
  const users = rows.map(({ primary_email: user, state, detail }) => ({
    user,
    state: PROGRESS[state] ?? 'failed',
    detail: detail ?? '',
  }));
  const count = (state: string) => users.filter((user) => user.state === state).length;
  const failed = count('failed');
  return {
    jobId,
    kind: 'departures',
    state: count('waiting') > 0 ? 'running' : failed > 0 ? 'failed' : 'done',
    total: users.length,
    done: count('done'),
    failed,
    users,
  };
};
