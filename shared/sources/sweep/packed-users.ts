/**
 * Reads `SweptMoment.packedUsers`, record by record, without making anything for a record. A record is two big-endian words, then
 * the id and the name of the rule in UTF-8, of which longer ones are cut off at 255 bytes:
 *
 * - bits 16 to 23 of the first word are the length of the id, 0 for one of Google's in eleven bytes of two digits each; bits 8
 *   to 15 are the length of the rule's name, bits 0 to 2 the state (`STATES`, from 1 on); bit 3 is set for those who left the
 *   scope, bit 4 for the suspended, bit 5 where a digest is known, bit 6 for the deleted, bit 7 for the observed, bit 24 for the
 *   archived;
 * - the second word is the digest of the addresses.
 */
import { packHalfBytes, packId } from '../../domain/packed-id.ts';
import type { UserState } from '../../domain/records.ts';
import type { SweptUser } from '../../ports/ledger/sweeps.ts';

/** What a sweep compares apart from the addresses. */
export type Status = Omit<SweptUser, 'userId' | 'addressDigest'>;

const STATES: readonly UserState[] = ['ready', 'pending', 'blocked', 'leaving', 'out'];
const HEADER = 8;
const GOOGLES_ID_BYTES = 11;
const STATE_BITS = 7;
const LEFT = 8;
const IS_SUSPENDED = 16;
const DIGEST_KNOWN = 32;
const IS_DELETED = 64;
const IS_OBSERVED = 128;
const IS_ARCHIVED = 1 << 24;
/** What of the first word makes a status. */
const STATUS_BITS = IS_ARCHIVED | 0xffdf;
const CACHED = 256;

interface Known {
  readonly bits: number;
  readonly ruleName: Uint8Array;
  readonly number: number;
}

/** The distinct statuses of all users, in numbers from 1 on. */
export class Statuses {
  readonly #all: (Status | undefined)[] = [undefined];
  readonly #numbers = new Map<string, number>();
  /** By a hash of bits and name: nearly every record has the status of some record shortly before. */
  readonly #cache: (Known | undefined)[] = new Array(CACHED).fill(undefined);

  #last: Known = { bits: 0, ruleName: new Uint8Array(0), number: 0 };

  /** How many there are, and the undefined one in front. */
  get length(): number {
    return this.#all.length;
  }

  at(number: number): Status | undefined {
    return this.#all[number];
  }

  numberOf(word: number, bytes: Uint8Array, start: number, end: number): number {
    const bits = word & STATUS_BITS;
    if (this.#last.bits === bits && areEqual(this.#last.ruleName, bytes, start)) return this.#last.number;
    let hash = bits;
    for (let at = start; at < end; at += 1) hash = Math.imul(hash ^ (bytes[at] ?? 0), 0x01000193);
    const place = (hash ^ (hash >>> 16)) & (CACHED - 1);
    const cached = this.#cache[place];
    if (cached?.bits === bits && areEqual(cached.ruleName, bytes, start)) this.#last = cached;
    else {
      const ruleName = bytes.slice(start, end);
      const number = this.#lookUp(bits, new TextDecoder().decode(ruleName));
      this.#last = { bits, ruleName, number };
      this.#cache[place] = this.#last;
    }
    return this.#last.number;
  }

  #lookUp(bits: number, ruleName: string): number {
    const state = STATES[(bits & STATE_BITS) - 1];
    if (state === undefined) throw new Error(`bug: a packed user is in no state (${bits})`);
    return this.add({
      state,
      hasLeftScope: (bits & LEFT) !== 0,
      isSuspended: (bits & IS_SUSPENDED) !== 0,
      isDeleted: (bits & IS_DELETED) !== 0,
      isArchived: (bits & IS_ARCHIVED) !== 0,
      isObserved: (bits & IS_OBSERVED) !== 0,
      ...(ruleName === '' ? {} : { ruleName }),
    });
  }

  /** Its number, which it has already or is the next one. */
  add(status: Status): number {
    const { state, hasLeftScope, isSuspended, isDeleted, isArchived, isObserved, ruleName = '' } = status;
    const key = [state, hasLeftScope, isSuspended, isDeleted, isArchived, isObserved, ruleName].join(' ');
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const number = this.#all.push(status) - 1;
    this.#numbers.set(key, number);
    return number;
  }
}

/** Of `one`, all; the length is among the bits and so is the same. */
function areEqual(one: Uint8Array, bytes: Uint8Array, start: number): boolean {
  for (let at = 0; at < one.length; at += 1) if (one[at] !== bytes[start + at]) return false;
  return true;
}

export class PackedUsers {
  /** The id of the record last read. */
  readonly id = new Int32Array(3);
  digest = 0;
  hasDigest = false;
  status = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #statuses: Statuses;
  #at = 0;

  constructor(bytes: Uint8Array, statuses: Statuses) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#statuses = statuses;
  }

  /** False after the last one. */
  next(): boolean {
    const at = this.#at;
    if (at >= this.#bytes.length) return false;
    const word = this.#view.getInt32(at);
    const idLength = (word >>> 16) & 0xff;
    const ruleAt = at + HEADER + (idLength === 0 ? GOOGLES_ID_BYTES : idLength);
    const end = ruleAt + ((word >>> 8) & 0xff);
    this.digest = this.#view.getInt32(at + 4);
    this.hasDigest = (word & DIGEST_KNOWN) !== 0;
    if (idLength === 0) packHalfBytes(this.#view, at + HEADER, this.id, 0);
    else packId(this.#view, at + HEADER, idLength, this.id, 0);
    this.status = this.#statuses.numberOf(word, this.#bytes, ruleAt, end);
    this.#at = end;
    return true;
  }
}
