/**
 * Whether the bytes of a CRL say what their row says, and nobody who is revoked is missing: a CRL without an entry un-revokes
 * somebody, and whoever can write an intent must not be able to do that. Both sides ascend by serial and are gone through once.
 */

import { AFTER_SERIAL, REVOKED_AT } from '../domain/packed-entries.ts';
import { permanent } from '../errors.ts';
import { EntryWalk, IrregularEntries } from '../pki/crl-entries.ts';
import { type CrlHeader, compareSerials, crlNumberOf, viewOf } from '../pki/crl-reader.ts';
import type { CrlRecord } from '../ports/ledger.ts';

export class CrlAgainstLedger {
  readonly #intent: CrlRecord;
  readonly #pages: AsyncIterator<Uint8Array>;
  readonly #walk = new EntryWalk();
  /** The page that is looked at, and where in it the leaf that is looked for begins. */
  #page = viewOf(new Uint8Array());
  #at = 0;
  #isOver = false;
  #missing = 0;

  /** `pages`: whom the ledger says a CRL must list, in the form of `packed-entries.ts`. */
  constructor(intent: CrlRecord, pages: AsyncIterable<Uint8Array>) {
    this.#intent = intent;
    this.#pages = pages[Symbol.asyncIterator]();
  }

  /** The next run of entries. Throws `intent-mismatch` (permanent) for entries that do not ascend; `DerError`. */
  async entries(run: Uint8Array): Promise<void> {
    const walk = this.#walk;
    walk.load(run);
    while (this.#step()) {
      for (let order = -1; order < 0; ) {
        if (!this.#wantsOne() && !(await this.#turnPage())) break;
        order = compareSerials(this.#page, this.#at - LENGTH_IN_ENTRY, walk.view, walk.at);
        if (order < 0) this.#noteMissing();
        if (order <= 0) this.#at = this.#next();
      }
    }
  }

  /** Everything else, at the end. Throws `intent-mismatch` (permanent) naming what differs; `DerError`. */
  async header(header: CrlHeader): Promise<void> {
    while (this.#wantsOne() || (await this.#turnPage())) {
      this.#noteMissing();
      this.#at = this.#next();
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
    const revokedMs = this.#page.getFloat64(this.#next() - AFTER_SERIAL + REVOKED_AT);
    if (revokedMs < this.#intent.thisUpdate.getTime()) this.#missing += 1;
  }

  #wantsOne(): boolean {
    return this.#at < this.#page.byteLength;
  }

  /** Where the one after it begins. */
  #next(): number {
    return this.#at + 1 + this.#page.getUint8(this.#at) + AFTER_SERIAL;
  }

  /** False where there is no other page. */
  async #turnPage(): Promise<boolean> {
    if (this.#isOver) return false;
    const { done, value } = await this.#pages.next();
    this.#isOver = done === true;
    this.#page = viewOf(done === true ? new Uint8Array() : value);
    this.#at = 0;
    return this.#wantsOne();
  }

  #mismatch(what: string): Error {
    return permanent(
      'intent-mismatch',
      `The recorded bytes of CRL ${this.#intent.crlNumber} do not say what the ledger says (${what}); nothing was signed. Find out who changed the row; the next publication makes a new one.`,
    );
  }
}

/** `compareSerials` takes entries of a CRL, which have the serial's length there; a packed one begins with it. */
const LENGTH_IN_ENTRY = 3;
