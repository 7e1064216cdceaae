/**
 * What a signer takes. Certificates, CRLs and OCSP answers become signable in `linted.ts` alone, once they are recorded and linted; the few
 * other texts that such a key signs do where they are made (`test/pki/linted.test.ts` names each). Good for one signature.
 */
import type { Parts } from './crl-parts.ts';

declare const brand: unique symbol;

export type Signable = Uint8Array & { readonly [brand]: 'signable' };
export type SignableParts = Parts & { readonly [brand]: 'signable' };

const unspent = new WeakSet<object>();

export function signable(bytes: Uint8Array): Signable {
  unspent.add(bytes);
  return bytes as Signable;
}

export function signableParts(parts: Parts): SignableParts {
  unspent.add(parts);
  return parts as SignableParts;
}

/** For signers, before anything else. Throws a plain `Error`, which is a bug of the caller. */
export function spend(what: Signable | SignableParts): void {
  if (!unspent.delete(what))
    throw new Error(
      'bug: a signer was given bytes that nobody declared signable, or the same twice; nothing was signed',
    );
}
