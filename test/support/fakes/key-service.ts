import { createHash, createPrivateKey, createPublicKey, randomBytes } from 'node:crypto';
import { permanent } from '../../../shared/errors.ts';
import { sealPrivateKey } from '../../../shared/kacls/wrapped-key.ts';
import type { KeyRewrapping } from '../../../shared/ports/key-rewrapping.ts';
import type { KeyService } from '../../../shared/ports/key-service.ts';

/** A key service that keeps the key and hands out a reference to it as the wrapped key. */
export interface FakeKeyService extends KeyService, KeyRewrapping {
  /** What was wrapped under this blob. */
  opened(wrappedKey: string): { readonly userId: string; readonly spkiSha256Hex: string } | undefined;
  readonly wraps: number;
}

export function fakeKeyService(): FakeKeyService {
  const kept = new Map<string, { userId: string; spkiSha256Hex: string }>();
  return {
    opened: (wrappedKey) => kept.get(wrappedKey),
    get wraps() {
      return kept.size;
    },
    async rewrapPrivateKey({ wrappedKey }) {
      const owned = kept.get(wrappedKey);
      if (owned === undefined) {
        throw permanent('key-service-refused', 'The key service cannot read the wrapped key.', {
          details: { httpStatus: 400 },
        });
      }
      const kek = { id: 'kek/new', key: randomBytes(32) };
      const spkiSha256 = Buffer.from(owned.spkiSha256Hex, 'hex');
      const newer = sealPrivateKey(
        randomBytes(1200),
        { userId: owned.userId, perimeterId: '', spkiSha256 },
        { kek, tenantId: 'C00sample', random: randomBytes },
      );
      kept.set(newer, owned);
      return { wrappedKey: newer, kekId: kek.id, opened: owned };
    },
    async wrapPrivateKey({ privateKeyDer, spkiSha256Hex, userId }) {
      if (spkiSha256HexOf(privateKeyDer) !== spkiSha256Hex)
        throw permanent('key-service-refused', 'The key is not the one announced.');
      const wrappedKey = Buffer.from(`wrapped/${kept.size + 1}/${spkiSha256Hex}`).toString('base64');
      kept.set(wrappedKey, { userId, spkiSha256Hex });
      return { wrappedKey, proof: 'proven' };
    },
  };
}

/** By the private key's own digest: a pool hands out the same keys again and again. */
const digests = new Map<string, string>();

function spkiSha256HexOf(privateKeyDer: Uint8Array): string {
  const name = sha256Hex(privateKeyDer);
  const known = digests.get(name);
  if (known !== undefined) return known;
  const key = createPublicKey(
    createPrivateKey({ key: Buffer.from(privateKeyDer), format: 'der', type: 'pkcs8' }),
  );
  const digest = sha256Hex(key.export({ type: 'spki', format: 'der' }));
  digests.set(name, digest);
  return digest;
}

const sha256Hex = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
