/** The paths of org units that occur in a list, each with a number, found by their bytes. */
const FIRST_SLOTS = 1_024;
const FIRST_BYTES = 1 << 16;

export class OrgUnitPaths {
  /** By number. Only ever grows. */
  readonly all: string[] = [];
  /** Their bytes, one path after the other, each filled up to four with zeros. */
  #bytes = new Uint8Array(FIRST_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #used = 0;
  readonly #starts: number[] = [];
  readonly #lengths: number[] = [];
  readonly #hashes: number[] = [];
  /** Of the paths that were asked for as text. */
  readonly #numbers = new Map<string, number>();
  /** Numbers from 1 on, found by hash; 0 is an empty slot. */
  #slots = new Int32Array(FIRST_SLOTS);

  /** The path from `start` to before `end` in UTF-8; `view` is of the same bytes, of which three more follow. */
  numberOf(bytes: Uint8Array, view: DataView, start: number, end: number): number {
    const hash = hashOf(view, start, end);
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    for (let found = this.#slots[slot] ?? 0; found !== 0; found = this.#slots[slot] ?? 0) {
      if (this.#hashes[found - 1] === hash && this.#isAt(found - 1, view, start, end)) return found - 1;
      slot = (slot + 1) & mask;
    }
    return this.#add(bytes.subarray(start, end), hash);
  }

  numberOfText(path: string): number {
    const known = this.#numbers.get(path);
    if (known !== undefined) return known;
    const number = this.#find(path);
    this.#numbers.set(path, number);
    return number;
  }

  #find(path: string): number {
    const text = new TextEncoder().encode(path);
    const bytes = new Uint8Array(text.length + 3);
    bytes.set(text);
    return this.numberOf(bytes, new DataView(bytes.buffer), 0, text.length);
  }

  #isAt(number: number, view: DataView, start: number, end: number): boolean {
    if (this.#lengths[number] !== end - start) return false;
    const known = this.#view;
    let to = this.#starts[number] ?? 0;
    let at = start;
    for (; at + 4 <= end; at += 4) {
      if (view.getInt32(at) !== known.getInt32(to)) return false;
      to += 4;
    }
    return at === end || lastWord(view, at, end) === known.getInt32(to, true);
  }

  /** Two spellings in bytes may be one text where the bytes are no UTF-8. */
  #add(bytes: Uint8Array, hash: number): number {
    const number = this.all.push(new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)) - 1;
    const taken = (bytes.length + 3) & ~3;
    if (this.#used + taken > this.#bytes.length) {
      const before = this.#bytes;
      this.#bytes = new Uint8Array((before.length + taken) * 2);
      this.#bytes.set(before);
      this.#view = new DataView(this.#bytes.buffer);
    }
    this.#bytes.set(bytes, this.#used);
    this.#starts.push(this.#used);
    this.#lengths.push(bytes.length);
    this.#hashes.push(hash);
    this.#used += taken;
    if (this.all.length * 2 <= this.#slots.length) this.#place(number);
    else {
      this.#slots = new Int32Array(this.#slots.length * 2);
      for (let each = 0; each <= number; each += 1) this.#place(each);
    }
    return number;
  }

  #place(number: number): void {
    const mask = this.#slots.length - 1;
    let slot = (this.#hashes[number] ?? 0) & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = number + 1;
  }
}

/** The bytes that are left over when words of four are taken. */
const lastWord = (view: DataView, at: number, end: number): number =>
  view.getInt32(at, true) & (0xffffffff >>> (8 * (4 - (end - at))));

function hashOf(view: DataView, start: number, end: number): number {
  let hash = end - start;
  let at = start;
  for (; at + 4 <= end; at += 4) hash = Math.imul(hash ^ (hash >>> 15) ^ view.getInt32(at, true), 0x9e3779b1);
  if (at < end) hash = Math.imul(hash ^ (hash >>> 15) ^ lastWord(view, at, end), 0x9e3779b1);
  return hash ^ (hash >>> 13);
}
