/**
 * To-be-signed bytes that are in the ledger: the one thing a CA key signs. Only the ledger's adapter says so of what it has read
 * (`test/pki/linted.test.ts` names every file that may), a type tells them from all other bytes, and at run time these very
 * bytes are known, with their digest: others, changed ones and the same ones a second time are refused.
 *
 * `sign` is another process than the one that recorded them, so a proof cannot travel: `sign` reads the ledger again, and what it reads
 * there is recorded by the mere fact.
 */
import { hash } from 'node:crypto';

declare const brand: unique symbol;

export type Recorded = Uint8Array & { readonly [brand]: 'recorded' };
/** The same for bytes that come in parts, in order. */
export type RecordedParts = AsyncIterable<Uint8Array> & { readonly [brand]: 'recorded' };

/** What has not been spent: bytes with their SHA-256, parts with nothing. */
const unspent = new WeakMap<object, string>();

const sha256 = (bytes: Uint8Array): string => hash('sha256', bytes, 'base64');

/** For the ledger's adapter, of bytes it has just read. */
export function recordedInLedger(bytes: Uint8Array): Recorded {
  unspent.set(bytes, sha256(bytes));
  return bytes as Recorded;
}

/** For the ledger's adapter, of parts each of which it compares with what was recorded. */
export function recordedPartsInLedger(parts: AsyncIterable<Uint8Array>): RecordedParts {
  unspent.set(parts, '');
  return parts as RecordedParts;
}

/** For a root and what it signs: it is offline, and there is no ledger where its key is. */
export const madeOffline = (bytes: Uint8Array): Recorded => recordedInLedger(bytes);

/** A copy that nobody else can change. Throws a plain `Error`, which is a bug of the caller, unless these bytes are recorded and unspent. */
export function spendRecorded(recorded: Recorded): Uint8Array {
  const digest = spend(recorded);
  const copy = Uint8Array.from(recorded);
  if (sha256(copy) !== digest)
    throw new Error('bug: bytes were changed after they were read from the ledger; nothing was signed');
  return copy;
}

/** Recorded bytes as one part; they are spent with it. */
export function inOnePart(recorded: Recorded): RecordedParts {
  const copy = spendRecorded(recorded);
  return recordedPartsInLedger(
    (async function* () {
      yield copy;
    })(),
  );
}

/** The parts, once. Throws as `spendRecorded`. */
export function spendRecordedParts(recorded: RecordedParts): AsyncIterable<Uint8Array> {
  spend(recorded);
  return recorded;
}

function spend(recorded: object): string {
  const digest = unspent.get(recorded);
  if (digest === undefined)
    throw new Error(
      'bug: these bytes were not read from the ledger, or were signed already; nothing was signed',
    );
  unspent.delete(recorded);
  return digest;
}
