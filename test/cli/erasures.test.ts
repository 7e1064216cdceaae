/** Erasing wrapped keys of deleted users: the command line over the real admin function, ledger and loop. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Policy } from '../../shared/domain/policy.ts';
import { retryable } from '../../shared/errors.ts';
import { reconcile } from '../../shared/reconcile/run.ts';
import { adminOver } from '../support/admin.ts';
import {
  createWorld,
  DAY_MS,
  KEY_SERVICE_URL,
  type Materials,
  makeMaterials,
  type World,
} from '../support/fakes/world.ts';
import { inForce } from '../support/policy.ts';
import { ADMINS, type Desk, done, openDesk, SENTENCE } from './desk.ts';

let materials: Materials;
let world: World;
let policy: Policy;
let ana: Desk['ana'];
let bob: Desk['bob'];
let close: Desk['close'];

beforeAll(async () => {
  materials = await makeMaterials();
  ({ ana, bob, close } = await openDesk(() =>
    adminOver(world, { tokens: ADMINS, policies: inForce(policy) }),
  ));
});
afterAll(() => close());
beforeEach(async () => {
  world = await createWorld(materials);
  policy = keeping(90 * DAY_MS);
});
afterEach(() => world.close());

/** The policy of the world, whose rules have wrapped keys become due. */
const keeping = (wrappedKeysMs: number | undefined): Policy => ({
  ...world.deps.policy,
  rules: world.deps.policy.rules.map((rule) => ({ ...rule, grace: { ...rule.grace, wrappedKeysMs } })),
});

const look = (userId: string) =>
  reconcile(world.deps, userId, { source: 'watch', eventId: 'e1', event: 'update' });
/** Joined, deleted, seen deleted, and gone from the list of the deleted since. */
const deletedFor = async (ms: number, ...userIds: string[]) => {
  for (const userId of userIds) {
    world.directory.put({ userId });
    await look(userId);
  }
  for (const userId of userIds) {
    world.directory.remove(userId);
    await look(userId);
    world.clock.advance(DAY_MS);
  }
  world.clock.advance(ms - DAY_MS);
  for (const userId of userIds) world.directory.forget(userId);
};
/** Without the looks that would have left this behind. */
const deletedNow = async (userId: string) => {
  const lease = await world.ledger.acquireLease(`user:${userId}`, 60_000);
  if (lease === undefined) throw new Error(`${userId} is held.`);
  const primaryEmail = `user-${userId}@acme.example`;
  await world.ledger.recordSighting(lease, { userId, primaryEmail, aliases: [], ruleName: 'staff' });
  await world.ledger.recordKey(lease, {
    ...{ keyId: `key-${userId}`, userId, purpose: 'dual-use', modulusBits: 2048, proof: 'proven' },
    ...{ spkiSha256Hex: userId.padStart(64, '0'), spkiDer: Buffer.from(userId) },
    ...{ keyServiceUrl: KEY_SERVICE_URL, wrappedKey: `wrapped ${userId}` },
  });
  await world.ledger.recordState(lease, {
    ...{ userId, state: 'out', reason: 'The account was deleted.', failures: 0, deleted: true },
  });
  await world.ledger.releaseLease(lease);
};
const wrapped = async (userId: string) => (await world.ledger.readUser(userId)).keys.length;
const digestDue = async () => /digest ([0-9a-f]{64})/.exec(done(await ana('erasures', 'list')))?.[1] ?? '';
const request = (digest: string) => ana('erasures', 'request', digest, '--no-legal-hold', SENTENCE);
const asked = async () => {
  const answer = done(await request(await digestDue()));
  const [, id = '', digest = ''] = /confirm (\S+) --digest ([0-9a-f]{64})/.exec(answer) ?? [];
  return { id, digest };
};
const confirm = ({ id, digest }: { id: string; digest: string }) =>
  bob('erasures', 'confirm', id, '--digest', digest);

describe('erasing the wrapped keys of deleted users', () => {
  it('takes the time of the policy, a statement, and two admins; then the key is gone and its fingerprint stays', async () => {
    await deletedFor(90 * DAY_MS - 1, '1');
    expect(done(await ana('erasures', 'list'))).toContain('No wrapped key is due');
    world.clock.advance(1);
    const [key] = (await world.ledger.readUser('1')).keys;
    const list = done(await ana('erasures', 'list'));
    expect(list).toContain(key?.spkiSha256Hex);
    expect(list).toContain((await world.ledger.readUser('1')).leaves[0]?.serialHex);
    expect(await wrapped('1')).toBe(1);

    const wanted = await asked();
    const alone = await ana('erasures', 'confirm', wanted.id, '--digest', wanted.digest);
    expect(alone).toMatchObject({ exit: 3 });
    expect(alone.stderr).toContain('needs another admin');
    expect((await confirm({ ...wanted, digest: 'f'.repeat(64) })).stderr).toContain(
      'is not the one of this erasure',
    );
    expect(await wrapped('1')).toBe(1);

    expect(done(await confirm(wanted))).toContain('1 wrapped key erased.');
    expect(await wrapped('1')).toBe(0);
    expect(await world.ledger.erasedKeys('1')).toMatchObject([
      {
        spkiSha256Hex: key?.spkiSha256Hex,
        requestedBy: 'ana@acme.example',
        confirmedBy: 'bob@acme.example',
        erasedAt: world.clock.now(),
      },
    ]);
    const trail = await world.ledger.auditTrail({ userId: '1', limit: 100 });
    expect(trail.filter(({ step }) => step === 'erase-wrapped-keys')).toMatchObject([
      {
        cause: { actor: 'bob@acme.example' },
        reason: `The wrapped keys of this deleted user are erased: ana@acme.example asked for it and bob@acme.example confirmed it; on legal holds: ${SENTENCE}`,
      },
    ]);
    expect(done(await ana('erasures', 'show', wanted.id))).toContain('1 of 1 wrapped keys are erased.');
    expect(done(await ana('user', '1'))).toContain('erased');
    expect(done(await ana('explain', '1'))).toContain('The wrapped keys of this deleted user are erased');
    expect((await confirm(wanted)).stderr).toContain('This erasure is done already');
  });

  it('never comes by itself: by default wrapped keys are kept, without end', async () => {
    policy = keeping(undefined);
    await deletedFor(5_000 * DAY_MS, '1');
    expect(done(await ana('erasures', 'list'))).toContain('No wrapped key is due');
    expect((await request('f'.repeat(64))).stderr).toContain('no wrapped key is due');
  });

  it('keeps what only somebody whose rule is gone has, whatever other rules say', async () => {
    await deletedFor(100 * DAY_MS, '1');
    policy = { ...policy, rules: policy.rules.map((rule) => ({ ...rule, name: 'renamed' })) };
    expect(done(await ana('erasures', 'list'))).toContain('No wrapped key is due');
  });

  it('is refused when the set has changed since it was shown, at the request and at the confirmation', async () => {
    await deletedFor(88 * DAY_MS, '1', '2', '3');
    const early = await digestDue();
    world.clock.advance(DAY_MS);
    expect((await request(early)).stderr).toContain('no longer what you were shown');
    const wanted = await asked();
    world.clock.advance(DAY_MS);
    const late = await confirm(wanted);
    expect(late).toMatchObject({ exit: 3 });
    expect(late.stderr).toContain('no longer what you were shown');
    expect(await Promise.all(['1', '2', '3'].map(wrapped))).toEqual([1, 1, 1]);
    done(await bob('erasures', 'cancel', wanted.id));
    expect((await confirm(wanted)).stderr).toContain('cancelled already');
  });

  it('needs a statement about legal holds, and only one is open at a time', async () => {
    await deletedFor(100 * DAY_MS, '1');
    const digest = await digestDue();
    expect(await ana('erasures', 'request', digest)).toMatchObject({ exit: 2 });
    expect((await ana('erasures', 'request', digest, '--no-legal-hold', 'none')).stderr).toContain(
      'must say that no legal hold exists',
    );
    done(await request(digest));
    expect((await request(digest)).stderr).toContain('is open already');
  });

  it('keeps those of whoever is there again, or can be undeleted, when their turn comes, and erases the others', async () => {
    await deletedFor(100 * DAY_MS, '1', '2', '3');
    const wanted = await asked();
    world.directory.put({ userId: '1' });
    world.directory.put({ userId: '2' });
    world.directory.remove('2');
    const said = done(await confirm(wanted));
    expect(said).toContain('1 wrapped key erased.');
    expect(said).toContain('Kept of user-1@acme.example: the account is there again.');
    expect(said).toContain('Kept of user-2@acme.example: the directory still lists the account as deleted');
    expect(await Promise.all(['1', '2', '3'].map(wrapped))).toEqual([1, 1, 0]);
  });

  it('leaves out whoever was seen again since they were deleted', async () => {
    await deletedFor(100 * DAY_MS, '1');
    world.directory.put({ userId: '1' });
    await expect(look('1')).rejects.toThrow('no published CRL');
    expect(done(await ana('erasures', 'list'))).toContain('No wrapped key is due');
  });

  it('does nothing under a stop', async () => {
    await deletedFor(100 * DAY_MS, '1');
    const wanted = await asked();
    done(await ana('stop', 'Something is odd.'));
    expect((await confirm(wanted)).stderr).toContain('stopped everything');
    expect(await wrapped('1')).toBe(1);
  });

  it('is refused while the key is being moved to another key service, which ends by itself for who is in no list any more', async () => {
    await deletedFor(100 * DAY_MS, '1', '2');
    const wanted = await asked();
    const next = 'https://kacls-2.acme.example';
    policy = { ...policy, rules: policy.rules.map((rule) => ({ ...rule, keyServiceUrl: next })) };
    done(await ana('keys', 'move', '--from', KEY_SERVICE_URL, '--to', next));
    expect(done(await ana('erasures', 'list'))).toContain('No wrapped key is due');
    expect((await request(wanted.digest)).stderr).toContain('no wrapped key is due');
    expect((await confirm(wanted)).stderr).toContain('no longer what you were shown');
    expect(await Promise.all(['1', '2'].map(wrapped))).toEqual([1, 1]);

    await look('1');
    await look('2');
    expect(await world.ledger.tiedEpochs(KEY_SERVICE_URL, { limit: 9 })).toMatchObject([
      { userId: '1', refused: 'The account is in no list of the directory; its mail went with it.' },
      { userId: '2', refused: 'The account is in no list of the directory; its mail went with it.' },
    ]);
    expect(done(await confirm(wanted))).toContain('2 wrapped keys erased.');
    expect(await Promise.all(['1', '2'].map(wrapped))).toEqual([0, 0]);
  });

  it('of more users than one request has time for goes on in the next, also after it was cut off, and asks the directory once for each', {
    timeout: 120_000,
  }, async () => {
    const userIds = Array.from({ length: 205 }, (_, index) => String(1000 + index));
    for (const userId of userIds) await deletedNow(userId);
    world.clock.advance(90 * DAY_MS);
    const wanted = await asked();
    const { presence } = world.directory;
    const lookedUp: string[] = [];
    let away = true;
    world.directory.presence = async (userId) => {
      lookedUp.push(userId);
      if (away && lookedUp.length === 150) throw retryable('directory-unavailable', 'The directory is away.');
      return await presence(userId);
    };
    const cutOff = await confirm(wanted);
    expect(cutOff).toMatchObject({ exit: 1 });
    expect(cutOff.stderr).toContain('The directory is away.');
    expect(done(await ana('erasures', 'show', wanted.id))).toMatch(/State +confirmed/);
    away = false;
    lookedUp.length = 0;
    expect(done(await confirm(wanted))).toContain('56 wrapped keys erased.');
    expect(lookedUp).toEqual(userIds);
    expect(done(await ana('erasures', 'show', wanted.id))).toContain('205 of 205 wrapped keys are erased.');
    expect(await world.ledger.keysOfDeleted()).toEqual([]);
    const trail = await world.ledger.auditTrail({ limit: 1000 });
    expect(trail.filter(({ step }) => step === 'erase-wrapped-keys')).toHaveLength(205);
  });
});
