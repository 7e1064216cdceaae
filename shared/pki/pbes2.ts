/**
 * Encrypting under a password: PBES2 with PBKDF2-HMAC-SHA-256 and AES-256-CBC (RFC 8018 §6.2), in the encodings that
 * PKCS#8 files and PKCS#12 bags share. What others wrote is read too, as far as OpenSSL's default algorithms go,
 * 3DES with the old derivation of PKCS#12 included; RC2 and RC4 are not.
 */
import { createCipheriv, createDecipheriv, pbkdf2Sync } from 'node:crypto';
import { integer, nullValue, octetString, oid, sequence } from './der.ts';
import { DerError, type Element, inside, readInteger, readOid, readWhole } from './der-reader.ts';
import { pkcs12Key } from './pkcs12-kdf.ts';
import type { RandomBytes } from './serial.ts';

const PBES2 = '1.2.840.113549.1.5.13';
const PBKDF2 = '1.2.840.113549.1.5.12';
const SHA1_3DES = '1.2.840.113549.1.12.1.3';
const AES_256_CBC = '2.16.840.1.101.3.4.1.42';
const HMAC_SHA256 = '1.2.840.113549.2.9';

/** hmacWithSHA1, where a file names none (RFC 8018 appendix A.2). */
const DEFAULT_PRF = '1.2.840.113549.2.7';

const HMACS: Readonly<Record<string, string>> = {
  [DEFAULT_PRF]: 'sha1',
  [HMAC_SHA256]: 'sha256',
  '1.2.840.113549.2.10': 'sha384',
  '1.2.840.113549.2.11': 'sha512',
};

interface Cipher {
  readonly name: string;
  readonly keyBytes: number;
  readonly ivBytes: number;
}

const CIPHERS: Readonly<Record<string, Cipher>> = {
  '2.16.840.1.101.3.4.1.2': { name: 'aes-128-cbc', keyBytes: 16, ivBytes: 16 },
  '2.16.840.1.101.3.4.1.22': { name: 'aes-192-cbc', keyBytes: 24, ivBytes: 16 },
  [AES_256_CBC]: { name: 'aes-256-cbc', keyBytes: 32, ivBytes: 16 },
  '1.2.840.113549.3.7': { name: 'des-ede3-cbc', keyBytes: 24, ivBytes: 8 },
};

/** Names of schemes we meet and do not open, for a sentence. */
const UNSUPPORTED: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.12.1.1': 'RC4 (128 bits)',
  '1.2.840.113549.1.12.1.2': 'RC4 (40 bits)',
  '1.2.840.113549.1.12.1.4': '3DES with two keys',
  '1.2.840.113549.1.12.1.5': 'RC2 (128 bits)',
  '1.2.840.113549.1.12.1.6': 'RC2 (40 bits)',
};

/** No honest file asks for more; with more, reading one could take minutes. */
export const MOST_ITERATIONS = 2_000_000;

/** A scheme that is not opened here; the message is a sentence. */
export class UnsupportedEncryption extends Error {
  override readonly name = 'UnsupportedEncryption';
}

/** A password that does not fit, or damaged bytes: nobody can tell them apart. */
export class WrongPassword extends Error {
  override readonly name = 'WrongPassword';
}

export interface Encrypted {
  /** AlgorithmIdentifier. */
  readonly algorithmDer: Uint8Array;
  readonly ciphertext: Uint8Array;
}

/** PBES2, AES-256-CBC, PBKDF2-HMAC-SHA-256. The password goes in as UTF-8. */
export function encryptPbes2(
  plain: Uint8Array,
  password: string,
  options: { readonly iterations: number; readonly random: RandomBytes },
): Encrypted {
  const salt = options.random(16);
  const iv = options.random(16);
  const key = pbkdf2Sync(password, salt, options.iterations, 32, 'sha256');
  const cipher = createCipheriv('aes-256-cbc', key, iv);
  const ciphertext = Buffer.concat([cipher.update(plain), cipher.final()]);
  key.fill(0);
  const derivation = sequence(
    oid(PBKDF2),
    sequence(
      octetString(salt),
      integer(options.iterations),
      // RFC 8018 appendix A.2: hmacWithSHA1 is the default and so left out; any other is named, with a NULL.
      sequence(oid(HMAC_SHA256), nullValue()),
    ),
  );
  const algorithmDer = sequence(
    oid(PBES2),
    sequence(derivation, sequence(oid(AES_256_CBC), octetString(iv))),
  );
  return { algorithmDer, ciphertext };
}

/** pbeWithSHAAnd3-KeyTripleDES-CBC (RFC 7292 appendix C), for readers that know nothing newer. */
export function encryptSha1TripleDes(
  plain: Uint8Array,
  password: string,
  options: { readonly iterations: number; readonly random: RandomBytes },
): Encrypted {
  const salt = options.random(8);
  const cipher = createCipheriv('des-ede3-cbc', ...tripleDesKey(password, salt, options.iterations));
  const ciphertext = Buffer.concat([cipher.update(plain), cipher.final()]);
  const algorithmDer = sequence(oid(SHA1_3DES), sequence(octetString(salt), integer(options.iterations)));
  return { algorithmDer, ciphertext };
}

function tripleDesKey(password: string, salt: Uint8Array, iterations: number): [Uint8Array, Uint8Array] {
  const derive = (purpose: 1 | 2, length: number) =>
    pkcs12Key('sha1', password, { salt, iterations, purpose, length });
  return [derive(1, 24), derive(2, 8)];
}

/**
 * Opens what PBES2 or pbeWithSHAAnd3-KeyTripleDES-CBC closed. Throws `WrongPassword`, `UnsupportedEncryption`, and
 * `DerError` for parameters that are malformed.
 */
export function decrypt(encrypted: Encrypted, password: string): Uint8Array {
  const body = inside(readWhole(encrypted.algorithmDer, 'SEQUENCE', 'the encryption algorithm'));
  const scheme = readOid(body.next());
  const parameters = body.take('SEQUENCE');
  body.end('the encryption algorithm');
  if (scheme === PBES2) return decryptPbes2(parameters, encrypted.ciphertext, password);
  if (scheme === SHA1_3DES) {
    const cursor = inside(parameters);
    const salt = cursor.take('OCTET STRING').content;
    const iterations = readIterations(cursor.next());
    if (salt.length === 0) throw new DerError('the salt is empty', 0);
    return decipher('des-ede3-cbc', ...tripleDesKey(password, salt, iterations), encrypted.ciphertext);
  }
  throw new UnsupportedEncryption(
    `It is encrypted with ${UNSUPPORTED[scheme] ?? scheme}, which is too old to be opened here: export it anew with AES-256 or 3DES.`,
  );
}

function decryptPbes2(parameters: Element, ciphertext: Uint8Array, password: string): Uint8Array {
  const body = inside(parameters);
  const derivation = body.take('SEQUENCE');
  const encryption = inside(body.take('SEQUENCE'));
  body.end('the parameters of PBES2');
  const cipherOid = readOid(encryption.next());
  const cipher = CIPHERS[cipherOid];
  if (cipher === undefined) {
    throw new UnsupportedEncryption(
      `It is encrypted with the cipher ${cipherOid}; AES-CBC and 3DES are opened here.`,
    );
  }
  const iv = encryption.take('OCTET STRING').content;
  if (iv.length !== cipher.ivBytes) throw new DerError('the initialization vector has a wrong length', 0);
  return decipher(cipher.name, derivePbkdf2(derivation, password, cipher.keyBytes), iv, ciphertext);
}

/**
 * A key by PBKDF2, as its AlgorithmIdentifier says. Throws `UnsupportedEncryption` for another derivation, `DerError`.
 */
export function derivePbkdf2(derivation: Element, password: string, keyBytes: number): Uint8Array {
  const outer = inside(derivation);
  const method = readOid(outer.next());
  if (method !== PBKDF2) {
    throw new UnsupportedEncryption(`Its key is derived by ${method}; PBKDF2 is understood here.`);
  }
  const body = inside(outer.take('SEQUENCE'));
  const salt = body.take('OCTET STRING').content;
  const iterations = readIterations(body.next());
  body.takeIf(0x02);
  const prf = body.atEnd ? DEFAULT_PRF : readOid(inside(body.take('SEQUENCE')).next());
  const hash = HMACS[prf];
  if (hash === undefined) {
    throw new UnsupportedEncryption(`Its key is derived with ${prf}; HMAC with SHA is understood here.`);
  }
  return pbkdf2Sync(password, salt, iterations, keyBytes, hash);
}

/** Throws `UnsupportedEncryption` for a count that would keep the reader busy for minutes. */
export function readIterations(element: Element): number {
  const iterations = readInteger(element);
  if (iterations < 1n || iterations > MOST_ITERATIONS) {
    throw new UnsupportedEncryption(
      `It asks for ${iterations > MOST_ITERATIONS ? 'more than two million' : 'no'} iterations, which no honest file does.`,
    );
  }
  return Number(iterations);
}

function decipher(name: string, key: Uint8Array, iv: Uint8Array, ciphertext: Uint8Array): Uint8Array {
  try {
    const cipher = createDecipheriv(name, key, iv);
    return Buffer.concat([cipher.update(ciphertext), cipher.final()]);
  } catch {
    throw new WrongPassword('The password does not open it.');
  }
}
