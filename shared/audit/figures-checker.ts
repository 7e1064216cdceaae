/**
 * What stands beside the entries that revoke (`revocation`) is not hashed. But all of it follows from entries that are, so it is made anew
 * from them here and compared: what began a departure, the grace period, the time it was held and all seconds; and the CRL's time
 * from the entry of its publication. Which of the published CRLs is the first that lists the serial, only their own bytes say.
 */
import { isDeepStrictEqual } from 'node:util';
import { LEAVE_BEGUN } from '../domain/leave.ts';
import type { ChainedEntry } from '../ports/ledger/audit-chains.ts';
import type { ChainFinding } from './chain-checker.ts';
import {
  type EntryDocument,
  entryOf,
  figuresOf,
  type RevocationPublished,
  serialRevokedBy,
} from './document.ts';
import { wayOut } from './leave.ts';

export interface FiguresFinding extends Omit<ChainFinding, 'kind'> {
  readonly kind: 'figures';
}

export interface FiguresReport {
  /** Revocations whose figures are those that follow from the entries. */
  readonly held: number;
  /**
   * Those whose CRL's time cannot be held against an entry of the same instant: published by a version that wrote the entry
   * afterwards, or the copy is of one user and has no publications.
   */
  readonly unheld: number;
}

/** How long before its entry a CRL may have been published by a version that wrote the two one after the other. */
const EARLIER_MS = 5 * 60_000;

interface Revoked {
  readonly document: EntryDocument;
  readonly entry: ChainedEntry;
}

/** A revocation with what its row says of its CRL. */
interface Claim extends Revoked {
  readonly issuerId: string;
  readonly crlNumber: string;
  readonly publishedAt: Date;
}

const keyOf = (issuerId: unknown, crlNumber: unknown): string => JSON.stringify([issuerId, crlNumber]);

/** Takes the entries of a whole trail in the order of their numbers. */
export class FiguresChecker {
  /** By user, what a departure is told from. */
  readonly #told = new Map<string, ChainedEntry[]>();
  readonly #sets: { readonly setId: bigint; readonly decided: { readonly at: Date } }[] = [];
  /** By issuer and number. */
  readonly #publications = new Map<string, ChainedEntry>();
  /** The first publication whose entry has its very instant. */
  #exactFrom: bigint | undefined;
  /** By issuer and number, whose CRL's entry has not come yet. */
  readonly #claims = new Map<string, Claim[]>();
  /** What began a deletion may be written after its revocation: judged once more at the end. */
  readonly #doubtful: Revoked[] = [];
  #hasCommonChain = false;
  #revocations = 0;
  #differing = 0;
  #unheld = 0;

  take(document: EntryDocument): readonly FiguresFinding[] {
    const entry = entryOf(document);
    this.#remember(entry);
    if (serialRevokedBy(entry) === undefined) return this.#judgeClaims(entry);
    this.#revocations += 1;
    const revoked = { document, entry };
    if (this.#expected(revoked) === 'same') return this.#claim(revoked);
    this.#doubtful.push(revoked);
    return [];
  }

  end(): readonly FiguresFinding[] {
    const findings: FiguresFinding[] = [];
    for (const revoked of this.#doubtful) {
      const differs = this.#hasCommonChain ? this.#expected(revoked) : 'unknown';
      if (differs === 'same') findings.push(...this.#claim(revoked));
      else if (differs === 'unknown') this.#unheld += 1;
      else findings.push(this.#found(revoked.entry, differs));
    }
    for (const claim of [...this.#claims.values()].flat()) {
      if (this.#exactFrom === undefined || claim.entry.id < this.#exactFrom) this.#unheld += 1;
      else findings.push(this.#found(claim.entry, `${named(claim)} was never published`));
    }
    return findings;
  }

  report(): FiguresReport {
    return { held: this.#revocations - this.#differing - this.#unheld, unheld: this.#unheld };
  }

  #remember(entry: ChainedEntry): void {
    const { userId, step, outcome, details, at } = entry;
    if (userId !== undefined) {
      if (step !== LEAVE_BEGUN && !(step === 'guard' && outcome === 'refused')) return;
      const told = this.#told.get(userId);
      if (told === undefined) this.#told.set(userId, [entry]);
      else told.push(entry);
      return;
    }
    this.#hasCommonChain = true;
    const heldSet = details?.['heldSet'];
    if (step === 'held-set' && typeof heldSet === 'number')
      this.#sets.push({ setId: BigInt(heldSet), decided: { at } });
  }

  /** `same`, or how what stands beside the entry differs from what follows from the entries so far. */
  #expected({ document, entry }: Revoked): string {
    const said = document.revocation;
    if (said === undefined) return 'its figures are missing';
    const { issuerId, crlNumber, crlPublishedAt } = said;
    const crl =
      crlNumber === undefined || crlPublishedAt === undefined || !isNumber(crlNumber)
        ? undefined
        : { crlNumber: BigInt(crlNumber), publishedAt: new Date(crlPublishedAt) };
    const listing = {
      serialHex: serialRevokedBy(entry) ?? '',
      issuerId,
      // A revocation and its entry are of one instant.
      revokedAt: entry.at,
      ...(crl === undefined ? {} : { crl }),
    };
    const expected = figuresOf(
      entry,
      listing,
      wayOut(entry, this.#told.get(entry.userId ?? '') ?? [], this.#sets),
    );
    if (isDeepStrictEqual(said, expected)) return 'same';
    const names = [
      ...new Set([...Object.keys(said), ...Object.keys(expected)]),
    ] as (keyof RevocationPublished)[];
    const differing = names.filter((name) => !isDeepStrictEqual(said[name], expected[name]));
    return `${differing.join(', ')} beside it ${differing.length === 1 ? 'is' : 'are'} not what follows from the entries`;
  }

  #claim(revoked: Revoked): readonly FiguresFinding[] {
    const { issuerId, crlNumber, crlPublishedAt } = revoked.document.revocation ?? {};
    if (issuerId === undefined || crlNumber === undefined || crlPublishedAt === undefined) return [];
    const claim = { ...revoked, issuerId, crlNumber, publishedAt: new Date(crlPublishedAt) };
    const key = keyOf(issuerId, crlNumber);
    const published = this.#publications.get(key);
    if (published !== undefined) return this.#judge(claim, published);
    const waiting = this.#claims.get(key);
    if (waiting === undefined) this.#claims.set(key, [claim]);
    else waiting.push(claim);
    return [];
  }

  #judgeClaims(entry: ChainedEntry): readonly FiguresFinding[] {
    const { step, outcome, details, userId, id } = entry;
    if (step !== 'crl-published' || outcome !== 'done' || userId !== undefined) return [];
    const key = keyOf(details?.['issuerId'], details?.['crlNumber']);
    this.#publications.set(key, entry);
    if (isExact(entry)) this.#exactFrom ??= id;
    const claims = this.#claims.get(key) ?? [];
    this.#claims.delete(key);
    return claims.flatMap((claim) => this.#judge(claim, entry));
  }

  #judge(claim: Claim, published: ChainedEntry): readonly FiguresFinding[] {
    const early = published.at.getTime() - claim.publishedAt.getTime();
    if (isExact(published) ? early !== 0 : early < 0 || early > EARLIER_MS)
      return [
        this.#found(
          claim.entry,
          `${named(claim)} was published at ${published.at.toISOString()} (entry ${published.id}), and not at ${claim.publishedAt.toISOString()}`,
        ),
      ];
    if (published.id < claim.entry.id && claim.publishedAt.getTime() < claim.entry.at.getTime())
      return [this.#found(claim.entry, `${named(claim)} was published before the revocation`)];
    if (!isExact(published)) this.#unheld += 1;
    return [];
  }

  #found({ userId = '', place, id, step }: ChainedEntry, what: string): FiguresFinding {
    this.#differing += 1;
    const whose = userId === '' ? 'The common chain' : `User ${userId}`;
    return {
      ...{ kind: 'figures', chain: userId, place, id },
      message: `${whose}: of entry ${id} (${step}, place ${place}) ${what}.`,
    };
  }
}

const isNumber = (text: string): boolean => /^\d{1,18}$/.test(text);

/** Whether the entry has the very instant of the publication: older versions wrote it afterwards. */
const isExact = ({ details }: ChainedEntry): boolean => details?.['atPublication'] === true;

const named = ({ crlNumber, issuerId }: Claim): string => `CRL ${crlNumber} of ${issuerId}`;
