/** Samples for unproven keys: real key service, real ledger, HTTP between. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { kaclsKeyProving } from '../../shared/adapters/kacls/key-proving.ts';
import type { Lease, Ledger } from '../../shared/ports/ledger.ts';
import { proveKeys } from '../../shared/reconcile/prove-keys.ts';
import { memoryLog } from '../kacls/support.ts';
import { ALICE, type Keys, makeKeys, spkiHash, startWorld, type World } from '../kacls/world.ts';
import { manualClock } from '../support/fakes/clock.ts';
import { openTestLedger } from '../support/ledger.ts';

const SERVICE = 'https://kacls.acme.example/v1';
const ADMIN = 'admin@acme.example';

let keys: Keys;
let world: World;
let ledger: Ledger;
let lease: Lease;
const log = memoryLog();
beforeAll(async () => {
  keys = await makeKeys();
  world = await startWorld(keys);
});
afterAll(() => world.close());
beforeEach(async () => {
  await ledger?.close();
  ledger = await openTestLedger(manualClock(new Date('2026-11-23T12:00:00Z')));
  const held = await ledger.acquireLease(`user:${ALICE.userId}`, 600_000);
  if (held === undefined) throw new Error('the user is held');
  lease = held;
  await ledger.recordSighting(lease, { userId: ALICE.userId, primaryEmail: ALICE.address, aliases: [] });
  log.lines.length = 0;
});
afterAll(() => ledger.close());

async function record(keyId: string, wrappedKey: string, pair = keys.alice, keyServiceUrl = SERVICE) {
  await ledger.recordKey(lease, {
    ...{ keyId, userId: ALICE.userId, purpose: 'dual-use', proof: 'unproven', modulusBits: 2048 },
    spkiSha256Hex: Buffer.from(spkiHash(pair), 'base64').toString('hex'),
    spkiDer: pair.publicKey.export({ type: 'spki', format: 'der' }),
    ...{ keyServiceUrl, wrappedKey },
  });
}
/** Routes the key service's name to where it stands in this test. */
const routed: typeof fetch = (input, init) => fetch(String(input).replace(SERVICE, `${world.root}/v1`), init);
async function prove({
  token,
  send = routed,
  after,
}: {
  token?: string;
  send?: typeof fetch;
  after?: string;
} = {}) {
  const authentication = token ?? (await world.adminAuthentication());
  return await proveKeys(
    { ledger, log, random: randomBytes, keyProving: kaclsKeyProving({ timeoutMs: 10_000, fetch: send }) },
    { keyServiceUrl: SERVICE, authentication, admin: ADMIN, ...(after === undefined ? {} : { after }) },
  );
}
const proofs = async () =>
  new Map((await ledger.readUser(ALICE.userId)).keys.map(({ keyId, proof }) => [keyId, proof]));

describe('a sample for each unproven key', () => {
  it('proves a key that the key service decrypts it with, and says so in the audit trail', async () => {
    await record('a', await world.wrappedKey(keys.alice, ALICE.userId));
    expect(await prove()).toEqual({ proven: 1, failed: [] });
    expect(await proofs()).toEqual(new Map([['a', 'proven']]));
    const [line] = await ledger.auditTrail({ limit: 10 });
    expect(line).toMatchObject({ step: 'prove-key', outcome: 'done', cause: { actor: ADMIN } });
    expect(await prove()).toEqual({ proven: 0, failed: [] });
  });

  it('leaves keys of other services alone: the token is not for them', async () => {
    await record('a', 'b3BhcXVl', keys.alice, 'https://kacls.vendor.example');
    expect(await prove()).toEqual({ proven: 0, failed: [] });
  });

  it('names the keys that do not open, proves the others, and leaves neither blob nor token behind', async () => {
    const good = await world.wrappedKey(keys.alice, ALICE.userId);
    const damaged = Buffer.from(good, 'base64');
    damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
    await record('bad', damaged.toString('base64'), keys.bob);
    await record('good', good);
    const token = await world.adminAuthentication();
    const { proven, failed } = await prove({ token });
    expect(proven).toBe(1);
    expect(failed).toMatchObject([{ keyId: 'bad', user: ALICE.address, userId: ALICE.userId }]);
    expect(await proofs()).toEqual(
      new Map([
        ['bad', 'unproven'],
        ['good', 'proven'],
      ]),
    );
    const told = JSON.stringify(
      [failed, log.lines, await ledger.auditTrail({ limit: 10 })],
      (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value),
    );
    expect(told).toContain('bad');
    for (const secret of [token, good, damaged.toString('base64')]) expect(told).not.toContain(secret);
  });

  it('takes the blob of another key for no proof, also from a service that does not look', async () => {
    await record('a', 'b3BhcXVl');
    const careless: typeof fetch = async (_input, init) => {
      const { encrypted_data_encryption_key: sample } = JSON.parse(String(init?.body)) as Record<
        string,
        string
      >;
      expect(Buffer.from(sample ?? '', 'base64')).toHaveLength(256);
      return Response.json({ data_encryption_key: randomBytes(32).toString('base64') });
    };
    expect((await prove({ send: careless })).failed).toMatchObject([
      { reason: expect.stringContaining('to another key than the certified one') },
    ]);
    expect(await proofs()).toEqual(new Map([['a', 'unproven']]));
    // The sample itself is not in what was sent.
    const echo: typeof fetch = async (_input, init) => {
      const { encrypted_data_encryption_key: sent } = JSON.parse(String(init?.body)) as Record<
        string,
        string
      >;
      return Response.json({ data_encryption_key: sent });
    };
    expect((await prove({ send: echo })).proven).toBe(0);
  });

  it('stops with the reason when the token’s owner may not', async () => {
    await record('a', await world.wrappedKey(keys.alice, ALICE.userId));
    const token = await world.adminAuthentication({ email: 'eve@acme.example' });
    await expect(prove({ token })).rejects.toThrow(/have the right granted there/);
    expect(await proofs()).toEqual(new Map([['a', 'unproven']]));
  });

  it('goes page by page past keys that fail', async () => {
    const blob = await world.wrappedKey(keys.alice, ALICE.userId);
    for (let index = 10; index < 30; index += 1) await record(`k${index}`, 'b3BhcXVl');
    await record('k30', blob);
    const first = await prove();
    expect([first.proven, first.failed.length, first.next]).toEqual([0, 20, 'k29']);
    expect(await prove({ after: 'k29' })).toEqual({ proven: 1, failed: [] });
  });
});
