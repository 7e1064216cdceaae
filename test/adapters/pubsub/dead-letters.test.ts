/** More dead letters than one pull brings, and than a loan of a minute is enough for. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { settleDeadLetters } from '../../../functions/admin/dead-letters.ts';
import { pubsubDeadLetters } from '../../../shared/adapters/pubsub/dead-letters.ts';
import type { DeadLetter, DeadLetters } from '../../../shared/ports/dead-letters.ts';
import type { AuditEntry } from '../../../shared/ports/ledger.ts';
import { keptLog } from '../../support/fakes/log.ts';
import { type Company, openCompany, PROJECT } from '../emulator-company.ts';

const ADMIN = 'ana@acme.example';
const topic = (name: string) => `projects/${PROJECT}/topics/${name}`;
const subscription = (name: string) => `projects/${PROJECT}/subscriptions/${name}`;

let company: Company;
let deadLetters: DeadLetters;
let elapsedMs: number;
let trail: AuditEntry[];
/** Called before each entry of the trail. */
let meanwhile: () => void;
beforeAll(async () => {
  company = await openCompany();
  for (const name of ['directory-events', 'dead-letters']) company.pubsub.ensureTopic(topic(name));
});
beforeEach(() => {
  elapsedMs = 0;
  trail = [];
  meanwhile = () => undefined;
  for (const name of ['directory-events', 'dead-letters'])
    company.pubsub.ensureSubscription(subscription(name), { topic: topic(name), ackDeadlineSeconds: 60 });
  const { endpoints, retry } = company;
  deadLetters = pubsubDeadLetters({
    ...{ projectId: PROJECT, own: company.own(), endpoints, retry },
    elapsedMs: () => elapsedMs,
  });
});
afterEach(async () => {
  company.faults.apply({ reset: true });
  await drained('directory-events');
  await drained('dead-letters');
});
afterAll(() => company.close());

/** As Pub/Sub sets them aside. */
function giveUp(count: number, by = 'directory-events-push'): void {
  for (let index = 0; index < count; index += 1)
    company.pubsub.publish(topic('dead-letters'), {
      data: Buffer.from(JSON.stringify({ userId: String(index) })),
      attributes: { kind: 'hint', CloudPubSubDeadLetterSourceSubscription: by },
    });
}

/** What waits there, taken out. */
async function drained(name: string): Promise<readonly DeadLetter[]> {
  const { endpoints, retry } = company;
  const all = pubsubDeadLetters({
    projectId: PROJECT,
    own: company.own(),
    endpoints,
    retry,
    subscription: name,
  });
  return (await all.settle('all', async (letters) => letters)).settled;
}

const settle = (decision: 'replay' | 'drop', body: unknown) =>
  settleDeadLetters(
    {
      deadLetters,
      ledger: {
        audit: async (entry) => {
          meanwhile();
          trail.push(entry);
        },
      },
      log: keptLog(),
    },
    ADMIN,
    decision,
    body,
  );
const idsOf = async () => (await deadLetters.look(1_000)).letters.map(({ id }) => id);

describe('of three hundred dead letters', () => {
  it('each is delivered again once, and none comes back, where that takes longer than they are lent out for', async () => {
    giveUp(300);
    const ids = await idsOf();
    expect(new Set(ids).size).toBe(300);
    meanwhile = () => {
      if (trail.length === 150 || trail.length === 250) company.clock.advance(70_000);
    };
    const { body } = await settle('replay', { all: true });
    expect((body as { replayed: string[] }).replayed.toSorted()).toEqual(ids.toSorted());
    expect(body).toMatchObject({ missing: [], more: false });
    expect(trail).toHaveLength(300);
    company.clock.advance(600_000);
    expect(await idsOf()).toEqual([]);
    expect(await drained('directory-events')).toHaveLength(300);
  });

  it('they are published and acknowledged by the hundred, and not one by one', async () => {
    giveUp(300);
    const before = company.calls.last;
    await settle('replay', { all: true });
    const made = (method: string) =>
      company.calls.since(before).filter((call) => call.method === method).length;
    expect(made('pubsub.projects.topics.publish')).toBeLessThanOrEqual(3);
    expect(made('pubsub.projects.subscriptions.acknowledge')).toBeLessThanOrEqual(3);
  });

  it('those that there was no time for are left, and the answer says so', async () => {
    giveUp(300);
    const ids = await idsOf();
    meanwhile = () => {
      elapsedMs += 1_000;
    };
    const first = await settle('drop', { ids });
    expect(first.body).toMatchObject({ missing: [], more: true, left: 100 });
    expect(await idsOf()).toHaveLength(100);
    meanwhile = () => undefined;
    const again = await settle('drop', { ids });
    expect(again.body).toMatchObject({ more: false });
    expect(await idsOf()).toEqual([]);
  });

  it('one is found without looking further, and is given back with the others', async () => {
    giveUp(300);
    const { letters } = await deadLetters.look(1);
    const id = letters[0]?.id ?? '';
    expect(await deadLetters.find(id)).toMatchObject({ letter: { id }, more: false });
    expect(await idsOf()).toHaveLength(300);
  });

  it('one that is not there is looked for no longer than there is time', async () => {
    giveUp(300);
    const steps = pubsubDeadLetters({
      ...{ projectId: PROJECT, own: company.own(), endpoints: company.endpoints, retry: company.retry },
      elapsedMs: () => {
        elapsedMs += 40_000;
        return elapsedMs;
      },
    });
    expect(await steps.find('absent')).toEqual({ more: true });
    expect(await deadLetters.find('absent')).toEqual({ more: false });
    expect(await idsOf()).toHaveLength(300);
  });
});

describe('a dead letter of a subscription that is none of ours', () => {
  it('is refused with its name, and stays where it is', async () => {
    giveUp(1, 'billing-push');
    const [id = ''] = await idsOf();
    for (const body of [{ ids: [id] }, { all: true }])
      await expect(settle('replay', body)).rejects.toMatchObject({
        code: 'conflict',
        message: expect.stringContaining('billing-push, which is none of Sealwright'),
      });
    expect(await idsOf()).toEqual([id]);
    expect(trail).toEqual([]);
    expect((await settle('drop', { ids: [id] })).body).toMatchObject({ dropped: [id] });
  });

  it('is named beside those that were delivered again', async () => {
    giveUp(1, 'billing-push');
    giveUp(2);
    const { body } = await settle('replay', { all: true });
    expect(body).toMatchObject({ notOurs: [{ subscription: 'billing-push' }], more: false });
    expect((body as { replayed: string[] }).replayed).toHaveLength(2);
    expect(await drained('directory-events')).toHaveLength(2);
  });
});
