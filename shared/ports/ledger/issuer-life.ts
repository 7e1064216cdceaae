/**
 * The life of an issuer beside issuing: requested from another CA, prepared, activated in place of the one before,
 * retired when nothing it signed is alive any more.
 */
import type { IssuerRecord } from '../../domain/records.ts';
import type { AuditEntry } from '../ledger.ts';

/** A key made for an issuer whose certificate another CA is asked for. */
export interface IssuerRequest {
  readonly spkiSha256Hex: string;
  /** Full resource name of the pinned version that holds the key. */
  readonly keyVersion: string;
  /** DER of CertificationRequest (RFC 2986). */
  readonly csrDer: Uint8Array;
  readonly requestedAt: Date;
}

/** What an issuer still answers for. */
export interface IssuerHoldings {
  /** Leaves that have not ended, revoked ones included, signed or only intended. */
  readonly live: number;
  /** When the last of all its leaves ends. */
  readonly lastNotAfter?: Date;
  /** Revoked leaves that have ended and were in no CRL made after that. */
  readonly unlisted: number;
  /** A signed leaf that has neither ended nor been revoked; for a bundle that shows a whole chain. */
  readonly sampleDer?: Uint8Array;
}

export interface IssuerLife {
  /** The state of every issuer, by issuer id. */
  issuerStates(): Promise<ReadonlyMap<string, IssuerRecord['state']>>;
  /**
   * Makes a prepared issuer the active one; whichever was active is retiring from then on. One transaction. Answers the
   * one that retires. Doing it again is done already. `audit` says the line that is written with the change or not at all.
   * Throws `conflict` for an issuer that is not prepared.
   */
  activateIssuer(
    issuerId: string,
    audit?: (done: { readonly retiring?: string }) => AuditEntry,
  ): Promise<{ readonly retiring?: string }>;
  /**
   * Retires a retiring issuer that has nothing alive and nothing left to list; answers whether it is retired now. `audit` is
   * written with the change or not at all. With `isRevoked` also one that is prepared, and whatever it has: the CA above
   * has revoked it, which is what counts then.
   */
  retireIssuer(
    issuerId: string,
    audit?: AuditEntry,
    options?: { readonly isRevoked?: boolean },
  ): Promise<boolean>;
  issuerHoldings(issuerId: string): Promise<IssuerHoldings>;
  /**
   * Users whose Gmail certificate is of this issuer: signed or intended, neither revoked nor ended, and the newest of those
   * for its purpose. By id.
   */
  holdersUnder(issuerId: string): Promise<readonly string[]>;
  /** A key is asked for once; asking again with the same key replaces the request's bytes. */
  recordIssuerRequest(request: Omit<IssuerRequest, 'requestedAt'>): Promise<void>;
  readIssuerRequest(spkiSha256Hex: string): Promise<IssuerRequest | undefined>;
  /** Requests whose key is no issuer's yet, oldest first. */
  openIssuerRequests(): Promise<readonly IssuerRequest[]>;
  /** The latest instant that anything in the ledger was dated at; a clock that is behind it is wrong. */
  latestInstant(): Promise<Date | undefined>;
}
