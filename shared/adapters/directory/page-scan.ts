/**
 * Runs `page-scan.wat`, which reads nearly all users of a page, and lays out its memory: the words of users and where each begins, then the
 * paths of org units that are known, then a page. WebAssembly, because that is ready after a millisecond and reads a page in half of the
 * time that the same loops take in JavaScript once V8 has compiled them
 * (docs/decisions/0040-pages-are-scanned-by-webassembly.md).
 */
import { LISTED_WORDS } from '../../domain/listed-users.ts';
import { PAGE_SCAN_BYTES } from './page-scan-bytes.ts';

/** Why reading stopped, by the numbers in `page-scan.wat`. */
const STOPS = ['behind-a-user', 'odd-user', 'no-room', 'unknown-path'] as const;
export type Stop = (typeof STOPS)[number];

/** So many users of a page at most. */
const ROOM = 1_000;
const WORD_BYTES = 4;
const STARTS_AT = ROOM * LISTED_WORDS * WORD_BYTES;
const PATHS_AT = STARTS_AT + ROOM * WORD_BYTES;
/** So many zeros behind a page are more than any load reaches beyond it. */
const PADDING = 64;
const PIECE_BYTES = 65_536;
const FIRST_SLOTS = 1_024;
const SLOT_BYTES = 16;
const SLOT_NUMBER_AT = 12;

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pieces: number): number };
  readonly read: (at: number) => number;
  readonly words: { value: number };
  readonly starts: { value: number };
  readonly room: { value: number };
  readonly users: { value: number };
  readonly slots: { value: number };
  readonly mask: { value: number };
  readonly pathStart: { readonly value: number };
  readonly pathEnd: { readonly value: number };
  readonly pathHash: { readonly value: number };
  readonly why: { readonly value: number };
}

/** Neither the language's types nor Node's have it. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
};

let compiled: object | undefined;

function instance(): Exports {
  compiled ??= new WebAssembly.Module(Buffer.from(PAGE_SCAN_BYTES, 'base64'));
  return new WebAssembly.Instance(compiled).exports as Exports;
}

/** Places are those in the page. */
export class PageScan {
  readonly #scan = instance();
  #bytes = new Uint8Array(this.#scan.memory.buffer);
  #view = new DataView(this.#scan.memory.buffer);
  #words = new Int32Array(this.#scan.memory.buffer, 0, ROOM * LISTED_WORDS);
  /** What is in use ends here; the next page begins here. */
  #used = PATHS_AT;
  /** Of the page. */
  #start = 0;
  #behind = 0;
  #paths = 0;

  constructor() {
    this.#scan.starts.value = STARTS_AT;
    this.#scan.room.value = ROOM;
    this.#useSlots(FIRST_SLOTS);
  }

  /** Begins a page, of which nobody is read yet. */
  take(page: Uint8Array): void {
    this.#start = this.#used;
    this.#behind = this.#start + page.length + PADDING;
    this.#reach(this.#behind);
    this.#bytes.set(page, this.#start);
    this.#bytes.fill(0, this.#start + page.length, this.#behind);
    this.#scan.users.value = 0;
  }

  get users(): number {
    return this.#scan.users.value;
  }

  /** Reads from `at` on, where a user begins, and answers where and why it stopped. */
  read(at: number): { readonly at: number; readonly why: Stop } {
    const stopped = this.#scan.read(this.#start + at) - this.#start;
    const why = STOPS[this.#scan.why.value];
    if (why === undefined) throw new Error('bug: reading a page stopped for no reason');
    return { at: stopped, why };
  }

  /** The path that stopped it. */
  unknownPath(): Uint8Array {
    return this.#bytes.subarray(this.#scan.pathStart.value, this.#scan.pathEnd.value);
  }

  /** From now on that path has this number. */
  learnPath(number: number): void {
    const { pathStart, pathEnd, pathHash } = this.#scan;
    const length = pathEnd.value - pathStart.value;
    const at = this.#take(length);
    this.#bytes.copyWithin(at, pathStart.value, pathEnd.value);
    this.#paths += 1;
    const slots = this.#scan.mask.value + 1;
    if (this.#paths * 2 > slots) this.#growSlots(slots);
    this.#fillSlot(pathHash.value, length, at, number + 1);
  }

  /** Puts in a user who was read in another way, who begins at `start`: `write` is told where the words go. */
  add(start: number, write: (words: Int32Array, at: number) => void): void {
    const { users } = this.#scan;
    write(this.#words, users.value * LISTED_WORDS);
    this.#view.setInt32(STARTS_AT + users.value * WORD_BYTES, this.#start + start, true);
    users.value += 1;
  }

  /** Copies, for those who were read: their words, and a place in the page each. */
  result(): { readonly words: Int32Array; readonly starts: Int32Array } {
    const starts = new Int32Array(this.#scan.memory.buffer, STARTS_AT, this.users).slice();
    for (let user = 0; user < starts.length; user += 1) starts[user] = (starts[user] ?? 0) - this.#start;
    return { words: this.#words.slice(0, this.users * LISTED_WORDS), starts };
  }

  /** A piece of memory, all zeros, that is kept: behind the page that is being read, if there is one. */
  #take(bytes: number): number {
    const at = (Math.max(this.#used, this.#behind) + 7) & ~7;
    this.#used = at + ((bytes + 7) & ~7);
    this.#reach(this.#used);
    this.#bytes.fill(0, at, this.#used);
    return at;
  }

  #useSlots(slots: number): void {
    this.#scan.slots.value = this.#take(slots * SLOT_BYTES);
    this.#scan.mask.value = slots - 1;
  }

  #growSlots(slots: number): void {
    const before = this.#scan.slots.value;
    this.#useSlots(slots * 2);
    for (let at = before; at < before + slots * SLOT_BYTES; at += SLOT_BYTES) {
      const word = (offset: number) => this.#view.getInt32(at + offset, true);
      if (word(SLOT_NUMBER_AT) !== 0) this.#fillSlot(word(0), word(4), word(8), word(SLOT_NUMBER_AT));
    }
  }

  #fillSlot(hash: number, length: number, bytesAt: number, number: number): void {
    const { slots, mask } = this.#scan;
    let slot = hash & mask.value;
    const at = () => slots.value + slot * SLOT_BYTES;
    while (this.#view.getInt32(at() + SLOT_NUMBER_AT, true) !== 0) slot = (slot + 1) & mask.value;
    for (const [index, word] of [hash, length, bytesAt, number].entries())
      this.#view.setInt32(at() + index * WORD_BYTES, word, true);
  }

  /** Memory that grows is another one. */
  #reach(end: number): void {
    const { memory } = this.#scan;
    const missing = end - memory.buffer.byteLength;
    if (missing <= 0) return;
    memory.grow(Math.ceil(missing / PIECE_BYTES));
    this.#bytes = new Uint8Array(memory.buffer);
    this.#view = new DataView(memory.buffer);
    this.#words = new Int32Array(memory.buffer, 0, ROOM * LISTED_WORDS);
  }
}
