/**
 * A certificate of old mail with its key, brought from elsewhere so that the mail opens. It is of any CA, may have run out
 * and may name a former address. No identity ever uses its pair, nothing is ever issued over its key, and it is neither
 * renewed nor revoked here.
 */
import { createHash } from 'node:crypto';
import type { WrappedKeyRecord } from './records.ts';

/** `open`: waits for its turn in Gmail. `refused`: Gmail or the user's state stood against it; asking again is a new try. */
export type ImportState = 'open' | 'uploaded' | 'refused';

export interface ImportedCertificate {
  /** Stands where a pair's `serialHex` stands: see `importIdOf`. */
  readonly importId: string;
  readonly userId: string;
  readonly key: WrappedKeyRecord;
  /** SHA-256 of the certificate's DER, lower-case hex. */
  readonly certificateSha256Hex: string;
  /** The certificate first, then what came with it of its chain; the root may be missing. */
  readonly chainDer: readonly Uint8Array[];
  /** Lower case, as the certificate names them; may be none. */
  readonly addresses: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly state: ImportState;
  /** Why it was refused. */
  readonly detail?: string;
  readonly requestedBy: string;
}

const PREFIX = 'imported-';

/** `imported-` and the first half of the certificate's SHA-256: no serial, which is hex alone, can be mistaken for it. */
export const importIdOf = (certificateDer: Uint8Array): string =>
  PREFIX + createHash('sha256').update(certificateDer).digest('hex').slice(0, 32);

/** Whether a pair's `serialHex` is an import id. */
export const isImportId = (serialHex: string): boolean => serialHex.startsWith(PREFIX);
