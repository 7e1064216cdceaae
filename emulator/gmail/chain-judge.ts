import type { EmulatorClock } from '../core/clock.ts';
import { addressesOf } from './certificate.ts';
import { type Chain, nameOf } from './chain.ts';
import { profileProblems } from './chain-rules.ts';
import type { Problem } from './problem.ts';
import type { Revocation } from './revocation.ts';

/** Applies every rule to a chain: how it hangs together, trust, time, the profiles, the address, revocation. */
export class ChainJudge {
  readonly #clock: EmulatorClock;
  readonly #revocation: Revocation;
  readonly #trustedRoots: (address: string) => readonly Buffer[];

  constructor(
    clock: EmulatorClock,
    revocation: Revocation,
    trustedRoots: (address: string) => readonly Buffer[],
  ) {
    this.#clock = clock;
    this.#revocation = revocation;
    this.#trustedRoots = trustedRoots;
  }

  /** All that is wrong with `chain` for the user of `address` now; empty when Gmail would take it. */
  async problems(chain: Chain, address: string): Promise<readonly Problem[]> {
    const offline = [
      ...chain.problems,
      ...this.#trustProblems(chain, address),
      ...timeProblems(chain, this.#clock.now()),
      ...profileProblems(chain),
      ...addressProblems(chain, address),
    ];
    // A CRL says nothing about a chain that is wrong already, and each fetch may take seconds.
    return offline.length > 0 ? offline : this.#revocationProblems(chain);
  }

  async #revocationProblems(chain: Chain): Promise<readonly Problem[]> {
    const problems: Problem[] = [];
    for (const [index, issuer] of chain.path.slice(1).entries()) {
      const certificate = chain.path[index];
      if (certificate === undefined) continue;
      const status = await this.#revocation.check(certificate, issuer);
      if (status.kind === 'revoked') problems.push({ id: 'revoked', sentence: status.sentence });
      if (status.kind === 'unknown') problems.push({ id: 'revocation-unknown', sentence: status.sentence });
    }
    return problems;
  }

  #trustProblems({ path }: Chain, address: string): readonly Problem[] {
    const root = path.at(-1);
    const trusted = this.#trustedRoots(address);
    if (root !== undefined && trusted.some((der) => der.equals(root.der))) return [];
    return [
      {
        id: 'root-trusted',
        sentence: `The chain must end at a root that an administrator has uploaded for the domain of ${address}.`,
      },
    ];
  }
}

/** Every certificate of the chain must be within its validity; both ends are inclusive (RFC 5280 section 4.1.2.5). */
export function timeProblems({ path }: Chain, now: Date): readonly Problem[] {
  return path.flatMap((certificate) => {
    if (now < certificate.notBefore) {
      return [
        {
          id: 'not-yet-valid',
          sentence: `"${nameOf(certificate)}" is valid only from ${certificate.notBefore.toISOString()}.`,
        },
      ];
    }
    return now > certificate.notAfter
      ? [
          {
            id: 'expired',
            sentence: `"${nameOf(certificate)}" expired at ${certificate.notAfter.toISOString()}.`,
          },
        ]
      : [];
  });
}

/** The leaf must name the user's primary address, in its subject or as a SAN entry. */
export function addressProblems({ leaf }: Chain, address: string): readonly Problem[] {
  const names = addressesOf(leaf);
  if (names.some((name) => name.toLowerCase() === address.toLowerCase())) return [];
  return [
    {
      id: 'leaf-address',
      sentence: `The leaf must carry the user's primary address ${address} in its subject or subject alternative name; it carries ${names.join(', ') || 'none'}.`,
    },
  ];
}
