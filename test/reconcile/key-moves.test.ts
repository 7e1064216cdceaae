/** A change of key service: new pairs for everybody by policy, and the old ones moved by an admin's job. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { requestKeyMove } from '../../functions/admin/key-moves.ts';
import { permanent, retryable } from '../../shared/errors.ts';
import { surround } from '../support/fakes/calls.ts';
import {
  createWorld,
  DAY_MS,
  KEY_SERVICE_URL,
  type Materials,
  makeMaterials,
  type World,
} from '../support/fakes/world.ts';
import { inForce, policyOf, policyRule } from '../support/policy.ts';
import { failing, look, named } from './outcome.ts';
import { ADDRESS, JOIN, USER_ID, wish } from './workflows.ts';

const NEW_URL = 'https://kacls.new.example/v1';
const ADMIN = 'admin@acme.example';

let materials: Materials;
let world: World;
let rewind: () => Promise<void>;
/** Somebody with two old pairs, one from before a re-key, and the newest under the new key service. */
beforeAll(async () => {
  materials = await makeMaterials();
  world = await createWorld(materials);
  await JOIN.prepare(world);
  await look(world.deps);
  world.clock.advance(DAY_MS);
  await wish(world, 'superseded');
  await look(world.deps);
  world.clock.advance(DAY_MS);
  await look(underNew());
  rewind = await world.save();
});
beforeEach(() => rewind());
afterAll(() => world.close());

const policy = policyOf([policyRule({ modulusBits: 2048, keyServiceUrl: NEW_URL })]);
const underNew = (deps = world.deps) => ({ ...deps, policy });
/** What Gmail has, all of it wrapped. */
const held = () =>
  world.gmail
    .account(USER_ID)
    .pairs.flatMap(({ privateKey, ...pair }) =>
      'wrappedKey' in privateKey ? [{ ...pair, ...privateKey }] : [],
    );
const pairs = () =>
  held().map(({ keyServiceUrl, enabled }) => `${keyServiceUrl}${enabled ? '' : ' disabled'}`);
const request = (body: object) =>
  requestKeyMove({ ...world, policies: inForce(policy) }, ADMIN, {
    from: KEY_SERVICE_URL,
    to: NEW_URL,
    ...body,
  });
const job = async (body: object = {}): Promise<string> => {
  const { body: answer } = await request(body);
  return String((answer as { job?: string }).job);
};
const epochs = async (keyServiceUrl: string) =>
  (await world.ledger.mailEpochs()).find((found) => found.keyServiceUrl === keyServiceUrl);

describe('a change of key service', () => {
  test('makes a new pair under the new one, keeps the old ones, and shows whose mail is tied to the old one', async () => {
    expect(pairs()).toEqual([KEY_SERVICE_URL, KEY_SERVICE_URL, NEW_URL]);
    expect(await epochs(KEY_SERVICE_URL)).toMatchObject({ keypairs: 2, users: 1, moved: 0, refused: 0 });
    expect(await epochs(NEW_URL)).toMatchObject({ keypairs: 1, users: 1 });
    const { leaves } = await world.ledger.readUser(USER_ID);
    const tied = await world.ledger.tiedEpochs(KEY_SERVICE_URL, { limit: 10 });
    expect(tied).toMatchObject(
      leaves.slice(0, 2).map(({ serialHex, notBefore, notAfter }) => ({
        primaryEmail: ADDRESS,
        serialHex,
        from: notBefore,
        until: notAfter,
      })),
    );
    const [first] = tied;
    expect(
      await world.ledger.tiedEpochs(KEY_SERVICE_URL, { after: first?.serialHex ?? '', limit: 10 }),
    ).toEqual(tied.slice(1));
  });

  test('refuses a move while a rule names the old service, to one that no rule names, and of nobody', async () => {
    await expect(
      requestKeyMove({ ...world, policies: inForce(world.deps.policy) }, ADMIN, {
        from: KEY_SERVICE_URL,
        to: NEW_URL,
      }),
    ).rejects.toMatchObject({ code: 'conflict' });
    await expect(request({ to: 'https://typo.example' })).rejects.toMatchObject({
      code: 'malformed-request',
    });
    await expect(request({ from: 'https://unknown.example' })).rejects.toMatchObject({ code: 'not-found' });
  });

  test('says in a dry run how much it would move, and writes nothing', async () => {
    expect(await request({ dryRun: true })).toEqual({
      status: 200,
      body: { dryRun: true, keypairs: 2, users: 1, observed: 0 },
    });
    expect((await world.ledger.readUser(USER_ID)).keyMoves).toBeUndefined();
  });
});

describe('moving the old pairs, where Gmail takes the same certificate again,', () => {
  beforeEach(() => world.gmail.takeSameLeafAgain(true));

  test('wraps each again under the new service and uploads it, expired certificates too', async () => {
    world.clock.advance(800 * DAY_MS);
    await world.publishCrl();
    const id = await job();
    await look(underNew());
    const moved = held().filter(({ keyServiceUrl }) => keyServiceUrl === NEW_URL);
    const old = held().slice(0, 2);
    for (const { leafSha256Hex, wrappedKey } of old) {
      const again = moved.find((pair) => pair.leafSha256Hex === leafSha256Hex);
      expect(again?.enabled).toBe(true);
      expect(world.keyService.opened(again?.wrappedKey ?? '')).toEqual(world.keyService.opened(wrappedKey));
    }
    expect(await world.ledger.readJob(id)).toMatchObject({
      kind: 'move-keys',
      state: 'done',
      total: 1,
      done: 1,
      users: [{ user: ADDRESS, state: 'done', detail: '2 moved' }],
    });
    expect(await epochs(KEY_SERVICE_URL)).toMatchObject({ keypairs: 2, moved: 2, disabledAfterMove: 0 });
    expect(await world.ledger.tiedEpochs(KEY_SERVICE_URL, { limit: 10 })).toEqual([]);
  });

  test('waits while the user is in no list, and is refused once they are out, because their mail is gone, and nobody looks for them again', async () => {
    const id = await job();
    const user = world.directory.living(USER_ID);
    if (user === undefined) throw new Error('There is nobody.');
    world.directory.forget(USER_ID);
    await look(underNew());
    expect(await world.ledger.readJob(id)).toMatchObject({ state: 'running' });
    world.directory.put(user);
    world.directory.remove(USER_ID);
    await look(underNew());
    const refused = { user: ADDRESS, state: 'failed' };
    expect(await world.ledger.readJob(id)).toMatchObject({
      users: [
        { ...refused, detail: expect.stringContaining('The account is deleted; its mail went with it.') },
      ],
    });
    world.directory.forget(USER_ID);
    const again = await job();
    await look(underNew());
    expect(await world.ledger.readJob(again)).toMatchObject({
      users: [
        { ...refused, detail: expect.stringContaining('is in no list of the directory; its mail went') },
      ],
    });
  });

  test('leaves the old pairs enabled, or disables them once the new ones are there', async () => {
    await job({ disableOld: true });
    await look(underNew());
    expect(pairs()).toEqual([
      `${KEY_SERVICE_URL} disabled`,
      `${KEY_SERVICE_URL} disabled`,
      ...[NEW_URL, NEW_URL, NEW_URL],
    ]);
    expect(await epochs(KEY_SERVICE_URL)).toMatchObject({ moved: 2, disabledAfterMove: 2 });
    // Nobody enables them again, and nothing is left to do.
    world.clock.advance(DAY_MS);
    await look(underNew());
    expect(pairs().filter((pair) => pair.endsWith('disabled'))).toHaveLength(2);
  });

  test('counts among the jobs that take something where it disables the old pairs', async () => {
    const lately = () => world.ledger.usersTakenFromByJobs(world.clock.now());
    await job();
    expect(await lately()).toBe(0);
    await rewind();
    await job({ disableOld: true });
    expect(await lately()).toBe(1);
  });

  test('moves nothing twice, whatever fails between, and adopts what an answer was lost for', async () => {
    const id = await job();
    const away = retryable('gmail-unavailable', 'Gmail is away.');
    let lost = false;
    const forgetful = surround('gmail', world.gmail, async ({ method }, perform) => {
      const answer = await perform();
      if (method !== 'createKeypair' || lost) return answer;
      lost = true;
      throw away;
    });
    await expect(look(underNew({ ...world.deps, gmail: forgetful }))).rejects.toBe(away);
    for (const step of ['rewrapPrivateKey', 'recordMovedForm', 'createKeypair', 'closeKeyMove']) {
      await expect(look(underNew(world.surrounded(failing(away, named(step)))))).rejects.toBe(away);
    }
    await look(underNew());
    expect(pairs().filter((pair) => pair === NEW_URL)).toHaveLength(3);
    expect(await world.ledger.readJob(id)).toMatchObject({ state: 'done' });
    expect(await request({})).toEqual({ status: 200, body: { keypairs: 0, users: 0, observed: 0 } });
  });

  test('goes on following rotations, those of the new service', async () => {
    await job();
    await look(underNew());
    const waiting = (keyServiceUrl: string) =>
      world.ledger.keysToRewrap({ keyServiceUrl, kekId: 'kek/newer', limit: 10 });
    expect(await waiting(KEY_SERVICE_URL)).toEqual([]);
    expect(await waiting(NEW_URL)).toHaveLength(2);
  });

  test('does not touch a pair that an identity still uses', async () => {
    await wish(world, 'superseded');
    const away = retryable('gmail-unavailable', 'Gmail is away.');
    await look(world.deps); // an older policy file is in force again for a while: a pair under the old service is in use
    const id = await job();
    await expect(look(underNew(world.surrounded(failing(away, named('patchIdentity')))))).rejects.toBe(away);
    const inUse = [...world.gmail.account(USER_ID).identities.values()][0];
    expect(pairs().filter((pair) => pair === NEW_URL).length).toBeLessThan(4);
    await look(underNew());
    expect([...world.gmail.account(USER_ID).identities.values()][0]).not.toEqual(inUse);
    expect(await world.ledger.readJob(id)).toMatchObject({ state: 'done' });
  });

  test('of somebody who was deleted is closed, saying so', async () => {
    world.directory.remove(USER_ID);
    const id = await job();
    await look(underNew());
    expect(await world.ledger.readJob(id)).toMatchObject({
      state: 'failed',
      users: [{ state: 'failed', detail: expect.stringContaining('The account is deleted') }],
    });
  });
});

describe('moving the old pairs, where it is refused,', () => {
  test('by Gmail, says that the old service must stay, and leaves everything as it was', async () => {
    const before = pairs();
    const id = await job({ disableOld: true });
    await look(underNew());
    expect(pairs()).toEqual(before);
    const sentence =
      'Gmail does not take the same certificate twice. The old key service must stay for this mail.';
    expect(await world.ledger.readJob(id)).toMatchObject({
      state: 'failed',
      failed: 1,
      users: [{ user: ADDRESS, state: 'failed', detail: `2 stayed: ${sentence}` }],
    });
    expect(await epochs(KEY_SERVICE_URL)).toMatchObject({ moved: 0, refused: 2 });
    expect(await world.ledger.tiedEpochs(KEY_SERVICE_URL, { limit: 10 })).toMatchObject([
      { refused: sentence },
      { refused: sentence },
    ]);
    expect((await world.ledger.readUser(USER_ID)).user?.state).toBe('ready');
  });

  test('by the new key service, says what it answered, and can be asked for again later', async () => {
    world.gmail.takeSameLeafAgain(true);
    const first = await job();
    const refusal = permanent('key-service-refused', 'It does not have the key-encryption key.');
    await look(underNew(world.surrounded(failing(refusal, named('rewrapPrivateKey')))));
    expect(await world.ledger.readJob(first)).toMatchObject({
      state: 'failed',
      users: [{ detail: expect.stringContaining('It does not have the key-encryption key. The old key') }],
    });
    const second = await job();
    await look(underNew());
    expect(await world.ledger.readJob(second)).toMatchObject({ state: 'done' });
    expect(await epochs(KEY_SERVICE_URL)).toMatchObject({ moved: 2, refused: 0 });
  });
});
