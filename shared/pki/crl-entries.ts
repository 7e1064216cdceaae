/** Walking through the entries of a CRL that comes in parts, one after the other, without keeping any. */
import { CrlPartsReader, type Parts } from './crl-parts.ts';
import {
  commonEntryEnd,
  compareSerials,
  type RawCrlEntry,
  readEntry,
  readRevocation,
  serialAsEntry,
  viewOf,
} from './crl-reader.ts';
import { DerCursor } from './der-reader.ts';

/** The runs of entries in these parts. Throws `DerError`. */
export async function* entryRuns(parts: Parts, reader: CrlPartsReader): AsyncGenerator<Uint8Array> {
  for await (const part of parts) {
    const run = reader.take(part);
    if (run.length > 0) yield run;
  }
}

/** Entries that do not ascend by serial, or have a serial or a form that ours never have: such a CRL has to be read as a whole. */
export class IrregularEntries extends Error {
  override readonly name = 'IrregularEntries';
}

/**
 * Walks through runs of entries that it is given, and stands on one entry at a time. `view` and `at` are where that entry
 * lies, in the form that `compareSerials` takes; they are good until the next step.
 */
export class EntryWalk {
  #bytes: Uint8Array = new Uint8Array();
  #view = viewOf(this.#bytes);
  #at = 0;
  #end = 0;
  #previousView: DataView | undefined;
  #previousAt = 0;
  #count = 0;

  get view(): DataView {
    return this.#view;
  }

  get at(): number {
    return this.#at;
  }

  /** Entries so far, the present one included. */
  get count(): number {
    return this.#count;
  }

  /** DER of the present entry; a view. */
  get der(): Uint8Array {
    return this.#bytes.subarray(this.#at, this.#end);
  }

  get entry(): RawCrlEntry {
    return readEntry(new DerCursor(this.der, 0)).entry;
  }

  /** The run to go on with when `step` has answered false. */
  load(run: Uint8Array): void {
    this.#bytes = run;
    this.#view = viewOf(run);
    this.#at = 0;
    this.#end = 0;
  }

  /** One step; false at the end of the run. Throws `DerError`, `IrregularEntries`. */
  step(): boolean {
    if (this.#end >= this.#bytes.length) return false;
    const view = this.#view;
    const at = this.#end;
    let end = commonEntryEnd(view, at);
    if (end < 0) {
      const { entry, length } = readEntry(new DerCursor(this.#bytes.subarray(at), at));
      readRevocation(entry);
      // `compareSerials` counts on headers of two octets and on positive serials.
      if (length > 129 || /^[89a-f]/.test(entry.serialHex))
        throw new IrregularEntries(`The entry of serial ${entry.serialHex} is of an unusual form.`);
      end = at + length;
    }
    if (
      this.#previousView !== undefined &&
      compareSerials(this.#previousView, this.#previousAt, view, at) >= 0
    ) {
      throw new IrregularEntries('The entries do not ascend by serial.');
    }
    if (this.#previousView !== view) this.#previousView = view;
    this.#previousAt = at;
    this.#at = at;
    this.#end = end;
    this.#count += 1;
    return true;
  }
}

/**
 * A walk through all runs of a source. `step` answers false where `refill` has to be waited for: a promise for each of a million
 * entries would cost more than all the rest.
 */
export class EntryCursor extends EntryWalk {
  readonly #runs: AsyncIterator<Uint8Array>;

  constructor(runs: AsyncIterable<Uint8Array>) {
    super();
    this.#runs = runs[Symbol.asyncIterator]();
  }

  /** Waits for the next run; false where there is none. */
  async refill(): Promise<boolean> {
    const { done, value } = await this.#runs.next();
    if (done === true) return false;
    this.load(value);
    return true;
  }

  /** Tells the source that no more is wanted. */
  async stop(): Promise<void> {
    await this.#runs.return?.();
  }
}

/** `step`, waiting where it has to; false at the end. */
export async function advance(cursor: EntryCursor): Promise<boolean> {
  while (!cursor.step()) if (!(await cursor.refill())) return false;
  return true;
}

/**
 * Which serials a CRL lists, for serials that come in portions, ascending: one pass over the CRL for all of them. A portion
 * that does not go on where the one before ended begins another pass.
 */
export class Listing {
  readonly #parts: () => Parts;
  #cursor: EntryCursor | undefined;
  #isOnEntry = false;
  #isOver = false;
  #last = '';

  /** `parts` gives the CRL from its beginning each time. */
  constructor(parts: () => Parts) {
    this.#parts = parts;
  }

  /** Throws `DerError`, `IrregularEntries`. */
  async filter(serialsHex: readonly string[]): Promise<readonly string[]> {
    if (this.#cursor === undefined || (serialsHex[0] ?? '') <= this.#last) await this.#begin();
    this.#last = serialsHex.at(-1) ?? '';
    const listed: string[] = [];
    for (const serialHex of serialsHex)
      if (await this.#reaches(serialAsEntry(serialHex))) listed.push(serialHex);
    return listed;
  }

  /** When no more will be asked. */
  async stop(): Promise<void> {
    await this.#cursor?.stop();
  }

  async #begin(): Promise<void> {
    await this.stop();
    this.#cursor = new EntryCursor(entryRuns(this.#parts(), new CrlPartsReader()));
    this.#isOnEntry = false;
    this.#isOver = false;
  }

  async #reaches(wanted: DataView): Promise<boolean> {
    const cursor = this.#cursor;
    if (cursor === undefined) throw new Error('bug: nobody began');
    while (!this.#isOver) {
      if (this.#isOnEntry) {
        const order = compareSerials(cursor.view, cursor.at, wanted, 0);
        if (order >= 0) return order === 0;
      }
      this.#isOnEntry = cursor.step();
      if (!this.#isOnEntry && !(await cursor.refill())) this.#isOver = true;
    }
    return false;
  }
}
