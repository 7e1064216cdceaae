/**
 * Pub/Sub: topics, subscriptions, publishing, pull, and push with an ID token, back-off, ordering and dead letters,
 * over Google's REST paths. `resources.ts` has the vocabulary. It delivers at least once and never loses a message it
 * has accepted before its retention ends. What it will not do: gRPC, streaming pull, schemas, snapshots and seek,
 * exactly-once delivery, exports; asking for one of those is refused, not ignored.
 */
import type { EmulatorContext } from '../core/context.ts';
import type { Busy, HostNames, IdTokens, Publisher, Room } from '../core/rooms.ts';
import { PubsubAccess, type PubsubBinding } from './access.ts';
import { Broker } from './broker.ts';
import { checkMessages } from './message-rules.ts';
import { resourceName } from './names.ts';
import { PullDesk } from './pull-desk.ts';
import { PushEngine } from './push-engine.ts';
import { pubsubRoutes } from './routes.ts';
import { type GivenSubscription, subscriptionFrom } from './subscription-request.ts';
import { topicFrom } from './topic-request.ts';

export type { PubsubBinding, PubsubRole } from './access.ts';
export type { GivenSubscription } from './subscription-request.ts';

export interface PubsubOptions {
  readonly idTokens: IdTokens;
  /** Who may do what. For dead letters the project's service agent needs its two roles as well. */
  readonly bindings: readonly PubsubBinding[];
  /** Makes up the service agent's address, `service-N@gcp-sa-pubsub.iam.gserviceaccount.com`. */
  readonly projectNumber: string;
  /** Where push endpoints with public names really are. */
  readonly hostNames?: HostNames;
  /** Pushes under way for one subscription at the same time; 20 unless told. */
  readonly pushWindow?: number;
  /** Milliseconds before a retry where no retry policy says more; 100 unless told. */
  readonly retryFloorMs?: number;
  /** How long a pull without `returnImmediately` waits for a first message, in milliseconds; 5000 unless told. */
  readonly pullWaitMs?: number;
}

export interface Pubsub extends Room, Publisher, Busy {
  /** Acknowledged deliveries (repeats included) and dead letters since the state was made. */
  counters(): { readonly delivered: number; readonly deadLettered: number };
  /** Makes the topic unless it is there already. */
  ensureTopic(name: string): void;
  /** Makes the subscription, or brings one that is there to these settings and keeps its backlog. */
  ensureSubscription(name: string, settings: GivenSubscription): void;
  /** Breaks off pushes and pulls under way; nothing is lost, a restart sends them again. */
  stop(): Promise<void>;
}

/** IAM member of the agent that forwards dead letters; it needs publisher on their topic, subscriber on the source. */
export const pubsubServiceAgent = (projectNumber: string): string =>
  `serviceAccount:service-${projectNumber}@gcp-sa-pubsub.iam.gserviceaccount.com`;

export function createPubsub(context: EmulatorContext, options: PubsubOptions): Pubsub {
  const access = new PubsubAccess(options.bindings);
  const broker = new Broker(context, {
    access,
    serviceAgent: pubsubServiceAgent(options.projectNumber),
    retryFloorMs: options.retryFloorMs ?? 100,
  });
  const desk = new PullDesk(context, broker, options.pullWaitMs ?? 5000);
  const engine = new PushEngine(context, broker, {
    outbound: {
      idTokens: options.idTokens,
      ...(options.hostNames === undefined ? {} : { hostNames: options.hostNames }),
    },
    window: options.pushWindow ?? 20,
  });
  broker.resume();
  return {
    routes: pubsubRoutes({ broker, access, desk }),
    publish(topic, { data, attributes = {}, orderingKey = '' }) {
      const message = { data, attributes, orderingKey };
      checkMessages([message]);
      return broker.publish(topic, [message])[0] ?? '';
    },
    pending: () => broker.pending(),
    counters: () => broker.counters(),
    ensureTopic(name) {
      if (broker.topic(name) === undefined) broker.createTopic(topicFrom(resourceName(name, 'topics'), {}));
    },
    ensureSubscription(name, settings) {
      const wanted = subscriptionFrom(resourceName(name, 'subscriptions'), settings);
      const record = broker.record(name);
      if (record === undefined) broker.createSubscription(wanted);
      else broker.replaceSubscription(record, wanted);
    },
    async stop() {
      desk.stop();
      await engine.stop();
    },
  };
}
