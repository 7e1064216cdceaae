/**
 * Certification requests (PKCS#10, RFC 2986): how a key that lives elsewhere is handed over for certification. The
 * signature over the request proves that whoever made it has the private half; nothing else in it is believed, as
 * the addresses come from the directory and the profile from us.
 */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { invalidInput, permanent } from '../errors.ts';
import { SIGNATURE_ALGORITHMS, signatureAlgorithmOf } from './algorithm.ts';
import { sha256Hex } from './certificate.ts';
import { bitString, contextConstructed, integer, sequence } from './der.ts';
import { DerError, inside, readBitString, readInteger, readWhole, sameBytes } from './der-reader.ts';
import { encodeMailboxSubject } from './name.ts';
import { modulusBits, RSA_KEY_ALGORITHM, readPublicKey } from './public-key.ts';
import { signable } from './signable.ts';
import type { Signer } from './signer.ts';
import { weakKey } from './weak-key.ts';

/** A request for an RSA-4096 key has 1.5 kB; more than this would only cost time. */
export const LARGEST_REQUEST_BYTES = 16_384;

export interface CertifiableKey {
  /** SubjectPublicKeyInfo, DER. */
  readonly spkiDer: Uint8Array;
  readonly spkiSha256Hex: string;
}

/** A request, DER, for a mailbox's key, signed by the key itself. */
export async function buildCertificationRequest(
  address: string,
  signer: Pick<Signer, 'algorithm' | 'spkiDer' | 'sign'>,
): Promise<Uint8Array> {
  const info = sequence(integer(0), encodeMailboxSubject(address), signer.spkiDer, contextConstructed(0));
  return sequence(
    info,
    SIGNATURE_ALGORITHMS[signer.algorithm].der,
    bitString(await signer.sign(signable(info))),
  );
}

/**
 * The key of a request, DER, once it is known to be held and to be fit for a user: RSA with 2048, 3072 or 4096 bits, P-256 or
 * P-384, and none of the faults that `weakKey` finds. Throws `malformed-request` (invalid-input) for bytes that are no
 * request, a signature that does not verify or a kind of key that is not certified; `key-weak` (permanent) for a key
 * that anybody could compute.
 */
export function readCertificationRequest(requestDer: Uint8Array): CertifiableKey {
  if (requestDer.length > LARGEST_REQUEST_BYTES) {
    throw unusable(`it has ${requestDer.length} bytes, which no request has`);
  }
  try {
    return readRequest(requestDer);
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    throw unusable(error.message);
  }
}

function readRequest(requestDer: Uint8Array): CertifiableKey {
  const body = inside(readWhole(requestDer, 'SEQUENCE', 'the request'));
  const info = body.take('SEQUENCE');
  const algorithmDer = body.take('SEQUENCE').der;
  const signature = readBitString(body.take('BIT STRING'));
  body.end('the request');
  const fields = inside(info);
  if (readInteger(fields.take('INTEGER')) !== 0n) throw new DerError('its version is not 0', 0);
  fields.take('SEQUENCE');
  const spkiDer = fields.take('SEQUENCE').der;
  // Attributes ask for extensions; what a certificate says is decided here.
  if (fields.takeIf(0xa0) === undefined) throw new DerError('its attributes are missing', 0);
  fields.end('the request');
  // First the key, then its signature: a made-up key may make verifying slow.
  assertCertifiable(spkiDer);
  const algorithm = signatureAlgorithmOf(algorithmDer);
  if (algorithm === undefined)
    throw unusable('it is signed with an algorithm other than RSA or ECDSA and SHA-2');
  const key = publicKey(spkiDer);
  const { hash } = SIGNATURE_ALGORITHMS[algorithm];
  if (!signatureFits(key.asymmetricKeyType, algorithm) || !verify(hash, info.der, key, signature)) {
    throw unusable('its signature does not verify, so nothing proves that the private key is there');
  }
  return { spkiDer, spkiSha256Hex: sha256Hex(spkiDer) };
}

const signatureFits = (type: string | undefined, algorithm: keyof typeof SIGNATURE_ALGORITHMS): boolean =>
  (type === 'rsa') === (SIGNATURE_ALGORITHMS[algorithm].curve === undefined);

/** OpenSSL is stricter than our reader in places that do not matter for what a key is worth. */
function publicKey(spkiDer: Uint8Array): KeyObject {
  try {
    return createPublicKey({ key: Buffer.from(spkiDer), format: 'der', type: 'spki' });
  } catch {
    throw unusable('its public key cannot be read');
  }
}

/** Throws as `readCertificationRequest` for a key that is not certified, wherever it came from. */
export function assertCertifiable(spkiDer: Uint8Array): void {
  const key = readPublicKey(spkiDer);
  if (key.kind === 'other') throw unusable(`it is for ${key.description}`);
  if (key.kind === 'rsa' && !sameBytes(key.algorithmDer, RSA_KEY_ALGORITHM)) {
    throw unusable('its RSA key is not encoded as RFC 3279 wants it (rsaEncryption and NULL)');
  }
  const weakness = weakKey(spkiDer);
  if (weakness !== undefined) {
    throw permanent('key-weak', `The key is not certified. ${weakness.sentence}`, {
      details: { weakness: weakness.id, spkiSha256Hex: sha256Hex(spkiDer) },
    });
  }
  if (
    key.kind === 'rsa' &&
    (key.exponent !== 65_537n || ![2048, 3072, 4096].includes(modulusBits(key.modulus)))
  ) {
    throw unusable(
      `it is for an RSA key with ${modulusBits(key.modulus)} bits and exponent ${key.exponent}; 2048, 3072 or 4096 bits and 65537 are certified`,
    );
  }
}

const unusable = (why: string) =>
  invalidInput(
    'malformed-request',
    `The certification request cannot be used: ${why}. Make it anew, as "openssl req -new -newkey rsa:3072" does.`,
    { details: { field: 'request' } },
  );
