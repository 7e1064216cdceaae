import type { ChainedEntry, ChainHead } from '../ports/ledger/audit-chains.ts';
import { chainOf, entrySha256Hex, NO_ENTRY_SHA256_HEX } from './entry.ts';

export interface ChainFinding {
  /**
   * `changed`: an entry does not hash to what it says. `removed`: a place is empty. `inserted`: a place is taken twice, or
   * an entry does not follow the one before it.
   */
  readonly kind: 'changed' | 'removed' | 'inserted';
  /** User id, or `''` for the chain that concerns nobody in particular. */
  readonly chain: string;
  readonly place: bigint;
  /** Number of the entry where there is one. */
  readonly id?: bigint;
  readonly message: string;
}

interface Link {
  readonly place: bigint;
  /** What the next entry must name; undefined after a gap: then whatever it names is taken. */
  readonly sha256Hex: string | undefined;
  /** Entries that came before the one they follow: two writers may commit in the other order. */
  readonly early: Map<bigint, ChainedEntry>;
}

/** Takes entries in the order of their numbers and says what is wrong. Memory grows with the chains, not the entries. */
export class ChainChecker {
  readonly #links = new Map<string, Link>();
  /** Those that no entry has reached yet. */
  readonly #ends: Map<string, ChainHead>;
  #entries = 0;

  /**
   * `ends`: how far the chains went by the ledger's own account when the reading began; without it, nobody can say whether the
   * last entries are those that were written.
   */
  constructor(ends: readonly ChainHead[] = []) {
    this.#ends = new Map(ends.map((end) => [end.chain, end]));
  }

  /** Findings this entry brings to light. */
  take(entry: ChainedEntry): readonly ChainFinding[] {
    this.#entries += 1;
    const chain = chainOf(entry);
    const link = this.#links.get(chain) ?? { place: 0n, sha256Hex: NO_ENTRY_SHA256_HEX, early: new Map() };
    this.#links.set(chain, link);
    if (entry.place <= link.place || link.early.has(entry.place)) {
      return [found('inserted', entry, 'stands in a place that is taken')];
    }
    link.early.set(entry.place, entry);
    return this.#follow(chain);
  }

  get entries(): number {
    return this.#entries;
  }

  /** Entries still waiting for the one before them. */
  get waiting(): number {
    let waiting = 0;
    for (const { early } of this.#links.values()) waiting += early.size;
    return waiting;
  }

  /** Newest entry of each chain, by chain, compared octet by octet. */
  heads(): readonly ChainHead[] {
    return [...this.#links]
      .filter(([, { place }]) => place > 0n)
      .map(([chain, { place, sha256Hex }]) => ({
        octets: Buffer.from(chain),
        head: { chain, place, sha256Hex: sha256Hex ?? '' },
      }))
      .toSorted((left, right) => Buffer.compare(left.octets, right.octets))
      .map(({ head }) => head);
  }

  /** Nothing more comes: what still waits for an entry before it, waits for one that was removed. */
  end(): readonly ChainFinding[] {
    const findings: ChainFinding[] = [];
    for (const [chain, link] of [...this.#links]) {
      for (const place of [...link.early.keys()].toSorted((left, right) => (left < right ? -1 : 1))) {
        const known = this.#links.get(chain)?.place ?? 0n;
        for (let missing = known + 1n; missing < place; missing += 1n) {
          findings.push({
            kind: 'removed',
            chain,
            place: missing,
            message: `${named(chain)}: entry ${missing} of the chain is missing.`,
          });
        }
        if (place > known) {
          this.#links.set(chain, { place: place - 1n, sha256Hex: undefined, early: link.early });
          findings.push(...this.#follow(chain));
        }
      }
    }
    for (const { chain, place } of this.#ends.values()) {
      findings.push({
        kind: 'removed',
        chain,
        place,
        message: `${named(chain)}: the end of the chain is missing; the ledger has written ${place} entries.`,
      });
    }
    return findings;
  }

  #isOtherEnd(entry: ChainedEntry): boolean {
    const end = this.#ends.get(chainOf(entry));
    return end?.place === entry.place && end.sha256Hex !== entry.sha256Hex;
  }

  #follow(chain: string): readonly ChainFinding[] {
    const findings: ChainFinding[] = [];
    for (;;) {
      const link = this.#links.get(chain);
      const entry = link?.early.get(link.place + 1n);
      if (link === undefined || entry === undefined) return findings;
      link.early.delete(entry.place);
      if (entrySha256Hex(entry) !== entry.sha256Hex) {
        findings.push(found('changed', entry, 'is not what was written: its hash is another'));
      } else if (link.sha256Hex !== undefined && entry.previousSha256Hex !== link.sha256Hex) {
        findings.push(found('inserted', entry, 'does not follow the entry before it'));
      } else if (this.#isOtherEnd(entry)) {
        findings.push(found('changed', entry, 'is another than the one that the ledger says it wrote last'));
      }
      if (this.#ends.get(chain)?.place === entry.place) this.#ends.delete(chain);
      this.#links.set(chain, { place: entry.place, sha256Hex: entry.sha256Hex, early: link.early });
    }
  }
}

const named = (chain: string): string => (chain === '' ? 'The common chain' : `User ${chain}`);

const found = (kind: ChainFinding['kind'], entry: ChainedEntry, what: string): ChainFinding => ({
  kind,
  chain: chainOf(entry),
  place: entry.place,
  id: entry.id,
  message: `${named(chainOf(entry))}: entry ${entry.id} (${entry.step}, place ${entry.place}) ${what}.`,
});
