/**
 * The ledger's users as a sweep holds them: a table of sixteen bytes a user, found by id. The directory lists by address
 * and not by id, so the two sides cannot be merged as they come; a row lookup per page costs the database ten times what
 * the whole table costs here (docs/decisions/0020-a-table-of-the-ledger.md). The ledger keeps it from one sweep to the next
 * (docs/decisions/0043-the-ledger-keeps-the-table-of-a-sweep.md).
 *
 * It is a filter. It may suspect somebody wrongly (a digest that is missing, a row that has changed meanwhile), and
 * whoever it suspects is compared again with the row as it is then.
 */
import { DIGEST as LISTED_DIGEST, LISTED_WORDS } from '../../domain/listed-users.ts';
import { ID_BITS, ID_WORDS, packedWords, unpackedId } from '../../domain/packed-id.ts';
import { isSealwrightError } from '../../errors.ts';
import type { SweepLedger, SweptMoment } from '../../ports/ledger/sweeps.ts';
import type { Lease } from '../../ports/ledger.ts';
import { DELETED, type Difference, differenceInStanding, type ListedStanding } from './compare.ts';
import { headText, type TableHead, usableHead } from './kept-table.ts';
import { PackedUsers, Statuses } from './packed-users.ts';
import type { JudgedUsers } from './standings.ts';

/**
 * Words of an entry: the first two of the id, the third of the id with the status in its upper bits, the address digest. Four
 * of them, so that no entry is in two lines of the processor's cache.
 */
const STRIDE = 4;
const HIGH = 2;
const DIGEST = 3;
const STATUS_SHIFT = 20;
const MAX_STATUS = 0x3ff;
/** The status of whoever the ledger does not know. */
const UNKNOWN = 0;
const HAS_DIGEST = 1 << 30;
const SEEN = 1 << 31;
/** Of the slots at most this many are taken; beyond, the table grows. */
const MAX_LOAD = 0.7;
const IDS_A_PIECE = 20_000;
/** Of the ledger's users so many are put into the table at once. */
const ADDED_AT_ONCE = 512;

/** A user of a page, and in what the table differs from it. */
export interface Suspicion {
  readonly position: number;
  readonly difference: Difference;
}

export class LedgerIndex {
  #table: Int32Array;
  #slots: number;
  #entries = 0;
  /** Entries hold the number of their status; 0 is an empty slot. */
  readonly #statuses = new Statuses();
  /** Of each status. */
  readonly #users = new Int32Array(MAX_STATUS + 1);
  /** For each standing, by status; a hole is not judged yet. */
  readonly #verdicts = new Map<ListedStanding, (Difference | 'none')[]>();
  #last: { readonly standing: ListedStanding; readonly verdicts: (Difference | 'none')[] } | undefined;
  #homes = new Int32Array(ADDED_AT_ONCE);
  readonly #added = new Int32Array(ADDED_AT_ONCE * STRIDE);
  /** What is read ahead goes here, or else an optimizer would leave the reading out. */
  #touched = 0;

  private constructor(slots: number) {
    this.#slots = slots;
    this.#table = new Int32Array(slots * STRIDE);
  }

  /**
   * Everybody as the ledger has them at one moment: from the table that a sweep before kept and whoever was written since, or else from
   * everybody's row, and then the table is kept. That only spares the next one work: what hinders it otherwise than for a moment is told to
   * `notKept`. Throws `ledger-unavailable`, `lease-lost`.
   */
  static async load(
    ledger: Pick<SweepLedger, 'atOneMoment' | 'keepTable'>,
    lease: Lease,
    now: Date,
    notKept: (error: unknown) => void,
  ): Promise<LedgerIndex> {
    const { kept, read, name } = await ledger.atOneMoment(async (moment) => {
      const kept = await LedgerIndex.#takenUp(moment, now);
      return { kept, read: kept ?? (await LedgerIndex.#read(moment)), name: moment.name };
    });
    if (kept !== undefined) return read;
    try {
      await ledger.keepTable(lease, name, read.#asKept(now));
    } catch (error) {
      if (isSealwrightError(error)) throw error;
      notKept(error);
    }
    return read;
  }

  static async #read(moment: SweptMoment): Promise<LedgerIndex> {
    const expected = await moment.estimateUsers();
    const index = new LedgerIndex(Math.ceil((expected * 1.02 + 1_000) / MAX_LOAD));
    await moment.packedUsers((part) => {
      if (index.#add(part) === undefined)
        throw new Error('bug: the ledger has more rules than a sweep can tell apart');
    });
    return index;
  }

  /** Undefined where nothing was kept, or what was kept is not to be used. */
  static async #takenUp(moment: SweptMoment, now: Date): Promise<LedgerIndex | undefined> {
    const kept = await moment.keptTable();
    const head = kept === undefined ? undefined : usableHead(kept, now);
    if (head === undefined) return undefined;
    const index = new LedgerIndex(head.slots);
    if (!(await index.#fill(moment, head))) return undefined;
    const { users, packed } = await moment.changedUsers();
    let changed = 0;
    for (const part of packed) {
      const added = index.#add(part);
      // Statuses that nobody has any more count too.
      if (added === undefined) return undefined;
      changed += added;
    }
    // Nobody's row is ever removed. Whose was would stay in the table.
    return changed === users ? index : undefined;
  }

  /** False where the bytes are not those that the head tells of. */
  async #fill(moment: SweptMoment, head: TableHead): Promise<boolean> {
    const bytes = new Uint8Array(this.#table.buffer);
    let at = 0;
    await moment.keptBytes((part) => {
      if (at + part.length <= bytes.length) bytes.set(part, at);
      at += part.length;
    });
    this.#entries = head.entries;
    for (const { status, users } of head.statuses) this.#users[this.#statuses.add(status)] = users;
    return at === bytes.length && this.#statuses.length === head.statuses.length + 1;
  }

  /** While nobody is marked as seen. */
  #asKept(readAt: Date): { readonly head: string; readonly bytes: Uint8Array } {
    const statuses: TableHead['statuses'][number][] = [];
    for (let number = 1; number < this.#statuses.length; number += 1) {
      const status = this.#statuses.at(number);
      if (status !== undefined) statuses.push({ status, users: this.#users[number] ?? 0 });
    }
    return {
      head: headText({ readAt, slots: this.#slots, entries: this.#entries, statuses }),
      bytes: new Uint8Array(this.#table.buffer),
    };
  }

  get size(): number {
    return this.#entries;
  }

  /** Marks living users as seen; answers those whom a look may be worth. Says what `differenceOf` says of the same user. */
  suspects({ words, standings, kinds, length }: JudgedUsers): readonly Suspicion[] {
    const suspected: Suspicion[] = [];
    const homes = this.#homesOf(words, LISTED_WORDS, length);
    const table = this.#table;
    for (let position = 0; position < length; position += 1) {
      const standing = kinds[standings[position] ?? 0];
      if (standing === undefined) throw new Error('bug: a listed user has no standing');
      const from = position * LISTED_WORDS;
      const at = this.#find(homes[position] ?? 0, words, from);
      if (at < 0) {
        const difference = this.#verdictOf(standing, UNKNOWN);
        if (difference !== 'none') suspected.push({ position, difference });
        continue;
      }
      const word = table[at + HIGH] ?? 0;
      table[at + HIGH] = word | SEEN;
      const difference = this.#verdictOf(standing, statusIn(word));
      if (difference !== 'none') suspected.push({ position, difference });
      else if ((word & HAS_DIGEST) !== 0 && table[at + DIGEST] !== words[from + LISTED_DIGEST])
        suspected.push({ position, difference: 'addresses-changed' });
    }
    return suspected;
  }

  /** The same for the deleted, of whom only the standing is compared. */
  suspectedDeleted(ids: Int32Array): readonly Suspicion[] {
    const suspected: Suspicion[] = [];
    this.#markSeen(ids, (position, status) => {
      const difference = this.#verdictOf(DELETED, status);
      if (difference !== 'none') suspected.push({ position, difference });
    });
    return suspected;
  }

  /** Marks users whom an earlier invocation saw: ids as `recordSweepProgress` was given them. */
  markSeen(packed: Uint8Array): void {
    this.#markSeen(packedWords(packed), () => undefined);
  }

  #markSeen(ids: Int32Array, found: (position: number, status: number) => void): void {
    const users = ids.length / ID_WORDS;
    const homes = this.#homesOf(ids, ID_WORDS, users);
    for (let position = 0; position < users; position += 1) {
      const at = this.#find(homes[position] ?? 0, ids, position * ID_WORDS);
      if (at < 0) continue;
      const word = this.#table[at + HIGH] ?? 0;
      this.#table[at + HIGH] = word | SEEN;
      found(position, statusIn(word));
    }
  }

  /**
   * Ids of the ledger's users, without those that are `out`, whom nobody has seen, in pieces. Rows written since the
   * table was loaded are not in it and not answered; nor is an id such as Google has none (`packed-id.ts`), whose owner so is
   * never missing.
   */
  *unseen(): Generator<readonly string[]> {
    let found: string[] = [];
    for (let at = 0; at < this.#table.length; at += STRIDE) {
      const word = this.#table[at + HIGH] ?? 0;
      const status = statusIn(word);
      if (status === 0 || (word & SEEN) !== 0 || this.#statuses.at(status)?.state === 'out') continue;
      const userId = unpackedId(this.#table, at);
      if (userId === undefined) continue;
      found.push(userId);
      if (found.length === IDS_A_PIECE) {
        yield found;
        found = [];
      }
    }
    if (found.length > 0) yield found;
  }

  /** How many the ledger serves in whatever way, which is everybody but those that are `out`, and how many are ready. */
  count(): { readonly served: number; readonly ready: number } {
    let served = 0;
    let ready = 0;
    for (let status = 1; status < this.#statuses.length; status += 1) {
      const { state } = this.#statuses.at(status) ?? {};
      const users = this.#users[status] ?? 0;
      if (state !== 'out') served += users;
      if (state === 'ready') ready += users;
    }
    return { served, ready };
  }

  #verdictOf(standing: ListedStanding, status: number): Difference | 'none' {
    if (this.#last?.standing !== standing) {
      const verdicts = this.#verdicts.get(standing) ?? [];
      this.#verdicts.set(standing, verdicts);
      this.#last = { standing, verdicts };
    }
    const { verdicts } = this.#last;
    const judged = verdicts[status];
    if (judged !== undefined) return judged;
    const verdict = differenceInStanding(standing, this.#statuses.at(status)) ?? 'none';
    verdicts[status] = verdict;
    return verdict;
  }

  /**
   * Where the looking for each of these ids begins. The table is larger than any cache, and a processor waits for many
   * entries at once only where nothing depends on them: so all of them are touched here, before any is compared.
   */
  #homesOf(words: Int32Array, stride: number, users: number): Int32Array {
    if (this.#homes.length < users) this.#homes = new Int32Array(users);
    const homes = this.#homes;
    const table = this.#table;
    for (let position = 0; position < users; position += 1) {
      const from = position * stride;
      homes[position] = this.#home(words[from] ?? 0, words[from + 1] ?? 0, (words[from + 2] ?? 0) & ID_BITS);
    }
    let touched = 0;
    for (let position = 0; position < users; position += 1) touched ^= table[homes[position] ?? 0] ?? 0;
    this.#touched ^= touched;
    return homes;
  }

  /** Answers how many; undefined where there are more statuses than an entry can tell apart, and then some are not in the table. */
  #add(bytes: Uint8Array): number | undefined {
    let all = 0;
    const users = new PackedUsers(bytes, this.#statuses);
    const { id } = users;
    const added = this.#added;
    for (let more = true; more; ) {
      let count = 0;
      while (count < ADDED_AT_ONCE) {
        more = users.next();
        if (!more) break;
        const to = count * STRIDE;
        added[to] = id[0] ?? 0;
        added[to + 1] = id[1] ?? 0;
        added[to + HIGH] = (id[2] ?? 0) | (users.status << STATUS_SHIFT) | (users.hasDigest ? HAS_DIGEST : 0);
        added[to + DIGEST] = users.digest;
        count += 1;
      }
      if (this.#statuses.length > MAX_STATUS + 1) return undefined;
      while (this.#entries + count > this.#slots * MAX_LOAD) this.#grow();
      this.#put(added, count);
      all += count;
    }
    return all;
  }

  /** A row that comes twice is written over. */
  #put(entries: Int32Array, count: number): void {
    const homes = this.#homesOf(entries, STRIDE, count);
    const table = this.#table;
    for (let position = 0; position < count; position += 1) {
      const from = position * STRIDE;
      const found = this.#find(homes[position] ?? 0, entries, from);
      // Not found, it is the free slot, in its complement.
      const at = found < 0 ? ~found : found;
      if (found < 0) this.#entries += 1;
      else this.#addTo(statusIn(table[at + HIGH] ?? 0), -1);
      this.#addTo(statusIn(entries[from + HIGH] ?? 0), 1);
      table[at] = entries[from] ?? 0;
      table[at + 1] = entries[from + 1] ?? 0;
      table[at + 2] = entries[from + 2] ?? 0;
      table[at + 3] = entries[from + 3] ?? 0;
    }
  }

  #addTo(status: number, users: number): void {
    this.#users[status] = (this.#users[status] ?? 0) + users;
  }

  /** The entry of an id, or the complement of the free slot where it would go. */
  #find(home: number, words: Int32Array, from: number): number {
    const table = this.#table;
    const low = words[from] ?? 0;
    const middle = words[from + 1] ?? 0;
    const high = words[from + 2] ?? 0;
    for (let at = home; ; ) {
      const word = table[at + HIGH] ?? 0;
      if (word === 0) return ~at;
      if (table[at] === low && table[at + 1] === middle && ((word ^ high) & ID_BITS) === 0) return at;
      at += STRIDE;
      if (at === table.length) at = 0;
    }
  }

  /** The slot at which looking for an id begins. */
  #home(low: number, middle: number, high: number): number {
    let hash = Math.imul(low, 0x9e3779b1) ^ Math.imul(middle, 0x85ebca77) ^ Math.imul(high, 0xc2b2ae3d);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    hash ^= hash >>> 13;
    return Math.floor(((hash >>> 0) / 0x1_0000_0000) * this.#slots) * STRIDE;
  }

  #grow(): void {
    const before = this.#table;
    this.#slots = Math.ceil(this.#slots * 1.5);
    this.#table = new Int32Array(this.#slots * STRIDE);
    for (let from = 0; from < before.length; from += STRIDE) {
      const word = before[from + HIGH] ?? 0;
      if (word === 0) continue;
      const home = this.#home(before[from] ?? 0, before[from + 1] ?? 0, word & ID_BITS);
      this.#table.set(before.subarray(from, from + STRIDE), ~this.#find(home, before, from));
    }
  }
}

const statusIn = (word: number): number => (word >>> STATUS_SHIFT) & MAX_STATUS;
