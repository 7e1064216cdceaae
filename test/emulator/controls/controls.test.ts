import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createControls } from '../../../emulator/controls/index.ts';
import type { Account, Accounts, Busy } from '../../../emulator/core/rooms.ts';
import { ok, type Route } from '../../../emulator/core/route.ts';
import { EmulatorWorld } from '../core/world.ts';
import { claimsOf, readableIdTokens } from '../pubsub/world.ts';

const ANN: Account = {
  id: '111220860655841818702',
  primaryEmail: 'ann@acme.example',
  aliases: ['a.ann@acme.example'],
  orgUnitPath: '/Staff',
  suspended: false,
  archived: false,
  mailboxReady: true,
  superAdmin: false,
};
const people = [ANN, { ...ANN, id: '2', primaryEmail: 'sue@acme.example', aliases: [], suspended: true }];
const accounts: Accounts = {
  byAddress: (address) =>
    people.find((one) => [one.primaryEmail, ...one.aliases].includes(address.toLowerCase())),
  byId: (id) => people.find((one) => one.id === id),
  deletedByAddress: () => undefined,
  onChange: () => undefined,
};

let world: EmulatorWorld;
let work: string[];
let counters: { delivered: number; deadLettered: number };
let look: () => void;

beforeEach(async () => {
  world = new EmulatorWorld();
  work = [];
  counters = { delivered: 0, deadLettered: 0 };
  look = () => undefined;
  const busy: Busy = {
    pending() {
      look();
      return [...work];
    },
  };
  const probe: Route = {
    id: 'probe.get',
    verb: 'GET',
    path: '/probe/:id',
    scopes: 'none',
    handle: () => ok({}),
  };
  const routes: Route[] = [
    probe,
    ...createControls(world.context, {
      calls: world.calls,
      accounts,
      idTokens: readableIdTokens,
      busy: [{ pending: () => [] }, busy],
      counters: () => counters,
      routes: () => routes,
    }).routes,
  ];
  await world.serve(routes);
});
afterEach(() => world.close());

async function control(verb: string, path: string, body?: unknown) {
  const response = await fetch(new URL(`/_emulator/${path}`, world.root), {
    method: verb,
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}
const refusal = (answer: { body: Record<string, unknown> }) =>
  (answer.body['error'] as { message: string }).message;

describe('the clock control', () => {
  it('advances by a length of time', async () => {
    const before = world.clock.nowMs();
    const answer = await control('POST', 'clock', { advance: '35d' });
    expect(answer.status).toBe(200);
    expect(answer.body['offsetMs']).toBe(35 * 86_400_000);
    expect(world.clock.nowMs() - before).toBeGreaterThanOrEqual(35 * 86_400_000);
  });

  it('sets an instant', async () => {
    const answer = await control('POST', 'clock', { set: '2040-01-01T00:00:00Z' });
    expect(answer.body['now']).toMatch(/^2040-01-01T00:00:0/);
  });

  it('answers the time and how far it is ahead', async () => {
    await control('POST', 'clock', { advance: '1h30m' });
    const { body } = await control('GET', 'clock');
    expect(body['offsetMs']).toBe(5_400_000);
    expect(Math.abs(Date.parse(String(body['now'])) - world.clock.nowMs())).toBeLessThan(60_000);
  });

  it.each([
    ['nothing', {}, 'Give either'],
    ['both ways at once', { advance: '1d', set: '2040-01-01T00:00:00Z' }, 'and nothing else'],
    ['another field', { jump: '1d' }, 'Give either'],
    ['a negative length', { advance: '-1d' }, 'only moves forward'],
    ['a bare number', { advance: 5 }, '5 is none'],
    ['a length without a unit', { advance: '35' }, '"35" is none'],
    ['no text', { set: 12 }, '12 is none'],
    ['a date that is none', { set: '2040-13-01T00:00:00Z' }, 'is none'],
    ['a time without a zone', { set: '2040-01-01T00:00:00' }, 'is none'],
    [
      'an instant in the past',
      { set: '2001-01-01T00:00:00Z' },
      'The clock only moves forward: 2001-01-01T00:00:00.000Z is before',
    ],
    ['a list', [], 'Expected an object'],
    ['text that is not JSON', '{"advance":', 'Invalid JSON payload'],
  ])('refuses %s with a sentence, and stands still', async (_what, body, sentence) => {
    const answer = await control('POST', 'clock', body);
    expect(answer.status).toBe(400);
    expect(refusal(answer)).toContain(sentence);
    expect(world.clock.offsetMs).toBe(0);
  });
});

describe('drain', () => {
  it('answers at once when nothing is under way', async () => {
    counters = { delivered: 7, deadLettered: 1 };
    expect(await control('POST', 'drain', {})).toEqual({
      status: 200,
      body: { quiet: true, delivered: 7, deadLettered: 1 },
    });
  });

  it('waits until the work is done', async () => {
    work = ['one message'];
    let looks = 0;
    look = () => {
      looks += 1;
      if (looks === 4) work = [];
    };
    expect((await control('POST', 'drain', { timeoutMs: 20_000 })).body['quiet']).toBe(true);
    expect(looks).toBeGreaterThanOrEqual(5);
  });

  it('does not take the pause between two pieces of work for quiet', async () => {
    const seen: number[] = [];
    look = () => {
      seen.push(seen.length);
      work = seen.length === 2 ? ['started by the one before'] : [];
    };
    await control('POST', 'drain', { timeoutMs: 20_000 });
    expect(seen).toHaveLength(4);
  });

  it('does not call it quiet when something was delivered between two looks', async () => {
    let looks = 0;
    look = () => {
      looks += 1;
      if (looks === 2) counters = { delivered: 1, deadLettered: 0 };
    };
    expect((await control('POST', 'drain', { timeoutMs: 20_000 })).body).toMatchObject({ delivered: 1 });
    expect(looks).toBe(3);
  });

  it('answers quiet:false and what is still under way when the time is up', async () => {
    work = ['one message', 'job sweep'];
    expect((await control('POST', 'drain', { timeoutMs: 1 })).body).toEqual({
      quiet: false,
      delivered: 0,
      deadLettered: 0,
      pending: ['one message', 'job sweep'],
    });
  });

  it.each([
    ['an unknown field', { timeout: 5 }, 'Unknown field "timeout"'],
    ['a time-out that is no number', { timeoutMs: '60s' }, 'must be a number'],
    ['a negative time-out', { timeoutMs: -1 }, 'from 0 to 600000'],
  ])('refuses %s', async (_what, body, sentence) => {
    const answer = await control('POST', 'drain', body);
    expect(answer.status).toBe(400);
    expect(refusal(answer)).toContain(sentence);
  });
});

describe('the faults control', () => {
  it('switches faults on, answers those in force, and is itself never disturbed', async () => {
    const set = await control('POST', 'faults', {
      seed: 7,
      events: { duplicate: 0.5 },
      calls: [{ method: '*', status: 503 }],
    });
    expect(set.body).toMatchObject({ seed: 7, events: { duplicate: 0.5, reorder: 0, drop: 0, delayMs: 0 } });
    expect((await fetch(new URL('/probe/1', world.root))).status).toBe(503);
    expect((await control('GET', 'faults')).body).toEqual(set.body);
    expect((await control('POST', 'faults', { reset: true })).body).toMatchObject({ calls: [], seed: 1 });
    expect((await fetch(new URL('/probe/1', world.root))).status).toBe(200);
  });

  it('refuses a typo and keeps what was in force', async () => {
    await control('POST', 'faults', { events: { duplicate: 1 } });
    const answer = await control('POST', 'faults', { events: { duplicates: 0 } });
    expect(answer.status).toBe(400);
    expect(refusal(answer)).toContain('"duplicates"');
    expect(world.faults.current.events.duplicate).toBe(1);
  });
});

describe('the ID token control', () => {
  const mint = (body: unknown) => control('POST', 'idtoken', body);

  it('mints what Google would for an account of the tenant', async () => {
    const { body } = await mint({ email: 'A.Ann@acme.example', audience: 'https://admin.example' });
    expect(claimsOf(String(body['token']))).toEqual({
      iss: 'https://accounts.google.com',
      aud: 'https://admin.example',
      azp: 'https://admin.example',
      sub: ANN.id,
      hd: 'acme.example',
      email: ANN.primaryEmail,
      email_verified: true,
    });
  });

  it('mints for a service account, without a hosted domain', async () => {
    const email = 'admin-tool@acme-sealwright.iam.gserviceaccount.com';
    const { body } = await mint({ email, audience: 'x' });
    const claims = claimsOf(String(body['token']));
    expect(claims).toMatchObject({ email, email_verified: true, sub: expect.stringMatching(/^\d{21}$/) });
    expect(claims).not.toHaveProperty('hd');
  });

  it.each([
    [
      'an address nobody has',
      { email: 'nobody@acme.example', audience: 'x' },
      404,
      'Nobody in the directory',
    ],
    ['a suspended account', { email: 'sue@acme.example', audience: 'x' }, 400, 'is suspended'],
    ['no audience', { email: 'ann@acme.example' }, 400, '"audience" must be a text'],
    ['no address', { audience: 'x' }, 400, '"email" must be a text'],
    [
      'an unknown field',
      { email: 'ann@acme.example', audience: 'x', claims: {} },
      400,
      'Unknown field "claims"',
    ],
  ])('refuses %s', async (_what, body, status, sentence) => {
    const answer = await mint(body);
    expect(answer.status).toBe(status);
    expect(refusal(answer)).toContain(sentence);
  });
});

describe('the call log', () => {
  it('answers the calls after a number, and the number of the last', async () => {
    for (const id of ['1', '2', '3']) await fetch(new URL(`/probe/${id}`, world.root));
    const { body } = await control('GET', 'calls?since=1');
    expect(body['last']).toBe(3);
    expect(body['calls']).toMatchObject([
      { n: 2, method: 'probe.get', path: '/probe/2', status: 200 },
      { n: 3, path: '/probe/3' },
    ]);
    expect((await control('GET', 'calls')).body['calls']).toHaveLength(3);
  });

  it('refuses a number that is none', async () => {
    expect((await control('GET', 'calls?since=soon')).status).toBe(400);
  });
});

describe('the index', () => {
  it('lists controls and methods', async () => {
    const { body } = await control('GET', '');
    expect(body).toMatchObject({
      root: world.root,
      clock: { offsetMs: 0 },
      controls: expect.arrayContaining(['POST /_emulator/clock', 'GET /_emulator/calls']),
      methods: { 'probe.get': 'GET /probe/:id' },
    });
  });
});
