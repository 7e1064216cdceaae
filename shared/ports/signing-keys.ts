/**
 * Keys that sign and cannot be read (Cloud KMS `asymmetricSign`). Key versions are full resource names.
 *
 * Throws `kms-key-unusable` (permanent: missing, disabled, destroyed, of another kind, or not ours to use),
 * `kms-answer-refused` (permanent: an answer that does not fit its checksum, does not confirm ours, or is about another
 * version), `kms-unavailable` (retryable).
 */
export interface SigningKeys {
  /** The public key, SubjectPublicKeyInfo, with the hash that this key signs digests of. */
  publicKey(keyVersion: string): Promise<{ readonly spkiDer: Uint8Array; readonly hash: DigestHash }>;
  /** A signature over this digest: PKCS#1 v1.5, or ECDSA in DER. Not yet compared with the public key. */
  signDigest(keyVersion: string, hash: DigestHash, digest: Uint8Array): Promise<Uint8Array>;
}

export type DigestHash = 'sha256' | 'sha384' | 'sha512';
