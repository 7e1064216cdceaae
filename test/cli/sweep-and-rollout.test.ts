/** The sweep and the rollout: the command line over the real admin function, ledger and sweep. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { http } from '@google-cloud/functions-framework';
import { getTestServer } from '@google-cloud/functions-framework/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asHttpFunction } from '../../functions/wire/http.ts';
import { tick } from '../../shared/sources/sweep/tick.ts';
import { adminOver } from '../support/admin.ts';
import { createWorld, DAY_MS, HOUR_MS, makeMaterials, POLICY, type World } from '../support/fakes/world.ts';
import { sealwright } from './sealwright.ts';

const HINTS_PER_MINUTE = 2;

let world: World;
let server: Server;

beforeAll(async () => {
  world = await createWorld(await makeMaterials());
  const admin = adminOver(world, { hintsPerMinute: HINTS_PER_MINUTE });
  http('sweep-admin', asHttpFunction(admin, { name: 'admin', maxBodyBytes: 10_000, log: world.log }));
  server = getTestServer('sweep-admin');
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  for (let id = 1; id <= 5; id += 1) world.directory.put({ userId: String(id) });
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await world.close();
});

const ana = (...words: string[]) =>
  sealwright(words, {
    SEALWRIGHT_ADMIN_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    SEALWRIGHT_ADMIN_TOKEN: 'YW5h.YW5h.YW5h',
  });
const said = async (...words: string[]): Promise<string> => {
  const ended = await ana(...words);
  expect(ended).toMatchObject({ exit: 0 });
  return ended.stdout;
};
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
