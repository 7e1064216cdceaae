/**
 * The way to a user's private key. Every check that ties the two tokens, the wrapped key and its owner together is
 * here, and an operation gets the key only when all of them held.
 */
import { type KeyObject, timingSafeEqual } from 'node:crypto';
import { permanent } from '../errors.ts';
import { type AuthorizedUser, type KeyServiceRequest, textClaim } from './access.ts';
import { sameIgnoringCase } from './addresses.ts';
import { decodeBase64 } from './base64.ts';
import type { KeyServiceContext } from './context.ts';
import { requiredText } from './fields.ts';
import { fromPkcs1Der, spkiSha256Of } from './private-key.ts';
import type { Claims } from './tokens.ts';
import { openWrappedKey } from './wrapped-key.ts';

/**
 * Opens `wrapped_private_key` for a user whose tokens have been checked. Throws `forbidden` (permanent) when key,
 * owner and tokens do not belong together, `wrapped-key-unreadable` when it does not open.
 */
export async function openKeyFor(
  user: AuthorizedUser,
  request: KeyServiceRequest,
  context: KeyServiceContext,
): Promise<KeyObject> {
  requireOwnResource(user);
  const authorizedSpki = authorizedSpkiSha256(user.authorization);
  const opened = await openWrappedKey(requiredText(request.body, 'wrapped_private_key'), {
    keyEncryptionKeys: context.keyEncryptionKeys,
    tenantId: context.settings.tenantId,
  });
  try {
    const key = fromPkcs1Der(opened.privateKeyDer);
    const spkiSha256 = spkiSha256Of(key);
    request.note({
      owner: opened.userId,
      kekId: opened.kekId,
      perimeterId: opened.perimeterId,
      spkiSha256Hex: spkiSha256.toString('hex'),
    });
    // The only thing that ties Google's permission to the blob that was sent along with it.
    if (!timingSafeEqual(spkiSha256, authorizedSpki)) {
      throw forbidden(
        'The authorization token is for another key (its spki_hash is not that of the wrapped key).',
      );
    }
    // Former addresses count: a renamed user must go on reading old mail.
    const owners = await context.addressBook.userIdsOfAddress(user.address);
    if (!owners.includes(opened.userId)) {
      throw forbidden('The wrapped key belongs to another user.');
    }
    requirePerimeter(user.authorization, opened.perimeterId);
    return key;
  } finally {
    opened.privateKeyDer.fill(0);
  }
}

/** `//gmail.googleapis.com/gmail/users/ADDRESS/settings/cse/keypairs/ID`, the address percent-encoded. */
const GMAIL_KEYPAIR = /^\/\/gmail\.googleapis\.com\/gmail\/users\/([^/]+)\/settings\/cse\/keypairs\/[^/]+$/;
/** https://developers.google.com/workspace/cse/reference/authorization-tokens, Gmail */
const LONGEST_RESOURCE_NAME = 512;

function requireOwnResource(user: AuthorizedUser): void {
  const name = textClaim(user.authorization, 'authorization', 'resource_name');
  const encoded =
    Buffer.byteLength(name) <= LONGEST_RESOURCE_NAME ? GMAIL_KEYPAIR.exec(name)?.[1] : undefined;
  if (encoded === undefined) {
    throw forbidden('In the authorization token, resource_name is not a Gmail key pair.');
  }
  if (!sameIgnoringCase(percentDecoded(encoded), user.address)) {
    throw forbidden('In the authorization token, resource_name belongs to another user.');
  }
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw forbidden('In the authorization token, resource_name is not percent-encoded correctly.');
  }
}

function authorizedSpkiSha256(authorization: Claims): Buffer {
  if (textClaim(authorization, 'authorization', 'spki_hash_algorithm') !== 'SHA-256') {
    throw forbidden('In the authorization token, spki_hash_algorithm is not SHA-256.');
  }
  const hash = decodeBase64(textClaim(authorization, 'authorization', 'spki_hash'));
  if (hash?.length === 32) return hash;
  throw forbidden('In the authorization token, spki_hash is not a SHA-256 in standard base64.');
}

/**
 * Gmail's real tokens carry an empty perimeter_id, which says nothing. One that says something must say what the key
 * was wrapped with.
 */
function requirePerimeter(authorization: Claims, wrappedWith: string): void {
  const perimeter = authorization['perimeter_id'] ?? '';
  if (perimeter === '' || perimeter === wrappedWith) return;
  throw forbidden('The authorization token names another perimeter than the wrapped key.');
}

const forbidden = (message: string) => permanent('forbidden', message);
