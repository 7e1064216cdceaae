/** Keys of old mail (`shared/domain/imported-certificate.ts`). Their pairs are recorded like those of leaves. */
import type { ImportedCertificate } from '../../domain/imported-certificate.ts';
import type { WrapProof } from '../../domain/records.ts';
import type { Lease } from '../ledger.ts';

export interface KeyImport {
  readonly userId: string;
  readonly chainDer: readonly Uint8Array[];
  readonly addresses: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly spkiSha256Hex: string;
  readonly spkiDer: Uint8Array;
  readonly modulusBits: number;
  readonly keyServiceUrl: string;
  readonly wrappedKey: string;
  readonly proof: WrapProof;
  readonly requestedBy: string;
}

export interface ImportedKeys {
  /**
   * Writes down certificate and wrapped key, and makes the user due at once. A key the user has already in a form that is proven,
   * or in this very form, is taken as it is; a certificate that is known is opened again, so that asking twice ends
   * as asking once. Throws `conflict` for a certificate of somebody else, `not-found` for an unknown user.
   */
  recordImport(request: KeyImport): Promise<ImportedCertificate>;
  readImport(importId: string): Promise<ImportedCertificate | undefined>;
  /** `uploaded` needs its pair recorded (`recordKeypair`). */
  closeImport(
    lease: Lease,
    end:
      | { readonly importId: string; readonly state: 'uploaded' }
      | { readonly importId: string; readonly state: 'refused'; readonly detail: string },
  ): Promise<void>;
  /** How many keys were imported. */
  countImportedKeys(): Promise<number>;
}
