import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { need, parseSettings, type Settings } from '../../shared/config/settings.ts';
import { isSealwrightError } from '../../shared/errors.ts';

const SECRET = 'hunter2-do-not-repeat';

/** The sentence with which these settings are refused. */
function refusal(environment: Readonly<Record<string, string>>): string {
  try {
    parseSettings(environment);
  } catch (error) {
    if (isSealwrightError(error) && error.code === 'settings-invalid') return error.message;
    throw error;
  }
  throw new Error('The settings were taken.');
}

/** What each setting is when nobody sets it; a new one belongs here too. */
const DEFAULTS: { readonly [K in keyof Settings]-?: Settings[K] | undefined } = {
  SEALWRIGHT_PROJECT: undefined,
  SEALWRIGHT_POLICY_FILE: undefined,
  SEALWRIGHT_DATABASE_URL: undefined,
  SEALWRIGHT_GOOGLE_ROOT_URL: undefined,
  SEALWRIGHT_CREDENTIALS: 'metadata-server',
  SEALWRIGHT_CLOCK_OFFSET_FILE: undefined,
  SEALWRIGHT_SERVICE_ACCOUNT: undefined,
  SEALWRIGHT_BEHIND_IAM: 'false',
  SEALWRIGHT_AUDIENCE: undefined,
  SEALWRIGHT_CALLERS: [],
  SEALWRIGHT_SIGN_URL: undefined,
  SEALWRIGHT_GMAIL_ACCOUNT: undefined,
  SEALWRIGHT_DIRECTORY_ACCOUNT: undefined,
  SEALWRIGHT_REPORTS_ADMIN: undefined,
  SEALWRIGHT_ORGANIZATION: undefined,
  SEALWRIGHT_WATCH_URL: undefined,
  SEALWRIGHT_BUCKET: undefined,
  SEALWRIGHT_OCSP_KEY_SECRET: undefined,
  SEALWRIGHT_AUDIT_KEY_SECRET: undefined,
  SEALWRIGHT_PUBLIC_HTTP_PROXY: undefined,
  SEALWRIGHT_ADMINS: [],
  SEALWRIGHT_ADMIN_AUDIENCES: [],
  SEALWRIGHT_LEASE_SECONDS: 60,
  SEALWRIGHT_SWEEP_INTERVAL_HOURS: 6,
  SEALWRIGHT_SWEEP_BUDGET_SECONDS: 480,
  SEALWRIGHT_LOOK_BY_AGE_DAYS: 7,
  SEALWRIGHT_HINTS_PER_MINUTE: 400,
  SEALWRIGHT_DIRECTORY_PER_MINUTE: 2_400,
  SEALWRIGHT_GMAIL_UNITS_PER_MINUTE: 1_200_000,
  SEALWRIGHT_KEY_FOLDER: undefined,
  SEALWRIGHT_KEY_SERVICE_URL: undefined,
  SEALWRIGHT_KEY_SERVICE_TENANT: undefined,
  SEALWRIGHT_KEY_SERVICE_DOMAIN: undefined,
  SEALWRIGHT_KEY_SERVICE_IDENTITY_PROVIDERS: [],
  SEALWRIGHT_KEY_SERVICE_WRAP_CALLERS: [],
  SEALWRIGHT_KEY_SERVICE_REWRAP_CALLERS: [],
  SEALWRIGHT_KEY_SERVICE_KEYS: [],
  SEALWRIGHT_KEY_SERVICE_TOKEN_KEYS: [],
  SEALWRIGHT_KEY_SERVICE_APPLICATIONS: undefined,
  SEALWRIGHT_KEY_SERVICE_ADMIN_PROVIDERS: [],
  SEALWRIGHT_KEY_SERVICE_ADMINS: {},
  SEALWRIGHT_KEY_SERVICE_MIGRATION_SOURCES: [],
  SEALWRIGHT_KEY_SERVICE_MIGRATION_TARGETS: [],
  SEALWRIGHT_KEY_SERVICE_GUESTS: 'false',
  SEALWRIGHT_KEY_SERVICE_PERIMETERS: undefined,
  SEALWRIGHT_KEY_SERVICE_USER_RATE_LIMIT: undefined,
  SEALWRIGHT_KEY_SERVICE_PRIVILEGED_RATE_LIMIT: undefined,
  SEALWRIGHT_KEY_SERVICE_SHA1_SIGNING: 'false',
  SEALWRIGHT_KEY_SERVICE_OAEP_MGF1: 'same',
  SEALWRIGHT_KEY_SERVICE_FEED: undefined,
  SEALWRIGHT_KEY_SERVICE_FEED_KEY_FILE: undefined,
  SEALWRIGHT_KEY_SERVICE_FEED_AUTHORIZATION_FILE: undefined,
  SEALWRIGHT_KEY_SERVICE_STATE: undefined,
  SEALWRIGHT_TLS_CERTIFICATE_FILE: undefined,
  SEALWRIGHT_TLS_KEY_FILE: undefined,
  PORT: 8080,
  K_REVISION: 'local',
};

describe('settings', () => {
  test.each(Object.entries(DEFAULTS))('without %s have %j', (name, value) => {
    expect(parseSettings({})[name as keyof Settings]).toEqual(value);
  });

  test('have nothing that is not in the list above', () => {
    const names = new Set(Object.keys(DEFAULTS));
    expect(Object.keys(parseSettings({})).filter((name) => !names.has(name))).toEqual([]);
  });

  test('are frozen', () => {
    expect(Object.isFrozen(parseSettings({}))).toBe(true);
  });

  test('keep to themselves: other variables of the environment are left out', () => {
    expect(parseSettings({ PATH: '/bin', GOOGLE_APPLICATION_CREDENTIALS: 'x' })).toEqual(parseSettings({}));
  });

  test.each([
    ['SEALWRIGHT_CALLERS', ' A@acme.example , b@acme.example,', ['a@acme.example', 'b@acme.example']],
    ['SEALWRIGHT_ADMINS', 'Admin@Acme.Example', ['admin@acme.example']],
    // As Terraform writes an empty list of applications.
    ['SEALWRIGHT_KEY_SERVICE_APPLICATIONS', '', undefined],
    ['SEALWRIGHT_KEY_SERVICE_APPLICATIONS', 'gmail, drive', ['gmail', 'drive']],
    ['SEALWRIGHT_KEY_SERVICE_WRAP_CALLERS', ',,', []],
    ['SEALWRIGHT_ADMIN_AUDIENCES', 'https://Admin.example, b', ['https://Admin.example', 'b']],
    ['SEALWRIGHT_KEY_SERVICE_KEYS', 'k/2,k/1', ['k/2', 'k/1']],
    ['SEALWRIGHT_LEASE_SECONDS', '3', 3],
    ['SEALWRIGHT_LEASE_SECONDS', '600', 600],
    ['SEALWRIGHT_BEHIND_IAM', 'true', 'true'],
    ['K_REVISION', 'admin-00042-abc', 'admin-00042-abc'],
  ])('read %s = %j as %j', (name, text, value) => {
    expect(parseSettings({ [name]: text })[name as keyof Settings]).toEqual(value);
  });

  test('read the identity providers from JSON', () => {
    const providers = [
      { issuer: 'https://idp.example', jwksUrl: 'https://idp.example/keys', audiences: ['a'] },
    ];
    expect(
      parseSettings({ SEALWRIGHT_KEY_SERVICE_IDENTITY_PROVIDERS: JSON.stringify(providers) })
        .SEALWRIGHT_KEY_SERVICE_IDENTITY_PROVIDERS,
    ).toEqual(providers);
  });

  test.each([
    ['SEALWRIGHT_GOOGLE_ROOT_URL', SECRET],
    ['SEALWRIGHT_SIGN_URL', SECRET],
    ['SEALWRIGHT_WATCH_URL', `://${SECRET}`],
    ['SEALWRIGHT_KEY_SERVICE_URL', SECRET],
    ['SEALWRIGHT_BEHIND_IAM', SECRET],
    ['SEALWRIGHT_BEHIND_IAM', 'TRUE'],
    ['SEALWRIGHT_BEHIND_IAM', ''],
    ['SEALWRIGHT_LEASE_SECONDS', SECRET],
    ['SEALWRIGHT_LEASE_SECONDS', '2'],
    ['SEALWRIGHT_LEASE_SECONDS', '601'],
    ['SEALWRIGHT_LEASE_SECONDS', ''],
    ['SEALWRIGHT_KEY_SERVICE_IDENTITY_PROVIDERS', SECRET],
    ['SEALWRIGHT_KEY_SERVICE_IDENTITY_PROVIDERS', `"${SECRET}"`],
    ['SEALWRIGHT_KEY_SERVICE_IDENTITY_PROVIDERS', `[{"issuer":"i","jwksUrl":"${SECRET}","audiences":["a"]}]`],
    [
      'SEALWRIGHT_KEY_SERVICE_IDENTITY_PROVIDERS',
      `[{"issuer":"i","jwksUrl":"https://k.example","audiences":[]}]`,
    ],
  ])('with %s = %j are refused by name, without repeating the value', (name, value) => {
    const message = refusal({ [name]: value });
    expect(message).toMatch(/^The settings do not fit: .+\.$/);
    expect(message).toContain(name);
    expect(message).not.toContain(SECRET);
  });

  test('name everything that does not fit at once', () => {
    const message = refusal({
      SEALWRIGHT_BEHIND_IAM: 'yes',
      SEALWRIGHT_LEASE_SECONDS: '0',
      SEALWRIGHT_SIGN_URL: 'x',
    });
    for (const name of ['SEALWRIGHT_BEHIND_IAM', 'SEALWRIGHT_LEASE_SECONDS', 'SEALWRIGHT_SIGN_URL'])
      expect(message).toContain(name);
  });

  test('of any text either fit or are refused, and a refusal never repeats a text', () => {
    const text = fc.stringMatching(/^[a-z]{12,20}$/);
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(DEFAULTS)), text, (name, value) => {
        try {
          parseSettings({ [name]: value });
        } catch (error) {
          expect(
            isSealwrightError(error) && error.message.includes(name) && !error.message.includes(value),
          ).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('a setting that a function needs', () => {
  test('is answered where it is there', () => {
    const settings = parseSettings({ SEALWRIGHT_PROJECT: 'acme', SEALWRIGHT_ADMINS: 'a@acme.example' });
    expect(need(settings, 'SEALWRIGHT_PROJECT')).toBe('acme');
    expect(need(settings, 'SEALWRIGHT_ADMINS')).toEqual(['a@acme.example']);
  });

  test.each<[string, keyof Settings, Record<string, string>]>([
    ['absent', 'SEALWRIGHT_PROJECT', {}],
    ['empty', 'SEALWRIGHT_PROJECT', { SEALWRIGHT_PROJECT: '' }],
    ['an empty list', 'SEALWRIGHT_ADMINS', { SEALWRIGHT_ADMINS: ' , ' }],
  ])('and that is %s stops the start by name', (_what, name, environment) => {
    expect(() => need(parseSettings(environment), name)).toThrow(
      `The setting ${name} is missing; this function cannot start without it.`,
    );
  });
});
