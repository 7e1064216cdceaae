import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createWorld, type Materials, makeMaterials, type World } from '../support/fakes/world.ts';
import { look } from './outcome.ts';
import { ADDRESS, JOIN, LEAVE, NEW_ADDRESS, USER_ID } from './workflows.ts';

const OTHER = '100000000000000000002';

let materials: Materials;
let world: World;
beforeAll(async () => {
  materials = await makeMaterials();
});
beforeEach(async () => {
  world = await createWorld(materials, { ledger: 'memory' });
});
afterEach(() => world.close());

/** Somebody else gets the address, at the first call of this method. */
const handedOverAt = (method: string) => {
  let isDone = false;
  return world.surrounded(async (call, perform) => {
    if (call.method === method && !isDone) {
      isDone = true;
      world.directory.put({ userId: USER_ID, primaryEmail: NEW_ADDRESS });
      world.directory.put({ userId: OTHER, primaryEmail: ADDRESS, orgUnitPath: '/Contractors' });
    }
    return await perform();
  });
};

describe('a mailbox that goes to somebody else during a look', () => {
  test('is not taken for that of somebody who leaves, whose identity goes with the next look', async () => {
    await LEAVE.prepare(world);
    await expect(look(handedOverAt('listKeypairs'))).rejects.toMatchObject({ code: 'intent-mismatch' });
    await look(world.deps);
    expect(world.gmail.account(USER_ID).identities.size).toBe(0);
    expect((await world.ledger.readUser(USER_ID)).user?.state).toBe('out');
  });

  test.each(['signLeaf', 'recordKeypairIntent', 'recordKeypair'])(
    'at %s gets neither key pair nor identity of the one before',
    async (method) => {
      await JOIN.prepare(world);
      await expect(look(handedOverAt(method))).rejects.toMatchObject({ code: 'intent-mismatch' });
      expect(world.gmail.account(OTHER)).toMatchObject({ pairs: [], identities: new Map() });
      await look(world.deps);
      expect([...world.gmail.account(USER_ID).identities.keys()]).toEqual([NEW_ADDRESS]);
    },
  );
});
