/** What Google's page asks of each certificate by its place in the chain; one check for each `gmail-` rule. */
import { signatureAlgorithmOf } from './algorithm.ts';
import type { ChainMember, ChainRole } from './chain-path.ts';
import type { ChainRuleId } from './chain-rules.ts';
import { DerError, inside, readOid, readWhole } from './der-reader.ts';
import { checkExtensions } from './lint-gmail-extensions.ts';
import { type NameAttribute, readName } from './name.ts';
import {
  ANY_POLICY,
  ATTRIBUTE_OIDS,
  EXTENSION_OIDS,
  FORBIDDEN_PURPOSE_OIDS,
  KEY_PURPOSE_OIDS,
  type KeyUsage,
} from './oids.ts';
import { describeKey, modulusBits, type PublicKey, readPublicKey } from './public-key.ts';
import { urlProblem } from './public-url.ts';

export interface RoleFinding {
  readonly rule: ChainRuleId;
  readonly found: string;
}

/** The findings about one certificate by itself. */
export function lintRole(member: ChainMember, role: ChainRole): readonly RoleFinding[] {
  const findings: RoleFinding[] = member.malformed.map(({ oid, why }) => ({
    rule: 'chain-certificate-unreadable',
    found: `extension ${oid}: ${why}`,
  }));
  const note: Note = (rule, holds, found) => {
    if (!holds) findings.push({ rule, found: found() });
  };
  const key = keyOf(member);
  note('gmail-key', isAllowedKey(key), () =>
    key === undefined ? 'a key that cannot be read' : describeKey(key),
  );
  if (role === 'root') checkRoot(member, note);
  else {
    checkIssued(member, role, note);
    checkExtensions(member, role, note);
  }
  if (role === 'issuing') checkIssuing(member, note);
  if (role === 'issuing' || role === 'intermediate') checkCaUsage(member, role, note);
  if (role === 'leaf') checkLeaf(member, key, note);
  return findings;
}

type Note = (rule: ChainRuleId, holds: boolean, found: () => string) => void;

/** Addresses (rfc822Name) of the subjectAltName. */
export const certificateAddressesOf = ({ extensions }: ChainMember): readonly string[] =>
  (extensions.subjectAltName ?? []).filter(({ type }) => type === RFC822_NAME).map(({ value }) => value);

const RFC822_NAME = 1;
const DNS_NAME = 2;
const URI = 6;
const IP_ADDRESS = 7;

function keyOf(member: ChainMember): PublicKey | undefined {
  try {
    return readPublicKey(member.certificate.spkiDer);
  } catch (error) {
    if (error instanceof DerError) return undefined;
    throw error;
  }
}

const isAllowedKey = (key: PublicKey | undefined): boolean =>
  key?.kind === 'ec' || (key?.kind === 'rsa' && [2048, 3072, 4096].includes(modulusBits(key.modulus)));

/** Terms that would fit any CA, wherever they stand alone. */
const GENERIC =
  /^(certificate authority|certification authority|(my |test )?(root|issuing|intermediate|sub)? ?ca|root)$/i;

function checkRoot(member: ChainMember, note: Note): void {
  const names = attributesOf(member).filter(({ oid }) => oid !== ATTRIBUTE_OIDS.countryName);
  note(
    'gmail-root-subject',
    names.some(({ value }) => !GENERIC.test(value.trim()) && value.trim() !== ''),
    () => names.map(({ value }) => `"${value}"`).join(', ') || 'an empty name',
  );
}

function attributesOf(member: ChainMember): readonly NameAttribute[] {
  try {
    return readName(member.certificate.subjectDer);
  } catch (error) {
    if (error instanceof DerError) return [];
    throw error;
  }
}

/** ECDSA with any SHA-2, whatever the curve, as the page has it. */
const ECDSA_SHA2 = ['1.2.840.10045.4.3.2', '1.2.840.10045.4.3.3', '1.2.840.10045.4.3.4'];

const ALGORITHM_NAMES: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.1.4': 'RSA with MD5',
  '1.2.840.113549.1.1.5': 'RSA with SHA-1',
  '1.2.840.10045.4.1': 'ECDSA with SHA-1',
  '1.2.840.113549.1.1.10': 'RSA-PSS',
  '1.3.101.112': 'Ed25519',
};

function algorithmOid(algorithmDer: Uint8Array): string {
  try {
    return readOid(inside(readWhole(algorithmDer, 'SEQUENCE', 'the algorithm')).next());
  } catch (error) {
    if (error instanceof DerError) return 'something unreadable';
    throw error;
  }
}

function checkIssued(member: ChainMember, role: ChainRole, note: Note): void {
  const { certificate, extensions } = member;
  const { serialHex, signatureAlgorithmDer } = certificate;
  note('gmail-version', certificate.version === 3, () => `version ${certificate.version}`);
  note(
    'gmail-serial',
    serialHex.length <= 40 && !/^[89a-f]/.test(serialHex) && !/^0+$/.test(serialHex),
    () => `serial ${serialHex}`,
  );
  // Sixty-four random bits need eight octets, give or take a few leading zeros.
  if (role === 'leaf')
    note(
      'gmail-serial',
      serialHex.length >= 14,
      () => `serial ${serialHex} of ${serialHex.length / 2} octets`,
    );
  const oid = algorithmOid(signatureAlgorithmDer);
  note(
    'gmail-signature-algorithm',
    signatureAlgorithmOf(signatureAlgorithmDer) !== undefined || ECDSA_SHA2.includes(oid),
    () => ALGORITHM_NAMES[oid] ?? oid,
  );
  const crlUrls = (extensions.cRLDistributionPoints ?? []).flatMap(({ names }) =>
    names.filter(({ type }) => type === URI),
  );
  const good = crlUrls.filter(({ value }) => urlProblemOf(value) === undefined);
  note('gmail-crl-point', good.length > 0, () =>
    crlUrls.length === 0
      ? 'no CRL address'
      : crlUrls.map(({ value }) => urlProblemOf(value) ?? value).join(', '),
  );
  for (const { location } of extensions.authorityInfoAccess ?? []) {
    const problem = location.type === URI ? urlProblemOf(location.value) : 'a location that is no URI';
    note('gmail-access-url', problem === undefined, () => problem ?? '');
  }
}

/**
 * What is wrong with an address for everybody to fetch. Hosts of hosting platforms, which our own profiles refuse, are
 * public all the same.
 */
function urlProblemOf(url: string): string | undefined {
  const problem = urlProblem(url, { trial: false });
  return problem === undefined || problem.found.endsWith('belongs to a hosting platform')
    ? undefined
    : problem.found;
}

const YEAR_MS = 366 * 86_400_000;

function checkIssuing(member: ChainMember, note: Note): void {
  const { extensions, certificate } = member;
  const validityMs = certificate.notAfter.at.getTime() - certificate.notBefore.at.getTime();
  const years = `${(validityMs / YEAR_MS).toFixed(1)} years`;
  note('gmail-ca-validity', validityMs <= 20 * YEAR_MS, () => years);
  note('gmail-ca-validity-advice', validityMs <= 10 * YEAR_MS || validityMs > 20 * YEAR_MS, () => years);
  checkPurpose('gmail-ca-purpose', member, note);
  const names = attributesOf(member).filter(({ oid }) => CA_NAME_OIDS.includes(oid));
  note(
    'gmail-ca-subject-advice',
    names.some(({ value }) => SHOWS_A_CA.test(value)),
    () => names.map(({ value }) => `"${value}"`).join(', ') || 'an empty name',
  );
  const policies = extensions.certificatePolicies ?? [];
  note(
    'gmail-ca-policy-advice',
    policies.length > 0 && policies.every(({ oid }) => oid !== ANY_POLICY),
    () => (policies.length === 0 ? 'no policy' : 'anyPolicy'),
  );
}

const CA_NAME_OIDS: readonly string[] = [
  ATTRIBUTE_OIDS.commonName,
  ATTRIBUTE_OIDS.organizationName,
  ATTRIBUTE_OIDS.organizationalUnitName,
];
/** "Acme Users CA 2", "Acme SubCA", "Autorité de certification", "Acme Trust Services", "Zertifizierungsstelle". */
const SHOWS_A_CA = /(^|[^a-z])((sub|root)?cas?|pki|issuing|issuer|trust|ac)([^a-z]|$)|certif|zertifi/i;

function checkPurpose(rule: ChainRuleId, member: ChainMember, note: Note): void {
  const purposes = member.extensions.extKeyUsage;
  note(rule, purposes?.includes(KEY_PURPOSE_OIDS.emailProtection) === true, () =>
    purposes === undefined ? 'no extended key usage' : 'no emailProtection',
  );
  for (const [name, oid] of Object.entries(FORBIDDEN_PURPOSE_OIDS)) {
    note(rule, purposes?.includes(oid) !== true, () => name);
  }
}

const isCritical = (member: ChainMember, oid: string): boolean =>
  member.certificate.extensions.some((extension) => extension.oid === oid && extension.critical);

function checkCaUsage(member: ChainMember, role: ChainRole, note: Note): void {
  const usage = member.extensions.keyUsage;
  note(
    'gmail-ca-key-usage',
    usage?.includes('keyCertSign') === true,
    () => usage?.join(' + ') ?? 'no key usage',
  );
  note(
    'gmail-ca-key-usage',
    usage === undefined || isCritical(member, EXTENSION_OIDS.keyUsage),
    () => 'key usage is not critical',
  );
  const allowed: readonly KeyUsage[] = ['keyCertSign', 'cRLSign', 'digitalSignature'];
  const others = (usage ?? []).filter((use) => !allowed.includes(use));
  if (role === 'issuing') note('gmail-ca-key-usage', others.length === 0, () => others.join(' + '));
  const pathLength = member.extensions.basicConstraints?.pathLength;
  note(
    'gmail-ca-path-length-advice',
    role === 'issuing' ? pathLength === 0 : pathLength !== undefined,
    () => `path length ${pathLength ?? 'unlimited'}`,
  );
}

/** What a user's key is for; the page tolerates more beside it than our profiles write. */
const MAIN_LEAF_USES: readonly KeyUsage[] = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'keyAgreement',
];
const LEAF_USES: Readonly<Record<'rsa' | 'ec', readonly KeyUsage[]>> = {
  rsa: ['digitalSignature', 'nonRepudiation', 'keyEncipherment', 'dataEncipherment'],
  ec: ['digitalSignature', 'nonRepudiation', 'keyAgreement', 'encipherOnly', 'decipherOnly'],
};

/** 27 calendar months from the beginning. */
function latestEnd(notBefore: Date): Date {
  const end = new Date(notBefore);
  end.setUTCMonth(end.getUTCMonth() + 27);
  return end;
}

function checkLeaf(member: ChainMember, key: PublicKey | undefined, note: Note): void {
  const { certificate, extensions } = member;
  const { notBefore, notAfter } = certificate;
  note(
    'gmail-leaf-validity',
    notAfter.at <= latestEnd(notBefore.at),
    () => `${Math.ceil((notAfter.at.getTime() - notBefore.at.getTime()) / 86_400_000)} days`,
  );
  const usage = extensions.keyUsage;
  const allowed = LEAF_USES[key?.kind === 'ec' ? 'ec' : 'rsa'];
  note('gmail-leaf-key-usage', usage !== undefined, () => 'no key usage');
  note(
    'gmail-leaf-key-usage',
    usage === undefined || isCritical(member, EXTENSION_OIDS.keyUsage),
    () => 'key usage is not critical',
  );
  note(
    'gmail-leaf-key-usage',
    usage === undefined ||
      (usage.some((use) => MAIN_LEAF_USES.includes(use)) && usage.every((use) => allowed.includes(use))),
    () => usage?.join(' + ') || 'an empty key usage',
  );
  checkPurpose('gmail-leaf-purpose', member, note);
  const constraints = extensions.basicConstraints;
  note(
    'gmail-leaf-not-ca',
    constraints?.ca !== true && constraints?.pathLength === undefined,
    () => 'basicConstraints of a CA',
  );
  const policies = extensions.certificatePolicies ?? [];
  note('gmail-leaf-policy', policies.length > 0 && policies.every(({ oid }) => oid !== ANY_POLICY), () =>
    policies.length === 0 ? 'no policy' : 'anyPolicy',
  );
  checkAddresses(member, note);
}

function checkAddresses(member: ChainMember, note: Note): void {
  const addresses = certificateAddressesOf(member).map((address) => address.toLowerCase());
  note('gmail-leaf-address', addresses.length > 0, () => 'no address in the subjectAltName');
  for (const { oid, value } of attributesOf(member)) {
    const isAddress =
      oid === ATTRIBUTE_OIDS.emailAddress || (oid === ATTRIBUTE_OIDS.commonName && value.includes('@'));
    note(
      'gmail-leaf-address',
      !isAddress || addresses.includes(value.toLowerCase()),
      () => `"${value}" in the subject alone`,
    );
  }
  const others = (member.extensions.subjectAltName ?? []).filter(({ type }) =>
    [DNS_NAME, URI, IP_ADDRESS].includes(type),
  );
  note('gmail-leaf-names', others.length === 0, () => others.map(({ value }) => value).join(', '));
}
