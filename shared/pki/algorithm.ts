/**
 * Signature algorithms, each with the one encoding that S/MIME Baseline Requirements 7.1.3.2 allow: RSA PKCS#1 v1.5
 * with an explicit NULL. SHA-1 is not here and cannot be asked for. An EC or PSS algorithm is one more row.
 */
import { sameBytes } from './der-reader.ts';

export type SignatureAlgorithm = 'sha256WithRSA' | 'sha384WithRSA' | 'sha512WithRSA';

interface AlgorithmRow {
  readonly hash: 'sha256' | 'sha384' | 'sha512';
  /** AlgorithmIdentifier, DER. */
  readonly der: Uint8Array;
}

export const SIGNATURE_ALGORITHMS: Readonly<Record<SignatureAlgorithm, AlgorithmRow>> = {
  sha256WithRSA: { hash: 'sha256', der: Buffer.from('300d06092a864886f70d01010b0500', 'hex') },
  sha384WithRSA: { hash: 'sha384', der: Buffer.from('300d06092a864886f70d01010c0500', 'hex') },
  sha512WithRSA: { hash: 'sha512', der: Buffer.from('300d06092a864886f70d01010d0500', 'hex') },
};

const NAMES = Object.keys(SIGNATURE_ALGORITHMS) as readonly SignatureAlgorithm[];

/** The algorithm whose AlgorithmIdentifier is exactly these bytes, or undefined. */
export const signatureAlgorithmOf = (algorithmDer: Uint8Array): SignatureAlgorithm | undefined =>
  NAMES.find((name) => sameBytes(SIGNATURE_ALGORITHMS[name].der, algorithmDer));
