/** Finds RSA private keys in plain form in any bytes: as PEM, as DER, as base64 or hex of DER. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** `INTEGER 0, rsaEncryption, OCTET STRING` with a long length: every PKCS#8 RSA key has it, no public key does. */
const PKCS8 = Buffer.from('020100300d06092a864886f70d01010105000482', 'hex');
/** PKCS#1: version 0 and the head of a modulus of 2048, 3072 and 4096 bits. */
const PKCS1 = ['02010002820101', '02010002820181', '02010002820201'].map((hex) => Buffer.from(hex, 'hex'));

const PEM = /-----BEGIN (?:RSA |EC |ENCRYPTED )?PRIVATE KEY-----/;

/** What gives a plain key away, in words; empty for bytes that hold none. */
export function plainKeysIn(bytes: Buffer): readonly string[] {
  const latin1 = bytes.toString('latin1');
  // Line breaks inside base64 would hide what is looked for.
  const unbroken = latin1
    .replace(/\\r|\\n|\s+/g, '')
    .replaceAll('-', '+')
    .replaceAll('_', '/');
  const found: string[] = [];
  if (PEM.test(latin1)) found.push('PEM private key');
  for (const begin of ['-----BEGIN PRIVATE KEY', '-----BEGIN RSA PRIVATE KEY']) {
    if (base64Forms(Buffer.from(begin)).some((form) => unbroken.includes(form)))
      found.push('PEM private key in base64');
  }
  for (const [name, mark] of [
    ['PKCS#8', PKCS8] as const,
    ...PKCS1.map((mark) => ['PKCS#1', mark] as const),
  ]) {
    if (bytes.includes(mark)) found.push(`${name} in DER`);
    if (unbroken.toLowerCase().includes(mark.toString('hex'))) found.push(`${name} in hex`);
    if (base64Forms(mark).some((form) => unbroken.includes(form))) found.push(`${name} in base64`);
  }
  return found;
}

/** The characters that bytes leave in base64 wherever they stand: for each of three alignments, those they alone decide. */
function base64Forms(bytes: Buffer): readonly string[] {
  return [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    const from = shift === 0 ? 0 : shift + 1;
    const undecided = (shift + bytes.length) % 3 === 0 ? 0 : 1;
    return text.slice(from, text.length - undecided);
  });
}

/** Every file below a folder that gives a plain key away, with what was found. */
export function plainKeysUnder(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
    .flatMap((path) => plainKeysIn(readFileSync(path)).map((what) => `${path}: ${what}`));
}
