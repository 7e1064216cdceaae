/** Each promise is shown a world that breaks it: a checker that finds nothing there would find nothing anywhere. */

import { randomUUID } from 'node:crypto';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Policy } from '../../shared/domain/policy.ts';
import { madeOffline } from '../../shared/domain/recorded.ts';
import type { RevocationReason } from '../../shared/domain/revocation-reason.ts';
import { buildCrl } from '../../shared/pki/crl.ts';
import { issueCrl } from '../../shared/pki/issue.ts';
import type { AuditEntry } from '../../shared/ports/ledger.ts';
import { look } from '../reconcile/outcome.ts';
import { type MemoryDatabase, memoryDatabase } from '../support/fakes/ledger/ledger.ts';
import { drawnKeyDetector } from '../support/fakes/plain-keys.ts';
import {
  CAUSE,
  createWorld,
  KEY_SERVICE_URL,
  type Materials,
  makeMaterials,
  type World,
} from '../support/fakes/world.ts';
import { GROUP, isObserved, POLICIES } from './company.ts';
import {
  assertArrived,
  assertKept,
  assertUntouched,
  dismissalOf,
  type Ending,
  holdingsOf,
} from './expected.ts';
import {
  assertForeseen,
  assertGmailAgrees,
  assertNoPlainKey,
  type Sight,
  Violated,
  type Watch,
  watch,
} from './invariants.ts';

const ANA = '101';
const BEN = '102';

let materials: Materials;
beforeAll(async () => {
  materials = await makeMaterials();
});

let memory: MemoryDatabase;
let world: World;
let sight: Sight;
let seen: Watch;
/** Two people who have everything they should. */
beforeEach(async () => {
  materials.pool.startOver();
  memory = memoryDatabase();
  world = await createWorld(materials, { rows: { memory, randomId: randomUUID } });
  for (const userId of [ANA, BEN]) {
    world.directory.put({ userId, primaryEmail: `a-${userId}@acme.example` });
    await look(world.deps, userId);
  }
  sight = {
    ...{ rows: () => memory.look(), gmail: world.gmail, directory: world.directory, bucket: world.bucket },
    policies: () => [POLICIES[0] ?? expect.unreachable()],
  };
  seen = watch(sight);
  seen.check();
});
afterEach(() => world.close());

const rows = () => memory.look();
const leafOf = (userId: string) =>
  [...rows().leaves.values()].find((leaf) => leaf.userId === userId) ?? expect.unreachable();
const nowMs = () => world.clock.now().getTime();
const ending = (): Ending => ({
  ...{
    sight,
    policy: POLICIES[0] ?? expect.unreachable(),
    nowMs: nowMs(),
    switchedOff: new Set(),
  },
});
const agrees = () => assertGmailAgrees(sight, ANA, nowMs());

async function revoke(userId: string, reason: RevocationReason = 'superseded'): Promise<void> {
  const lease = (await world.ledger.acquireLease(`user:${userId}`, 60_000)) ?? expect.unreachable();
  await world.ledger.recordRevocation(lease, { serialHex: leafOf(userId).serialHex, reason });
}

/** As somebody with the bucket's key and the CA's could. */
async function publishAnyhow(crlNumber: bigint): Promise<void> {
  const { certificateDer } = world.issuer;
  const { tbsDer } = buildCrl({
    issuerCertificateDer: certificateDer,
    crlNumber,
    now: world.clock.now(),
    entries: [],
  });
  const signer = materials.authority.issuingSigner;
  const signingTime = world.clock.now();
  const [name] = world.bucket.names;
  world.bucket.overwrite(
    name ?? '',
    await issueCrl({
      tbsDer: madeOffline(tbsDer),
      issuerCertificateDer: certificateDer,
      signer,
      signingTime,
    }),
  );
}

describe('the checkers find nothing in a world that is in order', () => {
  test('and everybody in it has arrived', () => {
    seen.check();
    for (const userId of [ANA, BEN]) assertArrived(ending(), userId);
    assertForeseen(rows(), leafOf(ANA).tbsDer);
    assertNoPlainKey(drawnKeyDetector(materials.pool), 'the log', world.log.lines);
  });
});

describe('the checkers find', () => {
  test('a signature that the ledger did not foresee', () => {
    const other = materials.authority.unsignedLeaf().tbsDer;
    expect(() => assertForeseen(rows(), other)).toThrow(/did not foresee/);
  });

  test('a signature over a key that was compromised', () => {
    const leaf = leafOf(ANA);
    const spki = rows().keys.get(leaf.keyId)?.spkiSha256Hex ?? '';
    rows().blocked.set(spki, {
      spkiSha256Hex: spki,
      serialHex: leaf.serialHex,
      blockedAt: world.clock.now(),
    });
    expect(() => assertForeseen(rows(), leaf.tbsDer)).toThrow(/compromised/);
  });

  test('somebody with two identities', async () => {
    const [use] = [...world.gmail.account(ANA).identities.values()];
    const account = world.gmail.account(ANA).identities as Map<string, NonNullable<typeof use>>;
    account.set('b-101@acme.example', use ?? expect.unreachable());
    expect(agrees).toThrow(/has the identities/);
  });

  test('somebody with identities of three addresses', () => {
    const identitiesOf = (userId: string) =>
      world.gmail.account(userId).identities as Map<string, { kind: 'dual'; keypairId: string }>;
    const [use] = [...identitiesOf(ANA).values()];
    identitiesOf(ANA).set('b-101@acme.example', use ?? expect.unreachable());
    seen.check();
    identitiesOf(ANA).set('c-101@acme.example', use ?? expect.unreachable());
    expect(() => seen.check()).toThrow(/101 has identities of more than two addresses/);
  });

  test('an identity on a pair that the ledger does not know', async () => {
    world.gmail.setIdentityByHand(ANA, world.gmail.addForeignPair(ANA, await materials.authority.leaf()));
    expect(agrees).toThrow(/which the ledger does not know/);
  });

  test('an identity on a certificate that is revoked', async () => {
    await revoke(ANA);
    expect(agrees).toThrow(/revoked or over/);
  });

  test('a revocation that is gone, and one that has become another', async () => {
    await revoke(ANA);
    seen.check();
    const { serialHex } = leafOf(ANA);
    const revocation = rows().revocations.get(serialHex) ?? expect.unreachable();
    rows().revocations.set(serialHex, { ...revocation, reason: 'keyCompromise' });
    expect(() => seen.check()).toThrow(/gone or another/);
    rows().revocations.delete(serialHex);
    expect(() => seen.check()).toThrow(/gone or another/);
  });

  test('a CRL whose number does not grow', async () => {
    await publishAnyhow(1n);
    expect(() => seen.check()).toThrow(/went from 1 to 1/);
  });

  test('a CRL that lists somebody no more', async () => {
    await revoke(ANA);
    await world.publishCrl();
    seen.check();
    await publishAnyhow(9n);
    expect(() => seen.check()).toThrow(/no more/);
  });

  test('two certificates of two people that name one address', () => {
    rows().leaves.set('7f', { ...leafOf(BEN), serialHex: '7f', addresses: leafOf(ANA).addresses });
    expect(() => seen.check()).toThrow(/both name a-101@acme.example/);
  });

  test('somebody who waits in a held set that another has absorbed', () => {
    const steps = [{ kind: 'revoke-leaf', target: leafOf(BEN).serialHex }] as const;
    const departure = { setId: 1n, userId: BEN, primaryEmail: '', steps, heldAt: world.clock.now() };
    const set = { setId: 1n, scope: 'unit:/a', reason: 'So.', openedAt: world.clock.now() } as const;
    rows().departures.push({ ...departure, state: 'held', isStanding: true });
    rows().heldSets.set(1n, { ...set, state: 'open' });
    seen.check();
    rows().heldSets.set(1n, { ...set, state: 'absorbed', absorbedBy: 2n });
    expect(() => seen.check()).toThrow(/102 waits in held set 1, which is absorbed/);
  });

  test('a certificate lost by a departure that was held, or that nobody asked the guard about', async () => {
    const lease = (await world.ledger.acquireLease(`user:${ANA}`, 60_000)) ?? expect.unreachable();
    const { serialHex } = leafOf(ANA);
    const line = (step: string, outcome: 'intended' | 'refused' | 'done', details = {}) =>
      ({ userId: ANA, cause: CAUSE, step, outcome, reason: 'They left.', details }) as const;
    const audit = line('revoke-leaf', 'done', { serialHex, departure: true });
    await world.ledger.recordRevocation(lease, { serialHex, reason: 'superseded', audit });
    const lost = new RegExp(`lost ${serialHex} by a departure that nobody let through`);
    expect(() => watch(sight).check()).toThrow(lost);
    const ruledThenLost = async (outcome: 'intended' | 'refused') => {
      await world.ledger.audit(line('guard', outcome));
      await world.ledger.audit(audit);
    };
    rows().audit.length = 0;
    await ruledThenLost('intended');
    watch(sight).check();
    await ruledThenLost('refused');
    expect(() => watch(sight).check()).toThrow(lost);
  });

  test.each([
    ['by id', [BEN], 'affiliationChanged', true],
    [
      'by an address that was seen with nobody since',
      [`a-${BEN}@acme.example`],
      'cessationOfOperation',
      true,
    ],
    [
      'by an address that somebody else was seen with since',
      ['b@acme.example'],
      'cessationOfOperation',
      false,
    ],
    ['by an address, while present', [`a-${BEN}@acme.example`], 'affiliationChanged', false],
    ['under one of two policies that a look may go by', [], 'cessationOfOperation', false],
    ['not at all', [ANA], 'cessationOfOperation', false],
  ] as const)(
    'a departure that nobody approved of somebody protected %s',
    async (_how, users, reason, isFound) => {
      const lease = (await world.ledger.acquireLease(`user:${BEN}`, 60_000)) ?? expect.unreachable();
      const { serialHex } = leafOf(BEN);
      for (const userId of [BEN, ANA]) {
        const seenWith = (await world.ledger.acquireLease(`user:${userId}`, 60_000)) ?? lease;
        const primaryEmail = `a-${userId}@acme.example`;
        await world.ledger.recordSighting(seenWith, { userId, primaryEmail, aliases: ['b@acme.example'] });
      }
      const [policy] = POLICIES;
      if (policy === undefined) return expect.unreachable();
      const protecting = (names: readonly string[]): Policy => ({
        ...policy,
        protected: { ...policy.protected, users: names },
      });
      const policies = () => (users.length === 0 ? [policy, protecting([BEN])] : [protecting(users)]);
      const line = (step: string, outcome: 'intended' | 'done', details = {}) =>
        ({ userId: BEN, cause: CAUSE, step, outcome, reason: 'They left.', details }) as const;
      await world.ledger.audit(line('guard', 'intended'));
      const lost = (details = {}) => line('revoke-leaf', 'done', { serialHex, departure: true, ...details });
      await world.ledger.recordRevocation(lease, { serialHex, reason, audit: lost({ heldSet: 1 }) });
      watch({ ...sight, policies }).check();
      await world.ledger.audit(lost());
      const check = () => watch({ ...sight, policies }).check();
      if (isFound) expect(check).toThrow(`102 is protected and lost ${serialHex}, which nobody approved`);
      else check();
    },
  );

  const LEGAL = { orgUnitPath: '/Staff/Legal' };
  const LEFT = 'cessationOfOperation';
  test.each([
    ['a super admin', { superAdmins: true }, { superAdmin: true }, 2, LEFT, true],
    ['one of a unit', { orgUnits: [{ path: '/Staff/Legal' }] }, LEGAL, 2, LEFT, true],
    ['one of a group', { groups: [{ address: 'vip@acme.example' }] }, {}, 2, LEFT, true],
    [
      'a super admin that one look may have missed',
      { superAdmins: true },
      { superAdmin: true },
      1,
      LEFT,
      false,
    ],
    [
      'a super admin, while present',
      { superAdmins: true },
      { superAdmin: true },
      2,
      'affiliationChanged',
      false,
    ],
    ['one of another unit', { orgUnits: [{ path: '/Staff/Legal' }] }, {}, 2, LEFT, false],
  ] as const)(
    'a departure that nobody approved of somebody deleted who was last seen as %s',
    async (_what, protecting, found, sightings, reason, isFound) => {
      const [policy] = POLICIES;
      if (policy === undefined) return expect.unreachable();
      world.directory.members.set('vip@acme.example', new Set([BEN]));
      world.directory.put({ userId: BEN, ...found });
      const policies = () => [{ ...policy, protected: { ...policy.protected, ...protecting } }];
      const { check } = watch({ ...sight, policies });
      check();
      const lease = (await world.ledger.acquireLease(`user:${BEN}`, 60_000)) ?? expect.unreachable();
      for (let seenLike = 0; seenLike < sightings; seenLike += 1) {
        world.clock.advance(1_000);
        await world.ledger.recordSighting(lease, {
          userId: BEN,
          primaryEmail: `a-${BEN}@acme.example`,
          aliases: [],
        });
        check();
      }
      world.directory.remove(BEN);
      const { serialHex } = leafOf(BEN);
      const line = (step: string, outcome: 'intended' | 'done', details = {}) =>
        ({ userId: BEN, cause: CAUSE, step, outcome, reason: 'They left.', details }) as const;
      await world.ledger.audit(line('guard', 'intended'));
      const audit = line('revoke-leaf', 'done', { serialHex, departure: true });
      await world.ledger.recordRevocation(lease, { serialHex, reason, audit });
      if (isFound) expect(check).toThrow(`102 is protected and lost ${serialHex}, which nobody approved`);
      else check();
    },
  );

  test.each(['hex', 'base64', 'base64url'] as const)(
    'a plain key in %s, in the log or in a write',
    (encoding) => {
      const [key] = materials.pool.keys;
      const text = Buffer.from(key?.pkcs8Der ?? []).toString(encoding);
      const holds = drawnKeyDetector(materials.pool);
      expect(() => assertNoPlainKey(holds, 'the log', [{ fields: { reason: `key ${text}` } }])).toThrow(
        Violated,
      );
      expect(() => assertNoPlainKey(holds, 'a write', [{ wrappedKey: key?.pkcs8Der }])).toThrow(Violated);
    },
  );

  test('somebody who is ready with a certificate whose key another key service holds', () => {
    const elsewhere = POLICIES.find(({ rules }) =>
      rules.some(({ keyServiceUrl }) => keyServiceUrl !== KEY_SERVICE_URL),
    );
    const moved = { ...ending(), policy: elsewhere ?? expect.unreachable() };
    expect(() => assertArrived(moved, ANA)).toThrow(/has no certificate for a-101@acme.example under/);
  });

  test('somebody whose identity is of another kind of keys than the rule wants, or whose certificate lacks an alias', () => {
    const [split, named] = [
      POLICIES.find(({ rules }) => rules.some(({ profile }) => profile === 'split')),
      POLICIES.find(({ rules }) =>
        rules.some(({ aliases, profile }) => aliases === 'at-once' && profile !== 'split'),
      ),
    ];
    const under = (policy: Policy = expect.unreachable()) => ({ ...ending(), policy });
    expect(() => assertArrived(under(split), ANA)).toThrow(
      /identity of dual keys under a rule of profile split/,
    );
    assertArrived(under(named), ANA);
    world.directory.put({ userId: ANA, aliases: ['alias@acme.example'] });
    expect(() => assertArrived(under(named), ANA)).toThrow(/has no certificate for a-101@acme.example/);
  });

  test('somebody who lost what an admin had decided not to take, or who is kept and called gone', async () => {
    world.directory.put({ userId: BEN, orgUnitPath: '/Contractors' });
    const steps = [
      { kind: 'revoke-leaf', target: leafOf(BEN).serialHex, revocationReason: 'affiliationChanged' },
      { kind: 'delete-identity', target: 'a-102@acme.example' },
      { kind: 'disable-keypair', target: world.gmail.account(BEN).pairs[0]?.keypairId ?? '' },
    ] as const;
    const departure = {
      ...{ setId: 1n, userId: BEN, primaryEmail: 'a-102@acme.example', steps, heldAt: world.clock.now() },
      ...{ state: 'dismissed' as const, isStanding: true },
    };
    const dismissal = dismissalOf(sight, departure);
    assertKept(sight, dismissal);
    rows().departures.push(departure);
    expect(() => assertArrived(ending(), BEN)).toThrow(/kept by an admin's word and is ready/);
    const user = rows().users.get(BEN) ?? expect.unreachable();
    rows().users.set(BEN, { ...user, state: 'leaving' });
    assertArrived(ending(), BEN);
    const took = (kind: string) => () => expect(() => assertKept(sight, dismissal)).toThrow(`${kind} took`);
    world.gmail.disablePairsByHand(BEN);
    took('disable-keypair')();
    world.gmail.deleteIdentityByHand(BEN);
    took('delete-identity')();
    await revoke(BEN);
    took('revoke-leaf')();
  });

  test.each([
    ['at once', ['guard', 'revoke-leaf', 'issue-leaf'], true],
    ['and revoked after an overlap', ['guard', 'issue-leaf', 'revoke-leaf'], true],
    ['before the departure ended', ['issue-leaf', 'guard', 'revoke-leaf'], false],
    ['by what was issued before', ['issue-leaf', 'guard', 'retire-leaf', 'revoke-leaf'], true],
    ['before, and not since', ['retire-leaf', 'issue-leaf', 'guard', 'revoke-leaf'], false],
    ['while the departure still stood', ['issue-leaf', 'revoke-leaf', 'guard'], false],
  ] as const)(
    'a kept certificate that is revoked, unless it was replaced since (%s)',
    async (_when, told, isKept) => {
      const { serialHex } = leafOf(BEN);
      const steps = [{ kind: 'revoke-leaf', target: serialHex }] as const;
      const departure = { setId: 1n, userId: BEN, primaryEmail: '', steps, heldAt: world.clock.now() };
      const dismissal = dismissalOf(sight, { ...departure, state: 'dismissed' });
      // What joining wrote is of no account here.
      rows().audit.length = 0;
      for (const step of told)
        await world.ledger.audit({
          ...{ userId: BEN, cause: CAUSE, step, reason: 'As told.' },
          ...(step === 'guard'
            ? { outcome: 'ignored' }
            : { outcome: 'done', details: { serialHex, departure: false } }),
        });
      await revoke(BEN);
      const kept = () => assertKept(sight, dismissal);
      if (isKept) kept();
      else expect(kept).toThrow('revoke-leaf took');
    },
  );

  test.each([
    ['replaced by one of another address', false, ['ignored'], ['set-identity', 'delete-identity'], true],
    ['taken without a successor', false, ['ignored'], ['delete-identity'], false],
    [
      'taken by another departure that was let through',
      true,
      ['ignored', 'intended'],
      ['delete-identity'],
      true,
    ],
    ['taken by a departure nobody asked the guard about', true, ['ignored'], ['delete-identity'], false],
    ['taken by the departure that was dismissed', true, ['intended'], ['delete-identity'], false],
  ] as const)('a kept identity that is %s', async (_how, departs, ruled, told, isKept) => {
    const address = 'a-102@acme.example';
    const steps = [{ kind: 'delete-identity', target: address }] as const;
    const departure = { setId: 1n, userId: BEN, primaryEmail: '', steps, heldAt: world.clock.now() };
    const dismissal = dismissalOf(sight, { ...departure, state: 'dismissed' });
    rows().audit.length = 0;
    const tell = (line: Pick<AuditEntry, 'step' | 'outcome'> & Partial<AuditEntry>) =>
      world.ledger.audit({ userId: BEN, cause: CAUSE, reason: 'As told.', ...line });
    for (const outcome of ruled) await tell({ step: 'guard', outcome });
    for (const step of told) await tell({ step, outcome: 'done', details: { address, departure: departs } });
    world.gmail.deleteIdentityByHand(BEN);
    const kept = () => assertKept(sight, dismissal);
    if (isKept) kept();
    else expect(kept).toThrow('delete-identity took');
  });

  test.each([
    ['an address that somebody else has gained', false, true],
    ['an address of theirs', undefined, false],
    ['such an address, if it went with the departure that was dismissed', true, false],
  ])('a kept certificate that is revoked and names %s', async (_which, departure, isKept) => {
    const { serialHex, addresses } = leafOf(BEN);
    const steps = [{ kind: 'revoke-leaf', target: serialHex }] as const;
    const held = { setId: 1n, userId: BEN, primaryEmail: '', steps, heldAt: world.clock.now() };
    const dismissal = dismissalOf(sight, { ...held, state: 'dismissed' });
    rows().audit.length = 0;
    const address = addresses[0] ?? expect.unreachable();
    if (departure !== undefined)
      rows().addresses.set(`${address} ${ANA}`, {
        ...{ address, userId: ANA, lastSeen: world.clock.now(), sighting: 1 },
      });
    await world.ledger.audit({
      ...{ userId: BEN, cause: CAUSE, step: 'revoke-leaf', reason: 'As told.', outcome: 'done' },
      details: { serialHex, departure: departure ?? false },
    });
    await revoke(BEN);
    const kept = () => assertKept(sight, dismissal);
    if (isKept) kept();
    else expect(kept).toThrow('revoke-leaf took');
  });

  test('no kept certificate whose key was reported as compromised, which is revoked whatever was decided', async () => {
    const steps = [{ kind: 'revoke-leaf', target: leafOf(BEN).serialHex }] as const;
    const departure = { setId: 1n, userId: BEN, primaryEmail: '', steps, heldAt: world.clock.now() };
    const dismissal = dismissalOf(sight, { ...departure, state: 'dismissed' });
    await revoke(BEN, 'keyCompromise');
    assertKept(sight, dismissal);
  });

  test('whoever waits for an address of somebody who is kept, unless they say so', () => {
    const [address] = leafOf(BEN).addresses;
    rows().departures.push({
      ...{ setId: 1n, userId: BEN, primaryEmail: address ?? '', steps: [], heldAt: world.clock.now() },
      ...{ state: 'held', isStanding: true },
    });
    world.directory.put({ userId: BEN, primaryEmail: 'moved@acme.example' });
    world.directory.put({ userId: ANA, primaryEmail: address ?? '' });
    expect(() => assertArrived(ending(), ANA)).toThrow(/no identity/);
    const user = rows().users.get(ANA) ?? expect.unreachable();
    rows().users.set(ANA, { ...user, state: 'pending', nextAction: 'wait-for-address' });
    assertArrived(ending(), ANA);
    rows().users.set(ANA, { ...user, state: 'leaving', nextAction: 'ask-guard-again' });
    expect(() => assertArrived(ending(), ANA), 'who is not kept herself').toThrow(/leaving and not ready/);
    const [departure] = rows().departures;
    if (departure !== undefined) rows().departures.push({ ...departure, userId: ANA, state: 'dismissed' });
    assertArrived(ending(), ANA);
    rows().departures.shift();
    expect(() => assertArrived(ending(), ANA), 'nobody else is kept').toThrow(/leaving and not ready/);
    rows().departures.length = 0;
    rows().users.set(ANA, { ...user, state: 'pending', nextAction: 'wait-for-address' });
    expect(() => assertArrived(ending(), ANA)).toThrow(/pending and not ready/);
  });

  test('anything given or taken under a policy that only observes', async () => {
    const policy = POLICIES.find(isObserved) ?? expect.unreachable();
    const before = holdingsOf(sight);
    await look({ ...world.deps, policy }, ANA);
    assertUntouched(sight, before);
    world.directory.put({ userId: BEN, orgUnitPath: '/Contractors' });
    assertArrived({ ...ending(), policy }, BEN);
    world.gmail.disablePairsByHand(BEN);
    expect(() => assertUntouched(sight, before)).toThrow(/only observes/);
  });

  test('an identity of somebody undeleted outside every rule, also while a group of the policy is gone', async () => {
    await revoke(BEN);
    const user = rows().users.get(BEN) ?? expect.unreachable();
    rows().users.set(BEN, { ...user, state: 'out' });
    world.directory.put({ userId: BEN, orgUnitPath: '/Contractors' });
    expect(world.directory.members.has(GROUP)).toBe(false);
    expect(() => assertArrived(ending(), BEN)).toThrow(/still there/);
  });

  test('somebody whom nothing brings on: not ready, not out, without identity, with a re-key that stays open', async () => {
    const arrived = (userId: string) => () => assertArrived(ending(), userId);
    world.directory.members.set(GROUP, new Set());
    world.directory.put({ userId: BEN, orgUnitPath: '/Contractors' });
    expect(arrived(BEN)).toThrow(/ready and not out/);
    rows().users.set(BEN, { ...(rows().users.get(BEN) ?? expect.unreachable()), state: 'out' });
    expect(arrived(BEN)).toThrow(/is gone and [0-9a-f]+ is not revoked/);
    await revoke(BEN);
    expect(arrived(BEN)).toThrow(/still there/);
    await world.ledger.recordRekeyJob({
      ...{ requestedBy: 'admin@acme.example', reason: 'superseded' },
      users: [{ userId: ANA, primaryEmail: 'a-101@acme.example' }],
    });
    expect(arrived(ANA)).toThrow(/still open/);
    world.gmail.deleteIdentityByHand(ANA);
    expect(arrived(ANA)).toThrow(/has no identity/);
    const user = rows().users.get(ANA) ?? expect.unreachable();
    rows().users.set(ANA, { ...user, state: 'pending' });
    expect(arrived(ANA)).toThrow(/not ready/);
  });
});
