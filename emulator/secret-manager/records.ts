/** What is kept of secrets, as plain JSON. Instants are RFC 3339 in UTC, payloads base64. */
import type { Binding } from '../core/iam.ts';
export interface StoredSecret {
  readonly id: string;
  readonly createTime: string;
  replication: Replication;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  /** Alias → version number in decimal. */
  versionAliases: Record<string, string>;
  expireTime?: string;
  /** Destroying a version only disables it for this long, in seconds, and then destroys it. */
  versionDestroyTtlSeconds?: number;
  etag: string;
  policy: Policy;
  /** In order of creation; the number is the place in the list, from 1. */
  readonly versions: StoredVersion[];
}

export interface StoredVersion {
  readonly number: number;
  readonly createTime: string;
  state: VersionState;
  /** Base64; gone once destroyed. */
  payload?: string;
  readonly clientSpecifiedPayloadChecksum: boolean;
  destroyTime?: string;
  scheduledDestroyTime?: string;
  etag: string;
}

export type VersionState = 'ENABLED' | 'DISABLED' | 'DESTROYED';

/** Numbers of the enum `google.cloud.secretmanager.v1.SecretVersion.State`. */
export const STATE_NUMBER: Readonly<Record<VersionState, number>> = { ENABLED: 1, DISABLED: 2, DESTROYED: 3 };

export type Replication =
  | { readonly automatic: Record<string, never> }
  | { readonly userManaged: { readonly replicas: readonly { readonly location: string }[] } };

export interface Policy {
  readonly bindings: readonly Binding[];
  /** Base64. */
  readonly etag: string;
}
