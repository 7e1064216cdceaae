/**
 * Whether the bytes of a CRL say what their row says, and nobody who is revoked is missing: a CRL without an entry un-revokes
 * somebody, and whoever can write an intent must not be able to do that. Both sides ascend by serial and are gone through once.
 */
import { permanent } from '../errors.ts';
import { EntryWalk, IrregularEntries, serialAsEntry } from '../pki/crl-entries.ts';
import { type CrlHeader, compareSerials, crlNumberOf } from '../pki/crl-reader.ts';
import type { CrlRecord, RevokedLeaf } from '../ports/ledger.ts';

export class CrlAgainstLedger {
  readonly #intent: CrlRecord;
  readonly #pages: AsyncIterator<readonly RevokedLeaf[]>;
  readonly #walk = new EntryWalk();
  #page: readonly RevokedLeaf[] = [];
  #index = 0;
  /** Serial of the leaf that is looked for, in the form `compareSerials` takes. */
  #wanted: Uint8Array | undefined;
  #isOver = false;
  #missing = 0;

  constructor(intent: CrlRecord, pages: AsyncIterable<readonly RevokedLeaf[]>) {
    this.#intent = intent;
    this.#pages = pages[Symbol.asyncIterator]();
  }

  /** The next run of entries. Throws `intent-mismatch` (permanent) for entries that do not ascend; `DerError`. */
  async entries(run: Uint8Array): Promise<void> {
    const walk = this.#walk;
    walk.load(run);
    while (this.#step()) {
      for (let order = -1; order < 0; ) {
        if (this.#wanted === undefined && (this.#isOver || !(await this.#turnPage()))) break;
        order = compareSerials(this.#wanted ?? NO_SERIAL, 0, walk.bytes, walk.at);
        if (order < 0) this.#noteMissing();
        if (order <= 0) this.#wantNext();
      }
    }
  }

  /** Everything else, at the end. Throws `intent-mismatch` (permanent) naming what differs; `DerError`. */
  async header(header: CrlHeader): Promise<void> {
    while (this.#wanted !== undefined || (await this.#turnPage())) {
      this.#noteMissing();
      this.#wantNext();
    }
    const { crlNumber, thisUpdate, nextUpdate } = this.#intent;
    const differing = [
      crlNumberOf(header) === crlNumber ? '' : 'number',
      header.thisUpdate.at.getTime() === thisUpdate.getTime() ? '' : 'thisUpdate',
      header.nextUpdate?.at.getTime() === nextUpdate.getTime() ? '' : 'nextUpdate',
      this.#missing === 0 ? '' : `entries (${this.#missing} revoked serials are missing)`,
    ].filter(Boolean);
    if (differing.length > 0) throw this.#mismatch(differing.join(', '));
  }

  #step(): boolean {
    try {
      return this.#walk.step();
    } catch (error) {
      if (error instanceof IrregularEntries) throw this.#mismatch('the order or form of entries');
      throw error;
    }
  }

  /** Revoked while the CRL was being made: the next one lists them. */
  #noteMissing(): void {
    const leaf = this.#page[this.#index];
    if (leaf !== undefined && leaf.revokedAt < this.#intent.thisUpdate) this.#missing += 1;
  }

  #wantNext(): void {
    this.#index += 1;
    this.#wanted = asEntry(this.#page[this.#index]);
  }

  /** False where there is no other page. */
  async #turnPage(): Promise<boolean> {
    if (this.#isOver) return false;
    const { done, value } = await this.#pages.next();
    this.#isOver = done === true;
    this.#page = done === true ? [] : value;
    this.#index = 0;
    this.#wanted = asEntry(this.#page[0]);
    return this.#wanted !== undefined;
  }

  #mismatch(what: string): Error {
    return permanent(
      'intent-mismatch',
      `The recorded bytes of CRL ${this.#intent.crlNumber} do not say what the ledger says (${what}); nothing was signed. Find out who changed the row; the next publication makes a new one.`,
    );
  }
}

const NO_SERIAL = serialAsEntry('');

const asEntry = (leaf: RevokedLeaf | undefined): Uint8Array | undefined =>
  leaf === undefined ? undefined : serialAsEntry(leaf.serialHex);
