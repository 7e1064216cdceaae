/**
 * Serial numbers: 18 octets, the first 01–7F, then 136 random bits. So every serial is positive without a padding
 * octet, has one length, stays below 2^159 and carries 136 bits of randomness after the sign bit and the non-zero
 * rule are paid for: S/MIME Baseline Requirements 7.1 want 64, and the 63-bit incidents of 2019 came from drawing 64
 * and then clearing one. That no two are equal is the ledger's unique index, not luck.
 */

/** Bytes of a serial's DER INTEGER content. */
export const SERIAL_BYTES = 18;

/** A source of cryptographic randomness, such as `randomBytes` of node:crypto. */
export type RandomBytes = (size: number) => Uint8Array;

/**
 * Draws a serial: 36 lower-case hex digits, the DER INTEGER content octets. The first octet is drawn evenly from
 * 01–7F by refusing zero instead of changing it. Throws a plain `Error` when the source is visibly broken.
 */
export function drawSerial(random: RandomBytes): string {
  // A fair source gives zero in one of 128 draws; 64 zeros in a row mean 2^-448.
  for (let attempt = 0; attempt < 64; attempt += 1) {
    const bytes = Buffer.from(random(SERIAL_BYTES));
    if (bytes.length !== SERIAL_BYTES) {
      throw new Error(`The random source gave ${bytes.length} bytes where ${SERIAL_BYTES} were asked for.`);
    }
    const first = bytes.readUInt8(0) & 0x7f;
    if (first === 0) continue;
    bytes.writeUInt8(first, 0);
    return bytes.toString('hex');
  }
  throw new Error('The random source gives only zeros; no serial was drawn.');
}

/** Whether a text is a serial as this product draws them. */
export const isDrawnSerial = (serialHex: string): boolean =>
  /^[0-7][0-9a-f]{35}$/.test(serialHex) && !serialHex.startsWith('00');
