import { describe, expect, it, test } from 'vitest';
import {
  type CertificateProfile,
  DUAL_USE_RSA,
  defineProfile,
  ISSUING,
  leafProfile,
  ROOT,
} from '../../shared/pki/profile.ts';
import { RULES } from '../../shared/pki/rules.ts';

describe('a profile', () => {
  test.each([ROOT, ISSUING, DUAL_USE_RSA])('($name) names an existing rule in every row', (profile) => {
    const rules = Object.values(profile).flatMap((row: unknown) =>
      typeof row === 'object' && row !== null && 'rule' in row ? [row.rule] : [],
    );
    expect(rules).toHaveLength(8);
    for (const rule of rules) expect(Object.keys(RULES)).toContain(rule);
  });

  it('for leaves is found by the name an intent recorded', () => {
    expect(leafProfile('dual-use-rsa/1')).toBe(DUAL_USE_RSA);
  });

  test.each(['root/1', 'issuing/1', 'dual-use-rsa/0', ''])(
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

  it('for encryption only is a change of one row', () => {
    const profile = defineProfile({
      ...DUAL_USE_RSA,
      name: 'encryption-rsa/1',
      keyUsage: { value: ['keyEncipherment'], rule: 'key-usage' },
    });
    expect(profile.keyUsage.value).toEqual(['keyEncipherment']);
  });
});
