// biome-ignore-all lint/suspicious/noTemplateCurlyInString: HCL writes its expressions so.
import { globSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { ENTRY_POINT } from '../../bin/build/bundle.ts';
import { FUNCTION_NAMES, type FunctionName } from '../../functions/catalog.ts';
import { parseAuditEntry } from '../../functions/wire/audit-entry.ts';
import { ACCOUNTS, COMPANY, SECRETS, TOPICS } from '../../local/company.ts';
import { DIRECTORY_SCOPES } from '../../shared/adapters/directory/google-directory.ts';
import { GMAIL_SCOPES } from '../../shared/adapters/gmail/google-gmail.ts';
import { LEDGER_USERS, roleOf } from '../../shared/adapters/ledger/ledger-users.ts';
import { parseSettings } from '../../shared/config/settings.ts';
import {
  type Block,
  type Body,
  type Configuration,
  readConfiguration,
  referencesIn,
} from '../../terraform/check/configuration.ts';
import { FOLDER } from './evaluated.ts';

let configuration: Configuration;
beforeAll(async () => {
  configuration = await readConfiguration(FOLDER);
});

const block = (address: string): Block => {
  const found = configuration.blocks.find((each) => each.address === address);
  if (found === undefined) throw new Error(`${address} is not declared`);
  return found;
};
const resources = (type: RegExp): readonly Block[] =>
  configuration.blocks.filter((each) => each.kind === 'resource' && type.test(each.type));
const body = (address: string): Body => block(address).body;
const local = (name: string): Body => body(`local.${name}`)['value'] as Body;
const listed = (name: string) => body(`local.${name}`)['value'] as readonly string[];
/** The one nested block of that name. */
const nested = (outer: Body, name: string): Body => {
  const blocks = outer[name];
  if (!Array.isArray(blocks) || blocks.length !== 1) throw new Error(`there is not one ${name}`);
  return blocks[0] as Body;
};
const nestedAll = (outer: Body, name: string): readonly Body[] => (outer[name] ?? []) as readonly Body[];

/** What `sizing` says of a function. */
interface Sizing {
  readonly concurrency: number;
  readonly min: number;
  readonly max: number;
  readonly timeout_seconds: number;
  readonly ingress: string;
}
const sizing = () => local('functions') as Readonly<Record<FunctionName, Sizing>>;

describe('the deployed functions', () => {
  test('are those of the catalog, in every table that lists them', () => {
    expect(listed('function_names')).toEqual(FUNCTION_NAMES);
    for (const table of ['settings', 'functions', 'invokers']) {
      expect(Object.keys(local(table)).toSorted()).toEqual(FUNCTION_NAMES.toSorted());
    }
    expect(resources(/^google_cloudfunctions/).map(({ address }) => address)).toEqual([
      'google_cloudfunctions2_function.function',
    ]);
    expect(body('google_cloudfunctions2_function.function')).toMatchObject({
      for_each: '${local.functions}',
      name: '${each.key}',
    });
  });

  test('run the entry point of the bundles on Node 24, from an archive named after its bytes', () => {
    const build = nested(body('google_cloudfunctions2_function.function'), 'build_config');
    expect(build).toMatchObject({ runtime: 'nodejs24', entry_point: ENTRY_POINT });
    expect(nested(nested(build, 'source'), 'storage_source')['object']).toBe(
      '${google_storage_bucket_object.source[each.key].name}',
    );
    expect(body('google_storage_bucket_object.source')).toMatchObject({
      name: expect.stringMatching(/^\$\{each\.key\}-\$\{filesha256\(.*\}\.zip$/),
      source: '${path.module}/${var.build_folder}/${each.key}.zip',
    });
  });

  test('run each as an account of its own, which nothing else runs as', () => {
    expect(body('google_service_account.function')).toMatchObject({
      for_each: '${toset(local.function_names)}',
      account_id: 'sealwright-${each.key}',
    });
    const service = nested(body('google_cloudfunctions2_function.function'), 'service_config');
    expect(service['service_account_email']).toBe('${google_service_account.function[each.key].email}');
    const attached = resources(/./).filter(
      ({ body: each, type }) =>
        type !== 'google_cloudfunctions2_function' &&
        /google_service_account\.function/.test(JSON.stringify(each)) &&
        'service_account_email' in each,
    );
    expect(attached).toEqual([]);
  });

  test('are accounts that the local twin has too, and no account is missing there', () => {
    const twin = Object.values(ACCOUNTS).filter((email) => email !== ACCOUNTS.tools);
    const migration = String(body('google_service_account.migration')['account_id']);
    const named = [
      ...[...listed('function_names'), ...Object.keys(local('acting_accounts'))].map(
        (name) => `sealwright-${name}`,
      ),
      migration,
    ].map((account) => `${account}@${COMPANY.project}.iam.gserviceaccount.com`);
    expect(named.toSorted()).toEqual(twin.toSorted());
    expect(named.every((email) => (email.split('@')[0] ?? '').length <= 30)).toBe(true);
  });

  test('run in production mode, where the framework keeps error texts and stacks to itself', () => {
    expect(local('common_settings')).toMatchObject({ NODE_ENV: 'production' });
    const service = nested(body('google_cloudfunctions2_function.function'), 'service_config');
    expect(service['environment_variables']).toBe(
      '${merge(local.common_settings, local.settings[each.key])}',
    );
  });

  test.each(FUNCTION_NAMES)('%s is told only settings that the schema knows, and Node’s own', (name) => {
    const keys = Object.keys(local('settings')[name] as Body).filter((key) => key !== 'NODE_OPTIONS');
    if (name !== 'ocsp') expect(keys.length).toBeGreaterThan(0);
    expect(keys.filter((key) => !isSetting(key))).toEqual([]);
  });

  test('have enough connections in the database, with an old and a new revision side by side', () => {
    const instances = Object.values(sizing()).reduce((sum, { max }) => sum + max, 0);
    expect(body('local.connections_per_instance')['value']).toBe(4);
    expect(instances * 4 * 2).toBeLessThanOrEqual(Number(body('local.max_connections')['value']));
  });

  test('have one CPU, below which Cloud Run takes one request at a time, and as many instances as allowed', () => {
    const service = nested(body('google_cloudfunctions2_function.function'), 'service_config');
    expect(service['available_cpu']).toBe('1');
    for (const { concurrency, min, max } of Object.values(sizing())) {
      expect(concurrency).toBeGreaterThanOrEqual(1);
      expect(max).toBeGreaterThanOrEqual(Math.max(1, min));
    }
    expect(sizing()['due']).toMatchObject({ concurrency: 1, max: 1 });
    expect(sizing()['key-service'].min).toBeGreaterThanOrEqual(1);
  });
});

/** A key that the schema does not know leaves no trace; one that it knows is in the result or in the complaint. */
function isSetting(key: string): boolean {
  try {
    return key in parseSettings({ [key]: '1' });
  } catch (error) {
    return error instanceof Error && error.message.includes(key);
  }
}

describe('callers', () => {
  const PUBLIC = ['directory-watch', 'key-service', 'ocsp'];

  test('are everybody for exactly three functions', () => {
    const open = Object.entries(local('invokers')).filter(([, members]) =>
      /allUsers|allAuthenticatedUsers/.test(JSON.stringify(members)),
    );
    expect(open.map(([name]) => name).toSorted()).toEqual(PUBLIC);
    expect(resources(/^google_(cloud_run|cloudfunctions).*_iam_/).map(({ address }) => address)).toEqual([
      'google_cloud_run_v2_service_iam_binding.invokers',
    ]);
    expect(body('google_cloud_run_v2_service_iam_binding.invokers')).toMatchObject({
      for_each: '${local.invokers}',
      role: 'roles/run.invoker',
      members: '${each.value}',
    });
  });

  test('of private functions are named twice, to IAM and to the function, and are the same', () => {
    const emails = (value: unknown) =>
      [...JSON.stringify(value).matchAll(/local\.emails\[\\+"([\w-]+)/g)].map(([, name]) => name).toSorted();
    for (const name of FUNCTION_NAMES) {
      const settings = local('settings')[name] as Body;
      if ([...PUBLIC, 'admin'].includes(name)) {
        expect(Object.keys(settings)).not.toContain('SEALWRIGHT_BEHIND_IAM');
        expect(Object.keys(settings)).not.toContain('SEALWRIGHT_CALLERS');
        continue;
      }
      expect(settings).toMatchObject({
        SEALWRIGHT_BEHIND_IAM: 'true',
        SEALWRIGHT_AUDIENCE: `\${local.urls["${name}"]}`,
      });
      expect(emails(settings['SEALWRIGHT_CALLERS']).length).toBeGreaterThan(0);
      expect(emails(settings['SEALWRIGHT_CALLERS'])).toEqual(emails(local('invokers')[name]));
    }
  });

  test('of the private functions that only Google and our own functions call must come from inside', () => {
    const ingress = Object.fromEntries(
      Object.entries(sizing()).map(([name, { ingress: each }]) => [name, each]),
    );
    expect(ingress).toEqual({
      'directory-watch': 'ALLOW_ALL',
      'directory-event': 'ALLOW_INTERNAL_ONLY',
      due: 'ALLOW_INTERNAL_ONLY',
      sweep: 'ALLOW_INTERNAL_ONLY',
      sign: 'ALLOW_INTERNAL_ONLY',
      'publish-crl': 'ALLOW_INTERNAL_ONLY',
      admin: 'ALLOW_ALL',
      'key-service': 'ALLOW_INTERNAL_AND_GCLB',
      ocsp: 'ALLOW_INTERNAL_AND_GCLB',
    });
  });
});

describe('secrets', () => {
  test('of the CA are read by sign alone, key-encryption keys by key-service alone', () => {
    const readers = local('secret_readers');
    expect(readers[SECRETS.caKey]).toEqual(['sign']);
    expect(readers[SECRETS.keyEncryptionKey]).toEqual(['key-service']);
  });

  test('are read by whoever the table names and nobody else', () => {
    expect(body('google_secret_manager_secret_iam_binding.readers')).toMatchObject({
      for_each: '${merge(local.secret_readers, local.login_readers)}',
      role: 'roles/secretmanager.secretAccessor',
      members: '${[for name in each.value : "serviceAccount:${local.emails[name]}"]}',
    });
    const granting = resources(/_iam_(member|binding|policy)$/).filter(({ body: each }) =>
      String(each['role']).startsWith('roles/secretmanager.'),
    );
    expect(granting.map(({ address, body: each }) => [address, each['role']])).toEqual([
      ['google_secret_manager_secret_iam_binding.readers', 'roles/secretmanager.secretAccessor'],
      [
        'google_secret_manager_secret_iam_member.publish_crl_adds_keys',
        'roles/secretmanager.secretVersionAdder',
      ],
      ['google_secret_manager_secret_iam_member.publish_crl_sees_ca_key', 'roles/secretmanager.viewer'],
      [
        'google_secret_manager_secret_iam_member.set_up_adds_ca_key',
        'roles/secretmanager.secretVersionAdder',
      ],
      ['google_secret_manager_secret_iam_member.set_up_sees_ca_key', 'roles/secretmanager.viewer'],
    ]);
  });

  test('that make mail unreadable when lost are protected, and destroyed versions wait thirty days', () => {
    expect(listed('lasting_secrets').toSorted()).toEqual(
      [SECRETS.caKey, SECRETS.keyEncryptionKey].toSorted(),
    );
    expect(body('google_secret_manager_secret.secret')).toMatchObject({
      deletion_protection: '${contains(local.lasting_secrets, each.key)}',
      version_destroy_ttl: '${contains(local.lasting_secrets, each.key) ? "2592000s" : null}',
    });
  });

  test('never pass through the state: no key is written, and the database password only by write-only arguments', () => {
    const written = resources(/^google_secret_manager_secret_version$/);
    expect(written.map(({ name }) => name).toSorted()).toEqual([
      'database_ca',
      'database_url',
      'function_database_url',
      'policy',
    ]);
    for (const [password, holders] of [
      [
        'ephemeral.random_password.ledger',
        ['google_secret_manager_secret_version.database_url', 'google_sql_user.ledger'],
      ],
      [
        'ephemeral.random_password.function',
        ['google_secret_manager_secret_version.function_database_url', 'google_sql_user.function'],
      ],
    ] as const) {
      const holding = configuration.blocks.filter(({ body: each }) => referencesIn(each).has(password));
      expect(holding.map(({ address }) => address).toSorted()).toEqual(holders);
      for (const { body: each } of holding) {
        const keys = Object.entries(each)
          .filter(([, value]) => referencesIn(value).has(password))
          .map(([key]) => key);
        expect(keys.every((key) => key.endsWith('_wo'))).toBe(true);
      }
    }
  });

  test('have a login to the database for each function, a member of its role, and the owner’s for no function', () => {
    expect(body('local.ledger_logins')['value']).toBe(
      '${toset(var.database.function_logins ? local.function_names : [])}',
    );
    expect(body('google_sql_user.function')).toMatchObject({
      for_each: '${local.ledger_logins}',
      name: 'sealwright-${each.key}',
      database_roles: ['sealwright_${replace(each.key, "-", "_")}'],
    });
    for (const user of LEDGER_USERS) expect(roleOf(user)).toBe(`sealwright_${user.replaceAll('-', '_')}`);
    const url = JSON.stringify(body('google_secret_manager_secret_version.function_database_url'));
    expect(url).toContain('google_sql_user.function[each.key].name');
    expect(url).not.toContain('google_sql_user.ledger');
    expect(JSON.stringify(body('google_cloudfunctions2_function.function'))).not.toContain(
      'secret_version.database_url',
    );
  });

  test('reach functions by version number', () => {
    const service = nested(body('google_cloudfunctions2_function.function'), 'service_config');
    expect(nestedAll(service, 'secret_environment_variables')).toEqual([]);
    const database = nested(nested(service['dynamic'] as Body, 'secret_environment_variables'), 'content');
    expect(database).toMatchObject({
      key: 'SEALWRIGHT_DATABASE_URL',
      secret: '${google_secret_manager_secret.secret["${each.key}-database-url"].secret_id}',
      version: '${google_secret_manager_secret_version.function_database_url[each.key].version}',
    });
    const { all_traffic_on_latest_revision: _, ...rest } = service;
    expect(JSON.stringify(rest)).not.toContain('latest');
  });

  test('hold the policy, mounted where the settings say, for exactly the functions that are told of it', () => {
    const told = FUNCTION_NAMES.filter(
      (name) => 'SEALWRIGHT_POLICY_FILE' in (local('settings')[name] as Body),
    );
    expect(told.toSorted()).toEqual((local('secret_readers')['policy'] as string[]).toSorted());
    const service = nested(body('google_cloudfunctions2_function.function'), 'service_config');
    const mount = nested(nested(service['dynamic'] as Body, 'secret_volumes'), 'content');
    expect(mount['mount_path']).toBe('${local.policy_folder}');
    const path = nested(mount, 'versions')['path'];
    for (const name of told) {
      const settings = local('settings')[name] as Body;
      expect(settings['SEALWRIGHT_POLICY_FILE']).toBe(`\${local.policy_folder}/${String(path)}`);
    }
  });

  test('hold the CA certificate of the database where its address looks for it', () => {
    const service = nested(body('google_cloudfunctions2_function.function'), 'service_config');
    const [mount] = nestedAll(service, 'secret_volumes');
    const path = nested(mount ?? {}, 'versions')['path'];
    expect(mount?.['mount_path']).toBe('${local.ledger_ca_folder}');
    expect(JSON.stringify(body('google_secret_manager_secret_version.database_url'))).toContain(
      `sslmode=verify-ca&sslrootcert=\${local.ledger_ca_folder}/${String(path)}`,
    );
  });
});

describe('who may sign as the accounts that Workspace trusts', () => {
  test('is directory-event alone for Gmail, and those that read the directory for the directory', () => {
    expect(local('jwt_signers')).toEqual({
      gmail: ['directory-event'],
      directory: ['directory-event', 'due', 'sweep', 'admin'],
    });
    const told = (setting: string) =>
      FUNCTION_NAMES.filter((name) => setting in (local('settings')[name] as Body)).toSorted();
    expect(told('SEALWRIGHT_GMAIL_ACCOUNT')).toEqual(['directory-event']);
    expect(told('SEALWRIGHT_DIRECTORY_ACCOUNT')).toEqual(['admin', 'directory-event', 'due', 'sweep']);
  });

  test('may sign JWTs and nothing more', () => {
    expect(body('google_project_iam_custom_role.jwt_signer')['permissions']).toEqual([
      'iam.serviceAccounts.signJwt',
    ]);
    expect(body('google_service_account_iam_binding.jwt_signers')).toMatchObject({
      for_each: '${local.jwt_signers}',
      role: '${google_project_iam_custom_role.jwt_signer.id}',
    });
    expect(body('google_service_account_iam_binding.migration')).toMatchObject({
      count: '${length(var.migration.members) == 0 ? 0 : 1}',
      role: '${google_project_iam_custom_role.jwt_signer.id}',
    });
    // So that the key service knows it; a token of its own says who it is and acts for nobody.
    expect(body('google_service_account_iam_binding.migration_id_token')).toMatchObject({
      count: '${length(var.migration.members) == 0 ? 0 : 1}',
      role: 'roles/iam.serviceAccountOpenIdTokenCreator',
    });
    expect(body('google_service_account.migration')['count']).toBe(
      '${length(var.migration.members) == 0 ? 0 : 1}',
    );
    expect(resources(/^google_service_account_iam_/).map(({ name }) => name)).toEqual([
      'migration',
      'migration_id_token',
      'jwt_signers',
      'set_up',
    ]);
    expect(resources(/^google_service_account_key$/)).toEqual([]);
  });

  test('is told to the Workspace admin with the scopes that the code asks for', () => {
    const { scopes } = body('output.domain_wide_delegation')['value'] as { scopes: string[] };
    expect(scopes).toEqual([...GMAIL_SCOPES]);
    expect(DIRECTORY_SCOPES.some((scope) => scopes.includes(scope))).toBe(false);
  });
});

describe('roles on the project', () => {
  test('are held by the account that builds, to write logs, and by nobody else', () => {
    const granting = resources(/^google_(project|folder|organization)_iam_(member|binding|policy)$/);
    expect(granting.map(({ address, body: each }) => [address, each['role'], each['member']])).toEqual([
      [
        'google_project_iam_member.build_logs',
        'roles/logging.logWriter',
        '${google_service_account.build.member}',
      ],
    ]);
  });

  test('and on anything else are never basic ones', () => {
    const roles = resources(/_iam_(member|binding)$/).map(({ body: each }) => String(each['role']));
    expect(roles.length).toBeGreaterThan(10);
    expect(roles.filter((role) => /^roles\/(owner|editor|viewer)$/.test(role))).toEqual([]);
  });
});

describe('Pub/Sub', () => {
  const subscriptions = () => resources(/^google_pubsub_subscription$/);

  test('has the topics of the local twin', () => {
    expect(listed('topics').toSorted()).toEqual(
      Object.values(TOPICS)
        .map((topic) => topic.split('/').at(-1))
        .toSorted(),
    );
  });

  test('pushes each topic to its function', () => {
    expect(local('push_subscriptions')).toEqual({
      'directory-events-push': { topic: 'directory-events', function: 'directory-event' },
      'crl-requests-push': { topic: 'crl-requests', function: 'publish-crl' },
    });
    expect(subscriptions().map(({ name }) => name)).toEqual(['dead_letters', 'push']);
    expect(body('google_pubsub_subscription.push')['for_each']).toBe('${local.push_subscriptions}');
  });

  test('never lets a subscription expire', () => {
    for (const { body: each } of subscriptions()) {
      expect(nested(each, 'expiration_policy')).toEqual({ ttl: '' });
    }
  });

  test('pushes with a token for the function itself, backs off, and gives up after ten attempts', () => {
    const push = body('google_pubsub_subscription.push');
    const config = nested(push, 'push_config');
    expect(config['push_endpoint']).toBe('${local.urls[each.value.function]}/');
    expect(nested(config, 'oidc_token')).toEqual({
      service_account_email: '${google_service_account.acting["push"].email}',
      audience: '${local.urls[each.value.function]}',
    });
    expect(nested(push, 'retry_policy')).toEqual({ minimum_backoff: '10s', maximum_backoff: '600s' });
    expect(nested(push, 'dead_letter_policy')).toEqual({
      dead_letter_topic: '${google_pubsub_topic.topic["dead-letters"].id}',
      max_delivery_attempts: 10,
    });
  });

  test('waits for an answer as long as it can, and longer than the function takes', () => {
    const deadline = body('google_pubsub_subscription.push')['ack_deadline_seconds'];
    expect(deadline).toBe(600);
    for (const { function: name } of Object.values(
      local('push_subscriptions') as Record<string, { function: FunctionName }>,
    )) {
      expect(sizing()[name].timeout_seconds).toBeLessThan(600);
    }
  });

  test('keeps dead letters for thirty-one days, for somebody to read', () => {
    const letters = body('google_pubsub_subscription.dead_letters');
    expect(letters['message_retention_duration']).toBe(`${31 * 24 * 3600}s`);
    expect(letters['push_config']).toBeUndefined();
    expect(JSON.stringify(local('waiting_alerts')['dead_letters'])).toContain(
      '${google_pubsub_subscription.dead_letters.name}',
    );
  });

  test('alarms where messages of any push subscription wait', () => {
    const watched = Object.values(local('waiting_alerts')).map((alert) => JSON.stringify(alert));
    for (const name of Object.keys(local('push_subscriptions')))
      expect(
        watched.filter((alert) => alert.includes(`push[\\"${name}\\"]`) && alert.includes('oldest_unacked')),
        name,
      ).toHaveLength(1);
  });

  test('may itself publish dead letters and acknowledge what it moved', () => {
    expect(body('local.pubsub_service_agent')['value']).toBe(
      'serviceAccount:service-${var.project.number}@gcp-sa-pubsub.iam.gserviceaccount.com',
    );
    expect(body('google_pubsub_topic_iam_binding.dead_letters_publishers')).toMatchObject({
      role: 'roles/pubsub.publisher',
      members: ['${local.pubsub_service_agent}'],
    });
    expect(body('google_pubsub_subscription_iam_member.forwards_dead_letters')).toMatchObject({
      for_each: '${local.push_subscriptions}',
      role: 'roles/pubsub.subscriber',
      member: '${local.pubsub_service_agent}',
    });
  });

  test('takes hints from the functions that publish them and from the log sink', () => {
    expect(local('topic_publishers')).toEqual({
      'directory-events': ['directory-watch', 'due', 'sweep', 'admin'],
      'crl-requests': ['directory-event', 'due', 'admin', 'set-up'],
    });
    const { members } = body('google_pubsub_topic_iam_binding.directory_events_publishers');
    expect(members).toContain('google_logging_organization_sink.directory.writer_identity');
    expect(members).toContain('local.topic_publishers["directory-events"]');
  });
});

describe('the schedule', () => {
  test('is due and sweep every minute, and publish-crl every six hours', () => {
    expect(local('jobs')).toEqual({
      due: { schedule: '* * * * *', retries: 0 },
      sweep: { schedule: '* * * * *', retries: 0 },
      'publish-crl': { schedule: '0 */6 * * *', retries: 5 },
    });
  });

  test('calls as the scheduler account, with a token for the function itself', () => {
    const job = body('google_cloud_scheduler_job.job');
    const target = nested(job, 'http_target');
    expect(target['uri']).toBe('${local.urls[each.key]}/');
    expect(nested(target, 'oidc_token')).toEqual({
      service_account_email: '${google_service_account.acting["scheduler"].email}',
      audience: '${local.urls[each.key]}',
    });
    expect(job['attempt_deadline']).toBe('${local.functions[each.key].timeout_seconds}s');
  });
});

describe('the log sink', () => {
  test('takes the organization’s own entries to the topic of the events', () => {
    const sink = body('google_logging_organization_sink.directory');
    expect(sink).toMatchObject({
      include_children: false,
      destination: 'pubsub.googleapis.com/${google_pubsub_topic.topic["directory-events"].id}',
    });
    expect(
      String(sink['filter'])
        .trim()
        .split('\n')
        .map((line) => line.trim()),
    ).toEqual([
      'logName="organizations/${var.workspace.organization_number}/logs/cloudaudit.googleapis.com%2Factivity"',
      '((protoPayload.serviceName="admin.googleapis.com" AND protoPayload.methodName=~"^google\\.admin\\.AdminService\\.(${join("|", local.audit_methods)})$")',
      'OR (protoPayload.serviceName="cloudidentity.googleapis.com" AND protoPayload.methodName="google.apps.cloudidentity.groups.v1.MembershipsService.UpdateMembership"))',
    ]);
  });

  test('lets through only methods whose event the product follows', () => {
    const methods = listed('audit_methods');
    expect(methods).toHaveLength(26);
    for (const method of methods) {
      const eventName = method.replace(/[A-Z]/g, '_$&').toUpperCase();
      const parameter = [
        ...['USER_EMAIL', 'NEW_VALUE'].map((name) => ({ name, value: 'ben@acme.example' })),
        { name: 'ORG_UNIT_NAME', value: '/Staff/Legal' },
      ];
      const entry = { protoPayload: { metadata: { event: [{ eventName, parameter }] } } };
      const aboutMany =
        method.endsWith('OrgUnit') || method.endsWith('OrgUnitName') || method === 'deleteGroup';
      const isUnit = aboutMany && method !== 'moveUserToOrgUnit';
      expect(parseAuditEntry(entry, 'm')).toMatchObject(
        isUnit
          ? { units: [{ orgUnitPath: expect.stringMatching(/^\//) }], ignored: [] }
          : { hints: [{ address: 'ben@acme.example' }], ignored: [] },
      );
    }
  });
});

describe('the public addresses', () => {
  test('serve the bucket over plain http, without a redirect anywhere', () => {
    expect(body('google_compute_global_forwarding_rule.pki')).toMatchObject({
      port_range: '80',
      target: '${google_compute_target_http_proxy.pki.id}',
    });
    expect(body('google_compute_target_http_proxy.pki')['url_map']).toBe('${google_compute_url_map.pki.id}');
    expect(body('google_compute_url_map.pki')['default_service']).toBe(
      '${google_compute_backend_bucket.pki.id}',
    );
    expect(JSON.stringify(resources(/^google_compute_url_map$/))).not.toMatch(/redirect/);
  });

  test('send OCSP questions, with and without one in the path, to the responder', () => {
    const matcher = nested(body('google_compute_url_map.pki'), 'path_matcher');
    expect(matcher['default_service']).toBe('${google_compute_backend_bucket.pki.id}');
    expect(nested(matcher, 'path_rule')).toEqual({
      paths: ['/ocsp', '/ocsp/*'],
      service: '${google_compute_backend_service.ocsp.id}',
    });
  });

  test('serve the key service over https with TLS 1.2 and up, the OCSP responder under the CRL’s name, and other functions not at all', () => {
    expect(body('google_compute_global_forwarding_rule.key_service')).toMatchObject({
      port_range: '443',
      target: '${google_compute_target_https_proxy.key_service.id}',
    });
    expect(body('google_compute_ssl_policy.modern')['min_tls_version']).toBe('TLS_1_2');
    expect(nested(body('google_compute_managed_ssl_certificate.key_service'), 'managed')).toEqual({
      domains: ['${var.public_hosts.key_service}'],
    });
    const groups = resources(/^google_compute_region_network_endpoint_group$/);
    expect(groups.map(({ body: each }) => nested(each, 'cloud_run')['service'])).toEqual([
      '${google_cloudfunctions2_function.function["key-service"].name}',
      '${google_cloudfunctions2_function.function["ocsp"].name}',
    ]);
  });

  test('let anybody read an object of the bucket by name, list none, and only the publishers write', () => {
    const bindings = resources(/^google_storage_bucket_iam_/).filter(({ body: each }) =>
      referencesIn(each['bucket']).has('google_storage_bucket.public'),
    );
    expect(bindings.map(({ body: each }) => [each['role'], each['members']])).toEqual([
      ['roles/storage.legacyObjectReader', ['allUsers']],
      [
        'roles/storage.objectUser',
        [
          '${google_service_account.function["publish-crl"].member}',
          '${google_service_account.acting["set-up"].member}',
        ],
      ],
    ]);
  });
});

describe('what cannot be made again', () => {
  test('is protected from Terraform and, where Google can, from everybody', () => {
    const database = body('google_sql_database_instance.ledger');
    expect(database['deletion_protection']).toBe(true);
    expect(nested(database, 'settings')['deletion_protection_enabled']).toBe(true);
    for (const address of ['google_sql_database_instance.ledger', 'google_storage_bucket.public']) {
      expect(nested(body(address), 'lifecycle')['prevent_destroy']).toBe(true);
    }
  });

  test('is backed up: the ledger to any second of the last week', () => {
    const settings = nested(body('google_sql_database_instance.ledger'), 'settings');
    expect(nested(settings, 'backup_configuration')).toMatchObject({
      enabled: true,
      point_in_time_recovery_enabled: true,
      transaction_log_retention_days: 7,
    });
  });

  test('is not on the internet: the database has a private address only and takes TLS only', () => {
    const settings = nested(body('google_sql_database_instance.ledger'), 'settings');
    expect(nested(settings, 'ip_configuration')).toMatchObject({
      ipv4_enabled: false,
      ssl_mode: 'ENCRYPTED_ONLY',
    });
  });
});

describe('issuing keys in Cloud KMS', () => {
  test('are used by sign and by whoever sets up the CA, to sign and to see the public key, and by nobody else', () => {
    const users = { sign: 'function["sign"]', set_up: 'acting["set-up"]' };
    for (const [name, account] of Object.entries(users)) {
      expect(body(`google_kms_crypto_key_iam_member.${name}`)).toMatchObject({
        for_each: '${toset(local.issuing_keys)}',
        role: 'roles/cloudkms.signerVerifier',
        member: `\${google_service_account.${account}.member}`,
      });
    }
  });

  test('are looked at by publish-crl, which may see the public key and not sign', () => {
    expect(body('google_kms_crypto_key_iam_member.publish_crl')).toMatchObject({
      for_each: '${toset(local.issuing_keys)}',
      role: 'roles/cloudkms.publicKeyViewer',
      member: '${google_service_account.function["publish-crl"].member}',
    });
  });
});

describe('what is wrong with the CA', () => {
  test('is told by the line that publish-crl logs', () => {
    const alert = JSON.stringify(local('logged_alerts')['ca_finding']);
    for (const wanted of ['publish-crl', 'ca-finding', 'severity>=ERROR']) expect(alert).toContain(wanted);
  });
});

describe('an alert on a line of a log', () => {
  const alerts = () => Object.entries(local('logged_alerts') as Record<string, { filter: string }>);
  const eventsIn = (filter: string) =>
    [...filter.matchAll(/jsonPayload\.event=(\([^)]*\)|"[^"]*")/g)].flatMap(([, names = '']) =>
      [...names.matchAll(/"([^"]+)"/g)].map(([, name = '']) => name),
    );
  const sources = globSync(['shared/**/*.ts', 'functions/**/*.ts'])
    .map((file) => readFileSync(file, 'utf8'))
    .join('\n');
  const isLogged = (event: string) => sources.includes(`'${event}'`);

  test('waits for one that a function writes', () => {
    const waitedFor = alerts().map(([name, { filter }]) => ({ name, events: eventsIn(filter) }));
    expect(waitedFor.filter(({ events }) => events.length === 0)).toEqual([]);
    const named = waitedFor.flatMap(({ events }) => events);
    expect(named).toContain('audit-checkpoint-failed');
    expect(named.filter((event) => !isLogged(event))).toEqual([]);
    expect(isLogged('audit-checkpoint-fails')).toBe(false);
  });
});

describe('the configuration as a whole', () => {
  test('asks for inputs and looks nothing up', () => {
    expect(configuration.blocks.filter(({ kind }) => kind === 'data')).toEqual([]);
  });

  test('describes every variable and every output', () => {
    const described = configuration.blocks.filter(({ kind }) => kind === 'variable' || kind === 'output');
    expect(described.filter(({ body: each }) => typeof each['description'] !== 'string')).toEqual([]);
  });

  test('keeps settings free of resources, so that functions may name each other', () => {
    const inSettings = configuration.blocks.filter(({ file }) => file === 'settings.tf');
    expect(inSettings.length).toBeGreaterThan(5);
    for (const { body: each } of inSettings) {
      expect([...referencesIn(each)].filter((address) => !/^(var|local)\./.test(address))).toEqual([]);
    }
  });
});
