/**
 * The base64 of the KACLS API: standard alphabet (RFC 4648 section 4). Google pads in real traffic and describes some
 * fields as unpadded, so both are read. The alphabet of section 5 (`-`, `_`), white space and encodings with left-over
 * bits are refused: what is accepted has exactly one meaning.
 */
import { invalidInput } from '../errors.ts';

/** Undefined for anything that is not base64 in the sense above. */
export function decodeBase64(text: string): Buffer | undefined {
  const stripped = text.replace(/={1,2}$/, '');
  if (stripped.length !== text.length && text.length % 4 !== 0) return undefined;
  const bytes = Buffer.from(stripped, 'base64');
  return bytes.toString('base64').replace(/=+$/, '') === stripped ? bytes : undefined;
}

/** Standard alphabet, padded. */
export const encodeBase64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');

/** As `decodeBase64`; throws `malformed-request` (invalid input) that names the field. */
export function requireBase64(field: string, text: string, maxBytes: number): Buffer {
  const bytes = decodeBase64(text);
  if (bytes === undefined) {
    throw invalidInput(
      'malformed-request',
      `"${field}" is not standard base64 (alphabet A-Z a-z 0-9 + /, with or without padding).`,
    );
  }
  if (bytes.length > maxBytes) {
    throw invalidInput(
      'malformed-request',
      `"${field}" holds ${bytes.length} bytes; at most ${maxBytes} are taken.`,
    );
  }
  return bytes;
}
