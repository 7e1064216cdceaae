/**
 * What a signer takes. Certificates, CRLs and OCSP answers become signable in `linted.ts` alone, once they are recorded and linted; the few
 * other texts that such a key signs do where they are made (`test/pki/linted.test.ts` names each). Good for one signature.
 */
import { type Parts, passing } from './crl-parts.ts';
import type { PartsVerification } from './parts-verification.ts';

declare const brand: unique symbol;

export type Signable = Uint8Array & { readonly [brand]: 'signable' };
export type SignableParts = Parts & { readonly [brand]: 'signable' };

/** What is not spent, with what has digested it or does so on the way. */
const unspent = new WeakMap<object, PartsVerification | undefined>();

/** They go through `verification` at once. */
export function signable(bytes: Uint8Array, verification?: PartsVerification): Signable {
  verification?.take(bytes);
  unspent.set(bytes, verification);
  return bytes as Signable;
}

/** Each part goes through `verification` as it is read. */
export function signableParts(parts: Parts, verification?: PartsVerification): SignableParts {
  const read = verification === undefined ? parts : passing(parts, (part) => verification.take(part));
  unspent.set(read, verification);
  return read as SignableParts;
}

/**
 * For signers, before anything else. Throws a plain `Error`, which is a bug of the caller; so is a verification that is not of
 * these parts, because a signer signs its digest.
 */
export function spend(what: Signable | SignableParts, verification?: PartsVerification): void {
  const itsOwn = unspent.get(what);
  if (!unspent.delete(what))
    throw new Error(
      'bug: a signer was given bytes that nobody declared signable, or the same twice; nothing was signed',
    );
  if (verification !== undefined && verification !== itsOwn)
    throw new Error(
      'bug: a signer was given the digest of other bytes than it was to sign; nothing was signed',
    );
}
