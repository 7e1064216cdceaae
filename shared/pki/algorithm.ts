/**
 * Signature algorithms, each with the one encoding that S/MIME Baseline Requirements 7.1.3.2 allow: RSA PKCS#1 v1.5
 * with an explicit NULL, ECDSA without parameters and with the hash of the signer's curve. SHA-1 is not here and
 * cannot be asked for.
 */
import { permanent } from '../errors.ts';
import { sameBytes } from './der-reader.ts';
import { type Curve, readPublicKey } from './public-key.ts';

export type RsaSignatureAlgorithm = 'sha256WithRSA' | 'sha384WithRSA' | 'sha512WithRSA';
export type EcdsaSignatureAlgorithm = 'ecdsaWithSha256' | 'ecdsaWithSha384';
export type SignatureAlgorithm = RsaSignatureAlgorithm | EcdsaSignatureAlgorithm;

interface AlgorithmRow {
  readonly hash: 'sha256' | 'sha384' | 'sha512';
  /** The only curve that may sign with it; undefined for RSA. */
  readonly curve: Curve | undefined;
  /** AlgorithmIdentifier, DER. */
  readonly der: Uint8Array;
}

const row = (hash: AlgorithmRow['hash'], curve: Curve | undefined, hex: string): AlgorithmRow => ({
  hash,
  curve,
  der: Buffer.from(hex, 'hex'),
});

export const SIGNATURE_ALGORITHMS: Readonly<Record<SignatureAlgorithm, AlgorithmRow>> = {
  sha256WithRSA: row('sha256', undefined, '300d06092a864886f70d01010b0500'),
  sha384WithRSA: row('sha384', undefined, '300d06092a864886f70d01010c0500'),
  sha512WithRSA: row('sha512', undefined, '300d06092a864886f70d01010d0500'),
  ecdsaWithSha256: row('sha256', 'P-256', '300a06082a8648ce3d040302'),
  ecdsaWithSha384: row('sha384', 'P-384', '300a06082a8648ce3d040303'),
};

const NAMES = Object.keys(SIGNATURE_ALGORITHMS) as readonly SignatureAlgorithm[];

/** The algorithm whose AlgorithmIdentifier is exactly these bytes, or undefined. */
export const signatureAlgorithmOf = (algorithmDer: Uint8Array): SignatureAlgorithm | undefined =>
  NAMES.find((name) => sameBytes(SIGNATURE_ALGORITHMS[name].der, algorithmDer));

/** Whether a key of this kind may make such signatures: RSA with any of ours, a curve with its own hash only. */
export const fitsKey = (algorithm: SignatureAlgorithm, spkiDer: Uint8Array): boolean => {
  const key = readPublicKey(spkiDer);
  return (
    key.kind !== 'other' &&
    SIGNATURE_ALGORITHMS[algorithm].curve === (key.kind === 'ec' ? key.curve : undefined)
  );
};

/**
 * The algorithm a key signs with unless told otherwise: sha256WithRSA, or the one ECDSA algorithm of its curve. Throws
 * `ca-key-unusable` (permanent) for a key of another kind.
 */
export function signatureAlgorithmFor(spkiDer: Uint8Array): SignatureAlgorithm {
  const key = readPublicKey(spkiDer);
  switch (key.kind) {
    case 'rsa':
      return 'sha256WithRSA';
    case 'ec':
      return key.curve === 'P-256' ? 'ecdsaWithSha256' : 'ecdsaWithSha384';
    default:
      throw permanent(
        'ca-key-unusable',
        `The issuer's key is ${key.description}, and nothing here signs with one: use RSA, P-256 or P-384.`,
      );
  }
}
