import type { KeyObject } from 'node:crypto';

export interface TokenSigningKey {
  /** JWK thumbprint (RFC 7638, SHA-256, base64url), so every instance gives the same key the same id. */
  readonly keyId: string;
  /** RSA, 2048 bits or more. */
  readonly privateKey: KeyObject;
}

export interface PublishedSigningKey {
  readonly keyId: string;
  readonly publicKey: KeyObject;
}

/**
 * The keys with which the key service signs tokens of its own: to other key services, and for delegates. The same on
 * every instance and after every restart. Throws the errors of the `Secrets` port.
 */
export interface TokenSigningKeys {
  current(): Promise<TokenSigningKey>;
  /** The public halves of all of them, the current one first: others must be able to verify what an older one signed. */
  published(): Promise<readonly PublishedSigningKey[]>;
}
