/**
 * The ledger's users as a sweep holds them: a table of twenty bytes a user, found by id. The directory lists by address
 * and not by id, so the two sides cannot be merged as they come; a row lookup per page costs the database ten times what
 * the whole table costs here (docs/decisions/0020-a-table-of-the-ledger.md).
 *
 * It is a filter. It may suspect somebody wrongly (a digest that is missing, a row that has changed meanwhile), and
 * whoever it suspects is compared again with the row as it is then.
 */
import { addressDigest } from '../../domain/address-digest.ts';
import type { DirectoryUser } from '../../domain/directory-user.ts';
import type { UserState } from '../../domain/records.ts';
import type { SweepLedger, SweptUser } from '../../ports/ledger/sweeps.ts';
import { DELETED, differenceInStanding, type ListedStanding } from './compare.ts';

/** Words of an entry: the id in three groups of nine digits, the address digest, and status with marks. */
const STRIDE = 5;
const DIGEST = 3;
const STATUS = 4;
const STATUS_BITS = 0xffff;
const HAS_DIGEST = 1 << 16;
const SEEN = 1 << 17;
/** Of the slots at most this many are taken; beyond, the table grows. */
const MAX_LOAD = 0.75;
const IDS_A_PIECE = 20_000;
const FIELD = 0x1f;
const RECORD = 0x1e;
const ZERO = 0x30;
const MINUS = 0x2d;
const GROUP = 9;
const ID_WORDS = 3;

type Status = Omit<SweptUser, 'userId' | 'addressDigest'>;

export class LedgerIndex {
  #table: Int32Array;
  #slots: number;
  #entries = 0;
  /** Every status that occurs; entries hold the position, and position 0 is an empty slot. */
  readonly #statuses: (Status | undefined)[] = [undefined];
  readonly #statusByText = new Map<string, number>();
  /** For each standing, by status: 1 differs, 2 does not, 0 not judged yet. */
  readonly #verdicts = new Map<ListedStanding, Uint8Array>();
  readonly #id = new Int32Array(3);
  #probes = new Int32Array(0);
  /** Of the page last probed, as `seen` is kept. */
  #pageIds = new Int32Array(0);

  private constructor(expected: number) {
    this.#slots = Math.ceil((expected + 1_000) / MAX_LOAD);
    this.#table = new Int32Array(this.#slots * STRIDE);
  }

  /** Reads the whole ledger. Throws `ledger-unavailable`. */
  static async load(ledger: Pick<SweepLedger, 'packedUsers' | 'countUsers'>): Promise<LedgerIndex> {
    const index = new LedgerIndex(await ledger.countUsers());
    let coming = ledger.packedUsers(0);
    for (let piece = 0; ; piece += 1) {
      const text = await coming;
      if (text === undefined) return index;
      // The next piece is on its way while this one is read.
      coming = ledger.packedUsers(piece + 1);
      index.#add(text);
    }
  }

  get size(): number {
    return this.#entries;
  }

  /** Marks a page of living users as seen; answers the positions of those whom a look may be worth. */
  suspects(users: readonly DirectoryUser[], standingOf: (user: DirectoryUser) => ListedStanding): number[] {
    const suspected: number[] = [];
    this.#probe(users);
    for (let position = 0; position < users.length; position += 1) {
      const user = users[position];
      if (user === undefined) continue;
      const standing = standingOf(user);
      const at = this.#probes[position] ?? -1;
      if (at < 0) {
        if (standing.kind === 'covered') suspected.push(position);
        continue;
      }
      const word = this.#table[at + STATUS] ?? 0;
      this.#table[at + STATUS] = word | SEEN;
      if (
        this.#differs(standing, word & STATUS_BITS) ||
        ((word & HAS_DIGEST) !== 0 &&
          this.#table[at + DIGEST] !== addressDigest(user.primaryEmail, user.aliases))
      )
        suspected.push(position);
    }
    return suspected;
  }

  /** The same for the deleted, of whom only the standing is compared. */
  suspectedDeleted(users: readonly { readonly userId: string }[]): number[] {
    const suspected: number[] = [];
    this.#probe(users);
    for (let position = 0; position < users.length; position += 1) {
      const at = this.#probes[position] ?? -1;
      if (at < 0) continue;
      const word = this.#table[at + STATUS] ?? 0;
      this.#table[at + STATUS] = word | SEEN;
      if (this.#differs(DELETED, word & STATUS_BITS)) suspected.push(position);
    }
    return suspected;
  }

  /** The ids of the page compared last, packed, to be marked as seen by a later invocation. */
  packedPage(users: number): Uint8Array {
    return new Uint8Array(this.#pageIds.slice(0, users * ID_WORDS).buffer);
  }

  /** Marks users whom an earlier invocation saw. */
  markSeen(packed: Uint8Array): void {
    const words = new Int32Array(packed.slice().buffer);
    for (let from = 0; from < words.length; from += ID_WORDS) {
      this.#id.set(words.subarray(from, from + ID_WORDS));
      const at = this.#find();
      if (at >= 0) this.#table[at + STATUS] = (this.#table[at + STATUS] ?? 0) | SEEN;
    }
  }

  /**
   * Ids of the ledger's users, without those that are `out`, whom nobody has seen, in pieces. Rows written since the
   * table was loaded are not in it and not answered; an id such as Google has none (a zero in front, more than
   * twenty-seven digits) comes back as one that the ledger does not know, and so is never missing.
   */
  *unseen(): Generator<readonly string[]> {
    let found: string[] = [];
    for (let at = 0; at < this.#table.length; at += STRIDE) {
      const word = this.#table[at + STATUS] ?? 0;
      if (word === 0 || (word & SEEN) !== 0 || this.#statuses[word & STATUS_BITS]?.state === 'out') continue;
      found.push(this.#idAt(at));
      if (found.length === IDS_A_PIECE) {
        yield found;
        found = [];
      }
    }
    if (found.length > 0) yield found;
  }

  #idAt(at: number): string {
    const group = (word: number) => String(this.#table[at + word] ?? 0).padStart(GROUP, '0');
    return `${group(2)}${group(1)}${group(0)}`.replace(/^0+/, '');
  }

  /** How many the ledger serves in whatever way: everybody but those that are `out`. */
  countNotOut(): number {
    let count = 0;
    for (let at = STATUS; at < this.#table.length; at += STRIDE) {
      const word = this.#table[at] ?? 0;
      if (word !== 0 && this.#statuses[word & STATUS_BITS]?.state !== 'out') count += 1;
    }
    return count;
  }

  #differs(standing: ListedStanding, status: number): boolean {
    let verdicts = this.#verdicts.get(standing);
    if (verdicts === undefined || status >= verdicts.length) {
      verdicts = new Uint8Array(this.#statuses.length);
      this.#verdicts.set(standing, verdicts);
    }
    const judged = verdicts[status];
    if (judged !== 0) return judged === 1;
    const differs = differenceInStanding(standing, this.#statuses[status]) !== undefined;
    verdicts[status] = differs ? 1 : 2;
    return differs;
  }

  /**
   * Where each user of a page is in the table, -1 for those that are not. All of a page in one short loop: the table is
   * larger than any cache, and the processor waits for several entries at once only where nothing else is between them.
   */
  #probe(users: readonly { readonly userId: string }[]): void {
    if (this.#probes.length < users.length) {
      this.#probes = new Int32Array(users.length);
      this.#pageIds = new Int32Array(users.length * ID_WORDS);
    }
    for (let position = 0; position < users.length; position += 1) {
      const userId = users[position]?.userId ?? '';
      this.#readId(userId, 0, userId.length);
      this.#pageIds.set(this.#id, position * ID_WORDS);
      this.#probes[position] = this.#find();
    }
  }

  #add(text: string): void {
    let statusText = '\0';
    let status = 0;
    for (let start = 0; start < text.length; ) {
      if (this.#entries + 1 > this.#slots * MAX_LOAD) this.#grow();
      let at = start;
      while (text.charCodeAt(at) !== FIELD) at += 1;
      this.#readId(text, start, at);
      at += 1;
      const isNegative = text.charCodeAt(at) === MINUS;
      if (isNegative) at += 1;
      const digestStart = at;
      let digest = 0;
      for (let code = text.charCodeAt(at); code !== FIELD; code = text.charCodeAt(at)) {
        digest = digest * 10 + code - ZERO;
        at += 1;
      }
      const hasDigest = at > digestStart ? HAS_DIGEST : 0;
      at += 1;
      // Nearly always the status of the user before.
      if (!text.startsWith(statusText, at)) {
        statusText = text.slice(at, text.indexOf(String.fromCharCode(RECORD), at) + 1);
        status = this.#statusOf(statusText);
      }
      const slot = this.#slotOfId();
      if (this.#table[slot + STATUS] === 0) this.#entries += 1;
      const entry = this.#table;
      entry[slot] = this.#id[0] ?? 0;
      entry[slot + 1] = this.#id[1] ?? 0;
      entry[slot + 2] = this.#id[2] ?? 0;
      entry[slot + DIGEST] = isNegative ? -digest : digest;
      entry[slot + STATUS] = status | hasDigest;
      start = at + statusText.length;
    }
  }

  #statusOf(text: string): number {
    const known = this.#statusByText.get(text);
    if (known !== undefined) return known;
    const [stateAndFlags = '', ruleName = ''] = text.slice(0, -1).split(String.fromCharCode(FIELD));
    const position = this.#statuses.length;
    if (position > STATUS_BITS) throw new Error('bug: the ledger has more rules than a sweep can tell apart');
    this.#statuses.push({
      state: stateAndFlags.replace(/[<!]/g, '') as UserState,
      hasLeftScope: stateAndFlags.includes('<'),
      isSuspended: stateAndFlags.includes('!'),
      ...(ruleName === '' ? {} : { ruleName }),
    });
    this.#statusByText.set(text, position);
    return position;
  }

  /** Twenty-seven digits exactly; Google's ids have twenty-one. */
  #readId(text: string, start: number, end: number): void {
    const id = this.#id;
    const last = Math.max(start, end - GROUP);
    const middle = Math.max(start, end - 2 * GROUP);
    let digits = 0;
    for (let at = start; at < middle; at += 1)
      digits = (Math.imul(digits, 10) + text.charCodeAt(at) - ZERO) | 0;
    id[2] = digits;
    digits = 0;
    for (let at = middle; at < last; at += 1)
      digits = (Math.imul(digits, 10) + text.charCodeAt(at) - ZERO) | 0;
    id[1] = digits;
    digits = 0;
    for (let at = last; at < end; at += 1) digits = (Math.imul(digits, 10) + text.charCodeAt(at) - ZERO) | 0;
    id[0] = digits;
  }

  /** The slot at which looking for the id just read begins. */
  #home(low: number, middle: number, high: number): number {
    let hash = Math.imul(low, 0x9e3779b1) ^ Math.imul(middle, 0x85ebca77) ^ Math.imul(high, 0xc2b2ae3d);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    hash ^= hash >>> 13;
    return Math.floor(((hash >>> 0) / 0x1_0000_0000) * this.#slots) * STRIDE;
  }

  /** The entry of the id just read, or -1. */
  #find(): number {
    const at = this.#slotOfId();
    return this.#table[at + STATUS] === 0 ? -1 : at;
  }

  /** The entry of the id just read, or the free slot where it goes: a row that comes twice is written over. */
  #slotOfId(): number {
    const table = this.#table;
    const low = this.#id[0] ?? 0;
    const middle = this.#id[1] ?? 0;
    const high = this.#id[2] ?? 0;
    let at = this.#home(low, middle, high);
    while (table[at + STATUS] !== 0) {
      if (table[at] === low && table[at + 1] === middle && table[at + 2] === high) return at;
      at += STRIDE;
      if (at >= table.length) at = 0;
    }
    return at;
  }

  #grow(): void {
    const before = this.#table;
    this.#slots = Math.ceil(this.#slots * 1.5);
    this.#table = new Int32Array(this.#slots * STRIDE);
    const id = this.#id.slice();
    for (let from = 0; from < before.length; from += STRIDE) {
      if (before[from + STATUS] === 0) continue;
      this.#id.set(before.subarray(from, from + 3));
      this.#table.set(before.subarray(from, from + STRIDE), this.#slotOfId());
    }
    this.#id.set(id);
  }
}
