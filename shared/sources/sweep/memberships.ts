/**
 * Which of the policy's groups each user is in, in sixteen bytes a member of any of them: the id packed (`packed-id.ts`) and
 * the number of the set of groups. Users are in few different sets, and each set is kept once.
 */
import { ID_WORDS, packIdText } from '../../domain/packed-id.ts';

const ENTRY_WORDS = ID_WORDS + 1;
const FIRST_CAPACITY = 1 << 10;
/** Of the capacity, so much is filled before it is doubled. */
const FILLED = 0.6;
/** The set of those who are in none. */
const NONE = 0;

export class Memberships {
  /** Open addressing; a set number of `NONE` marks a free entry. */
  #entries = new Int32Array(FIRST_CAPACITY * ENTRY_WORDS);
  #capacity = FIRST_CAPACITY;
  #size = 0;
  readonly #sets: ReadonlySet<string>[] = [new Set()];
  /** Number of the set that a set becomes with one more group. */
  readonly #larger = new Map<string, number>();
  readonly #ofEverybody = new Set<string>();
  readonly #scratch = new Int32Array(ID_WORDS);

  /** How many users are in one of the groups at least, those of `addEverybody` left out. */
  get size(): number {
    return this.#size;
  }

  /** A user whose packed id begins at `at` is in the group. */
  add(words: Int32Array, at: number, groupId: string): void {
    if (this.#size >= this.#capacity * FILLED) this.#grow();
    const entry = this.#find(words, at);
    const before = this.#entries[entry + ID_WORDS] ?? NONE;
    if (before === NONE) {
      for (let word = 0; word < ID_WORDS; word += 1) this.#entries[entry + word] = words[at + word] ?? 0;
      this.#size += 1;
    }
    this.#entries[entry + ID_WORDS] = this.#with(before, groupId);
  }

  /** Whoever the directory lists is in the group. */
  addEverybody(groupId: string): void {
    this.#ofEverybody.add(groupId);
  }

  /** Number of the set of groups of the user whose packed id begins at `at`, from 0 on. */
  numberOf(words: Int32Array, at: number): number {
    return this.#size === 0 ? NONE : (this.#entries[this.#find(words, at) + ID_WORDS] ?? NONE);
  }

  numberOfId(userId: string): number {
    packIdText(userId, this.#scratch, 0);
    return this.numberOf(this.#scratch, 0);
  }

  /** Ids of the groups of a set. */
  groupsOf(number: number): ReadonlySet<string> {
    const groups = this.#sets[number] ?? new Set();
    return this.#ofEverybody.size === 0 ? groups : new Set([...groups, ...this.#ofEverybody]);
  }

  #with(before: number, groupId: string): number {
    if (this.#sets[before]?.has(groupId)) return before;
    const key = `${before} ${groupId}`;
    const known = this.#larger.get(key);
    if (known !== undefined) return known;
    const number = this.#sets.push(new Set([...(this.#sets[before] ?? []), groupId])) - 1;
    this.#larger.set(key, number);
    return number;
  }

  /** Where the user's entry is, or would be. */
  #find(words: Int32Array, at: number): number {
    const [one = 0, two = 0, three = 0] = [words[at], words[at + 1], words[at + 2]];
    const mixed = Math.imul(one ^ Math.imul(two, 0x9e3779b1) ^ three, 0x85ebca6b);
    for (
      let place = (mixed ^ (mixed >>> 15)) & (this.#capacity - 1);
      ;
      place = (place + 1) & (this.#capacity - 1)
    ) {
      const entry = place * ENTRY_WORDS;
      if (this.#entries[entry + ID_WORDS] === NONE) return entry;
      if (
        this.#entries[entry] === one &&
        this.#entries[entry + 1] === two &&
        this.#entries[entry + 2] === three
      )
        return entry;
    }
  }

  #grow(): void {
    const before = this.#entries;
    this.#capacity *= 2;
    this.#entries = new Int32Array(this.#capacity * ENTRY_WORDS);
    for (let from = 0; from < before.length; from += ENTRY_WORDS) {
      if (before[from + ID_WORDS] === NONE) continue;
      const entry = this.#find(before, from);
      for (let word = 0; word < ENTRY_WORDS; word += 1)
        this.#entries[entry + word] = before[from + word] ?? 0;
    }
  }
}
