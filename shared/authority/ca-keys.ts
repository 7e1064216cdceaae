import type { IssuerRecord } from '../domain/records.ts';
import { type Signer, signerFromPkcs8 } from '../pki/signer.ts';
import type { Clock } from '../ports/clock.ts';
import type { Secrets } from '../ports/secrets.ts';

/** Where signers come from. Only the function `sign` is given one of these. */
export interface CaKeys {
  /**
   * The signer of this issuer. Throws `secret-missing`, `secret-unreadable`, `ca-key-unusable` (permanent),
   * `secrets-unavailable` (retryable).
   */
  signerOf(issuer: IssuerRecord): Promise<Signer>;
}

/** A disabled or destroyed secret version stops signing after this long at the latest. */
const KEPT_MS = 5 * 60_000;

/** Issuing keys in Secret Manager, one pinned version per issuer, unencrypted PKCS#8 DER. */
export function secretManagerCaKeys(secrets: Secrets, clock: Clock): CaKeys {
  const kept = new Map<string, { signer: Signer; until: number }>();
  return {
    async signerOf(issuer) {
      const known = kept.get(issuer.keySecretVersion);
      if (known !== undefined && known.until > clock.now().getTime()) return known.signer;
      kept.delete(issuer.keySecretVersion);
      const pkcs8Der = await secrets.read(issuer.keySecretVersion);
      try {
        const signer = signerFromPkcs8(pkcs8Der, { certificateDer: issuer.certificateDer });
        kept.set(issuer.keySecretVersion, { signer, until: clock.now().getTime() + KEPT_MS });
        return signer;
      } finally {
        pkcs8Der.fill(0);
      }
    },
  };
}
