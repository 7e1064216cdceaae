import { PubSub, v1 } from '@google-cloud/pubsub';
import { OAuth2Client } from 'google-auth-library';
import type { EmulatorClock } from '../../../emulator/core/clock.ts';
import type { IdTokens } from '../../../emulator/core/rooms.ts';
import {
  createPubsub,
  type Pubsub,
  type PubsubBinding,
  pubsubServiceAgent,
} from '../../../emulator/pubsub/index.ts';
import { EmulatorWorld } from '../core/world.ts';

export const PROJECT = 'acme-sealwright';
export const PROJECT_NUMBER = '123456789012';
export const EDITOR = `sealwright-deploy@${PROJECT}.iam.gserviceaccount.com`;
const SCOPE = 'https://www.googleapis.com/auth/pubsub';

/** ID tokens one can read but not verify; the identity room, which signs them, has its own tests. */
export const readableIdTokens: IdTokens = {
  mint: async (issuer, claims) =>
    `e30.${Buffer.from(JSON.stringify({ iss: issuer, ...claims })).toString('base64url')}.c2ln`,
  verifyGoogle: () => Promise.reject(new Error('Nobody asks the stand-in to verify.')),
};

export const claimsOf = (authorization: string | undefined): Record<string, unknown> => {
  const [, payload = ''] = (authorization ?? '').replace(/^Bearer /, '').split('.');
  return JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as Record<string, unknown>;
};

export const topicName = (id: string): string => `projects/${PROJECT}/topics/${id}`;
export const subscriptionName = (id: string): string => `projects/${PROJECT}/subscriptions/${id}`;

export const STANDARD_BINDINGS: readonly PubsubBinding[] = [
  { resource: `projects/${PROJECT}`, role: 'roles/pubsub.editor', members: [`serviceAccount:${EDITOR}`] },
  {
    resource: `projects/${PROJECT}`,
    role: 'roles/pubsub.editor',
    members: [pubsubServiceAgent(PROJECT_NUMBER)],
  },
];

export interface PubsubWorldOptions {
  readonly stateFile?: string;
  readonly clock?: EmulatorClock;
  readonly bindings?: readonly PubsubBinding[];
  readonly pushWindow?: number;
  readonly pullWaitMs?: number;
}

/** The Pub/Sub room behind a server, and Google's own clients for it. */
export class PubsubWorld extends EmulatorWorld {
  readonly pubsub: Pubsub;

  constructor(options: PubsubWorldOptions = {}) {
    super(options.stateFile, options.clock);
    this.pubsub = createPubsub(this.context, {
      idTokens: readableIdTokens,
      bindings: options.bindings ?? STANDARD_BINDINGS,
      projectNumber: PROJECT_NUMBER,
      retryFloorMs: 20,
      pullWaitMs: options.pullWaitMs ?? 200,
      ...(options.pushWindow === undefined ? {} : { pushWindow: options.pushWindow }),
    });
  }

  static async started(options: PubsubWorldOptions = {}): Promise<PubsubWorld> {
    const world = new PubsubWorld(options);
    await world.serve(world.pubsub.routes);
    return world;
  }

  bearer(email = EDITOR, scopes: readonly string[] = [SCOPE]): string {
    return this.tokenOf({ kind: 'service-account', email, scopes });
  }

  /** Google's client over REST, as this account. */
  client(email = EDITOR): PubSub {
    return new PubSub({
      projectId: PROJECT,
      apiEndpoint: `127.0.0.1:${this.port}`,
      ...this.#rest(email),
    } as ConstructorParameters<typeof PubSub>[0]);
  }

  /** Google's low-level subscriber client, which pulls over REST. */
  subscriber(email = EDITOR): InstanceType<typeof v1.SubscriberClient> {
    return new v1.SubscriberClient({
      projectId: PROJECT,
      apiEndpoint: '127.0.0.1',
      port: this.port,
      ...this.#rest(email),
    } as ConstructorParameters<typeof v1.SubscriberClient>[0]);
  }

  #rest(email: string) {
    const authClient = new OAuth2Client();
    authClient.setCredentials({ access_token: this.bearer(email) });
    return { protocol: 'http', fallback: 'rest', authClient };
  }

  /** Plain JSON, for shapes that no client of Google's would send. */
  async fetch(
    verb: string,
    path: string,
    body?: unknown,
    token = this.bearer(),
  ): Promise<{
    status: number;
    body: Record<string, unknown> & { error?: { message: string; status: string } };
  }> {
    const response = await fetch(`${this.root}v1/projects/${PROJECT}/${path}`, {
      method: verb,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }

  override async close(): Promise<void> {
    await this.pubsub.stop();
    await super.close();
  }
}
