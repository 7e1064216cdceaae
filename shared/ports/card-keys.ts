import type { KeyPurpose } from '../domain/records.ts';

/** The public half of a key that was made on a smart card. */
export interface CardKey {
  /** SubjectPublicKeyInfo, DER; RSA. */
  readonly spkiDer: Uint8Array;
  readonly modulusBits: number;
}

/**
 * Keys on smart cards, as an admin hands them over: one for each user and purpose at a time.
 *
 * Throws `card-key-unusable` (permanent) with what is wrong and what to do, and the same when there is none.
 */
export interface CardKeys {
  find(wanted: {
    /** Present primary address, which names the file. */
    readonly address: string;
    readonly purpose: KeyPurpose;
  }): Promise<CardKey>;
}
