/**
 * A growing buffer for long DER. It doubles when full, so writing n bytes moves fewer than 2n, however many writes
 * they come in; nothing is kept per write.
 */
import { derLength } from './der.ts';

export class DerBuffer {
  #bytes = Buffer.allocUnsafe(4096);
  #length = 0;

  /** What was written so far; a view, valid until the next write. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  append(bytes: Uint8Array): void {
    this.#makeRoom(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** Tag and length of an element whose contents follow. */
  appendHeader(tag: number, contentLength: number): void {
    this.#makeRoom(2);
    this.#bytes[this.#length] = tag;
    this.#length += 1;
    if (contentLength < 0x80) {
      this.#bytes[this.#length] = contentLength;
      this.#length += 1;
    } else {
      this.append(derLength(contentLength));
    }
  }

  appendHex(hex: string): void {
    this.#makeRoom(hex.length / 2);
    this.#length += this.#bytes.write(hex, this.#length, 'hex');
  }

  #makeRoom(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + more));
    grown.set(this.bytes);
    this.#bytes = grown;
  }
}
