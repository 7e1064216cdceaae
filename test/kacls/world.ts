/** A whole key service behind the functions framework, with its issuers, two users and their wrapped keys. */
import { createHash, createPublicKey, randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { http } from '@google-cloud/functions-framework';
import { getTestServer } from '@google-cloud/functions-framework/testing';
import { createKeyService, keyServiceEdge, keyServiceFunction } from '../../functions/key-service.ts';
import { nodeServer, type TlsMaterial } from '../../functions/wire/node-server.ts';
import { httpKeySetDocuments } from '../../shared/adapters/kacls/key-set-fetcher.ts';
import { httpOtherKeyServices } from '../../shared/adapters/kacls/other-key-services.ts';
import type { KeyServiceSettings } from '../../shared/kacls/settings.ts';
import type { AddressBook } from '../../shared/ports/address-book.ts';
import type { KeyEncryptionKeys } from '../../shared/ports/key-encryption-keys.ts';
import type { RewrappedKeys } from '../../shared/ports/ledger/rewrapped-keys.ts';
import type { OtherKeyServices } from '../../shared/ports/other-key-services.ts';
import type { TokenSigningKeys } from '../../shared/ports/token-signing-keys.ts';
import {
  jwkOf,
  type KeySetServer,
  keySetServer,
  ManualClock,
  memoryKeks,
  memoryLog,
  memorySigningKeys,
  type RsaPair,
  rsaPair,
  signToken,
} from './support.ts';

export const BASE_URL = 'https://kacls.acme.example/v1';
export const GMAIL_ORIGIN = 'https://client-side-encryption.google.com';
export const WRAP_CALLER = 'reconciler@acme-pki.iam.gserviceaccount.com';
export const GMAIL_ISSUER = 'gsuitecse-tokenissuer-gmail@system.gserviceaccount.com';
export const DRIVE_ISSUER = 'gsuitecse-tokenissuer-drive@system.gserviceaccount.com';
export const MIGRATION_ISSUER = 'apps-security-cse-kaclscommunication@system.gserviceaccount.com';
export const APPLICATION_ISSUERS = ['drive', 'meet', 'calendar', 'gmail', 'gmail-sta'].map(
  (name) => `gsuitecse-tokenissuer-${name}@system.gserviceaccount.com`,
);
export const FILE = '//googleapis.com/drive/files/1ZRzC';
export const IDP = 'https://login.acme.example';
export const SECOND_IDP = 'https://partner.example/idp';
export const ADMIN_IDP = 'https://admins.acme.example';
export const ADMIN_CLIENT = 'export-tool-client-id';
export const ADMIN = 'export@acme.example';
export const WEB_CLIENT = 'web-client-id';
export const PHONE_CLIENT = 'phone-client-id';

export type ClaimChanges = Readonly<Record<string, unknown>>;
export type Body = Record<string, unknown>;

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly json: Readonly<Record<string, unknown>>;
}

/** Keys are slow to make: one set for each test file. */
export async function makeKeys() {
  const names = [
    'idp',
    'secondIdp',
    'admins',
    'gmail',
    'google',
    'ours',
    'stranger',
    'alice',
    'bob',
  ] as const;
  const pairs = await Promise.all(names.map(async (name) => [name, await rsaPair(2048)] as const));
  return Object.fromEntries(pairs) as Record<(typeof names)[number], RsaPair>;
}
export type Keys = Awaited<ReturnType<typeof makeKeys>>;

export const ALICE = { address: 'alice@acme.example', userId: '100000000000000000001' };
export const BOB = { address: 'bob@acme.example', userId: '100000000000000000002' };
/** Alice's before she was renamed. */
export const ALICE_BEFORE = 'alicia@acme.example';
/** And before she was renamed to that. */
export const ALICE_AT_FIRST = 'al@acme.example';

export interface WorldOptions {
  readonly settings?: Partial<KeyServiceSettings>;
  readonly keks?: KeyEncryptionKeys;
  readonly addressBook?: AddressBook;
  /** Null: this service has no signing key. */
  readonly tokenSigningKeys?: TokenSigningKeys | null;
  readonly otherKeyServices?: OtherKeyServices;
  readonly newerForms?: Pick<RewrappedKeys, 'newerWrappedKey'>;
  readonly keySetTimeoutMs?: number;
  /** For fetching key sets; a test that has two services under invented names routes them here. */
  readonly fetch?: typeof fetch;
  /** What serves it: the functions framework (default), or Node's own server as in the container form. */
  readonly host?: 'framework' | 'node';
  /** For Node's own server. */
  readonly tls?: TlsMaterial;
}

let worlds = 0;

export type World = Awaited<ReturnType<typeof startWorld>>;

export async function startWorld(keys: Keys, options: WorldOptions = {}) {
  const clock = new ManualClock();
  const log = memoryLog();
  const keySets: KeySetServer = await keySetServer();
  keySets.published.set('/idp', [jwkOf(keys.idp, 'idp-1')]);
  keySets.published.set('/second-idp', [jwkOf(keys.secondIdp, 'second-1')]);
  keySets.published.set('/google', [jwkOf(keys.google, 'google-1')]);
  keySets.published.set('/admins', [jwkOf(keys.admins, 'admins-1')]);
  for (const issuer of [...APPLICATION_ISSUERS, MIGRATION_ISSUER]) {
    keySets.published.set(`/jwk/${issuer}`, [jwkOf(keys.gmail, 'gmail-1')]);
  }
  const addresses = new Map([
    [ALICE.address, [ALICE.userId]],
    [ALICE_BEFORE, [ALICE.userId]],
    [ALICE_AT_FIRST, [ALICE.userId]],
    [BOB.address, [BOB.userId]],
  ]);
  const settings: KeyServiceSettings = {
    baseUrl: BASE_URL,
    tenantId: 'C00sample',
    ownerDomain: 'acme.example',
    authenticationIssuers: [
      { issuer: IDP, jwksUrl: `${keySets.root}/idp`, audiences: [WEB_CLIENT, PHONE_CLIENT] },
      { issuer: SECOND_IDP, jwksUrl: `${keySets.root}/second-idp`, audiences: ['partner-client'] },
    ],
    authorizationKeySetRoot: `${keySets.root}/jwk/`,
    privilegedIssuers: [{ issuer: ADMIN_IDP, jwksUrl: `${keySets.root}/admins`, audiences: [ADMIN_CLIENT] }],
    privilegedCallers: {
      privilegedwrap: [ADMIN],
      privilegedunwrap: [ADMIN],
      privilegedprivatekeydecrypt: [ADMIN],
    },
    migrationSources: ['https://old-kacls.example/v1'],
    migrationTargets: ['https://next-kacls.example/v1'],
    wrapCallers: [WRAP_CALLER],
    wrapCallerKeySetUrl: `${keySets.root}/google`,
    guests: 'refuse',
    sha1Signing: false,
    oaepMgf1: 'same',
    // Tests are no persons and may ask as fast as they can; those of the limits set their own.
    userRateLimit: { burst: 1e6, perSecond: 1e6 },
    privilegedRateLimit: { burst: 1e6, perSecond: 1e6 },
    ...options.settings,
  };
  const signingKeys =
    options.tokenSigningKeys === undefined ? memorySigningKeys([keys.ours]) : options.tokenSigningKeys;
  const deps = {
    settings,
    keyEncryptionKeys: options.keks ?? memoryKeks([{ id: 'kek/1', key: randomBytes(32) }]),
    addressBook: options.addressBook ?? {
      userIdsOfAddress: async (address) => addresses.get(address) ?? [],
    },
    keySetDocuments: httpKeySetDocuments({
      timeoutMs: options.keySetTimeoutMs ?? 3000,
      ...(options.fetch === undefined ? {} : { fetch: options.fetch }),
    }),
    ...(signingKeys === null ? {} : { tokenSigningKeys: signingKeys }),
    ...(options.newerForms === undefined ? {} : { newerForms: options.newerForms }),
    otherKeyServices: options.otherKeyServices ?? httpOtherKeyServices(),
    clock,
    log,
    version: '1.2.3',
  };
  const server = options.host === 'node' ? onNode(deps, options.tls) : underFramework(deps);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  const root = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const validity = () => ({ iat: clock.seconds(), exp: clock.seconds() + 3600 });

  /** The identity provider's word for Alice. */
  const authentication = (changes: ClaimChanges = {}, pair: RsaPair = keys.idp, kid = 'idp-1') =>
    signToken(pair, kid, { iss: IDP, aud: WEB_CLIENT, email: ALICE.address, ...validity(), ...changes });

  /** Gmail's word for Alice signing with her smaller key. */
  const authorization = (changes: ClaimChanges = {}, pair: RsaPair = keys.gmail, kid = 'gmail-1') => {
    const address = typeof changes['email'] === 'string' ? changes['email'] : ALICE.address;
    return signToken(pair, kid, {
      iss: GMAIL_ISSUER,
      aud: 'cse-authorization',
      email: address,
      role: 'signer',
      kacls_url: settings.baseUrl,
      perimeter_id: '',
      message_id: '<CAE1@mail.gmail.com>',
      resource_name: resourceName(address),
      spki_hash: spkiHash(keys.alice),
      spki_hash_algorithm: 'SHA-256',
      ...validity(),
      ...changes,
    });
  };

  /** Drive's word for Alice reading and writing one file. */
  const fileAuthorization = (changes: ClaimChanges = {}, pair: RsaPair = keys.gmail, kid = 'gmail-1') =>
    signToken(pair, kid, {
      iss: DRIVE_ISSUER,
      aud: 'cse-authorization',
      email: ALICE.address,
      role: 'writer',
      kacls_url: settings.baseUrl,
      resource_name: FILE,
      ...validity(),
      ...changes,
    });

  /** Google's word while the customer changes the key service. */
  const migrationAuthorization = (changes: ClaimChanges = {}, pair: RsaPair = keys.gmail, kid = 'gmail-1') =>
    signToken(pair, kid, {
      iss: MIGRATION_ISSUER,
      aud: 'cse-authorization',
      email: 'nobody@acme.example',
      role: 'verifier',
      kacls_url: settings.baseUrl,
      resource_name: FILE,
      ...validity(),
      ...changes,
    });

  /** The admins' identity provider's word for one who may use every privileged endpoint. */
  const adminAuthentication = (changes: ClaimChanges = {}, pair: RsaPair = keys.admins, kid = 'admins-1') =>
    signToken(pair, kid, {
      iss: ADMIN_IDP,
      aud: ADMIN_CLIENT,
      email: ADMIN,
      email_verified: true,
      ...validity(),
      ...changes,
    });

  /** Google's word for the reconciler's service account. */
  const wrapAuthentication = (changes: ClaimChanges = {}, pair: RsaPair = keys.google, kid = 'google-1') =>
    signToken(pair, kid, {
      iss: 'https://accounts.google.com',
      aud: settings.baseUrl,
      email: WRAP_CALLER,
      email_verified: true,
      ...validity(),
      ...changes,
    });

  async function request(path: string, init: RequestInit = {}): Promise<Answer> {
    const response = await fetch(`${root}${path}`, init);
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      json: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>),
    };
  }

  const post = (operation: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
    request(`/v1/${operation}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: GMAIL_ORIGIN, ...headers },
      body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
    });

  async function wrap(pair: RsaPair, userId: string, more: Body = {}): Promise<Answer> {
    return post('wrapprivatekey', {
      authentication: await wrapAuthentication(),
      private_key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }),
      user_id: userId,
      ...more,
    });
  }

  /** What Alice's client would be answered for a content key of a file. */
  async function wrapContentKey(contentKey: Uint8Array, claims: ClaimChanges = {}): Promise<string> {
    const answer = await post('wrap', {
      authentication: await authentication(),
      authorization: await fileAuthorization(claims),
      key: Buffer.from(contentKey).toString('base64'),
      reason: 'write',
    });
    return String(answer.json['wrapped_key']);
  }

  async function wrappedKey(pair: RsaPair, userId: string, more: Body = {}): Promise<string> {
    return String((await wrap(pair, userId, more)).json['wrapped_private_key']);
  }

  return {
    root,
    settings,
    clock,
    log,
    keySets,
    addresses,
    authentication,
    authorization,
    wrapAuthentication,
    fileAuthorization,
    migrationAuthorization,
    adminAuthentication,
    wrapContentKey,
    request,
    post,
    wrap,
    wrappedKey,
    async close(): Promise<void> {
      await new Promise<void>((resolve, reject) => {
        server.closeAllConnections();
        server.close((error) => (error === undefined ? resolve() : reject(error)));
      });
      await keySets.close();
    },
  };
}

type Deps = Parameters<typeof createKeyService>[0];

const onNode = (deps: Deps, tls: TlsMaterial | undefined) =>
  nodeServer(createKeyService(deps), keyServiceEdge(deps), tls);

function underFramework(deps: Deps) {
  const name = `key-service-test-${++worlds}`;
  http(name, keyServiceFunction(deps));
  return getTestServer(name);
}

export const resourceName = (address: string): string =>
  `//gmail.googleapis.com/gmail/users/${encodeURIComponent(address)}/settings/cse/keypairs/ANe1Bmh`;

/** Computed apart from the product: from the public key that was generated. */
export const spkiHash = (pair: RsaPair): string =>
  createHash('sha256')
    .update(
      createPublicKey(pair.publicKey.export({ type: 'spki', format: 'pem' })).export({
        type: 'spki',
        format: 'der',
      }),
    )
    .digest('base64');

/** What every refusal must look like, whatever was refused. */
export function refusalProblems(answer: Answer, status: number, secrets: readonly string[] = []): string[] {
  const problems: string[] = [];
  if (answer.status !== status) problems.push(`status ${answer.status}: ${JSON.stringify(answer.json)}`);
  if (answer.json['code'] !== answer.status) problems.push('code is not the HTTP status');
  if (typeof answer.json['message'] !== 'string' || answer.json['message'] === '')
    problems.push('no message');
  if (!/^[0-9a-f]{32}$/.test(String(answer.json['details']))) problems.push('details is no correlation id');
  if (Object.keys(answer.json).length !== 3) problems.push(`more fields than three`);
  if (answer.headers.get('access-control-allow-origin') !== GMAIL_ORIGIN) problems.push('no CORS header');
  const text = JSON.stringify(answer.json);
  if (/\bat .+:\d+:\d+/.test(text)) problems.push('a stack trace');
  if (secrets.some((secret) => secret !== '' && text.includes(secret))) problems.push('a secret');
  return problems;
}
