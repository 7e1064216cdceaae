import { createHmac } from 'node:crypto';
import { encodeBase64 } from './base64.ts';

/**
 * How two key services find out that they hold the same content key without showing it: base64 of HMAC-SHA-256 under
 * the content key. The colon before an empty perimeter stays.
 * https://developers.google.com/workspace/cse/reference/resource-key-hash
 */
export const resourceKeyHash = (contentKey: Uint8Array, resourceName: string, perimeterId: string): string =>
  encodeBase64(
    createHmac('sha256', contentKey)
      .update(`ResourceKeyDigest:${resourceName}:${perimeterId}`, 'utf8')
      .digest(),
  );
