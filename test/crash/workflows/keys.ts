/** Keys and certificates that are replaced, for whatever reason, and what Gmail has of them. */
import { activate } from '../../../shared/authority/activate.ts';
import { publishCrl } from '../../../shared/authority/publish-crl.ts';
import { addressesOf } from '../../../shared/pki/issuer-addresses.ts';
import type { CardKey } from '../../../shared/ports/card-keys.ts';
import { CRL_URL, ISSUER_URL } from '../../pki/sample-authority.ts';
import * as usual from '../../reconcile/workflows.ts';
import { ADDRESS, USER_ID } from '../../reconcile/workflows.ts';
import { DAY_MS, HOUR_MS, type Ports, START, type World } from '../../support/fakes/world.ts';
import { policyOf, policyRule } from '../../support/policy.ts';
import { ADMIN, type CrashMaterials, look, NEW_URL, oneLook, under, type Workflow } from '../workflow.ts';
import { joined } from './people.ts';

const SPLIT = under({ profile: 'split' });
const IN_USE = { state: 'signed', address: ADDRESS };
const REVOKED = { ...IN_USE, revoked: 'keyCompromise at 2026-11-22T13:00:00.000Z' };

const compromised = async (world: World, disableKeypairs = false): Promise<void> => {
  await world.ledger.recordRekeyJob({
    requestedBy: ADMIN,
    ...{ reason: 'keyCompromise', invalidityDate: START, disableKeypairs },
    users: [{ userId: USER_ID, primaryEmail: ADDRESS }],
  });
};

const REKEYS: readonly Workflow[] = [
  {
    name: 'a re-key',
    leaving: 'the new key in use and the old leaf retired',
    prepare: usual.REKEY.prepare,
    run: oneLook(),
    expect: {
      state: 'ready',
      nextAction: 'revoke-replaced',
      keys: 2,
      leaves: [{ ...IN_USE, retired: 'superseded due 2026-11-25T13:00:00.000Z' }, IN_USE],
      recordedPairs: ['created: leaf 1 as leaf 1', 'created: leaf 2 as leaf 2'],
      gmailPairs: ['leaf 1 enabled', 'leaf 2 enabled'],
      identities: { [ADDRESS]: 'leaf 2' },
      openWishes: 0,
      wishes: ['fulfilled'],
    },
  },
  {
    name: 'a re-key after a compromise',
    leaving: 'the old leaf revoked at once',
    prepare: usual.COMPROMISE.prepare,
    run: oneLook(),
    expect: {
      state: 'ready',
      nextAction: 'renew',
      keys: 2,
      leaves: [REVOKED, IN_USE],
      recordedPairs: ['created: leaf 1 as leaf 1', 'created: leaf 2 as leaf 2'],
      gmailPairs: ['leaf 1 enabled', 'leaf 2 enabled'],
      identities: { [ADDRESS]: 'leaf 2' },
      openWishes: 0,
      wishes: ['fulfilled'],
    },
  },
  {
    name: 'a re-key after a compromise that disables the old pair',
    leaving: 'the old pair disabled',
    prepare: async (world) => {
      await joined(world);
      await compromised(world, true);
    },
    run: oneLook(),
    end: async (world) => (await world.ledger.readUser(USER_ID)).keypairs[0]?.disabled?.because,
    expect: {
      leaves: [REVOKED, IN_USE],
      gmailPairs: ['leaf 1 disabled', 'leaf 2 enabled'],
      identities: { [ADDRESS]: 'leaf 2' },
      wishes: ['fulfilled'],
    },
    expectMore: 'compromised',
  },
  {
    name: 'the overlap after a re-key',
    leaving: 'the replaced leaf revoked for the reason decided then',
    prepare: usual.OVERLAP_END.prepare,
    run: oneLook(),
    expect: {
      state: 'ready',
      nextAction: 'renew',
      leaves: [{ revoked: 'superseded at 2026-11-25T14:00:00.000Z' }, IN_USE],
      identities: { [ADDRESS]: 'leaf 2' },
    },
  },
  {
    name: 'a renewal',
    leaving: 'the new leaf in use and the old one left to run out',
    prepare: usual.RENEWAL.prepare,
    run: oneLook(),
    expect: {
      state: 'ready',
      nextAction: 'renew',
      keys: 2,
      leaves: [IN_USE, IN_USE],
      recordedPairs: ['created: leaf 1 as leaf 1', 'created: leaf 2 as leaf 2'],
      gmailPairs: ['leaf 1 enabled', 'leaf 2 enabled'],
      identities: { [ADDRESS]: 'leaf 2' },
      openWishes: 0,
      wishes: [],
    },
  },
  {
    name: 'a renewal that keeps the key',
    leaving: 'two leaves over one key',
    prepare: usual.RENEWAL.prepare,
    run: oneLook({ policy: under({ renewKey: 'same' }) }),
    expect: { state: 'ready', keys: 1, leaves: [IN_USE, IN_USE], identities: { [ADDRESS]: 'leaf 2' } },
  },
  {
    name: 'a join with split keys',
    leaving: 'two keys, two pairs and one identity of both',
    prepare: usual.JOIN.prepare,
    run: oneLook({ policy: SPLIT }),
    expect: { keys: 2, leaves: [IN_USE, IN_USE], identities: { [ADDRESS]: 'leaf 1 and leaf 2' } },
  },
  {
    name: 'a re-key of split keys after a compromise',
    leaving: 'both replaced',
    prepare: async (world) => {
      await joined(world, { policy: SPLIT });
      await compromised(world);
    },
    run: oneLook({ policy: SPLIT }),
    expect: {
      keys: 4,
      leaves: [REVOKED, REVOKED, IN_USE, IN_USE],
      identities: { [ADDRESS]: 'leaf 3 and leaf 4' },
      wishes: ['fulfilled'],
    },
  },
  {
    name: 'a change from one key to split keys',
    leaving: 'the identity on both and the first pair enabled',
    prepare: (world) => joined(world),
    run: oneLook({ policy: SPLIT }),
    expect: {
      gmailPairs: ['leaf 1 enabled', 'leaf 2 enabled', 'leaf 3 enabled'],
      identities: { [ADDRESS]: 'leaf 2 and leaf 3' },
    },
  },
  {
    name: 'a change from split keys to one key',
    leaving: 'the identity on the one and both pairs enabled',
    prepare: (world) => joined(world, { policy: SPLIT }),
    run: oneLook(),
    expect: {
      gmailPairs: ['leaf 1 enabled', 'leaf 2 enabled', 'leaf 3 enabled'],
      identities: { [ADDRESS]: 'leaf 3' },
    },
  },
  {
    name: 'a change of key service',
    leaving: 'a key of the new one in use and the old pair enabled',
    prepare: (world) => joined(world),
    run: oneLook({ policy: under({ keyServiceUrl: NEW_URL }) }),
    expect: {
      keys: 2,
      leaves: [IN_USE, IN_USE],
      gmailPairs: ['leaf 1 enabled', 'leaf 2 enabled'],
      identities: { [ADDRESS]: 'leaf 2' },
    },
  },
];

const NEXT_ISSUER_ID = 'issuing-2';

/** Another issuer has taken over, and its CRL is out. */
async function rolled(world: World, { next }: CrashMaterials): Promise<void> {
  const keyVersion = 'projects/acme/secrets/issuing-key-2/versions/1';
  const elsewhere = (url: string) => url.replace('issuing', NEXT_ISSUER_ID);
  world.secrets.put(keyVersion, next.issuing.pkcs8Der);
  const issuer = {
    ...{ issuerId: NEXT_ISSUER_ID, certificateDer: next.issuing.certificateDer, keyVersion },
    ...{ chainDer: [next.root.certificateDer], issuerUrl: elsewhere(ISSUER_URL), crlUrl: elsewhere(CRL_URL) },
    state: 'prepared' as const,
  };
  await world.ledger.recordIssuer(issuer);
  for (const address of addressesOf(issuer)) {
    const found = { ...address, sha256Hex: '0'.repeat(64), found: 'as expected' };
    await world.ledger.recordAddressCheck(NEXT_ISSUER_ID, found);
  }
  await publishCrl(world.crlDeps, issuer, { eventId: 'test', event: 'schedule' });
  await activate(world, NEXT_ISSUER_ID);
}

const issuersOfLeaves = async (world: World) =>
  (await world.ledger.readUser(USER_ID)).leaves.map(({ issuerId }) => issuerId);

const ISSUERS: readonly Workflow[] = [
  {
    name: 'a renewal after the issuer rolled',
    leaving: 'a leaf of the next issuer in use',
    prepare: async (world, materials) => {
      await joined(world);
      world.clock.advance(345 * DAY_MS);
      await rolled(world, materials);
    },
    run: oneLook(),
    end: issuersOfLeaves,
    expect: { state: 'ready', leaves: [IN_USE, IN_USE], identities: { [ADDRESS]: 'leaf 2' } },
    expectMore: ['issuing-1', NEXT_ISSUER_ID],
  },
  {
    name: 'a look at somebody whose issuer is retired',
    leaving: 'a leaf of the next issuer in use',
    prepare: async (world, materials) => {
      await joined(world);
      world.clock.advance(DAY_MS);
      await rolled(world, materials);
    },
    run: (ports) => look(ports, { ledger: withRetired(ports) }),
    end: issuersOfLeaves,
    expect: { state: 'ready', leaves: [IN_USE, IN_USE], identities: { [ADDRESS]: 'leaf 2' } },
    expectMore: ['issuing-1', NEXT_ISSUER_ID],
  },
];

/** As after an issuer was taken back by hand: by itself none is retired before its last leaf has ended. */
const withRetired = ({ ledger }: Ports) => ({
  ...ledger,
  issuerStates: async () => new Map([...(await ledger.issuerStates()), ['issuing-1', 'retired' as const]]),
});

/** A card, or an admin, hands over one key after the other. */
const handedOver = ({ pool }: CrashMaterials, which: number): CardKey => ({
  spkiDer: pool.keys[which]?.spkiDer ?? new Uint8Array(),
  modulusBits: 2048,
});

const { keyServiceUrl: _none, ...withoutService } = policyRule({ keySource: 'smart-card' });
const CARDS = policyOf([withoutService]);
const SUPPLIED = under({ keySource: 'supplied' });

const cardsOf = (materials: CrashMaterials, which: number) => ({
  policy: CARDS,
  cardKeys: { find: async () => handedOver(materials, which) },
});
const suppliedOf = (
  materials: CrashMaterials,
  which: number,
  wrappedKey = btoa(`wrapped elsewhere ${which}`),
) => ({
  policy: SUPPLIED,
  suppliedKeys: {
    find: async () => ({ ...handedOver(materials, which), wrappedKey }),
  },
});

const BROUGHT: readonly Workflow[] = [
  {
    name: 'a join with a smart card',
    leaving: 'the card’s key in use and nothing wrapped',
    prepare: usual.JOIN.prepare,
    run: (ports, _, materials) => look(ports, cardsOf(materials, 22)),
    end: async (world) => (await world.ledger.readUser(USER_ID)).keys.map(({ proof }) => proof),
    expect: { state: 'ready', keys: 1, leaves: [IN_USE], identities: { [ADDRESS]: 'leaf 1' } },
    expectMore: ['not-applicable'],
  },
  {
    name: 'a re-key with another card',
    leaving: 'the next card’s key in use',
    prepare: async (world, materials) => {
      await usual.JOIN.prepare(world);
      await look(world, cardsOf(materials, 22));
      world.clock.advance(HOUR_MS);
      await usual.wish(world, 'superseded');
    },
    run: (ports, _, materials) => look(ports, cardsOf(materials, 27)),
    expect: { state: 'ready', keys: 2, identities: { [ADDRESS]: 'leaf 2' }, wishes: ['fulfilled'] },
  },
  {
    name: 'a join with a key that an admin supplied',
    leaving: 'that key in use',
    prepare: usual.JOIN.prepare,
    run: (ports, _, materials) => look(ports, suppliedOf(materials, 22)),
    end: async (world) => (await world.ledger.readUser(USER_ID)).keys.map(({ proof }) => proof),
    expect: { state: 'ready', keys: 1, leaves: [IN_USE], identities: { [ADDRESS]: 'leaf 1' } },
    expectMore: ['unproven'],
  },
];

const notices = async (world: World) =>
  (await world.ledger.readUser(USER_ID)).notices.map(({ kind }) => kind);

const FOUND_IN_GMAIL: readonly Workflow[] = [
  {
    name: 'an identity that somebody deleted and a pair that somebody disabled',
    leaving: 'both as they were',
    prepare: async (world) => {
      await joined(world);
      world.gmail.deleteIdentityByHand(USER_ID);
      world.gmail.disablePairsByHand(USER_ID);
    },
    run: oneLook(),
    expect: { state: 'ready', gmailPairs: ['leaf 1 enabled'], identities: { [ADDRESS]: 'leaf 1' } },
  },
  {
    name: 'an identity on somebody else’s pair',
    leaving: 'ours in use again and the other one left alone and told of',
    prepare: async (world) => {
      await joined(world);
      const foreign = world.gmail.addForeignPair(USER_ID, await world.authority.leaf());
      world.gmail.setIdentityByHand(USER_ID, foreign);
    },
    run: oneLook(),
    end: async (world) => ({
      notices: await notices(world),
      told: new Set(
        (await world.ledger.auditTrail({ userId: USER_ID, limit: 100 }))
          .filter(({ step, details }) => step === 'notice' && details?.['kind'] === 'foreign-keypair')
          .map(({ reason }) => reason),
      ).size,
      logged: new Set(world.log.of('foreign-keypair').map(({ fields }) => fields['notice'])).size,
    }),
    expect: {
      state: 'ready',
      gmailPairs: ['leaf 1 enabled', 'foreign enabled'],
      identities: { [ADDRESS]: 'leaf 1' },
    },
    expectMore: { notices: ['foreign-keypair'], told: 1, logged: 1 },
  },
];

export const KEYS: readonly Workflow[] = [...REKEYS, ...ISSUERS, ...BROUGHT, ...FOUND_IN_GMAIL];
export { rolled, suppliedOf };
