/** The command line against the real admin function over the real ledger and loop: the two must agree on every field. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reconcile } from '../../shared/reconcile/run.ts';
import { type Served, serveHandler } from '../functions/support/served.ts';
import { adminOver } from '../support/admin.ts';
import { createWorld, DAY_MS, makeMaterials, type World } from '../support/fakes/world.ts';
import { sealwright, TOKEN } from './sealwright.ts';

const EVE = 'ZXZl.ZXZl.ZXZl';

let world: World;
let served: Served;
let environment: Record<string, string>;

beforeAll(async () => {
  world = await createWorld(await makeMaterials());
  const admin = adminOver(world, {
    tokens: { [TOKEN]: 'admin@acme.example', [EVE]: 'eve@acme.example' },
    admins: ['admin@acme.example'],
  });
  served = await serveHandler(admin, world.log);
  environment = { SEALWRIGHT_ADMIN_URL: served.url, SEALWRIGHT_ADMIN_TOKEN: TOKEN };
  world.directory.put({ userId: '1', primaryEmail: 'ben@acme.example' });
  world.directory.put({ userId: '2', primaryEmail: 'clara@acme.example' });
  world.directory.put({ userId: '3', primaryEmail: 'dmitri@acme.example', orgUnitPath: '/Contractors' });
  await look('1', '2');
});
afterAll(async () => {
  await served.close();
  await world.close();
});

/** What the hints would have made the functions do. */
const look = async (...userIds: string[]) => {
  for (const userId of userIds)
    await reconcile(world.deps, userId, { source: 'watch', eventId: 'e1', event: 'add' });
};

const json = async (...words: string[]): Promise<unknown> => {
  const { exit, stdout, stderr } = await sealwright([...words, '--json'], environment);
  expect([exit, stderr]).toEqual([0, '']);
  return JSON.parse(stdout);
};

describe('the command line and the admin function', () => {
  it('agree on users', async () => {
    expect(await json('users')).toMatchObject({
      users: [
        { userId: '1', user: 'ben@acme.example', state: 'ready', nextAction: 'renew' },
        { userId: '2', user: 'clara@acme.example', state: 'ready' },
      ],
    });
    expect((await sealwright(['users'], environment)).stdout).toContain('2 users.');
  });

  it('agree on one user, by address and by id', async () => {
    const byAddress = await json('user', 'Ben@acme.example');
    expect(byAddress).toMatchObject({
      certificates: [{ state: 'signed', keyProof: 'proven', keypairId: expect.any(String) }],
      openWishes: [],
    });
    expect(await json('user', '1')).toEqual(byAddress);
    const { stdout } = await sealwright(['user', '1'], environment);
    const [leaf] = (await world.ledger.readUser('1')).leaves;
    expect(stdout).toContain(`${leaf?.serialHex}  2026-11-22`);
  });

  it('agree on a dry run, which changes nothing', async () => {
    expect(await json('rekey', '--org-unit', '/Staff', '--reason', 'superseded', '--dry-run')).toMatchObject({
      dryRun: true,
      total: 2,
    });
    expect((await world.ledger.readUser('1')).openWishes).toEqual([]);
  });

  it('agree on a job from the wish to its end', async () => {
    const { job } = (await json('rekey', '--user', 'ben@acme.example', '--reason', 'superseded')) as {
      job: string;
    };
    expect(await json('job', job)).toMatchObject({ job, state: 'running', total: 1, done: 0 });
    expect((await sealwright(['user', '1'], environment)).stdout).toMatch(
      new RegExp(
        `^Open wish +re-key \\(superseded\\), asked for by admin@acme\\.example at .*, job ${job}$`,
        'm',
      ),
    );
    await look('1');
    expect(await json('job', job, '--wait')).toMatchObject({ state: 'done', total: 1, done: 1, failed: 0 });
    const { stdout } = await sealwright(['user', '1'], environment);
    expect(stdout).toMatch(/due 2026-\S+ \S+ superseded/);
    world.clock.advance(4 * DAY_MS);
    await look('1');
    expect((await sealwright(['user', '1'], environment)).stdout).toMatch(/ 2026-11-26 \S+ superseded /);
  });

  it('agree on the audit trail, whole and of one user', async () => {
    const whole = (await json('audit')) as { entries: { userId?: string }[] };
    const ofBen = (await json('audit', '--user', 'ben@acme.example')) as { entries: { userId?: string }[] };
    expect(whole.entries.length).toBeGreaterThan(ofBen.entries.length);
    expect(new Set(ofBen.entries.map(({ userId }) => userId))).toEqual(new Set(['1']));
    const first = (await json('audit', '--limit', '3')) as { entries: { id: string }[] };
    const rest = (await json('audit', '--after', first.entries.at(-1)?.id ?? '')) as { entries: unknown[] };
    expect([...first.entries, ...rest.entries]).toEqual(whole.entries);
  });

  it.each([
    ['an expired token', { SEALWRIGHT_ADMIN_TOKEN: 'b2xk.b2xk.b2xk' }, ['users'], 'The token has expired'],
    [
      'somebody who is no admin',
      { SEALWRIGHT_ADMIN_TOKEN: EVE },
      ['users'],
      'eve@acme.example is not one of the admins',
    ],
    [
      'a user nobody knows',
      {},
      ['user', 'nobody@acme.example'],
      'The ledger knows nobody called nobody@acme.example.',
    ],
    ['a job nobody knows', {}, ['job', 'a6a1d4a6-31b0-4a7c-8a39-2f0c2f6a7d10'], 'There is no job'],
    [
      'a user outside the policy',
      {},
      ['rekey', '--user', 'dmitri@acme.example', '--reason', 'superseded'],
      'dmitri@acme.example is not covered by the policy (org unit /Contractors).',
    ],
    [
      'a unit in which nobody is covered',
      {},
      ['rekey', '--org-unit', '/Contractors', '--reason', 'superseded'],
      'Nobody covered by the policy',
    ],
  ])('agree on refusing %s', async (_what, changes, words, sentence) => {
    const { exit, stdout, stderr } = await sealwright(words, { ...environment, ...changes });
    expect([exit, stdout]).toEqual([1, '']);
    expect(stderr).toContain(sentence);
  });
});
