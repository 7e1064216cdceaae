/** The sweep and the rollout: the command line over the real admin function, ledger and sweep. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tick } from '../../shared/sources/sweep/tick.ts';
import { adminOver } from '../support/admin.ts';
import { createWorld, DAY_MS, HOUR_MS, makeMaterials, POLICY, type World } from '../support/fakes/world.ts';
import { type Desk, done, openDesk } from './desk.ts';

const HINTS_PER_MINUTE = 2;

let world: World;
let ana: Desk['ana'];
let close: Desk['close'];

beforeAll(async () => {
  world = await createWorld(await makeMaterials());
  const admin = adminOver(world, { hintsPerMinute: HINTS_PER_MINUTE });
  ({ ana, close } = await openDesk(() => admin));
  for (let id = 1; id <= 5; id += 1) world.directory.put({ userId: String(id) });
});
afterAll(async () => {
  await close();
  await world.close();
});

const said = async (...words: string[]): Promise<string> => done(await ana(...words));
const sweep = async (): Promise<number> => {
  const before = world.bus.hints.length;
  const { clock, ledger, directory, bus, log } = world;
  await tick({
    ...{ clock, ledger, directory, bus, log },
    policy: POLICY,
    elapsedMs: () => performance.now(),
    intervalMs: 6 * HOUR_MS,
    budgetMs: 60_000,
    lookByAgeMs: 7 * DAY_MS,
    hintsPerMinute: HINTS_PER_MINUTE,
  });
  return world.bus.hints.length - before;
};

describe('an admin who switches a policy on for people who are there already', () => {
  it.each([
    ['/Nope', 'There is no org unit /Nope.'],
    ['/Stuff', 'There is no org unit /Stuff; did you mean /Staff?'],
  ])('is told that there is no unit %s, rather than have everybody swept instead', async (unit, sentence) => {
    expect(await ana('sweep', 'start', '--org-unit', unit)).toMatchObject({
      exit: 1,
      stderr: `sealwright: ${sentence}\n`,
    });
    expect((await world.ledger.sweepOverview()).waiting).toEqual([]);
  });

  it('sees that nothing has been read yet', async () => {
    expect(await said('status')).toContain('No sweep of the directory has been whole yet.');
    expect(await said('rollout', 'status')).toContain('Nobody waits for a rollout.');
  });

  it('sees who waits, how many go out in a minute and how long the rest takes', async () => {
    expect(await sweep()).toBe(HINTS_PER_MINUTE);
    const text = await said('rollout', 'status');
    expect(text).toMatch(/0 % of 5 users/);
    expect(text).toMatch(/Under way\s+2 users/);
    expect(text).toMatch(/Waiting\s+3 users/);
    expect(text).toMatch(/about 2 minutes/);
    expect(await said('status')).toMatch(/Last whole sweep: .*5 users in \d+ s, 5 differed\./);
  });

  it('pauses it, which is written down, and goes on', async () => {
    expect(await said('rollout', 'pause')).toMatch(/PAUSED by admin@acme\.example/);
    world.clock.advance(60_000);
    expect(await sweep()).toBe(0);
    const answer = await ana('rollout', 'status', '--json');
    expect(JSON.parse(answer.stdout)).toMatchObject({ paused: true, waiting: 3 });
    expect(JSON.parse(answer.stdout)).not.toHaveProperty('minutesLeft');
    await said('rollout', 'resume');
    expect(await sweep()).toBe(HINTS_PER_MINUTE);
    const trail = await world.ledger.auditTrail({ limit: 100 });
    expect(trail.map(({ step }) => step)).toEqual(
      expect.arrayContaining(['rollout-paused', 'rollout-resumed']),
    );
  });

  it('asks for a sweep of a unit, and for one that believes a directory that has shrunk', async () => {
    expect(await said('sweep', 'start', '--org-unit', '/Staff')).toContain('/Staff begins within a minute');
    expect(await said('sweep', 'start', '--accept-shrunk')).toContain('A sweep of / begins');
    const { waiting } = await world.ledger.sweepOverview();
    expect(waiting).toMatchObject([
      { scope: '/Staff', cause: { event: 'admin' } },
      { scope: '/', cause: { event: 'accept-shrunk' } },
    ]);
    expect(await said('status')).toMatch(
      /A sweep of \/Staff waits since 2026-\S+ \S+Z\.\nA sweep of \/ waits since/,
    );
    expect(await ana('sweep', 'start')).toMatchObject({
      exit: 1,
      stderr: expect.stringContaining('waits already'),
    });
  });

  it('is told what is wrong with a request', async () => {
    expect(await ana('sweep', 'start', '--org-unit', 'Staff')).toMatchObject({ exit: 2 });
    expect(await ana('sweep', 'start', '--org-unit', '/A', '--accept-shrunk')).toMatchObject({ exit: 2 });
  });
});
