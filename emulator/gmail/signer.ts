import { addressesOf, isSelfIssued, isSignedBy, readCertificate } from './certificate.ts';
import { type Chain, orderChain } from './chain.ts';
import { timeProblems } from './chain-judge.ts';
import { profileProblems } from './chain-rules.ts';
import type { CrlEntry } from './crl.ts';
import type { Revocation } from './revocation.ts';

const KEY_COMPROMISE = 1;

/** What Gmail makes of the certificate that signed a message. */
export interface SignerJudgement {
  /** Why the signature is not to be believed, as sentences; empty when it is. */
  readonly problems: readonly string[];
  /** Addresses the leaf speaks for. */
  readonly addresses: readonly string[];
  readonly revocation: 'good' | 'revoked' | 'unknown' | 'not checked';
}

interface Circumstances {
  readonly from: string;
  /** When Gmail took the message in: the only time the signer cannot make up. */
  readonly arrivedAt: Date;
  readonly trustedRoots: readonly Buffer[];
  readonly revocation: Revocation;
}

/**
 * Judges a signer's leaf (first of `certificates`; the rest in any order, the root may be missing) by the time the
 * message arrived: mail does not turn bad when a certificate runs out or is replaced later. A compromised key is bad
 * from its invalidity date, or altogether when the CRL gives none.
 */
export async function judgeSigner(
  certificates: readonly Buffer[],
  circumstances: Circumstances,
): Promise<SignerJudgement> {
  const [leafDer] = certificates;
  if (leafDer === undefined) throw new RangeError('judgeSigner needs the leaf.');
  const leaf = readCertificate(leafDer);
  const addresses = addressesOf(leaf);
  let chain: Chain;
  try {
    chain = orderChain(membersOfChain(certificates, circumstances.trustedRoots));
  } catch (error) {
    const sentence = error instanceof Error ? error.message : String(error);
    return { problems: [sentence], addresses, revocation: 'not checked' };
  }
  const problems = [
    ...chain.problems,
    ...timeProblems(chain, circumstances.arrivedAt),
    ...profileProblems(chain),
  ].map((problem) => problem.sentence);
  const root = chain.path.at(-1);
  if (!circumstances.trustedRoots.some((der) => root?.der.equals(der))) {
    problems.push(
      `The signer's chain does not end at a root that an administrator has uploaded for ${circumstances.from}.`,
    );
  }
  if (!leaf.keyUsage?.bits.has('digitalSignature') && !leaf.keyUsage?.bits.has('nonRepudiation')) {
    problems.push("The signer's certificate is not for signing.");
  }
  if (!addresses.some((address) => address.toLowerCase() === circumstances.from.toLowerCase())) {
    problems.push(
      `The signer's certificate is for ${addresses.join(', ') || 'no address'}, not for ${circumstances.from}.`,
    );
  }
  if (problems.length > 0) return { problems, addresses, revocation: 'not checked' };
  return { addresses, ...(await judgeRevocation(chain, circumstances)) };
}

async function judgeRevocation(
  chain: Chain,
  { arrivedAt, revocation }: Circumstances,
): Promise<Pick<SignerJudgement, 'problems' | 'revocation'>> {
  for (const [index, issuer] of chain.path.slice(1).entries()) {
    const certificate = chain.path[index];
    if (certificate === undefined) continue;
    const status = await revocation.check(certificate, issuer);
    if (status.kind === 'unknown') return { problems: [status.sentence], revocation: 'unknown' };
    if (status.kind === 'revoked' && wasBadAt(status.entry, arrivedAt)) {
      return { problems: [status.sentence], revocation: 'revoked' };
    }
  }
  return { problems: [], revocation: 'good' };
}

function wasBadAt(entry: CrlEntry, arrivedAt: Date): boolean {
  if (entry.invalidFrom !== undefined) return entry.invalidFrom <= arrivedAt;
  return entry.reason === KEY_COMPROMISE || entry.revokedAt <= arrivedAt;
}

/** The leaf, the CAs above it among the certificates sent along, and its root, where the message leaves that out. */
function membersOfChain(certificates: readonly Buffer[], trustedRoots: readonly Buffer[]): readonly Buffer[] {
  const [leafDer, ...others] = certificates;
  if (leafDer === undefined) return [];
  const pool = [...others, ...trustedRoots].map(readCertificate);
  const members = [readCertificate(leafDer)];
  for (let child = members[0]; child !== undefined && !isSelfIssued(child); ) {
    const issued = child;
    const candidates = pool.filter(
      (candidate) =>
        candidate.x509.subject === issued.x509.issuer &&
        !members.some((member) => member.fingerprint === candidate.fingerprint),
    );
    const parent = candidates.find((candidate) => isSignedBy(issued, candidate)) ?? candidates[0];
    if (parent !== undefined) members.push(parent);
    child = parent;
  }
  return members.map((member) => member.der);
}
