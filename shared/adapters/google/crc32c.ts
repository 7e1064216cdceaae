import CRC32C from 'crc-32/crc32c.js';

/** CRC-32C (Castagnoli, RFC 9260 Appendix A) as an unsigned 32-bit number: what Secret Manager calls `dataCrc32c`. */
export const crc32c = (bytes: Uint8Array): number => CRC32C.buf(bytes) >>> 0;

/** The same as Cloud Storage writes it: base64 of the four bytes, most significant first. */
export const crc32cBase64 = (bytes: Uint8Array): string => base64Of(crc32c(bytes));

/** The same over bytes that come in parts. */
export class RunningCrc32c {
  #signed = 0;

  update(part: Uint8Array): void {
    this.#signed = CRC32C.buf(part, this.#signed);
  }

  base64(): string {
    return base64Of(this.#signed >>> 0);
  }
}

function base64Of(checksum: number): string {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(checksum);
  return buffer.toString('base64');
}
