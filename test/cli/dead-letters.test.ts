/** Dead letters end to end: the command line over the admin function over Pub/Sub as the emulator has it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pubsubDeadLetters } from '../../shared/adapters/pubsub/dead-letters.ts';
import { pubsubBus } from '../../shared/adapters/pubsub/pubsub-bus.ts';
import type { Bus } from '../../shared/ports/bus.ts';
import type { DeadLetters } from '../../shared/ports/dead-letters.ts';
import { type Company, openCompany, PROJECT, STRANGER } from '../adapters/emulator-company.ts';
import { eventually } from '../stories/story.ts';
import { adminOver } from '../support/admin.ts';
import { createWorld, makeMaterials, type World } from '../support/fakes/world.ts';
import { PushReceiver } from '../support/push-receiver.ts';
import { ADMINS, type Desk, openDesk } from './desk.ts';

const cause = { source: 'watch', eventId: 'channel-1:7', event: 'update' } as const;
const POISONED = '666';

let world: World;
let company: Company;
let functions: PushReceiver;
let ana: Desk['ana'];
let close: Desk['close'];
let bus: Bus;
let deadLetters: DeadLetters;
let poisoned = true;

const topic = (name: string) => `projects/${PROJECT}/topics/${name}`;
const subscription = (name: string) => `projects/${PROJECT}/subscriptions/${name}`;
const parts = (who?: string) => ({
  projectId: PROJECT,
  own: company.own(who),
  endpoints: company.endpoints,
  retry: company.retry,
});

beforeAll(async () => {
  [world, company, functions] = await Promise.all([
    makeMaterials().then(createWorld),
    openCompany(),
    new PushReceiver().listen(),
  ]);
  functions.react = ({ text }) => (poisoned && text.includes(`"${POISONED}"`) ? 500 : 204);
  for (const name of ['directory-events', 'crl-requests', 'dead-letters'])
    company.pubsub.ensureTopic(topic(name));
  company.pubsub.ensureSubscription(subscription('directory-events-push'), {
    topic: topic('directory-events'),
    pushConfig: { pushEndpoint: functions.url() },
    retryPolicy: { minimumBackoff: '0.01s', maximumBackoff: '0.02s' },
    deadLetterPolicy: { deadLetterTopic: topic('dead-letters'), maxDeliveryAttempts: 5 },
  });
  company.pubsub.ensureSubscription(subscription('dead-letters'), {
    topic: topic('dead-letters'),
    ackDeadlineSeconds: 60,
  });
  bus = pubsubBus(parts());
  deadLetters = pubsubDeadLetters(parts());
  ({ ana, close } = await openDesk(() => adminOver(world, { deadLetters, tokens: ADMINS })));
});
afterAll(async () => {
  await close();
  await Promise.all([company.close(), functions.close(), world.close()]);
});

const asked = async (...words: string[]): Promise<Record<string, unknown>> => {
  const { exit, stdout } = await ana(...words, '--json');
  return { ...(JSON.parse(stdout) as Record<string, unknown>), exit };
};
const listed = async () =>
  (await asked('events', 'dead', 'list'))['letters'] as { id: string; asks: string }[];
const seen = (userId: string) => functions.texts.filter((text) => text.includes(`"${userId}"`)).length;

describe('a message that no function can handle', () => {
  it('is set aside after its attempts, while those around it go on', async () => {
    expect(await ana('events', 'dead', 'list')).toMatchObject({ stdout: 'There are no dead letters.\n' });
    await bus.publishHints([
      { userId: '1', cause },
      { userId: POISONED, cause },
      { userId: '2', cause },
    ]);
    const [letter] = await eventually('a dead letter', async () => {
      const letters = await listed();
      return letters.length > 0 ? letters : undefined;
    });
    expect(letter).toMatchObject({
      asks: `look at ${POISONED} (watch update)`,
      topic: 'directory-events',
      subscription: 'directory-events-push',
      deliveries: 5,
      userId: POISONED,
    });
    expect([seen('1'), seen('2'), seen(POISONED)]).toEqual([1, 1, 5]);
  });

  it('stays there when it is looked at, as often as one likes', async () => {
    for (let time = 0; time < 3; time += 1) expect(await listed()).toHaveLength(1);
    const [{ id } = { id: '' }] = await listed();
    const shown = await ana('events', 'dead', 'show', id);
    expect(shown.stdout).toContain('"cause":{"source":"watch"');
    expect(shown.stdout).toMatch(/Given up\s+.*, after 5 attempts/);
    expect(shown.stdout).not.toContain('CloudPubSub');
  });

  it('comes back when it is replayed too early, and is gone once it can be handled', async () => {
    const [first] = await listed();
    expect(await asked('events', 'dead', 'replay', first?.id ?? '')).toMatchObject({
      exit: 0,
      replayed: [first?.id],
    });
    const again = await eventually('the dead letter again', async () =>
      (await listed()).find(({ id }) => id !== first?.id),
    );
    poisoned = false;
    expect(await asked('events', 'dead', 'replay', '--all')).toMatchObject({ exit: 0, replayed: [again.id] });
    await eventually('the last delivery', async () => (seen(POISONED) === 11 ? true : undefined));
    expect(await listed()).toEqual([]);
    const last = functions.pushes.at(-1)?.body.message;
    expect(last?.attributes, 'as it was first published').toEqual({ kind: 'hint' });
  });

  it('is in the audit trail with the admin who had it replayed', async () => {
    const trail = await world.ledger.auditTrail({ userId: POISONED, limit: 10 });
    expect(trail).toMatchObject([
      { step: 'dead-letter-replayed', cause: { source: 'admin', actor: 'ana@acme.example' } },
      { step: 'dead-letter-replayed' },
    ]);
    expect(trail[0]?.reason).toBe(
      `ana@acme.example had a message delivered again that directory-events-push had given up: look at ${POISONED} (watch update)`,
    );
  });

  it('can be dropped by its id, and by nothing else', async () => {
    poisoned = true;
    await bus.publishHint({ userId: POISONED, cause });
    const [letter] = await eventually('a dead letter', async () => {
      const letters = await listed();
      return letters.length > 0 ? letters : undefined;
    });
    expect(await ana('events', 'dead', 'drop')).toMatchObject({ exit: 2 });
    expect(await ana('events', 'dead', 'replay')).toMatchObject({ exit: 2 });
    expect(await asked('events', 'dead', 'drop', letter?.id ?? '', '12345')).toMatchObject({
      exit: 4,
      dropped: [letter?.id],
      missing: ['12345'],
    });
    expect(await listed()).toEqual([]);
    expect(await ana('events', 'dead', 'show', letter?.id ?? '')).toMatchObject({
      exit: 1,
      stderr: expect.stringContaining('There is no dead letter'),
    });
  });

  it('is kept when publishing it again fails', async () => {
    await bus.publishHint({ userId: POISONED, cause });
    await eventually('a dead letter', async () => ((await listed()).length > 0 ? true : undefined));
    company.faults.apply({
      calls: [{ method: 'pubsub.projects.topics.publish', status: 403, reason: 'forbidden' }],
    });
    expect(await ana('events', 'dead', 'replay', '--all')).toMatchObject({ exit: 1 });
    company.faults.apply({ reset: true });
    expect(await listed()).toHaveLength(1);
  });

  it('cannot be looked at without the right to the subscription, and the refusal names it', async () => {
    await expect(pubsubDeadLetters(parts(STRANGER)).look(1)).rejects.toMatchObject({
      code: 'bus-unavailable',
      kind: 'permanent',
      message: expect.stringContaining('roles/pubsub.subscriber'),
    });
  });
});
