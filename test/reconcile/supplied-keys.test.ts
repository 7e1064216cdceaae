import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { permanent } from '../../shared/errors.ts';
import { readRsaPublicKey } from '../../shared/pki/certificate.ts';
import type { SuppliedKey } from '../../shared/ports/supplied-keys.ts';
import type { ReconcileDeps } from '../../shared/reconcile/context.ts';
import { rsaSpki } from '../pki/weak-moduli.ts';
import {
  createWorld,
  KEY_SERVICE_URL,
  type Materials,
  makeMaterials,
  type World,
} from '../support/fakes/world.ts';
import { policyOf, policyRule } from '../support/policy.ts';
import { look } from './outcome.ts';
import { JOIN, USER_ID, wish } from './workflows.ts';

let materials: Materials;
let world: World;
let supplied: SuppliedKey | undefined;
let asked: { readonly address: string; readonly keyServiceUrl: string }[];
let deps: ReconcileDeps;
beforeAll(async () => {
  materials = await makeMaterials();
});
beforeEach(async () => {
  world = await createWorld(materials, { ledger: 'memory' });
  await JOIN.prepare(world);
  asked = [];
  supplied = await keyOf('first');
  deps = {
    ...world.deps,
    policy: policyOf([
      policyRule({ modulusBits: 2048, keyServiceUrl: KEY_SERVICE_URL, keySource: 'supplied' }),
    ]),
    suppliedKeys: {
      find: async (wanted) => {
        asked.push(wanted);
        if (supplied === undefined) throw permanent('supplied-key-unusable', 'There is none.');
        return supplied;
      },
    },
  };
});
afterEach(() => world.close());

async function keyOf(name: string): Promise<SuppliedKey> {
  const { spkiDer } = await materials.pool.generateKey(2048);
  return { spkiDer, modulusBits: 2048, wrappedKey: Buffer.from(name).toString('base64') };
}
const state = () => world.ledger.readUser(USER_ID);

describe('a rule whose keys are supplied', () => {
  test('certifies the supplied key, uploads what its key service wrapped, and makes none', async () => {
    await look(deps);
    const { user, keys, leaves } = await state();
    expect(user?.state).toBe('ready');
    expect(keys).toMatchObject([{ wrappedKey: supplied?.wrappedKey, proof: 'unproven' }]);
    expect(leaves).toMatchObject([{ state: 'signed', keyId: keys[0]?.keyId }]);
    expect(asked).toEqual([{ address: user?.primaryEmail, keyServiceUrl: KEY_SERVICE_URL }]);
  });

  test('waits for another key when a re-key finds the one in use still there, and takes it then', async () => {
    await look(deps);
    await wish(world, 'superseded');
    await look(deps);
    expect((await state()).user).toMatchObject({
      state: 'blocked',
      reason: expect.stringContaining('is one the user has already'),
    });
    supplied = await keyOf('second');
    await look(deps);
    const { user, keys } = await state();
    expect(user?.state).toBe('ready');
    expect(keys.map(({ wrappedKey }) => wrappedKey)).toEqual(
      ['first', 'second'].map((name) => Buffer.from(name).toString('base64')),
    );
  });

  test('is blocked with the reason while there is none, and goes on once there is', async () => {
    const later = supplied;
    supplied = undefined;
    await look(deps);
    expect((await state()).user).toMatchObject({
      state: 'blocked',
      reason: expect.stringContaining('There is none.'),
    });
    supplied = later;
    await look(deps);
    expect((await state()).user?.state).toBe('ready');
  });

  test('says what to set where no folder is configured', async () => {
    const { suppliedKeys: _, ...without } = deps;
    await look(without);
    expect((await state()).user?.reason).toContain('SEALWRIGHT_KEY_FOLDER');
  });

  test('takes no key that shares its modulus or a prime with one that is known, and records nothing', async () => {
    await look(deps);
    const known = readRsaPublicKey(supplied?.spkiDer ?? new Uint8Array()).modulus;
    await wish(world, 'superseded');
    for (const [spkiDer, said] of [
      [rsaSpki(known, 65_539n), 'same modulus'],
      // The known modulus is a divisor of this one, as a shared prime would be.
      [rsaSpki(known * 65_543n), 'shares a prime'],
    ] as const) {
      supplied = { spkiDer, modulusBits: 2048, wrappedKey: Buffer.from('shared').toString('base64') };
      await look(deps);
      const { user, keys, leaves } = await state();
      expect(user).toMatchObject({ state: 'blocked', reason: expect.stringContaining(said) });
      expect([keys.length, leaves.length]).toEqual([1, 1]);
    }
  });

  test('takes no key of somebody else', async () => {
    await look(deps);
    const other = '100000000000000000009';
    world.directory.put({ userId: other, primaryEmail: 'ben@acme.example' });
    await look(deps, other);
    expect((await world.ledger.readUser(other)).user).toMatchObject({
      state: 'blocked',
      reason: expect.stringContaining(`is that of the user ${USER_ID}`),
    });
    expect((await world.ledger.readUser(other)).keys).toEqual([]);
  });
});
