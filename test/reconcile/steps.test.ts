import { createHash } from 'node:crypto';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { publishCrl } from '../../shared/authority/publish-crl.ts';
import { permanent } from '../../shared/errors.ts';
import { surround } from '../support/fakes/calls.ts';
import {
  createWorld,
  DAY_MS,
  HOUR_MS,
  ISSUER_ID,
  KEY_SERVICE_URL,
  type Materials,
  MINUTE_MS,
  makeMaterials,
  type World,
} from '../support/fakes/world.ts';
import { revokedLeaves } from '../support/packed-entries.ts';
import { failing, look, named, PASSING, rowOf } from './outcome.ts';
import { shapeOf } from './shape.ts';
import { ADDRESS, JOIN, LEAVE, REKEY, USER_ID } from './workflows.ts';

let materials: Materials;
let world: World;
beforeAll(async () => {
  materials = await makeMaterials();
});
beforeEach(async () => {
  world = await createWorld(materials, { ledger: 'memory' });
});
afterEach(() => world.close());

const gmailAway = () => PASSING['gmail'] ?? expect.unreachable();

describe('making a key', () => {
  test('keeps only the wrapped form, bound to the user, and wipes the plain one', async () => {
    await JOIN.prepare(world);
    const plain: Uint8Array[] = [];
    await look({
      ...world.deps,
      generateKey: async (modulusBits) => {
        const key = await world.deps.generateKey(modulusBits);
        plain.push(key.pkcs8Der);
        return key;
      },
    });
    const [key] = (await world.ledger.readUser(USER_ID)).keys;
    expect(key).toMatchObject({ proof: 'proven', modulusBits: 2048, keyServiceUrl: KEY_SERVICE_URL });
    expect(world.keyService.opened(key?.wrappedKey ?? '')).toEqual({
      userId: USER_ID,
      spkiSha256Hex: createHash('sha256')
        .update(key?.spkiDer ?? '')
        .digest('hex'),
    });
    expect(plain).toHaveLength(1);
    expect(plain[0]?.every((byte) => byte === 0)).toBe(true);
  });

  test('wipes the plain one also when the key service refuses it', async () => {
    await JOIN.prepare(world);
    const plain: Uint8Array[] = [];
    const keyService = surround(
      'keyService',
      world.keyService,
      failing(permanent('key-service-refused', 'Not you.'), named('wrapPrivateKey')),
    );
    const generateKey = async (modulusBits: number) => {
      const key = await world.deps.generateKey(modulusBits);
      plain.push(key.pkcs8Der);
      return key;
    };
    expect((await look({ ...world.deps, keyService, generateKey })).kind).toBe('stopped');
    expect(plain[0]?.every((byte) => byte === 0)).toBe(true);
    expect((await world.ledger.readUser(USER_ID)).keys).toEqual([]);
  });
});

describe('issuing', () => {
  test('without a CA is blocked and says which command makes one', async () => {
    await JOIN.prepare(world);
    await world.ledger.recordIssuer({ ...world.issuer, state: 'retiring' });
    expect((await look(world.deps)).kind).toBe('stopped');
    expect(await rowOf(world)).toMatchObject({ state: 'blocked' });
    expect((await rowOf(world))?.reason).toContain('sealwright ca init');
  });

  test('by an issuer whose CRL has run out waits and asks for a new one', async () => {
    await JOIN.prepare(world);
    world.clock.advance(7 * DAY_MS);
    await expect(look(world.deps)).rejects.toMatchObject({ code: 'issuer-not-ready', kind: 'retryable' });
    expect(world.bus.crlRequests).toEqual([ISSUER_ID]);
    expect((await world.ledger.readUser(USER_ID)).leaves).toEqual([]);
    expect((await rowOf(world))?.nextAction).toBe('retry-issue-leaf');
    await world.publishCrl();
    expect((await look(world.deps)).kind).toBe('converged');
  });

  test('by a machine whose clock is behind the published CRL waits, and writes no leaf', async () => {
    await JOIN.prepare(world);
    const right = world.clock.now();
    const { thisUpdate } = (await world.ledger.latestPublishedCrl(ISSUER_ID)) ?? expect.unreachable();
    world.clock.set(new Date(thisUpdate.getTime() - 6 * MINUTE_MS));
    await expect(look(world.deps)).rejects.toMatchObject({
      code: 'issuer-not-ready',
      kind: 'retryable',
      message: expect.stringMatching(/clock says .*made at .*until the clock is right/),
    });
    expect((await world.ledger.readUser(USER_ID)).leaves).toEqual([]);
    world.clock.set(right);
    expect((await look(world.deps)).kind).toBe('converged');
  });

  test('by a machine whose clock is four minutes behind goes on', async () => {
    await JOIN.prepare(world);
    const { thisUpdate } = (await world.ledger.latestPublishedCrl(ISSUER_ID)) ?? expect.unreachable();
    world.clock.set(new Date(thisUpdate.getTime() - 4 * MINUTE_MS));
    expect((await look(world.deps)).kind).toBe('converged');
  });

  test('by an issuer that has never published a CRL waits and asks for one', async () => {
    await JOIN.prepare(world);
    await world.ledger.recordIssuer({ ...world.issuer, state: 'retiring' });
    await world.ledger.recordIssuer({ ...world.issuer, issuerId: 'issuing-2' });
    await expect(look(world.deps)).rejects.toMatchObject({ code: 'issuer-not-ready', kind: 'retryable' });
    expect(world.bus.crlRequests).toEqual(['issuing-2']);
  });

  test('goes on while a newer CRL is on its way, because the published one still answers', async () => {
    await JOIN.prepare(world);
    const error = PASSING['signing'] ?? expect.unreachable();
    const signing = surround('signing', world.signing, failing(error, named('signCrl')));
    const cause = { eventId: 'event-1', event: 'schedule' };
    await expect(publishCrl({ ...world.crlDeps, signing }, world.issuer, cause)).rejects.toBe(error);
    expect((await world.ledger.latestCrl(ISSUER_ID))?.state).toBe('intended');
    expect((await look(world.deps)).kind).toBe('converged');
  });

  test('draws another serial when one is taken, and gives up after three', async () => {
    await JOIN.prepare(world);
    await look(world.deps);
    const [taken] = (await world.ledger.readUser(USER_ID)).leaves;
    const bytes = Buffer.from(taken?.serialHex ?? '', 'hex');
    const other = '100000000000000000002';
    world.directory.put({ userId: other });
    let draws = 0;
    const random = (size: number) => {
      draws += 1;
      // A serial is drawn as one byte string; the second draw is another one.
      return draws === 1 ? Uint8Array.from(bytes.subarray(0, size)) : world.deps.random(size);
    };
    expect((await look({ ...world.deps, random }, other)).kind).toBe('converged');
    expect(draws).toBeGreaterThanOrEqual(2);
    expect((await world.ledger.readUser(other)).leaves[0]?.serialHex).not.toBe(taken?.serialHex);

    const third = '100000000000000000003';
    world.directory.put({ userId: third });
    const broken = (size: number) => Uint8Array.from(bytes.subarray(0, size));
    const outcome = await look({ ...world.deps, random: broken }, third);
    expect(outcome).toMatchObject({
      kind: 'stopped',
      stops: [
        {
          step: 'issue-leaf',
          error: {
            code: 'conflict',
            message: `The serial ${taken?.serialHex} exists already: draw another.`,
          },
        },
      ],
    });
    expect((await world.ledger.readUser(third)).leaves).toEqual([]);
    expect((await world.ledger.readLeafIntent(taken?.serialHex ?? ''))?.userId).toBe(USER_ID);
    expect(world.gmail.account(third).pairs).toEqual([]);
  });

  test('finishes what was intended, with the same serial and the same bytes', async () => {
    await JOIN.prepare(world);
    const error = PASSING['signing'] ?? expect.unreachable();
    await expect(look(world.surrounded(failing(error, named('signLeaf'))))).rejects.toBe(error);
    const [intended] = (await world.ledger.readUser(USER_ID)).leaves;
    expect(intended?.state).toBe('intended');
    await look(world.deps);
    const leaves = (await world.ledger.readUser(USER_ID)).leaves;
    expect(leaves.map(({ serialHex }) => serialHex)).toEqual([intended?.serialHex]);
    expect(leaves[0]?.state).toBe('signed');
  });

  test('abandons an intent after a day and lists its serial as revoked, because its signature may exist', async () => {
    await JOIN.prepare(world);
    const error = PASSING['signing'] ?? expect.unreachable();
    await expect(look(world.surrounded(failing(error, named('signLeaf'))))).rejects.toBe(error);
    world.clock.advance(DAY_MS + HOUR_MS);
    await look(world.deps);
    expect((await shapeOf(world)).leaves).toEqual([
      { state: 'intended', address: ADDRESS, revoked: 'superseded at 2026-11-23T13:00:00.000Z' },
      { state: 'signed', address: ADDRESS },
    ]);
    const revoked = await revokedLeaves(world.ledger, ISSUER_ID);
    expect(revoked).toHaveLength(1);
  });
});

describe('Gmail', () => {
  test('that made the pair but lost its answer is asked for it, and no second pair is made', async () => {
    await JOIN.prepare(world);
    await expect(look(world.surrounded(failing(gmailAway(), named('createKeypair'), 'after')))).rejects.toBe(
      gmailAway(),
    );
    await look(world.deps);
    expect((await shapeOf(world)).gmailPairs).toEqual(['leaf 1 enabled']);
    const trail = await world.ledger.auditTrail({ userId: USER_ID, limit: 100 });
    expect(trail.filter(({ step }) => step === 'create-keypair').map(({ outcome }) => outcome)).toEqual([
      'failed',
      'adopted',
    ]);
  });

  test('that answers 409 for the pair is asked which one it has', async () => {
    await JOIN.prepare(world);
    const deps = world.surrounded(async (call, perform) => {
      if (call.method === 'createKeypair') await perform();
      return await perform();
    });
    expect((await look(deps)).kind).toBe('converged');
    expect((await shapeOf(world)).gmailPairs).toEqual(['leaf 1 enabled']);
  });

  test('that answers 409 for a pair it does not list is asked again later', async () => {
    await JOIN.prepare(world);
    const deps = world.surrounded(async (call, perform) =>
      call.method === 'createKeypair' ? { kind: 'already-exists' } : await perform(),
    );
    await expect(look(deps)).rejects.toMatchObject({ code: 'gmail-unavailable' });
  });

  test('that made the identity but lost its answer has one identity afterwards', async () => {
    await JOIN.prepare(world);
    await expect(look(world.surrounded(failing(gmailAway(), named('createIdentity'), 'after')))).rejects.toBe(
      gmailAway(),
    );
    await look(world.deps);
    expect((await shapeOf(world)).identities).toEqual({ [ADDRESS]: 'leaf 1' });
  });

  test('whose identity appeared in between has it patched', async () => {
    await JOIN.prepare(world);
    const foreign = world.gmail.addForeignPair(USER_ID, await world.authority.leaf());
    const deps = world.surrounded(async (call, perform) => {
      if (call.method === 'createIdentity') world.gmail.setIdentityByHand(USER_ID, foreign);
      return await perform();
    });
    await look(deps);
    expect((await shapeOf(world)).identities).toEqual({ [ADDRESS]: 'leaf 1' });
  });

  test('whose identity vanished in between gets it created', async () => {
    await REKEY.prepare(world);
    const deps = world.surrounded(async (call, perform) => {
      if (call.method === 'patchIdentity') world.gmail.deleteIdentityByHand(USER_ID);
      return await perform();
    });
    await look(deps);
    expect((await shapeOf(world)).identities).toEqual({ [ADDRESS]: 'leaf 2' });
  });

  test('that says an identity exists and does not exist is asked again later', async () => {
    await JOIN.prepare(world);
    const deps = world.surrounded(async (call, perform) => {
      if (call.method === 'createIdentity') return 'already-exists';
      if (call.method === 'patchIdentity') return 'absent';
      return await perform();
    });
    await expect(look(deps)).rejects.toMatchObject({ code: 'gmail-unavailable' });
  });

  test('in which somebody deleted the identity and disabled the pair is repaired', async () => {
    await JOIN.prepare(world);
    await look(world.deps);
    world.gmail.deleteIdentityByHand(USER_ID);
    world.gmail.disablePairsByHand(USER_ID);
    await look(world.deps);
    expect(await shapeOf(world)).toMatchObject({
      gmailPairs: ['leaf 1 enabled'],
      identities: { [ADDRESS]: 'leaf 1' },
      leaves: [{ state: 'signed' }],
    });
  });

  test('keeps a pair that is not ours, through join and leave', async () => {
    world.directory.put({ userId: USER_ID, primaryEmail: ADDRESS });
    const foreign = world.gmail.addForeignPair(USER_ID, await world.authority.leaf());
    await LEAVE.prepare(world);
    world.gmail.setIdentityByHand(USER_ID, foreign);
    await look(world.deps);
    expect(await shapeOf(world)).toMatchObject({
      state: 'out',
      gmailPairs: ['foreign enabled', 'leaf 1 enabled'],
      identities: { [ADDRESS]: 'foreign' },
    });
  });

  test('gets the chain up to the root and the very wrapped key of the ledger', async () => {
    await JOIN.prepare(world);
    await look(world.deps);
    const { keys, leaves } = await world.ledger.readUser(USER_ID);
    const [pair] = world.gmail.account(USER_ID).pairs;
    expect(pair?.privateKey).toEqual({
      keyServiceUrl: KEY_SERVICE_URL,
      wrappedKey: keys[0]?.wrappedKey,
    });
    expect(Buffer.from(pair?.leafDer ?? '').equals(leaves[0]?.leafDer ?? Buffer.alloc(0))).toBe(true);
  });
});

describe('somebody Gmail is not ready for', () => {
  test('waits 1, 2, 4 … minutes, is blocked after a day, and is served when Gmail is ready', async () => {
    world.directory.put({ userId: USER_ID, primaryEmail: ADDRESS, mailboxReady: false });
    const waits: number[] = [];
    await look(world.deps);
    for (let row = await rowOf(world); row?.state === 'pending'; row = await rowOf(world)) {
      const next = row.nextActionAt ?? expect.unreachable();
      waits.push((next.getTime() - world.clock.now().getTime()) / MINUTE_MS);
      world.clock.set(next);
      await look(world.deps);
    }
    expect(waits.slice(0, 8)).toEqual([1, 2, 4, 8, 16, 32, 60, 60]);
    expect(await rowOf(world)).toMatchObject({
      state: 'blocked',
      reason: 'Waits for Gmail: Gmail has not made the mailbox yet.',
      nextAction: 'ask-gmail-again',
    });
    expect((await world.ledger.readUser(USER_ID)).leaves).toEqual([]);
    world.directory.put({ userId: USER_ID, mailboxReady: true });
    await look(world.deps);
    expect(await rowOf(world)).toMatchObject({ state: 'ready', failures: 0 });
  });

  test('keeps the certificate, and is blocked at once, when client-side encryption is switched off for them', async () => {
    await JOIN.prepare(world);
    await look(world.deps);
    world.gmail.setEnabled(USER_ID, false);
    expect((await look(world.deps)).kind).toBe('converged');
    expect(await shapeOf(world)).toMatchObject({ state: 'blocked', leaves: [{ state: 'signed' }] });
    expect((await rowOf(world))?.reason).toContain('Client-side encryption is off');
  });
});

describe('somebody', () => {
  test('no rule ever covered leaves no trace', async () => {
    world.directory.put({ userId: USER_ID, orgUnitPath: '/Contractors' });
    expect(await look(world.deps)).toMatchObject({ kind: 'converged', verdict: { state: 'out' } });
    expect(await rowOf(world)).toBeUndefined();
    expect(await world.ledger.auditTrail({ limit: 10 })).toHaveLength(1); // the CRL of the set-up
  });

  test('who is in no list any more keeps everything', async () => {
    await JOIN.prepare(world);
    await look(world.deps);
    world.directory.forget(USER_ID);
    await look(world.deps);
    expect(await shapeOf(world)).toMatchObject({ state: 'ready', leaves: [{ state: 'signed' }] });
  });

  test('who is suspended keeps the identity, is revoked after thirty days, and comes back with a new leaf', async () => {
    await JOIN.prepare(world);
    await look(world.deps);
    world.directory.put({ userId: USER_ID, suspended: true });
    await look(world.deps);
    expect(await rowOf(world)).toMatchObject({ state: 'leaving', nextAction: 'revoke' });
    world.clock.advance(30 * DAY_MS);
    await look(world.deps);
    expect(await shapeOf(world)).toMatchObject({
      state: 'out',
      leaves: [{ revoked: expect.stringContaining('privilegeWithdrawn') }],
      identities: { [ADDRESS]: 'leaf 1' },
    });
    world.directory.put({ userId: USER_ID, suspended: false });
    await world.publishCrl();
    await look(world.deps);
    expect(await shapeOf(world)).toMatchObject({ state: 'ready', identities: { [ADDRESS]: 'leaf 2' } });
  });

  test('who comes back within the grace period keeps the certificate', async () => {
    await JOIN.prepare(world);
    await look(world.deps);
    world.directory.put({ userId: USER_ID, orgUnitPath: '/' });
    await look(world.deps);
    world.clock.advance(23 * HOUR_MS);
    world.directory.put({ userId: USER_ID, orgUnitPath: '/Staff' });
    await look(world.deps);
    world.clock.advance(2 * HOUR_MS);
    await look(world.deps);
    expect(await shapeOf(world)).toMatchObject({ state: 'ready', leaves: [{ state: 'signed' }] });
  });
});

describe('each step', () => {
  test('is one line in the audit trail and one in the log, with cause and reason, and no secret', async () => {
    await JOIN.prepare(world);
    await look(world.deps);
    const trail = await world.ledger.auditTrail({ userId: USER_ID, limit: 100 });
    const ended = world.log.of('step-ended');
    expect(trail.map(({ step }) => step)).toEqual([
      'make-key',
      'issue-leaf',
      'create-keypair',
      'set-identity',
    ]);
    expect(ended.map(({ fields }) => fields['step'])).toEqual(trail.map(({ step }) => step));
    for (const line of trail) expect(line).toMatchObject({ cause: { eventId: 'event-1' }, outcome: 'done' });
    const [key] = (await world.ledger.readUser(USER_ID)).keys;
    expect(
      JSON.stringify([trail.map((line) => ({ ...line, id: '', place: '' })), world.log.lines]),
    ).not.toContain(key?.wrappedKey);
  });
});
