/**
 * Google's S/MIME certificate profiles as a table of rules. Where a row of Google's page could be read or is safely
 * recalled it is a rule here; rows worded "should" are not. https://support.google.com/a/answer/7300887
 */
import { addressesOf, type KeyUsageBit, type ReadCertificate } from './certificate.ts';
import { type Chain, nameOf } from './chain.ts';
import type { Problem } from './problem.ts';

interface Rule {
  readonly id: string;
  /** What must be so, with "it" for the certificate. */
  readonly sentence: string;
  readonly holds: (certificate: ReadCertificate) => boolean;
}

const EKU = {
  serverAuth: '1.3.6.1.5.5.7.3.1',
  codeSigning: '1.3.6.1.5.5.7.3.3',
  emailProtection: '1.3.6.1.5.5.7.3.4',
  timeStamping: '1.3.6.1.5.5.7.3.8',
  any: '2.5.29.37.0',
} as const;
const ANY_POLICY = '2.5.29.32.0';

/** RSA and ECDSA with SHA-256, SHA-384, SHA-512. RSASSA-PSS is not on Google's page, so it is not here. */
const SIGNATURE_ALGORITHMS = new Set([
  '1.2.840.113549.1.1.11',
  '1.2.840.113549.1.1.12',
  '1.2.840.113549.1.1.13',
  '1.2.840.10045.4.3.2',
  '1.2.840.10045.4.3.3',
  '1.2.840.10045.4.3.4',
]);

/** Critical extensions a verifier of S/MIME chains understands: SAN, BC, KU, EKU, policies, nameConstraints. */
const UNDERSTOOD = new Set(['2.5.29.17', '2.5.29.19', '2.5.29.15', '2.5.29.37', '2.5.29.32', '2.5.29.30']);

const MAX_SERIAL_BYTES = 20;
/** 64 unpredictable bits need a serial of eight bytes. */
const MIN_LEAF_SERIAL_BYTES = 8;
const MAX_LEAF_MONTHS = 27;
const MAX_ISSUING_YEARS = 20;

const keyOfAllowedSize = ({ key }: ReadCertificate): boolean =>
  (key.type === 'rsa' && [2048, 3072, 4096].includes(key.bits)) ||
  (key.type === 'ec' && ['prime256v1', 'secp384r1'].includes(key.curve));

const hasOnlyBits = (certificate: ReadCertificate, allowed: readonly KeyUsageBit[]): boolean =>
  [...(certificate.keyUsage?.bits ?? [])].every((bit) => allowed.includes(bit));

const hasBit = (certificate: ReadCertificate, bit: KeyUsageBit): boolean =>
  certificate.keyUsage?.bits.has(bit) ?? false;

const isPositive = (serial: Buffer): boolean =>
  ((serial[0] ?? 0x80) & 0x80) === 0 && serial.some((octet) => octet !== 0);

const hasMailPurpose = ({ extendedKeyUsage }: ReadCertificate): boolean =>
  (extendedKeyUsage?.oids.includes(EKU.emailProtection) ?? false) &&
  ![EKU.serverAuth, EKU.codeSigning, EKU.timeStamping, EKU.any].some((oid) =>
    extendedKeyUsage?.oids.includes(oid),
  );

const hasPublicCrl = ({ crlDistributionPoints }: ReadCertificate): boolean =>
  crlDistributionPoints?.uris.some(isPublicHttp) ?? false;

const addMonths = (instant: Date, months: number): Date => {
  const end = new Date(instant);
  end.setUTCMonth(end.getUTCMonth() + months);
  // The 31st of a month that has none is the last day of it, not the first of the next.
  if (end.getUTCDate() !== instant.getUTCDate()) end.setUTCDate(0);
  return end;
};

/** Whether the world can fetch this address over plain HTTP: no other scheme, no literal or local host. */
export function isPublicHttp(uri: string): boolean {
  if (!URL.canParse(uri)) return false;
  const { protocol, hostname } = new URL(uri);
  if (protocol !== 'http:') return false;
  return hostname.includes('.') && !/^[\d.]+$/.test(hostname) && !hostname.startsWith('[');
}

/** Every certificate below the root. */
const COMMON: readonly Rule[] = [
  { id: 'version', sentence: 'it must be an X.509 version 3 certificate', holds: (c) => c.version === 3 },
  {
    id: 'serial',
    sentence: 'its serial number must be positive and at most 20 bytes long',
    holds: (c) => isPositive(c.serial) && c.serial.length <= MAX_SERIAL_BYTES,
  },
  {
    id: 'signature-algorithm',
    sentence: 'it must be signed with RSA or ECDSA and SHA-256, SHA-384 or SHA-512',
    holds: (c) => SIGNATURE_ALGORITHMS.has(c.signatureAlgorithm),
  },
  {
    id: 'key',
    sentence: 'its key must be RSA of 2048, 3072 or 4096 bits, or EC on P-256 or P-384',
    holds: keyOfAllowedSize,
  },
  {
    id: 'key-usage-critical',
    sentence: 'it must have a critical key usage',
    holds: (c) => c.keyUsage?.critical === true,
  },
  {
    id: 'crl-distribution-points',
    sentence:
      'it must have CRL distribution points, not critical, with a publicly reachable address that starts with http://',
    holds: (c) => c.crlDistributionPoints?.critical === false && hasPublicCrl(c),
  },
  {
    id: 'critical-extensions',
    sentence: 'it must have no critical extension that S/MIME clients do not know',
    holds: (c) => c.criticalExtensions.every((oid) => UNDERSTOOD.has(oid)),
  },
];

/** A.3: every CA between root and leaf. */
const INTERMEDIATE: readonly Rule[] = [
  ...COMMON,
  {
    id: 'basic-constraints',
    sentence: 'it must have critical basic constraints with cA true',
    holds: (c) => c.basicConstraints?.critical === true && c.basicConstraints.ca,
  },
  {
    id: 'key-cert-sign',
    sentence: 'its key usage must have keyCertSign',
    holds: (c) => hasBit(c, 'keyCertSign'),
  },
];

/** A.4: the CA that issued the leaf. */
const ISSUING: readonly Rule[] = [
  ...INTERMEDIATE,
  {
    id: 'key-usage-bits',
    sentence: 'its key usage may have keyCertSign, cRLSign and digitalSignature only',
    holds: (c) => hasOnlyBits(c, ['keyCertSign', 'cRLSign', 'digitalSignature']),
  },
  {
    id: 'extended-key-usage',
    sentence:
      'its extended key usage must have emailProtection and none of serverAuth, codeSigning, timeStamping and anyExtendedKeyUsage',
    holds: hasMailPurpose,
  },
  {
    id: 'validity-years',
    sentence: 'it must be valid for 20 years at most',
    holds: (c) => c.notAfter <= addMonths(c.notBefore, MAX_ISSUING_YEARS * 12),
  },
];

/** A.5. */
const LEAF: readonly Rule[] = [
  ...COMMON,
  {
    id: 'serial-entropy',
    sentence: 'its serial number must hold at least 64 unpredictable bits',
    holds: (c) => c.serial.length >= MIN_LEAF_SERIAL_BYTES,
  },
  {
    id: 'validity-months',
    sentence: 'it must be valid for 27 months at most',
    holds: (c) => c.notAfter <= addMonths(c.notBefore, MAX_LEAF_MONTHS),
  },
  {
    id: 'key-usage-bits',
    sentence:
      'its key usage may have digitalSignature, nonRepudiation, keyEncipherment and dataEncipherment for RSA; digitalSignature, keyAgreement, encipherOnly and decipherOnly for EC; and must have a use',
    holds: (c) =>
      c.key.type === 'ec'
        ? hasOnlyBits(c, ['digitalSignature', 'keyAgreement', 'encipherOnly', 'decipherOnly']) &&
          (hasBit(c, 'digitalSignature') || hasBit(c, 'keyAgreement'))
        : hasOnlyBits(c, ['digitalSignature', 'nonRepudiation', 'keyEncipherment', 'dataEncipherment']) &&
          (hasBit(c, 'digitalSignature') || hasBit(c, 'nonRepudiation') || hasBit(c, 'keyEncipherment')),
  },
  {
    id: 'extended-key-usage',
    sentence:
      'its extended key usage must have emailProtection and none of serverAuth, codeSigning, timeStamping and anyExtendedKeyUsage',
    holds: hasMailPurpose,
  },
  {
    id: 'basic-constraints',
    sentence: 'its basic constraints must not have cA true or a path length',
    holds: (c) =>
      c.basicConstraints === undefined ||
      (!c.basicConstraints.ca && c.basicConstraints.pathLength === undefined),
  },
  {
    id: 'certificate-policies',
    sentence: 'it must have certificate policies, not critical, with at least one OID and without anyPolicy',
    holds: (c) =>
      c.policies?.critical === false && c.policies.oids.length > 0 && !c.policies.oids.includes(ANY_POLICY),
  },
  {
    id: 'subject-alt-name',
    sentence:
      'it must have a subject alternative name with at least one rfc822Name and no dNSName, iPAddress or URI, not critical unless the subject is empty',
    holds: (c) =>
      (c.subjectAltName?.emails.length ?? 0) > 0 &&
      c.subjectAltName?.forbidden.length === 0 &&
      (!c.subjectAltName.critical || isEmptyDn(c.subjectDn)),
  },
  {
    id: 'subject-address-in-san',
    sentence: 'each address in its subject must be in its subject alternative name too',
    holds: (c) =>
      c.subjectEmails.every((address) =>
        c.subjectAltName?.emails.some((name) => name.toLowerCase() === address.toLowerCase()),
      ),
  },
];

/** A.2. */
const ROOT: readonly Rule[] = [
  {
    id: 'key',
    sentence: 'its key must be RSA of 2048, 3072 or 4096 bits, or EC on P-256 or P-384',
    holds: keyOfAllowedSize,
  },
  {
    id: 'name',
    sentence: 'its name must identify the CA, not only say "Certificate Authority"',
    holds: (c) =>
      !isEmptyDn(c.subjectDn) &&
      !c.subjectCommonNames.some((name) => /^(root )?(ca|certificat(e|ion) authority)$/i.test(name.trim())),
  },
  { id: 'ca', sentence: 'it must be a CA', holds: (c) => c.basicConstraints?.ca === true },
];

const RULES = { leaf: LEAF, issuing: ISSUING, intermediate: INTERMEDIATE, root: ROOT } as const;
type Part = keyof typeof RULES;

/** Every rule there is, `part-id` and sentence: for documentation and tests. */
export const PROFILE: readonly Problem[] = Object.entries(RULES).flatMap(([part, rules]) =>
  rules.map((rule) => ({ id: `${part}-${rule.id}`, sentence: rule.sentence })),
);

/** What the profiles say against the certificates of a chain. */
export function profileProblems(chain: Chain): readonly Problem[] {
  const problems: Problem[] = [];
  if (chain.path.length < 3) {
    problems.push({
      id: 'chain-intermediate',
      sentence: 'The chain must have at least one intermediate CA between the leaf and the root.',
    });
  }
  chain.path.forEach((certificate, index) => {
    const part = partOf(chain, index);
    for (const rule of RULES[part]) {
      if (rule.holds(certificate)) continue;
      problems.push({
        id: `${part}-${rule.id}`,
        sentence: `The ${PART_NAMES[part]} "${nameOf(certificate)}" does not fit Google's profile: ${rule.sentence}.`,
      });
    }
  });
  return [...problems, ...pathProblems(chain)];
}

const PART_NAMES: Readonly<Record<Part, string>> = {
  leaf: 'leaf',
  issuing: 'issuing CA',
  intermediate: 'intermediate CA',
  root: 'root',
};

function partOf(chain: Chain, index: number): Part {
  const certificate = chain.path[index];
  if (index === 0) return 'leaf';
  if (certificate?.issuerDn.equals(certificate.subjectDn)) return 'root';
  return index === 1 ? 'issuing' : 'intermediate';
}

/** RFC 5280 section 6.1: path lengths and permitted names of the CAs above the leaf. */
function pathProblems({ path, leaf }: Chain): readonly Problem[] {
  return path.slice(1).flatMap((authority, above) => {
    const problems: Problem[] = [];
    const limit = authority.basicConstraints?.pathLength;
    if (limit !== undefined && above > limit) {
      problems.push({
        id: 'path-length',
        sentence: `"${nameOf(authority)}" allows ${limit} CA certificates below it, the chain has ${above}.`,
      });
    }
    const names = authority.nameConstraints;
    const outside = addressesOf(leaf).find(
      (address) =>
        (names?.permitted ?? []).length > 0 && !names?.permitted.some((name) => fits(address, name)),
    );
    const excluded = addressesOf(leaf).find((address) => names?.excluded.some((name) => fits(address, name)));
    const refused = outside ?? excluded;
    if (refused !== undefined) {
      problems.push({
        id: 'name-constraints',
        sentence: `The name constraints of "${nameOf(authority)}" do not allow the address ${refused}.`,
      });
    }
    return problems;
  });
}

/** RFC 5280 section 4.2.1.10, rfc822Name: a mailbox, a host, or a domain that starts with a dot. */
function fits(address: string, constraint: string): boolean {
  const mailbox = address.toLowerCase();
  const name = constraint.toLowerCase();
  const host = mailbox.slice(mailbox.lastIndexOf('@') + 1);
  if (name.includes('@')) return mailbox === name;
  return name.startsWith('.') ? host.endsWith(name) : host === name;
}

const isEmptyDn = (dn: Buffer): boolean => dn.equals(Buffer.from([0x30, 0x00]));
