/**
 * POST wrapprivatekey. Google never calls it and leaves its form to us; its page is a recommendation
 * (https://developers.google.com/workspace/cse/reference/wrap-private-key). Ours, exactly:
 *
 * | field            | in  | meaning                                                                              |
 * |------------------|-----|--------------------------------------------------------------------------------------|
 * | `authentication` | yes | Google-signed ID token of a service account in `wrapCallers` (see `forWrapCaller`)     |
 * | `private_key`    | yes | unencrypted RSA key of 2048 to 4096 bits: PKCS#8 PEM, PKCS#1 PEM or base64 of its DER  |
 * | `user_id`        | yes | immutable directory id of the owner; the wrapped key works for nobody else             |
 * | `perimeter_id`   | no  | at most 128 bytes                                                                    |
 * | `spki_hash`      | no  | base64 SHA-256 of the SubjectPublicKeyInfo; when given it must be that of the key      |
 *
 * Answers `wrapped_private_key`, `spki_hash`, `spki_hash_algorithm`. It answers only after the blob it made was opened
 * again, and the key that came out signed and decrypted a nonce: the answer is a proof, and says for which public key.
 * Nobody else can give that proof, because the tokens that signing and decrypting need are Google's to issue.
 */
import {
  constants,
  createHash,
  createPublicKey,
  type KeyObject,
  publicEncrypt,
  timingSafeEqual,
  verify,
} from 'node:crypto';
import { invalidInput, isSealwrightError } from '../errors.ts';
import type { Operation } from './access.ts';
import { encodeBase64 } from './base64.ts';
import type { KeyServiceContext } from './context.ts';
import { decryptContentKey } from './decryption.ts';
import { optionalBytes, optionalPerimeter, type RequestBody, requiredText } from './fields.ts';
import { requireKnownPerimeter } from './perimeters.ts';
import { fromPkcs1Der, readSuppliedPrivateKey, spkiSha256Of, toPkcs1Der } from './private-key.ts';
import { signDigest } from './signing.ts';
import { type OpenedWrappedKey, openWrappedKey, privateKeyBinding, sealPrivateKey } from './wrapped-key.ts';

export const wrapPrivateKey: Operation<string> = async ({ body, note }, _caller, context) => {
  const userId = readUserId(body);
  const perimeterId = optionalPerimeter(body);
  requireKnownPerimeter(context.settings.perimeters, perimeterId);
  note({ owner: userId, perimeterId });
  const supplied = readSuppliedPrivateKey(requiredText(body, 'private_key'));
  const spkiSha256 = spkiSha256Of(supplied);
  note({ spkiSha256Hex: spkiSha256.toString('hex') });
  requireAnnouncedKey(body, spkiSha256);

  const { tenantId } = context.settings;
  const kek = await context.keyEncryptionKeys.current(privateKeyBinding(tenantId));
  note({ kekId: kek.id });
  const der = toPkcs1Der(supplied);
  let wrapped: string;
  try {
    wrapped = sealPrivateKey(
      der,
      { userId, perimeterId, spkiSha256 },
      { kek, tenantId, random: context.random },
    );
  } finally {
    der.fill(0);
  }
  await proveItOpens(wrapped, { userId, spkiSha256 }, context);
  return {
    wrapped_private_key: wrapped,
    spki_hash: encodeBase64(spkiSha256),
    spki_hash_algorithm: 'SHA-256',
  };
};

/** Opens the blob as privatekeysign would and uses the key both ways. */
async function proveItOpens(
  wrapped: string,
  expected: { readonly userId: string; readonly spkiSha256: Uint8Array },
  context: KeyServiceContext,
): Promise<void> {
  const opened = await reopen(wrapped, context);
  try {
    const key = fromPkcs1Der(opened.privateKeyDer);
    if (opened.userId !== expected.userId || !timingSafeEqual(spkiSha256Of(key), expected.spkiSha256)) {
      throw new Error('A wrapped key came out of its own wrapping as another key.');
    }
    if (!worksBothWays(key, context)) {
      throw invalidInput(
        'malformed-request',
        '"private_key" is damaged: what it signs or decrypts does not fit its own public half.',
      );
    }
  } finally {
    opened.privateKeyDer.fill(0);
  }
}

async function reopen(wrapped: string, context: KeyServiceContext): Promise<OpenedWrappedKey> {
  try {
    return await openWrappedKey(wrapped, {
      keyEncryptionKeys: context.keyEncryptionKeys,
      tenantId: context.settings.tenantId,
    });
  } catch (error) {
    if (!isSealwrightError(error) || error.code !== 'wrapped-key-unreadable') throw error;
    // The caller sent a key, no wrapped key: the fault is on this side.
    throw new Error('A wrapped key did not open right after it was made.', { cause: error });
  }
}

function worksBothWays(key: KeyObject, context: KeyServiceContext): boolean {
  const publicKey = createPublicKey(key);
  const nonce = Buffer.from(context.random(32));
  try {
    const digest = createHash('sha256').update(nonce).digest();
    const signature = signDigest(key, { scheme: 'pkcs1', hash: 'sha256' }, digest, context);
    const encrypted = publicEncrypt(
      { key: publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' },
      nonce,
    );
    const decrypted = decryptContentKey(key, { scheme: 'oaep', hash: 'sha256' }, encrypted, {
      oaepMgf1: 'same',
    });
    const fits = decrypted.equals(nonce);
    decrypted.fill(0);
    return fits && verify('sha256', nonce, publicKey, signature);
  } catch {
    // A key whose parts do not fit together makes OpenSSL fail in many ways; all mean the same here.
    return false;
  }
}

function readUserId(body: RequestBody): string {
  const userId = requiredText(body, 'user_id');
  if (/^[\x21-\x7e]{1,64}$/.test(userId)) return userId;
  throw invalidInput('malformed-request', '"user_id" must be a directory id: 1 to 64 printable characters.');
}

function requireAnnouncedKey(body: RequestBody, spkiSha256: Buffer): void {
  const announced = optionalBytes(body, 'spki_hash', 64);
  if (announced === undefined || announced.equals(spkiSha256)) return;
  throw invalidInput('malformed-request', '"spki_hash" is not that of "private_key".');
}
