import { describe, expect, test } from 'vitest';
import { parsePolicy } from '../../shared/config/policy.ts';
import { SealwrightError } from '../../shared/errors.ts';

const minimal = `version: 1
rules:
  - name: staff
    orgUnit: /Staff
    keyService: https://kacls.acme.example
`;

function mistakes(text: string): string {
  try {
    parsePolicy(text);
  } catch (error) {
    if (error instanceof SealwrightError && error.code === 'policy-invalid') return error.message;
    throw error;
  }
  throw new Error('the policy was taken');
}

describe('a policy file', () => {
  test('with only what is needed gets the documented defaults', () => {
    expect(parsePolicy(minimal)).toEqual({
      rules: [
        {
          name: 'staff',
          orgUnit: '/Staff',
          modulusBits: 3072,
          validityDays: 365,
          renewBeforeMs: 30 * 86_400_000,
          keyServiceUrl: 'https://kacls.acme.example',
          includeAliases: false,
          grace: { leaveMs: 86_400_000, suspendMs: 30 * 86_400_000, supersededMs: 3 * 86_400_000 },
        },
      ],
      defaults: { grace: { leaveMs: 86_400_000, suspendMs: 30 * 86_400_000, supersededMs: 3 * 86_400_000 } },
      guard: { minimumPerHour: 5, shareOfCovered: 0.05, maximumPerHour: 200 },
    });
  });

  test('with a typo is refused with line, column and the field that was meant', () => {
    expect(mistakes(`${minimal}    keysize: 3072\n`)).toContain(
      'policy.yaml:6:5: unknown field "keysize"; did you mean "keySize"?',
    );
  });

  test('with a typo deep inside is refused at its own place', () => {
    expect(mistakes(`${minimal}    grace:\n      leav: 24h\n`)).toContain(
      'policy.yaml:7:7: unknown field "leav"; did you mean "leave"?',
    );
  });

  test('with several mistakes names them all', () => {
    const message = mistakes('version: 2\nrules:\n  - name: staff\n    orgUnit: Staff\n');
    expect(message).toContain('policy.yaml:1:1: version: version is 1');
    expect(message).toContain('policy.yaml:4:5: orgUnit: an org unit is an absolute path');
    expect(message).toContain('keyService');
  });

  test.each([
    ['keySize: 1024', 'keySize is 2048, 3072 or 4096'],
    ['validity: 820d', 'at most 27 months'],
    ['validity: 36h', 'whole days'],
    ['validity: soon', '"soon" is no length of time'],
    ['renewBefore: 274d', 'renewBefore must be less than three quarters of validity'],
    ['validity: 40d', 'renewBefore must be less than three quarters of validity'],
  ])('with %s is refused, saying %s', (line, message) => {
    expect(mistakes(`${minimal}    ${line}\n`)).toContain(message);
  });

  test('that covers one unit twice is refused, without regard to case', () => {
    expect(
      mistakes(
        `${minimal}  - name: again\n    orgUnit: /STAFF\n    keyService: https://kacls.acme.example\n`,
      ),
    ).toContain('policy.yaml:7:5: two rules cover /STAFF');
  });

  test('that is no YAML is refused with its line', () => {
    expect(mistakes('version: 1\nrules: [\n')).toMatch(/policy\.yaml:\d+:\d+: /);
  });

  test('that is empty is refused', () => {
    expect(() => parsePolicy('')).toThrow(SealwrightError);
  });
});
