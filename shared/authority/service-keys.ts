import { type Signer, signerFromPkcs8 } from '../pki/signer.ts';
import type { Clock } from '../ports/clock.ts';
import type { Secrets } from '../ports/secrets.ts';

/** Where the signers of OCSP answers and of checkpoints come from. Only the function `sign` is given one of these. */
export interface ServiceKeys {
  /** Throws `secret-missing`, `secret-unreadable`, `ca-key-unusable` (permanent), `secrets-unavailable` (retryable). */
  signerOf(signer: {
    readonly keySecretVersion: string;
    readonly certificateDer: Uint8Array;
  }): Promise<Signer>;
}

/** A disabled or destroyed secret version stops signing after this long at the latest. */
const KEPT_MS = 5 * 60_000;

/** Their keys in Secret Manager, one pinned version per signer, unencrypted PKCS#8 DER. */
export function secretManagerServiceKeys(secrets: Pick<Secrets, 'read'>, clock: Clock): ServiceKeys {
  const kept = new Map<string, { readonly signer: Signer; readonly untilMs: number }>();
  return {
    async signerOf({ keySecretVersion, certificateDer }) {
      const nowMs = clock.now().getTime();
      for (const [version, { untilMs }] of kept) if (untilMs <= nowMs) kept.delete(version);
      const known = kept.get(keySecretVersion);
      if (known !== undefined) return known.signer;
      const pkcs8Der = await secrets.read(keySecretVersion);
      try {
        const signer = signerFromPkcs8(pkcs8Der, { certificateDer });
        kept.set(keySecretVersion, { signer, untilMs: nowMs + KEPT_MS });
        return signer;
      } finally {
        pkcs8Der.fill(0);
      }
    },
  };
}
