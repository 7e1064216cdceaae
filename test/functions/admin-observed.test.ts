import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requestKeypairChange } from '../../functions/admin/keypair-requests.ts';
import { requestRekey } from '../../functions/admin/rekey.ts';
import { look } from '../reconcile/outcome.ts';
import { createWorld, makeMaterials, POLICY, type World } from '../support/fakes/world.ts';
import { inForce } from '../support/policy.ts';

const ADMIN = 'admin@acme.example';
const USER = 'user-1@acme.example';

let world: World;
beforeAll(async () => {
  world = await createWorld(await makeMaterials(), { ledger: 'memory' });
  world.directory.put({ userId: '1' });
  await look(world.deps, '1');
});
afterAll(() => world.close());

const deps = () => ({
  ...world,
  policies: inForce({ ...POLICY, rules: POLICY.rules.map((rule) => ({ ...rule, observeOnly: true })) }),
});
const refused = { code: 'conflict', message: expect.stringMatching(/rule ".+" only observes/) };

describe('for a user whose rule only observes, an admin', () => {
  it('is refused a re-key, with the rule named', async () => {
    await expect(requestRekey(deps(), ADMIN, { users: [USER], reason: 'superseded' })).rejects.toMatchObject(
      refused,
    );
  });

  it('may report a key as compromised', async () => {
    const answer = await requestRekey(deps(), ADMIN, { users: [USER], reason: 'keyCompromise' });
    expect(answer.status).toBe(202);
  });

  it.each([
    { kind: 'disable', reason: 'The laptop was lost.' },
    { kind: 'obliterate', noLegalHold: 'Legal said there is none.' },
  ])('is refused a change to a key pair ($kind)', async (wanted) => {
    const [pair] = (await world.ledger.readUser('1')).keypairs;
    await expect(
      requestKeypairChange(deps(), ADMIN, { ...wanted, user: USER, keypair: pair?.keypairId }),
    ).rejects.toMatchObject(refused);
  });
});
