/**
 * Listed users against the ledger. The ledger is read while the first pages are: until its table is whole, pages wait here in
 * twenty-six bytes a user.
 */
import { DIGEST, LISTED_WORDS } from '../../domain/listed-users.ts';
import { ID_WORDS, packedIds, unpackedId } from '../../domain/packed-id.ts';
import type { DeletedUser } from '../../ports/directory.ts';
import type { SweepRecord } from '../../ports/ledger/sweeps.ts';
import type { Batch, Suspect } from './batch.ts';
import { DELETED } from './compare.ts';
import { LEASE_MS, type Tick } from './context.ts';
import { LedgerIndex } from './ledger-index.ts';
import type { JudgedUsers } from './standings.ts';

/** Twenty-six megabytes of pages. */
const MAX_WAITING = 2_000;

type Loaded = { readonly index: LedgerIndex } | { readonly error: unknown };

export class Comparison {
  readonly #batch: Batch;
  readonly #sinceMs: number;
  readonly #loading: Promise<Loaded>;
  #loaded: Loaded | undefined;
  #waiting: JudgedUsers[] = [];

  /** Begins to read the ledger. */
  constructor(tick: Tick, sweep: SweepRecord, batch: Batch) {
    this.#batch = batch;
    this.#sinceMs = tick.deps.elapsedMs();
    this.#loading = load(tick, sweep).then(
      (index) => ({ index }),
      (error: unknown) => ({ error }),
    );
    this.#loading.then((loaded) => {
      this.#loaded = loaded;
    });
  }

  async living(users: JudgedUsers): Promise<void> {
    this.#waiting.push(users);
    if (this.#loaded !== undefined || this.#waiting.length >= MAX_WAITING) await this.index();
  }

  async deleted(users: readonly DeletedUser[]): Promise<void> {
    const index = await this.index();
    const ids = packedIds(users.map(({ userId }) => userId));
    this.#batch.add(
      index.suspectedDeleted(ids).map(({ position, difference }) => ({
        userId: users[position]?.userId ?? '',
        standing: DELETED,
        inTable: { difference, sinceMs: this.#sinceMs },
      })),
    );
    this.#batch.addSeen(ids, ID_WORDS, users.length);
  }

  /** The table, against which every page that came is compared by then. Throws what kept the ledger from being read. */
  async index(): Promise<LedgerIndex> {
    const loaded = this.#loaded ?? (await this.#loading);
    if ('error' in loaded) throw loaded.error;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const users of waiting) this.#compare(loaded.index, users);
    return loaded.index;
  }

  /**
   * Returns when the ledger is read, whatever became of it. Nobody ends a sweep before: the next one might keep its table sooner than this one, and
   * changes between the two would be forgotten.
   */
  async settled(): Promise<void> {
    await this.#loading;
  }

  #compare(index: LedgerIndex, users: JudgedUsers): void {
    this.#batch.add(
      index.suspects(users).map(({ position, difference }) => ({
        ...listedAt(users, position),
        inTable: { difference, sinceMs: this.#sinceMs },
      })),
    );
    this.#batch.addSeen(users.words, LISTED_WORDS, users.length);
  }
}

/** The users of a page as suspects, all of them. */
export const everyone = (users: JudgedUsers): readonly Suspect[] =>
  Array.from({ length: users.length }, (_, position) => listedAt(users, position));

function listedAt({ words, standings, kinds, oddIds }: JudgedUsers, position: number): Suspect {
  const at = position * LISTED_WORDS;
  const standing = kinds[standings[position] ?? 0];
  const userId = oddIds.get(position) ?? unpackedId(words, at);
  if (standing === undefined || userId === undefined) throw new Error('bug: a listed user is nobody');
  return { userId, standing, addressDigest: words[at + DIGEST] ?? 0 };
}

async function load({ deps, lease }: Tick, sweep: SweepRecord): Promise<LedgerIndex> {
  const index = await LedgerIndex.load(deps.ledger, lease, deps.clock.now(), (error) => {
    deps.log.error('sweep-table-not-kept', {
      sweepId: String(sweep.sweepId),
      message: error instanceof Error ? error.message : String(error),
    });
  });
  await deps.ledger.renewLease(lease, LEASE_MS);
  for await (const packed of deps.ledger.seenBySweep(sweep.sweepId)) index.markSeen(packed);
  return index;
}
