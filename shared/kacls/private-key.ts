/** RSA private keys as they come in and as they are kept. Kept form: RSAPrivateKey, DER (PKCS#1). */
import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { invalidInput, type SealwrightError } from '../errors.ts';

/** Gmail's smallest, and the largest whose wrapped form stays far below 8 KB. */
const SMALLEST_MODULUS_BITS = 2048;
const LARGEST_MODULUS_BITS = 4096;

/** Base64 inside PEM, or DER as base64, may be broken into lines; Google's own example has them as the two characters \n. */
const unbroken = (text: string): string => text.replace(/\\n|\\r|\s/g, '');

/**
 * Reads what wrapprivatekey is sent: one unencrypted RSA private key as PKCS#8 PEM, PKCS#1 PEM, or base64 of its DER.
 * Throws `malformed-request` (invalid input) that says which of these it is not; the key never enters the message.
 */
export function readSuppliedPrivateKey(supplied: string): KeyObject {
  const { der, types } = supplied.includes('-----') ? fromPem(supplied) : fromBase64(supplied);
  try {
    return requireServableRsa(readPrivateKey(der, types));
  } finally {
    der.fill(0);
  }
}

/** The kept form; the caller wipes it. */
export const toPkcs1Der = (key: KeyObject): Buffer => key.export({ type: 'pkcs1', format: 'der' });

/** PrivateKeyInfo of RFC 5208 up to the key itself: version 0, rsaEncryption with its NULL. */
const RSA_PRIVATE_KEY_INFO = Buffer.from('020100300d06092a864886f70d0101010500', 'hex');

/**
 * Reads the kept form; the caller wipes the bytes. It is read on every request, and OpenSSL 3.5 finds its way to an RSA
 * key through PKCS#8 in half the time (bench/kacls.ts), so it gets the key in that dress.
 */
export function fromPkcs1Der(der: Buffer): KeyObject {
  const content = Buffer.concat([RSA_PRIVATE_KEY_INFO, derOf(0x04, der)]);
  const privateKeyInfo = derOf(0x30, content);
  content.fill(0);
  try {
    return createPrivateKey({ key: privateKeyInfo, format: 'der', type: 'pkcs8' });
  } finally {
    privateKeyInfo.fill(0);
  }
}

/** One DER value of 128 bytes or more, up to 64 KB: X.690 section 8.1.3. */
function derOf(tag: number, content: Uint8Array): Buffer {
  const { length } = content;
  const lengthBytes = length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...lengthBytes), content]);
}

/** SHA-256 of the DER SubjectPublicKeyInfo that belongs to a private key, computed from the key itself. */
export const spkiSha256Of = (privateKey: KeyObject): Buffer =>
  createHash('sha256')
    .update(createPublicKey(privateKey).export({ type: 'spki', format: 'der' }))
    .digest();

export function modulusBitsOf(key: KeyObject): number {
  const bits = key.asymmetricKeyDetails?.modulusLength;
  if (bits === undefined) throw new Error('Only RSA keys have a modulus.');
  return bits;
}

type PrivateKeyEncoding = 'pkcs8' | 'pkcs1';
interface EncodedKey {
  readonly der: Buffer;
  readonly types: readonly PrivateKeyEncoding[];
}

function fromPem(supplied: string): EncodedKey {
  const blocks = [...supplied.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----([\s\S]*?)-----END \1-----/g)];
  const [label, content] = [blocks[0]?.[1], blocks[0]?.[2]];
  if (blocks.length !== 1 || label === undefined || content === undefined) {
    throw unusable('it must hold exactly one PEM block, a private key');
  }
  if (label === 'ENCRYPTED PRIVATE KEY' || content.includes('Proc-Type') || content.includes('DEK-Info')) {
    throw unusable('it is encrypted; send it decrypted, over TLS');
  }
  if (label !== 'PRIVATE KEY' && label !== 'RSA PRIVATE KEY') {
    throw unusable(`it is labelled ${label}; PRIVATE KEY (PKCS#8) or RSA PRIVATE KEY (PKCS#1) is needed`);
  }
  return {
    der: Buffer.from(unbroken(content), 'base64'),
    types: [label === 'PRIVATE KEY' ? 'pkcs8' : 'pkcs1'],
  };
}

function fromBase64(supplied: string): EncodedKey {
  const text = unbroken(supplied);
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw unusable('it is neither PEM nor standard base64 of DER');
  return { der: Buffer.from(text, 'base64'), types: ['pkcs8', 'pkcs1'] };
}

function readPrivateKey(der: Buffer, types: readonly PrivateKeyEncoding[]): KeyObject {
  for (const type of types) {
    try {
      return createPrivateKey({ key: der, format: 'der', type });
    } catch {
      // Not this encoding; OpenSSL's own words say nothing an admin could use.
    }
  }
  throw unusable('it does not hold an unencrypted private key');
}

function requireServableRsa(key: KeyObject): KeyObject {
  if (key.asymmetricKeyType !== 'rsa') {
    throw unusable(`it is a key of type ${key.asymmetricKeyType}; Gmail uses RSA keys with key services`);
  }
  const bits = modulusBitsOf(key);
  if (bits < SMALLEST_MODULUS_BITS || bits > LARGEST_MODULUS_BITS) {
    throw unusable(
      `its modulus has ${bits} bits; ${SMALLEST_MODULUS_BITS} to ${LARGEST_MODULUS_BITS} are served`,
    );
  }
  return key;
}

const unusable = (why: string): SealwrightError =>
  invalidInput('malformed-request', `"private_key" cannot be used: ${why}.`);
