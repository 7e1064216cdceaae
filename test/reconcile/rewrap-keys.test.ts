/** A rotation of the key-encryption key, followed by our own scheduled look: real key service, real ledger, HTTP between. */
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { kaclsKeyService } from '../../shared/adapters/kacls/client.ts';
import { kekIdOfWrappedKey } from '../../shared/kacls/wrapped-key.ts';
import type { KeyEncryptionKey } from '../../shared/ports/key-encryption-keys.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import { rewrapKeys } from '../../shared/reconcile/rewrap-keys.ts';
import { memoryKeks, memoryLog } from '../kacls/support.ts';
import {
  ALICE,
  type Keys,
  makeKeys,
  refusalProblems,
  spkiHash,
  startWorld,
  type World,
} from '../kacls/world.ts';
import { type ManualClock, manualClock } from '../support/fakes/clock.ts';
import { openTestLedger } from '../support/ledger.ts';

const DUE = 'due@acme-pki.iam.gserviceaccount.com';
const URL_OF_OURS = 'https://kacls.acme.example/v1';
const kek = (id: string): KeyEncryptionKey => ({ id, key: randomBytes(32) });
const [oldest, old, newest] = [kek('kek/0'), kek('kek/1'), kek('kek/2')];

let keys: Keys;
/** What the key service has, newest first; the tests rotate it. */
let keks: KeyEncryptionKey[];
let world: World;
let ledger: Ledger;
let clock: ManualClock;
const log = memoryLog();
beforeAll(async () => {
  keys = await makeKeys();
  clock = manualClock(new Date('2026-11-23T12:00:00Z'));
  ledger = await openTestLedger(clock);
  keks = [old];
  world = await startWorld(keys, {
    settings: { rewrapCallers: [DUE] },
    keks: {
      current: (boundTo) => memoryKeks(keks).current(boundTo),
      byId: (id) => memoryKeks(keks).byId(id),
    },
    newerForms: ledger,
  });
  const lease = await ledger.acquireLease(`user:${ALICE.userId}`, 600_000);
  if (lease === undefined) throw new Error('the user is held');
  await ledger.recordSighting(lease, { userId: ALICE.userId, primaryEmail: ALICE.address, aliases: [] });
  for (const [keyId, pair, wrapsIt] of [
    ['lost', keys.bob, oldest],
    ['alice', keys.alice, old],
  ] as const) {
    keks = [wrapsIt];
    await ledger.recordKey(lease, {
      ...{ keyId, userId: ALICE.userId, purpose: 'dual-use', proof: 'proven', modulusBits: 2048 },
      spkiSha256Hex: Buffer.from(spkiHash(pair), 'base64').toString('hex'),
      spkiDer: pair.publicKey.export({ type: 'spki', format: 'der' }),
      keyServiceUrl: URL_OF_OURS,
      wrappedKey: await world.wrappedKey(pair, ALICE.userId),
    });
  }
});
afterAll(async () => {
  await world.close();
  await ledger.close();
});
beforeEach(() => {
  log.lines.length = 0;
});

/** Routes the key service's name to where it stands in this test. */
const routed: typeof fetch = (input, init) =>
  fetch(String(input).replace(URL_OF_OURS, `${world.root}/v1`), init);
const look = (email = DUE) =>
  rewrapKeys(
    {
      ledger,
      log,
      keyRewrapping: kaclsKeyService({
        fetchIdToken: () => world.wrapAuthentication({ email }),
        timeoutMs: 10_000,
        fetch: routed,
      }),
    },
    { keyServiceUrl: URL_OF_OURS, eventId: 'due-1' },
  );
/** What Gmail keeps for ever. */
let gmails: string;
const sign = async () =>
  world.post('privatekeysign', {
    authentication: await world.authentication(),
    authorization: await world.authorization(),
    algorithm: 'SHA256withRSA',
    digest: createHash('sha256').update('x').digest('base64'),
    wrapped_private_key: gmails,
  });
const newestOf = async (keyId: string) =>
  (await ledger.readUser(ALICE.userId)).keys.find((key) => key.keyId === keyId)?.wrappedKey ?? '';

describe('after a rotation of the key-encryption key, the scheduled look', () => {
  it('does nothing while the newest is the one everything is under, but for a key that is lost', async () => {
    keks = [old];
    gmails = await newestOf('alice');
    expect(await look()).toMatchObject({ rewrapped: 0 });
    expect(kekIdOfWrappedKey(await newestOf('alice'))).toBe('kek/1');
  });

  it('tells of the blob whose key-encryption key is lost, by both ids, and leaves it alone for a day', async () => {
    clock.advance(25 * 3_600_000);
    for (let turn = 0; turn < 2; turn += 1) await look();
    const told = log.lines.filter(({ event }) => event === 'wrapped-key-unreadable');
    expect(told).toHaveLength(1);
    expect(told[0]).toMatchObject({ severity: 'error', fields: { keyId: 'lost', kekId: 'kek/0' } });
    expect(await ledger.countWrappedKeys()).toMatchObject([
      { kekId: 'kek/0', unreadable: 1 },
      { kekId: 'kek/1', unreadable: 0 },
    ]);
  });

  it('changes nothing when the key service does not let it, and says so', async () => {
    keks = [newest, old];
    expect(await look('stranger@acme-pki.iam.gserviceaccount.com')).toMatchObject({
      rewrapped: 0,
      more: false,
    });
    expect(log.lines).toMatchObject([
      { event: 'keys-not-rewrapped', fields: { code: 'key-service-refused' } },
    ]);
  });

  it('has every other blob wrapped under the newest, beside the one Gmail has, which opens as before', async () => {
    keks = [newest, old];
    expect(await look()).toEqual({ rewrapped: 1, unreadable: 0, more: false });
    expect(kekIdOfWrappedKey(await newestOf('alice'))).toBe('kek/2');
    expect((await sign()).status).toBe(200);
    expect(await look()).toEqual({ rewrapped: 0, unreadable: 0, more: false });
    const trail = await ledger.auditTrail({ userId: ALICE.userId, limit: 10 });
    expect(trail.filter(({ step }) => step === 'rewrap-key')).toMatchObject([
      { outcome: 'done', details: { keyId: 'alice', fromKekId: 'kek/1', kekId: 'kek/2' } },
    ]);
  });

  it('lets the old key-encryption key go: the blob Gmail has then stands for its newer form', async () => {
    keks = [newest];
    expect((await sign()).status).toBe(200);
    expect(world.log.lines.at(-1)).toMatchObject({
      event: 'private-key-used',
      fields: { namedKekId: 'kek/1', kekId: 'kek/2', outcome: 'done' },
    });
  });

  it('does not let another blob stand for it: not an altered one, not one of another key', async () => {
    keks = [newest];
    const altered = Buffer.from(gmails, 'base64');
    altered[altered.length - 1] = (altered.at(-1) ?? 0) ^ 1;
    for (const blob of [altered.toString('base64'), await newestOf('lost')]) {
      const kept = gmails;
      gmails = blob;
      expect(refusalProblems(await sign(), 422)).toEqual([]);
      gmails = kept;
    }
  });

  it('does not open it for anybody but the owner', async () => {
    keks = [newest];
    const answer = await world.post('privatekeysign', {
      authentication: await world.authentication({ email: 'bob@acme.example' }),
      authorization: await world.authorization({ email: 'bob@acme.example' }),
      algorithm: 'SHA256withRSA',
      digest: createHash('sha256').update('x').digest('base64'),
      wrapped_private_key: gmails,
    });
    expect(refusalProblems(answer, 403)).toEqual([]);
  });
});
