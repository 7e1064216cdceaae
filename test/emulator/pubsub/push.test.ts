import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EmulatorClock } from '../../../emulator/core/clock.ts';
import { type GivenSubscription, pubsubServiceAgent } from '../../../emulator/pubsub/index.ts';
import { PushReceiver } from '../../support/push-receiver.ts';
import { until } from '../core/world.ts';
import {
  claimsOf,
  EDITOR,
  PROJECT,
  PROJECT_NUMBER,
  PubsubWorld,
  type PubsubWorldOptions,
  subscriptionName,
  topicName,
} from './world.ts';

const PUSHER = `pusher@${PROJECT}.iam.gserviceaccount.com`;
/** Ten minutes: nothing waits for it in real time. */
const SLOW = { minimumBackoff: '600s', maximumBackoff: '600s' };

let world: PubsubWorld;
let receiver: PushReceiver;
const folders: string[] = [];

beforeEach(async () => {
  receiver = await new PushReceiver().listen();
});
afterEach(async () => {
  await world.close();
  await receiver.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

async function start(
  settings: Partial<GivenSubscription> = {},
  options: PubsubWorldOptions = {},
): Promise<void> {
  world = await PubsubWorld.started(options);
  for (const id of ['events', 'dead']) world.pubsub.ensureTopic(topicName(id));
  subscribe(settings);
}

function subscribe(settings: Partial<GivenSubscription>): void {
  world.pubsub.ensureSubscription(subscriptionName('push'), {
    topic: topicName('events'),
    pushConfig: { pushEndpoint: receiver.url() },
    ...settings,
  });
}

const publish = (text: string, more: { attributes?: Record<string, string>; orderingKey?: string } = {}) =>
  world.pubsub.publish(topicName('events'), { data: Buffer.from(text), ...more });
const arrived = (count: number) => until(() => receiver.pushes.length >= count);
const quiet = () => until(() => world.pubsub.pending().length === 0);
const sorted = (texts: readonly string[]) => [...texts].sort();

describe('a push', () => {
  it('carries the message in the wrapped form, with both spellings of id and time', async () => {
    await start();
    const messageId = publish('hint', { attributes: { kind: 'hint' }, orderingKey: 'user-1' });
    await arrived(1);
    const [push] = receiver.pushes;
    const { publishTime } = push?.body.message ?? {};
    expect(push?.body).toEqual({
      message: {
        data: Buffer.from('hint').toString('base64'),
        attributes: { kind: 'hint' },
        messageId,
        message_id: messageId,
        orderingKey: 'user-1',
        publishTime,
        publish_time: publishTime,
      },
      subscription: subscriptionName('push'),
    });
    expect(new Date(publishTime ?? '').toISOString()).toBe(publishTime);
    expect(push?.headers['content-type']).toBe('application/json');
  });

  it('without oidcToken carries no Authorization header', async () => {
    await start();
    publish('hint');
    await arrived(1);
    expect(receiver.pushes[0]?.headers).not.toHaveProperty('authorization');
  });

  it('with oidcToken carries an ID token of Google for that account and audience', async () => {
    await start({
      pushConfig: {
        pushEndpoint: receiver.url(),
        oidcToken: { serviceAccountEmail: PUSHER, audience: 'https://the-function.example' },
      },
    });
    publish('hint');
    await arrived(1);
    const claims = claimsOf(receiver.pushes[0]?.headers.authorization);
    expect(claims).toMatchObject({
      iss: 'https://accounts.google.com',
      aud: 'https://the-function.example',
      email: PUSHER,
      email_verified: true,
      sub: expect.stringMatching(/^\d{21}$/),
    });
    expect(claims['azp']).toBe(claims['sub']);
  });

  it('takes the push address for the audience when none is given', async () => {
    await start({
      pushConfig: { pushEndpoint: receiver.url('/deep'), oidcToken: { serviceAccountEmail: PUSHER } },
    });
    publish('hint');
    await arrived(1);
    expect(claimsOf(receiver.pushes[0]?.headers.authorization)['aud']).toBe(receiver.url('/deep'));
  });

  it.each([200, 201, 202, 204])('answered %i is acknowledged', async (status) => {
    await start({ retryPolicy: SLOW });
    receiver.react = () => status;
    publish('hint');
    await quiet();
    expect(receiver.texts).toEqual(['hint']);
    expect(world.pubsub.counters()).toEqual({ delivered: 1, deadLettered: 0 });
  });

  it('answered 102 is acknowledged, though no final answer follows', async () => {
    await start({ retryPolicy: SLOW });
    receiver.react = () => (response) => response.writeProcessing();
    publish('hint');
    await quiet();
    expect(world.pubsub.counters().delivered).toBe(1);
  });

  it.each([203, 205, 302, 400, 401, 404, 429, 500, 503])('answered %i is delivered again', async (status) => {
    await start();
    receiver.react = () => (receiver.pushes.length === 1 ? status : 204);
    const messageId = publish('hint');
    await quiet();
    expect(receiver.pushes.map((push) => push.body.message.messageId)).toEqual([messageId, messageId]);
  });

  it('that breaks off is delivered again', async () => {
    await start();
    receiver.react = () =>
      receiver.pushes.length === 1 ? (response) => void response.socket?.destroy() : 204;
    publish('hint');
    await quiet();
    expect(receiver.texts).toEqual(['hint', 'hint']);
  });

  it('to an address where nobody listens waits for somebody', async () => {
    await start({ pushConfig: { pushEndpoint: 'http://127.0.0.1:1/' } });
    publish('hint');
    expect(world.pubsub.pending()).toEqual([expect.stringContaining('1 undelivered on push')]);
    subscribe({});
    await quiet();
    expect(receiver.texts).toEqual(['hint']);
  });

  it('of a message that the filter keeps back is not made', async () => {
    await start({ filter: 'attributes.kind = "hint"' });
    publish('no', { attributes: { kind: 'wish' } });
    publish('yes', { attributes: { kind: 'hint' } });
    await quiet();
    expect(receiver.texts).toEqual(['yes']);
  });

  it('follows a changed push configuration, and stops when it is emptied', async () => {
    await start({ pushConfig: {} });
    publish('hint');
    expect(world.pubsub.pending()).toEqual([]);
    await world.client().subscription('push').modifyPushConfig({ pushEndpoint: receiver.url() });
    await arrived(1);
    await world.client().subscription('push').modifyPushConfig({});
    publish('pulled');
    const answer = await world.fetch('POST', 'subscriptions/push:pull', {
      maxMessages: 1,
      returnImmediately: true,
    });
    expect(answer.body['receivedMessages']).toHaveLength(1);
    expect(receiver.texts).toEqual(['hint']);
  });

  it('is made for at most as many messages at once as the window holds', async () => {
    await start({}, { pushWindow: 3 });
    const open: (() => void)[] = [];
    let most = 0;
    receiver.react = () =>
      new Promise((resolve) => {
        open.push(() => resolve(204));
        most = Math.max(most, open.length);
      });
    for (let index = 0; index < 8; index += 1) publish(`m${index}`);
    await until(() => open.length === 3);
    for (let round = 0; round < 8; round += 1) {
      const answer = await until(() => open.pop());
      answer();
    }
    await quiet();
    expect(most).toBe(3);
    expect(receiver.pushes).toHaveLength(8);
  });
});

describe('a refused push', () => {
  it('waits for its back-off and comes at once when the clock jumps past it', async () => {
    await start({ retryPolicy: { minimumBackoff: '100s', maximumBackoff: '600s' } });
    receiver.react = () => (receiver.pushes.length < 4 ? 503 : 204);
    publish('hint');
    for (const [attempt, waitSeconds] of [100, 200, 400].entries()) {
      await until(() => world.pubsub.pending()[0]?.includes('(0 under way, next try at'));
      world.clock.advance((waitSeconds - 5) * 1000);
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(receiver.pushes).toHaveLength(attempt + 1);
      world.clock.advance(5000);
      await arrived(attempt + 2);
    }
    await quiet();
  });

  it('waits no longer than the longest back-off', async () => {
    await start({ retryPolicy: { minimumBackoff: '100s', maximumBackoff: '150s' } });
    receiver.react = () => (receiver.pushes.length < 5 ? 503 : 204);
    publish('hint');
    for (let attempt = 1; attempt < 5; attempt += 1) {
      await until(() => world.pubsub.pending()[0]?.includes('(0 under way'));
      world.clock.advance(150_000);
      await arrived(attempt + 1);
    }
    await quiet();
  });

  it('comes again by itself when the back-off has passed in real time', async () => {
    await start({ retryPolicy: { minimumBackoff: '0.03s', maximumBackoff: '0.06s' } });
    receiver.react = () => (receiver.pushes.length < 4 ? 500 : 204);
    publish('hint');
    await quiet();
    expect(receiver.pushes).toHaveLength(4);
  });

  it('carries deliveryAttempt only under a dead-letter policy, counted from 1', async () => {
    await start({ deadLetterPolicy: { deadLetterTopic: topicName('dead'), maxDeliveryAttempts: 10 } });
    receiver.react = () => (receiver.pushes.length < 3 ? 500 : 204);
    publish('hint');
    await quiet();
    expect(receiver.pushes.map((push) => push.body.deliveryAttempt)).toEqual([1, 2, 3]);
  });

  it('becomes a dead letter after the last attempt, with where it came from', async () => {
    await start({ deadLetterPolicy: { deadLetterTopic: topicName('dead'), maxDeliveryAttempts: 5 } });
    world.pubsub.ensureSubscription(subscriptionName('morgue'), { topic: topicName('dead') });
    receiver.react = () => 500;
    publish('poison', { attributes: { kind: 'hint' }, orderingKey: 'user-1' });
    await quiet();
    expect(receiver.pushes).toHaveLength(5);
    expect(world.pubsub.counters()).toEqual({ delivered: 0, deadLettered: 1 });
    const answer = await world.fetch('POST', 'subscriptions/morgue:pull', { maxMessages: 1 });
    const [letter] = answer.body['receivedMessages'] as { message: Record<string, unknown> }[];
    expect(letter?.message).toMatchObject({
      data: Buffer.from('poison').toString('base64'),
      orderingKey: 'user-1',
      attributes: {
        kind: 'hint',
        CloudPubSubDeadLetterSourceDeliveryCount: '5',
        CloudPubSubDeadLetterSourceSubscription: 'push',
        CloudPubSubDeadLetterSourceSubscriptionProject: PROJECT,
        CloudPubSubDeadLetterSourceTopicPublishTime: receiver.pushes[0]?.body.message.publishTime,
      },
    });
    expect(letter?.message['messageId']).not.toBe(receiver.pushes[0]?.body.message.messageId);
  });

  it.each([
    ['publish dead letters', 'roles/pubsub.subscriber', subscriptionName('push')],
    ['acknowledge on the source', 'roles/pubsub.publisher', topicName('dead')],
  ] as const)("is retried for ever while Pub/Sub's agent may not %s", async (_what, role, resource) => {
    await start(
      { deadLetterPolicy: { deadLetterTopic: topicName('dead'), maxDeliveryAttempts: 5 } },
      { bindings: [{ resource, role, members: [pubsubServiceAgent(PROJECT_NUMBER)] }] },
    );
    receiver.react = () => 500;
    publish('poison');
    await arrived(8);
    expect(world.pubsub.counters().deadLettered).toBe(0);
  });

  it('is dropped when the retention ends', async () => {
    await start({ retryPolicy: SLOW, messageRetentionDuration: '1000s' });
    receiver.react = () => 500;
    publish('hint');
    await until(() => world.pubsub.pending()[0]?.includes('(0 under way'));
    world.clock.advance(600_000);
    await arrived(2);
    await until(() => world.pubsub.pending()[0]?.includes('(0 under way'));
    world.clock.advance(600_000);
    expect(world.pubsub.pending()).toEqual([]);
    expect(receiver.pushes).toHaveLength(2);
  });

  it('that was due before a jump of the clock is still made after it, however far the jump', async () => {
    await start({ retryPolicy: SLOW });
    receiver.react = () => (receiver.pushes.length === 1 ? 500 : 204);
    publish('hint');
    await until(() => world.pubsub.pending()[0]?.includes('(0 under way'));
    world.clock.advance(400 * 86_400_000);
    await quiet();
    expect(receiver.texts).toEqual(['hint', 'hint']);
  });
});

describe('pushes in order', () => {
  const keyed = (key: string, ...texts: string[]) => {
    for (const text of texts) publish(text, { orderingKey: key });
  };

  it('hold the next message of a key back until the one before is acknowledged', async () => {
    await start({ enableMessageOrdering: true, retryPolicy: SLOW });
    const gate = Promise.withResolvers<number>();
    receiver.react = (push) => (push.text === 'a1' ? gate.promise : 204);
    keyed('a', 'a1', 'a2');
    keyed('b', 'b1', 'b2');
    await arrived(3);
    expect(receiver.texts).not.toContain('a2');
    gate.resolve(204);
    await quiet();
    expect(receiver.texts.filter((text) => text.startsWith('a'))).toEqual(['a1', 'a2']);
    expect(receiver.texts.filter((text) => text.startsWith('b'))).toEqual(['b1', 'b2']);
  });

  it('without a key do not wait for each other', async () => {
    await start({ enableMessageOrdering: true, retryPolicy: SLOW });
    receiver.react = (push) => (push.text === 'one' ? 500 : 204);
    for (const text of ['one', 'two', 'three']) publish(text);
    await arrived(3);
    expect(sorted(receiver.texts)).toEqual(['one', 'three', 'two']);
  });

  it('do not wait where ordering is not switched on', async () => {
    await start({ retryPolicy: SLOW });
    receiver.react = (push) => (push.text === 'a1' ? 500 : 204);
    keyed('a', 'a1', 'a2');
    await arrived(2);
    expect(sorted(receiver.texts)).toEqual(['a1', 'a2']);
  });

  it('stand behind a poison message until it is a dead letter, then go on', async () => {
    await start({
      enableMessageOrdering: true,
      deadLetterPolicy: { deadLetterTopic: topicName('dead'), maxDeliveryAttempts: 5 },
    });
    receiver.react = (push) => (push.text === 'poison' ? 500 : 204);
    keyed('a', 'before', 'poison', 'after');
    await quiet();
    expect(receiver.texts).toEqual(['before', ...Array<string>(5).fill('poison'), 'after']);
    expect(world.pubsub.counters()).toEqual({ delivered: 2, deadLettered: 1 });
  });
});

describe('event faults', () => {
  const texts = Array.from({ length: 12 }, (_value, index) => `m${String(index).padStart(2, '0')}`);

  it('duplicate:1, reorder:1 deliver each message twice and out of order, and lose none', async () => {
    await start();
    world.faults.apply({ seed: 7, events: { duplicate: 1, reorder: 1 } });
    for (const text of texts) publish(text);
    await quiet();
    expect(sorted(receiver.texts)).toEqual(texts.flatMap((text) => [text, text]));
    const firsts = [...new Set(receiver.texts)];
    expect(firsts).not.toEqual(texts);
    expect(world.pubsub.counters()).toEqual({ delivered: 24, deadLettered: 0 });
  });

  it('duplicate a message under its own id, after it was acknowledged', async () => {
    await start();
    world.faults.apply({ events: { duplicate: 1 } });
    const messageId = publish('hint');
    await quiet();
    expect(receiver.pushes.map((push) => push.body.message.messageId)).toEqual([messageId, messageId]);
  });

  it('reorder the same way under the same seed', async () => {
    const orders: string[][] = [];
    for (let run = 0; run < 2; run += 1) {
      await start({ pushConfig: {} });
      world.faults.apply({ seed: 7, events: { reorder: 1 } });
      for (const text of texts) publish(text);
      const section = world.state.section<{ subscriptions: Record<string, { backlog: Entry[] }> }>(
        'pubsub',
        () => ({ subscriptions: {} }),
      );
      const { backlog = [] } = section.subscriptions[subscriptionName('push')] ?? {};
      orders.push(
        [...backlog]
          .sort(
            (one, other) =>
              one.dueMs -
              Date.parse(one.message.publishTime) -
              other.dueMs +
              Date.parse(other.message.publishTime),
          )
          .map((entry) => entry.message.data),
      );
      if (run === 0) await world.close();
    }
    expect(orders[0]).toHaveLength(texts.length);
    expect(orders[0]).toEqual(orders[1]);
  });

  it('never break the order of a key', async () => {
    await start({ enableMessageOrdering: true });
    world.faults.apply({ seed: 7, events: { duplicate: 1, reorder: 1 } });
    for (const text of texts.slice(0, 4)) publish(text, { orderingKey: 'a' });
    await quiet();
    expect(receiver.texts).toEqual(texts.slice(0, 4).flatMap((text) => [text, text]));
  });

  it('drop:1 does not touch what was accepted', async () => {
    await start();
    world.faults.apply({ events: { drop: 1 } });
    publish('hint');
    await quiet();
    expect(receiver.texts).toEqual(['hint']);
  });

  it('delayMs holds messages back by the clock', async () => {
    await start();
    world.faults.apply({ events: { delayMs: 3_600_000 } });
    publish('hint');
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(receiver.pushes).toEqual([]);
    expect(world.pubsub.pending()).toEqual([expect.stringContaining('next try at')]);
    world.clock.advance(3_600_000);
    await quiet();
    expect(receiver.texts).toEqual(['hint']);
  });
});

describe('a message that comes due between two looks at the clock', () => {
  /** Goes on by a millisecond each time somebody looks, and only then. */
  class TickingClock extends EmulatorClock {
    #nowMs = Date.now();

    override nowMs(): number {
      this.#nowMs += 1;
      return this.#nowMs;
    }
  }

  it('is not forgotten', async () => {
    await start({}, { clock: new TickingClock() });
    for (let delayMs = 1; delayMs <= 25; delayMs += 1) {
      world.faults.apply({ events: { delayMs } });
      publish(`after ${delayMs}`);
      await arrived(delayMs);
    }
    await quiet();
  });
});

describe('a restart', () => {
  const stateFile = () => {
    const folder = mkdtempSync(join(tmpdir(), 'pubsub-'));
    folders.push(folder);
    return join(folder, 'state.json');
  };

  it('delivers what was not acknowledged, what was under way included, and nothing else', async () => {
    const file = stateFile();
    await start({}, { stateFile: file });
    receiver.react = (push) => (push.text === 'acknowledged' ? 204 : new Promise(() => undefined));
    publish('acknowledged');
    publish('under way');
    await until(() => receiver.pushes.length === 2 && world.pubsub.counters().delivered === 1);
    await world.close();
    world.state.flush();

    receiver.react = () => 204;
    receiver.pushes.length = 0;
    world = await PubsubWorld.started({ stateFile: file });
    await quiet();
    expect(receiver.texts).toEqual(['under way']);
    expect(world.pubsub.counters().delivered).toBe(2);
  });

  it('keeps attempts, back-off and the numbering of messages', async () => {
    const file = stateFile();
    const settings = {
      retryPolicy: SLOW,
      deadLetterPolicy: { deadLetterTopic: topicName('dead'), maxDeliveryAttempts: 5 },
    };
    await start(settings, { stateFile: file });
    receiver.react = () => 500;
    const messageId = publish('hint');
    await until(() => world.pubsub.pending()[0]?.includes('(0 under way'));
    await world.close();
    world.state.flush();

    world = await PubsubWorld.started({ stateFile: file });
    subscribe(settings);
    expect(BigInt(publish('later'))).toBe(BigInt(messageId) + 1n);
    receiver.react = () => 204;
    await until(() => receiver.texts.includes('later'));
    expect(receiver.texts).toEqual(['hint', 'later']);
    world.clock.advance(600_000);
    await quiet();
    expect(receiver.pushes.map((push) => [push.text, push.body.deliveryAttempt])).toEqual([
      ['hint', 1],
      ['later', 1],
      ['hint', 2],
    ]);
  });
});

describe('pending', () => {
  it('does not count pull subscriptions and subscriptions of a dead-letter topic', async () => {
    await start({ deadLetterPolicy: { deadLetterTopic: topicName('dead'), maxDeliveryAttempts: 5 } });
    world.pubsub.ensureSubscription(subscriptionName('pulled'), { topic: topicName('events') });
    world.pubsub.ensureSubscription(subscriptionName('alarm'), {
      topic: topicName('dead'),
      pushConfig: { pushEndpoint: 'http://127.0.0.1:1/' },
    });
    receiver.react = () => 500;
    publish('poison');
    await quiet();
    expect(world.pubsub.counters().deadLettered).toBe(1);
  });

  it('forgets the messages of a deleted subscription', async () => {
    await start({ retryPolicy: SLOW });
    receiver.react = () => 500;
    publish('hint');
    await arrived(1);
    await world.client(EDITOR).subscription('push').delete();
    expect(world.pubsub.pending()).toEqual([]);
    world.clock.advance(3_600_000);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(receiver.pushes).toHaveLength(1);
  });
});

interface Entry {
  readonly dueMs: number;
  readonly message: { readonly data: string; readonly publishTime: string };
}
