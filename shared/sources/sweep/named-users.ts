/** Users whom a policy names, found in a page of the sweep's without reading those whom it does not name. */
import { addressDigest } from '../../domain/address-digest.ts';
import {
  ADDRESS_BITS,
  ALIAS_MARK,
  bitsOfAddress,
  bitsOfAlias,
  bitsOfDigest,
  bitsOfPrimary,
  DIGEST,
  MARKS,
  MORE_ALIASES_MARK,
} from '../../domain/listed-users.ts';
import { ID_WORDS, packIdText } from '../../domain/packed-id.ts';

export class NamedUsers {
  /** First words of ids, and digests of addresses. */
  readonly #words = new Set<number>();
  /** By the bits of an id's first word or of an address: 1 where a name has those bits. Nearly nobody has to be looked for in the set. */
  readonly #ids = new Uint8Array(1 << ADDRESS_BITS);
  readonly #addresses = new Uint8Array(1 << ADDRESS_BITS);

  /** Ids, and addresses in our spelling. */
  constructor(names: Iterable<string>) {
    const id = new Int32Array(ID_WORDS);
    for (const name of names) {
      packIdText(name, id, 0);
      this.#words.add(id[0] ?? 0);
      this.#words.add(addressDigest(name, []));
      this.#ids[bitsOfId(id[0] ?? 0)] = 1;
      this.#addresses[bitsOfAddress(name)] = 1;
    }
  }

  /**
   * Whether an id or an address of the listed user whose words begin at `at` may be one of the names. Never false where it is; true by
   * chance of whoever has one alias once in eight thousand for each name, and always of whoever has more.
   */
  mayHave(words: Int32Array, at: number): boolean {
    if (this.#words.size === 0) return false;
    const id = words[at] ?? 0;
    if (this.#ids[bitsOfId(id)] === 1 && this.#words.has(id)) return true;
    const marks = words[at + MARKS] ?? 0;
    if ((marks & ALIAS_MARK) === 0) {
      const digest = words[at + DIGEST] ?? 0;
      return this.#addresses[bitsOfDigest(digest)] === 1 && this.#words.has(digest);
    }
    if ((marks & MORE_ALIASES_MARK) !== 0) return true;
    return this.#addresses[bitsOfPrimary(marks)] === 1 || this.#addresses[bitsOfAlias(marks)] === 1;
  }
}

/** The last digits. */
const bitsOfId = (word: number): number => word >>> (32 - ADDRESS_BITS);
