import { createPrivateKey, createPublicKey } from 'node:crypto';
import { encryptPrivateKeyPem } from '../../shared/pki/private-key.ts';
import type { RandomBytes } from '../../shared/pki/serial.ts';

/**
 * The root's key under a passphrase, PEM. It is opened again by Node's own reader, which shares nothing with the
 * writer, before it is handed back: what is stored offline is known to open under this passphrase.
 */
export function encryptPrivateKey(pkcs8Der: Uint8Array, passphrase: string, random: RandomBytes): string {
  const pem = encryptPrivateKeyPem(pkcs8Der, passphrase, random);
  const opened = createPublicKey(createPrivateKey({ key: pem, passphrase }));
  const der = Buffer.from(pkcs8Der.buffer, pkcs8Der.byteOffset, pkcs8Der.byteLength);
  const wanted = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
  if (!opened.equals(wanted)) throw new Error('the encrypted root key does not open to the same key');
  return pem;
}
