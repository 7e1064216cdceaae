import { isSelfIssued, isSignedBy, type ReadCertificate, readCertificate } from './certificate.ts';
import type { Problem } from './problem.ts';

/** A path from the leaf towards a root, as far as the given certificates lead. */
export interface Chain {
  /** Leaf first; the last one is a self-issued root when the chain is complete. */
  readonly path: readonly ReadCertificate[];
  readonly leaf: ReadCertificate;
  /** What is wrong with how the certificates hang together: gaps, names, signatures, strangers. */
  readonly problems: readonly Problem[];
}

/**
 * Orders certificates into a chain. The leaf is the one that issued none of the others; the order in which they come
 * says nothing, because a strict encoder sorts a DER SET. Throws a plain sentence when there is no single leaf.
 */
export function orderChain(ders: readonly Buffer[]): Chain {
  const certificates = ders.map(readCertificate);
  if (new Set(certificates.map((certificate) => certificate.fingerprint)).size !== certificates.length) {
    throw new Error('The chain holds the same certificate twice.');
  }
  const leaf = onlyLeaf(certificates);
  const path = [leaf];
  const problems: Problem[] = [];
  for (let child = leaf; !isSelfIssued(child); ) {
    const candidates = certificates.filter((other) => !path.includes(other) && isNamedIssuerOf(other, child));
    const parent = candidates.find((other) => isSignedBy(child, other)) ?? candidates[0];
    if (parent === undefined) {
      problems.push({
        id: 'chain-complete',
        sentence: `The chain must be complete up to its root: the issuer of "${nameOf(child)}" is missing.`,
      });
      break;
    }
    problems.push(...linkProblems(child, parent));
    path.push(parent);
    child = parent;
  }
  const top = path.at(-1) ?? leaf;
  if (isSelfIssued(top) && !isSignedBy(top, top)) {
    problems.push({
      id: 'root-self-signed',
      sentence: `The root "${nameOf(top)}" must be signed by itself.`,
    });
  }
  for (const stranger of certificates.filter((certificate) => !path.includes(certificate))) {
    problems.push({
      id: 'chain-strangers',
      sentence: `"${nameOf(stranger)}" is not part of the leaf's chain and must be left out.`,
    });
  }
  return { path, leaf, problems };
}

/** The subject on one line, for sentences. */
export const nameOf = (certificate: ReadCertificate): string =>
  certificate.x509.subject?.replaceAll('\n', ', ') || `serial ${certificate.x509.serialNumber.toLowerCase()}`;

function onlyLeaf(certificates: readonly ReadCertificate[]): ReadCertificate {
  const leaves = certificates.filter(
    (candidate) => !certificates.some((other) => other !== candidate && isNamedIssuerOf(candidate, other)),
  );
  const [leaf, second] = leaves;
  if (leaf === undefined)
    throw new Error('The chain has no leaf: each of its certificates issued another one.');
  if (second !== undefined) {
    throw new Error(
      `The chain must have one leaf, but neither "${nameOf(leaf)}" nor "${nameOf(second)}" issued another certificate of it.`,
    );
  }
  return leaf;
}

/** By name as people read it: a name in another encoding is found here and refused by `issuer-dn-bytes`. */
const isNamedIssuerOf = (issuer: ReadCertificate, child: ReadCertificate): boolean =>
  child.x509.issuer === issuer.x509.subject;

function linkProblems(child: ReadCertificate, parent: ReadCertificate): Problem[] {
  const problems: Problem[] = [];
  if (!child.issuerDn.equals(parent.subjectDn)) {
    problems.push({
      id: 'issuer-dn-bytes',
      sentence: `The issuer name of "${nameOf(child)}" must be byte for byte the subject name of its issuer; it is encoded differently.`,
    });
  }
  if (!isSignedBy(child, parent)) {
    problems.push({
      id: 'chain-signature',
      sentence: `The signature on "${nameOf(child)}" does not verify under the key of "${nameOf(parent)}".`,
    });
  }
  return problems;
}
