import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createAdmin } from '../../functions/admin.ts';
import { googleIdTokenVerifier } from '../../shared/adapters/google/id-token-verifier.ts';
import { permanent } from '../../shared/errors.ts';
import { reconcile } from '../../shared/reconcile/run.ts';
import { type Around, surround } from '../support/fakes/calls.ts';
import {
  CAUSE,
  createWorld,
  ISSUER_ID,
  MINUTE_MS,
  makeMaterials,
  type World,
} from '../support/fakes/world.ts';
import { inForce } from '../support/policy.ts';
import { bearer } from './support/callers.ts';
import { failing } from './support/failing.ts';
import { type GoogleKeys, googleKeys } from './support/google-keys.ts';
import { rewinder } from './support/rewind.ts';
import { type Answer, refusal, type Served, serveHandler } from './support/served.ts';

const AUDIENCES = ['https://admin.acme.example/', 'sealwright-cli'];
const ADMIN = 'admin@acme.example';
const ROBOT = 'robot@acme-sealwright.iam.gserviceaccount.com';
const ADMIN_CLAIMS = { aud: AUDIENCES[0], email: ADMIN, hd: 'acme.example' };

const ANA = { userId: '100000000000000000001', primaryEmail: 'ana@acme.example' };
const BEA = { userId: '100000000000000000002', primaryEmail: 'bea@acme.example' };
const CEM = { userId: '100000000000000000003', primaryEmail: 'cem@acme.example' };
const DAN = { userId: '100000000000000000004', primaryEmail: 'dan@acme.example' };
const EVA = { userId: '100000000000000000005', primaryEmail: 'eva@acme.example' };
const GONE = { userId: '100000000000000000006', primaryEmail: 'gone@acme.example' };

let world: World;
let rewind: () => Promise<void>;
let keys: GoogleKeys;
let served: Served;
/** Every answer of the file, for the last test. */
const answers: string[] = [];

beforeAll(async () => {
  world = await createWorld(await makeMaterials());
  world.directory.put({ ...ANA, aliases: ['ana.alias@acme.example'], orgUnitPath: '/Staff/Legal' });
  world.directory.put({ ...BEA, orgUnitPath: '/Staff' });
  world.directory.put({ ...CEM, orgUnitPath: '/Staff/Sales', suspended: true });
  world.directory.put({ ...DAN, orgUnitPath: '/Staff', archived: true });
  world.directory.put({ ...EVA, orgUnitPath: '/Contractors' });
  world.directory.put(GONE);
  world.directory.remove(GONE.userId);
  await reconcile(world.deps, ANA.userId, CAUSE);
  await reconcile(world.deps, BEA.userId, CAUSE);
  rewind = await rewinder(world);
  keys = await googleKeys(world.clock);
  served = await start();
});
afterAll(async () => {
  await Promise.all([served.close(), keys.close()]);
  await world.close();
});
beforeEach(() => {
  world.bus.hints.length = 0;
  world.log.lines.length = 0;
});

function start(around: Around = (_call, perform) => perform()): Promise<Served> {
  const { clock, log } = world;
  const disturbed = surround('directory', world.directory, around);
  const deps = {
    clock,
    log,
    admins: [ADMIN, ROBOT],
    audiences: AUDIENCES,
    hintsPerMinute: 400,
    idTokens: googleIdTokenVerifier({ rootUrl: keys.rootUrl }, clock),
    policies: inForce(world.deps.policy),
    keyProving: world.keyProving,
    keyRewrapping: world.keyRewrapping,
    random: world.random,
    ledger: surround('ledger', world.ledger, around),
    bus: surround('bus', world.bus, around),
    deadLetters: world.deadLetters,
    // `usersUnder` answers no promise, so nothing can stand around it.
    directory: {
      ...world.directory,
      presence: disturbed.presence,
      resolve: disturbed.resolve,
      usersUnder: (orgUnit: string) => world.directory.usersUnder(orgUnit),
    },
  };
  return serveHandler(createAdmin(deps), log);
}

const headersOf = async (claims = {}) => bearer(await keys.token({ ...ADMIN_CLAIMS, ...claims }));
const kept = (answer: Answer): Answer => {
  answers.push(answer.text);
  return answer;
};
const get = async (path: string, on = served): Promise<Answer> =>
  kept(await on.request(path, { method: 'GET', headers: await headersOf() }));
const rekey = async (body: unknown, on = served): Promise<Answer> =>
  kept(
    await on.request('/v1/rekey', {
      headers: await headersOf(),
      body: typeof body === 'string' ? body : JSON.stringify(body),
    }),
  );
const part = (answer: Answer, name: string): unknown =>
  (answer.json as Readonly<Record<string, unknown>>)[name];
const jobOf = (answer: Answer): string => String(part(answer, 'job'));
const refusedFor = (field: string) => ({
  status: 400,
  json: {
    error: { code: 400, status: 'INVALID_ARGUMENT', details: [{ reason: 'malformed-request', field }] },
  },
});
const wishes = async () =>
  (await world.ledger.users()).flatMap(({ user, openWishes }) => openWishes.map(() => user?.primaryEmail));

describe('admin refuses', () => {
  it.each<[string, number, string, () => Promise<Record<string, string>>]>([
    ['a request without a token', 401, 'unauthenticated', async () => ({})],
    ['a token that is no JWT', 401, 'unauthenticated', async () => bearer('letmein')],
    ['an expired token', 401, 'unauthenticated', () => headersOf({ exp: 1_600_000_000 })],
    [
      'a token for another audience',
      401,
      'unauthenticated',
      () => headersOf({ aud: 'https://other.acme.example/' }),
    ],
    ['an unverified address', 401, 'unauthenticated', () => headersOf({ email_verified: false })],
    [
      'a token of another issuer',
      401,
      'unauthenticated',
      () => headersOf({ iss: 'https://idp.acme.example' }),
    ],
    ['a forged token', 401, 'unauthenticated', async () => bearer(await keys.forged(ADMIN_CLAIMS))],
    ['a token nobody signed', 401, 'unauthenticated', async () => bearer(keys.unsigned(ADMIN_CLAIMS))],
    [
      'an admin’s token that came as Cloud Run’s',
      401,
      'unauthenticated',
      async () => ({ 'x-serverless-authorization': `Bearer ${await keys.token(ADMIN_CLAIMS)}` }),
    ],
    ['somebody who is no admin', 403, 'forbidden', () => headersOf({ email: 'ana@acme.example' })],
    [
      'a private account that confirmed an admin’s address',
      403,
      'forbidden',
      () => headersOf({ hd: undefined }),
    ],
    [
      'a service account that is no admin',
      403,
      'forbidden',
      () => headersOf({ email: 'other@acme-sealwright.iam.gserviceaccount.com', hd: undefined }),
    ],
  ])('%s with %i', async (_who, status, reason, headers) => {
    const body = JSON.stringify({ all: true, reason: 'superseded' });
    const answer = kept(await served.request('/v1/rekey', { headers: await headers(), body }));
    expect(answer).toMatchObject(refusal(status, reason));
    expect(await wishes()).toEqual([]);
    expect(JSON.stringify(world.log.lines)).not.toContain('eyJ');
  });

  it.each(AUDIENCES)('nobody who carries the audience %s', async (aud) => {
    expect(
      (await served.request('/v1/users', { method: 'GET', headers: await headersOf({ aud }) })).status,
    ).toBe(200);
  });

  it('no admin for the case of the address, and no service account for having no domain', async () => {
    for (const claims of [{ email: 'Admin@ACME.example' }, { email: ROBOT, hd: undefined }]) {
      const answer = await served.request('/v1/users', { method: 'GET', headers: await headersOf(claims) });
      expect(answer.status).toBe(200);
    }
  });

  it.each([
    ['/', 404],
    ['/v1', 404],
    ['/v2/users', 404],
    ['/V1/users', 404],
    ['/v1/nothing', 404],
    ['/v1/jobs', 404],
    ['/v1/audit/1', 404],
    ['/v1/rekey/1', 404],
    [`/v1/users/${ANA.userId}/keys`, 404],
    ['/v1/jobs/1/2', 404],
    ['/v1/rekey', 405],
  ])('GET %s with %i', async (path, status) => {
    expect(await get(path)).toMatchObject(
      refusal(status, status === 404 ? 'not-found' : 'method-not-allowed'),
    );
  });

  it.each([
    ['POST', '/v1/users', 405],
    ['DELETE', `/v1/users/${ANA.userId}`, 405],
    ['PUT', '/v1/audit', 405],
    ['POST', '/v1/jobs/1', 405],
    ['PUT', '/v1/rekey', 405],
    ['POST', '/v1/nothing', 404],
    ['POST', '/v1/rekey/', 404],
  ])('%s %s with %i', async (method, path, status) => {
    const answer = kept(await served.request(path, { method, headers: await headersOf() }));
    expect(answer).toMatchObject(refusal(status, status === 404 ? 'not-found' : 'method-not-allowed'));
  });

  it.each([
    '/v1/users/%',
    '/v1/users/%zz',
    '/v1/users/%E0%A4',
    '/v1/jobs/%ff',
    '/v1/users/%?limit=1',
    '/%/users',
  ])('the broken percent escape in %s with 400', async (path) => {
    expect(await get(path)).toMatchObject(refusal(400, 'malformed-request', 'broken percent escape'));
  });

  it.each([
    '/v1/users/%00',
    '/v1/jobs/%00',
    '/v1/users?after=%00',
    '/v1/audit?user=%00',
    '/v1/audit?user=a%00b',
  ])('the NUL in %s with 400', async (path) => {
    expect(await get(path)).toMatchObject(refusal(400, 'malformed-request'));
  });

  it.each([
    ['/v1/users?stat=blocked', 'does not know "stat". It takes "after", "limit".'],
    ['/v1/users?Limit=5', 'did you mean "limit"?'],
    ['/v1/audit?usr=ana%40acme.example', 'did you mean "user"?'],
    ['/v1/held?all=1', 'It takes "state".'],
    ['/v1/stop?now', 'It takes nothing after a "?".'],
    ['/v1/audit?user=1&user=2', '"user" may be said once.'],
  ])('the unknown or doubled part of %s by name', async (path, message) => {
    expect(await get(path)).toMatchObject(refusal(400, 'malformed-request', message));
  });

  it('what follows a "?" in a call that has a body', async () => {
    const answer = kept(
      await served.request('/v1/rekey?dryRun=true', { headers: await headersOf(), body: '{}' }),
    );
    expect(answer).toMatchObject(refusal(400, 'malformed-request', 'It takes nothing after a "?".'));
  });

  it.each([
    '/v1/audit?after=x',
    '/v1/audit?after=',
    '/v1/audit?after=-1',
    '/v1/audit?after=1.5',
    `/v1/audit?after=${'9'.repeat(19)}`,
    '/v1/users?after=x',
    '/v1/users?after=',
    ...['0', '-1', '1.5', '5001', 'ten', '', 'NaN', '1e3', '0x10', '%201'].flatMap((limit) => [
      `/v1/users?limit=${limit}`,
      `/v1/audit?limit=${limit}`,
    ]),
  ])('the bad cursor or page size of %s with 400', async (path) => {
    expect(await get(path)).toMatchObject(refusal(400, 'malformed-request'));
  });

  it.each(['nobody@acme.example', '999', 'ANA', '%20', ANA.userId.slice(0, -1)])(
    'a look at the unknown user %s with 404',
    async (name) => {
      expect(await get(`/v1/users/${name}`)).toMatchObject(refusal(404, 'not-found'));
    },
  );

  it.each(['1', 'f3b0c442-98fc-4c14-9afb-f4c8996fb924'])(
    'a look at the unknown job %s with 404',
    async (job) => {
      expect(await get(`/v1/jobs/${job}`)).toMatchObject(refusal(404, 'not-found', `no job ${job}`));
    },
  );
});

describe('admin, asked for a re-key, refuses and writes nothing for', () => {
  const fine = { users: [ANA.primaryEmail], reason: 'superseded' };
  const { users: _users, ...nobody } = fine;
  it.each<[string, unknown, string]>([
    ['no reason', { users: fine.users }, 'reason'],
    ['a reason that is none of RFC 5280', { ...fine, reason: 'bored' }, 'reason'],
    ['a reason this product never gives', { ...fine, reason: 'certificateHold' }, 'reason'],
    ['a reason called like a property of every object', { ...fine, reason: 'constructor' }, 'reason'],
    ['a reason by its number', { ...fine, reason: 4 }, 'reason'],
    ['users that are a text', { ...fine, users: ANA.primaryEmail }, 'users'],
    ['an empty list of users', { ...fine, users: [] }, 'users'],
    ['a user that is no text', { ...fine, users: [1] }, 'users.0'],
    ['a user with an empty name', { ...fine, users: [ANA.primaryEmail, ''] }, 'users.1'],
    ['an org unit that is no path', { ...nobody, orgUnit: 'Staff' }, 'orgUnit'],
    ['"all" that is false', { ...nobody, all: false }, 'all'],
    ['"dryRun" that is a text', { ...fine, dryRun: 'true' }, 'dryRun'],
    ['an unknown field', { ...fine, notify: true }, 'notify'],
    [
      'an instant that is none',
      { ...fine, reason: 'keyCompromise', invalidityDate: 'yesterday' },
      'invalidityDate',
    ],
    ...['0000-01-01T00:00:00Z', '0001-01-01T00:00:00+14:00', '9999-12-31T23:59:59-14:00'].map(
      (invalidityDate): [string, unknown, string] => [
        `the instant ${invalidityDate}, which no CRL can hold`,
        { ...fine, reason: 'keyCompromise', invalidityDate },
        'invalidityDate',
      ],
    ),
    [
      'an instant without a zone',
      { ...fine, reason: 'keyCompromise', invalidityDate: '2026-11-01T00:00:00' },
      'invalidityDate',
    ],
    [
      'the instant of a compromise where none is claimed',
      { ...fine, invalidityDate: '2026-11-01T00:00:00Z' },
      'invalidityDate',
    ],
    ['nobody at all', nobody, 'users'],
    ['users and an org unit', { ...fine, orgUnit: '/Staff' }, 'users'],
    ['an issuer and everybody', { ...nobody, issuer: ISSUER_ID, all: true }, 'users'],
    ['an org unit and everybody', { ...nobody, orgUnit: '/Staff', all: true }, 'users'],
    ['a group and everybody', { ...nobody, group: 'legal@acme.example', all: true }, 'users'],
    [
      'more names than one request has time for',
      { ...fine, users: Array.from({ length: 201 }, (_unused, index) => `user-${index}@acme.example`) },
      'users',
    ],
    ['somebody the policy does not cover', { ...fine, users: [EVA.primaryEmail] }, 'users'],
    ['somebody archived', { ...fine, users: [DAN.primaryEmail] }, 'users'],
    ['somebody covered and somebody not', { ...fine, users: [ANA.primaryEmail, EVA.primaryEmail] }, 'users'],
  ])('%s', async (_what, body, field) => {
    expect(await rekey(body)).toMatchObject(refusedFor(field));
    expect(await wishes()).toEqual([]);
    expect(world.bus.hints).toEqual([]);
  });

  it.each([
    ['an address nobody has', { users: ['nobody@acme.example'] }, 'nobody@acme.example'],
    ['somebody who was deleted', { users: [GONE.primaryEmail] }, GONE.primaryEmail],
    ['one typo among good names', { users: [ANA.primaryEmail, 'bae@acme.example'] }, 'bae@acme.example'],
    ['a group nobody made', { group: 'none@acme.example' }, 'There is no group none@acme.example'],
    ['an issuer that is not there', { issuer: 'issuing-9' }, 'There is no issuer issuing-9'],
    ['an org unit that is not there', { orgUnit: '/Staff/Empty' }, 'There is no org unit /Staff/Empty'],
    ['an org unit of which nobody is covered', { orgUnit: '/Contractors' }, 'Nobody covered'],
  ])('%s, with 404', async (_what, whom, message) => {
    expect(await rekey({ ...whom, reason: 'superseded' })).toMatchObject(refusal(404, 'not-found', message));
    expect(await wishes()).toEqual([]);
  });

  it.each(['users=ana', '', '[]', 'null'])('the body %j', async (body) => {
    expect(await rekey(body)).toMatchObject(refusal(400, 'malformed-request'));
  });

  it('more than 50,000 users at once', async () => {
    const plenty = await start();
    const { usersUnder } = world.directory;
    const [sample] = [world.directory.living(ANA.userId)];
    if (sample === undefined) throw new Error('Ana is gone.');
    world.directory.usersUnder = async function* () {
      for (let index = 0; index <= 50_000; index += 1) yield { ...sample, userId: String(index) };
    };
    try {
      expect(await rekey({ all: true, reason: 'superseded' }, plenty)).toMatchObject(
        refusal(400, 'malformed-request', 'ask for smaller units'),
      );
      expect(await wishes()).toEqual([]);
    } finally {
      world.directory.usersUnder = usersUnder;
      await plenty.close();
    }
  });
});

describe('admin, asked for a re-key,', () => {
  beforeEach(() => rewind());

  it('writes one wish per user, hints at each, and follows the job until it is done', async () => {
    const answer = await rekey({ users: [ANA.primaryEmail, BEA.primaryEmail], reason: 'superseded' });
    expect(answer.status).toBe(202);
    expect(Object.keys(answer.json as object)).toEqual(['job', 'observed', 'revokedOnly']);
    const job = jobOf(answer);
    const at = world.clock.now();
    const cause = { source: 'admin', eventId: job, event: 'rekey', actor: ADMIN, at } as const;
    expect(world.bus.hints).toEqual([
      { userId: ANA.userId, cause },
      { userId: BEA.userId, cause },
    ]);
    expect((await get(`/v1/jobs/${job}`)).json).toMatchObject({
      state: 'running',
      total: 2,
      done: 0,
      failed: 0,
      users: [
        { user: ANA.primaryEmail, state: 'waiting' },
        { user: BEA.primaryEmail, state: 'waiting' },
      ],
    });
    world.clock.advance(MINUTE_MS);
    await reconcile(world.deps, ANA.userId, cause);
    expect((await get(`/v1/jobs/${job}`)).json).toMatchObject({
      state: 'running',
      done: 1,
      users: [{ state: 'done' }, { state: 'waiting' }],
    });
    await reconcile(world.deps, BEA.userId, cause);
    expect((await get(`/v1/jobs/${job}`)).json).toEqual({
      state: 'done',
      total: 2,
      done: 2,
      failed: 0,
      users: [
        { user: ANA.primaryEmail, state: 'done', detail: '' },
        { user: BEA.primaryEmail, state: 'done', detail: '' },
      ],
    });
  });

  it('writes down who asked for what', async () => {
    const job = jobOf(await rekey({ users: [ANA.primaryEmail], reason: 'keyCompromise' }));
    const trail = await world.ledger.auditTrail({ limit: 1_000 });
    expect(trail.at(-1)).toMatchObject({
      cause: { source: 'admin', eventId: job, event: 'rekey', actor: ADMIN },
      step: 'rekey-requested',
      outcome: 'done',
      details: { jobId: job, users: 1, revocationReason: 'keyCompromise' },
    });
  });

  it.each([true, false])(
    'keeps whether the replaced pairs shall be disabled: %s',
    async (disableKeypairs) => {
      await rekey({ users: [ANA.primaryEmail], reason: 'keyCompromise', disableKeypairs });
      const [wish] = (await world.ledger.readUser(ANA.userId)).openWishes;
      expect(wish?.disableKeypairs ?? false).toBe(disableKeypairs);
    },
  );

  it('shows what should be known of a user, with the user', async () => {
    await rekey({ users: [ANA.primaryEmail], reason: 'superseded' });
    const lease = await world.ledger.acquireLease(`user:${ANA.userId}`, 60_000);
    if (lease === undefined) throw new Error('the user is held');
    const notice = { key: 'foreign-keypair/x', kind: 'foreign-keypair', message: 'A pair.' } as const;
    await world.ledger.recordNotices(lease, {
      userId: ANA.userId,
      kinds: ['foreign-keypair'],
      notices: [notice],
    });
    expect(part(await get(`/v1/users/${ANA.userId}`), 'notices')).toMatchObject([
      { kind: 'foreign-keypair', message: 'A pair.' },
    ]);
  });

  it('keeps the instant of a compromise', async () => {
    await rekey({
      users: [ANA.primaryEmail],
      reason: 'keyCompromise',
      invalidityDate: '2026-11-20T10:00:00+01:00',
    });
    const [wish] = (await world.ledger.readUser(ANA.userId)).openWishes;
    expect(wish).toMatchObject({
      reason: 'keyCompromise',
      invalidityDate: new Date('2026-11-20T09:00:00Z'),
      requestedBy: ADMIN,
    });
  });

  it.each([
    [
      'an address and an alias of one user as one',
      { users: ['Ana@Acme.example', 'ana.alias@acme.example'] },
      1,
    ],
    ['an org unit with all below it', { orgUnit: '/Staff' }, 3],
    ['an org unit in any case', { orgUnit: '/staff/LEGAL' }, 1],
    ['"/" as everybody whom the policy covers', { orgUnit: '/' }, 3],
    ['"all" as everybody whom the policy covers', { all: true }, 3],
  ])('takes %s', async (_what, whom, count) => {
    const job = jobOf(await rekey({ ...whom, reason: 'superseded' }));
    expect(part(await get(`/v1/jobs/${job}`), 'total')).toBe(count);
    expect(await wishes()).toHaveLength(count);
    expect(world.bus.hints).toHaveLength(count);
  });

  it('reaches with an issuer whoever has its certificate and is covered, and nobody else', async () => {
    const { holdersUnder } = world.ledger;
    world.ledger.holdersUnder = async (issuerId) =>
      issuerId === ISSUER_ID ? [ANA.userId, EVA.userId, 'long gone'] : [];
    try {
      const answer = await rekey({ issuer: ISSUER_ID, reason: 'superseded', dryRun: true });
      expect(answer.json).toMatchObject({ total: 1, users: [{ user: ANA.primaryEmail }] });
    } finally {
      world.ledger.holdersUnder = holdersUnder;
    }
  });

  it('only for show, says whom it would touch and writes nothing', async () => {
    const before = await world.ledger.auditTrail({ limit: 1_000 });
    const answer = await rekey({ orgUnit: '/Staff', reason: 'superseded', dryRun: true });
    expect(answer.status).toBe(200);
    const step = { step: 'rekey', reason: 'superseded' };
    expect(answer.json).toEqual({
      dryRun: true,
      total: 3,
      observed: 0,
      revokedOnly: 0,
      users: [ANA, BEA, CEM].map(({ primaryEmail }) => ({ user: primaryEmail, ...step })),
    });
    expect(await wishes()).toEqual([]);
    expect(world.bus.hints).toEqual([]);
    expect(await world.ledger.auditTrail({ limit: 1_000 })).toEqual(before);
  });

  it.each([
    ['Pub/Sub', 'publishHints', 'bus-unavailable'],
    ['the audit trail', 'audit', 'ledger-unavailable'],
  ] as const)(
    'answers 202 also when %s fails after the commit, and the users are due',
    async (_what, method, code) => {
      const disturbed = await start(failing(method, code).around);
      try {
        const answer = await rekey({ users: [BEA.primaryEmail], reason: 'superseded' }, disturbed);
        expect(answer.status).toBe(202);
        const jobId = jobOf(answer);
        expect(world.log.of('rekey-not-announced')).toMatchObject([
          { severity: 'error', fields: { jobId, code } },
        ]);
        expect(await world.ledger.dueUsers(10)).toContainEqual(
          expect.objectContaining({ userId: BEA.userId, nextAction: 'rekey' }),
        );
      } finally {
        await disturbed.close();
      }
    },
  );

  it.each([
    ['the ledger', 'recordRekeyJob', 'ledger-unavailable'],
    ['the directory', 'resolve', 'directory-unavailable'],
  ] as const)(
    'answers 503 while %s is away, writes nothing, and 202 when it is back',
    async (_what, method, code) => {
      const away = failing(method, code);
      const disturbed = await start(away.around);
      const body = { users: [ANA.primaryEmail], reason: 'superseded' };
      try {
        const refused = await rekey(body, disturbed);
        expect(refused).toMatchObject(refusal(503, code));
        expect(refused.headers.get('retry-after')).toBe('7');
        expect(await wishes()).toEqual([]);
        away.on = false;
        expect((await rekey(body, disturbed)).status).toBe(202);
      } finally {
        await disturbed.close();
      }
    },
  );

  it('answers 422 what the directory refuses for good', async () => {
    const refused = permanent('directory-refused', 'The service account has no admin role.');
    const disturbed = await start(failing('resolve', 'directory-refused', refused).around);
    try {
      const answer = await rekey({ users: [ANA.primaryEmail], reason: 'superseded' }, disturbed);
      expect(answer).toMatchObject(refusal(422, 'directory-refused'));
    } finally {
      await disturbed.close();
    }
  });
});

describe('admin shows', () => {
  beforeEach(() => rewind());

  it('every user with state, reason and next action', async () => {
    const answer = await get('/v1/users');
    expect(answer.status).toBe(200);
    expect(answer.json).toEqual({
      users: [ANA, BEA].map(({ userId, primaryEmail }) =>
        expect.objectContaining({ userId, user: primaryEmail, state: 'ready', reason: expect.any(String) }),
      ),
    });
  });

  it('users page by page, each once', async () => {
    const first = await get('/v1/users?limit=1');
    expect(first.json).toMatchObject({ users: [{ userId: ANA.userId }], next: ANA.userId });
    const second = await get(`/v1/users?limit=1&after=${part(first, 'next')}`);
    expect(second.json).toMatchObject({ users: [{ userId: BEA.userId }], next: BEA.userId });
    expect((await get(`/v1/users?limit=1&after=${part(second, 'next')}`)).json).toEqual({ users: [] });
  });

  it('one user by id, by address, and by a former address, with the certificate', async () => {
    const byId = await get(`/v1/users/${ANA.userId}`);
    expect((await get('/v1/users/ANA%40acme.example')).json).toEqual(byId.json);
    expect(byId.json).toMatchObject({
      userId: ANA.userId,
      user: ANA.primaryEmail,
      state: 'ready',
      certificates: [
        { state: 'signed', addresses: [ANA.primaryEmail], keyProof: 'proven', issuer: 'issuing-1' },
      ],
      openWishes: [],
    });
    const [shown] = part(byId, 'certificates') as { certificate: string; serial: string }[];
    const leaf = new X509Certificate(Buffer.from(shown?.certificate ?? '', 'base64'));
    expect(leaf.serialNumber.toLowerCase()).toBe(shown?.serial);

    world.directory.put({ ...ANA, primaryEmail: 'ana.new@acme.example' });
    await reconcile(world.deps, ANA.userId, CAUSE);
    expect((await get(`/v1/users/${ANA.primaryEmail}`)).json).toMatchObject({
      userId: ANA.userId,
      user: 'ana.new@acme.example',
    });
  });

  it('the audit trail page by page, oldest first, each entry once', async () => {
    const whole = (await world.ledger.auditTrail({ limit: 1_000 })).map(({ id }) => String(id));
    const seen: string[] = [];
    let path = '/v1/audit?limit=4';
    for (;;) {
      const page = await get(path);
      seen.push(...(part(page, 'entries') as { id: string }[]).map(({ id }) => id));
      const next = part(page, 'next');
      if (next === undefined) break;
      path = `/v1/audit?limit=4&after=${next}`;
    }
    expect(whole.length).toBeGreaterThan(8);
    expect(seen).toEqual(whole);
  });

  it('the audit trail of one user by id or address', async () => {
    const byId = part(await get(`/v1/audit?user=${ANA.userId}`), 'entries');
    expect(byId).toEqual(part(await get('/v1/audit?user=Ana@acme.example'), 'entries'));
    expect((byId as { userId: string }[]).every(({ userId }) => userId === ANA.userId)).toBe(true);
    expect((byId as unknown[]).length).toBeGreaterThan(3);
    expect(await get('/v1/audit?user=nobody@acme.example')).toMatchObject(refusal(404, 'not-found'));
  });

  it('the audit trail with the address that each of its users had last, where that is asked for', async () => {
    const plain = await get('/v1/audit?limit=1000');
    const answer = await get('/v1/audit?limit=1000&addresses=true');
    expect(part(answer, 'entries')).toEqual(part(plain, 'entries'));
    expect(plain.json).not.toHaveProperty('addresses');
    const addresses = (await world.ledger.users()).map(({ user }) => [user?.userId, user?.primaryEmail]);
    expect(part(answer, 'addresses')).toEqual(Object.fromEntries(addresses));
    expect(await get('/v1/audit?addresses=yes')).toMatchObject(refusal(400, 'malformed-request'));
  });

  it('wrapped keys and keys on smart cards, counted', async () => {
    const { json } = await served.request('/v1/keys', { method: 'GET', headers: await headersOf() });
    expect(json).toMatchObject({ wrappedKeys: [{ unproven: 0 }], cardKeys: 0 });
  });

  it('that every key of a key service is proven already, to who wants them proven', async () => {
    const ask = async (body: object) =>
      kept(
        await served.request('/v1/keys/prove', {
          headers: await headersOf(),
          body: JSON.stringify(body),
        }),
      );
    const body = { keyService: 'https://kacls.acme.example', authentication: 'a.b.c' };
    expect(await ask(body)).toMatchObject({ status: 200, json: { proven: 0, failed: [] } });
    expect(await ask({ keyService: body.keyService })).toMatchObject(refusedFor('authentication'));
    expect(await get('/v1/keys/prove')).toMatchObject({ status: 405 });
    expect(JSON.stringify(world.log.lines)).not.toContain('a.b.c');
  });

  it('never a wrapped key, in no answer of all these tests and in no log line', async () => {
    for (const path of [
      '/v1/users',
      `/v1/users/${ANA.userId}`,
      `/v1/users/${BEA.userId}`,
      '/v1/audit',
      `/v1/audit?user=${ANA.userId}`,
    ]) {
      expect((await get(path)).status).toBe(200);
    }
    const wrapped = (await world.ledger.users()).flatMap((user) => user.keys.map((key) => key.wrappedKey));
    expect(wrapped).toHaveLength(2);
    const said = answers.join('\n') + JSON.stringify(world.log.lines);
    expect(said).toContain(ANA.userId);
    for (const key of wrapped) expect(said).not.toContain(key);
    expect(said).not.toMatch(/wrappedKey/i);
  });
});
