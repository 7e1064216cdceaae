/**
 * The wrapped content key (DEK): what `wrap` answers and Google keeps beside a file, an event or a message. This
 * service stores no content key; the blob is the only copy.
 *
 * A sealed blob (`sealing.ts`) with magic "SWDK" and purpose "content-key". Its fields:
 *
 * ```
 * perimeter          1+n   text: perimeter_id at wrap time, may be empty
 * resource SHA-256    32   of the UTF-8 of resource_name
 * ```
 *
 * The name itself is not kept: Google gives it with every request, and its hash keeps the blob below the API's 1 KB
 * however long the name is. The largest blob, for a content key of 128 bytes and texts of 255, has 705 bytes, and
 * the wrapped data key more where a KMS holds the key-encryption key (about 115).
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { permanent } from '../errors.ts';
import type { KeyEncryptionKey, KeyEncryptionKeys } from '../ports/key-encryption-keys.ts';
import type { RandomBytes } from './context.ts';
import { type BlobKind, dataKeyBinding, encodeText, openBlob, sealBlob } from './sealing.ts';

export interface ContentKeyBinding {
  readonly resourceName: string;
  /** Empty when none was given. */
  readonly perimeterId: string;
}

export interface OpenedContentKey {
  readonly kekId: string;
  /** The one given at wrap time, which is the one that counts. */
  readonly perimeterId: string;
  /** The caller wipes it. */
  readonly contentKey: Buffer;
}

/** https://developers.google.com/workspace/cse/reference/wrap */
export const LONGEST_CONTENT_KEY = 128;
export const LONGEST_WRAPPED_CONTENT_KEY = 1024;

const KIND: BlobKind = { magic: 'SWDK', purpose: 'content-key', longest: LONGEST_WRAPPED_CONTENT_KEY };

/** What the newest key-encryption key is asked for to wrap a content key of this tenant. */
export const contentKeyBinding = (tenantId: string): Buffer => dataKeyBinding(KIND, tenantId);

/** Answers base64. Throws a plain error for arguments that cannot be encoded: that is a bug of the caller. */
export function sealContentKey(
  contentKey: Uint8Array,
  binding: ContentKeyBinding,
  under: { readonly kek: KeyEncryptionKey; readonly tenantId: string; readonly random: RandomBytes },
): string {
  const fields = Buffer.concat([
    encodeText('perimeter', binding.perimeterId),
    resourceHash(binding.resourceName),
  ]);
  return sealBlob(KIND, fields, contentKey, under);
}

/** Throws as `openBlob`, and `forbidden` (permanent) when the blob was made for another resource. */
export async function openContentKey(
  wrapped: string,
  resourceName: string,
  under: { readonly keyEncryptionKeys: KeyEncryptionKeys; readonly tenantId: string },
): Promise<OpenedContentKey> {
  const { kekId, fields, plaintext } = await openBlob(
    KIND,
    wrapped,
    (reader) => ({ perimeterId: reader.text(), resourceSha256: reader.bytes(32) }),
    under,
  );
  if (!timingSafeEqual(fields.resourceSha256, resourceHash(resourceName))) {
    plaintext.fill(0);
    throw permanent('forbidden', 'The wrapped key belongs to another resource (resource_name).');
  }
  return { kekId, perimeterId: fields.perimeterId, contentKey: plaintext };
}

const resourceHash = (resourceName: string): Buffer =>
  createHash('sha256').update(resourceName, 'utf8').digest();
