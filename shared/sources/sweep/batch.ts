import type { Hint } from '../../domain/hint.ts';
import { ID_WORDS, packedBytes } from '../../domain/packed-id.ts';
import type { WaitingHint } from '../../ports/ledger/rollouts.ts';
import type { SweepProgress, SweepRecord } from '../../ports/ledger/sweeps.ts';
import { type Difference, differenceOf, type ListedStanding } from './compare.ts';
import { CHECKPOINT_EVERY_MS, LEASE_MS, type Tick } from './context.ts';
import { releaseWave } from './waves.ts';

/** A listed user and what the list and the policy make of them. */
export interface Suspect {
  readonly userId: string;
  readonly standing: ListedStanding;
  /** Absent for the deleted. */
  readonly addressDigest?: number;
  /** In what the ledger's table differs, and when reading that began (`SweepDeps.elapsedMs`). */
  readonly inTable?: { readonly difference: Difference; readonly sinceMs: number };
}

/** As soon as there are so many they are compared: few, so that little is left to do when the last page has come. */
const LEAST_A_QUERY = 1_000;
/** At once, where more have come while others were compared. */
const MOST_A_QUERY = 5_000;
/** Or sooner, after so many pages, which keeps the ids that are not yet written down to twenty-four megabytes. */
const PAGES_A_CHECKPOINT = 4_000;
/** What was read of the ledger no longer ago is not read again: a row that changed since costs a look, which decides. */
const FRESH_MS = 10_000;
const SEEN_AT_ONCE = 20_000;
/** So many suspects wait at most for the ones before them to be compared. */
const MAX_SUSPECTS = 20_000;

/** What was read since the last checkpoint. */
export class Batch {
  readonly #tick: Tick;
  readonly #sweep: SweepRecord;
  /** Ids of those seen since the last checkpoint, packed: pieces that are full, and one of which `words` are taken. */
  #seenBefore: Int32Array[] = [];
  #seen = { seen: new Int32Array(0), words: 0 };
  #suspects: Suspect[] = [];
  #pages = 0;
  #differing: number;
  #sinceMs: number;
  /** Suspects that are being compared while pages are read on; what went wrong with them is kept until it is asked for. */
  #settling: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(tick: Tick, sweep: SweepRecord) {
    this.#tick = tick;
    this.#sweep = sweep;
    this.#differing = sweep.differing;
    this.#sinceMs = tick.deps.elapsedMs();
  }

  /** So far, without those who still are to be compared. */
  get differing(): number {
    return this.#differing;
  }

  /**
   * Users of whom a page was: ids in the first words of each `stride`. Only where something is concluded about those who are
   * not seen.
   */
  addSeen(words: Int32Array, stride: number, users: number): void {
    let { seen, words: to } = this.#seen;
    if (to + users * ID_WORDS > seen.length) {
      this.#seenBefore.push(seen.subarray(0, to));
      seen = new Int32Array(Math.max(SEEN_AT_ONCE, users) * ID_WORDS);
      to = 0;
    }
    for (let from = 0; from < users * stride; from += stride) {
      seen[to] = words[from] ?? 0;
      seen[to + 1] = words[from + 1] ?? 0;
      seen[to + 2] = words[from + 2] ?? 0;
      to += ID_WORDS;
    }
    this.#seen = { seen, words: to };
  }

  /** The suspects of one more page. */
  add(suspects: readonly Suspect[]): void {
    this.#pages += 1;
    this.#suspects.push(...suspects);
    if (this.#suspects.length >= LEAST_A_QUERY && this.#settling === undefined) {
      this.#settling = this.#settleSome();
    }
  }

  get isFull(): boolean {
    return (
      this.#pages >= PAGES_A_CHECKPOINT ||
      this.#suspects.length >= MAX_SUSPECTS ||
      this.#failure !== undefined ||
      this.#tick.deps.elapsedMs() - this.#sinceMs >= CHECKPOINT_EVERY_MS
    );
  }

  /** Hints first, then the ledger: a crash between them repeats hints and loses none. */
  async checkpoint(progress: Omit<SweepProgress, 'differing'>): Promise<void> {
    const { deps, lease } = this.#tick;
    await this.settle();
    await deps.ledger.renewLease(lease, LEASE_MS);
    await deps.ledger.recordSweepProgress(lease, this.#sweep.sweepId, {
      ...progress,
      differing: this.#differing,
      seen: Buffer.concat(
        [...this.#seenBefore, this.#seen.seen.subarray(0, this.#seen.words)].map(packedBytes),
      ),
    });
    await releaseWave(deps, lease);
    this.#seenBefore = [];
    this.#seen = { seen: this.#seen.seen, words: 0 };
    this.#pages = 0;
    this.#sinceMs = deps.elapsedMs();
  }

  /** Returns when everybody who was suspected is compared and the hints are out. Throws what hindered it. */
  async settle(): Promise<void> {
    await this.#settling;
    while (this.#failure === undefined && this.#suspects.length > 0) await this.#settleSome();
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async #settleSome(): Promise<void> {
    try {
      await this.#compare(this.#suspects.splice(0, MOST_A_QUERY));
    } catch (error) {
      this.#failure = { error };
    } finally {
      this.#settling = undefined;
    }
  }

  /**
   * Compares suspects with the rows as they are now, because the look that an event caused may have come before us; with the
   * table instead while it is new.
   */
  async #compare(suspects: readonly Suspect[]): Promise<void> {
    const { deps, lease } = this.#tick;
    const { sweepId } = this.#sweep;
    const newMs = deps.elapsedMs() - FRESH_MS;
    const inNewTable = ({ inTable }: Suspect) =>
      inTable !== undefined && inTable.sinceMs >= newMs ? inTable.difference : undefined;
    const old = suspects.filter((suspect) => inNewTable(suspect) === undefined).map(({ userId }) => userId);
    const known = old.length === 0 ? undefined : await deps.ledger.sweptUsers(old);
    const waiting: WaitingHint[] = [];
    const hints: Hint[] = [];
    for (const suspect of suspects) {
      const { userId, standing, addressDigest } = suspect;
      const difference = inNewTable(suspect) ?? differenceOf(standing, known?.get(userId), addressDigest);
      if (difference === undefined) continue;
      if (isWork(difference)) waiting.push({ userId, kind: difference, sweepId });
      else hints.push({ userId, cause: causeOf(this.#sweep, difference) });
    }
    if (hints.length > 0) await deps.bus.publishHints(hints);
    this.#differing += hints.length;
    // Whoever waits for a wave already is news to nobody.
    if (waiting.length > 0) this.#differing += await deps.ledger.queueHints(lease, waiting);
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
