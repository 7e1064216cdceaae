/**
 * The wrapped key: the only form in which a user's private key exists at rest. Gmail keeps it as `kaclsData` and sends
 * it back with every request; nobody but this service can open it.
 *
 * A sealed blob (`sealing.ts`) with magic "SWPK" and purpose "smime-private-key". Its fields:
 *
 * ```
 * user id      1+n   text: immutable directory id of the owner
 * perimeter    1+n   text: perimeter_id given when it was wrapped, may be empty
 * SPKI SHA-256  32   of the public half
 * ```
 *
 * Its content is the RSAPrivateKey of RFC 8017 appendix A.1.2 (PKCS#1, DER).
 */
import type { KeyEncryptionKey, KeyEncryptionKeys } from '../ports/key-encryption-keys.ts';
import type { RandomBytes } from './context.ts';
import { type BlobKind, dataKeyBinding, encodeText, kekIdOf, openBlob, sealBlob } from './sealing.ts';

/** What a wrapped key is tied to, besides tenant and purpose. */
export interface KeyBinding {
  /** Immutable directory id of the owner. */
  readonly userId: string;
  /** Empty when none was given. */
  readonly perimeterId: string;
  /** SHA-256 of the DER SubjectPublicKeyInfo. */
  readonly spkiSha256: Uint8Array;
}

export interface OpenedWrappedKey extends KeyBinding {
  readonly kekId: string;
  /** PKCS#1 DER. The caller wipes it. */
  readonly privateKeyDer: Buffer;
}

/** The API's limit of 8 KB, read as characters of base64, which is the narrower reading. */
export const LONGEST_WRAPPED_KEY = 8191;

const KIND: BlobKind = { magic: 'SWPK', purpose: 'smime-private-key', longest: LONGEST_WRAPPED_KEY };
const SPKI_HASH_BYTES = 32;

/** What the newest key-encryption key is asked for to wrap a private key of this tenant. */
export const privateKeyBinding = (tenantId: string): Buffer => dataKeyBinding(KIND, tenantId);

/** Answers base64. Throws a plain error for arguments that cannot be encoded: that is a bug of the caller. */
export function sealPrivateKey(
  privateKeyDer: Uint8Array,
  binding: KeyBinding,
  under: { readonly kek: KeyEncryptionKey; readonly tenantId: string; readonly random: RandomBytes },
): string {
  const fields = Buffer.concat([
    encodeText('user id', binding.userId),
    encodeText('perimeter', binding.perimeterId),
    spkiHash(binding.spkiSha256),
  ]);
  return sealBlob(KIND, fields, privateKeyDer, under);
}

/** Throws as `openBlob`. */
export async function openWrappedKey(
  wrapped: string,
  under: { readonly keyEncryptionKeys: KeyEncryptionKeys; readonly tenantId: string },
): Promise<OpenedWrappedKey> {
  const { kekId, fields, plaintext } = await openBlob(
    KIND,
    wrapped,
    (reader) => ({
      userId: reader.text(),
      perimeterId: reader.text(),
      spkiSha256: reader.bytes(SPKI_HASH_BYTES),
    }),
    under,
  );
  return { kekId, ...fields, privateKeyDer: plaintext };
}

/** The key-encryption key that a wrapped private key names; nothing is opened or verified. */
export const kekIdOfWrappedKey = (wrapped: string): string => kekIdOf(KIND, wrapped);

function spkiHash(bytes: Uint8Array): Uint8Array {
  if (bytes.length !== SPKI_HASH_BYTES) throw new Error('The SPKI hash of a wrapped key must be a SHA-256.');
  return bytes;
}
