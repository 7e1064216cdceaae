/**
 * The key service (KACLS): it holds users' private keys in the only form they exist in at rest and uses them for their
 * owners, and wraps the content keys of Google's other applications. This table is the service: what is not in it does
 * not exist, and neither does what is not configured.
 * https://developers.google.com/workspace/cse/reference
 *
 * - *wrapped key*: a private key that only this service can open (`wrapped-key.ts`); *wrapped content key*: the same
 *   for the key of a file, an event or a message (`wrapped-content-key.ts`).
 * - *key-encryption key* (KEK): what wraps both; versioned, never leaves the service.
 * - *authentication token*: the customer's identity provider says who the caller is.
 * - *authorization token*: Google says what the caller may do, with which key, for which message or file.
 *
 * What it will not do: store keys, hash what it is asked to sign, serve anybody without the tokens of their gate, or
 * decide whose key is made.
 */
import { forAnybody, type GatedOperation } from './access.ts';
import { digest, privilegedUnwrap, privilegedWrap, unwrap, wrap } from './content-keys.ts';
import type { KeyServiceContext } from './context.ts';
import { delegate } from './delegate.ts';
import { forMigration } from './migration-access.ts';
import { ownKeySet } from './own-tokens.ts';
import { privateKeyDecrypt, privilegedPrivateKeyDecrypt } from './private-key-decrypt.ts';
import { privateKeySign } from './private-key-sign.ts';
import {
  forAdmin,
  forAdminOrKeyService,
  forRewrapCaller,
  forWrapCaller,
  rewrapCallersOf,
} from './privileged-access.ts';
import { rewrap } from './rewrap.ts';
import { rewrapPrivateKeyOperation } from './rewrap-private-key.ts';
import {
  APPLICATIONS,
  type Application,
  CONTENT_KEY_APPLICATIONS,
  type PrivilegedEndpoint,
} from './settings.ts';
import { forUser } from './user-access.ts';
import { wrapPrivateKey } from './wrap-private-key.ts';

export interface Endpoint {
  readonly method: 'GET' | 'POST';
  readonly maxBodyBytes: number;
  /** Name of the audit line; undefined where no key is touched. Each privileged use has one of its own, to alert on. */
  readonly auditEvent?: string;
  /** Seconds others may keep the answer; undefined: not at all. */
  readonly maxAgeSeconds?: number;
  /** Whether the settings make it work. One that is not configured is answered 404 and left out of status. */
  readonly isConfigured: (context: KeyServiceContext) => boolean;
  readonly run: GatedOperation;
}

const KILOBYTE = 1024;
/** The two largest tokens of Google seen have 2 KB; a wrapped key has at most 8. */
const USUAL_BODY = 32 * KILOBYTE;

const always = () => true;
const serves =
  (...needed: readonly Application[]) =>
  ({ settings }: KeyServiceContext) =>
    needed.some((application) => (settings.applications ?? APPLICATIONS).includes(application));
const admits =
  (endpoint: PrivilegedEndpoint) =>
  ({ settings }: KeyServiceContext) =>
    (settings.privilegedCallers?.[endpoint] ?? []).length > 0;
const hasWrapCallers = ({ settings }: KeyServiceContext) => settings.wrapCallers.length > 0;
const movesIn = ({ settings, tokenSigningKeys, otherKeyServices }: KeyServiceContext) =>
  (settings.migrationSources ?? []).length > 0 &&
  tokenSigningKeys !== undefined &&
  otherKeyServices !== undefined;
const movesOut = ({ settings }: KeyServiceContext) => (settings.migrationTargets ?? []).length > 0;
const signsTokens = ({ tokenSigningKeys }: KeyServiceContext) => tokenSigningKeys !== undefined;

const contentKeys = serves(...CONTENT_KEY_APPLICATIONS);
const post = { method: 'POST', maxBodyBytes: USUAL_BODY } as const;

const privilegedUnwrapEndpoint: Endpoint = {
  ...post,
  auditEvent: 'privileged-content-key-unwrapped',
  isConfigured: (context) => admits('privilegedunwrap')(context) || movesOut(context),
  run: forAdminOrKeyService('privilegedunwrap', privilegedUnwrap),
};

/** By the last part of the path. */
export const ENDPOINTS: ReadonlyMap<string, Endpoint> = new Map<string, Endpoint>(
  Object.entries<Endpoint>({
    status: {
      method: 'GET',
      maxBodyBytes: USUAL_BODY,
      isConfigured: always,
      run: forAnybody(async (context) => status(context)),
    },
    certs: {
      method: 'GET',
      maxBodyBytes: USUAL_BODY,
      maxAgeSeconds: 3600,
      isConfigured: signsTokens,
      run: forAnybody(ownKeySet),
    },
    wrap: {
      ...post,
      auditEvent: 'content-key-wrapped',
      isConfigured: contentKeys,
      run: forUser(
        { issuers: CONTENT_KEY_APPLICATIONS, roles: ['writer', 'upgrader'], delegation: 'accepted' },
        wrap,
      ),
    },
    unwrap: {
      ...post,
      auditEvent: 'content-key-unwrapped',
      isConfigured: contentKeys,
      run: forUser(
        { issuers: CONTENT_KEY_APPLICATIONS, roles: ['reader', 'writer'], delegation: 'accepted' },
        unwrap,
      ),
    },
    delegate: {
      ...post,
      auditEvent: 'access-delegated',
      isConfigured: (context) => contentKeys(context) && signsTokens(context),
      run: forUser({ issuers: CONTENT_KEY_APPLICATIONS, delegation: 'granted' }, delegate),
    },
    digest: {
      ...post,
      auditEvent: 'content-key-digested',
      isConfigured: (context) => movesIn(context) || movesOut(context),
      run: forMigration('verifier', digest),
    },
    rewrap: {
      ...post,
      auditEvent: 'content-key-taken-over',
      isConfigured: movesIn,
      run: forMigration('migrator', rewrap),
    },
    privilegedwrap: {
      ...post,
      auditEvent: 'privileged-content-key-wrapped',
      isConfigured: admits('privilegedwrap'),
      run: forAdmin('privilegedwrap', privilegedWrap),
    },
    privilegedunwrap: privilegedUnwrapEndpoint,
    // Its name before 2023, which old clients and the example on Google's own page still use.
    takeout_unwrap: privilegedUnwrapEndpoint,
    wrapprivatekey: {
      ...post,
      maxBodyBytes: 64 * KILOBYTE,
      auditEvent: 'private-key-wrapped',
      isConfigured: hasWrapCallers,
      run: forWrapCaller(wrapPrivateKey),
    },
    rewrapprivatekey: {
      ...post,
      auditEvent: 'private-key-rewrapped',
      isConfigured: ({ settings }) => rewrapCallersOf(settings).length > 0,
      run: forRewrapCaller(rewrapPrivateKeyOperation),
    },
    privatekeysign: {
      ...post,
      auditEvent: 'private-key-used',
      isConfigured: serves('gmail'),
      run: forUser({ issuers: ['gmail'], roles: ['signer'], delegation: 'refused' }, privateKeySign),
    },
    privatekeydecrypt: {
      ...post,
      auditEvent: 'private-key-used',
      isConfigured: serves('gmail'),
      run: forUser({ issuers: ['gmail'], roles: ['decrypter'], delegation: 'refused' }, privateKeyDecrypt),
    },
    privilegedprivatekeydecrypt: {
      ...post,
      auditEvent: 'privileged-private-key-used',
      isConfigured: admits('privilegedprivatekeydecrypt'),
      run: forAdmin('privilegedprivatekeydecrypt', privilegedPrivateKeyDecrypt),
    },
  }),
);

/** The largest limit of the table. */
export const MAX_BODY_BYTES = Math.max(...[...ENDPOINTS.values()].map(({ maxBodyBytes }) => maxBodyBytes));

/** https://developers.google.com/workspace/cse/reference/status */
function status(context: KeyServiceContext) {
  const operations = [...ENDPOINTS].filter(
    ([name, { method, isConfigured }]) =>
      method === 'POST' && name !== 'takeout_unwrap' && isConfigured(context),
  );
  return {
    server_type: 'KACLS',
    vendor_id: 'Sealwright',
    version: context.version,
    name: 'Sealwright key service',
    operations_supported: operations.map(([name]) => name),
  };
}
