import { describe, expect, it, test } from 'vitest';
import {
  type CertificateProfile,
  DUAL_USE_RSA,
  defineProfile,
  LEAF_PROFILES,
  leafProfile,
  leafProfileFor,
  OCSP_SIGNER,
  PROFILES,
  serviceProfile,
} from '../../shared/pki/profile.ts';
import { RULES } from '../../shared/pki/rules.ts';

describe('a profile', () => {
  test.each(PROFILES)('($name) names an existing rule in every row', (profile) => {
    const rules = Object.values(profile).flatMap((row: unknown) =>
      typeof row === 'object' && row !== null && 'rule' in row ? [row.rule] : [],
    );
    expect(rules).toHaveLength(10);
    for (const rule of rules) expect(Object.keys(RULES)).toContain(rule);
  });

  it('has a name of its own, which is how an intent records it', () => {
    expect(new Set(PROFILES.map(({ name }) => name)).size).toBe(PROFILES.length);
  });

  it('for users comes for every use, kind of key and kind of subject', () => {
    expect(LEAF_PROFILES.map(({ name }) => name)).toEqual([
      'dual-use-rsa/1',
      'dual-use-rsa-sponsor/1',
      'dual-use-ec/1',
      'dual-use-ec-sponsor/1',
      'signing-rsa/1',
      'signing-rsa-sponsor/1',
      'signing-ec/1',
      'signing-ec-sponsor/1',
      'encryption-rsa/1',
      'encryption-rsa-sponsor/1',
      'encryption-ec/1',
      'encryption-ec-sponsor/1',
    ]);
  });

  test.each([
    ['dual-use', 'rsa', ['digitalSignature', 'keyEncipherment']],
    ['dual-use', 'ec', ['digitalSignature', 'keyAgreement']],
    ['signing', 'rsa', ['digitalSignature']],
    ['signing', 'ec', ['digitalSignature']],
    ['encryption', 'rsa', ['keyEncipherment']],
    ['encryption', 'ec', ['keyAgreement']],
  ] as const)('for %s with %s has the key usage of the strict column', (use, key, usage) => {
    expect(leafProfileFor(use, key).keyUsage.value).toEqual(usage);
  });

  it('of an OCSP signer has nocheck and no address that could revoke it', () => {
    expect(serviceProfile('ocsp-signer/1')).toBe(OCSP_SIGNER);
    expect(Object.keys(OCSP_SIGNER.extensions.value).toSorted()).toEqual([
      'authorityKeyIdentifier',
      'extKeyUsage',
      'keyUsage',
      'ocspNoCheck',
      'subjectKeyIdentifier',
    ]);
  });

  it('for leaves is found by the name an intent recorded', () => {
    expect(leafProfile('dual-use-rsa/1')).toBe(DUAL_USE_RSA);
  });

  test.each(['root/1', 'issuing/1', 'ocsp-signer/1', 'dual-use-rsa/0', ''])(
    'named "%s" cannot be issued as a leaf',
    (name) => {
      expect(() => leafProfile(name)).toThrow(expect.objectContaining({ code: 'lint-failed' }));
    },
  );

  const broken: readonly (readonly [string, Partial<CertificateProfile>])[] = [
    ['a leaf that may sign certificates', { keyUsage: { value: ['keyCertSign'], rule: 'key-usage' } }],
    ['a leaf that may sign CRLs', { keyUsage: { value: ['cRLSign'], rule: 'key-usage' } }],
    ['no key usage', { keyUsage: { value: [], rule: 'key-usage' } }],
    [
      'an extended key usage without its extension',
      { extensions: { value: { keyUsage: 'critical' }, rule: 'extension-unexpected' } },
    ],
    [
      'CA constraints on a leaf',
      { basicConstraints: { value: { ca: true, pathLength: 0 }, rule: 'basic-constraints' } },
    ],
    ['more than 819 days', { maximumValiditySeconds: { value: 820 * 86_400, rule: 'validity-cap' } }],
    ['the subject of a CA', { subject: { value: 'ca', rule: 'subject-ca' } }],
  ];

  test.each(broken)('with %s contradicts itself and is refused at start', (_what, change) => {
    expect(() => defineProfile({ ...DUAL_USE_RSA, ...change })).toThrow(
      expect.objectContaining({
        code: 'settings-invalid',
        message: expect.stringContaining('"dual-use-rsa/1" contradicts itself'),
      }),
    );
  });

  test.each([
    ['RSA with keyAgreement', { keyUsage: { value: ['keyAgreement'], rule: 'key-usage' } }],
    [
      'no kind of key',
      { modulusBits: { value: [], rule: 'rsa-modulus' }, curves: { value: [], rule: 'ec-curve' } },
    ],
    ['EC with keyEncipherment', { curves: { value: ['P-256'], rule: 'ec-curve' } }],
  ] as const satisfies readonly (readonly [string, Partial<CertificateProfile>])[])(
    'with %s contradicts itself too',
    (_what, change) => {
      expect(() => defineProfile({ ...DUAL_USE_RSA, ...change })).toThrow('contradicts itself');
    },
  );

  it('of an OCSP signer without nocheck contradicts itself', () => {
    const { ocspNoCheck: _removed, ...value } = OCSP_SIGNER.extensions.value;
    expect(() => defineProfile({ ...OCSP_SIGNER, extensions: { ...OCSP_SIGNER.extensions, value } })).toThrow(
      'nocheck',
    );
  });
});
