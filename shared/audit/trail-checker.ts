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
       * one are not those it was signed over. `unsigned`: it never got its signature. `other`: it is not the one of that number
       * that was kept elsewhere. `missing`: one that was kept elsewhere is not here. `old`: the newest one that holds is
       * older than `CHECKPOINT_OLD_MS`, or none holds and an entry is.
       */
      readonly kind:
        | 'checkpoint-broken'
        | 'checkpoint-differs'
        | 'checkpoint-unsigned'
        | 'checkpoint-other'
        | 'checkpoint-missing'
        | 'checkpoint-old';
      readonly number: bigint;
      readonly message: string;
    };

/** Two days: one is made each day, and a schedule may fail for a while. */
export const CHECKPOINT_OLD_MS = 2 * 86_400_000;

/** A checkpoint as somebody kept it out of the reach of whoever owns the ledger. */
export interface KnownCheckpoint {
  readonly number: bigint;
  /** Of its statement, lower-case hex. */
  readonly sha256Hex: string;
}

/** What a trail is held against beside itself. */
export interface TrailOutside {
  /** As `ChainChecker` takes them. */
  readonly ends?: readonly ChainHead[];
  readonly known?: readonly KnownCheckpoint[];
  /** When the trail was read, by the clock of who verifies; absent: nothing is too old. */
  readonly readAt?: Date;
}

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
  #firstAt: Date | undefined;
  readonly #outside: TrailOutside;

  /** All checkpoints there are, by number. */
  constructor(checkpoints: readonly StoredCheckpoint[], trust: TrustSigner, outside: TrailOutside = {}) {
    this.#chains = new ChainChecker(outside.ends ?? []);
    this.#outside = outside;
    this.#checkpoints = checkpoints;
    this.#trust = trust;
  }

  take(entry: ChainedEntry): readonly TrailFinding[] {
    const findings = [...this.#judgeUpTo(entry.id), ...this.#chains.take(entry)];
    this.#uncovered += 1;
    this.#firstAt ??= entry.at;
    return findings;
  }

  end(): readonly TrailFinding[] {
    const rest = this.#chains.end();
    return [...this.#judgeUpTo(undefined), ...rest, ...this.#missing(), ...this.#old()];
  }

  /** Checkpoints that were kept elsewhere and are other ones here, or are here no more. */
  #missing(): readonly TrailFinding[] {
    const here = new Map(this.#checkpoints.map((one) => [one.number, statementSha256Hex(one.statement)]));
    return (this.#outside.known ?? []).flatMap(({ number, sha256Hex }): readonly TrailFinding[] => {
      const found = here.get(number);
      if (found === sha256Hex) return [];
      return found === undefined
        ? [
            {
              kind: 'checkpoint-missing',
              number,
              message: `Checkpoint ${number} was made and is not here: the trail is older than it, or was set back to before it.`,
            },
          ]
        : [
            {
              kind: 'checkpoint-other',
              number,
              message: `Checkpoint ${number} is another one than the one given: its statement has SHA-256 ${found}. The trail was made anew.`,
            },
          ];
    });
  }

  /** A trail that was set back ends in a checkpoint like any other; but no newer one comes. */
  #old(): readonly TrailFinding[] {
    const { readAt } = this.#outside;
    const newest = this.#last?.at ?? this.#firstAt;
    if (readAt === undefined || newest === undefined) return [];
    if (readAt.getTime() - newest.getTime() <= CHECKPOINT_OLD_MS) return [];
    const what =
      this.#last === undefined
        ? `No checkpoint holds, and the first entry is of ${newest.toISOString()}`
        : `The last checkpoint that holds, ${this.#last.number}, is of ${newest.toISOString()}`;
    return [
      {
        kind: 'checkpoint-old',
        number: this.#last?.number ?? 0n,
        message: `${what}, more than two days before ${readAt.toISOString()}: either none was made since (audit-checkpoint-failed in the log of publish-crl), or the trail was set back. Compare the log's last audit-checkpoint-signed with --checkpoint.`,
      },
    ];
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
