/** What Google's page asks of extensions as such: which may be critical, and that none contradicts another. */
import type { ChainMember, ChainRole } from './chain-path.ts';
import type { ChainRuleId } from './chain-rules.ts';
import { DerError, readNamedBits, readWhole } from './der-reader.ts';
import { CPS_QUALIFIER, EXTENSION_OIDS } from './oids.ts';

type Note = (rule: ChainRuleId, holds: boolean, found: () => string) => void;

/** Of each certificate but the root, about whose extensions the page says nothing. */
export function checkExtensions(member: ChainMember, role: ChainRole, note: Note): void {
  checkCriticality(member, role, note);
  for (const { oid, qualifiers } of member.extensions.certificatePolicies ?? []) {
    for (const { cps } of qualifiers.filter((qualifier) => qualifier.oid === CPS_QUALIFIER)) {
      note(
        'gmail-policy-qualifier',
        /^https?:$/.test(URL.parse(cps ?? '')?.protocol ?? ''),
        () => `"${cps}" for ${oid}`,
      );
    }
  }
  checkNetscapeType(member, note);
}

/** Never critical in the page's tables or RFC 5280. */
const UNCRITICAL = [
  'certificatePolicies',
  'cRLDistributionPoints',
  'authorityInfoAccess',
  'authorityKeyIdentifier',
  'subjectKeyIdentifier',
] as const;

const CRITICAL_ANYWHERE: readonly string[] = [
  EXTENSION_OIDS.basicConstraints,
  EXTENSION_OIDS.keyUsage,
  EXTENSION_OIDS.extKeyUsage,
];
/** nameConstraints, policyMappings, policyConstraints, inhibitAnyPolicy (RFC 5280 §4.2.1.5 to §4.2.1.14). */
const CRITICAL_IN_A_CA: readonly string[] = ['2.5.29.30', '2.5.29.33', '2.5.29.36', '2.5.29.54'];

function checkCriticality({ certificate }: ChainMember, role: ChainRole, note: Note): void {
  const uncritical: ReadonlyMap<string, string> = new Map(
    [...UNCRITICAL, 'subjectAltName' as const].map((name) => [EXTENSION_OIDS[name], name]),
  );
  for (const { oid, critical } of certificate.extensions) {
    if (!critical || CRITICAL_ANYWHERE.includes(oid)) continue;
    if (role !== 'leaf' && CRITICAL_IN_A_CA.includes(oid)) continue;
    const name = uncritical.get(oid);
    if (name === undefined) note('gmail-critical-extension', false, () => oid);
    // RFC 5280 §4.2.1.6 wants it critical beside an empty subject, which is `SEQUENCE {}`.
    else if (name !== 'subjectAltName' || certificate.subjectDer.length > 2)
      note('gmail-extension-not-critical', false, () => name);
  }
  const oids = certificate.extensions.map(({ oid }) => oid);
  const twice = oids.filter((oid, index) => oids.indexOf(oid) !== index);
  note('chain-extension-duplicate', twice.length === 0, () => twice.join(', '));
}

/** Netscape's certificate type; its bits for end entities, and for their CAs. */
const NETSCAPE_TYPE = '2.16.840.1.113730.1.1';
const PURPOSES = {
  emailProtection: { oid: '1.3.6.1.5.5.7.3.4', user: 2, ca: 6 },
  clientAuth: { oid: '1.3.6.1.5.5.7.3.2', user: 0, ca: 5 },
  serverAuth: { oid: '1.3.6.1.5.5.7.3.1', user: 1, ca: 5 },
  codeSigning: { oid: '1.3.6.1.5.5.7.3.3', user: 3, ca: 7 },
} as const;
const BIT_NAMES = ['SSL client', 'SSL server', 'S/MIME', 'object signing', 'bit 4', 'SSL CA', 'S/MIME CA'];

function checkNetscapeType({ certificate, extensions, isCa }: ChainMember, note: Note): void {
  const extension = certificate.extensions.find(({ oid }) => oid === NETSCAPE_TYPE);
  if (extension === undefined) return;
  const bits = bitsOf(extension.value);
  if (bits === undefined) {
    note('gmail-extensions-agree', false, () => 'a Netscape certificate type that cannot be read');
    return;
  }
  const wanted: readonly number[] = Object.values(PURPOSES).flatMap(({ oid, user, ca }) =>
    extensions.extKeyUsage?.includes(oid) === true ? [isCa ? ca : user] : [],
  );
  // A CA whose extended key usage is absent may be for anything, but never an end entity.
  const agrees =
    extensions.extKeyUsage === undefined
      ? bits.every((bit) => bit >= 5 === isCa)
      : bits.every((bit) => wanted.includes(bit)) && wanted.every((bit) => bits.includes(bit));
  note(
    'gmail-extensions-agree',
    agrees,
    () =>
      `the Netscape certificate type says ${bits.map((bit) => BIT_NAMES[bit] ?? 'object CA').join(' + ') || 'nothing'}`,
  );
}

function bitsOf(value: Uint8Array): readonly number[] | undefined {
  try {
    return readNamedBits(readWhole(value, 'BIT STRING', 'the Netscape certificate type'));
  } catch (error) {
    if (error instanceof DerError) return undefined;
    throw error;
  }
}
