/**
 * A private key under a passphrase: EncryptedPrivateKeyInfo (RFC 5958 §3) with PBES2 (RFC 8018 §6.2), PBKDF2 with
 * HMAC-SHA-256 and AES-256-CBC, which OpenSSL and Node read. Written here because Node's own export uses 2,048
 * iterations and takes no other number: a guess at the root's passphrase should cost more than that.
 */
import { createCipheriv, createPrivateKey, createPublicKey, pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';
import { integer, nullValue, octetString, oid, sequence } from '../../shared/pki/der.ts';
import type { RandomBytes } from '../../shared/pki/serial.ts';

const deriveKey = promisify(pbkdf2);

/** OWASP Password Storage Cheat Sheet, PBKDF2-HMAC-SHA256; a third of a second on a laptop. */
const ITERATIONS = 600_000;
const SALT_BYTES = 16;
const KEY_BYTES = 32;
const IV_BYTES = 16;

const OIDS = {
  pbes2: '1.2.840.113549.1.5.13',
  pbkdf2: '1.2.840.113549.1.5.12',
  hmacWithSha256: '1.2.840.113549.2.9',
  aes256Cbc: '2.16.840.1.101.3.4.1.42',
} as const;

/**
 * PEM, label `ENCRYPTED PRIVATE KEY`. It is opened again before it is handed back, so that what is stored is known to
 * open under this passphrase.
 */
export async function encryptPrivateKey(
  pkcs8Der: Uint8Array,
  passphrase: string,
  random: RandomBytes,
): Promise<string> {
  const salt = random(SALT_BYTES);
  const iv = random(IV_BYTES);
  const key = await deriveKey(passphrase, salt, ITERATIONS, KEY_BYTES, 'sha256');
  const cipher = createCipheriv('aes-256-cbc', key, iv);
  const encrypted = Buffer.concat([cipher.update(pkcs8Der), cipher.final()]);
  key.fill(0);
  const kdf = sequence(
    oid(OIDS.pbkdf2),
    sequence(octetString(salt), integer(ITERATIONS), sequence(oid(OIDS.hmacWithSha256), nullValue())),
  );
  const encryption = sequence(oid(OIDS.aes256Cbc), octetString(iv));
  const der = sequence(sequence(oid(OIDS.pbes2), sequence(kdf, encryption)), octetString(encrypted));
  const pem = toPem(der);
  assertOpens(pem, passphrase, pkcs8Der);
  return pem;
}

function toPem(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ENCRYPTED PRIVATE KEY-----\n${lines.join('\n')}\n-----END ENCRYPTED PRIVATE KEY-----\n`;
}

/** Node's own reader, which shares nothing with the writer above. */
function assertOpens(pem: string, passphrase: string, pkcs8Der: Uint8Array): void {
  const opened = createPublicKey(createPrivateKey({ key: pem, passphrase }));
  const wanted = createPublicKey(
    createPrivateKey({ key: Buffer.from(pkcs8Der), format: 'der', type: 'pkcs8' }),
  );
  if (!opened.equals(wanted)) throw new Error('the encrypted root key does not open to the same key');
}
