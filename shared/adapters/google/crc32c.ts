import CRC32C from 'crc-32/crc32c.js';

/** CRC-32C (Castagnoli, RFC 9260 Appendix A) as an unsigned 32-bit number: what Secret Manager calls `dataCrc32c`. */
export const crc32c = (bytes: Uint8Array): number => CRC32C.buf(bytes) >>> 0;

/** The same as Cloud Storage writes it: base64 of the four bytes, most significant first. */
export function crc32cBase64(bytes: Uint8Array): string {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(crc32c(bytes));
  return buffer.toString('base64');
}
