import type { CaKeys } from '../../../shared/authority/ca-keys.ts';
import { signableParts } from '../../../shared/pki/signable.ts';
import { type Signer, signerFromPkcs8 } from '../../../shared/pki/signer.ts';
import type { Secrets } from '../../../shared/ports/secrets.ts';

/**
 * CA keys for tests that sign by the thousand: each is read once and kept, and signs at once instead of in a thread, so that
 * nobody waits and chance has no part in who goes on first. How long a key is kept in earnest is `pinnedCaKeys`' own test.
 */
export function promptCaKeys(secrets: Pick<Secrets, 'read'>): CaKeys {
  const kept = new Map<string, Signer>();
  return {
    signerOf: async ({ keyVersion, certificateDer }) => {
      const known = kept.get(keyVersion);
      if (known !== undefined) return known;
      const signer = signerFromPkcs8(await secrets.read(keyVersion), { certificateDer });
      const prompt = signer.algorithm.startsWith('ecdsa') ? signer : withoutThread(signer);
      kept.set(keyVersion, prompt);
      return prompt;
    },
  };
}

/** One of RSA signs parts at once, and bytes in a thread. */
function withoutThread(signer: Signer): Signer {
  const { signParts } = signer;
  if (signParts === undefined) throw new Error('A key in memory signs in parts.');
  return { ...signer, sign: (bytes) => signParts(signableParts([bytes])) };
}
