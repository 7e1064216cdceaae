/**
 * A CRL that is encoded as its entries come and is never in memory as a whole: finished blocks are taken away meanwhile, and
 * what stands around them is known last, as DER says lengths first.
 */
import type { CrlEntry } from '../domain/packed-entries.ts';
import { type IssuerCertificate, readIssuer } from './certificate.ts';
import { type CrlFrame, type CrlRequest, crlFrame, encloseBody } from './crl.ts';
import { CrlBody } from './crl-body.ts';
import { readCrlHeader } from './crl-reader.ts';
import { sequence } from './der.ts';
import { assertLintClean } from './finding.ts';
import { CrlLinter } from './lint-crl.ts';

export class CrlBuilder {
  readonly crlNumber: bigint;
  readonly #issuer: IssuerCertificate;
  readonly #frame: CrlFrame;
  readonly #linter: CrlLinter;
  readonly #body = new CrlBody();

  /** Throws `issuer-not-ready` (permanent); `RangeError` for a negative number. */
  constructor(request: Omit<CrlRequest, 'entries'>) {
    this.crlNumber = request.crlNumber;
    this.#issuer = readIssuer(request.issuerCertificateDer);
    this.#frame = crlFrame(this.#issuer, request);
    this.#linter = new CrlLinter({
      issuerCertificateDer: request.issuerCertificateDer,
      signingTime: request.now,
    });
  }

  get thisUpdate(): Date {
    return this.#frame.thisUpdate;
  }

  get nextUpdate(): Date {
    return this.#frame.nextUpdate;
  }

  get entryCount(): number {
    return this.#body.count;
  }

  /** Ascending by serial. Throws `RangeError`. */
  append(entry: CrlEntry): void {
    this.#body.append(entry);
  }

  /** More of them, in the form of `packed-entries.ts`. Throws as `append`. */
  appendPacked(entries: Uint8Array): void {
    this.#body.appendPacked(entries);
  }

  /** Blocks that are finished, linted; the builder keeps none of them. */
  takeFinished(): readonly Uint8Array[] {
    return this.#linted(this.#body.takeFinished());
  }

  /** The same when no entry will follow. */
  takeRest(): readonly Uint8Array[] {
    return this.#linted(this.#body.takeRest());
  }

  /**
   * What comes before and after the entries in the TBSCertList, once the last block was taken. Throws `lint-failed`
   * (permanent) when anything breaks a rule.
   */
  around(): { readonly head: Uint8Array; readonly tail: Uint8Array } {
    const { head, listHeaderLength, tail } = encloseBody(this.#frame, this.#body);
    // The bytes as they will be, the entries aside: how they and their lengths fit together is read again by `issueCrlParts`.
    this.#linter.header(readCrlHeader(sequence(this.#frame.before, this.#frame.after)), listHeaderLength > 0);
    assertLintClean(this.#linter.findings(), `CRL ${this.crlNumber}`);
    return { head, tail };
  }

  #linted(blocks: readonly Uint8Array[]): readonly Uint8Array[] {
    for (const block of blocks) this.#linter.entries(block);
    return blocks;
  }
}
