/** Methods on secrets: https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets */
import { GoogleError, invalidArgument } from '../core/google-error.ts';
import type { Binding } from '../core/iam.ts';
import { checkQuery, type Message, readMessage } from '../core/message.ts';
import { type Call, ok, type Route } from '../core/route.ts';
import { checkBinding, type Permission } from './access.ts';
import { page } from './paging.ts';
import type { Replication, StoredSecret } from './records.ts';
import { secretResource } from './resources.ts';
import { checkEtag, type NewSecret, newEtag, newPolicyEtag, type Vault } from './vault.ts';

export const SCOPES = ['https://www.googleapis.com/auth/cloud-platform'] as const;

const MIN_DESTROY_TTL_SECONDS = 86_400;
const MAX_ALIASES = 50;

const ENCRYPTION = { message: { kmsKeyName: 'string' } } as const;
const SECRET = {
  name: 'string',
  createTime: 'string',
  etag: 'string',
  replication: {
    message: {
      automatic: { message: { customerManagedEncryption: ENCRYPTION } },
      userManaged: {
        message: {
          replicas: {
            repeated: { message: { location: 'string', customerManagedEncryption: ENCRYPTION } },
          },
        },
      },
    },
  },
  labels: 'string-map',
  annotations: 'string-map',
  versionAliases: 'int64-map',
  expireTime: 'string',
  ttl: 'string',
  versionDestroyTtl: 'string',
  topics: { repeated: { message: { name: 'string' } } },
  rotation: { message: { nextRotationTime: 'string', rotationPeriod: 'string' } },
  customerManagedEncryption: ENCRYPTION,
  tags: 'string-map',
} as const;
type SecretMessage = Message<typeof SECRET>;

const POLICY_REQUEST = {
  policy: {
    message: {
      version: 'int32',
      etag: 'string',
      bindings: {
        repeated: {
          message: {
            role: 'string',
            members: { repeated: 'string' },
            condition: {
              message: { title: 'string', description: 'string', expression: 'string', location: 'string' },
            },
          },
        },
      },
    },
  },
  updateMask: 'string',
} as const;

export function secretRoutes(vault: Vault): readonly Route[] {
  const one = '/v1/projects/:project/secrets/:secret';
  const route = (
    id: string,
    verb: Route['verb'],
    path: string,
    handle: (call: Call) => unknown,
    query: readonly string[] = [],
  ): Route => ({
    id: `secretmanager.projects.secrets.${id}`,
    verb,
    path,
    scopes: SCOPES,
    handle: (call) => {
      checkQuery(call, query);
      return ok(handle(call));
    },
  });
  return [
    route('getIamPolicy', 'GET', `${one}\\:getIamPolicy`, (call) => getPolicy(vault, call), [
      'options.requestedPolicyVersion',
    ]),
    route('setIamPolicy', 'POST', `${one}\\:setIamPolicy`, (call) => setPolicy(vault, call)),
    route('testIamPermissions', 'POST', `${one}\\:testIamPermissions`, (call) =>
      testPermissions(vault, call),
    ),
    route('create', 'POST', '/v1/projects/:project/secrets', (call) => create(vault, call), ['secretId']),
    route('list', 'GET', '/v1/projects/:project/secrets', (call) => list(vault, call), [
      'filter',
      'pageSize',
      'pageToken',
    ]),
    route('get', 'GET', one, (call) =>
      secretResource(vault, vault.authorizedSecret(call, 'secretmanager.secrets.get')),
    ),
    route('patch', 'PATCH', one, (call) => patch(vault, call), ['updateMask']),
    route(
      'delete',
      'DELETE',
      one,
      (call) => {
        const secret = vault.authorizedSecret(call, 'secretmanager.secrets.delete');
        checkEtag(call.query.get('etag') ?? undefined, secret.etag);
        vault.remove(secret.id);
        return {};
      },
      ['etag'],
    ),
  ];
}

function create(vault: Vault, call: Call): unknown {
  vault.authorizeProject(call, 'secretmanager.secrets.create');
  const id = call.query.get('secretId') ?? '';
  if (!/^[A-Za-z0-9_-]{1,255}$/.test(id)) {
    throw invalidArgument(
      `Secret id "${id}" must be 1 to 255 letters, digits, hyphens and underscores (query parameter secretId).`,
    );
  }
  const request = readMessage(call, SECRET);
  refuseUnsupported(request);
  if (Object.keys(request.versionAliases ?? {}).length > 0)
    throw invalidArgument('A new secret has no versions, so it can have no aliases.');
  const expireTime = expiryOf(vault, request);
  const made: NewSecret = {
    replication: replicationOf(request),
    labels: labelsOf(request.labels),
    annotations: request.annotations ?? {},
    ...(expireTime === undefined ? {} : { expireTime }),
    ...(request.versionDestroyTtl === undefined
      ? {}
      : { versionDestroyTtlSeconds: destroyTtlOf(request.versionDestroyTtl) }),
  };
  return secretResource(vault, vault.create(id, made));
}

function list(vault: Vault, call: Call): unknown {
  vault.authorizeProject(call, 'secretmanager.secrets.list');
  const wanted = nameFilter(call.query.get('filter') ?? '');
  const { entries, totalSize, nextPageToken } = page(
    call,
    vault.all().filter((secret) => secret.id.includes(wanted)),
  );
  return {
    ...(entries.length === 0 ? {} : { secrets: entries.map((secret) => secretResource(vault, secret)) }),
    ...(nextPageToken === undefined ? {} : { nextPageToken }),
    totalSize,
  };
}

function patch(vault: Vault, call: Call): unknown {
  const secret = vault.authorizedSecret(call, 'secretmanager.secrets.update');
  const request = readMessage(call, SECRET);
  refuseUnsupported(request);
  checkEtag(request.etag, secret.etag);
  const fields = (call.query.get('updateMask') ?? '').split(',').filter(Boolean).map(camelCase);
  if (fields.length === 0)
    throw invalidArgument('An update mask is required: name the fields in updateMask.');
  const apply: Readonly<Record<string, () => void>> = {
    labels: () => {
      secret.labels = labelsOf(request.labels);
    },
    annotations: () => {
      secret.annotations = request.annotations ?? {};
    },
    versionAliases: () => {
      secret.versionAliases = aliasesOf(secret, request.versionAliases ?? {});
    },
    expireTime: () => setExpiry(vault, secret, request),
    ttl: () => setExpiry(vault, secret, request),
    versionDestroyTtl: () => {
      if (request.versionDestroyTtl === undefined) delete secret.versionDestroyTtlSeconds;
      else secret.versionDestroyTtlSeconds = destroyTtlOf(request.versionDestroyTtl);
    },
  };
  const wrong = fields.find((field) => !Object.hasOwn(apply, field));
  if (wrong !== undefined)
    throw invalidArgument(`The update mask names "${wrong}", which cannot be updated.`);
  for (const field of fields) apply[field]?.();
  secret.etag = newEtag();
  vault.changed();
  return secretResource(vault, secret);
}

function setExpiry(vault: Vault, secret: StoredSecret, request: SecretMessage): void {
  const expireTime = expiryOf(vault, request);
  if (expireTime === undefined) delete secret.expireTime;
  else secret.expireTime = expireTime;
}

function getPolicy(vault: Vault, call: Call): unknown {
  const secret = vault.authorizedSecret(call, 'secretmanager.secrets.getIamPolicy');
  return policyResource(secret);
}

function setPolicy(vault: Vault, call: Call): unknown {
  const secret = vault.authorizedSecret(call, 'secretmanager.secrets.setIamPolicy');
  const { policy } = readMessage(call, POLICY_REQUEST);
  if (policy === undefined) throw invalidArgument('"policy" is required.');
  if (policy.etag !== undefined && policy.etag !== '' && policy.etag !== secret.policy.etag) {
    throw new GoogleError(
      409,
      'aborted',
      'There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.',
      { status: 'ABORTED' },
    );
  }
  const bindings = (policy.bindings ?? []).map((binding): Binding => {
    if (binding.condition !== undefined) {
      throw new GoogleError(501, 'notImplemented', 'The emulator decides no conditional role bindings.');
    }
    return { role: binding.role ?? '', members: binding.members ?? [] };
  });
  for (const binding of bindings) checkBinding(binding);
  secret.policy = { bindings, etag: newPolicyEtag() };
  vault.changed();
  return policyResource(secret);
}

function testPermissions(vault: Vault, call: Call): unknown {
  const asked = readMessage(call, { permissions: { repeated: 'string' } }).permissions ?? [];
  const held = asked.filter((permission) => vault.holds(call, permission as Permission));
  return held.length === 0 ? {} : { permissions: held };
}

function policyResource(secret: StoredSecret): unknown {
  const { bindings, etag } = secret.policy;
  return { version: 1, etag, ...(bindings.length === 0 ? {} : { bindings }) };
}

/** Features that would need other parts of Google Cloud behind them. Google's client always sends empty lists and maps. */
function refuseUnsupported(request: SecretMessage): void {
  const { replication } = request;
  const encrypted =
    request.customerManagedEncryption !== undefined ||
    replication?.automatic?.customerManagedEncryption !== undefined ||
    (replication?.userManaged?.replicas ?? []).some(
      (replica) => replica.customerManagedEncryption !== undefined,
    );
  const unsupported = encrypted
    ? 'customer-managed encryption'
    : request.topics !== undefined
      ? 'notification topics'
      : request.rotation !== undefined
        ? 'rotation'
        : Object.keys(request.tags ?? {}).length > 0
          ? 'tags'
          : undefined;
  if (unsupported !== undefined) {
    throw new GoogleError(501, 'notImplemented', `The emulator's Secret Manager has no ${unsupported}.`);
  }
}

function replicationOf(request: SecretMessage): Replication {
  const { automatic, userManaged } = request.replication ?? {};
  if ((automatic === undefined) === (userManaged === undefined)) {
    throw invalidArgument('Secret.replication must be given, either automatic or userManaged.');
  }
  if (userManaged === undefined) return { automatic: {} };
  const locations = (userManaged.replicas ?? []).map((replica) => replica.location ?? '');
  if (locations.length === 0 || locations.includes('')) {
    throw invalidArgument('A user-managed replication must name the location of each replica.');
  }
  return { userManaged: { replicas: locations.map((location) => ({ location })) } };
}

function labelsOf(labels: Record<string, string> = {}): Record<string, string> {
  if (Object.keys(labels).length > 64) throw invalidArgument('A secret has at most 64 labels.');
  for (const [key, value] of Object.entries(labels)) {
    if (!/^[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}$/u.test(key)) {
      throw invalidArgument(
        `Label key "${key}" must begin with a lower-case letter and have at most 63 characters.`,
      );
    }
    if (!/^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$/u.test(value)) {
      throw invalidArgument(`The value of label "${key}" must be lower case and have at most 63 characters.`);
    }
  }
  return labels;
}

function aliasesOf(secret: StoredSecret, aliases: Record<string, string>): Record<string, string> {
  if (Object.keys(aliases).length > MAX_ALIASES)
    throw invalidArgument(`A secret has at most ${MAX_ALIASES} version aliases.`);
  for (const [alias, version] of Object.entries(aliases)) {
    if (!/^[A-Za-z][A-Za-z0-9_-]{0,62}$/.test(alias) || alias === 'latest' || alias === 'NEW') {
      throw invalidArgument(
        `"${alias}" is no version alias: it begins with a letter, has at most 63 characters and is neither "latest" nor "NEW".`,
      );
    }
    if (!secret.versions.some((candidate) => String(candidate.number) === version)) {
      throw invalidArgument(`Alias "${alias}" names version ${version}, which does not exist.`);
    }
  }
  return aliases;
}

function expiryOf(vault: Vault, request: SecretMessage): string | undefined {
  const { expireTime, ttl } = request;
  if (expireTime !== undefined && ttl !== undefined)
    throw invalidArgument('Give either expireTime or ttl, not both.');
  if (ttl !== undefined) return vault.nowPlus(secondsOf(ttl, 'ttl'));
  if (expireTime === undefined) return undefined;
  const instant = new Date(expireTime);
  if (Number.isNaN(instant.getTime()) || !/^\d{4}-\d\d-\d\dT/.test(expireTime)) {
    throw invalidArgument(`Invalid value at 'secret.expireTime': it is no RFC 3339 timestamp.`);
  }
  if (instant.toISOString() <= vault.now()) throw invalidArgument('expireTime must be in the future.');
  return instant.toISOString();
}

function destroyTtlOf(duration: string): number {
  const seconds = secondsOf(duration, 'versionDestroyTtl');
  if (seconds < MIN_DESTROY_TTL_SECONDS)
    throw invalidArgument('versionDestroyTtl must be at least 24 hours.');
  return seconds;
}

function secondsOf(duration: string, field: string): number {
  const seconds = /^(\d{1,12})(\.\d{1,9})?s$/.exec(duration)?.[1];
  if (seconds === undefined || Number(seconds) === 0) {
    throw invalidArgument(`${field} must be a duration in seconds such as "86400s", more than zero.`);
  }
  return Number(seconds);
}

/** `name:TEXT` is the one filter the emulator has for secrets. */
function nameFilter(filter: string): string {
  if (filter === '') return '';
  const text = /^name:([A-Za-z0-9_-]+)$/.exec(filter)?.[1];
  if (text === undefined) {
    throw new GoogleError(501, 'notImplemented', 'The emulator lists secrets by "name:TEXT" only.');
  }
  return text;
}

const camelCase = (name: string): string =>
  name.trim().replace(/_([a-z])/g, (_match, letter: string) => letter.toUpperCase());
