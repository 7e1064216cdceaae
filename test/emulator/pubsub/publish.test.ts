import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GoogleError } from '../../../emulator/core/google-error.ts';
import { EDITOR, PubsubWorld, subscriptionName, topicName } from './world.ts';

let world: PubsubWorld;
beforeAll(async () => {
  world = await PubsubWorld.started();
  world.pubsub.ensureTopic(topicName('events'));
});
afterAll(() => world.close());

const publish = (messages: readonly unknown[]) => world.fetch('POST', 'topics/events:publish', { messages });
const base64 = (text: string) => Buffer.from(text).toString('base64');

describe('publishing', () => {
  it("takes data, attributes and an ordering key from Google's Node client and hands them to a puller", async () => {
    const client = world.client();
    await client.topic('events').createSubscription('everything');
    const messageId = await client
      .topic('events', { messageOrdering: true })
      .publishMessage({ data: Buffer.from('grüße'), attributes: { kind: 'hint' }, orderingKey: 'user-1' });
    const subscriber = world.subscriber();
    const subscription = subscriptionName('everything');
    const [pulled] = await subscriber.pull({ subscription, maxMessages: 10 });
    const [received] = pulled.receivedMessages ?? [];
    expect(received?.message).toMatchObject({
      attributes: { kind: 'hint' },
      orderingKey: 'user-1',
      messageId,
    });
    expect(Buffer.from(received?.message?.data ?? '').toString('utf8')).toBe('grüße');
    expect(received?.deliveryAttempt ?? 0).toBe(0);
    await subscriber.close();
  });

  it('answers ids that are decimal, growing and longer than a double can hold', async () => {
    const answer = await publish([{ data: base64('one') }, { data: base64('two') }]);
    const [first = '', second = ''] = answer.body['messageIds'] as string[];
    expect(first).toMatch(/^\d{17}$/);
    expect(BigInt(second) - BigInt(first)).toBe(1n);
    expect(BigInt(first)).toBeGreaterThan(BigInt(Number.MAX_SAFE_INTEGER));
  });

  it.each([
    ['without data and attributes', {}],
    ['with empty data and no attributes', { data: '', attributes: {} }],
  ])('refuses a message %s', async (_what, message) => {
    const answer = await publish([message]);
    expect(answer.status).toBe(400);
    expect(answer.body.error?.message).toContain('at least one attribute');
  });

  const attributes = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_value, index) => [`key-${index}`, 'x']));

  it.each([
    ['attributes only', { attributes: { a: 'b' } }],
    ['100 attributes', { attributes: attributes(100) }],
    ['an attribute key of 256 bytes', { attributes: { ['k'.repeat(256)]: 'x' } }],
    ['an attribute value of 1024 bytes', { attributes: { k: 'v'.repeat(1024) } }],
    ['an ordering key of 1024 bytes', { data: base64('x'), orderingKey: 'k'.repeat(1024) }],
    ['URL-safe base64', { data: Buffer.from([0xfb, 0xff]).toString('base64url') }],
  ])('takes %s', async (_what, message) => {
    expect((await publish([message])).status).toBe(200);
  });

  it.each([
    ['101 attributes', { attributes: attributes(101) }, 'the maximum value is 100'],
    ['an attribute key of 257 bytes', { attributes: { ['k'.repeat(257)]: 'x' } }, 'attribute_key_length'],
    [
      'an attribute key of 256 characters in 512 bytes',
      { attributes: { ['ü'.repeat(256)]: 'x' } },
      'You passed 512',
    ],
    ['an attribute value of 1025 bytes', { attributes: { k: 'v'.repeat(1025) } }, 'attribute_value_length'],
    ['an empty attribute key', { attributes: { '': 'x' } }, 'attribute_key_length'],
    ['an attribute key starting with goog', { attributes: { google: 'x' } }, 'must not start with "goog"'],
    [
      'an ordering key of 1025 bytes',
      { data: base64('x'), orderingKey: 'k'.repeat(1025) },
      'ordering_key_length',
    ],
    ['data that is not base64', { data: '!!' }, 'Base64 decoding failed'],
    [
      'an attribute that is no text',
      { attributes: { k: 1 } },
      "Invalid value at 'messages[0].attributes[k]'",
    ],
    ['a message id of its own', { data: base64('x'), messageId: '7' }, 'is set by the server'],
    [
      'a publish time of its own',
      { data: base64('x'), publishTime: '2026-01-01T00:00:00Z' },
      'is set by the server',
    ],
    ['an unknown field', { data: base64('x'), colour: 'red' }, `Unknown name "colour" at 'messages[0]'`],
  ])('refuses %s', async (_what, message, sentence) => {
    const answer = await publish([message]);
    expect(answer.body.error?.message).toContain(sentence);
    expect(answer.status).toBe(400);
  });

  it('takes 1000 messages at once and refuses none and 1001', async () => {
    const many = Array.from({ length: 1000 }, () => ({ data: base64('x') }));
    expect((await publish(many)).body['messageIds']).toHaveLength(1000);
    expect((await publish([...many, { data: base64('x') }])).body.error?.message).toContain(
      'the maximum value is 1000',
    );
    expect((await publish([])).body.error?.message).toContain(
      'The value for message_count is too small. You passed 0 in the request, but the minimum value is 1.',
    );
  });

  it('takes 10 MB at once and refuses one byte more', async () => {
    const data = (length: number) => [{ data: Buffer.alloc(length).toString('base64') }];
    expect((await publish(data(10_000_000))).status).toBe(200);
    const answer = await publish(data(10_000_001));
    expect(answer.status).toBe(400);
    expect(answer.body.error?.message).toContain('exceeds the limit: 10000000 bytes');
  });

  it('refuses two ordering keys in one request', async () => {
    const answer = await publish([
      { data: base64('x'), orderingKey: 'a' },
      { data: base64('x'), orderingKey: 'b' },
    ]);
    expect(answer.status).toBe(400);
    expect(answer.body.error?.message).toContain('all have the same ordering key');
  });

  it('into a topic that is not there answers not found', async () => {
    await expect(
      world
        .client()
        .topic('missing')
        .publishMessage({ data: Buffer.from('x') }),
    ).rejects.toMatchObject({ code: 5 });
  });

  it('by a Google service of the emulator follows the same rules', () => {
    expect(world.pubsub.publish(topicName('events'), { data: Buffer.from('x') })).toMatch(/^\d+$/);
    expect(() => world.pubsub.publish(topicName('missing'), { data: Buffer.from('x') })).toThrow(GoogleError);
    expect(() => world.pubsub.publish(topicName('events'), { data: Buffer.alloc(0) })).toThrow(
      'at least one attribute',
    );
  });

  it('reaches only subscriptions whose filter lets it through', async () => {
    world.pubsub.ensureSubscription(subscriptionName('hints'), {
      topic: topicName('events'),
      filter: 'attributes.kind = "hint" AND NOT hasPrefix(attributes.user, "bot-")',
    });
    const messages = [
      { kind: 'hint', user: 'ann' },
      { kind: 'wish', user: 'ann' },
      { kind: 'hint', user: 'bot-7' },
    ];
    for (const given of messages) await world.client().topic('events').publishMessage({ attributes: given });
    const answer = await world.fetch('POST', 'subscriptions/hints:pull', {
      maxMessages: 10,
      returnImmediately: true,
    });
    const received = answer.body['receivedMessages'] as { message: { attributes: unknown } }[];
    expect(received.map((one) => one.message.attributes)).toEqual([{ kind: 'hint', user: 'ann' }]);
  });
});

describe('pulling', () => {
  const pull = (id: string, maxMessages = 10) =>
    world.fetch('POST', `subscriptions/${id}:pull`, { maxMessages, returnImmediately: true });
  const received = (answer: { body: Record<string, unknown> }) =>
    (answer.body['receivedMessages'] ?? []) as {
      ackId: string;
      deliveryAttempt?: number;
      message: { data: string };
    }[];
  const texts = (answer: { body: Record<string, unknown> }) =>
    received(answer).map((one) => Buffer.from(one.message.data, 'base64').toString('utf8'));

  async function filled(id: string, settings: object = {}, ...data: string[]) {
    world.pubsub.ensureTopic(topicName(id));
    world.pubsub.ensureSubscription(subscriptionName(id), { topic: topicName(id), ...settings });
    for (const text of data) world.pubsub.publish(topicName(id), { data: Buffer.from(text) });
  }

  it('lends at most what was asked for, and not the same twice', async () => {
    await filled('lending', {}, 'one', 'two', 'three');
    expect(texts(await pull('lending', 2))).toEqual(['one', 'two']);
    expect(texts(await pull('lending', 2))).toEqual(['three']);
    expect((await pull('lending')).body).toEqual({});
  });

  it('is done with what was acknowledged', async () => {
    await filled('acknowledging', { ackDeadlineSeconds: 10 }, 'one', 'two');
    const [first] = received(await pull('acknowledging'));
    const before = world.pubsub.counters().delivered;
    await world.subscriber().acknowledge({
      subscription: subscriptionName('acknowledging'),
      ackIds: [first?.ackId ?? ''],
    });
    expect(world.pubsub.counters().delivered).toBe(before + 1);
    world.clock.advance(11_000);
    expect(texts(await pull('acknowledging'))).toEqual(['two']);
  });

  it('lends again when the ack deadline has passed, by the clock that can be moved', async () => {
    await filled('deadline', { ackDeadlineSeconds: 60 }, 'one');
    await pull('deadline');
    world.clock.advance(59_000);
    expect(received(await pull('deadline'))).toEqual([]);
    world.clock.advance(2000);
    expect(texts(await pull('deadline'))).toEqual(['one']);
  });

  it('lends for longer when the deadline was extended', async () => {
    await filled('extended', { ackDeadlineSeconds: 10 }, 'one');
    const [first] = received(await pull('extended'));
    await world.fetch('POST', 'subscriptions/extended:modifyAckDeadline', {
      ackIds: [first?.ackId],
      ackDeadlineSeconds: 600,
    });
    world.clock.advance(500_000);
    expect(received(await pull('extended'))).toEqual([]);
  });

  it('counts refusals into deliveryAttempt where there is a dead-letter policy', async () => {
    await filled('dead-end');
    await filled('attempts', { deadLetterPolicy: { deadLetterTopic: topicName('dead-end') } }, 'one');
    const attempts: (number | undefined)[] = [];
    for (let round = 0; round < 5; round += 1) {
      const [one] = received(await pull('attempts'));
      attempts.push(one?.deliveryAttempt);
      await world.fetch('POST', 'subscriptions/attempts:modifyAckDeadline', {
        ackIds: [one?.ackId],
        ackDeadlineSeconds: 0,
      });
      world.clock.advance(1000);
    }
    expect(attempts).toEqual([1, 2, 3, 4, 5]);
    expect(received(await pull('attempts'))).toEqual([]);
    expect(texts(await pull('dead-end'))).toEqual(['one']);
  });

  it('waits for a message when not told to return at once', async () => {
    const patient = await PubsubWorld.started({ pullWaitMs: 20_000 });
    patient.pubsub.ensureTopic(topicName('waiting'));
    patient.pubsub.ensureSubscription(subscriptionName('waiting'), { topic: topicName('waiting') });
    const pending = patient.fetch('POST', 'subscriptions/waiting:pull', { maxMessages: 1 });
    await new Promise((resolve) => setTimeout(resolve, 20));
    patient.pubsub.publish(topicName('waiting'), { data: Buffer.from('late') });
    expect(texts(await pending)).toEqual(['late']);
    await patient.close();
  });

  it('keeps the order of a key: the next message waits for the acknowledgement', async () => {
    await filled('ordered', { enableMessageOrdering: true });
    for (const text of ['a1', 'a2', 'b1']) {
      world.pubsub.publish(topicName('ordered'), { data: Buffer.from(text), orderingKey: text.slice(0, 1) });
    }
    const first = await pull('ordered');
    expect(texts(first)).toEqual(['a1', 'b1']);
    await world.fetch('POST', 'subscriptions/ordered:acknowledge', {
      ackIds: received(first).map((one) => one.ackId),
    });
    expect(texts(await pull('ordered'))).toEqual(['a2']);
  });

  it('drops what the retention has passed by', async () => {
    await filled('retained', { messageRetentionDuration: '600s' }, 'old');
    world.clock.advance(601_000);
    world.pubsub.publish(topicName('retained'), { data: Buffer.from('new') });
    expect(texts(await pull('retained'))).toEqual(['new']);
  });

  it('drops what a retention that was made shorter has passed by', async () => {
    await filled('shortened', { messageRetentionDuration: '1200s' }, 'old');
    world.clock.advance(601_000);
    world.pubsub.publish(topicName('shortened'), { data: Buffer.from('new') });
    const { status } = await world.fetch('PATCH', 'subscriptions/shortened', {
      subscription: { messageRetentionDuration: '600s' },
      updateMask: 'messageRetentionDuration',
    });
    expect(status).toBe(200);
    expect(texts(await pull('shortened'))).toEqual(['new']);
  });

  it.each([
    ['a pull of no messages', 'pull', { maxMessages: 0 }, 'max_messages is too small'],
    ['an acknowledgement of nothing', 'acknowledge', { ackIds: [] }, 'No ack ids specified.'],
    ['an ack id that is none', 'acknowledge', { ackIds: ['nonsense'] }, 'invalid ack ID'],
    [
      'a deadline above 600 s',
      'modifyAckDeadline',
      { ackIds: ['x'], ackDeadlineSeconds: 601 },
      'between 0 and 600',
    ],
    [
      'a negative deadline',
      'modifyAckDeadline',
      { ackIds: ['x'], ackDeadlineSeconds: -1 },
      'between 0 and 600',
    ],
    ['an unknown field', 'pull', { maxMessages: 1, colour: 'red' }, 'Unknown name "colour"'],
    ['a push configuration that is not there', 'modifyPushConfig', {}, 'push_config must be set'],
  ])('refuses %s', async (_what, verb, body, sentence) => {
    await filled('refusing');
    const answer = await world.fetch('POST', `subscriptions/refusing:${verb}`, body);
    expect(answer.status).toBe(400);
    expect(answer.body.error?.message).toContain(sentence);
  });

  it('passes over an acknowledgement that comes twice', async () => {
    await filled('twice', {}, 'one');
    const ackIds = received(await pull('twice')).map((one) => one.ackId);
    for (let round = 0; round < 2; round += 1) {
      expect((await world.fetch('POST', 'subscriptions/twice:acknowledge', { ackIds })).status).toBe(200);
    }
    expect(world.calls.since(0).at(-1)).toMatchObject({
      method: 'pubsub.projects.subscriptions.acknowledge',
      caller: EDITOR,
    });
  });
});
