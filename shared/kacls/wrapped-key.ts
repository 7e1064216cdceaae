/**
 * The wrapped key: the only form in which a user's private key exists at rest. Gmail keeps it as `kaclsData` and sends
 * it back with every request; nobody but this service can open it.
 *
 * Layout, version 1. Integers are big-endian; `text(n)` is a length of one byte and then so many bytes of UTF-8.
 *
 * ```
 * magic          4   "SWPK"
 * version        1   1
 * KEK id       1+n   text: which key-encryption key opens it
 * user id      1+n   text: immutable directory id of the owner
 * perimeter    1+n   text: perimeter_id given when it was wrapped, may be empty
 * SPKI SHA-256  32   of the public half
 * nonce         12
 * ciphertext     n   AES-256-GCM over the RSAPrivateKey of RFC 8017 appendix A.1.2 (PKCS#1, DER)
 * tag           16
 * ```
 *
 * Additional authenticated data: text(purpose) ‖ text(tenant) ‖ everything before the nonce. So a blob opens only in
 * its tenant, only as a private key, and only with its header untouched. On the wire it is standard base64, padded.
 *
 * Nonces are random. NIST SP 800-38D section 8.3 allows 2^32 of them under one key; a key-encryption key would have to
 * wrap four thousand million keys to get there.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { invalidInput, permanent, type SealwrightError } from '../errors.ts';
import type { KeyEncryptionKey, KeyEncryptionKeys } from '../ports/key-encryption-keys.ts';
import { decodeBase64, encodeBase64 } from './base64.ts';
import type { RandomBytes } from './context.ts';

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

const MAGIC = Buffer.from('SWPK', 'latin1');
const VERSION = 1;
/** A content key wrapped by the same service has another purpose, so neither can be passed off as the other. */
const PURPOSE = 'smime-private-key';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const SPKI_HASH_BYTES = 32;

/** Answers base64. Throws a plain error for arguments that cannot be encoded: that is a bug of the caller. */
export function sealPrivateKey(
  privateKeyDer: Uint8Array,
  binding: KeyBinding,
  under: { readonly kek: KeyEncryptionKey; readonly tenantId: string; readonly random: RandomBytes },
): string {
  const header = Buffer.concat([
    MAGIC,
    Buffer.of(VERSION),
    text('key-encryption key id', under.kek.id),
    text('user id', binding.userId),
    text('perimeter', binding.perimeterId),
    spkiHash(binding.spkiSha256),
  ]);
  const nonce = under.random(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', under.kek.key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(authenticated(under.tenantId, header));
  const ciphertext = Buffer.concat([cipher.update(privateKeyDer), cipher.final()]);
  const wrapped = encodeBase64(Buffer.concat([header, nonce, ciphertext, cipher.getAuthTag()]));
  if (wrapped.length > LONGEST_WRAPPED_KEY) {
    throw new Error(`A wrapped key of ${wrapped.length} characters does not fit Gmail's 8 KB.`);
  }
  return wrapped;
}

/**
 * Throws `wrapped-key-unreadable`: invalid input when the bytes are not a wrapped key of this service and tenant, or
 * were altered; permanent when they name a key-encryption key that is not configured here. Also the errors of
 * `KeyEncryptionKeys`.
 */
export async function openWrappedKey(
  wrapped: string,
  under: { readonly keyEncryptionKeys: KeyEncryptionKeys; readonly tenantId: string },
): Promise<OpenedWrappedKey> {
  const blob = wrapped.length <= LONGEST_WRAPPED_KEY ? decodeBase64(wrapped) : undefined;
  if (blob === undefined) throw unreadable('it is not standard base64 of at most 8 KB');
  const { kekId, userId, perimeterId, spkiSha256, header, rest } = readHeader(blob);
  const kek = await under.keyEncryptionKeys.byId(kekId);
  if (kek === undefined) {
    throw permanent(
      'wrapped-key-unreadable',
      `The wrapped key needs the key-encryption key ${kekId}, which this key service does not have.`,
      { details: { kekId } },
    );
  }
  const nonce = rest.subarray(0, NONCE_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', kek, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(authenticated(under.tenantId, header));
  decipher.setAuthTag(rest.subarray(rest.length - TAG_BYTES));
  const privateKeyDer = decipher.update(rest.subarray(NONCE_BYTES, rest.length - TAG_BYTES));
  try {
    decipher.final();
  } catch {
    privateKeyDer.fill(0);
    throw unreadable('it was altered, or was made for another tenant');
  }
  return { kekId, userId, perimeterId, spkiSha256, privateKeyDer };
}

function readHeader(blob: Buffer) {
  let at = 0;
  const take = (length: number): Buffer => {
    if (at + length > blob.length) throw unreadable('it ends too early');
    at += length;
    return blob.subarray(at - length, at);
  };
  const takeText = (): string => take(take(1).readUInt8()).toString('utf8');

  if (!take(MAGIC.length).equals(MAGIC)) throw unreadable('it was not made by this kind of key service');
  const version = take(1).readUInt8();
  if (version !== VERSION)
    throw unreadable(`its format has version ${version}; this service reads ${VERSION}`);
  const kekId = takeText();
  // The id is not authenticated yet and goes into an error message.
  if (!/^[\x21-\x7e]+$/.test(kekId)) throw unreadable('its key-encryption key id is not printable');
  const userId = takeText();
  const perimeterId = takeText();
  const spkiSha256 = take(SPKI_HASH_BYTES);
  const rest = blob.subarray(at);
  if (rest.length <= NONCE_BYTES + TAG_BYTES) throw unreadable('it ends too early');
  return { kekId, userId, perimeterId, spkiSha256, header: blob.subarray(0, at), rest };
}

const authenticated = (tenantId: string, header: Uint8Array): Buffer =>
  Buffer.concat([text('purpose', PURPOSE), text('tenant', tenantId), header]);

function text(what: string, value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8');
  if (bytes.length > 255) throw new Error(`The ${what} of a wrapped key has ${bytes.length} bytes; 255 fit.`);
  return Buffer.concat([Buffer.of(bytes.length), bytes]);
}

function spkiHash(bytes: Uint8Array): Uint8Array {
  if (bytes.length !== SPKI_HASH_BYTES) throw new Error('The SPKI hash of a wrapped key must be a SHA-256.');
  return bytes;
}

const unreadable = (why: string): SealwrightError =>
  invalidInput('wrapped-key-unreadable', `The wrapped key cannot be opened: ${why}.`);
