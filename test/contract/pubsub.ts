/**
 * What we rely on Pub/Sub for, as one suite that runs against our emulator and against Google's, through Google's
 * Node client. Where the two differ, `PubSubTraits` names the difference and the test that meets it says so; our own
 * follows the real service in each of those points.
 */
import type { PubSub } from '@google-cloud/pubsub';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Push, PushReceiver } from '../support/push-receiver.ts';

export interface PubSubTraits {
  /** Pushes with `oidcToken` carry an `Authorization` header. */
  readonly pushesCarryTokens: boolean;
  /** Push bodies carry `orderingKey`. */
  readonly pushesCarryOrderingKeys: boolean;
  /** Push bodies carry `deliveryAttempt` under a dead-letter policy. */
  readonly pushesCarryAttempts: boolean;
  /** The subscription filter is applied, not only stored. */
  readonly filters: boolean;
  /** `createTopic` with the client's empty `tags` is taken over REST. */
  readonly takesTagsOverRest: boolean;
  /** The ack deadline's lower limit (10 s) is kept. */
  readonly checksAckDeadlines: boolean;
}

export interface PubSubUnderTest {
  readonly project: string;
  /** Google's client, over whichever transport the emulator speaks with it. */
  readonly client: PubSub;
  /** The same client over REST. */
  readonly restClient: PubSub;
  /** One pull over REST that returns at once, acknowledged; the messages as JSON. */
  pull(subscription: string): Promise<readonly PulledMessage[]>;
  close(): Promise<void>;
}

export interface PulledMessage {
  readonly data?: string;
  readonly attributes?: Readonly<Record<string, string>>;
  readonly orderingKey?: string;
}

const PUSHER = 'pusher@acme-sealwright.iam.gserviceaccount.com';
/** Fast enough for a test; both emulators take fractions of a second. */
const QUICK = { minimumBackoff: { nanos: 50_000_000 }, maximumBackoff: { nanos: 100_000_000 } };

/** Declares the suite. `start` is called once, before the first test. */
export function pubsubContract(
  name: string,
  traits: PubSubTraits,
  start: () => Promise<PubSubUnderTest>,
): void {
  describe(`${name}, used as Pub/Sub`, () => {
    let pubsub: PubSubUnderTest;
    let receiver: PushReceiver;
    let topic: string;
    let number = 0;

    beforeAll(async () => {
      pubsub = await start();
      receiver = await new PushReceiver().listen();
    });
    afterAll(async () => {
      await pubsub?.close();
      await receiver?.close();
    });
    beforeEach(async () => {
      number += 1;
      topic = `contract-${number}`;
      receiver.pushes.length = 0;
      receiver.react = () => 204;
      await pubsub.client.createTopic(topic);
    });

    type Settings = NonNullable<Parameters<ReturnType<PubSub['topic']>['createSubscription']>[1]>;
    const subscribe = (settings: Settings = {}) =>
      pubsub.client.topic(topic).createSubscription(`${topic}-push`, {
        pushConfig: { pushEndpoint: receiver.url() },
        retryPolicy: QUICK,
        ...settings,
      });
    const publish = (
      text: string,
      more: { attributes?: Record<string, string>; orderingKey?: string } = {},
    ) =>
      pubsub.client
        .topic(topic, { messageOrdering: more.orderingKey !== undefined })
        .publishMessage({ data: Buffer.from(text), ...more });
    const arrived = (count: number): Promise<readonly Push[]> =>
      eventually(() => (receiver.pushes.length >= count ? receiver.pushes : undefined));
    /** Long enough for a push that should not come to have come. */
    const settled = () => new Promise((resolve) => setTimeout(resolve, 400));

    it('pushes a published message with its data, attributes, id and time', async () => {
      await subscribe();
      const messageId = await publish('hint', { attributes: { kind: 'hint' } });
      const [push] = await arrived(1);
      expect(push?.text).toBe('hint');
      expect(push?.headers['content-type']).toMatch(/^application\/json/);
      const { message, subscription } = push?.body ?? {};
      expect(message).toMatchObject({ attributes: { kind: 'hint' }, messageId, message_id: messageId });
      expect(message?.publishTime).toBe(message?.publish_time);
      expect(Math.abs(Date.parse(message?.publishTime ?? '') - Date.now())).toBeLessThan(60_000);
      expect(subscription).toBe(`projects/${pubsub.project}/subscriptions/${topic}-push`);
    });

    it('is done with a message that was answered 204', async () => {
      await subscribe();
      await publish('hint');
      await arrived(1);
      await settled();
      expect(receiver.texts).toEqual(['hint']);
    });

    it('pushes again what was answered 500, under the same id', async () => {
      await subscribe();
      receiver.react = () => (receiver.pushes.length < 3 ? 500 : 204);
      const messageId = await publish('hint');
      const pushes = await arrived(3);
      await settled();
      expect(pushes.map((push) => push.body.message.messageId)).toEqual([messageId, messageId, messageId]);
    });

    it('holds the next message of an ordering key back until the one before is acknowledged', async () => {
      await subscribe({ enableMessageOrdering: true });
      receiver.react = (push) => (push.text === 'first' && receiver.pushes.length < 3 ? 500 : 204);
      await publish('first', { orderingKey: 'user-1' });
      await publish('second', { orderingKey: 'user-1' });
      await arrived(4);
      expect(receiver.texts).toEqual(['first', 'first', 'first', 'second']);
    });

    it('sends a message that fails five times to the dead-letter topic, with where it came from', async () => {
      await pubsub.client.createTopic(`${topic}-dead`);
      await pubsub.client.topic(`${topic}-dead`).createSubscription(`${topic}-morgue`);
      await subscribe({
        deadLetterPolicy: {
          deadLetterTopic: `projects/${pubsub.project}/topics/${topic}-dead`,
          maxDeliveryAttempts: 5,
        },
      });
      receiver.react = () => 500;
      await publish('poison', { attributes: { kind: 'hint' } });
      const [letter] = await eventually(async () => {
        const pulled = await pubsub.pull(`${topic}-morgue`);
        return pulled.length > 0 ? pulled : undefined;
      });
      expect(Buffer.from(letter?.data ?? '', 'base64').toString()).toBe('poison');
      expect(letter?.attributes).toMatchObject({
        kind: 'hint',
        CloudPubSubDeadLetterSourceDeliveryCount: '5',
        CloudPubSubDeadLetterSourceSubscription: `${topic}-push`,
        CloudPubSubDeadLetterSourceSubscriptionProject: pubsub.project,
        CloudPubSubDeadLetterSourceTopicPublishTime: expect.stringMatching(/^\d{4}-/),
      });
      expect(receiver.pushes).toHaveLength(5);
    });

    it('lets a message go that nobody subscribed to, and keeps one for a pull', async () => {
      await publish('too early');
      await pubsub.client.topic(topic).createSubscription(`${topic}-pull`);
      await publish('in time', { orderingKey: 'user-1' });
      const pulled = await eventually(async () => {
        const messages = await pubsub.pull(`${topic}-pull`);
        return messages.length > 0 ? messages : undefined;
      });
      expect(pulled.map((message) => Buffer.from(message.data ?? '', 'base64').toString())).toEqual([
        'in time',
      ]);
      expect(pulled[0]?.orderingKey).toBe('user-1');
    });

    it('refuses names twice and names that are missing, with the codes of gRPC', async () => {
      await expect(pubsub.client.createTopic(topic)).rejects.toMatchObject({ code: 6 });
      await expect(pubsub.client.topic('missing').getMetadata()).rejects.toMatchObject({ code: 5 });
      await expect(pubsub.client.topic('missing').createSubscription('lost')).rejects.toMatchObject({
        code: 5,
      });
      expect(await pubsub.client.topic('missing').exists()).toEqual([false]);
      await expect(pubsub.client.createTopic('ab')).rejects.toMatchObject({ code: 3 });
    });

    it('refuses a message without data and attributes', async () => {
      await expect(
        pubsub.client.topic(topic).publishMessage({ data: Buffer.alloc(0), attributes: {} }),
      ).rejects.toMatchObject({ code: 3 });
    });

    // From here on: the points in which the two emulators differ.

    it(
      traits.pushesCarryTokens
        ? 'pushes with an ID token where the subscription asks for one'
        : 'DIFFERS: pushes without a token though the subscription asks for one',
      async () => {
        await subscribe({
          pushConfig: {
            pushEndpoint: receiver.url(),
            oidcToken: { serviceAccountEmail: PUSHER, audience: 'the-function' },
          },
        });
        await publish('hint');
        const [push] = await arrived(1);
        if (traits.pushesCarryTokens)
          expect(push?.headers.authorization).toMatch(/^Bearer [\w-]+\.[\w-]+\.[\w-]+$/);
        else expect(push?.headers).not.toHaveProperty('authorization');
      },
    );

    it(
      traits.pushesCarryOrderingKeys
        ? 'pushes the ordering key'
        : 'DIFFERS: leaves the ordering key out of the push body',
      async () => {
        await subscribe({ enableMessageOrdering: true });
        await publish('hint', { orderingKey: 'user-1' });
        const [push] = await arrived(1);
        expect(push?.body.message.orderingKey).toBe(traits.pushesCarryOrderingKeys ? 'user-1' : undefined);
      },
    );

    it(
      traits.pushesCarryAttempts
        ? 'counts delivery attempts from 1 in the push body'
        : 'DIFFERS: leaves the delivery attempt out of the push body',
      async () => {
        await pubsub.client.createTopic(`${topic}-dead`);
        await subscribe({
          deadLetterPolicy: {
            deadLetterTopic: `projects/${pubsub.project}/topics/${topic}-dead`,
            maxDeliveryAttempts: 10,
          },
        });
        receiver.react = () => (receiver.pushes.length < 3 ? 500 : 204);
        await publish('hint');
        const pushes = await arrived(3);
        expect(pushes.map((push) => push.body.deliveryAttempt)).toEqual(
          traits.pushesCarryAttempts ? [1, 2, 3] : [undefined, undefined, undefined],
        );
      },
    );

    it(
      traits.filters
        ? 'applies the filter of a subscription'
        : 'DIFFERS: stores the filter and does not apply it',
      async () => {
        await subscribe({ filter: 'attributes.kind = "hint"' });
        await publish('no', { attributes: { kind: 'wish' } });
        await publish('yes', { attributes: { kind: 'hint' } });
        await arrived(traits.filters ? 1 : 2);
        await settled();
        expect([...receiver.texts].sort()).toEqual(traits.filters ? ['yes'] : ['no', 'yes']);
        const [metadata] = await pubsub.client.subscription(`${topic}-push`).getMetadata();
        expect(metadata.filter).toBe('attributes.kind = "hint"');
      },
    );

    it(
      traits.takesTagsOverRest
        ? "takes the client's createTopic over REST"
        : "DIFFERS: refuses the client's createTopic over REST, for its empty tags",
      async () => {
        const attempt = pubsub.restClient.createTopic(`${topic}-rest`);
        if (traits.takesTagsOverRest) expect((await attempt)[0].name).toContain(`${topic}-rest`);
        else await expect(attempt).rejects.toThrow("Payload isn't valid for request.");
      },
    );

    it(
      traits.checksAckDeadlines
        ? 'refuses an ack deadline below ten seconds'
        : 'DIFFERS: takes an ack deadline below ten seconds',
      async () => {
        const attempt = subscribe({ ackDeadlineSeconds: 5 });
        if (traits.checksAckDeadlines) await expect(attempt).rejects.toMatchObject({ code: 3 });
        else expect((await attempt)[1].ackDeadlineSeconds).toBe(5);
      },
    );
  });
}

/** Looks again until there is something; the test's own time-out ends it otherwise. */
async function eventually<T>(look: () => T | undefined | Promise<T | undefined>): Promise<T> {
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
