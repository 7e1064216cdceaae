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
const ADDED_AT_ONCE = 512;

export class Memberships {
  /** Open addressing; a set number of `NONE` marks a free entry. */
  #entries = new Int32Array(FIRST_CAPACITY * ENTRY_WORDS);
  #capacity = FIRST_CAPACITY;
  #size = 0;
  readonly #sets: ReadonlySet<string>[] = [new Set()];
  /** By group, and then by the number of a set: the number of the set that it becomes with that group. */
  readonly #larger = new Map<string, number[]>();
  readonly #ofEverybody = new Set<string>();
  readonly #scratch = new Int32Array(ID_WORDS);
  #homes = new Int32Array(ADDED_AT_ONCE);
  /** What is read ahead goes here, or else an optimizer would leave the reading out. */
  #touched = 0;

  /** How many users are in one of the groups at least, those of `addEverybody` left out. */
  get size(): number {
    return this.#size;
  }

  /** The users whose packed ids these are, one behind the other, are in the group. */
  add(ids: Int32Array, groupId: string): void {
    const larger = this.#larger.get(groupId) ?? [];
    this.#larger.set(groupId, larger);
    for (let from = 0; from < ids.length; from += ADDED_AT_ONCE * ID_WORDS)
      this.#add(ids.subarray(from, from + ADDED_AT_ONCE * ID_WORDS), groupId, larger);
  }

  #add(ids: Int32Array, groupId: string, larger: number[]): void {
    const users = ids.length / ID_WORDS;
    while (this.#size + users > this.#capacity * FILLED) this.#grow();
    const homes = this.#homesOf(ids, ID_WORDS, users);
    const entries = this.#entries;
    for (let user = 0; user < users; user += 1) {
      const from = user * ID_WORDS;
      const entry = this.#find(homes[user] ?? 0, ids, from);
      const before = entries[entry + ID_WORDS] ?? NONE;
      if (before === NONE) {
        for (let word = 0; word < ID_WORDS; word += 1) entries[entry + word] = ids[from + word] ?? 0;
        this.#size += 1;
      }
      larger[before] ??= this.#with(before, groupId);
      entries[entry + ID_WORDS] = larger[before] ?? NONE;
    }
  }

  /** Whoever the directory lists is in the group. */
  addEverybody(groupId: string): void {
    this.#ofEverybody.add(groupId);
  }

  /** For each user the number of the set of groups, from 0 on: ids in the first words of each `stride`. Good until `add` or this is called again. */
  numbersOf(words: Int32Array, stride: number, users: number): Int32Array {
    const numbers = this.#homesOf(words, stride, users);
    for (let user = 0; user < users; user += 1)
      numbers[user] = this.#entries[this.#find(numbers[user] ?? 0, words, user * stride) + ID_WORDS] ?? NONE;
    return numbers;
  }

  numberOfId(userId: string): number {
    packIdText(userId, this.#scratch, 0);
    return this.#entries[this.#find(this.#home(this.#scratch, 0), this.#scratch, 0) + ID_WORDS] ?? NONE;
  }

  /** Ids of the groups of a set. */
  groupsOf(number: number): ReadonlySet<string> {
    const groups = this.#sets[number] ?? new Set();
    return this.#ofEverybody.size === 0 ? groups : new Set([...groups, ...this.#ofEverybody]);
  }

  #with(before: number, groupId: string): number {
    const groups = this.#sets[before] ?? new Set();
    if (groups.has(groupId)) return before;
    return this.#sets.push(new Set([...groups, groupId])) - 1;
  }

  /**
   * Where the looking for each of these ids begins. As in `LedgerIndex`, all of those places are touched before any is compared: a
   * processor waits for many of them at once only where nothing depends on them.
   */
  #homesOf(words: Int32Array, stride: number, users: number): Int32Array {
    if (this.#homes.length < users) this.#homes = new Int32Array(users);
    const homes = this.#homes;
    const entries = this.#entries;
    let touched = 0;
    for (let user = 0; user < users; user += 1) homes[user] = this.#home(words, user * stride);
    for (let user = 0; user < users; user += 1) touched ^= entries[homes[user] ?? 0] ?? 0;
    this.#touched ^= touched;
    return homes;
  }

  #home(words: Int32Array, at: number): number {
    const mixed = Math.imul(
      (words[at] ?? 0) ^ Math.imul(words[at + 1] ?? 0, 0x9e3779b1) ^ (words[at + 2] ?? 0),
      0x85ebca6b,
    );
    return ((mixed ^ (mixed >>> 15)) & (this.#capacity - 1)) * ENTRY_WORDS;
  }

  /** Where the user's entry is, or would be. */
  #find(home: number, words: Int32Array, at: number): number {
    const entries = this.#entries;
    const one = words[at] ?? 0;
    const two = words[at + 1] ?? 0;
    const three = words[at + 2] ?? 0;
    for (let entry = home; ; ) {
      if (entries[entry + ID_WORDS] === NONE) return entry;
      if (entries[entry] === one && entries[entry + 1] === two && entries[entry + 2] === three) return entry;
      entry += ENTRY_WORDS;
      if (entry === entries.length) entry = 0;
    }
  }

  #grow(): void {
    const before = this.#entries;
    this.#capacity *= 2;
    this.#entries = new Int32Array(this.#capacity * ENTRY_WORDS);
    for (let from = 0; from < before.length; from += ENTRY_WORDS) {
      if (before[from + ID_WORDS] === NONE) continue;
      const entry = this.#find(this.#home(before, from), before, from);
      for (let word = 0; word < ENTRY_WORDS; word += 1)
        this.#entries[entry + word] = before[from + word] ?? 0;
    }
  }
}
