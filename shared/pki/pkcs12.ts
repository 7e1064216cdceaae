/**
 * PKCS#12 (RFC 7292): a leaf with its private key and its chain under one password, for mail clients that hold their own
 * keys, and the reader for what other CAs hand out.
 *
 * Two forms are written. *Modern* is what OpenSSL 3 makes: PBES2 with AES-256, HMAC-SHA-256. *Legacy* is 3DES and SHA-1,
 * for readers that know nothing newer (gpgsm 2.2, keychains before macOS 15); it has to be asked for by name.
 */
import { createHmac, createPrivateKey, createPublicKey, timingSafeEqual } from 'node:crypto';
import { invalidInput, isSealwrightError } from '../errors.ts';
import { derFromBer } from './ber.ts';
import { keyIdentifier, readCertificate } from './certificate.ts';
import {
  bmpString,
  contextConstructed,
  contextPrimitive,
  integer,
  nullValue,
  octetString,
  oid,
  sequence,
  setOf,
  setOfOne,
} from './der.ts';
import {
  type DerCursor,
  DerError,
  type Element,
  inside,
  readInteger,
  readOid,
  readWhole,
  sameBytes,
} from './der-reader.ts';
import {
  decrypt,
  derivePbkdf2,
  type Encrypted,
  encryptPbes2,
  encryptSha1TripleDes,
  readIterations,
  UnsupportedEncryption,
  WrongPassword,
} from './pbes2.ts';
import { type Pkcs12Hash, pkcs12Key } from './pkcs12-kdf.ts';
import type { RandomBytes } from './serial.ts';

const OIDS = {
  data: '1.2.840.113549.1.7.1',
  encryptedData: '1.2.840.113549.1.7.6',
  keyBag: '1.2.840.113549.1.12.10.1.1',
  shroudedKeyBag: '1.2.840.113549.1.12.10.1.2',
  certBag: '1.2.840.113549.1.12.10.1.3',
  safeContentsBag: '1.2.840.113549.1.12.10.1.6',
  x509Certificate: '1.2.840.113549.1.9.22.1',
  friendlyName: '1.2.840.113549.1.9.20',
  localKeyId: '1.2.840.113549.1.9.21',
  pbmac1: '1.2.840.113549.1.5.14',
} as const;

const MAC_HASHES: Readonly<Record<string, Pkcs12Hash>> = {
  '1.3.14.3.2.26': 'sha1',
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
};
const PBMAC1_HASHES: Readonly<Record<string, Pkcs12Hash>> = {
  '1.2.840.113549.2.9': 'sha256',
  '1.2.840.113549.2.10': 'sha384',
  '1.2.840.113549.2.11': 'sha512',
};
const SHA1 = '1.3.14.3.2.26';
const SHA256 = '2.16.840.1.101.3.4.2.1';

export type Pkcs12Form = 'modern' | 'legacy';

export interface Pkcs12Request {
  readonly form: Pkcs12Form;
  readonly leafDer: Uint8Array;
  /** Issuing CA, then root. */
  readonly chainDer: readonly Uint8Array[];
  /** The leaf's private key, PKCS#8. */
  readonly pkcs8Der: Uint8Array;
  /** Shown by key stores, such as "Ana Example, 2026". */
  readonly friendlyName: string;
  /** At least eight characters; it is all that protects the key on its way. */
  readonly password: string;
  /** Of every derivation. Default and least 100,000. */
  readonly iterations?: number;
  readonly random: RandomBytes;
}

export interface Pkcs12File {
  readonly der: Uint8Array;
  /** A sentence to show to whoever asked for the legacy form. */
  readonly warning: string | undefined;
}

export const LEAST_ITERATIONS = 100_000;
const SHORTEST_PASSWORD = 8;

/** Throws `malformed-request` (invalid-input) for a key that is not the leaf's, a short password or a low count. */
export function writePkcs12(request: Pkcs12Request): Pkcs12File {
  const { form, leafDer, chainDer, pkcs8Der, password, random } = request;
  const iterations = request.iterations ?? LEAST_ITERATIONS;
  if (iterations < LEAST_ITERATIONS) {
    throw refused(`${iterations} iterations are too few: use ${LEAST_ITERATIONS} or more`);
  }
  if ([...password].length < SHORTEST_PASSWORD) {
    throw refused(`the password is too short: use ${SHORTEST_PASSWORD} characters or more`);
  }
  assertKeyOfLeaf(pkcs8Der, leafDer);
  const encrypt = (plain: Uint8Array) =>
    (form === 'modern' ? encryptPbes2 : encryptSha1TripleDes)(plain, password, { iterations, random });
  const attributes = setOf([
    sequence(oid(OIDS.friendlyName), setOfOne(bmpString(request.friendlyName))),
    // The same value on key and leaf ties them together; which value is nobody's business.
    sequence(oid(OIDS.localKeyId), setOfOne(octetString(keyIdentifier(readCertificate(leafDer).spkiDer)))),
  ]);
  const certificates = sequence(
    certBag(leafDer, attributes),
    ...chainDer.map((certificateDer) => certBag(certificateDer)),
  );
  const key = encrypt(pkcs8Der);
  const keys = sequence(
    safeBag(OIDS.shroudedKeyBag, sequence(key.algorithmDer, octetString(key.ciphertext)), attributes),
  );
  const authenticatedSafe = sequence(encryptedDataInfo(encrypt(certificates)), dataInfo(keys));
  const der = sequence(
    integer(3),
    dataInfo(authenticatedSafe),
    macData(authenticatedSafe, form === 'modern' ? SHA256 : SHA1, password, iterations, random),
  );
  const warning =
    form === 'legacy'
      ? 'This file is protected by 3DES and SHA-1: use it only for a program that cannot read the modern form, give it a long random password, and delete it once it is imported.'
      : undefined;
  return { der, warning };
}

const refused = (why: string) => invalidInput('malformed-request', `No PKCS#12 file was written: ${why}.`);

function assertKeyOfLeaf(pkcs8Der: Uint8Array, leafDer: Uint8Array): void {
  const { spkiDer } = readCertificate(leafDer);
  if (!sameBytes(publicKeyOf(pkcs8Der), spkiDer)) {
    throw refused('the private key does not belong to the certificate');
  }
}

/** SubjectPublicKeyInfo of a PKCS#8 key, DER. Throws what node:crypto throws. */
export const publicKeyOf = (pkcs8Der: Uint8Array): Uint8Array =>
  createPublicKey(createPrivateKey({ key: Buffer.from(pkcs8Der), format: 'der', type: 'pkcs8' })).export({
    type: 'spki',
    format: 'der',
  });

const safeBag = (bagId: string, value: Uint8Array, attributes?: Uint8Array) =>
  sequence(oid(bagId), contextConstructed(0, value), ...(attributes === undefined ? [] : [attributes]));

const certBag = (certificateDer: Uint8Array, attributes?: Uint8Array) =>
  safeBag(
    OIDS.certBag,
    sequence(oid(OIDS.x509Certificate), contextConstructed(0, octetString(certificateDer))),
    attributes,
  );

const dataInfo = (content: Uint8Array) =>
  sequence(oid(OIDS.data), contextConstructed(0, octetString(content)));

const encryptedDataInfo = ({ algorithmDer, ciphertext }: Encrypted) =>
  sequence(
    oid(OIDS.encryptedData),
    contextConstructed(
      0,
      sequence(integer(0), sequence(oid(OIDS.data), algorithmDer, contextPrimitive(0, ciphertext))),
    ),
  );

function macData(
  content: Uint8Array,
  hashOid: string,
  password: string,
  iterations: number,
  random: RandomBytes,
): Uint8Array {
  const salt = random(16);
  const mac = macOf(content, MAC_HASHES[hashOid] ?? 'sha256', password, salt, iterations);
  return sequence(
    sequence(sequence(oid(hashOid), nullValue()), octetString(mac)),
    octetString(salt),
    integer(iterations),
  );
}

const HASH_BYTES: Readonly<Record<Pkcs12Hash, number>> = { sha1: 20, sha256: 32, sha384: 48, sha512: 64 };

function macOf(
  content: Uint8Array,
  hash: Pkcs12Hash,
  password: string,
  salt: Uint8Array,
  iterations: number,
): Uint8Array {
  const key = pkcs12Key(hash, password, { salt, iterations, purpose: 3, length: HASH_BYTES[hash] });
  return createHmac(hash, key).update(content).digest();
}

export interface Pkcs12Contents {
  /** In the file's order. */
  readonly certificatesDer: readonly Uint8Array[];
  /** PKCS#8; the first of several. Undefined where there is none. */
  readonly pkcs8Der: Uint8Array | undefined;
  readonly friendlyName: string | undefined;
}

/**
 * Opens a PKCS#12 file, DER or BER. Throws `malformed-request` (invalid-input): with `details.problem`
 * `wrong-password` where the password does not fit, `unsupported` for a cipher or MAC that is too old, `malformed` for
 * bytes that are no PKCS#12 file.
 */
export function readPkcs12(bytes: Uint8Array, password: string): Pkcs12Contents {
  const { certificatesDer, keys, names } = opened(bytes, password);
  return { certificatesDer, pkcs8Der: keys[0], friendlyName: names[0] };
}

/** All private keys of a PKCS#12 file, PKCS#8, and all certificates, each in the file's order. Throws as `readPkcs12`. */
export function readPkcs12Keys(
  bytes: Uint8Array,
  password: string,
): { readonly certificatesDer: readonly Uint8Array[]; readonly pkcs8Ders: readonly Uint8Array[] } {
  const { certificatesDer, keys } = opened(bytes, password);
  return { certificatesDer, pkcs8Ders: keys };
}

function opened(bytes: Uint8Array, password: string): Found {
  try {
    return readPfx(derFromBer(bytes), password);
  } catch (error) {
    if (isSealwrightError(error)) throw error;
    if (error instanceof WrongPassword) {
      throw unreadable(
        'wrong-password',
        'The password does not open the PKCS#12 file. Check it, capitals included.',
      );
    }
    if (error instanceof UnsupportedEncryption) {
      throw unreadable('unsupported', `The PKCS#12 file cannot be opened. ${error.message}`);
    }
    if (!(error instanceof DerError)) throw error;
    throw unreadable('malformed', `The PKCS#12 file is damaged or no such file: ${error.message}.`);
  }
}

const unreadable = (problem: string, message: string) =>
  invalidInput('malformed-request', message, { details: { problem } });

function readPfx(der: Uint8Array, password: string): Found {
  const pfx = inside(readWhole(der, 'SEQUENCE', 'the file'));
  if (readInteger(pfx.next()) !== 3n) throw new DerError('the version is not 3', 0);
  const safe = contentOf(pfx.take('SEQUENCE'));
  if (safe.type !== OIDS.data) {
    throw new UnsupportedEncryption('It is signed rather than protected by a password.');
  }
  const content = inside(safe.content).take('OCTET STRING').content;
  const mac = pfx.takeIf(0x30);
  pfx.end('the file');
  if (mac === undefined)
    throw new UnsupportedEncryption('It has no check value (MAC), so a wrong password could not be told.');
  assertMac(mac, content, password);
  return readSafe(content, password);
}

function contentOf(info: Element): { readonly type: string; readonly content: Element } {
  const body = inside(info);
  const type = readOid(body.next());
  const content = body.takeIf(0xa0);
  if (content === undefined) throw new DerError('a part has no contents', info.offset);
  return { type, content };
}

function assertMac(macData: Element, content: Uint8Array, password: string): void {
  const body = inside(macData);
  const digestInfo = inside(body.take('SEQUENCE'));
  const algorithm = inside(digestInfo.take('SEQUENCE'));
  const wanted = digestInfo.take('OCTET STRING').content;
  const method = readOid(algorithm.next());
  const salt = body.take('OCTET STRING').content;
  const count = body.takeIf(0x02);
  const found =
    method === OIDS.pbmac1
      ? pbmac1(algorithm, content, password)
      : classicMac(method, content, password, salt, count === undefined ? 1 : readIterations(count));
  if (found.length !== wanted.length || !timingSafeEqual(found, wanted)) {
    throw new WrongPassword('The password does not open it.');
  }
}

function classicMac(
  method: string,
  content: Uint8Array,
  password: string,
  salt: Uint8Array,
  iterations: number,
): Uint8Array {
  const hash = MAC_HASHES[method];
  if (hash === undefined)
    throw new UnsupportedEncryption(
      `Its check value is made with ${method}; SHA-1 and SHA-2 are understood here.`,
    );
  return macOf(content, hash, password, salt, iterations);
}

/** RFC 9579. */
function pbmac1(algorithm: DerCursor, content: Uint8Array, password: string): Uint8Array {
  const parameters = inside(algorithm.take('SEQUENCE'));
  const derivation = parameters.take('SEQUENCE');
  const scheme = readOid(inside(parameters.take('SEQUENCE')).next());
  const hash = PBMAC1_HASHES[scheme];
  if (hash === undefined)
    throw new UnsupportedEncryption(
      `Its check value is made with ${scheme}; HMAC with SHA-2 is understood here.`,
    );
  return createHmac(hash, derivePbkdf2(derivation, password, HASH_BYTES[hash]))
    .update(content)
    .digest();
}

interface Found {
  readonly certificatesDer: Uint8Array[];
  readonly keys: Uint8Array[];
  readonly names: string[];
}

function readSafe(authenticatedSafe: Uint8Array, password: string): Found {
  const found: Found = { certificatesDer: [], keys: [], names: [] };
  const parts = inside(readWhole(derFromBer(authenticatedSafe), 'SEQUENCE', 'the contents'));
  while (!parts.atEnd) {
    const { type, content } = contentOf(parts.take('SEQUENCE'));
    if (type === OIDS.data) readBags(inside(content).take('OCTET STRING').content, password, found);
    else if (type === OIDS.encryptedData) readBags(decryptPart(content, password), password, found);
    else throw new UnsupportedEncryption('Part of it is encrypted to a public key.');
  }
  return found;
}

function decryptPart(content: Element, password: string): Uint8Array {
  const encryptedData = inside(inside(content).take('SEQUENCE'));
  encryptedData.take('INTEGER');
  const info = inside(encryptedData.take('SEQUENCE'));
  info.take('OBJECT IDENTIFIER');
  const algorithmDer = info.take('SEQUENCE').der;
  return decrypt({ algorithmDer, ciphertext: implicitOctets(info.next()) }, password);
}

/** `[0] IMPLICIT OCTET STRING`, in one piece or, from writers that stream, in several. */
function implicitOctets(element: Element): Uint8Array {
  if (element.tag === 0x80) return element.content;
  if (element.tag !== 0xa0) throw new DerError('the encrypted contents are missing', element.offset);
  const cursor = inside(element);
  const pieces: Uint8Array[] = [];
  while (!cursor.atEnd) pieces.push(cursor.take('OCTET STRING').content);
  return Buffer.concat(pieces);
}

function readBags(safeContents: Uint8Array, password: string, found: Found, depth = 0): void {
  if (depth > 4) throw new DerError('bags are nested too deeply', 0);
  const bags = inside(readWhole(derFromBer(safeContents), 'SEQUENCE', 'a part'));
  while (!bags.atEnd) {
    const bag = inside(bags.take('SEQUENCE'));
    const type = readOid(bag.next());
    const value = bag.takeIf(0xa0);
    if (value === undefined) throw new DerError('a bag is empty', bag.offset);
    const attributes = bag.takeIf(0x31);
    bag.end('a bag');
    if (type === OIDS.certBag) {
      const certificate = inside(inside(value).take('SEQUENCE'));
      if (readOid(certificate.next()) !== OIDS.x509Certificate) continue;
      const wrapper = certificate.takeIf(0xa0);
      if (wrapper === undefined) throw new DerError('a certificate bag is empty', certificate.offset);
      found.certificatesDer.push(inside(wrapper).take('OCTET STRING').content);
    } else if (type === OIDS.shroudedKeyBag) {
      const shrouded = inside(inside(value).take('SEQUENCE'));
      const algorithmDer = shrouded.take('SEQUENCE').der;
      found.keys.push(decrypt({ algorithmDer, ciphertext: shrouded.take('OCTET STRING').content }, password));
    } else if (type === OIDS.keyBag) {
      found.keys.push(inside(value).take('SEQUENCE').der);
    } else if (type === OIDS.safeContentsBag) {
      readBags(inside(value).take('SEQUENCE').der, password, found, depth + 1);
    }
    if (attributes !== undefined) found.names.push(...friendlyNames(attributes));
  }
}

function friendlyNames(attributes: Element): readonly string[] {
  const list = inside(attributes);
  const names: string[] = [];
  while (!list.atEnd) {
    const attribute = inside(list.take('SEQUENCE'));
    const type = readOid(attribute.next());
    const values = inside(attribute.take('SET'));
    if (type !== OIDS.friendlyName || values.atEnd) continue;
    const { tag, content } = values.next();
    if (tag === 0x1e && content.length % 2 === 0)
      names.push(Buffer.from(content).swap16().toString('utf16le'));
  }
  return names;
}
