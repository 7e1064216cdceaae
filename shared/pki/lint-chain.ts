/**
 * The chain linter: what Gmail would say about a chain from any CA, before it is uploaded, in sentences rather than
 * "invalid argument". Errors mean that Gmail refuses the chain or should; warnings are advice.
 */

import { sha256Hex } from './certificate.ts';
import { type ChainFormat, readChainFile } from './chain-file.ts';
import { type ChainMember, type ChainRole, chainMembers, isSignedBy, pathFrom } from './chain-path.ts';
import { CHAIN_RULES, type ChainRuleId, type Severity } from './chain-rules.ts';
import { DerError, sameBytes } from './der-reader.ts';
import type { Finding } from './finding.ts';
import { lintCertificate } from './lint.ts';
import { certificateAddressesOf, lintRole } from './lint-gmail.ts';
import { sameAddress } from './mailbox-address.ts';
import { describeName, readName } from './name.ts';
import { ATTRIBUTE_OIDS } from './oids.ts';
import { publicKeyOf } from './pkcs12.ts';
import { type CertificateProfile, ISSUING, type LeafUse, leafProfileFor, ROOT } from './profile.ts';
import { readPublicKey } from './public-key.ts';
import { weakKey } from './weak-key.ts';

export interface ChainLintOptions {
  readonly now: Date;
  /** What the chain is for: a user (default), or an issuing CA that is about to be imported, without any user. */
  readonly expects?: 'leaf' | 'issuing';
  /** For PKCS#12 and encrypted private keys. */
  readonly password?: string;
  /** The user's primary address, which the leaf must name. Without it any address will do. */
  readonly address?: string;
  /** Certificates of CAs that are ours: what they issued is held to our own profiles, and there a finding is an error. */
  readonly ownIssuersDer?: readonly Uint8Array[];
}

export interface ChainFinding extends Finding {
  readonly severity: Severity;
}

export interface CertificateReport {
  readonly role: ChainRole;
  /** The profile of ours that is nearest. */
  readonly profile: string;
  /** Common name, or the whole subject where there is none. */
  readonly subject: string;
  readonly serialHex: string;
  readonly sha256Hex: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly findings: readonly ChainFinding[];
}

export interface ChainReport {
  readonly format: ChainFormat;
  /** Whether there is no error, so that Gmail should take the chain. */
  readonly acceptable: boolean;
  /** About the chain as a whole. */
  readonly findings: readonly ChainFinding[];
  /** Leaf first, root last. */
  readonly certificates: readonly CertificateReport[];
}

/**
 * Lints a chain given as PEM, DER, PKCS#7 or PKCS#12. Throws `malformed-request` (invalid-input) where the file cannot be
 * opened at all (see `readChainFile`); whatever is wrong with what is inside is a finding.
 */
export function lintChain(input: Uint8Array, options: ChainLintOptions): ChainReport {
  const file = readChainFile(input, options.password);
  const { members, unreadable } = chainMembers(file.certificatesDer);
  const findings: ChainFinding[] = unreadable.map((what) =>
    chainFinding('chain-certificate-unreadable', what),
  );
  const expects = options.expects ?? 'leaf';
  const start = startOf(members, file.pkcs8Der, expects);
  const path = start === undefined ? [] : pathFrom(start, members);
  const extra = members.filter((member) => !path.includes(member));
  const leaves = members.filter((member) => !member.isCa && (member === start || extra.includes(member)));
  if (expects === 'leaf' && members.length > 0 && leaves.length !== 1) {
    findings.push(
      chainFinding(
        'chain-leaf-missing',
        leaves.length === 0 ? 'CA certificates only' : `${leaves.length} user certificates`,
      ),
    );
  }
  findings.push(
    ...wholeness(path, expects),
    ...extra.map((member) => chainFinding('chain-extra-certificate', nameOf(member))),
  );
  if (
    file.pkcs8Der !== undefined &&
    start !== undefined &&
    !sameBytes(publicKeyOf(file.pkcs8Der), start.certificate.spkiDer)
  ) {
    findings.push(
      chainFinding('chain-key-mismatch', `a private key of another public key than ${nameOf(start)} has`),
    );
  }
  const certificates = path.map((member, index) => reportOf(member, index, path, options));
  const all = [...findings, ...certificates.flatMap((certificate) => certificate.findings)];
  return {
    format: file.format,
    acceptable: members.length > 0 && all.every(({ severity }) => severity !== 'error'),
    findings,
    certificates,
  };
}

/** The findings for which Gmail refuses a chain, or should: of the chain first, then from the leaf up, no rule twice. */
export const errorsOf = ({ findings, certificates }: ChainReport): readonly ChainFinding[] =>
  [...findings, ...certificates.flatMap((certificate) => certificate.findings)]
    .filter(({ severity }) => severity === 'error')
    .filter(({ rule }, index, all) => all.findIndex((other) => other.rule === rule) === index);

export const chainFinding = (rule: ChainRuleId, found: string): ChainFinding => {
  const { covers: _covers, ...text } = CHAIN_RULES[rule];
  return { rule, ...text, found };
};

const nameOf = (member: ChainMember): string => `"${describeSubject(member.certificate.subjectDer)}"`;

function describeSubject(subjectDer: Uint8Array): string {
  try {
    return describeName(readName(subjectDer));
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    return '(a name that cannot be read)';
  }
}

/**
 * Where the path begins. For a user: among user certificates the private key's, else the one with the longest way up.
 * For an issuing CA: among all likewise, a user certificate only where there is nothing else.
 */
function startOf(
  members: readonly ChainMember[],
  pkcs8Der: Uint8Array | undefined,
  expects: 'leaf' | 'issuing',
): ChainMember | undefined {
  const preferred = members.filter(({ isCa }) => isCa === (expects === 'issuing'));
  const pool = preferred.length > 0 ? preferred : members;
  if (pkcs8Der !== undefined) {
    const spkiDer = publicKeyOf(pkcs8Der);
    const own = pool.find(({ certificate }) => sameBytes(certificate.spkiDer, spkiDer));
    if (own !== undefined) return own;
  }
  // A certificate that is no CA may still have issued another: then it is the issuer that is wrong, not the leaf.
  return pool.toSorted((left, right) => pathFrom(right, members).length - pathFrom(left, members).length)[0];
}

function wholeness(path: readonly ChainMember[], expects: 'leaf' | 'issuing'): readonly ChainFinding[] {
  const last = path.at(-1);
  if (last === undefined) return [];
  const findings: ChainFinding[] = [];
  if (!last.isSelfIssued) {
    findings.push(
      chainFinding(
        'chain-root-missing',
        `the certificate of "${describeSubject(last.certificate.issuerDer)}", which issued ${nameOf(last)}, is not in the file`,
      ),
    );
  }
  const [first] = path;
  const between = path.filter(
    (member, index) => !member.isSelfIssued && (index > 0 || expects === 'issuing'),
  );
  if (first !== undefined && between.length === 0 && (expects === 'issuing' || !first.isCa)) {
    const found =
      path.length > 1 ? `the root issued ${nameOf(first)} itself` : 'nothing above the user certificate';
    findings.push(
      chainFinding(
        'chain-intermediate-missing',
        expects === 'issuing' ? `${nameOf(first)} is a root` : found,
      ),
    );
  }
  return findings;
}

function reportOf(
  member: ChainMember,
  index: number,
  path: readonly ChainMember[],
  options: ChainLintOptions,
): CertificateReport {
  const issuer = path[index + 1];
  const role = roleOf(member, index, path);
  const profile = nearestProfile(member, role);
  const findings = [
    ...links(member, index, path, options),
    ...keyFaults(member, path),
    ...lintRole(member, role).map(({ rule, found }) => chainFinding(rule, found)),
    ...(role === 'leaf' ? addressMissing(member, options.address) : []),
  ];
  const covered: ReadonlySet<string> = new Set(
    findings.flatMap(({ rule }) => (rule in CHAIN_RULES ? CHAIN_RULES[rule as ChainRuleId].covers : [])),
  );
  const isOurs =
    issuer !== undefined && (options.ownIssuersDer ?? []).some((der) => sameBytes(der, issuer.der));
  const { certificate } = member;
  const { notBefore, notAfter, serialHex, subjectDer } = certificate;
  return {
    role,
    profile: profile.name,
    subject: describeSubject(subjectDer),
    serialHex,
    sha256Hex: sha256Hex(member.der),
    notBefore: notBefore.at,
    notAfter: notAfter.at,
    findings: [
      ...findings,
      ...profileFindings(member, role, profile, issuer)
        .filter(({ rule }) => !covered.has(rule))
        .map((finding): ChainFinding => ({ ...finding, severity: isOurs ? 'error' : 'warning' })),
    ],
  };
}

function roleOf(member: ChainMember, index: number, path: readonly ChainMember[]): ChainRole {
  if (index === 0 && !member.isCa) return 'leaf';
  if (member.isSelfIssued) return 'root';
  return index === 0 || (index === 1 && path[0]?.isCa !== true) ? 'issuing' : 'intermediate';
}

/** The profile of ours that says most nearly what the certificate says. */
function nearestProfile(member: ChainMember, role: ChainRole): CertificateProfile {
  if (role === 'root') return ROOT;
  if (role !== 'leaf') return ISSUING;
  const usage = member.extensions.keyUsage ?? [];
  const signs = usage.includes('digitalSignature') || usage.includes('nonRepudiation');
  const encrypts = usage.includes('keyEncipherment') || usage.includes('keyAgreement');
  const use: LeafUse = signs === encrypts ? 'dual-use' : signs ? 'signing' : 'encryption';
  return leafProfileFor(use, keyKind(member), isSponsored(member) ? 'sponsor' : 'mailbox');
}

function keyKind(member: ChainMember): 'rsa' | 'ec' {
  try {
    return readPublicKey(member.certificate.spkiDer).kind === 'ec' ? 'ec' : 'rsa';
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    return 'rsa';
  }
}

function isSponsored(member: ChainMember): boolean {
  try {
    return readName(member.certificate.subjectDer).some(({ oid }) => oid === ATTRIBUTE_OIDS.organizationName);
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    return false;
  }
}

function profileFindings(
  member: ChainMember,
  role: ChainRole,
  profile: CertificateProfile,
  issuer: ChainMember | undefined,
): readonly Finding[] {
  // Without its issuer half the rules have nothing to say; an intermediate that issues CAs has no profile of ours.
  if (role === 'intermediate' || (issuer === undefined && role !== 'root')) return [];
  // An issuer whose extensions cannot be decoded is reported where it stands; nothing can be held against it here.
  if (issuer !== undefined && issuer.malformed.length > 0) return [];
  return lintCertificate(member.der, {
    profile,
    ...(issuer === undefined || role === 'root' ? {} : { issuerCertificateDer: issuer.der }),
    // When it was signed is not known; that it is valid now is asked elsewhere.
    signingTime: member.certificate.notBefore.at,
  });
}

const NOT_BEFORE_MS = 48 * 3_600_000;
const HALF_A_YEAR_MS = 183 * 86_400_000;

/** What must hold between a certificate and the path it stands in. */
function links(
  member: ChainMember,
  index: number,
  path: readonly ChainMember[],
  { now, expects }: ChainLintOptions,
): readonly ChainFinding[] {
  const { certificate, extensions } = member;
  const findings: ChainFinding[] = [];
  const note = (rule: ChainRuleId, holds: boolean, found: () => string) => {
    if (!holds) findings.push(chainFinding(rule, found()));
  };
  const issuer = path[index + 1] ?? (member.isSelfIssued ? member : undefined);
  if (issuer !== undefined) {
    note(
      'chain-signature',
      isSignedBy(member, issuer),
      () => `it does not verify with the key of ${nameOf(issuer)}`,
    );
    note(
      'gmail-issuer-dn',
      sameBytes(certificate.issuerDer, issuer.certificate.subjectDer),
      () => `${nameOf(issuer)} in another encoding`,
    );
  }
  const { notBefore, notAfter } = certificate;
  note('chain-expired', notBefore.at <= now, () => `it begins ${notBefore.at.toISOString()}`);
  note('chain-expired', notAfter.at >= now, () => `it ended ${notAfter.at.toISOString()}`);
  if (index === 0 && !member.isCa) {
    note(
      'gmail-leaf-not-before',
      notBefore.at.getTime() - now.getTime() <= NOT_BEFORE_MS,
      () => `it begins ${notBefore.at.toISOString()}`,
    );
  }
  if (index > 0 || expects === 'issuing') {
    const { keyUsage } = extensions;
    const critical = certificate.extensions.some(({ oid, critical }) => oid === '2.5.29.19' && critical);
    note(
      'chain-issuer-not-ca',
      member.isCa,
      () => `${nameOf(member)} is no CA and issued ${nameOf(path[index - 1] ?? member)}`,
    );
    if (member.isCa && certificate.version === 3) {
      note('chain-issuer-not-ca', critical, () => 'basicConstraints is not critical');
      note(
        'chain-issuer-not-ca',
        keyUsage === undefined || keyUsage.includes('keyCertSign'),
        () => `key usage ${keyUsage?.join(' + ')}`,
      );
    }
    // Self-issued certificates and the leaf do not count (RFC 5280 §4.2.1.9).
    const below = path.slice(0, index).filter((lower) => lower.isCa && !lower.isSelfIssued).length;
    const room = extensions.basicConstraints?.pathLength ?? Number.POSITIVE_INFINITY;
    note('chain-path-length', below <= room, () => `${below} below, ${room} allowed`);
  }
  if (member.isCa && notAfter.at >= now) {
    note(
      'chain-issuer-ends-soon',
      notAfter.at.getTime() - now.getTime() >= HALF_A_YEAR_MS,
      () => `it ends ${notAfter.at.toISOString()}`,
    );
  }
  return findings;
}

function keyFaults(member: ChainMember, path: readonly ChainMember[]): readonly ChainFinding[] {
  try {
    const others = path.filter((other) => other !== member).map(({ certificate }) => certificate.spkiDer);
    const found = weakKey(member.certificate.spkiDer, others);
    // The size has a rule of its own.
    return found === undefined || found.id === 'small-modulus'
      ? []
      : [chainFinding('chain-weak-key', found.sentence)];
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    return [];
  }
}

function addressMissing(member: ChainMember, address: string | undefined): readonly ChainFinding[] {
  const addresses = certificateAddressesOf(member);
  if (address === undefined || addresses.some((found) => sameAddress(found, address))) return [];
  const found = addresses.length === 0 ? 'none' : addresses.join(', ');
  return [chainFinding('gmail-leaf-address', `${address} is wanted; it names ${found}`)];
}
