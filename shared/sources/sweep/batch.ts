import type { DirectoryUser } from '../../domain/directory-user.ts';
import type { Hint } from '../../domain/hint.ts';
import type { WaitingHint } from '../../ports/ledger/rollouts.ts';
import type { SweepProgress, SweepRecord } from '../../ports/ledger/sweeps.ts';
import { type Difference, differenceOf, type ListedStanding } from './compare.ts';
import { LEASE_MS, type Tick } from './context.ts';
import { releaseWave } from './waves.ts';

/** A listed user and what the list and the policy make of them. */
export interface Suspect {
  readonly userId: string;
  readonly standing: ListedStanding;
  readonly addresses?: Pick<DirectoryUser, 'primaryEmail' | 'aliases'>;
}

const ROWS_A_QUERY = 1_000;
/** After so much it is written down how far the sweep is; what came since is read again after a crash. */
const PAGES_A_CHECKPOINT = 100;
const SUSPECTS_A_CHECKPOINT = 2_500;
const CHECKPOINT_EVERY_MS = 10_000;

/** What was read since the last checkpoint. */
export class Batch {
  readonly #tick: Tick;
  readonly #sweep: SweepRecord;
  #seen: Uint8Array[] = [];
  #suspects: Suspect[] = [];
  #pages = 0;
  #differing: number;
  #sinceMs: number;

  constructor(tick: Tick, sweep: SweepRecord) {
    this.#tick = tick;
    this.#sweep = sweep;
    this.#differing = sweep.differing;
    this.#sinceMs = tick.deps.elapsedMs();
  }

  /** `seen`: the ids of the page, packed; none where nothing is concluded about those who are not seen. */
  add(suspects: readonly Suspect[], seen?: Uint8Array): void {
    this.#pages += 1;
    if (seen !== undefined) this.#seen.push(seen);
    this.#suspects.push(...suspects);
  }

  get isFull(): boolean {
    return (
      this.#pages >= PAGES_A_CHECKPOINT ||
      this.#suspects.length >= SUSPECTS_A_CHECKPOINT ||
      this.#tick.deps.elapsedMs() - this.#sinceMs >= CHECKPOINT_EVERY_MS
    );
  }

  /**
   * Hints first, then the ledger: a crash between them repeats hints and loses none. Compares every suspect with the row
   * as it is now, because the look that an event caused may have come before us.
   */
  async checkpoint(progress: Omit<SweepProgress, 'differing'>): Promise<void> {
    const { deps, lease } = this.#tick;
    const { sweepId } = this.#sweep;
    const waiting: WaitingHint[] = [];
    for (let start = 0; start < this.#suspects.length; start += ROWS_A_QUERY) {
      const suspects = this.#suspects.slice(start, start + ROWS_A_QUERY);
      const known = await deps.ledger.sweptUsers(suspects.map(({ userId }) => userId));
      const hints: Hint[] = [];
      for (const { userId, standing, addresses } of suspects) {
        const difference = differenceOf(standing, known.get(userId), addresses);
        if (difference === undefined) continue;
        this.#differing += 1;
        if (isWork(difference)) waiting.push({ userId, kind: difference, sweepId });
        else hints.push({ userId, cause: causeOf(this.#sweep, difference) });
      }
      await deps.bus.publishHints(hints);
    }
    await deps.ledger.queueHints(lease, waiting);
    await deps.ledger.renewLease(lease, LEASE_MS);
    await deps.ledger.recordSweepProgress(lease, sweepId, {
      ...progress,
      differing: this.#differing,
      seen: Buffer.concat(this.#seen),
    });
    await releaseWave(deps, lease);
    this.#seen = [];
    this.#suspects = [];
    this.#pages = 0;
    this.#sinceMs = deps.elapsedMs();
  }
}

/** What makes keys and certificates, and may concern everybody at once when a policy is switched on or changed. */
const isWork = (difference: Difference): difference is 'came-into-scope' | 'rule-changed' =>
  difference === 'came-into-scope' || difference === 'rule-changed';

export const causeOf = (sweep: Pick<SweepRecord, 'sweepId'>, event: string): Hint['cause'] => ({
  source: 'sweep',
  eventId: `sweep-${sweep.sweepId}`,
  event,
});
