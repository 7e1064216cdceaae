import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createDirectoryEvent } from '../../functions/directory-event.ts';
import { permanent, retryable } from '../../shared/errors.ts';
import type { Around } from '../support/fakes/calls.ts';
import { createWorld, DAY_MS, makeMaterials, type World } from '../support/fakes/world.ts';
import { inForce } from '../support/policy.ts';
import {
  bearer,
  CALLER,
  CALLER_CLAIMS,
  callerHeaders,
  itRefusesStrangers,
  itVerifiesWholly,
  privately,
} from './support/callers.ts';
import { failing } from './support/failing.ts';
import { type GoogleKeys, googleKeys, strippedOfSignature } from './support/google-keys.ts';
import { type AuditEvent, logEntry, membership, parameter, push } from './support/pushes.ts';
import { rewinder } from './support/rewind.ts';
import { type Answer, refusal, type Served, serveHandler } from './support/served.ts';

const ANA = { userId: '100000000000000000001', primaryEmail: 'ana@acme.example' };
const BEA = { userId: '100000000000000000002', primaryEmail: 'bea@acme.example' };
const CAUSE = { source: 'watch', eventId: 'channel-1:42', event: 'update' } as const;

let keys: GoogleKeys;
let world: World;
let rewind: () => Promise<void>;
let served: Served;

beforeAll(async () => {
  world = await createWorld(await makeMaterials());
  rewind = await rewinder(world);
  keys = await googleKeys(world.clock);
});
afterAll(async () => {
  await keys.close();
  await world.close();
});

const start = (
  around?: Around,
  rule: { behindIam?: boolean; organization?: string } = {},
): Promise<Served> => {
  const { organization } = rule;
  const deps = around === undefined ? world.deps : world.surrounded(around);
  return serveHandler(
    createDirectoryEvent({
      ...deps,
      policies: inForce(deps.policy),
      ...privately(keys, world.clock, rule),
      ...(organization === undefined ? {} : { organization }),
    }),
    world.log,
  );
};

/** For requests that leave nothing behind. */
const inOneWorld = (rule: { behindIam?: boolean } = {}): void => {
  beforeAll(async () => {
    await rewind();
    served = await start(undefined, rule);
  });
  afterAll(() => served.close());
  beforeEach(() => {
    world.log.lines.length = 0;
  });
};

/** For each test the world as it was at first. */
const inFreshWorlds = (): void => {
  beforeEach(async () => {
    await rewind();
    served = await start();
  });
  afterEach(() => served.close());
};

const deliver = async (body: string, to = served): Promise<Answer> =>
  to.request('/', { headers: await callerHeaders(keys), body });
const hint = (whom: { userId: string } | { address: string }, messageId?: string) =>
  push({ version: 1, ...whom, cause: CAUSE }, messageId);
const audited = (...events: readonly AuditEvent[]) => push(logEntry(events));
const about = (eventName: string, address: string): AuditEvent => ({
  eventName,
  parameter: [parameter('USER_EMAIL', address)],
});

const renamed = (from: string, to: string): AuditEvent => ({
  eventName: 'RENAME_USER',
  parameter: [parameter('USER_EMAIL', from), parameter('NEW_VALUE', to)],
});

const unit = (eventName: string, path: string, value?: string): AuditEvent => ({
  eventName,
  parameter: [
    ...(value === undefined ? [] : [parameter('NEW_VALUE', value)]),
    parameter('ORG_UNIT_NAME', path),
  ],
});

const stateOf = async (userId: string) => (await world.ledger.readUser(userId)).user?.state;
const trail = async () => await world.ledger.auditTrail({ limit: 100 });
const ignored = async () => (await trail()).filter(({ step }) => step === 'hint-ignored');
const looked = () => world.log.of('look-started').map(({ fields }) => fields['userId']);
const outcomes = () => world.log.of('look-ended').map(({ fields }) => fields['outcome']);

const call = (headers: Readonly<Record<string, string>>) =>
  served.request('/', { headers, body: hint({ userId: ANA.userId }) });

describe('directory-event, where nobody verifies before it, refuses a request', () => {
  inOneWorld();
  afterEach(() => {
    expect(looked()).toEqual([]);
    expect(JSON.stringify(world.log.lines)).not.toContain('eyJ');
  });

  itRefusesStrangers(() => keys, call);
  itVerifiesWholly(() => keys, call);
});

describe('directory-event, behind Cloud Run’s IAM,', () => {
  inOneWorld({ behindIam: true });

  it('takes the token as Cloud Run leaves it, without its signature', async () => {
    const token = strippedOfSignature(await keys.token(CALLER_CLAIMS));
    expect((await call(bearer(token))).status).toBe(204);
    expect(looked()).toEqual([ANA.userId]);
  });

  it('takes a token for several audiences of which it is one', async () => {
    const aud = ['https://other.acme.example/', CALLER_CLAIMS.aud];
    const token = strippedOfSignature(await keys.token({ ...CALLER_CLAIMS, aud }));
    expect((await call(bearer(token))).status).toBe(204);
  });

  describe('refuses a request', () => {
    itRefusesStrangers(() => keys, call);
  });
});

describe('directory-event, called,', () => {
  inOneWorld();

  it('takes the token of X-Serverless-Authorization before that of Authorization', async () => {
    const token = await keys.token(CALLER_CLAIMS);
    const headers = { 'x-serverless-authorization': `Bearer ${token}`, ...bearer('of-somebody-else') };
    expect((await call(headers)).status).toBe(204);
  });

  it('takes the caller’s address in any case', async () => {
    const token = await keys.token({ ...CALLER_CLAIMS, email: CALLER.toUpperCase() });
    expect((await call(bearer(token))).status).toBe(204);
  });

  it('answers 503 while Google’s keys cannot be had, because then nobody knows who calls', async () => {
    // A verifier that has not fetched them yet.
    const fresh = await start();
    keys.down = true;
    try {
      const answer = await deliver(hint({ userId: ANA.userId }), fresh);
      expect(answer).toMatchObject(refusal(503, 'tokens-unavailable'));
      expect(looked()).toEqual([]);
    } finally {
      keys.down = false;
      await fresh.close();
    }
  });
});

describe('directory-event, given what is no push, answers 400 to', () => {
  inOneWorld();
  it.each([
    ['a body that is not JSON', 'message=1', 'malformed-request'],
    ['an empty body', '', 'malformed-request'],
    ['a JSON list', '[{"message":{}}]', 'malformed-request'],
    ['an envelope without a message', '{"subscription":"projects/a/subscriptions/b"}', 'malformed-event'],
    ['a message that is a text', '{"message":"hello"}', 'malformed-event'],
    ['a message without an id', '{"message":{"data":"e30="}}', 'malformed-event'],
    [
      'a message whose id holds a NUL',
      '{"message":{"messageId":"\\u0000","data":"e30="}}',
      'malformed-event',
    ],
    ['a message with data that is no text', '{"message":{"messageId":"1","data":{}}}', 'malformed-event'],
  ])('%s', async (_what, body, reason) => {
    expect(await deliver(body)).toMatchObject(refusal(400, reason));
    expect(await ignored()).toEqual([]);
  });
});

describe('directory-event, given a message that nobody can ever understand, acknowledges it and writes down', () => {
  inOneWorld();
  let before: number;
  beforeEach(async () => {
    before = (await ignored()).length;
  });
  const ignoredNow = async () => (await ignored()).slice(before);

  it.each([
    ['data that is not JSON', 'hello', 'Message message-1 carries no JSON.'],
    ['no data', '', 'Message message-1 carries no JSON.'],
    ['a JSON list', [], 'Message message-1 carries no JSON object.'],
    ['a JSON null', 'null', 'Message message-1 carries no JSON object.'],
    [
      'a hint of another version',
      { version: 2, userId: ANA.userId, cause: CAUSE },
      'Message message-1 is neither a log entry nor a hint of version 1.',
    ],
    [
      'a hint of no version',
      { userId: ANA.userId, cause: CAUSE },
      'Message message-1 is neither a log entry nor a hint of version 1.',
    ],
    ['a hint without a cause', { version: 1, userId: ANA.userId }, 'Message message-1 has no valid "cause".'],
    [
      'a hint with an unknown source',
      { version: 1, userId: ANA.userId, cause: { ...CAUSE, source: 'rumour' } },
      'Message message-1 has no valid "cause".',
    ],
    [
      'a hint about nobody',
      { version: 1, cause: CAUSE },
      'Message message-1 names no user: it needs "userId" (digits) or "address".',
    ],
    [
      'a hint about an id that is none',
      { version: 1, userId: 'ana', cause: CAUSE },
      'Message message-1 names no user: it needs "userId" (digits) or "address".',
    ],
    [
      'a hint about an address that is none',
      { version: 1, address: 'ana', cause: CAUSE },
      'Message message-1 names no user: it needs "userId" (digits) or "address".',
    ],
    [
      'a log entry without events',
      logEntry([], 'google.admin.AdminService.changePassword'),
      'Method google.admin.AdminService.changePassword carries no events.',
    ],
    [
      'a log entry of a method without a name',
      { protoPayload: {} },
      'Method without a name carries no events.',
    ],
    [
      'a log entry whose payload is a text',
      { protoPayload: 'x' },
      'Method without a name carries no events.',
    ],
    [
      'a log entry about another event',
      logEntry([about('CHANGE_PASSWORD', ANA.primaryEmail)]),
      'Event CHANGE_PASSWORD names no user this product follows.',
    ],
    [
      'a log entry that names no user',
      logEntry([{ eventName: 'CREATE_USER', parameter: [parameter('ORG_UNIT_NAME', '/Staff')] }]),
      'Event CREATE_USER names no user this product follows.',
    ],
  ])('%s', async (_what, data, reason) => {
    expect((await deliver(push(data))).status).toBe(204);
    expect(await ignoredNow()).toMatchObject([
      {
        cause: { source: 'audit', eventId: 'message-1', event: 'ignored' },
        reason,
        outcome: 'ignored',
      },
    ]);
    expect(world.log.of('event-ignored')).toMatchObject([{ severity: 'warning', fields: { reason } }]);
    expect(looked()).toEqual([]);
  });

  it.each([
    ['a hint whose address', { version: 1, address: 'a\u0000@acme.example', cause: CAUSE }],
    ['a hint whose cause', { version: 1, userId: ANA.userId, cause: { ...CAUSE, eventId: '\u0000' } }],
    ['a log entry whose event', logEntry([{ eventName: 'X\u0000' }])],
    ['a log entry whose method', logEntry([], 'x\u0000')],
    ['a log entry whose address', logEntry([about('DELETE_USER', 'a\u0000@acme.example')])],
    ['a log entry whose id', { ...logEntry([about('DELETE_USER', 'a@acme.example')]), insertId: '\u0000' }],
  ])('%s holds a NUL, which no database takes', async (_what, data) => {
    expect((await deliver(push(data))).status).toBe(204);
    expect(await ignoredNow()).toHaveLength(1);
    expect(looked()).toEqual([]);
  });
});

describe('directory-event, given a hint,', () => {
  inFreshWorlds();

  it('looks at the user and makes them ready', async () => {
    world.directory.put(ANA);
    expect(await deliver(hint({ userId: ANA.userId }))).toMatchObject({ status: 204, text: '' });
    expect(await stateOf(ANA.userId)).toBe('ready');
    expect(world.gmail.account(ANA.userId).identities.has(ANA.primaryEmail)).toBe(true);
    expect(world.log.of('look-ended')).toMatchObject([
      {
        fields: {
          eventId: 'channel-1:42',
          source: 'watch',
          sourceEvent: 'update',
          userId: ANA.userId,
          attempt: 1,
          outcome: 'converged',
          state: 'ready',
        },
      },
    ]);
  });

  it('writes the cause with every step into the audit trail', async () => {
    world.directory.put(ANA);
    await deliver(hint({ userId: ANA.userId }));
    const ours = await world.ledger.auditTrail({ userId: ANA.userId, limit: 100 });
    expect(ours.length).toBeGreaterThan(3);
    expect(ours.every(({ cause }) => cause.eventId === 'channel-1:42')).toBe(true);
  });

  it('does nothing more when the same message comes twice', async () => {
    world.directory.put(ANA);
    await deliver(hint({ userId: ANA.userId }));
    const once = (await trail()).length;
    expect((await deliver(hint({ userId: ANA.userId }))).status).toBe(204);
    expect((await trail()).length).toBe(once);
    expect(world.gmail.account(ANA.userId).pairs).toHaveLength(1);
  });

  it('about an address, finds who has it, in any case', async () => {
    world.directory.put({ ...ANA, aliases: ['ana.alias@acme.example'] });
    await deliver(hint({ address: 'Ana.Alias@Acme.Example' }));
    expect(looked()).toEqual([ANA.userId]);
  });

  it('about an address that nobody has or had, acknowledges and writes that down under its cause', async () => {
    expect((await deliver(hint({ address: 'nobody@acme.example' }))).status).toBe(204);
    expect(await ignored()).toMatchObject([
      { cause: CAUSE, reason: 'Nobody has or had the address nobody@acme.example.', outcome: 'ignored' },
    ]);
  });

  it('about somebody whom neither directory nor ledger know, acknowledges and leaves no trace of them', async () => {
    expect((await deliver(hint({ userId: '999' }))).status).toBe(204);
    expect(outcomes()).toEqual(['converged']);
    expect(await world.ledger.users()).toEqual([]);
  });

  it('about somebody whom no rule covers, leaves no trace of them', async () => {
    world.directory.put({ ...ANA, orgUnitPath: '/Contractors' });
    expect((await deliver(hint({ userId: ANA.userId }))).status).toBe(204);
    expect(await world.ledger.users()).toEqual([]);
  });

  it('about an address that moved to somebody else, looks at both', async () => {
    world.directory.put(ANA);
    await deliver(hint({ userId: ANA.userId }));
    world.directory.remove(ANA.userId);
    world.directory.forget(ANA.userId);
    world.directory.put({ ...BEA, primaryEmail: ANA.primaryEmail });
    world.log.lines.length = 0;
    await deliver(hint({ address: ANA.primaryEmail }));
    expect(looked()).toEqual([BEA.userId, ANA.userId]);
  });

  it('about an address that moved, looks at the one before also when the one now cannot be finished', async () => {
    world.directory.put(ANA);
    await deliver(hint({ userId: ANA.userId }));
    world.directory.remove(ANA.userId);
    world.directory.put({ ...BEA, primaryEmail: ANA.primaryEmail });
    const away = failing('listKeypairs', 'gmail-unavailable');
    const disturbed = await start(away.around);
    world.log.lines.length = 0;
    try {
      expect(await deliver(hint({ address: ANA.primaryEmail }), disturbed)).toMatchObject(
        refusal(503, 'gmail-unavailable'),
      );
      expect(looked()).toEqual([BEA.userId, ANA.userId]);
      expect(await stateOf(ANA.userId)).toBe('out');
    } finally {
      await disturbed.close();
    }
  });

  it('about a user somebody else works on, acknowledges and asks that one to look once more', async () => {
    world.directory.put(ANA);
    const lease = await world.ledger.acquireLease(`user:${ANA.userId}`, 60_000);
    expect(lease).toBeDefined();
    expect((await deliver(hint({ userId: ANA.userId }))).status).toBe(204);
    expect(outcomes()).toEqual(['busy']);
    expect(world.gmail.account(ANA.userId).pairs).toEqual([]);
    if (lease !== undefined)
      expect(await world.ledger.releaseLease(lease)).toMatchObject({ again: { source: 'watch' } });
  });

  it('that needs a human, acknowledges and says what for', async () => {
    world.directory.put(ANA);
    const refusing = failing('signLeaf', 'ca-key-unusable', permanent('ca-key-unusable', 'Wrong CA key.'));
    const disturbed = await start(refusing.around);
    try {
      expect((await deliver(hint({ userId: ANA.userId }), disturbed)).status).toBe(204);
      expect((await world.ledger.readUser(ANA.userId)).user).toMatchObject({
        state: 'blocked',
        reason: expect.stringContaining('Wrong CA key.'),
      });
      expect(outcomes()).toEqual(['stopped']);
    } finally {
      await disturbed.close();
    }
  });

  it('answers a bug with 500 and none of its text, so that the message comes again', async () => {
    world.directory.put(ANA);
    const disturbed = await start(failing('readUser', 'conflict', new Error('inner text')).around);
    try {
      const answer = await deliver(hint({ userId: ANA.userId }), disturbed);
      expect(answer).toMatchObject(refusal(500, 'internal'));
      expect(answer.text).not.toContain('inner text');
    } finally {
      await disturbed.close();
    }
  });
});

describe('directory-event, given a log entry,', () => {
  inFreshWorlds();

  it('looks at every user its events name, under the id that Google gave the entry', async () => {
    world.directory.put(ANA);
    world.directory.put(BEA);
    const body = audited(
      about('SUSPEND_USER', ANA.primaryEmail),
      about('CHANGE_PASSWORD', 'cem@acme.example'),
      about('MOVE_USER_TO_ORG_UNIT', BEA.primaryEmail),
    );
    expect((await deliver(body)).status).toBe(204);
    expect(world.log.of('look-started')).toMatchObject([
      { fields: { userId: ANA.userId, eventId: 'insert-1', source: 'audit', sourceEvent: 'SUSPEND_USER' } },
      { fields: { userId: BEA.userId, eventId: 'insert-1', sourceEvent: 'MOVE_USER_TO_ORG_UNIT' } },
    ]);
    expect(await ignored()).toMatchObject([
      { reason: 'Event CHANGE_PASSWORD names no user this product follows.' },
    ]);
    const [step] = await world.ledger.auditTrail({ userId: ANA.userId, limit: 1 });
    expect(step?.cause.actor).toBe('admin@acme.example');
  });

  it('looks at the second user also when the first cannot be finished, and asks for the entry again', async () => {
    world.directory.put(ANA);
    world.directory.put(BEA);
    const away = failing('presence', 'directory-unavailable');
    const onlyAna: Around = (call, perform) =>
      call.method === 'presence' && call.args[0] !== ANA.userId ? perform() : away.around(call, perform);
    const disturbed = await start(onlyAna);
    const body = audited(about('CREATE_USER', ANA.primaryEmail), about('CREATE_USER', BEA.primaryEmail));
    try {
      expect(await deliver(body, disturbed)).toMatchObject(refusal(503, 'directory-unavailable'));
      expect(await stateOf(BEA.userId)).toBe('ready');
      away.on = false;
      expect((await deliver(body, disturbed)).status).toBe(204);
      expect(await stateOf(ANA.userId)).toBe('ready');
    } finally {
      await disturbed.close();
    }
  });

  const values = [
    parameter('ORG_UNIT_NAME', '/Staff'),
    parameter('USER_EMAIL', 'ANA@acme.example'),
    parameter('NEW_VALUE', '/Staff/Legal'),
  ];
  it.each([
    ['first', [1, 0, 2]],
    ['in the middle', [0, 1, 2]],
    ['last', [2, 0, 1]],
  ])('finds the address when it stands %s among the parameters', async (_where, order) => {
    world.directory.put(ANA);
    const parameters = order.flatMap((index) => values[index] ?? []);
    await deliver(audited({ eventName: 'MOVE_USER_TO_ORG_UNIT', parameter: parameters }));
    expect(looked()).toEqual([ANA.userId]);
  });

  it.each([
    ['new address', 'ana.new@acme.example', 'ana@acme.example', 'ana.new@acme.example'],
    ['old address where the new value is none', 'ana.new', 'ana@acme.example', 'ana@acme.example'],
  ])('of a rename, finds the user by the %s', async (_which, newValue, oldAddress, present) => {
    world.directory.put({ ...ANA, primaryEmail: present });
    const parameters = [parameter('NEW_VALUE', newValue), parameter('USER_EMAIL', oldAddress)];
    await deliver(audited({ eventName: 'RENAME_USER', parameter: parameters }));
    expect(looked()).toEqual([ANA.userId]);
  });

  it('of a rename, looks at the user whom the ledger knows by the old address while nobody has the new one yet', async () => {
    world.directory.put(ANA);
    await deliver(hint({ userId: ANA.userId }));
    world.log.lines.length = 0;
    await deliver(audited(renamed('ana@acme.example', 'ana.new@acme.example')));
    expect(looked()).toEqual([ANA.userId]);
  });

  it('of a rename, looks once at a user who answers to both addresses', async () => {
    world.directory.put({ ...ANA, primaryEmail: 'ana.new@acme.example', aliases: ['ana@acme.example'] });
    await deliver(audited(renamed('ana@acme.example', 'ana.new@acme.example')));
    expect(looked()).toEqual([ANA.userId]);
  });

  it('of a rename an hour ago, says once that nobody is known by either address', async () => {
    world.clock.advance(3_600_000);
    await deliver(audited(renamed('ana@acme.example', 'ana.new@acme.example')));
    expect(await ignored()).toMatchObject([
      { reason: 'Nobody has or had the address ana.new@acme.example or ana@acme.example.' },
    ]);
  });

  it('about a deleted user, finds them by the address they had', async () => {
    world.directory.put(ANA);
    await deliver(hint({ userId: ANA.userId }));
    world.directory.remove(ANA.userId);
    world.directory.forget(ANA.userId);
    world.log.lines.length = 0;
    await deliver(audited(about('DELETE_USER', ANA.primaryEmail)));
    expect(looked()).toEqual([ANA.userId]);
  });
});

describe('directory-event, told by an event of the last ten minutes of somebody whom the directory does not show,', () => {
  inFreshWorlds();
  const MINUTE_MS = 60_000;
  const putOff = async () => (await world.ledger.putOffHints(10)).map(({ hint }) => hint);
  /** So long ago; a negative number lies ahead. */
  const ago = (milliseconds: number) => new Date(world.clock.now().getTime() - milliseconds).toISOString();
  const told = (
    source: string,
    event: string,
    whom: { userId: string } | { address: string; formerAddress?: string },
    at: string | undefined = ago(1),
  ) => push({ version: 1, ...whom, cause: { source, event, eventId: 'event-1', at } });
  const created = (at?: string) => told('audit', 'CREATE_USER', { address: ANA.primaryEmail }, at);
  const added = (at?: string) => told('watch', 'add', { userId: ANA.userId }, at);

  it.each([
    ['watch', 'add', { userId: ANA.userId }],
    ['watch', 'undelete', { userId: ANA.userId }],
    ['audit', 'CREATE_USER', { address: ANA.primaryEmail }],
    ['audit', 'CREATE_USER_WITH_AUTO_PROV', { address: ANA.primaryEmail }],
    ['audit', 'UNDELETE_USER', { address: ANA.primaryEmail }],
    ['audit', 'RENAME_USER', { address: ANA.primaryEmail, formerAddress: 'ana.old@acme.example' }],
  ])(
    'acknowledges the %s event %s, keeps it to be asked again, and says nothing of nobody',
    async (source, event, whom) => {
      const at = ago(10 * MINUTE_MS - 1);
      expect((await deliver(told(source, event, whom, at))).status).toBe(204);
      expect(await putOff()).toEqual([
        { ...whom, cause: { source, event, eventId: 'event-1', at: new Date(at) } },
      ]);
      expect(await ignored()).toEqual([]);
      expect(await world.ledger.users()).toEqual([]);
      expect(world.log.lines.filter(({ severity }) => severity !== 'info')).toEqual([]);
    },
  );

  it('keeps one of each event, however often it comes', async () => {
    for (let time = 0; time < 3; time += 1) await deliver(created());
    await deliver(added());
    expect(await putOff()).toHaveLength(2);
  });

  it.each([
    ['that is ten minutes old', 'CREATE_USER', () => ago(10 * MINUTE_MS)],
    ['that lies ten minutes ahead', 'CREATE_USER', () => ago(-10 * MINUTE_MS)],
    ['without a time', 'CREATE_USER', () => null],
    ['after which nobody need be there', 'DELETE_USER', () => ago(1)],
  ])('says that nobody is known after an event %s', async (_which, event, at) => {
    const cause = { source: 'audit', event, eventId: 'event-1', at: at() ?? undefined };
    expect((await deliver(push({ version: 1, address: ANA.primaryEmail, cause }))).status).toBe(204);
    expect(await putOff()).toEqual([]);
    expect(await ignored()).toHaveLength(1);
  });

  it('asks no more after a notification that is ten minutes old', async () => {
    expect((await deliver(added(ago(10 * MINUTE_MS)))).status).toBe(204);
    expect(await putOff()).toEqual([]);
    expect(outcomes()).toEqual(['converged']);
  });

  it.each([
    ['address', created],
    ['id', added],
  ])(
    'looks at them when the event comes again and they are shown by their %s, and asks no more',
    async (_which, event) => {
      await deliver(event());
      const asked = await world.ledger.putOffHints(10);
      await world.ledger.forgetPutOff(asked.map(({ number }) => number));
      world.directory.put(ANA);
      expect((await deliver(event())).status).toBe(204);
      expect(await stateOf(ANA.userId)).toBe('ready');
      expect(await putOff()).toEqual([]);
    },
  );

  it('asks again about an undeleted user who is shown as deleted still', async () => {
    world.directory.put(ANA);
    await deliver(hint({ userId: ANA.userId }));
    world.directory.remove(ANA.userId);
    await deliver(hint({ userId: ANA.userId }));
    world.clock.advance(DAY_MS);
    await deliver(told('watch', 'undelete', { userId: ANA.userId }));
    await deliver(told('audit', 'UNDELETE_USER', { address: ANA.primaryEmail }));
    expect(await putOff()).toHaveLength(2);
  });

  it('asks no more about a user who was deleted after they were created', async () => {
    const at = ago(1000);
    world.directory.put(ANA);
    world.directory.remove(ANA.userId);
    await deliver(added(at));
    await deliver(created(at));
    expect(await putOff()).toEqual([]);
  });

  it('asks again for the new holder of an address that a deleted user had', async () => {
    world.directory.put(BEA);
    await deliver(hint({ userId: BEA.userId }));
    world.directory.remove(BEA.userId);
    world.clock.advance(DAY_MS);
    await deliver(told('audit', 'CREATE_USER', { address: BEA.primaryEmail }));
    expect(await putOff()).toHaveLength(1);
  });

  it('looks at a renamed user by the address from before and asks again for the new one', async () => {
    world.directory.put(ANA);
    await deliver(hint({ userId: ANA.userId }));
    world.log.lines.length = 0;
    const to = { address: 'ana.new@acme.example', formerAddress: ANA.primaryEmail };
    await deliver(told('audit', 'RENAME_USER', to));
    expect(looked()).toEqual([ANA.userId]);
    expect(await putOff()).toMatchObject([to]);
    world.directory.put({ ...ANA, primaryEmail: to.address, aliases: [to.formerAddress] });
    await deliver(told('audit', 'RENAME_USER', to));
    expect(world.gmail.account(ANA.userId).identities.has(to.address)).toBe(true);
  });

  it('asks again where somebody else’s look is under way, which may have begun too early, and only then', async () => {
    const lease = await world.ledger.acquireLease(`user:${ANA.userId}`, 60_000);
    expect(lease).toBeDefined();
    await deliver(added());
    expect(outcomes()).toEqual(['busy']);
    const asked = await world.ledger.putOffHints(10);
    expect(asked).toHaveLength(1);
    await world.ledger.forgetPutOff(asked.map(({ number }) => number));
    world.directory.put(ANA);
    await deliver(added());
    expect(outcomes()).toEqual(['busy', 'busy']);
    expect(await putOff()).toEqual([]);
  });

  it('has the message delivered again while nothing can be kept', async () => {
    const away = failing('recordPutOff', 'ledger-unavailable');
    const disturbed = await start(away.around);
    try {
      const entry = logEntry([about('CREATE_USER', ANA.primaryEmail)]);
      expect(await deliver(push(entry), disturbed)).toMatchObject(refusal(503, 'ledger-unavailable'));
      away.on = false;
      expect((await deliver(push(entry), disturbed)).status).toBe(204);
      expect(await putOff()).toHaveLength(1);
    } finally {
      await disturbed.close();
    }
  });
});

describe('directory-event, told by an event of the last ten minutes of a change that the directory does not show,', () => {
  inFreshWorlds();
  const MINUTE_MS = 60_000;
  const [NICK, UNIT] = ['annie@acme.example', '/Staff/Legal'];
  const waiting = async () => {
    const asked = await world.ledger.putOffHints(10);
    await world.ledger.forgetPutOff(asked.map(({ number }) => number));
    return asked.map(({ hint }) => hint);
  };
  const at = () => new Date(world.clock.now().getTime() - 1);
  type Whom = { readonly userId: string } | { readonly address: string; readonly detail?: string };
  const told = (event: string, whom: Whom, when: Date | undefined = at()) => {
    const source = 'userId' in whom ? 'watch' : 'audit';
    return { ...whom, cause: { source, event, eventId: 'event-1', at: when } };
  };
  const heard = async (...args: Parameters<typeof told>) =>
    expect((await deliver(push({ version: 1, ...told(...args) }))).status).toBe(204);
  const address = ANA.primaryEmail;
  /** An event, and in the directory what it tells of and what undoes that. */
  const gone = () => world.directory.remove(ANA.userId);
  const is = (changes: object) => () => void world.directory.put({ ...ANA, ...changes });
  const CHANGES: readonly (readonly [string, Whom, () => void, () => void])[] = [
    ['delete', { userId: ANA.userId }, is({}), gone],
    ['DELETE_USER', { address }, is({}), gone],
    ['SUSPEND_USER', { address }, is({}), is({ suspended: true })],
    ['UNSUSPEND_USER', { address }, is({ suspended: true }), is({ suspended: false })],
    ['ARCHIVE_USER', { address }, is({}), is({ archived: true })],
    ['UNARCHIVE_USER', { address }, is({ archived: true }), is({ archived: false })],
    ['MOVE_USER_TO_ORG_UNIT', { address, detail: UNIT }, is({}), is({ orgUnitPath: UNIT.toLowerCase() })],
    ['ADD_NICKNAME', { address, detail: NICK }, is({}), is({ aliases: [NICK] })],
    ['REMOVE_NICKNAME', { address, detail: NICK }, is({ aliases: [NICK] }), is({ aliases: [] })],
  ];

  it.each(CHANGES)(
    'after %s of %j looks at once, keeps the event to ask again, and asks no more once it is shown',
    async (event, whom, lags, shows) => {
      lags();
      await heard(event, whom);
      expect(looked()).toEqual([ANA.userId]);
      expect(await waiting()).toEqual([told(event, whom)]);
      shows();
      await heard(event, whom);
      expect(looked()).toEqual([ANA.userId, ANA.userId]);
      expect(await waiting()).toEqual([]);
    },
  );

  it.each(CHANGES)('keeps nothing of %s of %j that is ten minutes old', async (event, whom, lags) => {
    lags();
    await heard(event, whom, new Date(world.clock.now().getTime() - 10 * MINUTE_MS));
    expect(looked()).toEqual([ANA.userId]);
    expect(await waiting()).toEqual([]);
  });

  it.each(CHANGES.slice(2))('waits for %s of nobody who is deleted since', async (event, whom, lags) => {
    lags();
    await deliver(hint({ userId: ANA.userId }));
    gone();
    await heard(event, whom);
    expect(await waiting()).toEqual([]);
  });

  it.each([
    ['update', { userId: ANA.userId }],
    ['MOVE_USER_TO_ORG_UNIT', { address }],
    ['ADD_NICKNAME', { address }],
    ['DELETE_AUTO_PROVISIONED_USER', { address }],
    ['GMAIL_RESET_USER', { address }],
  ] as const)(
    'waits for nothing after %s of %j, which does not say what to wait for',
    async (event, whom) => {
      world.directory.put(ANA);
      await heard(event, whom);
      expect(looked()).toEqual([ANA.userId]);
      expect(await waiting()).toEqual([]);
    },
  );

  it('takes from a log entry what to wait for', async () => {
    world.directory.put(ANA);
    const parameters = (...values: readonly (readonly [string, string])[]) => [
      parameter('USER_EMAIL', address),
      ...values.map(([name, value]) => parameter(name, value)),
    ];
    await deliver(
      audited(
        {
          eventName: 'MOVE_USER_TO_ORG_UNIT',
          parameter: parameters(['ORG_UNIT_NAME', '/Staff'], ['NEW_VALUE', UNIT]),
        },
        { eventName: 'REMOVE_NICKNAME', parameter: parameters(['USER_NICKNAME', NICK]) },
        { eventName: 'ADD_NICKNAME', parameter: parameters(['USER_NICKNAME', NICK.toUpperCase()]) },
      ),
    );
    expect(await waiting()).toMatchObject([
      { address, detail: UNIT, cause: { source: 'audit', event: 'MOVE_USER_TO_ORG_UNIT' } },
      { address, detail: NICK, cause: { source: 'audit', event: 'ADD_NICKNAME' } },
    ]);
  });

  it('does not take the new holder of an address for the one who was deleted and had it before', async () => {
    world.directory.put(ANA);
    await deliver(hint({ userId: ANA.userId }));
    gone();
    world.directory.put({ ...BEA, primaryEmail: address });
    await heard('DELETE_USER', { address });
    expect(await waiting()).toEqual([]);
    world.clock.advance(DAY_MS);
    await heard('DELETE_USER', { address });
    expect(await waiting()).toHaveLength(1);
  });

  it('asks the directory where somebody else’s look is under way', async () => {
    world.directory.put(ANA);
    await world.ledger.acquireLease(`user:${ANA.userId}`, 60_000);
    await heard('SUSPEND_USER', { address });
    expect(outcomes()).toEqual(['busy']);
    expect(await waiting()).toHaveLength(1);
    world.directory.put({ ...ANA, suspended: true });
    await heard('SUSPEND_USER', { address });
    expect(await waiting()).toEqual([]);
  });
});

describe('directory-event, fed by the log sink,', () => {
  const OURS = '123456789012';
  const created = () => logEntry([about('CREATE_USER', ANA.primaryEmail)]);
  const counts = async () =>
    Object.fromEntries(
      (await world.ledger.oddities()).map(({ kind, name, count }) => [`${kind} ${name}`, count]),
    );
  beforeEach(async () => {
    await rewind();
    world.directory.put(ANA);
    served = await start(undefined, { organization: OURS });
  });
  afterEach(() => served.close());

  it('does not follow an entry of another organization, or of none, and counts it', async () => {
    const foreign = { ...created(), logName: 'organizations/999/logs/cloudaudit.googleapis.com%2Factivity' };
    expect((await deliver(push(foreign))).status).toBe(204);
    world.clock.advance(10_000);
    expect((await deliver(push({ ...created(), logName: undefined }))).status).toBe(204);
    expect(looked()).toEqual([]);
    expect(await counts()).toEqual({ 'foreign-organization 999': 1, 'foreign-organization none': 1 });
    expect(await ignored()).toHaveLength(2);
    expect((await trail()).map(({ reason }) => reason)).toContain(
      `The entry is in the log of 999, not of ${OURS}.`,
    );
  });

  it('follows the same entry once, however often it comes', async () => {
    const entry = created();
    for (let time = 0; time < 5; time += 1) {
      expect((await deliver(push(entry, `message-${time}`))).status).toBe(204);
      world.clock.advance(10_000);
    }
    expect(looked()).toEqual([ANA.userId]);
    expect(await counts()).toEqual({ 'repeated-entry ': 4 });
    expect(await world.ledger.sources()).toMatchObject([
      { source: 'audit', entries: 1 },
      { source: 'watch', entries: 0, missedSince: expect.any(Date) },
    ]);
  });

  it('does not take an entry for followed whose look failed', async () => {
    const entry = created();
    const failing = await start(
      async (call, perform) => {
        if (call.method === 'presence') throw retryable('directory-unavailable', 'Away.');
        return await perform();
      },
      { organization: OURS },
    );
    expect((await deliver(push(entry), failing)).status).toBe(503);
    await failing.close();
    expect((await deliver(push(entry))).status).toBe(204);
    expect(await stateOf(ANA.userId)).toBe('ready');
  });

  it('follows an entry that comes a day late, and counts it', async () => {
    const entry = { ...created(), timestamp: new Date(world.clock.now().getTime() - DAY_MS).toISOString() };
    await deliver(push(entry));
    expect(await stateOf(ANA.userId)).toBe('ready');
    expect(await counts()).toEqual({ 'late-entry ': 1 });
  });

  it.each([
    ['a unit that was moved', unit('MOVE_ORG_UNIT', '/Staff', '/People'), '/People'],
    ['a unit that was renamed', unit('EDIT_ORG_UNIT_NAME', '/Staff/Law', 'Legal'), '/Staff/Legal'],
    ['a unit that was removed', unit('REMOVE_ORG_UNIT', '/Staff/Law'), '/Staff'],
    ['everybody after a group that was deleted', { eventName: 'DELETE_GROUP' }, '/'],
  ])('asks for a sweep of the subtree of %s, once however often it comes', async (_what, event, scope) => {
    const entry = logEntry([event]);
    for (let time = 0; time < 3; time += 1)
      expect((await deliver(push(entry, `m-${time}`))).status).toBe(204);
    expect((await world.ledger.sweepOverview()).waiting).toMatchObject([
      { scope, cause: { eventId: 'insert-1', event: event.eventName } },
    ]);
    expect(world.log.of('sweep-requested')).toHaveLength(1);
    expect(looked()).toEqual([]);
  });

  it.each(['ADD_GROUP_MEMBER', 'REMOVE_GROUP_MEMBER'])(
    'compares everybody after %s of a group, whose members no event names',
    async (eventName) => {
      world.directory.members.set('inner@acme.example', new Set([ANA.userId]));
      expect((await deliver(audited(about(eventName, 'Inner@acme.example')))).status).toBe(204);
      expect((await world.ledger.sweepOverview()).waiting).toMatchObject([
        { scope: '/', cause: { eventId: 'insert-1', event: eventName } },
      ]);
      expect(await ignored()).toEqual([]);
      world.directory.members.delete('inner@acme.example');
    },
  );

  it('sweeps nothing after an event of a group’s member that is neither ours nor a group, also where Google will not say', async () => {
    const other = audited(about('ADD_GROUP_MEMBER', 'bob@other.example'));
    expect((await deliver(other)).status).toBe(204);
    const refusing = failing('group', 'directory-refused', permanent('directory-refused', 'Not authorized.'));
    const disturbed = await start(refusing.around, { organization: OURS });
    try {
      expect((await deliver(audited(about('ADD_GROUP_MEMBER', 'eve@other.example')), disturbed)).status).toBe(
        204,
      );
    } finally {
      await disturbed.close();
    }
    expect((await world.ledger.sweepOverview()).waiting).toEqual([]);
    expect((await ignored()).map(({ reason }) => reason).toSorted()).toEqual([
      'Nobody has or had the address bob@other.example.',
      'Nobody has or had the address eve@other.example.',
    ]);
  });

  it('follows what it knows of an entry with several events and counts the others by name', async () => {
    const entry = logEntry([
      about('CHANGE_PASSWORD', ANA.primaryEmail),
      about('CREATE_USER', ANA.primaryEmail),
      { eventName: 'TOGGLE_SOMETHING_NEW' },
    ]);
    expect((await deliver(push(entry))).status).toBe(204);
    expect(looked()).toEqual([ANA.userId]);
    expect(await counts()).toEqual({
      'unknown-event CHANGE_PASSWORD': 1,
      'unknown-event TOGGLE_SOMETHING_NEW': 1,
    });
  });

  it.each([
    [
      'carries no events',
      logEntry([], 'google.login.LoginService.loginSuccess'),
      'google.login.LoginService.loginSuccess',
    ],
    ['names no user', logEntry([{ eventName: 'CREATE_USER' }]), 'CREATE_USER'],
    [
      'tells of the membership of a service account',
      membership('serviceAccount:robot@acme.example'),
      'UpdateMembership',
    ],
  ])('counts an entry that %s under the name it goes by', async (_what, entry, name) => {
    expect((await deliver(push(entry))).status).toBe(204);
    expect(looked()).toEqual([]);
    expect(await counts()).toEqual({ [`unknown-event ${name}`]: 1 });
    expect(await ignored()).toHaveLength(1);
  });

  it('follows an entry in a message of 6 MB', async () => {
    const entry = { ...created(), padding: 'x'.repeat(6_000_000) };
    expect((await deliver(push(entry))).status).toBe(204);
    expect(await stateOf(ANA.userId)).toBe('ready');
  });
});

describe('directory-event, after an answer of 503 with Retry-After, succeeds with the same delivery once', () => {
  inFreshWorlds();

  it.each([
    ['the directory resolves addresses', 'resolve', 'directory-unavailable'],
    ['the directory answers', 'presence', 'directory-unavailable'],
    ['Gmail lists', 'listKeypairs', 'gmail-unavailable'],
    ['Gmail writes', 'createKeypair', 'gmail-unavailable'],
    ['the key service wraps', 'wrapPrivateKey', 'key-service-unavailable'],
    ['the signer signs', 'signLeaf', 'signing-unavailable'],
    ['the ledger gives leases', 'acquireLease', 'ledger-unavailable'],
    ['the ledger can be read', 'readUser', 'ledger-unavailable'],
    ['the ledger can be written', 'recordLeafIntent', 'ledger-unavailable'],
    ['the lease is not lost on the way', 'recordSighting', 'lease-lost'],
  ] as const)('%s', async (_what, method, code) => {
    world.directory.put(ANA);
    const away = failing(method, code);
    const disturbed = await start(away.around);
    const body = hint({ address: ANA.primaryEmail });
    try {
      const answer = await deliver(body, disturbed);
      expect(answer).toMatchObject(refusal(503, code));
      expect(answer.headers.get('retry-after')).toBe('7');
      expect(await stateOf(ANA.userId)).not.toBe('ready');
      if (code === 'lease-lost') await world.expireLeases();
      away.on = false;
      expect((await deliver(body, disturbed)).status).toBe(204);
      expect(await stateOf(ANA.userId)).toBe('ready');
      expect(world.gmail.account(ANA.userId).pairs).toHaveLength(1);
    } finally {
      await disturbed.close();
    }
  });
});
