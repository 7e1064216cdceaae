import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { admin_directory_v1 } from 'googleapis/build/src/apis/admin/directory_v1.js';
import { admin, auth as googleAuth } from 'googleapis/build/src/apis/admin/index.js';
import { AccessTokens, type Caller } from '../../../emulator/core/access-tokens.ts';
import { CallLog } from '../../../emulator/core/call-log.ts';
import { EmulatorClock } from '../../../emulator/core/clock.ts';
import type { EmulatorContext } from '../../../emulator/core/context.ts';
import { FaultSwitches } from '../../../emulator/core/faults.ts';
import { GoogleError } from '../../../emulator/core/google-error.ts';
import type { HostNames, IdTokens } from '../../../emulator/core/rooms.ts';
import { createEmulatorServer } from '../../../emulator/core/server.ts';
import { EmulatorState } from '../../../emulator/core/state.ts';
import { createDirectory, type Directory, type DirectoryOptions } from '../../../emulator/directory/index.ts';

export type GoogleDirectory = admin_directory_v1.Admin;

export const TOPIC = 'projects/acme-sealwright/topics/directory-events';
export const ADMIN = 'admin@acme.example';
export const READER = 'sealwright-directory@acme-sealwright.iam.gserviceaccount.com';
export const PASSWORD = 'correct horse battery';

const SCOPES = [
  'admin.directory.user',
  'admin.directory.user.readonly',
  'admin.directory.user.alias',
  'admin.directory.orgunit',
  'admin.directory.orgunit.readonly',
  'admin.directory.group',
  'admin.directory.group.readonly',
];

/** The parts of a LogEntry that tests look at one by one. */
export interface LogEntry {
  readonly insertId: string;
  readonly timestamp: string;
  readonly receiveTimestamp: string;
  readonly protoPayload: {
    readonly methodName: string;
    readonly authenticationInfo: { readonly principalEmail: string };
    readonly metadata: {
      readonly activityId: { readonly timeUsec: string };
      readonly event: readonly {
        readonly eventType: string;
        readonly eventName: string;
        readonly parameter: readonly { readonly name: string; readonly value: string }[];
      }[];
    };
  };
}

/** A log entry as it came out of the sink. */
export interface Exported {
  readonly topic: string;
  readonly attributes: Readonly<Record<string, string>> | undefined;
  readonly entry: LogEntry;
}

export interface Company extends AsyncDisposable {
  readonly context: EmulatorContext;
  readonly clock: EmulatorClock;
  readonly faults: FaultSwitches;
  readonly room: Directory;
  readonly root: string;
  readonly exported: Exported[];
  /** Google's own client; the delegated super admin with all scopes unless told. */
  client(caller?: Partial<Caller> & { readonly email?: string }): GoogleDirectory;
  token(caller?: Partial<Caller>): string;
}

/** The sample tenant behind the emulator's server: the admin, Ann in /Staff/Design, Bob in /Contractors. */
export async function company(
  options: Partial<DirectoryOptions> & {
    readonly stateFile?: string;
    readonly hostNames?: HostNames;
    readonly empty?: boolean;
    readonly missingTopic?: boolean;
    /** The machine's own unless told. */
    readonly clock?: EmulatorClock;
  } = {},
): Promise<Company> {
  const {
    stateFile,
    hostNames,
    empty = false,
    missingTopic = false,
    clock = new EmulatorClock(),
    ...directoryOptions
  } = options;
  const state = new EmulatorState(stateFile);
  const tokens = new AccessTokens(clock, state);
  const faults = new FaultSwitches();
  const exported: Exported[] = [];
  let root = '';
  const context: EmulatorContext = { clock, state, faults, tokens, rootUrl: () => root };
  const fresh = !state.has('directory');
  const room = createDirectory(
    context,
    {
      publisher: {
        publish: (topic, { data, attributes }) => {
          if (missingTopic) throw new GoogleError(404, 'notFound', 'Topic not found');
          exported.push({ topic, attributes, entry: JSON.parse(data.toString('utf8')) as LogEntry });
          return String(exported.length);
        },
      },
      outbound: { idTokens: NO_ID_TOKENS, ...(hostNames === undefined ? {} : { hostNames }) },
    },
    {
      customerId: 'C00sample',
      domains: ['acme.example', 'branch.example'],
      organizationNumber: '123456789012',
      auditTopic: TOPIC,
      roles: { [READER]: 'read-only' },
      notificationRetry: { firstBackoffMs: 5, maxBackoffMs: 10, maxTries: 4, maxTotalMs: 5000 },
      ...directoryOptions,
    },
  );
  if (fresh) {
    room.seedTenant({
      orgUnits: ['/Staff', '/Staff/Design', '/Contractors'],
      users: [
        { primaryEmail: ADMIN, givenName: 'Ada', familyName: 'Admin', superAdmin: true },
        ...(empty
          ? []
          : [
              {
                primaryEmail: 'ann@acme.example',
                givenName: 'Ann',
                familyName: 'Archer',
                orgUnitPath: '/Staff/Design',
                aliases: ['a.archer@acme.example'],
              },
              {
                primaryEmail: 'bob@acme.example',
                givenName: 'Bob',
                familyName: 'Baker',
                orgUnitPath: '/Contractors',
              },
            ]),
      ],
    });
  }
  const server = createEmulatorServer({ clock, tokens, faults, calls: new CallLog(), routes: room.routes });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  root = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;

  const token = (caller: Partial<Caller> = {}): string => {
    const scopes = (caller.scopes ?? SCOPES).map((scope) => `https://www.googleapis.com/auth/${scope}`);
    const email = caller.email ?? ADMIN;
    const whole: Caller =
      caller.kind === 'service-account'
        ? { kind: 'service-account', email, scopes }
        : { kind: 'user', email, scopes, serviceAccount: READER };
    return tokens.mint(whole).accessToken;
  };
  return {
    context,
    clock,
    faults,
    room,
    root,
    exported,
    token,
    client: (caller) => {
      const auth = new googleAuth.OAuth2();
      auth.setCredentials({ access_token: token(caller) });
      return admin({ version: 'directory_v1', rootUrl: root, auth, retry: false });
    },
    async [Symbol.asyncDispose]() {
      room.close();
      state.flush();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

const NO_ID_TOKENS: IdTokens = {
  mint: () => Promise.reject(new Error('Notifications carry no ID token.')),
  verifyGoogle: () => Promise.reject(new Error('Nobody shows the directory an ID token.')),
};

/** What Google's client throws, boiled down to what the wire said. */
export interface Refusal {
  readonly status: number;
  readonly reason: string;
  readonly message: string;
  readonly domain: string;
}

/** The refusal a call must end in; fails when it succeeds. */
export async function refusalOf(call: Promise<unknown>): Promise<Refusal> {
  const outcome = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  const response = (outcome as { response?: { status: number; data: unknown } } | undefined)?.response;
  if (response === undefined) throw new Error(`Expected a refusal, got ${String(outcome)}`);
  const data = typeof response.data === 'string' ? JSON.parse(response.data) : response.data;
  const { message, errors } = (
    data as { error: { message: string; errors: { reason: string; domain: string }[] } }
  ).error;
  return {
    status: response.status,
    reason: errors[0]?.reason ?? '',
    message,
    domain: errors[0]?.domain ?? '',
  };
}

export interface Received {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Receiver extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly received: Received[];
  /** Statuses for the next requests; 200 when there are none left. */
  readonly answers: number[];
  /** Resolves once so many requests have come; the test's own time limit ends a wait in vain. */
  atLeast(count: number): Promise<readonly Received[]>;
}

/** A receiver of notifications on loopback. */
export async function receiver(): Promise<Receiver> {
  const received: Received[] = [];
  const answers: number[] = [];
  const waiting: (() => void)[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      received.push({
        method: request.method ?? '',
        headers: request.headers,
        body: Buffer.concat(chunks).toString('utf8'),
      });
      const status = answers.shift() ?? 200;
      if (status === 102) response.writeProcessing();
      else response.writeHead(status).end();
      for (const wake of waiting.splice(0)) wake();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/directory`,
    port,
    received,
    answers,
    async atLeast(count) {
      while (received.length < count) await new Promise<void>((resolve) => waiting.push(resolve));
      return received;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Waits until nothing is under way in the room. */
export async function quiet(room: Directory): Promise<void> {
  while (room.pending().length > 0) await new Promise((resolve) => setTimeout(resolve, 5));
}

export function newcomer(primaryEmail: string, more: admin_directory_v1.Schema$User = {}) {
  return {
    requestBody: {
      primaryEmail,
      name: { givenName: 'New', familyName: 'Comer' },
      password: PASSWORD,
      ...more,
    },
  };
}
