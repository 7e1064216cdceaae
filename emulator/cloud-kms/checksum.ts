import crc32c from 'crc-32/crc32c.js';
import { invalidArgument } from '../core/google-error.ts';

/** CRC-32C (Castagnoli) as the decimal text of an unsigned number, as `google.protobuf.Int64Value` travels. */
export const checksumOf = (data: Uint8Array): string => String(crc32c.buf(data) >>> 0);

/** True when a checksum was given and fits; false when none was given. Throws 400 when it does not fit. */
export function verified(field: string, data: Uint8Array, checksum: string | undefined): boolean {
  if (checksum === undefined) return false;
  if (checksum !== checksumOf(data))
    throw invalidArgument(`The checksum in field ${field}_crc32c did not match the data in field ${field}.`);
  return true;
}
