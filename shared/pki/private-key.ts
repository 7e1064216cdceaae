/**
 * Private keys as files: PKCS#8 in PEM, plain or under a passphrase (RFC 5958, PBES2). For the root's key, which is
 * stored offline, and for keys that an admin imports.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { invalidInput } from '../errors.ts';
import { octetString, sequence } from './der.ts';
import { encryptPbes2 } from './pbes2.ts';
import { derToPem } from './pem.ts';
import type { RandomBytes } from './serial.ts';

/** What the OWASP password cheat sheet asks of PBKDF2-HMAC-SHA-256; about half a second. */
export const PASSPHRASE_ITERATIONS = 600_000;

/** EncryptedPrivateKeyInfo in PEM: PBES2, PBKDF2-HMAC-SHA-256, AES-256-CBC. `openssl pkey` opens it. */
export function encryptPrivateKeyPem(
  pkcs8Der: Uint8Array,
  passphrase: string,
  random: RandomBytes,
  iterations: number = PASSPHRASE_ITERATIONS,
): string {
  const { algorithmDer, ciphertext } = encryptPbes2(pkcs8Der, passphrase, { iterations, random });
  return derToPem('ENCRYPTED PRIVATE KEY', sequence(algorithmDer, octetString(ciphertext)));
}

/** Labels of private keys in PEM that `readPrivateKeyPem` understands. */
export const PRIVATE_KEY_LABEL = /-----BEGIN (?:(ENCRYPTED|RSA|EC) )?PRIVATE KEY-----/;

/**
 * The private key in a PEM text, as PKCS#8 DER: `PRIVATE KEY`, `ENCRYPTED PRIVATE KEY`, `RSA PRIVATE KEY`,
 * `EC PRIVATE KEY`. Throws `malformed-request` (invalid-input) with `details.problem` `password-missing`,
 * `wrong-password` or `malformed`; never with a byte of the key.
 */
export function readPrivateKeyPem(pem: string, passphrase?: string): Uint8Array {
  const encrypted = /-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED/.test(pem);
  if (encrypted && passphrase === undefined) {
    throw refused('password-missing', 'The private key is encrypted: give its passphrase.');
  }
  const block = /-----BEGIN ((?:ENCRYPTED |RSA |EC )?PRIVATE KEY)-----[\s\S]*?-----END \1-----/.exec(
    pem,
  )?.[0];
  if (block === undefined) throw refused('malformed', 'There is no whole private key in PEM in the file.');
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: block, ...(encrypted && passphrase !== undefined ? { passphrase } : {}) });
  } catch {
    // No cause: whatever it says was made while looking at a private key.
    throw encrypted
      ? refused('wrong-password', 'The passphrase does not open the private key, or the file is damaged.')
      : refused(
          'malformed',
          'The private key cannot be read: it must be a whole PEM block as OpenSSL writes it.',
        );
  }
  return key.export({ type: 'pkcs8', format: 'der' });
}

const refused = (problem: string, message: string) =>
  invalidInput('malformed-request', message, { details: { problem } });
