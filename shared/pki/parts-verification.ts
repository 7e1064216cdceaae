/** Verifying one signature over bytes that come by in parts and are digested once, whoever asks and how often. */
import { createHash, createVerify, type Hash, type KeyObject, type Verify } from 'node:crypto';
import { sameBytes } from './der-reader.ts';
import { type DigestName, isRsaSignature } from './rsa-digest.ts';

export class PartsVerification {
  readonly #name: DigestName;
  readonly #publicKey: KeyObject;
  /** Node verifies ECDSA over bytes only. */
  readonly #passing: { readonly rsa: Hash } | { readonly ec: Verify };
  #digest: Uint8Array | undefined;
  #first: { readonly signature: Uint8Array; readonly isGood: boolean } | undefined;

  constructor(name: DigestName, publicKey: KeyObject) {
    this.#name = name;
    this.#publicKey = publicKey;
    this.#passing =
      publicKey.asymmetricKeyType === 'rsa' ? { rsa: createHash(name) } : { ec: createVerify(name) };
  }

  take(part: Uint8Array): void {
    if ('rsa' in this.#passing) this.#passing.rsa.update(part);
    else this.#passing.ec.update(part);
  }

  /** After the last part, to be signed. Throws a plain `Error` where the key is not RSA. */
  get digest(): Uint8Array {
    if (!('rsa' in this.#passing)) throw new Error('bug: there is no digest to sign but for RSA');
    this.#digest ??= this.#passing.rsa.digest();
    return this.#digest;
  }

  /** After the last part. Good for the first signature it is asked about, and any other one is not good. */
  holdsFor(signature: Uint8Array): boolean {
    this.#first ??= { signature: Uint8Array.from(signature), isGood: this.#verifies(signature) };
    return this.#first.isGood && sameBytes(this.#first.signature, signature);
  }

  #verifies(signature: Uint8Array): boolean {
    if ('ec' in this.#passing) return this.#passing.ec.verify(this.#publicKey, signature);
    return isRsaSignature(this.#publicKey, this.#name, this.digest, signature);
  }
}
