/**
 * The dead-letter topic's own pull subscription. Messages are lent out for a minute at a time; what is not acknowledged
 * comes back. https://cloud.google.com/pubsub/docs/handling-failures
 */
import type { protos, v1 } from '@google-cloud/pubsub';
import type { DeadLetter, DeadLetterPage, DeadLetters } from '../../ports/dead-letters.ts';
import { callGoogle } from '../google/call.ts';
import { GoogleCallError } from '../google/call-error.ts';
import { type GoogleEndpoints, gaxEndpoint } from '../google/endpoints.ts';
import { once } from '../google/once.ts';
import type { OwnIdentity } from '../google/own-identity.ts';
import type { Repeatable, RetrySettings } from '../google/retry.ts';
import { deadLetterFailure } from './failure.ts';

export interface PubsubDeadLettersOptions {
  readonly projectId: string;
  readonly own: OwnIdentity;
  readonly endpoints: GoogleEndpoints;
  readonly retry: RetrySettings;
  /** Short name; `dead-letters` unless told. */
  readonly subscription?: string;
}

type Received = protos.google.pubsub.v1.IReceivedMessage;

interface Lent {
  readonly ackId: string;
  readonly letter: DeadLetter;
}

/** Where the messages of each subscription come from; a dead letter names the subscription only. */
const TOPIC_OF: Readonly<Record<string, string>> = {
  'directory-events-push': 'directory-events',
  'crl-requests-push': 'crl-requests',
};
const ADDED = 'CloudPubSubDeadLetter';
/** Pub/Sub answers at most 1000 a pull, and fewer at will. */
const PER_PULL = 500;
/**
 * A pull that returns at once may find nothing although there is something, above all shortly after it was given back; so
 * many in a row, so far apart, are believed.
 */
const EMPTY_PULLS = 4;
const PULL_AGAIN_MS = 150;
/** More than anybody decides on at once; what is lent out meanwhile must fit into the ack deadline. */
const MOST = 5_000;

export function pubsubDeadLetters(options: PubsubDeadLettersOptions): DeadLetters {
  const { projectId, own, retry } = options;
  const subscription = `projects/${projectId}/subscriptions/${options.subscription ?? 'dead-letters'}`;
  const clients = once(async () => {
    const pubsub = await import('@google-cloud/pubsub');
    const settings = { projectId, auth: own.auth, ...gaxEndpoint(options.endpoints) };
    return {
      subscriber: new pubsub.v1.SubscriberClient(settings),
      publisher: new pubsub.v1.PublisherClient(settings),
    };
  });
  const limits = { retry: null, timeout: retry.attemptTimeoutMs };

  async function call<T>(
    method: string,
    repeatable: Repeatable,
    attempt: (made: { subscriber: v1.SubscriberClient; publisher: v1.PublisherClient }) => Promise<T>,
  ): Promise<T> {
    const made = await clients();
    try {
      return await callGoogle({ method: `pubsub.projects.${method}`, repeatable, retry }, own, () =>
        attempt(made),
      );
    } catch (error) {
      throw error instanceof GoogleCallError ? deadLetterFailure(error, subscription) : error;
    }
  }

  const pull = async (): Promise<readonly Received[]> => {
    const [answer] = await call('subscriptions.pull', 'any-time', ({ subscriber }) =>
      subscriber.pull({ subscription, maxMessages: PER_PULL, returnImmediately: true }, limits),
    );
    return answer.receivedMessages ?? [];
  };

  /** Takes what there is on loan, up to `limit`. Whoever calls it gives back or acknowledges every one. */
  async function borrow(limit: number, lent: Lent[]): Promise<{ readonly more: boolean }> {
    for (let empty = 0; empty < EMPTY_PULLS; ) {
      const received = await pull();
      empty = received.length === 0 ? empty + 1 : 0;
      for (const { ackId, message } of received) {
        if (typeof ackId === 'string' && message) lent.push({ ackId, letter: toLetter(message) });
      }
      if (lent.length >= limit) return { more: true };
      if (received.length === 0) await retry.sleep(PULL_AGAIN_MS);
    }
    return { more: false };
  }

  const giveBack = async (lent: readonly Lent[]): Promise<void> => {
    if (lent.length === 0) return;
    const ackIds = lent.map(({ ackId }) => ackId);
    await call('subscriptions.modifyAckDeadline', 'any-time', ({ subscriber }) =>
      subscriber.modifyAckDeadline({ subscription, ackIds, ackDeadlineSeconds: 0 }, limits),
    );
  };

  return {
    look: async (limit): Promise<DeadLetterPage> => {
      const lent: Lent[] = [];
      try {
        const { more } = await borrow(limit, lent);
        const letters = lent.map(({ letter }) => letter).toSorted(byAge);
        return { letters: letters.slice(0, limit), more: more || letters.length > limit };
      } finally {
        await giveBack(lent);
      }
    },

    settle: async (wanted, settle) => {
      const lent: Lent[] = [];
      const settled = new Set<Lent>();
      try {
        await borrow(MOST, lent);
        for (const one of lent.toSorted((left, right) => byAge(left.letter, right.letter))) {
          if (!wanted(one.letter)) continue;
          await settle(one.letter);
          await call('subscriptions.acknowledge', 'any-time', ({ subscriber }) =>
            subscriber.acknowledge({ subscription, ackIds: [one.ackId] }, limits),
          );
          settled.add(one);
        }
      } finally {
        await giveBack(lent.filter((one) => !settled.has(one)));
      }
      return [...settled].map(({ letter }) => letter);
    },

    republish: async ({ topic, data, attributes }) => {
      await call('topics.publish', 'any-time', ({ publisher }) =>
        publisher.publish(
          {
            topic: `projects/${projectId}/topics/${topic}`,
            messages: [{ data: Buffer.from(data), attributes: { ...attributes } }],
          },
          limits,
        ),
      );
    },
  };
}

const byAge = (left: DeadLetter, right: DeadLetter): number =>
  left.givenUpAt.getTime() - right.givenUpAt.getTime() || (left.id < right.id ? -1 : 1);

function toLetter(message: protos.google.pubsub.v1.IPubsubMessage): DeadLetter {
  const all = Object.entries(message.attributes ?? {});
  const added = new Map(all.filter(([name]) => name.startsWith(ADDED)));
  const subscription = added.get(`${ADDED}SourceSubscription`) ?? 'unknown';
  const givenUpAt = toDate(message.publishTime);
  const published = new Date(added.get(`${ADDED}SourceTopicPublishTime`) ?? '');
  return {
    id: message.messageId ?? '',
    subscription,
    topic: TOPIC_OF[subscription] ?? 'directory-events',
    data: toBytes(message.data),
    attributes: Object.fromEntries(all.filter(([name]) => !name.startsWith(ADDED))),
    publishedAt: Number.isNaN(published.getTime()) ? givenUpAt : published,
    givenUpAt,
    deliveries: Number(added.get(`${ADDED}SourceDeliveryCount`) ?? 0),
  };
}

/** Over REST a Timestamp comes decoded too. */
function toDate(timestamp: protos.google.protobuf.ITimestamp | null | undefined): Date {
  return new Date(Number(timestamp?.seconds ?? 0) * 1000 + Math.floor((timestamp?.nanos ?? 0) / 1e6));
}

const toBytes = (data: Uint8Array | string | null | undefined): Uint8Array =>
  typeof data === 'string' ? Buffer.from(data, 'base64') : (data ?? new Uint8Array());
