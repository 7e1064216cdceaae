/** What is kept of key rings, keys and versions, as plain JSON. Instants are RFC 3339 in UTC, bytes base64. */
import type { Binding } from '../core/iam.ts';
export interface StoredRing {
  readonly location: string;
  readonly id: string;
  readonly createTime: string;
  policy: Policy;
  /** By id, in order of creation. */
  readonly keys: Record<string, StoredKey>;
}

export interface StoredKey {
  readonly id: string;
  readonly createTime: string;
  readonly purpose: Purpose;
  readonly algorithm: Algorithm;
  readonly protectionLevel: ProtectionLevel;
  labels: Record<string, string>;
  /** Symmetric keys make a new primary version by themselves once this has come. */
  nextRotationTime?: string;
  rotationPeriodSeconds?: number;
  readonly destroyAfterSeconds: number;
  /** Number of the primary version; only symmetric keys have one. */
  primary?: number;
  policy: Policy;
  /** In order of creation; the number is the place in the list, from 1. */
  readonly versions: StoredVersion[];
}

export interface StoredVersion {
  readonly number: number;
  readonly createTime: string;
  readonly algorithm: Algorithm;
  state: VersionState;
  /** PKCS#8 or the 32 bytes of an AES key, base64; gone once destroyed. */
  material?: string;
  destroyTime?: string;
  destroyEventTime?: string;
}

export type Purpose = 'ENCRYPT_DECRYPT' | 'ASYMMETRIC_SIGN';
export type ProtectionLevel = 'SOFTWARE' | 'HSM';
export type VersionState = 'ENABLED' | 'DISABLED' | 'DESTROY_SCHEDULED' | 'DESTROYED';

export type Algorithm =
  | 'GOOGLE_SYMMETRIC_ENCRYPTION'
  | 'RSA_SIGN_PKCS1_2048_SHA256'
  | 'RSA_SIGN_PKCS1_3072_SHA256'
  | 'RSA_SIGN_PKCS1_4096_SHA256'
  | 'RSA_SIGN_PKCS1_4096_SHA512'
  | 'EC_SIGN_P256_SHA256'
  | 'EC_SIGN_P384_SHA384';

export interface Policy {
  readonly bindings: readonly Binding[];
  /** Base64. */
  readonly etag: string;
}
