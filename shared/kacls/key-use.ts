/**
 * The way to a user's private key. Every check that ties tokens, wrapped key and owner together is here, and an
 * operation gets the key only when all of them held.
 */
import { type KeyObject, timingSafeEqual } from 'node:crypto';
import { isSealwrightError } from '../errors.ts';
import { forbidden, type KeyServiceRequest, textClaim } from './access.ts';
import { sameIgnoringCase } from './addresses.ts';
import { decodeBase64 } from './base64.ts';
import type { KeyServiceContext } from './context.ts';
import { requiredText } from './fields.ts';
import { fromPkcs1Der, spkiSha256Of } from './private-key.ts';
import type { Claims } from './tokens.ts';
import { type AuthorizedUser, requirePerimeter } from './user-access.ts';
import { kekIdOfWrappedKey, type OpenedWrappedKey, openWrappedKey } from './wrapped-key.ts';

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
  const { key, userId, perimeterId } = await openNamedKey(authorizedSpki, request, context);
  // Former addresses count: a renamed user must go on reading old mail.
  const owners = await context.addressBook.userIdsOfAddress(user.address);
  if (!owners.includes(userId)) throw forbidden('The wrapped key belongs to another user.');
  requirePerimeter(user, perimeterId, context);
  return key;
}

export interface OpenedKey {
  readonly key: KeyObject;
  readonly userId: string;
  readonly perimeterId: string;
}

/**
 * Opens `wrapped_private_key` if the key in it is the one whose SPKI hash was named; whose it is and who asks is left
 * to the caller. Throws `forbidden` (permanent) for another key, `wrapped-key-unreadable`.
 */
export async function openNamedKey(
  spkiSha256: Uint8Array,
  request: KeyServiceRequest,
  context: KeyServiceContext,
): Promise<OpenedKey> {
  const opened = await openThisOrNewer(
    requiredText(request.body, 'wrapped_private_key'),
    spkiSha256,
    request,
    context,
  );
  const { userId, perimeterId, kekId, privateKeyDer } = opened;
  try {
    const key = fromPkcs1Der(privateKeyDer);
    // Of the key that really came out, not of what the header says.
    const actual = spkiSha256Of(key);
    request.note({ owner: userId, kekId, perimeterId, spkiSha256Hex: actual.toString('hex') });
    // The only thing that ties a permission to the blob that was sent along with it.
    if (timingSafeEqual(actual, spkiSha256)) return { key, userId, perimeterId };
    throw forbidden('The permission is for another key: its spki_hash is not that of the wrapped key.');
  } finally {
    privateKeyDer.fill(0);
  }
}

/**
 * Gmail keeps the blob it was given, for good. After a rotation the ledger has a newer form of the very same blob; once
 * the old key-encryption key is gone, that one is opened in its place, and everything is then checked of it as always.
 */
async function openThisOrNewer(
  wrapped: string,
  spkiSha256: Uint8Array,
  { note }: KeyServiceRequest,
  context: KeyServiceContext,
): Promise<OpenedWrappedKey> {
  const under = { keyEncryptionKeys: context.keyEncryptionKeys, tenantId: context.settings.tenantId };
  try {
    return await openWrappedKey(wrapped, under);
  } catch (error) {
    const kekIsGone =
      isSealwrightError(error) && error.code === 'wrapped-key-unreadable' && error.kind === 'permanent';
    if (!kekIsGone) throw error;
    const spkiSha256Hex = Buffer.from(spkiSha256).toString('hex');
    const newer = await context.newerForms?.newerWrappedKey(spkiSha256Hex, wrapped);
    if (newer === undefined) throw error;
    note({ namedKekId: kekIdOfWrappedKey(wrapped) });
    return await openWrappedKey(newer, under);
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
