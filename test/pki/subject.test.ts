import { describe, expect, it, test } from 'vitest';
import { MAILBOX_TEMPLATE } from '../../shared/domain/subject-template.ts';
import { readName } from '../../shared/pki/name.ts';
import { encodeLeafSubject, subjectPlan } from '../../shared/pki/subject.ts';

const SPONSOR = {
  organization: 'Acme GmbH',
  organizationIdentifier: 'VATDE-123456789',
  givenName: '{givenName}',
  surname: '{familyName}',
  commonName: '{address}',
};
const ana = { primaryAddress: 'ana@acme.example', givenName: 'Ana', familyName: 'Müller' };
const values = (template: Record<string, string>, attributes: typeof ana | { primaryAddress: string }) =>
  readName(encodeLeafSubject(subjectPlan(template), attributes)).map(({ value }) => value);

describe('a subject template', () => {
  it('for the address alone says the address and nothing else', () => {
    expect(values({ ...MAILBOX_TEMPLATE }, ana)).toEqual(['ana@acme.example']);
  });

  it('for a person fills in what the directory has', () => {
    expect(values(SPONSOR, ana)).toEqual([
      'Acme GmbH',
      'VATDE-123456789',
      'Ana',
      'Müller',
      'ana@acme.example',
    ]);
  });

  it('writes names composed and with single spaces, however the directory spells them', () => {
    const spelled = { ...ana, givenName: '  A\u0301na   Maria ' };
    expect(values({ ...SPONSOR, commonName: '{givenName} {familyName}' }, spelled).at(-1)).toBe(
      'Ána Maria Müller',
    );
  });

  test.each([
    ['an organizational unit', { ...SPONSOR, ou: 'Sales' }, 'organizational unit'],
    [
      'an organizational unit by its long name',
      { ...SPONSOR, organizationalUnitName: 'Sales' },
      'organizational unit',
    ],
    ['an unknown placeholder', { commonName: '{title}' }, '{title}'],
    ['a stray brace', { ...SPONSOR, organization: 'Acme {' }, 'stray brace'],
    [
      'a name and no organization',
      { commonName: '{givenName} {familyName}' },
      'lacks organization, organizationIdentifier',
    ],
    ['a title', { ...SPONSOR, title: 'Dr' }, 'title'],
    ['an organization out of the directory', { ...SPONSOR, organization: '{familyName}' }, 'written out'],
    ['an identifier without a scheme', { ...SPONSOR, organizationIdentifier: '123456' }, 'NTRDE-HRB123456'],
    ['a country in words', { ...SPONSOR, country: 'Germany' }, 'two capital letters'],
    ['another common name', { ...SPONSOR, commonName: 'Employee' }, 'commonName'],
    ['a fixed given name', { ...SPONSOR, givenName: 'Staff' }, 'givenName'],
  ] as const)('with %s is refused when the policy is read', (_what, template, said) => {
    expect(() => subjectPlan(template as unknown as Record<string, string>)).toThrow(
      expect.objectContaining({ code: 'policy-invalid', message: expect.stringContaining(said) }),
    );
  });

  test.each([
    'NTRDE-HRB123456',
    'NTRUS+CA-12345',
    'VATFR-12345678901',
    'GOVDE',
    'LEIXG-AEYE00EKXESVZUUEBP67',
    'PSDES-BDE-3DFD21',
  ])('takes the identifier %s', (organizationIdentifier) => {
    expect(subjectPlan({ ...SPONSOR, organizationIdentifier }).kind).toBe('sponsor');
  });

  test.each([
    ['no family name', { primaryAddress: 'ana@acme.example', givenName: 'Ana' }, 'familyName'],
    ['a dash for a family name', { ...ana, familyName: '-' }, 'familyName'],
    ['a name of 65 letters', { ...ana, familyName: 'ä'.repeat(65) }, '64 characters'],
    ['a name with a control character', { ...ana, familyName: 'M\u0007' }, 'control characters'],
  ])('is not filled in from a directory with %s, naming the user', (_what, attributes, said) => {
    expect(() => values(SPONSOR, attributes)).toThrow(
      expect.objectContaining({
        code: 'lint-failed',
        message: expect.stringMatching(new RegExp(`${said}.*`)),
      }),
    );
    expect(() => values(SPONSOR, attributes)).toThrow('ana@acme.example');
  });
});
