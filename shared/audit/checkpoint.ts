import { createHash } from 'node:crypto';
import type { ChainHead } from '../ports/ledger/audit-chains.ts';
import { field } from './entry.ts';

/** What a checkpoint says; its text is what is signed. */
export interface Checkpoint {
  /** Counts from 1. */
  readonly number: bigint;
  readonly at: Date;
  /** The last entry it covers. */
  readonly lastEntryId: bigint;
  readonly chains: number;
  /** SHA-256 over the heads of all chains, lower-case hex; `headsDigest` makes it. */
  readonly headsSha256Hex: string;
  /** SHA-256 of the statement before it, lower-case hex; 64 zeros for the first. */
  readonly previousSha256Hex: string;
}

const TITLE = 'Sealwright audit checkpoint, version 1';

/** The statement: seven lines, each ended by a line feed, so that people can read what was signed. */
export const statementOf = (checkpoint: Checkpoint): string =>
  [
    TITLE,
    `number: ${checkpoint.number}`,
    `at: ${checkpoint.at.toISOString()}`,
    `last entry: ${checkpoint.lastEntryId}`,
    `chains: ${checkpoint.chains}`,
    `heads SHA-256: ${checkpoint.headsSha256Hex}`,
    `previous statement SHA-256: ${checkpoint.previousSha256Hex}`,
    '',
  ].join('\n');

const STATEMENT = new RegExp(
  `^${TITLE}\\nnumber: (\\d{1,18})\\nat: (\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z)\\nlast entry: (\\d{1,18})\\n` +
    'chains: (\\d{1,12})\\nheads SHA-256: ([0-9a-f]{64})\\nprevious statement SHA-256: ([0-9a-f]{64})\\n$',
);

/** Undefined for a text that is no statement of this version. */
export function parseStatement(text: string): Checkpoint | undefined {
  const parts = STATEMENT.exec(text);
  if (parts === null) return undefined;
  const [, number = '', at = '', lastEntryId = '', chains = '', headsSha256Hex = '', previousSha256Hex = ''] =
    parts;
  return {
    number: BigInt(number),
    at: new Date(at),
    lastEntryId: BigInt(lastEntryId),
    chains: Number(chains),
    headsSha256Hex,
    previousSha256Hex,
  };
}

export const statementSha256Hex = (statement: string): string =>
  createHash('sha256').update(statement).digest('hex');

/** Takes heads in the order of their chains, octet by octet, one at a time: there may be a million. */
export class HeadsDigest {
  readonly #hash = createHash('sha256');
  #chains = 0;

  take({ chain, place, sha256Hex }: ChainHead): void {
    this.#hash.update(field(chain) + field(String(place)) + field(sha256Hex));
    this.#chains += 1;
  }

  get chains(): number {
    return this.#chains;
  }

  /** Ends it. */
  sha256Hex(): string {
    return this.#hash.digest('hex');
  }
}
