/**
 * Remembering what was read from the same bytes not long ago. One issue reads its issuer's certificate a dozen times
 * over and OpenSSL takes a tenth of a millisecond for each; between issues the issuer hardly ever changes.
 */
import { sameBytes } from './der-reader.ts';

/** How many results are kept: a root, its issuing CA, the one that follows it, and one to spare. */
const KEPT = 4;

/**
 * A reader that, given bytes equal to some of the last ones, answers that result. Only for pure readers whose results
 * nobody changes. What it keeps are copies, so a caller who later overwrites its buffer harms nobody.
 */
export function rememberingLast<Result>(read: (bytes: Uint8Array) => Result): (bytes: Uint8Array) => Result {
  const kept: { readonly bytes: Uint8Array; readonly result: Result }[] = [];
  return (bytes) => {
    const place = kept.findIndex((known) => sameBytes(known.bytes, bytes));
    const known = kept[place];
    if (known !== undefined) {
      if (place > 0) kept.unshift(...kept.splice(place, 1));
      return known.result;
    }
    const copy = Uint8Array.from(bytes);
    const result = read(copy);
    kept.unshift({ bytes: copy, result });
    kept.splice(KEPT);
    return result;
  };
}
