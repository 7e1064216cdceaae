import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EDITOR, PROJECT, PubsubWorld, topicName } from './world.ts';

let world: PubsubWorld;
beforeAll(async () => {
  world = await PubsubWorld.started();
});
afterAll(() => world.close());

describe("Pub/Sub topics, through Google's Node client", () => {
  it('are created, found, described, listed and deleted', async () => {
    const client = world.client();
    const [topic] = await client.createTopic('directory-events');
    expect(topic.name).toBe(topicName('directory-events'));
    expect(await topic.exists()).toEqual([true]);
    const [metadata] = await topic.getMetadata();
    expect(metadata).toMatchObject({ name: topicName('directory-events'), state: 'ACTIVE' });
    const [topics] = await client.getTopics();
    expect(topics.map((one) => one.name)).toContain(topicName('directory-events'));
    await topic.delete();
    expect(await topic.exists()).toEqual([false]);
  });

  it('keep labels, retention and storage regions', async () => {
    const client = world.client();
    await client.createTopic({
      name: topicName('settings'),
      labels: { team: 'mail' },
      messageRetentionDuration: { seconds: 86_400 },
      messageStoragePolicy: { allowedPersistenceRegions: ['europe-west3'] },
    });
    const [metadata] = await client.topic('settings').getMetadata();
    expect(metadata).toMatchObject({
      labels: { team: 'mail' },
      messageRetentionDuration: { seconds: '86400' },
      messageStoragePolicy: { allowedPersistenceRegions: ['europe-west3'] },
    });
    await client.topic('settings').setMetadata({ labels: { team: 'security' } });
    const [changed] = await client.topic('settings').getMetadata();
    expect(changed).toMatchObject({
      labels: { team: 'security' },
      messageRetentionDuration: { seconds: '86400' },
    });
  });

  it('are refused a second time under the same name', async () => {
    const client = world.client();
    await client.createTopic('twice');
    await expect(client.createTopic('twice')).rejects.toMatchObject({
      code: 6,
      message: expect.stringContaining('Resource already exists in the project (resource=twice).'),
    });
  });

  it('that are missing answer not found', async () => {
    await expect(world.client().topic('missing').getMetadata()).rejects.toMatchObject({
      code: 5,
      message: expect.stringContaining('Resource not found (resource=missing).'),
    });
  });

  it('list the names of their subscriptions', async () => {
    const client = world.client();
    await client.createTopic('listed');
    await client.topic('listed').createSubscription('listed-one');
    await client.topic('listed').createSubscription('listed-two');
    const [subscriptions] = await client.topic('listed').getSubscriptions();
    expect(subscriptions.map((one) => one.name)).toEqual([
      `projects/${PROJECT}/subscriptions/listed-one`,
      `projects/${PROJECT}/subscriptions/listed-two`,
    ]);
  });
});

describe('Pub/Sub topics, over plain REST', () => {
  it.each([
    ['shorter than three characters', 'ab'],
    ['longer than 255 characters', `a${'b'.repeat(255)}`],
    ['starting with a digit', '1abc'],
    ['starting with goog', 'google-things'],
    ['holding another character', 'a:bc'],
  ])('refuse a name %s', async (_what, id) => {
    const answer = await world.fetch('PUT', `topics/${id}`, {});
    expect(answer.status).toBe(400);
    expect(answer.body.error?.message).toContain(
      `Invalid resource name given (name=projects/${PROJECT}/topics/${id})`,
    );
  });

  it.each([
    ['an unknown field', { colour: 'red' }, 400, 'Unknown name "colour": Cannot find field.'],
    ['a field of the wrong type', { labels: 'red' }, 400, "Invalid value at 'labels'"],
    ['another name than in the path', { name: topicName('other') }, 400, 'is not the one in the path'],
    ['a retention above 31 days', { messageRetentionDuration: '2678401s' }, 400, 'between 600s and 2678400s'],
    ['a retention that is no duration', { messageRetentionDuration: '10m' }, 400, 'google.protobuf.Duration'],
    ['an upper-case label key', { labels: { Team: 'x' } }, 400, 'Invalid label key "Team"'],
    ['a storage policy without regions', { messageStoragePolicy: {} }, 400, 'at least one region'],
    ['a schema, which is not emulated', { schemaSettings: { schema: 's' } }, 501, '"schemaSettings"'],
    ['an ingestion source, which is not emulated', { ingestionDataSourceSettings: {} }, 501, 'Leave it out'],
    ['something that is not JSON', '{', 400, 'Invalid JSON payload received.'],
  ])('refuse %s', async (_what, body, status, sentence) => {
    const answer = await world.fetch('PUT', 'topics/strict', body);
    expect(answer.status).toBe(status);
    expect(answer.body.error?.message).toContain(sentence);
  });

  it('refuse an unknown query parameter', async () => {
    expect((await world.fetch('PUT', 'topics/strict?colour=red', {})).status).toBe(400);
  });

  it.each([
    ['an empty mask', '', 'must contain a non-empty paths list'],
    ['a field that topics lack', 'colour', "'colour' is not a known Topic field"],
    ['a field that cannot change', 'kms_key_name', 'is not mutable'],
  ])('refuse an update with %s', async (_what, updateMask, sentence) => {
    await world.fetch('PUT', 'topics/masked', {});
    const answer = await world.fetch('PATCH', 'topics/masked', { topic: {}, updateMask });
    expect(answer.status).toBe(400);
    expect(answer.body.error?.message).toContain(sentence);
  });

  it('answer the state as a word, and as a number to a client that asks for numbers', async () => {
    await world.fetch('PUT', 'topics/enumerated', {});
    expect((await world.fetch('GET', 'topics/enumerated')).body['state']).toBe('ACTIVE');
    const numeric = await world.fetch('GET', 'topics/enumerated?$alt=json%3Benum-encoding=int');
    expect(numeric.body['state']).toBe(1);
  });

  it('are listed in pages that neither repeat nor skip', async () => {
    const other = await PubsubWorld.started();
    for (const id of ['page-a', 'page-b', 'page-c']) await other.fetch('PUT', `topics/${id}`, {});
    const first = await other.fetch('GET', 'topics?pageSize=2');
    const second = await other.fetch('GET', `topics?pageSize=2&pageToken=${first.body['nextPageToken']}`);
    const names = [first, second].flatMap((page) => page.body['topics'] as { name: string }[]);
    expect(names.map((topic) => topic.name)).toEqual(['page-a', 'page-b', 'page-c'].map(topicName));
    expect(second.body).not.toHaveProperty('nextPageToken');
    expect((await other.fetch('GET', 'topics?pageToken=nonsense')).status).toBe(400);
    expect((await other.fetch('GET', 'topics?pageSize=-1')).status).toBe(400);
    await other.close();
  });

  it('leave an empty list out of the answer', async () => {
    await world.fetch('PUT', 'topics/lonely', {});
    expect((await world.fetch('GET', 'topics/lonely/subscriptions')).body).toEqual({});
  });
});

describe('Pub/Sub access', () => {
  it('needs a token', async () => {
    const answer = await world.fetch('GET', 'topics', undefined, 'nonsense');
    expect(answer).toMatchObject({ status: 401, body: { error: { status: 'UNAUTHENTICATED' } } });
  });

  it('needs one of the Pub/Sub scopes on the token', async () => {
    const token = world.bearer(EDITOR, ['https://www.googleapis.com/auth/gmail.settings.basic']);
    const answer = await world.fetch('GET', 'topics', undefined, token);
    expect(answer).toMatchObject({ status: 403, body: { error: { status: 'PERMISSION_DENIED' } } });
  });

  const roles = [
    { role: 'roles/pubsub.publisher', may: ['publish'] },
    { role: 'roles/pubsub.subscriber', may: ['pull'] },
    { role: 'roles/pubsub.viewer', may: ['get', 'list'] },
    { role: 'roles/pubsub.editor', may: ['publish', 'pull', 'get', 'list', 'create', 'delete'] },
  ] as const;
  const acts: Record<string, (world: PubsubWorld, token: string) => Promise<{ status: number }>> = {
    publish: (one, token) =>
      one.fetch('POST', 'topics/guarded:publish', { messages: [{ data: 'aGk=' }] }, token),
    pull: (one, token) =>
      one.fetch('POST', 'subscriptions/guarded:pull', { maxMessages: 1, returnImmediately: true }, token),
    get: (one, token) => one.fetch('GET', 'topics/guarded', undefined, token),
    list: (one, token) => one.fetch('GET', 'subscriptions', undefined, token),
    create: (one, token) => one.fetch('PUT', 'topics/guarded-too', {}, token),
    delete: (one, token) => one.fetch('DELETE', 'topics/guarded-too', undefined, token),
  };

  it.each(roles)('lets $role do exactly $may', async ({ role, may }) => {
    const member = `worker@${PROJECT}.iam.gserviceaccount.com`;
    const guarded = await PubsubWorld.started({
      bindings: [{ resource: `projects/${PROJECT}`, role, members: [`serviceAccount:${member}`] }],
    });
    guarded.pubsub.ensureTopic(topicName('guarded'));
    guarded.pubsub.ensureSubscription(`projects/${PROJECT}/subscriptions/guarded`, {
      topic: topicName('guarded'),
    });
    const allowed: string[] = [];
    for (const [act, call] of Object.entries(acts)) {
      const { status } = await call(guarded, guarded.bearer(member));
      expect([200, 403]).toContain(status);
      if (status === 200) allowed.push(act);
    }
    expect(allowed.sort()).toEqual([...may].sort());
    await guarded.close();
  });

  it('on one topic does not reach another', async () => {
    const member = `worker@${PROJECT}.iam.gserviceaccount.com`;
    const guarded = await PubsubWorld.started({
      bindings: [
        {
          resource: topicName('mine'),
          role: 'roles/pubsub.publisher',
          members: [`serviceAccount:${member}`],
        },
      ],
    });
    for (const id of ['mine', 'theirs']) guarded.pubsub.ensureTopic(topicName(id));
    const client = guarded.client(member);
    await client.topic('mine').publishMessage({ data: Buffer.from('hi') });
    await expect(client.topic('theirs').publishMessage({ data: Buffer.from('hi') })).rejects.toMatchObject({
      code: 7,
      message: expect.stringContaining('User not authorized to perform this action.'),
    });
    await guarded.close();
  });
});
