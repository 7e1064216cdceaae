import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PubsubWorld, subscriptionName, topicName } from './world.ts';

let world: PubsubWorld;
beforeAll(async () => {
  world = await PubsubWorld.started();
  for (const id of ['events', 'dead-letters']) world.pubsub.ensureTopic(topicName(id));
});
afterAll(() => world.close());

const OIDC = {
  serviceAccountEmail: 'pusher@acme-sealwright.iam.gserviceaccount.com',
  audience: 'the-function',
};

describe("Pub/Sub subscriptions, through Google's Node client", () => {
  it('are created with every setting the client knows and show them again', async () => {
    const client = world.client();
    await client.topic('events').createSubscription('complete', {
      pushConfig: { pushEndpoint: 'https://directory-event.acme.example/', oidcToken: OIDC },
      ackDeadlineSeconds: 600,
      retryPolicy: { minimumBackoff: { seconds: 10 }, maximumBackoff: { seconds: 600 } },
      deadLetterPolicy: { deadLetterTopic: topicName('dead-letters'), maxDeliveryAttempts: 5 },
      enableMessageOrdering: true,
      messageRetentionDuration: { seconds: 86_400 },
      expirationPolicy: {},
      filter: 'attributes.kind = "hint"',
      labels: { team: 'mail' },
    });
    const [metadata] = await client.subscription('complete').getMetadata();
    expect(metadata).toMatchObject({
      name: subscriptionName('complete'),
      topic: topicName('events'),
      pushConfig: { pushEndpoint: 'https://directory-event.acme.example/', oidcToken: OIDC },
      ackDeadlineSeconds: 600,
      retryPolicy: { minimumBackoff: { seconds: '10' }, maximumBackoff: { seconds: '600' } },
      deadLetterPolicy: { deadLetterTopic: topicName('dead-letters'), maxDeliveryAttempts: 5 },
      enableMessageOrdering: true,
      messageRetentionDuration: { seconds: '86400' },
      expirationPolicy: { ttl: null },
      filter: 'attributes.kind = "hint"',
      labels: { team: 'mail' },
      state: 'ACTIVE',
    });
  });

  it('change what an update names and leave the rest', async () => {
    const client = world.client();
    await client.topic('events').createSubscription('changing', {
      ackDeadlineSeconds: 20,
      retryPolicy: { minimumBackoff: { seconds: 1 }, maximumBackoff: { seconds: 2 } },
    });
    const subscription = client.subscription('changing');
    await subscription.setMetadata({ ackDeadlineSeconds: 60 });
    await subscription.modifyPushConfig({ pushEndpoint: 'https://elsewhere.acme.example/' });
    const [metadata] = await subscription.getMetadata();
    expect(metadata).toMatchObject({
      ackDeadlineSeconds: 60,
      retryPolicy: { minimumBackoff: { seconds: '1' } },
      pushConfig: { pushEndpoint: 'https://elsewhere.acme.example/' },
    });
  });

  it('are refused a second time, listed, and deleted', async () => {
    const client = world.client();
    const [subscription] = await client.topic('events').createSubscription('short-lived');
    await expect(client.topic('events').createSubscription('short-lived')).rejects.toMatchObject({ code: 6 });
    const [all] = await client.getSubscriptions();
    expect(all.map((one) => one.name)).toContain(subscriptionName('short-lived'));
    await subscription.delete();
    expect(await subscription.exists()).toEqual([false]);
    await expect(subscription.delete()).rejects.toMatchObject({ code: 5 });
  });

  it('of a deleted topic stay and say so', async () => {
    const client = world.client();
    await client.createTopic('going-away');
    await client.topic('going-away').createSubscription('orphan');
    await client.topic('going-away').delete();
    const [metadata] = await client.subscription('orphan').getMetadata();
    expect(metadata.topic).toBe('_deleted-topic_');
    await client.subscription('orphan').setMetadata({ ackDeadlineSeconds: 30 });
    expect((await client.subscription('orphan').getMetadata())[0]).toMatchObject({
      topic: '_deleted-topic_',
      ackDeadlineSeconds: 30,
    });
  });
});

describe('Pub/Sub subscriptions, over plain REST', () => {
  it("get Google's defaults", async () => {
    const answer = await world.fetch('PUT', 'subscriptions/defaults', { topic: topicName('events') });
    expect(answer).toEqual({
      status: 200,
      body: {
        name: subscriptionName('defaults'),
        topic: topicName('events'),
        pushConfig: {},
        ackDeadlineSeconds: 10,
        messageRetentionDuration: '604800s',
        expirationPolicy: { ttl: '2678400s' },
        state: 'ACTIVE',
      },
    });
  });

  it('fill in what policies leave open', async () => {
    const answer = await world.fetch('PUT', 'subscriptions/policies', {
      topic: topicName('events'),
      retry_policy: {},
      deadLetterPolicy: { deadLetterTopic: topicName('dead-letters') },
    });
    expect(answer.body).toMatchObject({
      retryPolicy: { minimumBackoff: '10s', maximumBackoff: '600s' },
      deadLetterPolicy: { maxDeliveryAttempts: 5 },
    });
  });

  const push = (pushConfig: unknown) => ({ pushConfig });
  const deadLetter = (maxDeliveryAttempts: number, topic = 'dead-letters') => ({
    deadLetterPolicy: { deadLetterTopic: topicName(topic), maxDeliveryAttempts },
  });

  it.each([
    ['an unknown field', { colour: 'red' }, 400, 'Unknown name "colour": Cannot find field.'],
    ['an unknown nested field', push({ url: 'x' }), 400, `Unknown name "url" at 'pushConfig'`],
    ['no topic', { topic: '' }, 400, 'Invalid resource name given (name=)'],
    ['a topic that is not there', { topic: topicName('absent') }, 404, '(resource=absent)'],
    [
      'an ack deadline of 9 s',
      { ackDeadlineSeconds: 9 },
      400,
      'You passed 9 in the request, but the minimum value is 10',
    ],
    ['an ack deadline of 601 s', { ackDeadlineSeconds: 601 }, 400, 'the maximum value is 600'],
    ['a retention of 599 s', { messageRetentionDuration: '599s' }, 400, 'between 600s and 2678400s'],
    [
      'a retention above 31 days',
      { messageRetentionDuration: '2678401s' },
      400,
      'message_retention_duration',
    ],
    ['an expiry below a day', { expirationPolicy: { ttl: '86399s' } }, 400, 'expiration_policy.ttl'],
    ['a back-off above 600 s', { retryPolicy: { minimumBackoff: '601s' } }, 400, 'minimum_backoff'],
    ['a negative back-off', { retryPolicy: { minimumBackoff: '-1s' } }, 400, 'minimum_backoff'],
    [
      'a longest back-off below the shortest',
      { retryPolicy: { minimumBackoff: '20s', maximumBackoff: '10s' } },
      400,
      'You passed 10s in the request, but the minimum value is 20s',
    ],
    ['4 delivery attempts', deadLetter(4), 400, 'the minimum value is 5'],
    ['101 delivery attempts', deadLetter(101), 400, 'the maximum value is 100'],
    ['a dead-letter topic that is not there', deadLetter(5, 'absent'), 404, '(resource=absent)'],
    ['a filter that is none', { filter: 'kind = hint' }, 400, 'Invalid filter given (filter=kind = hint)'],
    [
      'plain HTTP to another machine',
      push({ pushEndpoint: 'http://example.com/' }),
      400,
      'Invalid push endpoint',
    ],
    ['a push endpoint that is no address', push({ pushEndpoint: 'nowhere' }), 400, 'Invalid push endpoint'],
    [
      'a token for somebody who is no service account',
      push({ pushEndpoint: 'https://a.example/', oidcToken: { serviceAccountEmail: 'ann@acme.example' } }),
      400,
      'Invalid service account',
    ],
    ['a token without an endpoint', push({ oidcToken: OIDC }), 400, 'set pushConfig.pushEndpoint'],
    [
      'an unknown push format',
      push({ pushEndpoint: 'https://a.example/', attributes: { 'x-goog-version': 'v9' } }),
      400,
      'Push format "v9"',
    ],
    [
      'an unknown push attribute',
      push({ pushEndpoint: 'https://a.example/', attributes: { colour: 'red' } }),
      400,
      'Unknown push attribute "colour"',
    ],
    [
      'unwrapped pushes, which are not emulated',
      push({ pushEndpoint: 'https://a.example/', noWrapper: {} }),
      501,
      'noWrapper',
    ],
    [
      'exactly-once delivery, which is not emulated',
      { enableExactlyOnceDelivery: true },
      501,
      'enableExactlyOnceDelivery',
    ],
    [
      'kept acknowledged messages, which are not emulated',
      { retainAckedMessages: true },
      501,
      'retainAckedMessages',
    ],
    ['an export, which is not emulated', { bigqueryConfig: { table: 't' } }, 501, 'bigqueryConfig'],
  ])('refuse %s', async (_what, settings, status, sentence) => {
    const answer = await world.fetch('PUT', 'subscriptions/strict', {
      topic: topicName('events'),
      ...settings,
    });
    expect(answer.body.error?.message).toContain(sentence);
    expect(answer.status).toBe(status);
    expect((await world.fetch('GET', 'subscriptions/strict')).status).toBe(404);
  });

  it.each([
    ['nothing', '', 'must contain a non-empty paths list'],
    ['the filter', 'filter', 'is not mutable'],
    ['the ordering', 'enable_message_ordering', 'is not mutable'],
    ['the topic', 'topic', 'is not mutable'],
    ['a field that is not there', 'colour', 'is not a known Subscription field'],
  ])('refuse an update of %s', async (_what, updateMask, sentence) => {
    await world.fetch('PUT', 'subscriptions/masked', { topic: topicName('events') });
    const answer = await world.fetch('PATCH', 'subscriptions/masked', { subscription: {}, updateMask });
    expect(answer.status).toBe(400);
    expect(answer.body.error?.message).toContain(sentence);
  });

  it('refuse an update that breaks a limit, and keep what they had', async () => {
    await world.fetch('PUT', 'subscriptions/limits', { topic: topicName('events') });
    const answer = await world.fetch('PATCH', 'subscriptions/limits', {
      subscription: { ackDeadlineSeconds: 5 },
      updateMask: 'ackDeadlineSeconds',
    });
    expect(answer.status).toBe(400);
    expect((await world.fetch('GET', 'subscriptions/limits')).body['ackDeadlineSeconds']).toBe(10);
  });

  it('return a masked field that is not given to its default', async () => {
    await world.fetch('PUT', 'subscriptions/reset', { topic: topicName('events'), retryPolicy: {} });
    const answer = await world.fetch('PATCH', 'subscriptions/reset', {
      subscription: {},
      updateMask: 'retry_policy',
    });
    expect(answer.status).toBe(200);
    expect(answer.body).not.toHaveProperty('retryPolicy');
  });

  it('answer not found for a method nobody offers', async () => {
    await world.fetch('PUT', 'subscriptions/seeking', { topic: topicName('events') });
    expect((await world.fetch('POST', 'subscriptions/seeking:seek', {})).status).toBe(404);
  });
});

describe('Pub/Sub subscriptions nobody uses', () => {
  const day = 86_400_000;

  it('are gone after 31 days by default, and not before', async () => {
    const idle = await PubsubWorld.started();
    idle.pubsub.ensureTopic(topicName('events'));
    idle.pubsub.ensureSubscription(subscriptionName('idle'), { topic: topicName('events') });
    idle.clock.advance(31 * day - 60_000);
    expect((await idle.fetch('GET', 'topics/events/subscriptions')).body).toHaveProperty('subscriptions');
    idle.clock.advance(60_000);
    expect((await idle.fetch('GET', 'subscriptions/idle')).status).toBe(404);
    await idle.close();
  });

  it('start their time anew with each operation', async () => {
    const used = await PubsubWorld.started();
    used.pubsub.ensureTopic(topicName('events'));
    used.pubsub.ensureSubscription(subscriptionName('used'), { topic: topicName('events') });
    for (let round = 0; round < 3; round += 1) {
      used.clock.advance(20 * day);
      const pulled = await used.fetch('POST', 'subscriptions/used:pull', {
        maxMessages: 1,
        returnImmediately: true,
      });
      expect(pulled.status).toBe(200);
    }
    await used.close();
  });

  it('stay for ever when the expiration policy has no ttl', async () => {
    const kept = await PubsubWorld.started();
    kept.pubsub.ensureTopic(topicName('events'));
    kept.pubsub.ensureSubscription(subscriptionName('kept'), {
      topic: topicName('events'),
      expirationPolicy: {},
    });
    kept.clock.advance(4000 * day);
    expect((await kept.fetch('GET', 'subscriptions/kept')).status).toBe(200);
    await kept.close();
  });
});
