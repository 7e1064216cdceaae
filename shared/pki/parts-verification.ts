/** Verifying one signature over bytes that come by in parts and are digested once, whoever asks and how often. */
import { createVerify, type KeyObject, type Verify } from 'node:crypto';
import { sameBytes } from './der-reader.ts';

export class PartsVerification {
  readonly #publicKey: KeyObject;
  readonly #verifying: Verify;
  #first: { readonly signature: Uint8Array; readonly isGood: boolean } | undefined;

  constructor(hash: string, publicKey: KeyObject) {
    this.#publicKey = publicKey;
    this.#verifying = createVerify(hash);
  }

  take(part: Uint8Array): void {
    this.#verifying.update(part);
  }

  /** After the last part. The digest is used up by the first signature it is asked about, and any other one is not good. */
  readonly holdsFor = (signature: Uint8Array): boolean => {
    this.#first ??= {
      signature: Uint8Array.from(signature),
      isGood: this.#verifying.verify(this.#publicKey, signature),
    };
    return this.#first.isGood && sameBytes(this.#first.signature, signature);
  };
}
