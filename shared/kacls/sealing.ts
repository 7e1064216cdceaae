/**
 * Sealed blobs: what this service hands out to be kept by others, in a form only it can open. Each kind of blob
 * (`wrapped-key.ts`, `wrapped-content-key.ts`) has a magic and a purpose of its own.
 *
 * Common layout. Integers are big-endian; `text(n)` is a length of one byte and then so many bytes of UTF-8.
 *
 * ```
 * magic          4   says which kind it is
 * version        1   1, or 2
 * KEK id       1+n   text: which key-encryption key opens it
 * data key     2+n   version 2 only: length and bytes
 * fields         n   of the kind
 * nonce         12
 * ciphertext     n   AES-256-GCM
 * tag           16
 * ```
 *
 * In version 1 the ciphertext is under the key-encryption key itself. In version 2 that key never leaves its KMS: the
 * ciphertext is under a data key of this one blob, which the KMS has wrapped, bound to text(purpose) ‖ text(tenant). The
 * KMS then sees a data key and never a private key.
 *
 * Additional authenticated data: text(purpose) ‖ text(tenant) ‖ everything before the nonce. So a blob opens only in
 * its tenant, only as what it is, and only with its header untouched. On the wire it is standard base64, padded.
 *
 * Nonces are random. NIST SP 800-38D section 8.3 allows 2^32 of them under one key; a key-encryption key would have to
 * seal four thousand million blobs to get there.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { invalidInput, isSealwrightError, permanent, type SealwrightError } from '../errors.ts';
import type { KeyEncryptionKey, KeyEncryptionKeys } from '../ports/key-encryption-keys.ts';
import { decodeBase64, encodeBase64 } from './base64.ts';
import type { RandomBytes } from './context.ts';

export interface BlobKind {
  /** Four ASCII characters. */
  readonly magic: string;
  /** Authenticated and not stored, so that no kind can be passed off as another. */
  readonly purpose: string;
  /** Base64 characters at most. */
  readonly longest: number;
}

/** Reads the fields of a header, one after the other. Throws `wrapped-key-unreadable` where the bytes end. */
export interface HeaderReader {
  bytes(length: number): Buffer;
  text(): string;
}

export interface OpenedBlob<Fields> {
  readonly kekId: string;
  readonly fields: Fields;
  /** The caller wipes it. */
  readonly plaintext: Buffer;
}

const [UNDER_KEK, UNDER_DATA_KEY] = [1, 2];
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** What a KMS binds the data keys of this kind and tenant to. */
export const dataKeyBinding = (kind: BlobKind, tenantId: string): Buffer =>
  Buffer.concat([encodeText('purpose', kind.purpose), encodeText('tenant', tenantId)]);

/**
 * Answers base64. A data key is used up: it is wiped. Throws a plain error for arguments that cannot be encoded: that is a
 * bug of the caller.
 */
export function sealBlob(
  kind: BlobKind,
  fields: Uint8Array,
  plaintext: Uint8Array,
  under: { readonly kek: KeyEncryptionKey; readonly tenantId: string; readonly random: RandomBytes },
): string {
  const header = Buffer.concat([
    Buffer.from(kind.magic, 'latin1'),
    Buffer.of(under.kek.wrappedDataKey === undefined ? UNDER_KEK : UNDER_DATA_KEY),
    encodeText('key-encryption key id', under.kek.id),
    encodeDataKey(under.kek.wrappedDataKey),
    fields,
  ]);
  const nonce = under.random(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', under.kek.key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(authenticated(kind, under.tenantId, header));
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  if (under.kek.wrappedDataKey !== undefined) under.kek.key.fill(0);
  const sealed = encodeBase64(Buffer.concat([header, nonce, ciphertext, cipher.getAuthTag()]));
  if (sealed.length > kind.longest) {
    throw new Error(
      `A wrapped key of ${sealed.length} characters does not fit the limit of ${kind.longest}.`,
    );
  }
  return sealed;
}

/**
 * Throws `wrapped-key-unreadable`: invalid input when the bytes are not a blob of this kind, service and tenant, or
 * were altered; permanent when they name a key-encryption key that is not configured here, or destroyed. Also the errors of
 * `KeyEncryptionKeys`.
 */
export async function openBlob<Fields>(
  kind: BlobKind,
  sealed: string,
  readFields: (reader: HeaderReader) => Fields,
  under: { readonly keyEncryptionKeys: KeyEncryptionKeys; readonly tenantId: string },
): Promise<OpenedBlob<Fields>> {
  const { kekId, wrappedDataKey, fields, header, rest } = readHeader(kind, sealed, readFields);
  const dataKey =
    wrappedDataKey === undefined
      ? undefined
      : { wrapped: wrappedDataKey, boundTo: dataKeyBinding(kind, under.tenantId) };
  const kek = await keyEncryptionKey(kekId, dataKey, under.keyEncryptionKeys);
  const nonce = rest.subarray(0, NONCE_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', kek, nonce, { authTagLength: TAG_BYTES });
  if (dataKey !== undefined) kek.fill(0);
  decipher.setAAD(authenticated(kind, under.tenantId, header));
  decipher.setAuthTag(rest.subarray(rest.length - TAG_BYTES));
  const plaintext = decipher.update(rest.subarray(NONCE_BYTES, rest.length - TAG_BYTES));
  try {
    decipher.final();
  } catch {
    plaintext.fill(0);
    throw unreadable('it was altered, or was made for another tenant');
  }
  return { kekId, fields, plaintext };
}

/** Which key-encryption key a blob names, unopened and so unverified. Throws `wrapped-key-unreadable`. */
export const kekIdOf = (kind: BlobKind, sealed: string): string =>
  readHeader(kind, sealed, () => undefined).kekId;

/** A length of one byte, then UTF-8. Throws a plain error beyond 255 bytes. */
export function encodeText(what: string, value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8');
  if (bytes.length > 255) throw new Error(`The ${what} of a wrapped key has ${bytes.length} bytes; 255 fit.`);
  return Buffer.concat([Buffer.of(bytes.length), bytes]);
}

const GONE: readonly string[] = ['secret-missing', 'secret-unreadable', 'kms-key-unusable'];

/** A key that is gone is told from one that cannot be had just now: only the first is a verdict on the blob. */
async function keyEncryptionKey(
  kekId: string,
  dataKey: Parameters<KeyEncryptionKeys['byId']>[1],
  keys: KeyEncryptionKeys,
): Promise<Uint8Array> {
  let cause: unknown;
  try {
    const kek = await keys.byId(kekId, dataKey);
    if (kek !== undefined) return kek;
  } catch (error) {
    if (!isSealwrightError(error) || !GONE.includes(error.code)) throw error;
    cause = error;
  }
  throw permanent(
    'wrapped-key-unreadable',
    `The wrapped key needs the key-encryption key ${kekId}, which this key service does not have.`,
    { cause, details: { kekId } },
  );
}

function readHeader<Fields>(kind: BlobKind, sealed: string, readFields: (reader: HeaderReader) => Fields) {
  const blob = sealed.length <= kind.longest ? decodeBase64(sealed) : undefined;
  if (blob === undefined) throw unreadable(`it is not standard base64 of at most ${kind.longest} characters`);
  let at = 0;
  const reader: HeaderReader = {
    bytes(length) {
      if (at + length > blob.length) throw unreadable('it ends too early');
      at += length;
      return blob.subarray(at - length, at);
    },
    text: () => reader.bytes(reader.bytes(1).readUInt8()).toString('utf8'),
  };
  if (reader.bytes(kind.magic.length).toString('latin1') !== kind.magic) {
    throw unreadable('it was not made by this kind of key service, or is a key of another kind');
  }
  const version = reader.bytes(1).readUInt8();
  if (version !== UNDER_KEK && version !== UNDER_DATA_KEY) {
    throw unreadable(`its format has version ${version}; this service reads 1 and 2`);
  }
  const kekId = reader.text();
  // The id is not authenticated yet and goes into an error message.
  if (!/^[\x21-\x7e]+$/.test(kekId)) throw unreadable('its key-encryption key id is not printable');
  const wrappedDataKey =
    version === UNDER_DATA_KEY ? reader.bytes(reader.bytes(2).readUInt16BE()) : undefined;
  const fields = readFields(reader);
  const rest = blob.subarray(at);
  if (rest.length <= NONCE_BYTES + TAG_BYTES) throw unreadable('it ends too early');
  return { kekId, wrappedDataKey, fields, header: blob.subarray(0, at), rest };
}

const authenticated = (kind: BlobKind, tenantId: string, header: Uint8Array): Buffer =>
  Buffer.concat([dataKeyBinding(kind, tenantId), header]);

function encodeDataKey(wrapped: Uint8Array | undefined): Buffer {
  if (wrapped === undefined) return Buffer.alloc(0);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(wrapped.length);
  return Buffer.concat([length, wrapped]);
}

const unreadable = (why: string): SealwrightError =>
  invalidInput('wrapped-key-unreadable', `The wrapped key cannot be opened: ${why}.`);
