/** Erasing wrapped keys while a rotation of the key-encryption key wraps them again: no form of an erased key is left, whoever is first. */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from '../../shared/adapters/ledger/database.ts';
import { createLedger } from '../../shared/adapters/ledger/ledger.ts';
import { migrate } from '../../shared/adapters/ledger/migrate.ts';
import { openPostgres } from '../../shared/adapters/ledger/postgres.ts';
import { ChainChecker } from '../../shared/audit/chain-checker.ts';
import type { Lease, Ledger } from '../../shared/ports/ledger.ts';
import { rewrapKeys } from '../../shared/reconcile/rewrap-keys.ts';
import { keptLog } from '../support/fakes/log.ts';
import { makePlace, type Place } from './place.ts';

const clock = { now: () => new Date('2027-03-01T09:00:00Z') };
const URL = 'https://kacls.acme.example/v1';
const KEYS = 40;
/** A blob as ours begin: magic, version, length and name of the key-encryption key. */
const blob = (kekId: string) =>
  Buffer.from(`SWPK\u0001\u0005${kekId}${'a'.repeat(300)}`, 'latin1').toString('base64');
const ids = Array.from({ length: KEYS }, (_, index) => `key-${index}`);
const userOf = (keyId: string) => keyId.replace('key-', '1000');

let place: Place;
let database: Database;
/** What the other function acts through. */
let other: Database;
let ledger: Ledger;
let erasureId: string;
const leases = new Map<string, Lease>();

beforeEach(async () => {
  place = await makePlace();
  database = openPostgres({ connectionString: place.connectionString, applicationName: place.schema });
  other = openPostgres({ connectionString: place.connectionString });
  await migrate(database);
  ledger = createLedger({ database, clock });
  for (const keyId of ids) {
    const userId = userOf(keyId);
    const lease = await ledger.acquireLease(`user:${userId}`, 3_600_000);
    if (lease === undefined) throw new Error('The lease is held.');
    leases.set(keyId, lease);
    await ledger.recordSighting(lease, { userId, primaryEmail: `${keyId}@acme.example`, aliases: [] });
    await ledger.recordKey(lease, {
      ...{ keyId, userId, purpose: 'dual-use', modulusBits: 2048, proof: 'proven' },
      ...{ spkiSha256Hex: createHash('sha256').update(keyId).digest('hex'), spkiDer: Buffer.from(keyId) },
      ...{ keyServiceUrl: URL, wrappedKey: blob('kek/1') },
    });
    await ledger.recordState(lease, { userId, state: 'out', reason: 'r', failures: 0, deleted: true });
  }
  const shown = (await ledger.keysOfDeleted()).map(({ keyId, userId, spkiSha256Hex, certificates }) => ({
    ...{ keyId, userId, certificates, user: userId, deletedSince: clock.now().toISOString() },
    spkiSha256: spkiSha256Hex,
  }));
  const asked = await ledger.recordErasure({
    ...{ digest: 'a'.repeat(64), shown, noLegalHold: 'Nobody is on hold.', requestedBy: 'ana@acme.example' },
  });
  erasureId = asked.erasureId;
  await ledger.decideErasure(erasureId, { kind: 'confirmed', by: 'bob@acme.example' }, () => {});
});
afterEach(async () => {
  await database.close();
  await other.close();
  await place.remove();
});

const erase = (keyId: string): Promise<number> => {
  const lease = leases.get(keyId);
  if (lease === undefined) throw new Error('There is no lease.');
  return ledger.eraseKeys(lease, {
    ...{ erasureId, keyIds: [keyId] },
    audit: {
      userId: userOf(keyId),
      cause: { source: 'admin', eventId: erasureId, event: 'erasure-confirmed', actor: 'bob@acme.example' },
      ...{ step: 'erase-wrapped-keys', reason: 'r', outcome: 'done' },
    },
  });
};
/** A run of the rotation; `meanwhile` comes when a key was wrapped again and that is not written down yet. */
const rotate = (meanwhile: (wrapped: number) => Promise<unknown>) => {
  let wrapped = 0;
  const keyRewrapping = {
    rewrapPrivateKey: async () => {
      wrapped += 1;
      await meanwhile(wrapped);
      return { wrappedKey: blob('kek/2'), kekId: 'kek/2' };
    },
  };
  return rewrapKeys({ ledger, keyRewrapping, log: keptLog() }, { keyServiceUrl: URL, eventId: 'due-1' });
};
/** Each key with any wrapped form, and the newest key-encryption key it is under. */
const forms = async () =>
  new Map(
    (
      await database.query<{ key_id: string; keks: string }>(
        `SELECT key_id, string_agg(kek, ' ' ORDER BY kek) AS keks FROM (
           SELECT key_id, kek_id AS kek FROM user_keys WHERE wrapped_key IS NOT NULL
           UNION ALL SELECT key_id, kek_id FROM rewrapped_keys) AS form GROUP BY key_id`,
      )
    ).map(({ key_id, keks }) => [key_id, keks]),
  );
const somebodyWaits = async () => {
  for (;;) {
    const rows = await other.query(
      `SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'`,
      [place.schema],
    );
    if (rows.length > 0) return;
    await sleep(5);
  }
};

describe('a wrapped key that is erased while a rotation wraps it again', () => {
  it('before the new form is written is not given one, and the rotation goes on with the others', async () => {
    let erased: readonly string[] = [];
    const run = await rotate(async (wrapped) => {
      if (wrapped !== 2) return;
      erased = ids.slice(0, 10);
      for (const keyId of erased) expect(await erase(keyId)).toBe(1);
    });
    const left = await forms();
    for (const keyId of erased) expect(left.get(keyId), keyId).toBeUndefined();
    const others = ids.slice(10).map((keyId) => left.get(keyId));
    expect(others).toEqual(others.map(() => 'kek/1 kek/2'));
    expect(run).toMatchObject({ unreadable: 0, more: false });
  });

  it('while the new form is being written waits for it, and takes it along', async () => {
    let waiting: Promise<number> | undefined;
    await other.transaction(async (queries) => {
      await queries.query(
        `INSERT INTO rewrapped_keys (key_id, wrapped_key, rewrapped_at) VALUES ('key-0', $1, now())`,
        [blob('kek/2')],
      );
      waiting = erase('key-0');
      await somebodyWaits();
    });
    expect(await waiting).toBe(1);
    expect((await forms()).has('key-0')).toBe(false);
  });

  it('in a transaction that is not through makes the new form wait, and then it is not written', async () => {
    let waiting: Promise<string> | undefined;
    await other.transaction(async (queries) => {
      await queries.query(
        `UPDATE user_keys SET wrapped_key = NULL, erasure_id = $1, erased_at = now() WHERE key_id = 'key-0'`,
        [erasureId],
      );
      waiting = ledger.recordRewrapped('key-0', blob('kek/2'));
      await somebodyWaits();
    });
    expect(await waiting).toBe('erased');
    expect((await forms()).has('key-0')).toBe(false);
  });

  it('among many at once has no form left, and the trail of each is whole', async () => {
    const erasures: Promise<number>[] = [];
    const [first, second] = [
      ids.filter((_, index) => index % 2 === 0),
      ids.filter((_, index) => index % 2 === 1),
    ];
    const queue = [...first];
    const run = await rotate(async () => {
      const keyId = queue.shift();
      if (keyId !== undefined) erasures.push(erase(keyId));
    });
    for (const keyId of queue) erasures.push(erase(keyId));
    expect(await Promise.all(erasures)).toEqual(first.map(() => 1));
    const left = await forms();
    expect([...left.keys()].toSorted()).toEqual(second.toSorted());
    expect([...left.values()].every((keks) => keks === 'kek/1 kek/2')).toBe(true);
    expect(run.unreadable).toBe(0);
    const checker = new ChainChecker();
    const trail = await ledger.auditTrail({ limit: 1000 });
    expect([...trail.flatMap((entry) => checker.take(entry)), ...checker.end()]).toEqual([]);
    expect(trail.filter(({ step }) => step === 'erase-wrapped-keys')).toHaveLength(first.length);
  });
});
