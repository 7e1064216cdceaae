/**
 * A signer whose key is elsewhere: it hands out digests and checks what comes back. Whatever holds the key is not
 * trusted to have signed the right thing: the signature is verified over the very bytes before it leaves.
 */
import { createHash, createPublicKey, verify } from 'node:crypto';
import { permanent } from '../errors.ts';
import { SIGNATURE_ALGORITHMS, type SignatureAlgorithm, signatureAlgorithmFor } from './algorithm.ts';
import { readIssuer, sha256Hex } from './certificate.ts';
import { sameBytes } from './der-reader.ts';
import { PartsVerification } from './parts-verification.ts';
import { spend } from './signable.ts';
import type { Signer } from './signer.ts';

export interface RemoteKey {
  /** Named in errors: the key version. */
  readonly name: string;
  readonly spkiDer: Uint8Array;
  /** The hash of the digests this key signs. */
  readonly hash: 'sha256' | 'sha384' | 'sha512';
  readonly signDigest: (digest: Uint8Array) => Promise<Uint8Array>;
}

/**
 * Throws `ca-key-unusable` (permanent) when the key signs with another algorithm than issuers of ours do (SHA-256 with
 * RSA, the curve's own hash with ECDSA) or is not the certificate's; while signing, `kms-answer-refused` for a
 * signature over anything but the bytes that were asked for.
 */
export function digestSigner(key: RemoteKey, options: { readonly certificateDer?: Uint8Array } = {}): Signer {
  const { spkiDer } = key;
  const algorithm = algorithmOf(key);
  if (options.certificateDer !== undefined) {
    const wanted = readIssuer(options.certificateDer).certificate.spkiDer;
    if (!sameBytes(wanted, spkiDer)) {
      throw permanent(
        'ca-key-unusable',
        `The key ${key.name} does not belong to the issuer's certificate: its SPKI SHA-256 is ${sha256Hex(spkiDer)}, the certificate's ${sha256Hex(wanted)}. Pin the version that this issuer was made over.`,
      );
    }
  }
  const publicKey = createPublicKey({ key: Buffer.from(spkiDer), format: 'der', type: 'spki' });
  const checked = (signature: Uint8Array, verifies: boolean): Uint8Array => {
    if (verifies) return signature;
    throw permanent(
      'kms-answer-refused',
      `The key ${key.name} answered a signature over another digest than the one it was given, or by another key (SPKI SHA-256 ${sha256Hex(spkiDer)}): nothing was issued. Ask Google's support with the time of the call; do not repeat it blindly.`,
      { details: { problem: 'signature', keyVersion: key.name } },
    );
  };
  return {
    algorithm,
    spkiDer,
    sign: async (bytes, given) => {
      spend(bytes, given);
      const signature = await key.signDigest(createHash(key.hash).update(bytes).digest());
      return checked(signature, given?.holdsFor(signature) ?? verify(key.hash, bytes, publicKey, signature));
    },
    signParts: async (parts, given) => {
      spend(parts, given);
      const verification = given ?? new PartsVerification(key.hash, publicKey);
      // A verification has a digest where the key is RSA.
      const hashing = publicKey.asymmetricKeyType === 'rsa' ? undefined : createHash(key.hash);
      for await (const part of parts) {
        hashing?.update(part);
        if (given === undefined) verification.take(part);
      }
      const signature = await key.signDigest(hashing?.digest() ?? verification.digest);
      return checked(signature, verification.holdsFor(signature));
    },
  };
}

function algorithmOf(key: RemoteKey): SignatureAlgorithm {
  const algorithm = signatureAlgorithmFor(key.spkiDer);
  const { hash } = SIGNATURE_ALGORITHMS[algorithm];
  if (hash === key.hash) return algorithm;
  throw permanent(
    'ca-key-unusable',
    `The key ${key.name} signs ${key.hash} digests where ${hash} is wanted: make one with an algorithm RSA_SIGN_PKCS1_…_SHA256, EC_SIGN_P256_SHA256 or EC_SIGN_P384_SHA384.`,
  );
}
