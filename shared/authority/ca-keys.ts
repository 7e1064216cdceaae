import { custodyOf } from '../domain/key-version.ts';
import type { IssuerRecord } from '../domain/records.ts';
import { digestSigner } from '../pki/digest-signer.ts';
import { type Signer, signerFromPkcs8 } from '../pki/signer.ts';
import type { Clock } from '../ports/clock.ts';
import type { Secrets } from '../ports/secrets.ts';
import type { SigningKeys } from '../ports/signing-keys.ts';

/** Where signers come from. Only the function `sign` is given one of these. */
export interface CaKeys {
  /**
   * The signer of this issuer. Throws `secret-missing`, `secret-unreadable`, `kms-key-unusable`, `kms-answer-refused`,
   * `ca-key-unusable` (permanent), `secrets-unavailable`, `kms-unavailable` (retryable).
   */
  signerOf(issuer: Pick<IssuerRecord, 'keyVersion' | 'certificateDer'>): Promise<Signer>;
}

export interface CaKeysDeps {
  readonly secrets: Pick<Secrets, 'read'>;
  readonly signingKeys: SigningKeys;
  readonly clock: Clock;
}

/** A disabled or destroyed secret version stops signing after this long at the latest. */
const KEPT_MS = 5 * 60_000;

/**
 * Issuing keys wherever the issuer's row says: in Secret Manager, one pinned version per issuer, unencrypted PKCS#8 DER;
 * or in Cloud KMS, which signs digests. Of the latter only the public key is kept, so a disabled version signs nothing.
 */
export function pinnedCaKeys({ secrets, signingKeys, clock }: CaKeysDeps): CaKeys {
  const kept = new Map<string, { signer: Signer; until: number }>();

  async function fromSecret(keyVersion: string, certificateDer: Uint8Array): Promise<Signer> {
    const pkcs8Der = await secrets.read(keyVersion);
    try {
      return signerFromPkcs8(pkcs8Der, { certificateDer });
    } finally {
      pkcs8Der.fill(0);
    }
  }

  async function fromKms(keyVersion: string, certificateDer: Uint8Array): Promise<Signer> {
    return digestSigner(await remoteKey(signingKeys, keyVersion), { certificateDer });
  }

  return {
    async signerOf({ keyVersion, certificateDer }) {
      const known = kept.get(keyVersion);
      if (known !== undefined && known.until > clock.now().getTime()) return known.signer;
      kept.delete(keyVersion);
      const signer = await (custodyOf(keyVersion) === 'cloud-kms' ? fromKms : fromSecret)(
        keyVersion,
        certificateDer,
      );
      kept.set(keyVersion, { signer, until: clock.now().getTime() + KEPT_MS });
      return signer;
    },
  };
}

/** A key of Cloud KMS as a signer takes it. */
export async function remoteKey(signingKeys: SigningKeys, keyVersion: string) {
  const { spkiDer, hash } = await signingKeys.publicKey(keyVersion);
  return {
    name: keyVersion,
    spkiDer,
    hash,
    signDigest: (digest: Uint8Array) => signingKeys.signDigest(keyVersion, hash, digest),
  };
}
