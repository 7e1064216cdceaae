/**
 * The emulator's rooms wired together for the adapters: the sample company with its service accounts, each allowed
 * just what the product's documentation says, and everything asked for over HTTP.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CloudKms, createCloudKms } from '../../emulator/cloud-kms/index.ts';
import { AccessTokens } from '../../emulator/core/access-tokens.ts';
import { CallLog } from '../../emulator/core/call-log.ts';
import { EmulatorClock } from '../../emulator/core/clock.ts';
import type { EmulatorContext } from '../../emulator/core/context.ts';
import { FaultSwitches } from '../../emulator/core/faults.ts';
import type { Account, IdTokens, Publisher } from '../../emulator/core/rooms.ts';
import { createEmulatorServer } from '../../emulator/core/server.ts';
import { EmulatorState } from '../../emulator/core/state.ts';
import { createDirectory, type Directory } from '../../emulator/directory/index.ts';
import { createGmail } from '../../emulator/gmail/index.ts';
import { createIdentity, type Identity } from '../../emulator/identity/index.ts';
import { createPubsub, type Pubsub, pubsubServiceAgent } from '../../emulator/pubsub/index.ts';
import { createSecretManager } from '../../emulator/secret-manager/index.ts';
import { createStorage } from '../../emulator/storage/index.ts';
import { GMAIL_SCOPES } from '../../shared/adapters/gmail/google-gmail.ts';
import type { GoogleEndpoints } from '../../shared/adapters/google/endpoints.ts';
import { type OwnIdentity, ownIdentity } from '../../shared/adapters/google/own-identity.ts';
import { type RetrySettings, retrySettings } from '../../shared/adapters/google/retry.ts';

export const PROJECT = 'acme-sealwright';
const PROJECT_NUMBER = '411111111111';
const account = (name: string) => `${name}@${PROJECT}.iam.gserviceaccount.com`;
/** What the functions run as. */
export const FUNCTION = account('sealwright-directory-event');
export const GMAIL_ACCOUNT = account('sealwright-gmail');
export const DIRECTORY_ACCOUNT = account('sealwright-directory');
/** An account that may do nothing at all. */
export const STRANGER = account('stranger');

export interface Company {
  readonly clock: EmulatorClock;
  readonly faults: FaultSwitches;
  readonly calls: CallLog;
  readonly tokens: AccessTokens;
  readonly directory: Directory;
  readonly identity: Identity;
  readonly pubsub: Pubsub;
  readonly kms: CloudKms;
  readonly endpoints: GoogleEndpoints;
  /** Waits are kept short: the emulator answers at once. */
  readonly retry: RetrySettings;
  /** Why Gmail refuses client-side encryption to an account; set by a test. */
  readonly cse: { refusal: (account: Account) => string | undefined };
  /** Roots uploaded in the Admin console. */
  readonly roots: Buffer[];
  /** CRLs by the path below `http://pki.acme.example/`. */
  readonly crls: Map<string, Buffer>;
  own(serviceAccountEmail?: string): OwnIdentity;
  close(): Promise<void>;
}

export async function openCompany(): Promise<Company> {
  const clock = new EmulatorClock();
  const faults = new FaultSwitches();
  const calls = new CallLog();
  const state = new EmulatorState();
  const tokens = new AccessTokens(clock, state);
  let rootUrl = '';
  const context: EmulatorContext = { clock, faults, state, tokens, rootUrl: () => rootUrl };

  // The directory publishes and its notifications carry tokens; both rooms come after it because they look users up.
  let pubsub: Pubsub | undefined;
  let identity: Identity | undefined;
  const there = <T>(room: T | undefined): T => {
    if (room === undefined) throw new Error('The company is not open yet.');
    return room;
  };
  const publisher: Publisher = { publish: (...message) => there(pubsub).publish(...message) };
  const idTokens: IdTokens = {
    mint: (...request) => there(identity).idTokens.mint(...request),
    verifyGoogle: (...request) => there(identity).idTokens.verifyGoogle(...request),
  };
  const directory = createDirectory(
    context,
    { publisher, outbound: { idTokens } },
    {
      customerId: 'C00sample',
      domains: ['acme.example'],
      organizationNumber: '123456789012',
      roles: { [DIRECTORY_ACCOUNT]: 'read-only-and-reports' },
    },
  );
  const emails = [FUNCTION, STRANGER];
  identity = createIdentity(context, {
    accounts: directory,
    settings: {
      projectId: PROJECT,
      projectNumber: PROJECT_NUMBER,
      region: 'europe-west1',
      domain: 'acme.example',
      serviceAccounts: [
        ...emails.map((email) => ({ email })),
        { email: GMAIL_ACCOUNT, delegatedScopes: [...GMAIL_SCOPES], tokenCreators: [FUNCTION] },
        { email: DIRECTORY_ACCOUNT, tokenCreators: [FUNCTION] },
      ],
      attached: { accounts: emails, default: FUNCTION },
      identityProvider: { issuer: 'https://idp.acme.example', clientId: 'gmail-client' },
    },
  });
  const member = [`serviceAccount:${FUNCTION}`];
  pubsub = createPubsub(context, {
    idTokens,
    projectNumber: PROJECT_NUMBER,
    // Pub/Sub's own agent sets dead letters aside.
    bindings: [
      {
        resource: `projects/${PROJECT}`,
        role: 'roles/pubsub.editor',
        members: [...member, pubsubServiceAgent(PROJECT_NUMBER)],
      },
    ],
  });
  const secrets = createSecretManager(context, {
    settings: {
      projectId: PROJECT,
      projectNumber: PROJECT_NUMBER,
      bindings: [{ role: 'roles/secretmanager.admin', members: member }],
    },
  });
  const kms = createCloudKms(context, {
    settings: { projectId: PROJECT, projectNumber: PROJECT_NUMBER, bindings: [] },
  });
  const storage = createStorage(context, {
    buckets: [{ name: 'acme-pki', objectAdmins: [FUNCTION] }],
  });
  const crls = new Map<string, Buffer>();
  const crlServer = await listen(
    createServer((request, response) => {
      const crl = crls.get((request.url ?? '').slice(1));
      response.writeHead(crl === undefined ? 404 : 200).end(crl);
    }),
  );
  const cse: Company['cse'] = { refusal: () => undefined };
  const roots: Buffer[] = [];
  const gmail = createGmail(context, {
    accounts: directory,
    administration: {
      trustedRoots: () => roots,
      refusal: (who) => cse.refusal(who),
      keyServices: () => ['https://kacls.acme.example/v1'],
    },
    hosts: { resolve: (url) => new URL(url.pathname, rootOf(crlServer)) },
  });
  const rooms = [directory, identity, pubsub, secrets, kms, storage, gmail];
  const server = await listen(
    createEmulatorServer({ clock, tokens, faults, calls, routes: rooms.flatMap((room) => [...room.routes]) }),
  );
  rootUrl = rootOf(server);
  const before = process.env['GCE_METADATA_HOST'];
  process.env['GCE_METADATA_HOST'] = new URL(rootUrl).host;

  return {
    clock,
    faults,
    calls,
    tokens,
    directory,
    identity,
    pubsub,
    kms,
    endpoints: { rootUrl },
    retry: retrySettings(clock, { firstWaitMs: 1, longestWaitMs: 5 }),
    cse,
    roots,
    crls,
    own: (serviceAccountEmail = FUNCTION) => ownIdentity({ clock, serviceAccountEmail }),
    async close() {
      if (before === undefined) delete process.env['GCE_METADATA_HOST'];
      else process.env['GCE_METADATA_HOST'] = before;
      directory.close();
      await pubsub?.stop();
      for (const one of [server, crlServer]) {
        one.closeAllConnections();
        await new Promise((resolve) => one.close(resolve));
      }
    },
  };
}

async function listen(server: Server): Promise<Server> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

const rootOf = (server: Server): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
