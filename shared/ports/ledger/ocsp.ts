/**
 * What the ledger keeps of OCSP: delegated signers, what is about to be signed, and the newest answer about each serial.
 * A *batch* is one use of a signer's key. An answer is never replaced by an older one, nor *revoked* by *good*.
 */

import type { CertIdHash } from '../../domain/ocsp.ts';
import type { Recorded } from '../../domain/recorded.ts';
import type { IssuerRecord, Revocation } from '../../domain/records.ts';
import type { ServiceSignerIntent, StoredServiceSigner } from './service-signers.ts';

/** A delegated OCSP signer. */
export type OcspSignerIntent = ServiceSignerIntent;
export type StoredOcspSigner = StoredServiceSigner;

/** One answer before it is signed. */
export interface OcspIntent {
  readonly serialHex: string;
  readonly hash: CertIdHash;
  /** DER of ResponseData, the exact bytes that will be signed. */
  readonly tbsDer: Uint8Array;
}

/** A certificate that an answer is needed about, as the ledger has it now. */
export interface OcspSubject {
  readonly serialHex: string;
  readonly notAfter: Date;
  readonly revocation?: Revocation;
}

/** What `sign` reads again before it uses the signer's key. */
export interface StoredOcspBatch {
  readonly batchId: bigint;
  readonly issuerId: string;
  readonly issuer: IssuerRecord;
  readonly signer: StoredOcspSigner;
  readonly isSigned: boolean;
  /** None once the batch is signed. */
  readonly intents: readonly (OcspIntent & {
    readonly tbsDer: Recorded;
    /** Absent where no certificate with this serial was ever signed or revoked. */
    readonly subject?: OcspSubject;
  })[];
}

/** What an answer about a new leaf is made of. */
export interface LeafStatus {
  readonly issuer: IssuerRecord;
  /** Of those that are signed and have not ended, the one that ends last. */
  readonly signer?: AnsweringSigner;
  /** Absent while the leaf is neither signed nor revoked. */
  readonly subject?: OcspSubject;
}

/** Of a signer what its answers say of it. */
export type AnsweringSigner = Pick<StoredOcspSigner, 'serialHex' | 'spkiDer' | 'notAfter'>;

export interface SignedOcspAnswer {
  readonly serialHex: string;
  readonly hash: CertIdHash;
  readonly status: 'good' | 'revoked';
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  /** Of the certificate it is about. */
  readonly notAfter: Date;
  /** DER of OCSPResponse. */
  readonly answerDer: Uint8Array;
}

/** All that the public responder may ask of the ledger: reading, and of nothing but answers and issuers' certificates. */
export interface OcspAnswers {
  /** Issuers that are not retired. */
  ocspIssuers(): Promise<readonly { readonly issuerId: string; readonly certificateDer: Uint8Array }[]>;
  readOcspAnswer(
    issuerId: string,
    serialHex: string,
    hash: CertIdHash,
  ): Promise<
    | {
        readonly status: 'good' | 'revoked';
        readonly thisUpdate: Date;
        readonly nextUpdate: Date;
        readonly notAfter: Date;
        readonly answerDer: Uint8Array;
      }
    | undefined
  >;
}

export interface OcspLedger extends OcspAnswers {
  /** Commits serial and to-be-signed bytes together. A serial that exists is a `conflict`: draw another. */
  recordOcspSignerIntent(intent: OcspSignerIntent): Promise<void>;
  readOcspSigner(serialHex: string): Promise<StoredOcspSigner | undefined>;
  /** Called by `sign` alone. The first write wins; writing the same bytes again is done already. */
  recordSignedOcspSigner(serialHex: string, certificateDer: Uint8Array): Promise<void>;
  /** Signers of an issuer that end after now, the one that ends last first, signed or not. */
  ocspSigners(issuerId: string): Promise<readonly StoredOcspSigner[]>;
  /**
   * Certificates of an issuer, leaves and OCSP signers, that have not ended, were signed or revoked, and of which an
   * answer is missing, says something else than the ledger, or was made at or before `madeBefore`. Those whose revocation
   * is not in their answer come from `behind: true`; without it all come, by serial.
   */
  ocspSubjects(filter: {
    issuerId: string;
    madeBefore: Date;
    behind?: boolean;
    afterSerialHex?: string;
    limit: number;
  }): Promise<readonly OcspSubject[]>;
  /** These serials as the ledger has them now; those that were neither signed nor revoked are left out. */
  readOcspSubjects(issuerId: string, serialsHex: readonly string[]): Promise<readonly OcspSubject[]>;
  /** The same for one leaf, with its issuer and that one's signer. Undefined for a serial that was never intended. */
  readLeafStatus(serialHex: string): Promise<LeafStatus | undefined>;
  /** Commits what will be signed; answers the batch. */
  recordOcspBatch(batch: {
    issuerId: string;
    signerSerialHex: string;
    intents: readonly OcspIntent[];
  }): Promise<bigint>;
  readOcspBatch(batchId: bigint): Promise<StoredOcspBatch | undefined>;
  /**
   * Called by `sign` alone. Answers that are older than what is there, or *good* about somebody revoked meanwhile, are
   * left out; answers how many were taken.
   */
  recordSignedOcspBatch(batchId: bigint, answers: readonly SignedOcspAnswer[]): Promise<number>;
  /**
   * Deletes answers about certificates of an issuer that ended before this, and the intents of batches that were recorded before it and
   * never signed, `limit` of each; answers how many. A batch without its intents is refused by `sign`.
   */
  forgetOcsp(
    issuerId: string,
    before: Date,
    limit: number,
  ): Promise<{ readonly answers: number; readonly intents: number }>;
  /** The answer about a certificate that has not ended which was made the longest time ago. */
  oldestOcspAnswer(
    issuerId: string,
  ): Promise<
    { readonly serialHex: string; readonly thisUpdate: Date; readonly nextUpdate: Date } | undefined
  >;
}
