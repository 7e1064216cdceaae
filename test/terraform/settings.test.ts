import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FUNCTION_NAMES, FUNCTIONS, type FunctionName } from '../../functions/catalog.ts';
import { ACCOUNTS, COMPANY, SECRETS } from '../../local/company.ts';
import { functionEnvironments } from '../../local/environment.ts';
import { policyText } from '../../local/policy-text.ts';
import { systemClock } from '../../shared/adapters/clock/system-clock.ts';
import { parseSettings, type Settings } from '../../shared/config/settings.ts';
import { DEFAULT_RATE_LIMITS } from '../../shared/kacls/settings.ts';
import { urlProblem } from '../../shared/pki/public-url.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import { type Configuration, readConfiguration } from '../../terraform/check/configuration.ts';
import { terraformVersion } from '../../terraform/check/terraform-command.ts';
import { openTestLedger } from '../support/ledger.ts';
import { evaluate, FOLDER, refusalOf } from './evaluated.ts';

type Environment = Readonly<Record<string, string>>;

/** For a machine of developers, or set by Cloud Run itself, or with a default that is meant for production. */
const NOT_FOR_TERRAFORM = [
  // A folder mounted by hand (docs/key-service.md); Terraform mounts none.
  'SEALWRIGHT_KEY_FOLDER',
  'SEALWRIGHT_GOOGLE_ROOT_URL',
  'SEALWRIGHT_CLOCK_OFFSET_FILE',
  'SEALWRIGHT_SERVICE_ACCOUNT',
  'SEALWRIGHT_CREDENTIALS',
  'SEALWRIGHT_LEASE_SECONDS',
  'SEALWRIGHT_SWEEP_INTERVAL_HOURS',
  'SEALWRIGHT_SWEEP_BUDGET_SECONDS',
  'SEALWRIGHT_LOOK_BY_AGE_DAYS',
  'SEALWRIGHT_HINTS_PER_MINUTE',
  'SEALWRIGHT_DIRECTORY_PER_MINUTE',
  'SEALWRIGHT_GMAIL_UNITS_PER_MINUTE',
  'SEALWRIGHT_PUBLIC_HTTP_PROXY',
  'K_REVISION',
];

let configuration: Configuration;
let ledger: Ledger;
let folder = '';
beforeAll(async () => {
  configuration = await readConfiguration(FOLDER);
  ledger = await openTestLedger(systemClock);
  folder = mkdtempSync(join(tmpdir(), 'sealwright-settings-'));
  writeFileSync(join(folder, 'policy.yaml'), policyText('https://kacls.acme.example/v1'));
});
afterAll(async () => {
  await ledger.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Builds the function from an environment as it is built at its first request, and answers which settings it read. */
async function settingsReadBy(name: FunctionName, environment: Environment): Promise<readonly string[]> {
  const read = new Set<string>();
  const settings: Settings = new Proxy(
    { ...parseSettings(environment) },
    {
      get(target, key) {
        if (typeof key === 'string') read.add(key);
        return Reflect.get(target, key);
      },
    },
  );
  await FUNCTIONS[name](settings, { ledger });
  return [...read].toSorted();
}

/** A value of the right form for each setting, so that what counts is which are there. */
const SAMPLE: Environment = {
  SEALWRIGHT_PROJECT: 'p',
  SEALWRIGHT_BEHIND_IAM: 'true',
  SEALWRIGHT_AUDIENCE: 'https://a.example',
  SEALWRIGHT_CALLERS: 'a@a.example',
  SEALWRIGHT_SIGN_URL: 'https://sign.example',
  SEALWRIGHT_GMAIL_ACCOUNT: 'gmail@a.example',
  SEALWRIGHT_DIRECTORY_ACCOUNT: 'directory@a.example',
  SEALWRIGHT_REPORTS_ADMIN: '',
  SEALWRIGHT_ORGANIZATION: '123456789012',
  SEALWRIGHT_WATCH_URL: 'https://watch.example',
  SEALWRIGHT_BUCKET: 'b',
  SEALWRIGHT_OCSP_KEY_SECRET: 'projects/p/secrets/ocsp',
  SEALWRIGHT_AUDIT_KEY_SECRET: 'projects/p/secrets/audit',
  SEALWRIGHT_ADMINS: 'admin@a.example',
  SEALWRIGHT_ADMIN_AUDIENCES: 'client',
  SEALWRIGHT_KEY_SERVICE_URL: 'https://kacls.example/v1',
  SEALWRIGHT_KEY_SERVICE_TENANT: 'C1',
  SEALWRIGHT_KEY_SERVICE_DOMAIN: 'a.example',
  SEALWRIGHT_KEY_SERVICE_KEYS: 'projects/p/secrets/k/versions/1',
  SEALWRIGHT_KEY_SERVICE_WRAP_CALLERS: 'a@a.example',
  SEALWRIGHT_KEY_SERVICE_APPLICATIONS: 'gmail',
  SEALWRIGHT_KEY_SERVICE_TOKEN_KEYS: '',
  SEALWRIGHT_KEY_SERVICE_ADMIN_PROVIDERS: '[]',
  SEALWRIGHT_KEY_SERVICE_ADMINS: '{}',
  SEALWRIGHT_KEY_SERVICE_MIGRATION_SOURCES: '',
  SEALWRIGHT_KEY_SERVICE_MIGRATION_TARGETS: '',
  SEALWRIGHT_KEY_SERVICE_GUESTS: 'false',
  SEALWRIGHT_KEY_SERVICE_PERIMETERS: '',
  SEALWRIGHT_KEY_SERVICE_USER_RATE_LIMIT: '{"burst":300,"perSecond":10}',
  SEALWRIGHT_KEY_SERVICE_PRIVILEGED_RATE_LIMIT: '{"burst":1000,"perSecond":100}',
  SEALWRIGHT_KEY_SERVICE_SHA1_SIGNING: 'false',
  SEALWRIGHT_KEY_SERVICE_OAEP_MGF1: 'same',
  SEALWRIGHT_KEY_SERVICE_IDENTITY_PROVIDERS:
    '[{"issuer":"https://i.example","jwksUrl":"https://i.example/k","audiences":["c"]}]',
};

describe('settings in Terraform', () => {
  const keysOf = (name: FunctionName): readonly string[] => {
    const settings = configuration.blocks.find(({ address }) => address === 'local.settings');
    const tables = (settings?.body['value'] ?? {}) as Readonly<Record<string, object>>;
    // What Node itself is told is no setting of ours.
    return Object.keys(tables[name] ?? {})
      .filter((key) => key !== 'NODE_OPTIONS')
      .toSorted();
  };
  const sampleOf = (keys: readonly string[]): Environment =>
    Object.fromEntries(
      keys.map((key) => [
        key,
        key === 'SEALWRIGHT_POLICY_FILE' ? join(folder, 'policy.yaml') : (SAMPLE[key] ?? 'no sample'),
      ]),
    );

  test.each(FUNCTION_NAMES)('are for %s exactly those that it reads', async (name) => {
    const read = await settingsReadBy(name, sampleOf(keysOf(name)));
    expect(read.filter((key) => !NOT_FOR_TERRAFORM.includes(key))).toEqual(keysOf(name));
  });

  test.each(FUNCTION_NAMES)(
    'are for %s without one that it could start without by accident',
    async (name) => {
      const withDefaults = [
        'SEALWRIGHT_BEHIND_IAM',
        'SEALWRIGHT_ORGANIZATION',
        'SEALWRIGHT_REPORTS_ADMIN',
        'SEALWRIGHT_OCSP_KEY_SECRET',
        'SEALWRIGHT_AUDIT_KEY_SECRET',
        'SEALWRIGHT_KEY_SERVICE_WRAP_CALLERS',
        'SEALWRIGHT_KEY_SERVICE_REWRAP_CALLERS',
        // Where the key service is another vendor's, `due` has nothing to wrap again.
        ...(name === 'due' ? ['SEALWRIGHT_KEY_SERVICE_URL'] : []),
        'SEALWRIGHT_KEY_SERVICE_APPLICATIONS',
        'SEALWRIGHT_KEY_SERVICE_TOKEN_KEYS',
        'SEALWRIGHT_KEY_SERVICE_ADMIN_PROVIDERS',
        'SEALWRIGHT_KEY_SERVICE_ADMINS',
        'SEALWRIGHT_KEY_SERVICE_MIGRATION_SOURCES',
        'SEALWRIGHT_KEY_SERVICE_MIGRATION_TARGETS',
        'SEALWRIGHT_KEY_SERVICE_GUESTS',
        'SEALWRIGHT_KEY_SERVICE_PERIMETERS',
        'SEALWRIGHT_KEY_SERVICE_USER_RATE_LIMIT',
        'SEALWRIGHT_KEY_SERVICE_PRIVILEGED_RATE_LIMIT',
        'SEALWRIGHT_KEY_SERVICE_SHA1_SIGNING',
        'SEALWRIGHT_KEY_SERVICE_OAEP_MGF1',
      ];
      for (const missing of keysOf(name).filter((key) => !withDefaults.includes(key))) {
        const environment = sampleOf(keysOf(name).filter((key) => key !== missing));
        await expect(settingsReadBy(name, environment)).rejects.toThrow(`The setting ${missing} is missing`);
      }
    },
  );
});

describe.runIf(terraformVersion() !== undefined)(
  'settings, evaluated by Terraform for the sample company',
  () => {
    let locals: Readonly<Record<string, unknown>> = {};
    beforeAll(() => {
      locals = evaluate(configuration) ?? {};
    });
    const environments = () => locals['settings'] as Readonly<Record<FunctionName, Environment>>;
    const urls = () => locals['urls'] as Readonly<Record<FunctionName, string>>;
    const own = (name: FunctionName): Environment => ({
      ...environments()[name],
      ...(environments()[name]['SEALWRIGHT_POLICY_FILE'] === undefined
        ? {}
        : { SEALWRIGHT_POLICY_FILE: join(folder, 'policy.yaml') }),
    });

    test.each(FUNCTION_NAMES.filter((name) => name !== 'ocsp'))('start %s', async (name) => {
      const [first] = Object.keys(own(name)).filter((key) => key !== 'NODE_OPTIONS');
      await expect(settingsReadBy(name, own(name))).resolves.toContain(first);
    });

    test('name the same accounts, secrets and callers as the local twin', () => {
      const twin = functionEnvironments({
        portBase: 8600,
        clockFile: 'clock',
        policyFile: 'policy',
        keyEncryptionKeys: [`projects/${COMPANY.project}/secrets/${SECRETS.keyEncryptionKey}/versions/1`],
        databaseUrl: undefined,
      });
      const same = [
        'SEALWRIGHT_PROJECT',
        'SEALWRIGHT_BEHIND_IAM',
        'SEALWRIGHT_CALLERS',
        'SEALWRIGHT_GMAIL_ACCOUNT',
        'SEALWRIGHT_DIRECTORY_ACCOUNT',
        'SEALWRIGHT_ADMINS',
        'SEALWRIGHT_KEY_SERVICE_TENANT',
        'SEALWRIGHT_KEY_SERVICE_DOMAIN',
        'SEALWRIGHT_KEY_SERVICE_WRAP_CALLERS',
        'SEALWRIGHT_KEY_SERVICE_KEYS',
      ];
      let compared = 0;
      for (const name of FUNCTION_NAMES) {
        for (const key of same.filter((each) => each in environments()[name])) {
          // The example migrates no old mail, and the twin always may.
          const there = twin[name][key]?.replace(`,${ACCOUNTS.migration}`, '');
          expect([name, key, environments()[name][key]]).toEqual([name, key, there]);
          compared += 1;
        }
      }
      expect(compared).toBeGreaterThan(20);
    });

    test('give each function the address that Cloud Run will, short enough to be given', () => {
      expect(urls()['directory-event']).toBe('https://directory-event-210987654321.europe-west1.run.app');
      for (const url of Object.values(urls())) {
        expect((new URL(url).hostname.split('.')[0] ?? '').length).toBeLessThanOrEqual(63);
      }
      expect(environments()['directory-event']).toMatchObject({
        SEALWRIGHT_AUDIENCE: urls()['directory-event'],
        SEALWRIGHT_SIGN_URL: urls()['sign'],
      });
      expect(environments()['publish-crl']).toMatchObject({ SEALWRIGHT_SIGN_URL: urls()['sign'] });
      expect(environments()['due']).toMatchObject({ SEALWRIGHT_WATCH_URL: urls()['directory-watch'] });
    });

    test('let exactly those call that IAM lets call', () => {
      const invokers = locals['invokers'] as Readonly<Record<FunctionName, readonly string[]>>;
      expect(invokers['sign']).toEqual([
        `serviceAccount:${ACCOUNTS.directoryEvent}`,
        `serviceAccount:${ACCOUNTS.publishCrl}`,
      ]);
      for (const name of FUNCTION_NAMES) {
        const callers = environments()[name]['SEALWRIGHT_CALLERS'];
        if (callers === undefined) continue;
        expect(invokers[name]).toEqual(callers.split(',').map((email) => `serviceAccount:${email}`));
      }
    });

    test('give each function an address of the ledger that it alone reads, and the owner’s to whoever makes its tables', () => {
      const readers = locals['secret_readers'] as Readonly<Record<string, readonly string[]>>;
      expect(readers['database-url']).toEqual(['set-up']);
      expect(locals['login_readers']).toEqual(
        Object.fromEntries(FUNCTION_NAMES.map((name) => [`${name}-database-url`, [name]])),
      );
      expect(readers['database-ca']).toEqual([...FUNCTION_NAMES, 'set-up']);
    });

    test('register the key service at an address that its policy can name, https and the customer’s own', () => {
      expect(locals['key_service_url']).toBe('https://kacls.acme.example/v1');
      expect(environments()['key-service']['SEALWRIGHT_KEY_SERVICE_URL']).toBe(locals['key_service_url']);
    });

    test('leave the key service at its own rate limits and without perimeters', () => {
      const settings = parseSettings(own('key-service'));
      expect(settings.SEALWRIGHT_KEY_SERVICE_PERIMETERS).toBeUndefined();
      expect(settings.SEALWRIGHT_KEY_SERVICE_USER_RATE_LIMIT).toEqual(DEFAULT_RATE_LIMITS.users);
      expect(settings.SEALWRIGHT_KEY_SERVICE_PRIVILEGED_RATE_LIMIT).toEqual(DEFAULT_RATE_LIMITS.privileged);
    });

    test('say of perimeters what the schema takes, without what was left out', () => {
      const others = evaluate(configuration, {
        key_service: {
          tenant_id: 'C00sample',
          key_versions: [1],
          identity_providers: [
            { issuer: 'https://i.example', jwks_url: 'https://i.example/k', audiences: ['c'] },
          ],
          perimeters: [
            { id: 'board', domains: ['acme.example'], claims: { groups: ['directors'] } },
            { id: '', blocked_emails: ['admin@acme.example'] },
          ],
          oaep_mgf1: 'sha1',
          sha1_signing: true,
          user_rate_limit: { burst: 50, per_second: 0.5 },
        },
      });
      const told = others?.['settings'] as Readonly<Record<FunctionName, Environment>> | undefined;
      const environment = told?.['key-service'] ?? {};
      expect(parseSettings(environment)).toMatchObject({
        SEALWRIGHT_KEY_SERVICE_OAEP_MGF1: 'sha1',
        SEALWRIGHT_KEY_SERVICE_SHA1_SIGNING: 'true',
        SEALWRIGHT_KEY_SERVICE_USER_RATE_LIMIT: { burst: 50, perSecond: 0.5 },
      });
      expect(JSON.parse(environment['SEALWRIGHT_KEY_SERVICE_PERIMETERS'] ?? '')).toEqual([
        { id: 'board', domains: ['acme.example'], claims: { groups: ['directors'] } },
        { id: '', blockedEmails: ['admin@acme.example'] },
      ]);
    });

    test('say of the identity providers what the schema takes', () => {
      const { SEALWRIGHT_KEY_SERVICE_IDENTITY_PROVIDERS: providers } = parseSettings(own('key-service'));
      expect(providers).toEqual([
        {
          issuer: 'https://idp.acme.example',
          jwksUrl: 'https://idp.acme.example/keys',
          audiences: ['acme-cse'],
        },
      ]);
    });
  },
);

describe.runIf(terraformVersion() !== undefined)('a variable', () => {
  const project = { id: 'acme-sealwright', number: '210987654321', region: 'europe-west1' };
  const hosts = { pki: 'pki.acme.example', key_service: 'kacls.acme.example' };
  const provider = { issuer: 'https://i.example', jwks_url: 'https://i.example/k', audiences: ['c'] };
  const keyService = { tenant_id: 'C00sample', key_versions: [2, 1], identity_providers: [provider] };
  const admins = { invokers: ['group:a@acme.example'], addresses: ['a@acme.example'], audiences: ['c'] };

  test.each([
    ['project', project],
    ['public_hosts', hosts],
    ['key_service', keyService],
    ['admins', admins],
    ['database', { tier: 'db-custom-2-7680', availability: 'ZONAL' }],
  ])('%s takes a good value', (variable, value) => {
    expect(refusalOf(variable, value)).toBe('');
  });

  test.each([
    ['project', { ...project, id: 'Acme' }, 'project.id is a project id'],
    ['project', { ...project, number: 'acme' }, 'project.number is the number of the project'],
    ['project', { ...project, region: 'Europe' }, 'project.region is one region'],
    [
      'public_hosts',
      { ...hosts, pki: 'http://pki.acme.example/' },
      'host names in lower case without scheme',
    ],
    ['public_hosts', { ...hosts, pki: 'pki-1234.europe-west1.run.app' }, 'names the customer owns'],
    ['public_hosts', { pki: 'x.acme.example', key_service: 'x.acme.example' }, 'must differ'],
    ['key_service', { ...keyService, key_versions: [] }, 'at least one version'],
    ['key_service', { ...keyService, key_versions: [1, 1] }, 'each once'],
    ['key_service', { ...keyService, key_versions: [0.5] }, 'whole number'],
    ['key_service', { ...keyService, identity_providers: [] }, 'names at least one provider'],
    [
      'key_service',
      { ...keyService, identity_providers: [{ ...provider, jwks_url: 'http://i.example/k' }] },
      'https jwks_url',
    ],
    ['key_service', { ...keyService, oaep_mgf1: 'md5' }, 'same or sha1'],
    ['key_service', { ...keyService, user_rate_limit: { burst: 0, per_second: 1 } }, 'burst of at least 1'],
    ['key_service', { ...keyService, perimeters: [{ id: 'a' }, { id: 'a' }] }, 'each id once'],
    ['admins', { ...admins, invokers: ['allUsers'] }, 'allUsers and whole domains are refused'],
    ['admins', { ...admins, invokers: ['domain:acme.example'] }, 'allUsers and whole domains are refused'],
    ['admins', { ...admins, addresses: [] }, 'must not be empty'],
    ['database', { tier: 'db-f1-micro' }, 'memory for 300 connections'],
    ['database', { availability: 'GLOBAL' }, 'REGIONAL'],
    ['database', { ocsp_reader: true }, 'set database.function_logins instead'],
    [
      'workspace',
      { customer_id: 'my_customer', primary_domain: 'acme.example', organization_number: '123456789012' },
      'customer id',
    ],
    ['policy_file', 'policy.json', 'path of a YAML file'],
    ['alert_addresses', [], 'at least one mailbox'],
  ])('%s with %j is refused with a sentence', (variable, value, sentence) => {
    expect(refusalOf(variable, value)).toContain(sentence);
  });

  test('for the public host refuses what the linter of certificates would refuse later', () => {
    for (const host of ['run.app', 'x.cloudfunctions.net', 'x.web.app', 'storage.googleapis.com']) {
      expect(urlProblem(`http://${host}/`, { trial: false })?.rule).toBe('url-host');
      expect(refusalOf('public_hosts', { ...hosts, pki: host })).toContain('names the customer owns');
    }
  });
});
