/** Held departures, the stop and single key pairs: the command line over the real admin function, ledger and loop. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  type ObliterationStatement,
  obliterationStatement,
  statementDigest,
} from '../../shared/plan/obliteration.ts';
import { reconcile } from '../../shared/reconcile/run.ts';
import { adminOver } from '../support/admin.ts';
import {
  createWorld,
  DAY_MS,
  HOUR_MS,
  KEY_SERVICE_URL,
  type Materials,
  makeMaterials,
  type World,
} from '../support/fakes/world.ts';
import { ADMINS, type Desk, done, openDesk, SENTENCE } from './desk.ts';
import type { Ended } from './sealwright.ts';

let materials: Materials;
let world: World;
let ana: Desk['ana'];
let bob: Desk['bob'];
let close: Desk['close'];

beforeAll(async () => {
  materials = await makeMaterials();
  ({ ana, bob, close } = await openDesk(() => adminOver(world, { tokens: ADMINS })));
});
afterAll(() => close());
beforeEach(async () => {
  world = await createWorld(materials);
});
afterEach(() => world.close());

const json = async <T>(promise: Promise<Ended>): Promise<T> => JSON.parse(done(await promise)) as T;

const look = async (...userIds: string[]) => {
  for (const userId of userIds)
    await reconcile(world.deps, userId, { source: 'watch', eventId: 'e1', event: 'update' });
};
const join = async (...userIds: string[]) => {
  for (const userId of userIds) world.directory.put({ userId });
  await look(...userIds);
};
const leave = async (...userIds: string[]) => {
  for (const userId of userIds) world.directory.remove(userId);
  await look(...userIds);
};
const revoked = async (userId: string) =>
  (await world.ledger.readUser(userId)).leaves.map(({ revocation }) => revocation?.reason);

interface Sets {
  readonly sets: readonly { readonly digest: string; readonly users: number; readonly scope: string }[];
}
const digestOf = async (): Promise<string> => {
  const { sets } = await json<Sets>(ana('held', 'list', '--json'));
  expect(sets).toHaveLength(1);
  return sets[0]?.digest ?? '';
};

const EIGHT = ['1', '2', '3', '4', '5', '6', '7', '8'];

describe('held departures, on the command line,', () => {
  it('are listed, shown, approved by digest, carried out, and followed as a job', async () => {
    expect(done(await ana('held', 'list'))).toBe('Nothing is held.\n');
    await join(...EIGHT);
    await leave(...EIGHT.slice(0, 7));
    const digest = await digestOf();
    const list = done(await ana('held', 'list'));
    expect(list).toContain(digest);
    expect(list).toContain('the limit for 3 covered users is 5');
    const shown = done(await ana('held', 'show', digest));
    expect(shown).toMatch(
      /user-6@acme\.example +\/staff +held .* revoke-leaf [0-9a-f]{36} \(cessationOfOperation\)/,
    );
    expect(done(await ana('status'))).toMatch(/^HELD 2 departures in 1 set wait for your decision/);

    // One more joins: the digest that was shown approves nothing any more.
    await leave('8');
    const late = await ana('held', 'approve', digest);
    expect(late).toMatchObject({ exit: 3, stdout: '' });
    expect(late.stderr).toContain('has changed since that digest was shown: 3 departures wait in it now');
    expect(await ana('held', 'show', digest)).toMatchObject({ exit: 3 });

    const now = await digestOf();
    const { job } = await json<{ job: string }>(bob('held', 'approve', now, '--json'));
    expect(await json(ana('job', job, '--json'))).toMatchObject({ state: 'running', total: 3, done: 0 });
    await look('6', '7', '8');
    expect(await revoked('6')).toEqual(['cessationOfOperation']);
    expect(await json(ana('job', job, '--json'))).toMatchObject({ state: 'done', total: 3, done: 3 });
    const trail = done(await ana('audit'));
    expect(trail).toContain(`bob@acme.example approved held set ${now.split('-')[0]} with 3 departures.`);
    expect(trail).toContain('Carried out as bob@acme.example approved.');

    const again = await bob('held', 'approve', now);
    expect(again).toMatchObject({ exit: 3 });
    expect(again.stderr).toContain('is approved already, by you at');
    expect((await ana('held', 'dismiss', now)).stderr).toContain(
      'is approved already, by bob@acme.example at',
    );
    expect(done(await ana('held', 'list', '--all'))).toContain('bob@acme.example');
  });

  it('are dismissed: nothing is taken away, and the latch is open', async () => {
    await join(...EIGHT);
    await leave('1', '2', '3', '4', '5', '6');
    const said = done(await ana('held', 'dismiss', await digestOf()));
    expect(said).toContain('1 departure will not be carried out');
    await look('6');
    expect(await revoked('6')).toEqual([undefined]);
    world.clock.advance(HOUR_MS + 1);
    await leave('7');
    expect(await revoked('7')).toEqual(['cessationOfOperation']);
  });

  it.each([
    ['approve', 'latest'],
    ['dismiss', '12'],
    ['approve', `12-${'A'.repeat(64)}`],
  ])('%s refuses %s, which is no digest, before asking anybody', async (verb, digest) => {
    const ended = await ana('held', verb, digest);
    expect(ended).toMatchObject({ exit: 2 });
    expect(ended.stderr).toContain('is no digest of a held set');
  });

  it('refuses a digest of a set there is not', async () => {
    const ended = await ana('held', 'approve', `999999-${'a'.repeat(64)}`);
    expect(ended).toMatchObject({ exit: 1 });
    expect(ended.stderr).toContain('There is no held set');
  });
});

describe('the stop, on the command line,', () => {
  it('begins nothing for anybody, says so first, and wakes whoever waited when it ends', async () => {
    await join('1', '2');
    const said = done(await ana('stop', 'the directory looks wrong'));
    expect(said).toMatch(/^STOPPED by ana@acme\.example since .*: the directory looks wrong\./);
    expect(done(await bob('status'))).toMatch(/^STOPPED by ana@acme\.example/);
    await join('3');
    await leave('1');
    const waiting = (await world.ledger.readUser('3')).user;
    expect(waiting).toMatchObject({ state: 'pending', nextAction: 'wait-for-resume' });
    expect(waiting?.reason).toContain('Stopped by ana@acme.example');
    expect((await world.ledger.readUser('3')).keys).toEqual([]);
    expect(await revoked('1')).toEqual([undefined]);

    const twice = await bob('stop', 'me too');
    expect(twice.exit).toBe(1);
    expect(twice.stderr).toContain('Everything is stopped already, by ana@acme.example');
    expect(done(await bob('resume'))).toBe('Resumed. 2 users had waited and are looked at now.\n');
    expect((await bob('resume')).stderr).toContain('Nothing is stopped.');
    world.clock.advance(HOUR_MS / 60);
    expect((await world.ledger.dueUsers(10)).map(({ userId }) => userId).toSorted()).toEqual(['1', '3']);
    await look('1', '3');
    expect(await revoked('1')).toEqual(['cessationOfOperation']);
    expect((await world.ledger.readUser('3')).user?.state).toBe('ready');
    const trail = done(await ana('audit'));
    expect(trail).toContain('ana@acme.example stopped everything: the directory looks wrong');
    expect(trail).toContain('bob@acme.example ended the stop of ana@acme.example');
  });

  it('does not keep a stolen key good', async () => {
    await join('1');
    done(await ana('stop', 'looking into it'));
    done(await ana('rekey', '--user', 'user-1@acme.example', '--reason', 'keyCompromise'));
    await look('1');
    expect(await revoked('1')).toEqual(['keyCompromise']);
    expect((await world.ledger.readUser('1')).user).toMatchObject({ nextAction: 'wait-for-resume' });
  });

  it('needs a reason', async () => {
    expect(await ana('stop')).toMatchObject({ exit: 2 });
    expect(await ana('stop', ' ')).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining('an empty REASON'),
    });
  });
});

describe('a re-key after a compromise', () => {
  it('of more users than may depart in an hour has to say how many', async () => {
    await join(...EIGHT);
    world.clock.advance(HOUR_MS);
    const rekey = (...more: string[]) => ana('rekey', '--all', '--reason', 'keyCompromise', ...more);
    const unsure = await rekey();
    expect(unsure).toMatchObject({ exit: 3 });
    expect(unsure.stderr).toContain(
      "the certificates of 8 users at once, and the guard's limit for 8 covered users is 5",
    );
    expect((await rekey('--confirm-users', '7')).stderr).toContain(
      'would re-key 8 users and you confirmed 7',
    );
    expect(await rekey('--confirm-users', 'all')).toMatchObject({ exit: 2 });
    expect(await world.ledger.auditTrail({ limit: 1000 })).not.toContainEqual(
      expect.objectContaining({ step: 'rekey-requested' }),
    );
    done(await rekey('--confirm-users', '8'));
    await look(...EIGHT);
    for (const userId of EIGHT) expect((await revoked(userId))[0]).toBe('keyCompromise');
    expect(await world.ledger.heldSets({ state: 'any' })).toEqual([]);
  });
});

describe('disabling the key pairs of more users than may depart in an hour', () => {
  beforeEach(async () => {
    await join(...EIGHT);
    world.clock.advance(HOUR_MS);
  });

  it('by a re-key has to say how many, whatever the reason', async () => {
    const rekey = (...more: string[]) => ana('rekey', '--all', '--reason', 'superseded', ...more);
    const unsure = await rekey('--disable-keypairs');
    expect(unsure).toMatchObject({ exit: 3 });
    expect(unsure.stderr).toContain(
      "disable the key pairs of 8 users, whose old mail becomes unreadable, and the guard's limit for 8 covered users is 5",
    );
    expect(await rekey('--disable-keypairs', '--confirm-users', '7')).toMatchObject({ exit: 3 });
    done(await rekey('--disable-keypairs', '--confirm-users', '8'));
    done(await rekey());
  });

  it('by a move to another key service has to say how many', async () => {
    const [old, next] = [KEY_SERVICE_URL, 'https://kacls-2.acme.example'];
    const rules = world.deps.policy.rules.map((rule) => ({ ...rule, keyServiceUrl: next }));
    world = { ...world, deps: { ...world.deps, policy: { ...world.deps.policy, rules } } };
    const move = (...more: string[]) => ana('keys', 'move', '--from', old, '--to', next, ...more);
    const unsure = await move('--disable-old');
    expect(unsure).toMatchObject({ exit: 3 });
    expect(unsure.stderr).toContain('disable the old key pairs of 8 users');
    expect((await move('--disable-old', '--confirm-users', '7')).stderr).toContain(
      'would move the key pairs of 8 users and you confirmed 7',
    );
    expect(await move('--disable-old', '--confirm-users', 'all')).toMatchObject({ exit: 2 });
    done(await move('--disable-old', '--confirm-users', '8'));
  });
});

describe('obliterating a key pair', () => {
  /** A user with an old pair that is disabled. */
  const withDisabledPair = async (): Promise<string> => {
    await join('1');
    const old = (await world.ledger.readUser('1')).keypairs[0]?.keypairId ?? '';
    done(await ana('rekey', '--user', 'user-1@acme.example', '--reason', 'superseded'));
    await look('1');
    done(await ana('keypair', 'disable', 'user-1@acme.example', old, '--reason', 'The laptop was lost.'));
    await look('1');
    return old;
  };
  const request = (pair: string) =>
    ana('obliterate', 'request', 'user-1@acme.example', pair, '--no-legal-hold', SENTENCE);

  it('takes 30 days, a statement of what is lost, and two admins; then it is gone, and the wrapped key with it', async () => {
    const pair = await withDisabledPair();
    const [key] = (await world.ledger.readUser('1')).keys;
    const { pairs } = world.gmail.account('1');
    expect(pairs.find(({ keypairId }) => keypairId === pair)?.enabled).toBe(false);
    const early = await request(pair);
    expect(early).toMatchObject({ exit: 3 });
    expect(early.stderr).toContain('which is not more than 30 days');

    world.clock.advance(30 * DAY_MS + 1);
    const asked = done(await request(pair));
    const serial = (await world.ledger.readUser('1')).leaves[0]?.serialHex ?? '';
    expect(asked).toContain('Gmail can never again open mail that was encrypted to these certificates');
    expect(asked).toContain(serial);
    expect(asked).toContain('The wrapped key in the ledger is erased with it');
    const [, id = '', digest = ''] = /confirm (\S+) --statement ([0-9a-f]{64})/.exec(asked) ?? [];
    expect(done(await bob('obliterate', 'list'))).toContain(id);
    expect(done(await bob('obliterate', 'show', id))).toContain(SENTENCE);

    const alone = await ana('obliterate', 'confirm', id, '--statement', digest);
    expect(alone).toMatchObject({ exit: 3 });
    expect(alone.stderr).toContain('needs another admin');
    const blind = await bob('obliterate', 'confirm', id, '--statement', 'f'.repeat(64));
    expect(blind).toMatchObject({ exit: 3 });
    expect(blind.stderr).toContain('is not the one of this request');
    expect(world.gmail.account('1').pairs.map(({ keypairId }) => keypairId)).toContain(pair);

    done(await bob('obliterate', 'confirm', id, '--statement', digest));
    await look('1');
    expect(world.gmail.account('1').pairs.map(({ keypairId }) => keypairId)).not.toContain(pair);
    expect(await json(bob('obliterate', 'show', id, '--json'))).toMatchObject({
      state: 'done',
      detail: 'It is obliterated. The wrapped key is erased with it.',
      requestedBy: 'ana@acme.example',
      confirmedBy: 'bob@acme.example',
    });
    expect((await world.ledger.readUser('1')).keys.map(({ keyId }) => keyId)).not.toContain(key?.keyId);
    const erased = { keyId: key?.keyId, obliterationId: id, confirmedBy: 'bob@acme.example' };
    expect(await world.ledger.erasedKeys('1')).toMatchObject([erased]);
    expect(done(await ana('user', '1'))).toContain(`${key?.spkiSha256Hex}: its wrapped form was erased at`);
    expect(done(await ana('explain', '1'))).toContain(`The wrapped key goes with key pair ${pair}`);
    const trail = await world.ledger.auditTrail({ userId: '1', limit: 100 });
    expect(trail.find(({ step }) => step === 'obliterate-keypair')).toMatchObject({
      outcome: 'done',
      reason: `ana@acme.example asked for it and bob@acme.example confirmed it; on legal holds: ${SENTENCE}`,
    });
    const entries = trail.length;
    await look('1');
    expect((await world.ledger.readUser('1')).user?.state).toBe('ready');
    expect(await world.ledger.auditTrail({ userId: '1', limit: 100 })).toHaveLength(entries);
  });

  /** Asked for, confirmed and looked at; how it ended. */
  const obliterated = async (pair: string): Promise<string> => {
    const asked = done(await request(pair));
    const [, id = '', digest = ''] = /confirm (\S+) --statement ([0-9a-f]{64})/.exec(asked) ?? [];
    done(await bob('obliterate', 'confirm', id, '--statement', digest));
    await look('1');
    return (await world.ledger.readKeypairRequest(id))?.detail ?? '';
  };

  it('keeps the wrapped key while another key pair over it is there, and says which', async () => {
    const pair = await withDisabledPair();
    const [key] = (await world.ledger.readUser('1')).keys;
    world.gmail.takeSameLeafAgain(true);
    const next = 'https://kacls-2.acme.example';
    const rules = world.deps.policy.rules.map((rule) => ({ ...rule, keyServiceUrl: next }));
    world = { ...world, deps: { ...world.deps, policy: { ...world.deps.policy, rules } } };
    await look('1');
    done(await ana('keys', 'move', '--from', KEY_SERVICE_URL, '--to', next));
    await look('1');
    world.clock.advance(31 * DAY_MS);
    await world.publishCrl();
    await look('1');
    expect(await obliterated(pair)).toMatch(
      /^It is obliterated\. The wrapped key stays in the ledger: Gmail has key pair \S+ over the same key\.$/,
    );
    expect((await world.ledger.readUser('1')).keys.map(({ keyId }) => keyId)).toContain(key?.keyId);
    expect(await world.ledger.erasedKeys('1')).toEqual([]);
  });

  it('keeps it where somebody else has the same key', async () => {
    const pair = await withDisabledPair();
    const [key] = (await world.ledger.readUser('1')).keys;
    if (key?.card !== undefined || key === undefined) throw new Error('There is no wrapped key.');
    await join('2');
    const lease = await world.ledger.acquireLease('user:2', 60_000);
    if (lease === undefined) throw new Error('User 2 is held.');
    await world.ledger.recordKey(lease, { ...key, keyId: 'same', userId: '2' });
    await world.ledger.releaseLease(lease);
    world.clock.advance(31 * DAY_MS);
    expect(await obliterated(pair)).toContain(
      'The wrapped key stays in the ledger: user 2 has the same key.',
    );
  });

  it('keeps it where the admins were asked when it still stayed, and a confirmation of that statement is refused', async () => {
    const pair = await withDisabledPair();
    world.clock.advance(31 * DAY_MS);
    const ledger = await world.ledger.readUser('1');
    const { takesWrappedKey: _, ...statement } = obliterationStatement(ledger, pair) ?? {};
    const serialHex = ledger.keypairs.find(({ keypairId }) => keypairId === pair)?.serialHex ?? '';
    const ask = async () =>
      await world.ledger.recordKeypairRequest({
        ...{ kind: 'obliterate', userId: '1', primaryEmail: 'user-1@acme.example', serialHex },
        ...{ keypairId: pair, reason: SENTENCE, requestedBy: 'ana@acme.example', statement },
      });
    const open = await ask();
    const digest = statementDigest(statement as ObliterationStatement);
    expect((await bob('obliterate', 'confirm', open.requestId, '--statement', digest)).stderr).toContain(
      'what would become unreadable has changed since it was asked for',
    );
    const by = { kind: 'confirmed', by: 'bob@acme.example' } as const;
    await world.ledger.decideKeypairRequest(open.requestId, by, () => undefined);
    await look('1');
    expect((await world.ledger.readKeypairRequest(open.requestId))?.detail).toBe('It is obliterated.');
    expect(await world.ledger.erasedKeys('1')).toEqual([]);
  });

  it('is refused at its turn when somebody has enabled the pair meanwhile, and nothing is lost', async () => {
    const pair = await withDisabledPair();
    world.clock.advance(31 * DAY_MS);
    const asked = done(await request(pair));
    const [, id = '', digest = ''] = /confirm (\S+) --statement ([0-9a-f]{64})/.exec(asked) ?? [];
    done(await bob('obliterate', 'confirm', id, '--statement', digest));
    await world.gmail.enableKeypair('user-1@acme.example', pair);
    await look('1');
    expect(world.gmail.account('1').pairs.map(({ keypairId }) => keypairId)).toContain(pair);
    expect(await json(bob('obliterate', 'show', id, '--json'))).toMatchObject({
      state: 'refused',
      detail: expect.stringContaining('is not disabled'),
    });
  });

  it('is refused at its turn when the account is gone, like a wish to disable one, and nobody waits for it any more', async () => {
    const pair = await withDisabledPair();
    const current = world.gmail.account('1').pairs.find(({ enabled }) => enabled)?.keypairId ?? '';
    world.clock.advance(31 * DAY_MS);
    const asked = done(await request(pair));
    const [, id = '', digest = ''] = /confirm (\S+) --statement ([0-9a-f]{64})/.exec(asked) ?? [];
    done(await bob('obliterate', 'confirm', id, '--statement', digest));
    await leave('1');
    expect(await world.ledger.readKeypairRequest(id)).toMatchObject({
      state: 'refused',
      detail: 'The account is deleted; its key pairs went with it.',
    });
    world.directory.forget('1');
    const disable = await ana('keypair', 'disable', '1', current, '--reason', 'It was asked for.', '--json');
    const { request: second } = JSON.parse(done(disable)) as { request: string };
    await look('1');
    expect(await world.ledger.readKeypairRequest(second)).toMatchObject({
      state: 'refused',
      detail: 'The account is in no list of the directory; its key pairs went with it.',
    });
    const { user, keys } = await world.ledger.readUser('1');
    expect([user?.state, user?.nextActionAt, keys.length]).toEqual(['out', undefined, 2]);
  });

  it('can be cancelled by any admin, and a second request for the pair waits until then', async () => {
    const pair = await withDisabledPair();
    world.clock.advance(31 * DAY_MS);
    const id = /Request (\S+) waits/.exec(done(await request(pair)))?.[1] ?? '';
    expect((await request(pair)).stderr).toContain('is open already');
    done(await bob('obliterate', 'cancel', id));
    expect((await bob('obliterate', 'cancel', id)).stderr).toContain('is cancelled already');
    done(await request(pair));
  });

  it('refuses a pair in use, a pair that is not ours, somebody unknown and an empty statement', async () => {
    const pair = await withDisabledPair();
    const current = world.gmail.account('1').pairs.find(({ enabled }) => enabled)?.keypairId ?? '';
    const disable = await ana('keypair', 'disable', '1', current, '--reason', 'Just because I can.');
    expect(disable.stderr).toContain('is the one user-1@acme.example uses now');
    expect((await request('foreign')).stderr).toContain('has no key pair foreign that Sealwright made');
    const unknown = await ana('obliterate', 'request', 'x@y.example', pair, '--no-legal-hold', SENTENCE);
    expect(unknown.stderr).toContain('The ledger knows nobody called x@y.example');
    const empty = await ana('obliterate', 'request', '1', pair, '--no-legal-hold', 'none');
    expect(empty.stderr).toContain('must say that no legal hold exists');
    expect(await ana('obliterate', 'request', '1', pair)).toMatchObject({ exit: 2 });
    const enabled = await request(current);
    expect(enabled).toMatchObject({ exit: 3 });
    expect(enabled.stderr).toContain('is not disabled: disable it first');
  });
});
