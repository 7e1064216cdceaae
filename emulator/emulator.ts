/**
 * The local twin, put together: one root address that answers Google's REST paths for one sample tenant, a public
 * site for CRLs, and a Cloud Run front before each function. This is the only file that knows how the rooms fit
 * together; each room knows the others by the interfaces in `core/rooms.ts`.
 */
import { createServer, type Server } from 'node:http';
import { type AdminConsole, createAdminConsole } from './admin-console/index.ts';
import { type CloudKms, createCloudKms } from './cloud-kms/index.ts';
import { type CloudRunService, createCloudRun } from './cloud-run/index.ts';
import { createControls } from './controls/index.ts';
import { AccessTokens } from './core/access-tokens.ts';
import { CallLog } from './core/call-log.ts';
import { EmulatorClock } from './core/clock.ts';
import type { EmulatorContext } from './core/context.ts';
import { FaultSwitches } from './core/faults.ts';
import type { Accounts, HostNames, IdTokens, Publisher } from './core/rooms.ts';
import type { Route } from './core/route.ts';
import { createEmulatorServer } from './core/server.ts';
import { EmulatorState } from './core/state.ts';
import { createDirectory, type Directory, type DirectoryOptions } from './directory/index.ts';
import { createGmail } from './gmail/index.ts';
import { createIdentity, type Identity, type IdentitySettings } from './identity/index.ts';
import { loadBalancer, type PathRules } from './load-balancer/index.ts';
import { createMailClient } from './mail-client/index.ts';
import { createPubsub, type Pubsub, type PubsubBinding } from './pubsub/index.ts';
import { createScheduler, type JobDefinition, type Scheduler } from './scheduler/index.ts';
import { type Binding, createSecretManager, type SecretManager } from './secret-manager/index.ts';
import { type BucketSettings, createStorage } from './storage/index.ts';

export interface EmulatorOptions {
  readonly port: number;
  /** Where the state is kept between runs; in memory when absent. */
  readonly stateFile?: string;
  /** Where the clock's offset is kept, for other processes to read; in memory when absent. */
  readonly clockFile?: string;
  readonly directory: DirectoryOptions;
  readonly identity: IdentitySettings;
  readonly pubsubBindings: readonly PubsubBinding[];
  readonly secretBindings: readonly Binding[];
  /** Roles of Cloud KMS on the whole project. */
  readonly kmsBindings: readonly Binding[];
  readonly buckets: readonly BucketSettings[];
  /** The public bucket and the loopback port that stands for its load balancer. */
  readonly publicSite: {
    readonly bucket: string;
    readonly port: number;
    /** Paths of the same host that are not the bucket's. */
    readonly services?: PathRules;
  };
  /** Public host names and the loopback address each really has. */
  readonly hosts: Readonly<Record<string, string>>;
  readonly services: readonly CloudRunService[];
  readonly jobs: readonly JobDefinition[];
}

export interface Emulator {
  /** Root of Google's APIs, with a trailing slash. */
  readonly rootUrl: string;
  readonly directory: Directory;
  readonly identity: Identity;
  readonly pubsub: Pubsub;
  readonly secrets: SecretManager;
  readonly kms: CloudKms;
  readonly adminConsole: AdminConsole;
  readonly scheduler: Scheduler;
  /** True when the state file held a tenant already. */
  readonly continued: boolean;
  /** Listens on 127.0.0.1. Rejects with the system's error when a port is taken. */
  start(): Promise<void>;
  /** Ends everything under way, writes the state, closes the ports. */
  stop(): Promise<void>;
}

export function createEmulator(options: EmulatorOptions): Emulator {
  const state = new EmulatorState(options.stateFile);
  const continued = state.has('directory');
  const clock = new EmulatorClock(options.clockFile);
  const rootUrl = `http://127.0.0.1:${options.port}/`;
  const faults = new FaultSwitches();
  const calls = new CallLog();
  const tokens = new AccessTokens(clock, state);
  const context: EmulatorContext = { clock, state, faults, tokens, rootUrl: () => rootUrl };

  // The directory publishes through Pub/Sub, Pub/Sub signs through identity, identity looks people up in the
  // directory: each is given the next by a reference that is filled below.
  const later: { accounts?: Accounts; publisher?: Publisher; idTokens?: IdTokens } = {};
  const idTokens: IdTokens = {
    mint: (issuer, claims) => needed(later.idTokens).mint(issuer, claims),
    verifyGoogle: (token, audience) => needed(later.idTokens).verifyGoogle(token, audience),
  };
  const publisher: Publisher = {
    publish: (topic, message) => needed(later.publisher).publish(topic, message),
  };
  const hostNames = hostTable(options.hosts);
  const outbound = { idTokens, hostNames };

  const directory = createDirectory(context, { publisher, outbound }, options.directory);
  const identity = createIdentity(context, { accounts: directory, settings: options.identity });
  later.idTokens = identity.idTokens;
  const pubsub = createPubsub(context, {
    idTokens,
    hostNames,
    bindings: options.pubsubBindings,
    projectNumber: options.identity.projectNumber,
  });
  later.publisher = pubsub;
  const secrets = createSecretManager(context, {
    settings: {
      projectId: options.identity.projectId,
      projectNumber: options.identity.projectNumber,
      bindings: options.secretBindings,
    },
  });
  const kms = createCloudKms(context, {
    settings: {
      projectId: options.identity.projectId,
      projectNumber: options.identity.projectNumber,
      bindings: options.kmsBindings,
    },
  });
  const storage = createStorage(context, { buckets: options.buckets });
  const adminConsole = createAdminConsole(context, { accounts: directory });
  const gmail = createGmail(context, { accounts: directory, administration: adminConsole, hosts: hostNames });
  const mailClient = createMailClient(context, {
    accounts: directory,
    gmail,
    cseTokens: (request) => identity.gmailTokens(request),
  });
  const cloudRun = createCloudRun(context, { calls, idTokens }, options.services);
  const scheduler = createScheduler(context, { idTokens, jobs: options.jobs, hostNames });

  const rooms = [
    directory,
    identity,
    pubsub,
    secrets,
    kms,
    storage,
    adminConsole,
    gmail,
    mailClient,
    scheduler,
  ];
  const routes: Route[] = rooms.flatMap((room) => room.routes);
  const controls = createControls(context, {
    calls,
    accounts: directory,
    idTokens,
    busy: [directory, pubsub, cloudRun, scheduler],
    counters: () => pubsub.counters(),
    routes: () => routes,
  });
  routes.push(...controls.routes);

  const api = createEmulatorServer({ clock, tokens, faults, calls, routes });
  const site = createServer(
    loadBalancer(
      options.publicSite.services ?? {},
      storage.publicSite({ bucket: options.publicSite.bucket, calls, method: 'pki.get' }),
    ),
  );
  return {
    rootUrl,
    directory,
    identity,
    pubsub,
    secrets,
    kms,
    adminConsole,
    scheduler,
    continued,
    async start() {
      await listen(api, options.port);
      await listen(site, options.publicSite.port);
      await cloudRun.start();
    },
    async stop() {
      await scheduler.stop();
      directory.close();
      await pubsub.stop();
      await cloudRun.stop();
      await Promise.all([close(api), close(site)]);
      state.flush();
    },
  };
}

function needed<T>(part: T | undefined): T {
  if (part === undefined) throw new Error('A room of the emulator was asked before it was put in place.');
  return part;
}

function hostTable(hosts: Readonly<Record<string, string>>): HostNames {
  return {
    resolve(url) {
      const base = hosts[url.hostname];
      return base === undefined ? undefined : new URL(`${url.pathname}${url.search}`, base);
    },
  };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve());
  });
}

async function close(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await closed;
}
