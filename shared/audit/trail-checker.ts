import type { Certificate } from '../pki/certificate.ts';
import { DerError } from '../pki/der-reader.ts';
import { readSignedText } from '../pki/signed-text-reader.ts';
import type { ChainedEntry, ChainHead, StoredCheckpoint } from '../ports/ledger/audit-chains.ts';
import { ChainChecker, type ChainFinding } from './chain-checker.ts';
import { type Checkpoint, HeadsDigest, parseStatement, statementSha256Hex } from './checkpoint.ts';
import { NO_ENTRY_SHA256_HEX } from './entry.ts';

export type TrailFinding =
  | ChainFinding
  | {
      /**
       * `broken`: its text, its signature or its place among the others is wrong. `differs`: the entries up to its last
       * one are not those it was signed over. `unsigned`: it never got its signature.
       */
      readonly kind: 'checkpoint-broken' | 'checkpoint-differs' | 'checkpoint-unsigned';
      readonly number: bigint;
      readonly message: string;
    };

export interface TrailReport {
  readonly entries: number;
  readonly chains: number;
  /** Checkpoints whose signature holds and whose entries are all there. */
  readonly checkpoints: number;
  /** The newest of them. */
  readonly last?: Checkpoint;
  /** Entries that no checkpoint covers yet. */
  readonly uncovered: number;
}

/** Whether a checkpoint's signer may be believed: undefined, or why not. */
export type TrustSigner = (
  signer: Certificate,
  chainDer: readonly Uint8Array[],
  at: Date,
) => string | undefined;

/** A whole trail against its checkpoints: takes entries in the order of their numbers, says what is wrong as it shows. */
export class TrailChecker {
  readonly #chains: ChainChecker;
  readonly #checkpoints: readonly StoredCheckpoint[];
  readonly #trust: TrustSigner;
  #next = 0;
  #previousSha256Hex = NO_ENTRY_SHA256_HEX;
  #held = 0;
  #last: Checkpoint | undefined;
  #uncovered = 0;

  /** All checkpoints there are, by number; `ends` as `ChainChecker` takes them. */
  constructor(checkpoints: readonly StoredCheckpoint[], trust: TrustSigner, ends: readonly ChainHead[] = []) {
    this.#chains = new ChainChecker(ends);
    this.#checkpoints = checkpoints;
    this.#trust = trust;
  }

  take(entry: ChainedEntry): readonly TrailFinding[] {
    const findings = [...this.#judgeUpTo(entry.id), ...this.#chains.take(entry)];
    this.#uncovered += 1;
    return findings;
  }

  end(): readonly TrailFinding[] {
    const rest = this.#chains.end();
    return [...this.#judgeUpTo(undefined), ...rest];
  }

  report(): TrailReport {
    return {
      entries: this.#chains.entries,
      chains: this.#chains.heads().length,
      checkpoints: this.#held,
      ...(this.#last === undefined ? {} : { last: this.#last }),
      uncovered: this.#uncovered,
    };
  }

  /** Judges the checkpoints whose entries have all come once this one does. */
  #judgeUpTo(id: bigint | undefined): readonly TrailFinding[] {
    const findings: TrailFinding[] = [];
    for (;;) {
      const stored = this.#checkpoints[this.#next];
      if (stored === undefined || (id !== undefined && stored.lastEntryId >= id)) return findings;
      this.#next += 1;
      const finding = this.#judge(stored, BigInt(this.#next));
      this.#previousSha256Hex = statementSha256Hex(stored.statement);
      if (finding === undefined) {
        this.#held += 1;
        this.#last = parseStatement(stored.statement);
        this.#uncovered = 0;
      } else findings.push(finding);
    }
  }

  #judge(stored: StoredCheckpoint, expectedNumber: bigint): TrailFinding | undefined {
    const { number } = stored;
    const broken = (why: string): TrailFinding => ({
      kind: 'checkpoint-broken',
      number,
      message: `Checkpoint ${number}: ${why}.`,
    });
    const statement = parseStatement(stored.statement);
    if (statement === undefined) return broken('its statement is no statement');
    if (number !== expectedNumber || statement.number !== number)
      return broken(`checkpoint ${expectedNumber} should stand here`);
    if (statement.lastEntryId !== stored.lastEntryId) return broken('its statement names another last entry');
    if (statement.previousSha256Hex !== this.#previousSha256Hex)
      return broken('it does not follow the checkpoint before it');
    if (stored.signedDer === undefined)
      return {
        kind: 'checkpoint-unsigned',
        number,
        message: `Checkpoint ${number} was begun and never signed.`,
      };
    const why = this.#whyNotSigned(stored.statement, stored.signedDer, statement.at);
    if (why !== undefined) return broken(why);
    const digest = new HeadsDigest();
    for (const head of this.#chains.heads()) digest.take(head);
    if (digest.chains === statement.chains && digest.sha256Hex() === statement.headsSha256Hex)
      return undefined;
    return {
      kind: 'checkpoint-differs',
      number,
      message: `Checkpoint ${number}, signed at ${statement.at.toISOString()}, is over other entries than those here up to entry ${statement.lastEntryId}: something was changed, removed or inserted, and its chain made anew.`,
    };
  }

  #whyNotSigned(statement: string, signedDer: Uint8Array, at: Date): string | undefined {
    try {
      const signed = readSignedText(signedDer);
      if (signed.text !== statement) return 'what was signed is another statement';
      return this.#trust(signed.signer, signed.chainDer, at);
    } catch (error) {
      if (!(error instanceof DerError)) throw error;
      return `its signature cannot be taken: ${error.message}`;
    }
  }
}
