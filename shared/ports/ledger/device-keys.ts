import type { DeviceKeyRecord } from '../../domain/records.ts';

/** Keys that live in mail clients of their own; only their public halves are known. */
export interface DeviceKeyRows {
  /**
   * Writes down that a device's key is to be certified, makes its user due at once and asks whoever works on them to look
   * again. The same public key for the same user and not withdrawn is done already and answers the first row; for
   * anybody else, or after it was withdrawn, it is a `conflict`. Throws `not-found` for a user without a row.
   */
  recordDeviceKey(
    key: Pick<DeviceKeyRecord, 'userId' | 'device' | 'spkiSha256Hex' | 'spkiDer' | 'requestedBy'>,
  ): Promise<DeviceKeyRecord>;
  readDeviceKey(keyId: string): Promise<DeviceKeyRecord | undefined>;
  /** `by` takes a request back; again is done already. Its leaf, where there is one, is retired by the planner. */
  withdrawDeviceKey(keyId: string, by: string): Promise<void>;
}
