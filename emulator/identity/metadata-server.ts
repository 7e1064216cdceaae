/**
 * The metadata server, as Cloud Run offers it to a running service, so that Application Default Credentials work
 * unchanged (`GCE_METADATA_HOST`). Several service accounts are attached and chosen by address
 * (`service-accounts/EMAIL/token`); on Cloud Run there is one, `default`. Access tokens live by the machine's clock,
 * because Google's clients refresh them by it; ID tokens by the emulator's, because the called verify them by it. https://cloud.google.com/compute/docs/metadata/overview
 */
import type { AccessTokens } from '../core/access-tokens.ts';
import { GOOGLE_ISSUER } from '../core/outbound-request.ts';
import type { Answer, Call, Route } from '../core/route.ts';
import type { TokenIssuers } from './id-tokens.ts';
import { CLOUD_PLATFORM_SCOPE, isScope } from './scopes.ts';
import type { ServiceAccounts } from './service-accounts.ts';
import type { IdentitySettings, ServiceAccount } from './settings.ts';

export interface MetadataServerParts {
  readonly tokens: AccessTokens;
  readonly serviceAccounts: ServiceAccounts;
  readonly issuers: TokenIssuers;
  readonly settings: IdentitySettings;
}

/** A directory of entries, a list (one per line), or a value. */
type Entry = string | readonly string[] | { readonly [name: string]: Entry };

const FLAVOR = { 'metadata-flavor': 'Google', server: 'Metadata Server for VM' };
const BASE = '/computeMetadata/v1';

export function metadataServer(parts: MetadataServerParts): readonly Route[] {
  const guarded =
    (handle: (call: Call) => Answer | Promise<Answer>) =>
    (call: Call): Answer | Promise<Answer> =>
      refusal(call) ?? handle(call);
  const account = `${BASE}/instance/service-accounts/:account`;
  return [
    {
      // How Google's libraries in other languages find out that a metadata server is there; needs no header.
      id: 'metadata.ping',
      verb: 'GET',
      path: '/',
      scopes: 'none',
      handle: () => text(200, 'computeMetadata/\n'),
    },
    {
      id: 'metadata.token',
      verb: 'GET',
      path: `${account}/token`,
      scopes: 'none',
      handle: guarded((call) => token(parts, call)),
    },
    {
      id: 'metadata.identity',
      verb: 'GET',
      path: `${account}/identity`,
      scopes: 'none',
      handle: guarded((call) => identity(parts, call)),
    },
    {
      id: 'metadata.get',
      verb: '*',
      path: `${BASE}{/*}?`,
      scopes: 'none',
      handle: guarded((call) => entry(parts, call)),
    },
  ];
}

/** Without the header, or through a proxy, nothing is told: that keeps server-side request forgery out. */
function refusal(call: Call): Answer | undefined {
  if (call.headers['metadata-flavor'] !== 'Google')
    return text(403, 'Missing Metadata-Flavor:Google header.');
  if (call.headers['x-forwarded-for'] !== undefined)
    return text(403, 'Requests with an X-Forwarded-For header are refused.');
  if (call.verb !== 'GET') return text(405, 'Metadata is read with GET.');
  return undefined;
}

function token(parts: MetadataServerParts, call: Call): Answer {
  const account = attached(parts, call.params['account'] ?? '');
  if (account === undefined) return missing();
  const asked = call.query.get('scopes')?.split(',').filter(Boolean) ?? [];
  if (!asked.every(isScope))
    return text(400, 'The "scopes" parameter holds something that is no OAuth scope.');
  const minted = parts.tokens.mint(
    {
      kind: 'service-account',
      email: account.email,
      scopes: asked.length === 0 ? [CLOUD_PLATFORM_SCOPE] : asked,
    },
    { byRealClock: true },
  );
  return json({
    access_token: minted.accessToken,
    expires_in: minted.expiresInSeconds,
    token_type: 'Bearer',
  });
}

async function identity(parts: MetadataServerParts, call: Call): Promise<Answer> {
  const account = attached(parts, call.params['account'] ?? '');
  if (account === undefined) return missing();
  const audience = call.query.get('audience') ?? '';
  if (audience === '') return text(400, 'non-empty audience parameter required');
  const format = call.query.get('format') ?? 'standard';
  if (format !== 'standard' && format !== 'full')
    return text(400, 'The format must be "standard" or "full".');
  const jwt = await parts.issuers.mint(
    GOOGLE_ISSUER,
    {
      aud: audience,
      azp: account.uniqueId,
      sub: account.uniqueId,
      email: account.email,
      email_verified: true,
    },
    // Whoever is called verifies it by the emulator's clock, as everything in the product does.
    { clock: 'emulator' },
  );
  return text(200, jwt);
}

function entry(parts: MetadataServerParts, call: Call): Answer {
  const path = call.url.pathname.slice(BASE.length);
  const steps = path
    .split('/')
    .filter(Boolean)
    .map((step) => step.replaceAll('%40', '@'));
  let found: Entry | undefined = tree(parts);
  for (const step of steps) {
    found = isDirectory(found) && Object.hasOwn(found, step) ? found[step] : undefined;
  }
  if (found === undefined) return missing();
  const recursive = call.query.get('recursive')?.toLowerCase() === 'true';
  if (!isDirectory(found)) {
    if (call.query.get('alt') === 'json') return json(found);
    return text(200, typeof found === 'string' ? found : lines(found));
  }
  if (recursive) return json(found);
  if (!path.endsWith('/')) {
    return {
      status: 301,
      headers: {
        ...FLAVOR,
        location: `${call.url.pathname}/${call.url.search}`,
        'content-type': 'text/html',
      },
      body: Buffer.from('Moved: a directory ends with a slash.'),
    };
  }
  const names = Object.entries(found).map(([name, below]) => (isDirectory(below) ? `${name}/` : name));
  return text(200, lines(names));
}

function tree({ settings, serviceAccounts }: MetadataServerParts): Entry {
  const { accounts, default: defaultAccount } = settings.attached;
  const describe = (email: string): Entry => ({
    aliases: email === defaultAccount ? ['default'] : [],
    email,
    scopes: [CLOUD_PLATFORM_SCOPE],
  });
  const known = accounts.filter((email) => serviceAccounts.find(email) !== undefined);
  return {
    instance: {
      region: `projects/${settings.projectNumber}/regions/${settings.region}`,
      'service-accounts': {
        default: describe(defaultAccount),
        ...Object.fromEntries(known.map((email) => [email, describe(email)])),
      },
      zone: `projects/${settings.projectNumber}/zones/${settings.region}-1`,
    },
    project: { 'numeric-project-id': settings.projectNumber, 'project-id': settings.projectId },
  };
}

function attached(parts: MetadataServerParts, name: string): ServiceAccount | undefined {
  const { accounts, default: defaultAccount } = parts.settings.attached;
  const email = name === 'default' ? defaultAccount : name;
  return accounts.includes(email) ? parts.serviceAccounts.find(email) : undefined;
}

const isDirectory = (value: Entry | undefined): value is { readonly [name: string]: Entry } =>
  typeof value === 'object' && !Array.isArray(value);

const lines = (names: readonly string[]): string => names.map((name) => `${name}\n`).join('');

const missing = (): Answer =>
  text(404, 'The requested entry was not found on this server: check its path and the service account.');

const text = (status: number, body: string): Answer => ({
  status,
  headers: { ...FLAVOR, 'content-type': 'application/text' },
  body: Buffer.from(body),
});

const json = (body: unknown): Answer => ({
  status: 200,
  headers: { ...FLAVOR, 'content-type': 'application/json' },
  body,
});
