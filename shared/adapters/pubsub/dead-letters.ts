/**
 * The dead-letter topic's own pull subscription. Messages are lent out, for a minute unless it is asked for more; what is not
 * acknowledged by then comes back. https://cloud.google.com/pubsub/docs/handling-failures
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
  /** Time by a clock that only goes forward; the machine's unless told. */
  readonly elapsedMs?: () => number;
}

type Received = protos.google.pubsub.v1.IReceivedMessage;

interface Lent {
  readonly ackId: string;
  readonly letter: DeadLetter;
}

/** Where the messages of each subscription come from; a dead letter names the subscription only. */
const TOPIC_OF: ReadonlyMap<string, string> = new Map([
  ['directory-events-push', 'directory-events'],
  ['crl-requests-push', 'crl-requests'],
]);
const ADDED = 'CloudPubSubDeadLetter';
/** Pub/Sub answers at most 1000 a pull, and fewer at will. So many are settled together. */
const PER_PULL = 200;
/**
 * A pull that returns at once may find nothing although there is something, above all shortly after it was given back; so
 * many in a row, so far apart, are believed.
 */
const EMPTY_PULLS = 4;
const PULL_AGAIN_MS = 150;
/** No further ones are asked for after this: half the time of a request to `admin`. */
const BUDGET_MS = 60_000;
/** Nor with so many on loan that are somebody else's choice. */
const MOST = 5_000;
/** Longer than a request to `admin` may take (120 s): nothing is lent out anew while it runs, and no acknowledgement comes late. */
const LOAN_SECONDS = 180;
/** Ids in one request, of which Pub/Sub takes half a megabyte; an id has some 200 bytes. */
const IDS_PER_CALL = 1_000;
/** Of data in one request to publish, of which Pub/Sub takes ten megabytes. A message that is larger goes alone. */
const BYTES_PER_CALL = 4_000_000;

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
  const elapsedMs = options.elapsedMs ?? (() => performance.now());

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

  const changeDeadline = async (ackIds: readonly string[], ackDeadlineSeconds: number): Promise<void> => {
    for (let from = 0; from < ackIds.length; from += IDS_PER_CALL) {
      const some = ackIds.slice(from, from + IDS_PER_CALL);
      await call('subscriptions.modifyAckDeadline', 'any-time', ({ subscriber }) =>
        subscriber.modifyAckDeadline({ subscription, ackIds: some, ackDeadlineSeconds }, limits),
      );
    }
  };

  const acknowledge = async (ackIds: string[]): Promise<void> => {
    if (ackIds.length === 0) return;
    await call('subscriptions.acknowledge', 'any-time', ({ subscriber }) =>
      subscriber.acknowledge({ subscription, ackIds }, limits),
    );
  };

  /**
   * Takes what there is on loan, pull by pull, until there is no more, `visit` has enough, or the time or the number is reached. What
   * `visit` does not take out of `held` is given back. `more`: there was something left, or may have been.
   */
  async function walk(
    visit: (lent: readonly Lent[], held: Set<string>) => Promise<'on' | 'enough'>,
    most = MOST,
  ): Promise<{ readonly more: boolean }> {
    const held = new Set<string>();
    const endMs = elapsedMs() + BUDGET_MS;
    try {
      for (let empty = 0; empty < EMPTY_PULLS; ) {
        if (held.size >= most || elapsedMs() >= endMs) return { more: true };
        const lent = (await pull()).flatMap(({ ackId, message }) =>
          typeof ackId === 'string' && message ? [{ ackId, letter: toLetter(message) }] : [],
        );
        empty = lent.length === 0 ? empty + 1 : 0;
        if (lent.length === 0) {
          await retry.sleep(PULL_AGAIN_MS);
          continue;
        }
        const ackIds = lent.map(({ ackId }) => ackId);
        for (const ackId of ackIds) held.add(ackId);
        await changeDeadline(ackIds, LOAN_SECONDS);
        if ((await visit(lent, held)) === 'enough') return { more: false };
      }
      return { more: false };
    } finally {
      await changeDeadline([...held], 0);
    }
  }

  return {
    look: async (limit): Promise<DeadLetterPage> => {
      const letters: DeadLetter[] = [];
      const { more } = await walk(async (lent) => {
        letters.push(...lent.map(({ letter }) => letter));
        return 'on';
      }, limit);
      return { letters: letters.toSorted(byAge).slice(0, limit), more: more || letters.length > limit };
    },

    find: async (id) => {
      let found: DeadLetter | undefined;
      const { more } = await walk(async (lent) => {
        found = lent.find(({ letter }) => letter.id === id)?.letter;
        return found === undefined ? 'on' : 'enough';
      });
      return found === undefined ? { more } : { letter: found, more };
    },

    settle: async (chosen, settle) => {
      const settled: DeadLetter[] = [];
      const unseen = chosen === 'all' ? undefined : new Set(chosen);
      const { more } = await walk(async (lent, held) => {
        const wanted = lent
          .filter(({ letter }) => unseen === undefined || unseen.has(letter.id))
          .toSorted((left, right) => byAge(left.letter, right.letter));
        for (const { letter } of wanted) unseen?.delete(letter.id);
        const done = wanted.length === 0 ? [] : await settle(wanted.map(({ letter }) => letter));
        const over = wanted.filter(({ letter }) => done.includes(letter));
        await acknowledge(over.map(({ ackId }) => ackId));
        for (const { ackId } of over) held.delete(ackId);
        settled.push(...over.map(({ letter }) => letter));
        return unseen?.size === 0 ? 'enough' : 'on';
      });
      return { settled, more };
    },

    republish: async (letters) => {
      for (const { topic, some } of inRequests(letters)) {
        const messages = some.map(({ data, attributes }) => ({
          data: Buffer.from(data),
          attributes: { ...attributes },
        }));
        await call('topics.publish', 'any-time', ({ publisher }) =>
          publisher.publish({ topic: `projects/${projectId}/topics/${topic}`, messages }, limits),
        );
      }
    },
  };
}

/** By topic, and each request no larger than Pub/Sub takes. */
function inRequests(
  letters: readonly DeadLetter[],
): readonly { readonly topic: string; readonly some: readonly DeadLetter[] }[] {
  const requests: { readonly topic: string; readonly some: DeadLetter[]; bytes: number }[] = [];
  for (const letter of letters) {
    const { topic, data } = letter;
    if (topic === undefined)
      throw new Error(`bug: dead letter ${letter.id} of ${letter.subscription} has no topic to go to`);
    const last = requests.findLast((request) => request.topic === topic);
    if (last !== undefined && last.bytes + data.length <= BYTES_PER_CALL) {
      last.some.push(letter);
      last.bytes += data.length;
    } else requests.push({ topic, some: [letter], bytes: data.length });
  }
  return requests;
}

const byAge = (left: DeadLetter, right: DeadLetter): number =>
  left.givenUpAt.getTime() - right.givenUpAt.getTime() || (left.id < right.id ? -1 : 1);

function toLetter(message: protos.google.pubsub.v1.IPubsubMessage): DeadLetter {
  const all = Object.entries(message.attributes ?? {});
  const added = new Map(all.filter(([name]) => name.startsWith(ADDED)));
  const subscription = added.get(`${ADDED}SourceSubscription`) ?? 'unknown';
  const topic = TOPIC_OF.get(subscription);
  const givenUpAt = toDate(message.publishTime);
  const published = new Date(added.get(`${ADDED}SourceTopicPublishTime`) ?? '');
  return {
    id: message.messageId ?? '',
    subscription,
    ...(topic === undefined ? {} : { topic }),
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
