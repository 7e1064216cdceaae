import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { requestRekey } from '../../functions/admin/rekey.ts';
import type { Policy } from '../../shared/domain/policy.ts';
import { look, revocationsOf } from '../reconcile/outcome.ts';
import {
  createWorld,
  HOUR_MS,
  type Materials,
  makeMaterials,
  POLICY,
  type World,
} from '../support/fakes/world.ts';
import { inForce } from '../support/policy.ts';

const ADMIN = 'admin@acme.example';
const emailOf = (userId: string) => `user-${userId}@acme.example`;

/** A deletion has a grace period, so that somebody deleted has something left to report. */
const policy: Policy = {
  ...POLICY,
  rules: POLICY.rules.map((rule) => ({ ...rule, grace: { ...rule.grace, deleteMs: 24 * HOUR_MS } })),
};

let materials: Materials;
let world: World;
beforeAll(async () => {
  materials = await makeMaterials();
});
beforeEach(async () => {
  world = await createWorld(materials, { ledger: 'memory' });
  for (const userId of ['101', '102']) {
    world.directory.put({ userId });
    await lookAt(userId);
  }
});
afterEach(() => world.close());

const lookAt = (userId: string) => look({ ...world.deps, policy }, userId);

const ask = async (body: object) =>
  (await requestRekey({ ...world, hintsPerMinute: 400, policies: inForce(policy) }, ADMIN, body)).body as {
    readonly job: string;
    readonly total?: number;
    readonly revokedOnly: number;
    readonly users?: readonly object[];
  };

const LEAVING: Readonly<Record<string, () => void>> = {
  'moved out of every rule': () => world.directory.put({ userId: '101', orgUnitPath: '/' }),
  archived: () => world.directory.put({ userId: '101', archived: true }),
  deleted: () => world.directory.remove('101'),
  'in no list': () => world.directory.forget('101'),
};
const WAYS = Object.keys(LEAVING);
const leave = async (how: string): Promise<void> => {
  LEAVING[how]?.();
  await lookAt('101');
  expect(await revocationsOf(world, '101')).toEqual([undefined]);
};

const reason = 'keyCompromise';

describe('the report of a compromised key of somebody who is', () => {
  test.each(WAYS)('%s revokes their certificate at once and gives them no new one', async (how) => {
    await leave(how);
    for (const name of ['101', emailOf('101').toUpperCase()]) {
      const forecast = await ask({ users: [name], reason, dryRun: true });
      expect(forecast).toMatchObject({
        total: 1,
        revokedOnly: 1,
        users: [{ user: emailOf('101'), step: 'revoke', reason }],
      });
    }
    const { job, revokedOnly } = await ask({ users: [emailOf('101')], reason });
    expect(revokedOnly).toBe(1);
    await lookAt('101');
    expect(await revocationsOf(world, '101')).toEqual(['keyCompromise']);
    expect((await world.ledger.readUser('101')).keys).toHaveLength(1);
    expect(await world.ledger.readJob(job)).toMatchObject(
      how === 'in no list'
        ? { state: 'running' }
        : {
            ...{ state: 'done', total: 1, done: 1, failed: 0 },
            users: [
              {
                state: 'done',
                detail: expect.stringMatching(/is revoked, and there is no new one to issue: /),
              },
            ],
          },
    );
  });

  test('in a grace period is no reason to ask again once they are back, for they get a new key then', async () => {
    await leave('moved out of every rule');
    await ask({ users: [emailOf('101')], reason });
    await lookAt('101');
    world.directory.put({ userId: '101', orgUnitPath: '/Staff' });
    await lookAt('101');
    expect(await revocationsOf(world, '101')).toEqual(['keyCompromise', undefined]);
    expect((await world.ledger.readUser('101')).keys).toHaveLength(2);
  });

  test.each(WAYS)(
    '%s is among everybody, among those of their issuer and of their last unit',
    async (how) => {
      await leave(how);
      const [issuer] = await world.ledger.issuers();
      for (const whom of [{ all: true }, { orgUnit: '/Staff' }, { issuer: issuer?.issuerId }]) {
        const { total, revokedOnly, users } = await ask({ ...whom, reason, dryRun: true });
        expect({ total, revokedOnly }).toEqual({ total: 2, revokedOnly: 1 });
        expect(users).toContainEqual({ user: emailOf('101'), step: 'revoke', reason });
        expect(users).toContainEqual({ user: emailOf('102'), step: 'rekey', reason });
      }
      expect(await ask({ all: true, reason: 'superseded', dryRun: true })).toMatchObject({ total: 1 });
    },
  );

  test('moved out of every rule or archived is among the members of their group', async () => {
    world.directory.members.set('crew@acme.example', new Set(['101', '102']));
    for (const how of ['moved out of every rule', 'archived']) {
      await leave(how);
      const found = await ask({ group: 'crew@acme.example', reason, dryRun: true });
      expect(found).toMatchObject({ total: 2, revokedOnly: 1 });
    }
  });

  test('leaving counts in the number that has to be confirmed', async () => {
    await leave('deleted');
    const limit = { minimumPerHour: 1, shareOfCovered: 0, maximumPerHour: 1 };
    const deps = { ...world, hintsPerMinute: 400, policies: inForce({ ...policy, guard: limit }) };
    const all = { all: true, reason };
    await expect(requestRekey(deps, ADMIN, all)).rejects.toMatchObject({
      code: 'guard-refused',
      details: { users: 2, limit: 1 },
    });
    const { body } = await requestRekey(deps, ADMIN, { ...all, confirmUsers: 2 });
    expect(body).toMatchObject({ revokedOnly: 1 });
  });

  test('in many small jobs is counted over the hour, and then each has to state its own number', async () => {
    const limit = { minimumPerHour: 2, shareOfCovered: 0, maximumPerHour: 2 };
    const deps = { ...world, hintsPerMinute: 400, policies: inForce({ ...policy, guard: limit }) };
    const report = (userId: string, more: object = {}) =>
      requestRekey(deps, ADMIN, { users: [userId], reason, ...more });
    world.directory.put({ userId: '103' });
    await lookAt('103');
    // An overlap takes nothing, so such a job does not count.
    await report('103', { reason: 'superseded' });
    await report('101');
    world.clock.advance(HOUR_MS / 2);
    await report('102');
    const refused = { code: 'guard-refused', details: { users: 1, limit: 2, lately: 2 } };
    await expect(report('103')).rejects.toMatchObject(refused);
    await expect(report('103')).rejects.toThrow('after 2 by jobs of the last hour');
    await expect(report('103', { reason: 'superseded', disableKeypairs: true })).rejects.toMatchObject(
      refused,
    );
    expect((await report('103', { reason: 'superseded' })).status).toBe(202);
    expect((await report('103', { dryRun: true })).status).toBe(200);
    expect((await report('103', { confirmUsers: 1 })).status).toBe(202);
    world.clock.advance(HOUR_MS / 2 + 1);
    await expect(report('101')).rejects.toMatchObject({ code: 'guard-refused', details: { lately: 2 } });
    world.clock.advance(HOUR_MS / 2);
    expect((await report('101')).status).toBe(202);
  });

  test('covered in another unit by now is not among those of the unit before', async () => {
    world.directory.put({ userId: '101', orgUnitPath: '/Staff/Legal' });
    await lookAt('101');
    world.directory.put({ userId: '101', orgUnitPath: '/Staff' });
    await expect(ask({ orgUnit: '/Staff/Legal', reason, dryRun: true })).rejects.toMatchObject({
      code: 'not-found',
    });
  });
});

describe('no compromised key can be reported', () => {
  test('of somebody gone whose certificate is revoked already', async () => {
    world.directory.remove('101');
    await lookAt('101');
    world.clock.advance(25 * HOUR_MS);
    await lookAt('101');
    expect(await revocationsOf(world, '101')).toEqual(['cessationOfOperation']);
    await expect(ask({ users: [emailOf('101')], reason })).rejects.toMatchObject({ code: 'not-found' });
    expect(await ask({ all: true, reason, dryRun: true })).toMatchObject({ total: 1, revokedOnly: 0 });
  });

  test('of somebody here by an address they have no more', async () => {
    world.directory.put({ userId: '101', primaryEmail: 'ana@acme.example' });
    await lookAt('101');
    await expect(ask({ users: [emailOf('101')], reason })).rejects.toMatchObject({ code: 'not-found' });
  });

  test('of somebody whom no rule covers and who has no certificate', async () => {
    world.directory.put({ userId: '103', orgUnitPath: '/' });
    await expect(ask({ users: ['103'], reason })).rejects.toMatchObject({
      code: 'malformed-request',
      message: expect.stringContaining('has no certificate in use'),
    });
  });
});
