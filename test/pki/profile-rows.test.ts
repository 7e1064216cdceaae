/**
 * What each row of a certificate and of a CRL has to be, written down a second time and by hand: the profile says it in a field, a rule of
 * the linter holds every certificate to it, and whoever changes either has to change this too. That each rule is one that can be
 * broken is shown in `lint.test.ts` and `lint-crl.test.ts`, mutant by mutant.
 */
import { describe, expect, it, test } from 'vitest';
import { readIssuer } from '../../shared/pki/certificate.ts';
import { crlSchedule } from '../../shared/pki/crl-schedule.ts';
import { CRL_RULES, type CrlRuleId } from '../../shared/pki/lint-crl.ts';
import { BACKDATE_MS, type CertificateProfile, PROFILES } from '../../shared/pki/profile.ts';
import { RULES, type RuleId } from '../../shared/pki/rules.ts';
import { DAY, sampleAuthority } from './sample-authority.ts';

const LEAF = /^(dual-use|signing|encryption)-/;
const RSA_USER = /^(dual-use|signing|encryption)-rsa/;
const EC_USER = /^(dual-use|signing|encryption)-ec/;
const CA = /^(root|issuing)\//;
const SERVICE = /-signer\//;
const ANY = /./;
const ALL_SIGNATURES = [
  'sha256WithRSA',
  'sha384WithRSA',
  'sha512WithRSA',
  'ecdsaWithSha256',
  'ecdsaWithSha384',
];
const LONG_AND_SHORT = { rsa: [2048, 3072, 4096], ec: ['P-256', 'P-384'] };

type Field = Exclude<keyof CertificateProfile, 'name' | 'kind'>;

/** Row, profiles, field, what it must be, and the rule that the field names. */
const ROWS: readonly (readonly [string, RegExp, Field, unknown, RuleId])[] = [
  ['signature algorithm', ANY, 'signatureAlgorithms', ALL_SIGNATURES, 'signature-algorithm'],
  ['RSA sizes of CAs', CA, 'modulusBits', LONG_AND_SHORT.rsa, 'rsa-modulus'],
  ['curves of CAs', CA, 'curves', LONG_AND_SHORT.ec, 'ec-curve'],
  ['RSA sizes of users', RSA_USER, 'modulusBits', LONG_AND_SHORT.rsa, 'rsa-modulus'],
  ['no curve for users with RSA', RSA_USER, 'curves', [], 'ec-curve'],
  ['curves of users', EC_USER, 'curves', LONG_AND_SHORT.ec, 'ec-curve'],
  ['no RSA for users on curves', EC_USER, 'modulusBits', [], 'rsa-modulus'],
  ['20 years', /^root\//, 'maximumValiditySeconds', 7305 * 86_400, 'validity-cap'],
  ['10 years', /^issuing\//, 'maximumValiditySeconds', 3653 * 86_400, 'validity-cap'],
  ['819 days', LEAF, 'maximumValiditySeconds', 819 * 86_400, 'validity-cap'],
  ['30 days', /^ocsp-signer\//, 'maximumValiditySeconds', 30 * 86_400, 'validity-cap'],
  ['819 days of the audit signer', /^audit-signer\//, 'maximumValiditySeconds', 819 * 86_400, 'validity-cap'],
  ['country, organization, name', CA, 'subject', 'ca', 'subject-ca'],
  ['the same of services', SERVICE, 'subject', 'ca', 'subject-ca'],
  ['the address', /^[a-z-]+-(rsa|ec)\//, 'subject', 'mailbox', 'subject-mailbox'],
  ['the person and the organization', /-sponsor\//, 'subject', 'sponsor', 'subject-sponsor'],
  ['CA, any path', /^root\//, 'basicConstraints', { ca: true, pathLength: undefined }, 'basic-constraints'],
  ['CA, no CA below', /^issuing\//, 'basicConstraints', { ca: true, pathLength: 0 }, 'basic-constraints'],
  ['no basicConstraints', LEAF, 'basicConstraints', undefined, 'extension-unexpected'],
  ['key usage', /^root\//, 'keyUsage', ['keyCertSign', 'cRLSign'], 'key-usage'],
  ['key usage', /^issuing\//, 'keyUsage', ['digitalSignature', 'keyCertSign', 'cRLSign'], 'key-usage'],
  ['key usage', /^dual-use-rsa/, 'keyUsage', ['digitalSignature', 'keyEncipherment'], 'key-usage'],
  ['key usage', /^dual-use-ec/, 'keyUsage', ['digitalSignature', 'keyAgreement'], 'key-usage'],
  ['key usage', /^signing-/, 'keyUsage', ['digitalSignature'], 'key-usage'],
  ['key usage', /^encryption-rsa/, 'keyUsage', ['keyEncipherment'], 'key-usage'],
  ['key usage', /^encryption-ec/, 'keyUsage', ['keyAgreement'], 'key-usage'],
  ['key usage', SERVICE, 'keyUsage', ['digitalSignature'], 'key-usage'],
  ['no extended key usage', /^root\//, 'extKeyUsage', [], 'extension-unexpected'],
  ['mail and nothing else', /^issuing\//, 'extKeyUsage', ['emailProtection'], 'extended-key-usage'],
  ['mail and nothing else', LEAF, 'extKeyUsage', ['emailProtection'], 'extended-key-usage'],
  ['OCSP and nothing else', /^ocsp-signer\//, 'extKeyUsage', ['ocspSigning'], 'extended-key-usage'],
  ['documents and nothing else', /^audit-signer\//, 'extKeyUsage', ['documentSigning'], 'extended-key-usage'],
  ['no reserved policy', /^root\//, 'reservedPolicies', [], 'policy-reserved'],
  ['no reserved policy', SERVICE, 'reservedPolicies', [], 'policy-reserved'],
  [
    'strict or multipurpose, for addresses',
    /^[a-z-]+-(rsa|ec)\//,
    'reservedPolicies',
    ['2.23.140.1.5.1.2', '2.23.140.1.5.1.3'],
    'policy-reserved',
  ],
  [
    'strict or multipurpose, for persons',
    /-sponsor\//,
    'reservedPolicies',
    ['2.23.140.1.5.3.2', '2.23.140.1.5.3.3'],
    'policy-reserved',
  ],
  [
    'either, for users of both kinds below',
    /^issuing\//,
    'reservedPolicies',
    ['2.23.140.1.5.1.2', '2.23.140.1.5.1.3', '2.23.140.1.5.3.2', '2.23.140.1.5.3.3'],
    'policy-reserved',
  ],
  [
    'extensions',
    /^root\//,
    'extensions',
    { basicConstraints: 'critical', keyUsage: 'critical', subjectKeyIdentifier: 'not-critical' },
    'extension-unexpected',
  ],
  [
    'extensions',
    /^issuing\//,
    'extensions',
    {
      ...{ basicConstraints: 'critical', keyUsage: 'critical', extKeyUsage: 'not-critical' },
      ...{ subjectKeyIdentifier: 'not-critical', authorityKeyIdentifier: 'not-critical' },
      ...{ certificatePolicies: 'not-critical', cRLDistributionPoints: 'not-critical' },
      authorityInfoAccess: 'not-critical',
    },
    'extension-unexpected',
  ],
  [
    'extensions',
    LEAF,
    'extensions',
    {
      ...{ keyUsage: 'critical', extKeyUsage: 'not-critical', subjectAltName: 'unless-subject' },
      ...{ subjectKeyIdentifier: 'not-critical', authorityKeyIdentifier: 'not-critical' },
      ...{ certificatePolicies: 'not-critical', cRLDistributionPoints: 'not-critical' },
      authorityInfoAccess: 'not-critical',
    },
    'extension-unexpected',
  ],
  [
    'extensions, without any address',
    /^ocsp-signer\//,
    'extensions',
    {
      ...{ keyUsage: 'critical', extKeyUsage: 'not-critical', ocspNoCheck: 'not-critical' },
      ...{ subjectKeyIdentifier: 'not-critical', authorityKeyIdentifier: 'not-critical' },
    },
    'extension-unexpected',
  ],
];

/** What no profile has a field for, because it is the same in all of them: the rules alone say it. */
const IN_EVERY_CERTIFICATE: readonly (readonly [string, readonly RuleId[]])[] = [
  ['the serial is positive and has our shape', ['serial-positive', 'serial-shape']],
  ['the issuer’s name is its subject byte for byte, and its key may sign', ['issuer-dn', 'issuer-may-sign']],
  [
    'the signature’s algorithm has one encoding and fits the signer’s key',
    ['signature-algorithm', 'signature-fits-key'],
  ],
  [
    'the key has one encoding, exponent and no weakness',
    ['spki-algorithm', 'rsa-exponent', 'key-weak', 'key-not-issuers'],
  ],
  [
    'validity lies inside the issuer’s, begins lately, in the right form',
    ['validity-nested', 'not-before-skew', 'time-encoding'],
  ],
  [
    'the subject is short enough and says no address that the SAN does not',
    ['subject-length', 'subject-address-in-san'],
  ],
  ['addresses are the only names, each once, in A-labels', ['san-types', 'san-address', 'san-duplicate']],
  [
    'our own policy is there, any policy never, none twice, all in the issuer',
    ['policy-own', 'policy-any', 'policy-duplicate', 'policy-in-issuer', 'policy-qualifier'],
  ],
  [
    'addresses of CRL, issuer and OCSP are plain http on the customer’s name',
    ['crl-point', 'access-methods', 'url-scheme', 'url-host', 'url-parameters'],
  ],
  [
    'key identifiers are the subject’s and the issuer’s and nothing more',
    ['subject-key-identifier', 'authority-key-identifier'],
  ],
  [
    'no extension is missing, twice, or critical when it should not be',
    ['extension-missing', 'extension-duplicate', 'extension-criticality'],
  ],
  [
    'the bytes are DER, version 3, without unique ids, and two parsers agree',
    ['strict-der', 'version-3', 'unique-ids-absent', 'parsers-agree'],
  ],
  ['a root is signed by itself', ['self-signed']],
];

/** The same for CRLs, of users and of roots. */
const IN_EVERY_CRL: readonly (readonly [string, readonly CrlRuleId[]])[] = [
  ['version 2, signed like a certificate', ['crl-version', 'crl-signature-algorithm', 'crl-der']],
  [
    'by the issuer, whose key may sign CRLs',
    ['crl-issuer-dn', 'crl-issuer-may-sign', 'crl-authority-key-identifier'],
  ],
  [
    'new, and good for no longer than is allowed',
    ['crl-this-update', 'crl-next-update', 'crl-time-encoding'],
  ],
  ['key identifier and number are its only extensions', ['crl-extensions', 'crl-number']],
  ['without a list where nobody is revoked', ['crl-empty-list']],
  [
    'each entry once, with one of five reasons, never 0 and never 6',
    ['crl-entry-serial', 'crl-entry-order', 'crl-entry-extensions', 'crl-entry-reason'],
  ],
];

describe('the rows of the profiles', () => {
  test.each(ROWS)('%s of %s: %s', (_row, profiles, field, value, rule) => {
    const meant = PROFILES.filter(({ name }) => profiles.test(name));
    expect(meant).not.toEqual([]);
    for (const profile of meant) {
      expect(profile[field].value, profile.name).toEqual(value);
      expect(profile[field].rule, profile.name).toBe(rule);
    }
  });

  it('are all of them, for every profile', () => {
    const fields: readonly Field[] = [
      ...(['signatureAlgorithms', 'modulusBits', 'curves', 'maximumValiditySeconds', 'subject'] as const),
      ...(['reservedPolicies', 'extensions', 'keyUsage', 'extKeyUsage', 'basicConstraints'] as const),
    ];
    for (const profile of PROFILES) {
      const written = ROWS.filter(([, profiles]) => profiles.test(profile.name)).map(([, , field]) => field);
      // The services' remaining rows differ in nothing that users' do not have; profile.test.ts shows those.
      const left =
        profile.kind === 'service' ? ['modulusBits', 'curves', 'basicConstraints', 'extensions'] : [];
      expect(
        fields.filter((field) => !written.includes(field) && !left.includes(field)),
        profile.name,
      ).toEqual([]);
    }
  });

  it('and what is the same in every certificate use each rule of the linter', () => {
    const named = [
      ...ROWS.map(([, , , , rule]) => rule),
      ...IN_EVERY_CERTIFICATE.flatMap(([, rules]) => rules),
    ];
    expect([...new Set(named)].toSorted()).toEqual(Object.keys(RULES).toSorted());
  });

  it('of CRLs use each rule of the CRL linter', () => {
    expect(IN_EVERY_CRL.flatMap(([, rules]) => rules).toSorted()).toEqual(Object.keys(CRL_RULES).toSorted());
  });
});

describe('times that a new version must not change unseen', () => {
  it('are five minutes of back-dating, seven days of a CRL within ten, and half a year of a root’s within twelve months', async () => {
    const ca = await sampleAuthority();
    expect(BACKDATE_MS).toBe(5 * 60_000);
    expect(crlSchedule(readIssuer(ca.issuing.certificateDer).certificate)).toMatchObject({
      validForMs: 7 * DAY,
      maximumMs: 10 * DAY,
    });
    const root = crlSchedule(readIssuer(ca.root.certificateDer).certificate);
    expect(root.validForMs).toBe(183 * DAY);
    expect(root.maximumMs).toBeLessThanOrEqual(366 * DAY);
  });
});
