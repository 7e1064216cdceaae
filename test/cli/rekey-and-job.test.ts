import { afterAll, beforeAll, beforeEach, describe, expect, it, test } from 'vitest';
import { errorBody, type FakeAdmin, startFakeAdmin } from './fake-admin.ts';
import { launch, sealwright, TOKEN } from './sealwright.ts';

let admin: FakeAdmin;
let environment: Record<string, string>;

beforeAll(async () => {
  admin = await startFakeAdmin();
  environment = { SEALWRIGHT_ADMIN_URL: admin.url, SEALWRIGHT_ADMIN_TOKEN: TOKEN };
});
afterAll(() => admin.close());
beforeEach(() => {
  admin.reset();
  admin.answer('POST /v1/rekey', { status: 202, body: { job: 'j1' } });
});

const person = (user: string, state: string, detail = '') => ({ user, state, detail });
const job = (state: string, ...users: ReturnType<typeof person>[]) => ({
  state,
  total: users.length,
  done: users.filter((user) => user.state === 'done').length,
  failed: users.filter((user) => user.state === 'failed').length,
  users,
});

describe('sealwright rekey', () => {
  test.each([
    [
      'users',
      ['--user', 'a@acme.example', '--user', 'b@acme.example'],
      { users: ['a@acme.example', 'b@acme.example'] },
    ],
    ['an org unit', ['--org-unit', '/Staff'], { orgUnit: '/Staff' }],
    ['whoever is under an issuer', ['--issuer', 'issuing-1'], { issuer: 'issuing-1' }],
    ['everybody', ['--all'], { all: true }],
    [
      'a user whose old key pairs shall be disabled',
      ['--user', 'a@acme.example', '--disable-keypairs'],
      { users: ['a@acme.example'], disableKeypairs: true },
    ],
    [
      'a user since when the key is compromised',
      ['--user', 'a@acme.example', '--invalidity-date', '2026-11-01T02:00:00+02:00'],
      { users: ['a@acme.example'], invalidityDate: '2026-11-01T00:00:00.000Z' },
    ],
  ])('asks for %s and prints the job', async (_whom, flags, body) => {
    const { exit, stdout, stderr } = await sealwright(
      ['rekey', ...flags, '--reason', 'keyCompromise', '--json'],
      environment,
    );
    expect([exit, stderr]).toEqual([0, '']);
    expect(JSON.parse(stdout)).toEqual({ job: 'j1', observed: 0, revokedOnly: 0 });
    expect(admin.asked.map(({ body }) => body)).toEqual([
      { ...body, reason: 'keyCompromise', dryRun: false },
    ]);
  });

  it('tells a person how to follow the job', async () => {
    const { stdout } = await sealwright(['rekey', '--all', '--reason', 'superseded'], environment);
    expect(stdout).toBe('Job j1 is recorded and runs. "sealwright job j1 --wait" shows how it ends.\n');
  });

  it('says how many are left out because their rule only observes', async () => {
    admin.answer('POST /v1/rekey', { status: 202, body: { job: 'j1', observed: 2 } });
    const { stdout } = await sealwright(['rekey', '--all', '--reason', 'superseded'], environment);
    expect(stdout).toBe(
      'Job j1 is recorded and runs. "sealwright job j1 --wait" shows how it ends. 2 users are left out: their rule only observes.\n',
    );
    const users = [{ user: 'a@acme.example', step: 'rekey', reason: 'superseded' }];
    admin.answer('POST /v1/rekey', { body: { dryRun: true, total: 1, observed: 1, users } });
    const forecast = await sealwright(['rekey', '--all', '--reason', 'superseded', '--dry-run'], environment);
    expect(forecast.stdout).toMatch(
      /1 user would be re-keyed; nothing was changed\. 1 user is left out: their rule only observes\.\n$/,
    );
  });

  it('says how many lose their certificate and get no new key', async () => {
    admin.answer('POST /v1/rekey', { status: 202, body: { job: 'j1', observed: 0, revokedOnly: 2 } });
    const { stdout } = await sealwright(['rekey', '--all', '--reason', 'keyCompromise'], environment);
    expect(stdout).toContain(
      ' 2 users are covered by no rule, archived, deleted or in no list: the certificate is revoked and there is no new key.\n',
    );
    const users = [{ user: 'a@acme.example', step: 'revoke', reason: 'keyCompromise' }];
    admin.answer('POST /v1/rekey', { body: { dryRun: true, total: 1, observed: 0, revokedOnly: 1, users } });
    const dry = ['rekey', '--all', '--reason', 'keyCompromise', '--dry-run'];
    expect((await sealwright(dry, environment)).stdout).toContain('1 user is covered by no rule');
  });

  it('with --dry-run shows whom it would touch and asks for nothing else', async () => {
    const forecast = {
      dryRun: true,
      total: 1,
      users: [{ user: 'a@acme.example', step: 'rekey', reason: 'superseded' }],
    };
    admin.answer('POST /v1/rekey', { body: forecast });
    const { exit, stdout } = await sealwright(
      ['rekey', '--org-unit', '/Staff', '--reason', 'superseded', '--dry-run'],
      environment,
    );
    expect(exit).toBe(0);
    expect(stdout).toBe(`\
USER            STEP   REASON
a@acme.example  rekey  superseded

1 user would be re-keyed; nothing was changed.
`);
    expect(admin.asked.map(({ body }) => body)).toEqual([
      { orgUnit: '/Staff', reason: 'superseded', dryRun: true },
    ]);
  });

  it('with --wait tells progress on standard error and ends with the whole job on standard output', async () => {
    const users = [person('a@acme.example', 'waiting', 'Waits.'), person('b@acme.example', 'waiting')];
    const [a, b] = [person('a@acme.example', 'done'), person('b@acme.example', 'done')];
    admin.answer(
      'GET /v1/jobs/j1',
      { body: job('running', ...users) },
      { body: job('running', a, person('b@acme.example', 'waiting')) },
      { body: job('done', a, b) },
    );
    const { exit, stdout, stderr } = await launch(
      ['rekey', '--all', '--reason', 'superseded', '--wait', '--json'],
      {
        environment,
      },
    );
    expect(exit).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ job: 'j1', observed: 0, revokedOnly: 0, ...job('done', a, b) });
    expect(stderr).toBe(`\
Job j1 is recorded and runs; Ctrl-C ends only the waiting.
… 0 of 2 users done
… 1 of 2 users done
`);
  });

  it('ends with 3 when the guard refuses', async () => {
    admin.answer('POST /v1/rekey', {
      status: 409,
      ...errorBody(
        409,
        'ABORTED',
        'guard-refused',
        'More than 200 users would lose their certificates at once.',
      ),
    });
    const { exit, stdout, stderr } = await sealwright(
      ['rekey', '--all', '--reason', 'keyCompromise', '--json'],
      environment,
    );
    expect(exit).toBe(3);
    expect(stderr).toBe('sealwright: More than 200 users would lose their certificates at once.\n');
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'guard-refused' } });
  });

  it('is not sent twice when its answer is lost, and says how to find out', async () => {
    admin.answer('POST /v1/rekey', { cut: true });
    const { exit, stderr } = await sealwright(['rekey', '--all', '--reason', 'superseded'], environment);
    expect(exit).toBe(1);
    expect(stderr).toContain('broke before an answer came');
    expect(stderr).toContain('"sealwright audit" shows a "rekey-requested" if it was');
    expect(admin.asked).toHaveLength(1);
  });

  it('is not sent twice when the API says that it cannot now', async () => {
    admin.answer('POST /v1/rekey', {
      status: 503,
      ...errorBody(503, 'UNAVAILABLE', 'ledger-unavailable', 'The ledger cannot be reached.'),
    });
    const { exit, stderr } = await sealwright(['rekey', '--all', '--reason', 'superseded'], environment);
    expect([exit, stderr]).toEqual([1, 'sealwright: The ledger cannot be reached.\n']);
    expect(admin.asked).toHaveLength(1);
  });
});

describe('sealwright job', () => {
  const done = person('a@acme.example', 'done');
  const failed = person('b@acme.example', 'failed', 'The user left before it was done.');
  const waiting = person('c@acme.example', 'waiting', 'Gmail asks to be left alone for a while.');

  it('shows who failed first, then who waits and why', async () => {
    admin.answer('GET /v1/jobs/j1', { body: job('running', done, waiting, failed) });
    const { stdout } = await sealwright(['job', 'j1'], environment);
    expect(stdout).toBe(`\
USER            STATE    DETAIL
b@acme.example  failed   The user left before it was done.
c@acme.example  waiting  Gmail asks to be left alone for a while.
a@acme.example  done     –

Job j1 is running: 1 of 3 users done, 1 failed, 1 waiting.
`);
  });

  test.each([
    ['runs', job('running', waiting), 0],
    ['is done', job('done', done), 0],
    ['failed for some', job('failed', done, failed), 4],
    ['failed for all', job('failed', failed), 1],
    ['was cancelled half-way', job('cancelled', done, waiting), 4],
    ['was cancelled before anything was done', job('cancelled', waiting), 1],
    ['is paused until an admin decides', job('paused', done, waiting), 3],
  ])('that %s ends with its exit code', async (_how, view, exit) => {
    admin.answer('GET /v1/jobs/j1', { body: view });
    expect((await sealwright(['job', 'j1'], environment)).exit).toBe(exit);
  });

  it('with --wait ends with 4 when some users failed, as a process', async () => {
    admin.answer(
      'GET /v1/jobs/j1',
      { body: job('running', done, waiting) },
      { body: job('failed', done, failed) },
    );
    const { exit, stdout, stderr } = await launch(['job', 'j1', '--wait'], { environment });
    expect(exit).toBe(4);
    expect(stdout).toContain('Job j1 is failed: 1 of 2 users done, 1 failed, 0 waiting.');
    expect(stderr).toBe('… 1 of 2 users done\n');
  });

  it('with --wait goes on waiting over an admin API that is away for a moment', async () => {
    const away = {
      status: 503,
      headers: { 'retry-after': '0' },
      ...errorBody(503, 'UNAVAILABLE', 'ledger-unavailable', 'The ledger cannot be reached.'),
    };
    admin.answer('GET /v1/jobs/j1', away, away, away, { body: job('done', done) });
    const { exit, stderr } = await sealwright(['job', 'j1', '--wait'], environment);
    expect(exit).toBe(0);
    expect(stderr).toBe('… The ledger cannot be reached. Waiting for it.\n');
  });

  it('with --wait says that the job goes on when only the token has ended', async () => {
    admin.answer(
      'GET /v1/jobs/j1',
      { body: job('running', waiting) },
      {
        status: 401,
        ...errorBody(401, 'UNAUTHENTICATED', 'unauthenticated', 'The token has expired; get a fresh one.'),
      },
    );
    const { exit, stderr } = await sealwright(['job', 'j1', '--wait'], environment);
    expect(exit).toBe(1);
    expect(stderr).toContain('The token has expired; get a fresh one.');
    expect(stderr).toContain('The job goes on without this command: "sealwright job j1 --wait"');
  });

  it('that nobody knows is named', async () => {
    admin.answer('GET /v1/jobs/j1', {
      status: 404,
      ...errorBody(404, 'NOT_FOUND', 'not-found', 'There is no job j1.'),
    });
    const { exit, stderr } = await sealwright(['job', 'j1', '--wait'], environment);
    expect([exit, stderr]).toEqual([1, 'sealwright: There is no job j1.\n']);
  });
});
