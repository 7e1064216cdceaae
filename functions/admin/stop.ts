/** The switch that stops everything. */
import { z } from 'zod';
import { permanent } from '../../shared/errors.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import type { Log } from '../../shared/ports/log.ts';
import type { HttpAnswer } from '../wire/http.ts';
import { bodyOf } from './body.ts';
import { wakePaceMs } from './held.ts';

export interface StopDeps {
  readonly ledger: Pick<Ledger, 'currentStop' | 'recordStop' | 'recordResume'>;
  /** What `due` and the waves let out in a minute. */
  readonly hintsPerMinute: number;
  readonly log: Log;
}

/** `{"stop":null}` or who stopped, when and why. */
export async function readStop(deps: StopDeps): Promise<HttpAnswer> {
  return { status: 200, body: { stop: (await deps.ledger.currentStop()) ?? null } };
}

const request = z.strictObject({ reason: z.string().trim().min(3).max(500) });

export async function stopEverything(deps: StopDeps, admin: string, body: unknown): Promise<HttpAnswer> {
  const { reason } = bodyOf(request, body);
  if ((await deps.ledger.recordStop({ by: admin, reason })) === 'already') {
    const stop = await deps.ledger.currentStop();
    throw permanent(
      'conflict',
      stop === undefined
        ? 'Everything was stopped and has just been resumed by somebody else.'
        : `Everything is stopped already, by ${stop.by} since ${stop.at.toISOString()}: ${stop.reason}`,
    );
  }
  deps.log.warning('stopped', { admin, reason });
  return await readStop(deps);
}

/** `{"woken":n}`: users who had waited and are looked at as `due` lets their hints out. */
export async function resumeEverything(deps: StopDeps, admin: string): Promise<HttpAnswer> {
  const outcome = await deps.ledger.recordResume({ by: admin, paceMs: wakePaceMs(deps.hintsPerMinute) });
  if (outcome.kind === 'not-stopped') throw permanent('conflict', 'Nothing is stopped.');
  deps.log.warning('resumed', { admin, woken: outcome.woken });
  return { status: 200, body: { woken: outcome.woken } };
}
