import { v1 } from '@google-cloud/pubsub';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { gaxEndpoint } from '../../../shared/adapters/google/endpoints.ts';
import { pubsubBus } from '../../../shared/adapters/pubsub/pubsub-bus.ts';
import { type Company, openCompany, PROJECT, STRANGER } from '../emulator-company.ts';
import { failureOf } from '../world.ts';

const cause = { source: 'sweep', eventId: 's1', event: 'drift' } as const;

describe('the bus against the emulator', () => {
  let company: Company;
  const busAs = (who?: string, topics: { crlRequests?: string } = {}) =>
    pubsubBus({
      projectId: PROJECT,
      own: company.own(who),
      endpoints: company.endpoints,
      retry: company.retry,
      topics,
    });
  const pull = async (subscription: string) => {
    const subscriber = new v1.SubscriberClient({
      projectId: PROJECT,
      auth: company.own().auth,
      ...gaxEndpoint(company.endpoints),
    });
    const [answer] = await subscriber.pull({
      subscription: `projects/${PROJECT}/subscriptions/${subscription}`,
      maxMessages: 100,
    });
    await subscriber.close();
    return (answer.receivedMessages ?? []).map(({ message }) => ({
      data: JSON.parse(Buffer.from(message?.data ?? '').toString('utf8')) as unknown,
      attributes: message?.attributes,
    }));
  };

  beforeAll(async () => {
    company = await openCompany();
    for (const topic of ['directory-events', 'crl-requests']) {
      company.pubsub.ensureTopic(`projects/${PROJECT}/topics/${topic}`);
      company.pubsub.ensureSubscription(`projects/${PROJECT}/subscriptions/${topic}`, {
        topic: `projects/${PROJECT}/topics/${topic}`,
      });
    }
  });
  beforeEach(() => company.faults.apply({ reset: true }));
  afterAll(() => company.close());

  it('delivers hints and requests as they were meant, also through a throttled call', async () => {
    company.faults.apply({
      calls: [
        { method: 'pubsub.projects.topics.publish', nth: [1], status: 403, reason: 'userRateLimitExceeded' },
      ],
    });
    const bus = busAs();
    await bus.publishHints([
      { userId: '101', cause },
      { address: 'ana@acme.example', cause },
    ]);
    await bus.requestCrl('issuing-1');
    expect(await pull('directory-events')).toEqual([
      { data: { version: 1, userId: '101', cause }, attributes: { kind: 'hint' } },
      { data: { version: 1, address: 'ana@acme.example', cause }, attributes: { kind: 'hint' } },
    ]);
    expect(await pull('crl-requests')).toEqual([
      { data: { version: 1, issuerId: 'issuing-1' }, attributes: { kind: 'crl-request' } },
    ]);
  });

  it('names the topic that is missing, and the role', async () => {
    const missing = await failureOf(
      busAs(undefined, { crlRequests: 'no-such-topic' }).requestCrl('issuing-1'),
    );
    expect(missing).toMatchObject({ kind: 'permanent', code: 'bus-unavailable' });
    expect(missing.message).toContain(`Create the topic projects/${PROJECT}/topics/no-such-topic`);
    const stranger = await failureOf(busAs(STRANGER).requestCrl('issuing-1'));
    expect(stranger).toMatchObject({ kind: 'permanent', code: 'bus-unavailable' });
    expect(stranger.message).toContain('roles/pubsub.publisher');
  });

  it('gets a new token of its own where Google no longer takes the old one', async () => {
    const bus = busAs();
    await bus.requestCrl('issuing-1');
    company.tokens.revoke(() => true);
    await expect(bus.requestCrl('issuing-1')).resolves.toBeUndefined();
  });

  it('says that no token could be had when the metadata server does not know the account', async () => {
    const error = await failureOf(busAs('nobody@acme.iam').requestCrl('issuing-1'));
    expect(error).toMatchObject({ kind: 'permanent', code: 'bus-unavailable' });
    expect(error.message).toContain('"nobody@acme.iam"');
  });
});
