/**
 * Remembering what was read from the same bytes the last time. One issue reads its issuer's certificate a dozen times
 * over and OpenSSL takes a tenth of a millisecond for each; between issues the issuer hardly ever changes.
 */
import { sameBytes } from './der-reader.ts';

/**
 * A reader that, given bytes equal to the last ones, answers the last result. Only for pure readers whose results nobody
 * changes. What it keeps is a copy, so a caller who later overwrites its buffer harms nobody.
 */
export function rememberingLast<Result>(read: (bytes: Uint8Array) => Result): (bytes: Uint8Array) => Result {
  let last: { readonly bytes: Uint8Array; readonly result: Result } | undefined;
  return (bytes) => {
    if (last === undefined || !sameBytes(last.bytes, bytes)) {
      const copy = Uint8Array.from(bytes);
      last = { bytes: copy, result: read(copy) };
    }
    return last.result;
  };
}
