/**
 * What an admin asks for. Whoever hears nothing asks again, and is told where it is done already; and a minute later `due` finds
 * whoever is to be looked at, whether a hint went out or not.
 */
import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import { settleDeadLetters } from '../../../functions/admin/dead-letters.ts';
import { requestDevice, revokeDevice } from '../../../functions/admin/devices.ts';
import { confirmErasure, requestErasure } from '../../../functions/admin/erasures.ts';
import { decideOnHeld } from '../../../functions/admin/held.ts';
import { requestKeyImport } from '../../../functions/admin/imported-keys.ts';
import { requestKeyMove } from '../../../functions/admin/key-moves.ts';
import { confirmKeypairRequest, requestKeypairChange } from '../../../functions/admin/keypair-requests.ts';
import { activatePolicy } from '../../../functions/admin/policy.ts';
import { requestRekey } from '../../../functions/admin/rekey.ts';
import { startSweep, switchRollout } from '../../../functions/admin/sweeps.ts';
import { isSealwrightError } from '../../../shared/errors.ts';
import { buildCertificationRequest } from '../../../shared/pki/certification-request.ts';
import { signerFromPkcs8 } from '../../../shared/pki/signer.ts';
import { dueForErasure, erasureDigest } from '../../../shared/plan/erasure.ts';
import { heldSetDigest } from '../../../shared/plan/held-set.ts';
import { obliterationStatement, statementDigest } from '../../../shared/plan/obliteration.ts';
import type { ReconcileDeps } from '../../../shared/reconcile/context.ts';
import { ADDRESS, USER_ID } from '../../reconcile/workflows.ts';
import { DAY_MS, HOUR_MS, KEY_SERVICE_URL, type Ports, type World } from '../../support/fakes/world.ts';
import { inForce, policyRule } from '../../support/policy.ts';
import {
  ADMIN,
  type CrashMaterials,
  look,
  lookAtDue,
  NEW_URL,
  OTHER_ADMIN,
  under,
  type Workflow,
} from '../workflow.ts';
import { joined, STRICT, twoDeleted } from './people.ts';

type Look = Partial<ReconcileDeps>;
const IN_USE = { state: 'signed', address: ADDRESS };

const adminDeps = (ports: Ports, policy = ports.deps.policy) => ({
  ...{ ...ports, hintsPerMinute: 100 },
  policies: inForce(policy),
});

/** Asked again, it may be refused because it is done: that is an answer too. */
const orDone = async (asked: Promise<unknown>): Promise<void> => {
  try {
    await asked;
  } catch (error) {
    if (!isSealwrightError(error) || error.kind !== 'permanent') throw error;
  }
};

/** A request that may be repeated, and the looks that follow. */
const request = (
  ask: (ports: Ports, world: World, materials: CrashMaterials) => Promise<unknown>,
  changes: Look = {},
): Pick<Workflow, 'run' | 'again' | 'afterwards'> => ({
  run: ask,
  again: (ports, world, materials) => orDone(ask(ports, world, materials)),
  afterwards: (world) => lookAtDue(world, changes),
});

const trailOf = async (world: World, step: string): Promise<boolean> =>
  (await world.ledger.auditTrail({ limit: 1000 })).some((entry) => entry.step === step);

const rekey = (ports: Ports, reason = 'superseded') =>
  requestRekey(adminDeps(ports), ADMIN, { users: [ADDRESS], reason });

const REKEYS: readonly Workflow[] = [
  {
    name: 'a request for a re-key',
    routes: ['/v1/rekey'],
    leaving: 'one re-key done',
    prepare: (world) => joined(world),
    run: (ports) => rekey(ports),
    // Two requests are two re-keys: an admin who heard nothing looks first whether the one is there.
    again: async (ports) => {
      if ((await ports.ledger.readUser(USER_ID)).openWishes.length === 0) await rekey(ports);
    },
    afterwards: (world) => lookAtDue(world),
    expect: { keys: 2, identities: { [ADDRESS]: 'leaf 2' }, wishes: ['fulfilled'] },
  },
  {
    name: 'the report that the key of somebody who is leaving is compromised',
    leaving: 'the certificate revoked in the grace period, no new key, and the report fulfilled',
    prepare: async (world) => {
      await joined(world);
      world.directory.put({ userId: USER_ID, orgUnitPath: '/Contractors' });
      await look(world);
    },
    run: (ports) => rekey(ports, 'keyCompromise'),
    again: async (ports) => {
      if ((await ports.ledger.readUser(USER_ID)).openWishes.length === 0) await rekey(ports, 'keyCompromise');
    },
    afterwards: (world) => lookAtDue(world),
    expect: {
      ...{ state: 'leaving', keys: 1, wishes: ['fulfilled'] },
      leaves: [{ address: ADDRESS, revoked: expect.stringContaining('keyCompromise') }],
    },
  },
];

const decided = (decision: 'approved' | 'dismissed'): Workflow['run'] => {
  const decide = async (ports: Ports) => {
    const [open] = await ports.ledger.heldSets({ state: 'open' });
    if (open === undefined) return;
    const set = await ports.ledger.readHeldSet(open.setId);
    if (set !== undefined)
      await decideOnHeld({ ...ports, hintsPerMinute: 400 }, ADMIN, heldSetDigest(set), decision);
  };
  return decide;
};

const bothHeld = async (world: World): Promise<void> => {
  await twoDeleted(world);
  await look(world, { policy: STRICT });
};

const HELD: readonly Workflow[] = [
  {
    name: 'the approval of a held set',
    routes: ['/v1/held/DIGEST/approve'],
    leaving: 'its departures carried out',
    prepare: bothHeld,
    ...request(decided('approved'), { policy: STRICT }),
    end: async (world) => (await world.ledger.heldSets({ state: 'any' })).map(({ state }) => state),
    expect: { state: 'out', leaves: [{ address: ADDRESS, revoked: expect.any(String) }] },
    expectMore: ['approved'],
  },
  {
    name: 'the dismissal of a held set',
    routes: ['/v1/held/DIGEST/dismiss'],
    leaving: 'everything as it was',
    prepare: bothHeld,
    ...request(decided('dismissed'), { policy: STRICT }),
    end: async (world) => (await world.ledger.heldSets({ state: 'any' })).map(({ state }) => state),
    expect: { state: 'leaving', nextAction: 'ask-guard-again', leaves: [IN_USE] },
    expectMore: ['dismissed'],
  },
];

const POLICY_TEXT = `version: 1
rules:
  - name: staff
    orgUnit: /Staff
    keyService: ${KEY_SERVICE_URL}
`;

const OPERATION: readonly Workflow[] = [
  {
    name: 'the activation of a policy',
    routes: ['/v1/policy/activate'],
    leaving: 'that one in force, and a line that says by whom',
    prepare: (world) => joined(world),
    ...request((ports) =>
      activatePolicy(adminDeps(ports), ADMIN, { policy: POLICY_TEXT, withoutForecast: true }),
    ),
    end: async (world) => ({
      by: (await world.ledger.latestPolicyActivation())?.activatedBy,
      told: await trailOf(world, 'policy-activated'),
    }),
    expectMore: { by: ADMIN, told: true },
  },
  {
    name: 'a request for a sweep',
    routes: ['/v1/sweeps'],
    leaving: 'one that waits, and a line that says for whom',
    prepare: (world) => joined(world),
    ...request((ports) => startSweep({ ...ports, hintsPerMinute: 100 }, ADMIN, { orgUnit: '/Staff' })),
    end: async (world) => ({
      waiting: (await world.ledger.sweepOverview()).waiting.map(({ scope }) => scope),
      told: await trailOf(world, 'sweep-requested'),
    }),
    expectMore: { waiting: ['/Staff'], told: true },
  },
  {
    name: 'a pause of the rollout',
    routes: ['/v1/rollout'],
    leaving: 'it paused, and a line that says by whom',
    prepare: (world) => joined(world),
    ...request((ports) => switchRollout({ ...ports, hintsPerMinute: 100 }, ADMIN, { paused: true })),
    end: async (world) => ({
      paused: (await world.ledger.rolloutOverview()).paused,
      told: await trailOf(world, 'rollout-paused'),
    }),
    expectMore: { paused: true, told: true },
  },
  ...(['replay', 'drop'] as const).map(
    (decision): Workflow => ({
      name: `a dead letter that is to be ${decision === 'replay' ? 'delivered again' : 'dropped'}`,
      routes: [`/v1/dead-letters/${decision}`],
      leaving: `${decision === 'replay' ? 'it delivered again' : 'nothing delivered'}, none waiting, and a line that says by whom`,
      prepare: async (world) => {
        await joined(world);
        world.deadLetters.letters.push({
          ...{ id: 'letter-1', topic: 'directory-events', subscription: 'directory-events' },
          ...{ data: Buffer.from('{}'), attributes: {}, deliveries: 5 },
          ...{ publishedAt: world.clock.now(), givenUpAt: world.clock.now() },
        } as World['deadLetters']['letters'][number]);
      },
      ...request((ports) => settleDeadLetters(ports, ADMIN, decision, { ids: ['letter-1'] })),
      end: async (world) => ({
        waiting: world.deadLetters.letters.length,
        delivered: new Set(world.deadLetters.republished.map(({ id }) => id)).size,
        told: await trailOf(world, decision === 'replay' ? 'dead-letter-replayed' : 'dead-letter-dropped'),
      }),
      expectMore: { waiting: 0, delivered: decision === 'replay' ? 1 : 0, told: true },
    }),
  ),
];

/** The tables of these are in the real ledger alone. */
export const SQL = { ledger: 'pglite' } as const;

/** Asked for, and looked at by the same process; whoever asks again is told where it is done. */
const carriedOut = (
  ask: (ports: Ports, world: World, materials: CrashMaterials) => Promise<unknown>,
  changes: Look = {},
): Pick<Workflow, 'world' | 'run' | 'again'> => ({
  world: SQL,
  run: async (ports, world, materials) => {
    await ask(ports, world, materials);
    await look(ports, changes);
  },
  again: async (ports, world, materials) => {
    await orDone(ask(ports, world, materials));
    await look(ports, changes);
  },
});

const deviceIds = async ({ ledger }: Pick<World, 'ledger'>) =>
  (await ledger.readUser(USER_ID)).deviceKeys.map(({ keyId }) => keyId);

const askForDevice = async (ports: Ports, _world: World, { device }: CrashMaterials) => {
  const request = await buildCertificationRequest('ana', signerFromPkcs8(device.pkcs8Der));
  await requestDevice(adminDeps(ports), ADMIN, {
    ...{ user: ADDRESS, device: 'Ana’s phone', request: Buffer.from(request).toString('base64') },
  });
};

const DEVICES: readonly Workflow[] = [
  {
    name: 'a request for a device’s certificate',
    routes: ['/v1/devices'],
    leaving: 'one certificate for it, and a line that says who asked',
    prepare: (world) => joined(world),
    ...carriedOut(askForDevice),
    end: async (world) => ({
      devices: (await deviceIds(world)).length,
      told: await trailOf(world, 'device-requested'),
    }),
    expect: { state: 'ready', keys: 1, leaves: [IN_USE, IN_USE], gmailPairs: ['leaf 1 enabled'] },
    expectMore: { devices: 1, told: true },
  },
  {
    name: 'the revocation of a device’s certificate',
    routes: ['/v1/devices/ID/revoke'],
    leaving: 'that one revoked for the reason given, and a line that says by whom',
    prepare: async (world, materials) => {
      await joined(world);
      await askForDevice(world, world, materials);
      await look(world);
      world.clock.advance(HOUR_MS);
    },
    ...carriedOut(async (ports) => {
      const [id] = await deviceIds(ports);
      await revokeDevice(adminDeps(ports), ADMIN, id ?? '', { reason: 'keyCompromise' });
    }),
    end: (world) => trailOf(world, 'device-revoked'),
    expect: {
      state: 'ready',
      leaves: [IN_USE, { ...IN_USE, revoked: expect.stringMatching(/^keyCompromise/) }],
    },
    expectMore: true,
  },
];

/** Somebody with an old pair from before a re-key. */
const withOldPair = async (world: World): Promise<void> => {
  await joined(world);
  await world.ledger.recordRekeyJob({
    ...{ requestedBy: ADMIN, reason: 'superseded' },
    users: [{ userId: USER_ID, primaryEmail: ADDRESS }],
  });
  await look(world);
  world.clock.advance(DAY_MS);
};

const oldPairOf = async ({ ledger }: Pick<World, 'ledger'>) =>
  (await ledger.readUser(USER_ID)).keypairs[0]?.keypairId ?? '';

const requests = async ({ ledger }: Pick<World, 'ledger'>) =>
  (await ledger.keypairRequests({ open: false })).map(({ kind, state }) => `${kind} ${state}`);

/** Each request is one of its own: an admin who heard nothing looks first whether theirs is there. */
const disable = async (ports: Ports) => {
  if ((await requests(ports)).length > 0) return;
  await requestKeypairChange(adminDeps(ports), ADMIN, {
    ...{ kind: 'disable', user: ADDRESS, keypair: await oldPairOf(ports) },
    reason: 'the mail is archived elsewhere',
  });
};

const obliterate = async (ports: Ports) => {
  const keypair = await oldPairOf(ports);
  const noLegalHold = 'no legal hold exists, says the legal department';
  if (!(await requests(ports)).some((asked) => asked.startsWith('obliterate')))
    await requestKeypairChange(adminDeps(ports), ADMIN, {
      kind: 'obliterate',
      user: ADDRESS,
      keypair,
      noLegalHold,
    });
  const asked = (await ports.ledger.keypairRequests({ open: true })).find(
    ({ state }) => state === 'requested',
  );
  const statement = obliterationStatement(await ports.ledger.readUser(USER_ID), keypair);
  if (asked === undefined || statement === undefined) return;
  await confirmKeypairRequest(adminDeps(ports), OTHER_ADMIN, asked.requestId, {
    statement: statementDigest(statement),
  });
};

const PAIRS: readonly Workflow[] = [
  {
    name: 'a request that an old pair be disabled',
    routes: ['/v1/keypair-requests'],
    leaving: 'it disabled and the request done',
    prepare: withOldPair,
    ...carriedOut(disable),
    end: requests,
    expect: { gmailPairs: ['leaf 1 disabled', 'leaf 2 enabled'] },
    expectMore: ['disable done'],
  },
  {
    name: 'an obliteration that one admin asks for and another confirms',
    routes: ['/v1/keypair-requests', '/v1/keypair-requests/ID/confirm'],
    leaving: 'the pair gone for ever and the request done',
    prepare: async (world) => {
      await withOldPair(world);
      await disable(world);
      await look(world);
      world.clock.advance(31 * DAY_MS);
      await world.publishCrl();
    },
    ...carriedOut(obliterate),
    end: requests,
    expect: { gmailPairs: ['leaf 2 enabled'] },
    expectMore: ['obliterate done', 'disable done'],
  },
];

const ERASING = under({ grace: { ...policyRule().grace, wrappedKeysMs: 30 * DAY_MS } });

const eraseDue = async (ports: Ports) => {
  const deps = adminDeps(ports, ERASING);
  const due = dueForErasure(await ports.ledger.keysOfDeleted(), ERASING, ports.clock.now());
  if ((await ports.ledger.erasures()).length === 0)
    await requestErasure(deps, ADMIN, {
      digest: erasureDigest(due),
      noLegalHold: 'Legal confirmed that nobody is on hold.',
    });
  const [asked] = await ports.ledger.erasures();
  if (asked === undefined) throw new Error('No erasure was recorded.');
  await confirmErasure(deps, OTHER_ADMIN, asked.erasureId, { digest: asked.digest });
};

const ERASURES: readonly Workflow[] = [
  {
    name: 'an erasure of a deleted user’s wrapped key that one admin asks for and another confirms',
    routes: ['/v1/erasures', '/v1/erasures/ID/confirm'],
    leaving: 'every wrapped form gone, its fingerprint kept, and the erasure done',
    world: SQL,
    prepare: async (world) => {
      await joined(world);
      world.directory.remove(USER_ID);
      await look(world);
      world.clock.advance(31 * DAY_MS);
      world.directory.forget(USER_ID);
    },
    run: eraseDue,
    // Whoever died meanwhile may hold the user for a minute more.
    again: (ports) => orDone(eraseDue(ports)),
    afterwards: (world) => lookAtDue(world),
    end: async (world) => [
      ...(await world.ledger.erasures()).map(({ state, detail }) => `${state}: ${detail}`),
      ...(await world.ledger.erasedKeys(USER_ID)).map(({ confirmedBy }) => `erased by ${confirmedBy}`),
      `${(await world.ledger.auditTrail({ limit: 1000 })).filter(({ step }) => step === 'erase-wrapped-keys').length} told`,
    ],
    expect: { keys: 0 },
    expectMore: ['done: 1 of 1 wrapped keys are erased.', `erased by ${OTHER_ADMIN}`, '1 told'],
  },
];

const NEW_SERVICE = under({ keyServiceUrl: NEW_URL });

const importOld = async (ports: Ports, world: World, { old }: CrashMaterials) => {
  const spkiSha256Hex = createHash('sha256').update(old.spkiDer).digest('hex');
  // The admin’s own machine has it wrapped; only the wrapped form comes here.
  const { wrappedKey } = await world.keyService.wrapPrivateKey({
    ...{ keyServiceUrl: KEY_SERVICE_URL, privateKeyDer: old.pkcs8Der, spkiSha256Hex, userId: USER_ID },
  });
  const chain = [old.certificateDer, old.caDer].map((der) => Buffer.from(der).toString('base64'));
  await requestKeyImport(adminDeps(ports), ADMIN, {
    ...{ user: ADDRESS, chain, keyService: KEY_SERVICE_URL, wrappedKey },
  });
};

const servicesOfPairs = async (world: World) =>
  world.gmail
    .account(USER_ID)
    .pairs.map(({ privateKey, enabled }) =>
      'keyServiceUrl' in privateKey
        ? `${privateKey.keyServiceUrl} ${enabled ? 'enabled' : 'disabled'}`
        : 'card',
    );

const MOVES_AND_IMPORTS: readonly Workflow[] = [
  {
    name: 'a request that old pairs move to another key service',
    routes: ['/v1/key-moves'],
    leaving: 'a second pair under that one and the old one disabled',
    prepare: async (world) => {
      world.gmail.takeSameLeafAgain(true);
      await joined(world);
      await look(world, { policy: NEW_SERVICE });
      world.clock.advance(HOUR_MS);
    },
    ...carriedOut(
      (ports) =>
        requestKeyMove(adminDeps(ports, NEW_SERVICE), ADMIN, {
          ...{ from: KEY_SERVICE_URL, to: NEW_URL, disableOld: true },
        }),
      { policy: NEW_SERVICE },
    ),
    end: servicesOfPairs,
    expectMore: [`${KEY_SERVICE_URL} disabled`, `${NEW_URL} enabled`, `${NEW_URL} enabled`],
  },
  {
    name: 'the import of a key of old mail',
    routes: ['/v1/imported-keys'],
    leaving: 'a pair of its own, which no identity uses',
    prepare: (world) => joined(world),
    ...carriedOut(importOld),
    end: async (world) => (await world.ledger.readUser(USER_ID)).imported?.map(({ state }) => state),
    expect: { gmailPairs: ['leaf 1 enabled', 'import 1 enabled'], identities: { [ADDRESS]: 'leaf 1' } },
    expectMore: ['uploaded'],
  },
];

export const ADMINS: readonly Workflow[] = [
  ...REKEYS,
  ...HELD,
  ...OPERATION,
  ...DEVICES,
  ...PAIRS,
  ...ERASURES,
  ...MOVES_AND_IMPORTS,
];
