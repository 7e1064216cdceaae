/**
 * The one thing that can sign. Today a key in memory; a KMS key is another implementation of the same interface.
 *
 * A signer answers a signature only after checking it against its public key: a key damaged in storage, or a fault in
 * the middle of an RSA computation, must not leave a signature behind (a faulty CRT signature gives the key away).
 */
import { createPrivateKey, createPublicKey, createSign, type KeyObject, sign, verify } from 'node:crypto';
import { promisify } from 'node:util';
import { permanent } from '../errors.ts';
import {
  fitsKey,
  SIGNATURE_ALGORITHMS,
  type SignatureAlgorithm,
  signatureAlgorithmFor,
} from './algorithm.ts';
import { readIssuer, sha256Hex } from './certificate.ts';
import { sameBytes } from './der-reader.ts';
import { PartsVerification } from './parts-verification.ts';
import { signRsaDigest } from './rsa-digest.ts';
import { type Signable, type SignableParts, spend } from './signable.ts';

export interface Signer {
  readonly algorithm: SignatureAlgorithm;
  /** SubjectPublicKeyInfo of the key that signs. */
  readonly spkiDer: Uint8Array;
  /**
   * Signs these bytes; throws `ca-key-unusable` when the key cannot, or gives a signature that does not verify. Whoever has declared them
   * signable with a `verification` gives it, and the signature is verified once for both.
   */
  sign(bytes: Signable, verification?: PartsVerification): Promise<Uint8Array>;
  /**
   * Signs the concatenation of these parts without making it, for CRLs too long to be in memory. The key is used once they
   * have all come; should they throw on the way, nothing is signed. A signer without it is given one buffer. Throws as `sign`.
   * Whoever has declared them signable with a `verification` gives it, and the signer signs and checks its digest instead of making another.
   */
  signParts?(parts: SignableParts, verification?: PartsVerification): Promise<Uint8Array>;
}

export interface SignerOptions {
  /** Default: sha256WithRSA, or the ECDSA algorithm of the key's curve. */
  readonly algorithm?: SignatureAlgorithm;
  /** The certificate this key must belong to; leave out only while making a CA that has none yet. */
  readonly certificateDer?: Uint8Array;
}

const signOnThread = promisify<string, Uint8Array, KeyObject, Buffer>(sign);

/**
 * A signer over an unencrypted PKCS#8 key, RSA, P-256 or P-384, DER. ECDSA signatures come out in DER, as certificates
 * hold them. Throws `ca-key-unusable` when the bytes are not such a key, the algorithm is not the key's, or the key is
 * not the certificate's. Messages never carry key material; they do carry fingerprints of public keys.
 */
export function signerFromPkcs8(pkcs8Der: Uint8Array, options: SignerOptions = {}): Signer {
  const privateKey = readPrivateKey(pkcs8Der);
  const publicKey = createPublicKey(privateKey);
  const spkiDer = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }));
  if (options.certificateDer !== undefined) assertKeyOf(options.certificateDer, spkiDer);
  const algorithm = options.algorithm ?? signatureAlgorithmFor(spkiDer);
  if (!fitsKey(algorithm, spkiDer)) {
    throw permanent(
      'ca-key-unusable',
      `A key of type ${nameOf(privateKey)} cannot sign with ${algorithm}: ask for the algorithm of its kind and curve.`,
    );
  }
  const { hash } = SIGNATURE_ALGORITHMS[algorithm];
  // A P-256 signature takes 32 µs, and the way to a thread and back as long or longer; RSA-4096 takes milliseconds.
  const signsAtOnce = privateKey.asymmetricKeyType === 'ec';
  const checked = (signature: Uint8Array | undefined, verifies: (signature: Uint8Array) => boolean) => {
    if (signature === undefined || !verifies(signature)) {
      throw permanent(
        'ca-key-unusable',
        `The CA key (SPKI SHA-256 ${sha256Hex(spkiDer)}) does not give a valid signature: the stored key is damaged. Restore it from its backup and pin that version.`,
      );
    }
    return new Uint8Array(signature);
  };
  return {
    algorithm,
    spkiDer,
    sign: async (bytes, given) => {
      spend(bytes, given);
      const made = signsAtOnce
        ? attempt(() => sign(hash, bytes, privateKey))
        : await signOnThread(hash, bytes, privateKey).catch(() => undefined);
      return checked(
        made,
        (signature) => given?.holdsFor(signature) ?? verify(hash, bytes, publicKey, signature),
      );
    },
    signParts: async (parts, given) => {
      spend(parts, given);
      const verification = given ?? new PartsVerification(hash, publicKey);
      // Node signs a digest with RSA; with ECDSA it wants the bytes.
      const signing = signsAtOnce ? createSign(hash) : undefined;
      for await (const part of parts) {
        signing?.update(part);
        if (given === undefined) verification.take(part);
      }
      const signature = attempt(
        () => signing?.sign(privateKey) ?? signRsaDigest(privateKey, hash, verification.digest),
      );
      return checked(signature, (made) => verification.holdsFor(made));
    },
  };
}

function attempt(run: () => Uint8Array): Uint8Array | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}

/** "rsa", "ec prime256v1". */
const nameOf = (key: KeyObject): string =>
  [key.asymmetricKeyType, key.asymmetricKeyDetails?.namedCurve].filter(Boolean).join(' ') || 'unknown';

function readPrivateKey(pkcs8Der: Uint8Array): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: Buffer.from(pkcs8Der), format: 'der', type: 'pkcs8' });
  } catch {
    // The cause is left out on purpose: whatever it says, it was made while looking at a private key.
    throw permanent(
      'ca-key-unusable',
      'The CA key cannot be read: the secret does not hold an unencrypted PKCS#8 key in DER. Restore it from its backup and pin that version.',
    );
  }
  const { asymmetricKeyType: type, asymmetricKeyDetails } = key;
  const curve = asymmetricKeyDetails?.namedCurve;
  if (type !== 'rsa' && !(type === 'ec' && (curve === 'prime256v1' || curve === 'secp384r1'))) {
    throw permanent(
      'ca-key-unusable',
      `The CA key is of type ${nameOf(key)}, where RSA, P-256 or P-384 is needed: pin the version that holds the issuer's key.`,
    );
  }
  return key;
}

function assertKeyOf(certificateDer: Uint8Array, spkiDer: Uint8Array): void {
  const { certificate } = readIssuer(certificateDer);
  if (sameBytes(certificate.spkiDer, spkiDer)) return;
  throw permanent(
    'ca-key-unusable',
    `The CA key does not belong to the issuer's certificate: the key's SPKI SHA-256 is ${sha256Hex(spkiDer)}, the certificate's ${sha256Hex(certificate.spkiDer)}. Pin the secret version that was made with this issuer.`,
  );
}
