/** A new issuing key, in Secret Manager or in Cloud KMS. */
import { permanent } from '../errors.ts';
import { digestSigner } from '../pki/digest-signer.ts';
import { generateRsaKey } from '../pki/key.ts';
import { type Signer, signerFromPkcs8 } from '../pki/signer.ts';
import { remoteKey } from './ca-keys.ts';
import type { AuthorityDeps } from './deps.ts';

export type IssuingKeyPlace =
  /** Made here and added to this secret, `projects/P/secrets/S`; 4096 bits unless told. */
  | { readonly keySecret: string; readonly modulusBits?: number }
  /** There already; it never leaves. */
  | { readonly kmsKeyVersion: string };

export interface IssuingKey {
  readonly signer: Signer;
  /** Puts the key where it will be used from, once; answers the version. */
  store(): Promise<string>;
  /** Forgets the private half here. */
  wipe(): void;
}

/** Throws `kms-key-unusable`, `ca-key-unusable`; `store` throws as `Secrets.add`. Nothing is stored before `store`. */
export async function issuingKey(
  deps: Pick<AuthorityDeps, 'secrets' | 'signingKeys' | 'generateKey'>,
  place: IssuingKeyPlace,
): Promise<IssuingKey> {
  if ('kmsKeyVersion' in place) {
    const signer = digestSigner(await remoteKey(deps.signingKeys, place.kmsKeyVersion));
    return { signer, store: async () => place.kmsKeyVersion, wipe: () => undefined };
  }
  const { pkcs8Der } = await (deps.generateKey ?? generateRsaKey)(place.modulusBits ?? 4096);
  return storedKey(deps, place.keySecret, pkcs8Der);
}

/** The same for a key that somebody brought along. */
export function storedKey(
  deps: Pick<AuthorityDeps, 'secrets'>,
  keySecret: string,
  pkcs8Der: Uint8Array,
): IssuingKey {
  const signer = signerFromPkcs8(pkcs8Der);
  return {
    signer,
    store: () => {
      if (pkcs8Der.every((byte) => byte === 0))
        throw permanent('ca-key-unusable', 'The key was forgotten before it was stored.');
      return deps.secrets.add(keySecret, pkcs8Der);
    },
    wipe: () => {
      pkcs8Der.fill(0);
    },
  };
}
