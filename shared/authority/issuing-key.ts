/** A new issuing key, in Secret Manager or in Cloud KMS. */
import { permanent } from '../errors.ts';
import { digestSigner } from '../pki/digest-signer.ts';
import { generateRsaKey } from '../pki/key.ts';
import { type Signer, signerFromPkcs8 } from '../pki/signer.ts';
import type { Secrets, SecretVersion } from '../ports/secrets.ts';
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
  deps: { readonly secrets: Pick<Secrets, 'add'> } & Pick<AuthorityDeps, 'signingKeys' | 'generateKey'>,
  place: IssuingKeyPlace,
): Promise<IssuingKey> {
  if ('kmsKeyVersion' in place) {
    const signer = digestSigner(await remoteKey(deps.signingKeys, place.kmsKeyVersion));
    return { signer, store: async () => place.kmsKeyVersion, wipe: () => undefined };
  }
  const { pkcs8Der } = await (deps.generateKey ?? generateRsaKey)(place.modulusBits ?? 4096);
  return storedKey(deps, place.keySecret, pkcs8Der);
}

/** What the next version of a secret will be called; versions are counted up from 1 and no number comes twice. */
export function versionToCome(secret: string, versions: readonly SecretVersion[]): string {
  const numbers = versions.map(({ name }) => Number(name.slice(name.lastIndexOf('/') + 1)));
  return `${secret}/versions/${Math.max(0, ...numbers) + 1}`;
}

/** The same for a key that somebody brought along. */
export function storedKey(
  deps: { readonly secrets: Pick<Secrets, 'add'> },
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
