/** The CA: made, followed by another, and what it publishes. */
import { createPublishCrl } from '../../../functions/publish-crl.ts';
import { activate } from '../../../shared/authority/activate.ts';
import type { AuthorityDeps } from '../../../shared/authority/deps.ts';
import { importIssuer, installIssuer, requestIssuer, rollIssuer } from '../../../shared/authority/follow.ts';
import { isOcspCurrent } from '../../../shared/authority/pre-sign.ts';
import { publishCrl } from '../../../shared/authority/publish-crl.ts';
import { makeRootCrl, publishRootCrl } from '../../../shared/authority/root-crl.ts';
import { setUpAuthority } from '../../../shared/authority/set-up.ts';
import { upkeep } from '../../../shared/authority/upkeep.ts';
import type { IssuerRecord } from '../../../shared/domain/records.ts';
import { makeIssuing } from '../../../shared/pki/authority.ts';
import { readCertificationRequest } from '../../../shared/pki/certification-request.ts';
import { readCrl } from '../../../shared/pki/crl-reader.ts';
import { addressesOf } from '../../../shared/pki/issuer-addresses.ts';
import { EXAMPLE_POLICY_OID } from '../../../shared/pki/oids.ts';
import { drawSerial } from '../../../shared/pki/serial.ts';
import { USER_ID } from '../../reconcile/workflows.ts';
import { noSigningKeys } from '../../support/fakes/signing-keys.ts';
import { DAY_MS, HOUR_MS, ISSUER_ID, MINUTE_MS, type Ports, type World } from '../../support/fakes/world.ts';
import { BEHIND_IAM, call } from '../../support/invocation.ts';
import { type CrashMaterials, look, type Workflow } from '../workflow.ts';
import { rolled } from './keys.ts';
import { joined } from './people.ts';

const PKI_URL = 'http://pki.acme.example/';
const SECRET = 'projects/acme/secrets/issuing-ca-key';

const commandDeps = (ports: Ports): AuthorityDeps => ({
  ...ports,
  signingKeys: noSigningKeys,
  generateKey: ports.deps.generateKey,
});

const statesOf = async ({ ledger }: Pick<World, 'ledger'>) =>
  (await ledger.issuers()).map(({ state }) => state).toSorted();

/** How often the trail has a line of these steps. */
const told = async (world: World, ...steps: readonly string[]) => {
  const trail = await world.ledger.auditTrail({ limit: 1000 });
  return steps.map((step) => trail.filter((entry) => entry.step === step).length);
};

/** Of the active issuer: whether its certificate is public, and its key there. */
const soundness = async (world: World) => {
  const found: boolean[] = [];
  for (const { issuerUrl, certificateDer, keyVersion, state } of await world.ledger.issuers()) {
    if (state !== 'active') continue;
    const object = world.bucket.object(new URL(issuerUrl).pathname.slice(1));
    const isPublic = object !== undefined && Buffer.compare(object.bytes, certificateDer) === 0;
    found.push(isPublic && world.secrets.versions.includes(keyVersion));
  }
  return found;
};

/** As `publish-crl` does: the addresses are looked at, and a first CRL goes out. */
async function published(ports: Ports, issuer: IssuerRecord): Promise<void> {
  for (const address of addressesOf(issuer)) {
    const found = { ...address, sha256Hex: '0'.repeat(64), found: 'as expected' };
    await ports.ledger.recordAddressCheck(issuer.issuerId, found);
  }
  await publishCrl(ports.crlDeps, issuer, { eventId: 'test', event: 'schedule' });
}

const preparedOf = async ({ ledger }: Ports) =>
  (await ledger.issuers()).find(({ state }) => state === 'prepared');

/** A prepared issuer takes over; whoever repeats a command that got so far goes on from there (`--activate`). */
const takesOver =
  (
    prepare: (ports: Ports, world: World, materials: CrashMaterials) => Promise<IssuerRecord>,
  ): Workflow['run'] =>
  async (ports, world, materials) => {
    if ((await ports.ledger.activeIssuer())?.issuerId !== ISSUER_ID) return;
    const issuer = (await preparedOf(ports)) ?? (await prepare(ports, world, materials));
    await published(ports, issuer);
    await activate(ports, issuer.issuerId);
  };

/** Another CA signs what it is asked for. */
const signedElsewhere = async (csrDer: Uint8Array, world: World, { next }: CrashMaterials) => [
  await makeIssuing({
    root: { certificateDer: next.root.certificateDer, signer: next.rootSigner },
    subject: { country: 'DE', organization: 'Corporate AG', commonName: 'Corporate S/MIME CA' },
    ...{ spkiDer: readCertificationRequest(csrDer).spkiDer, serialHex: drawSerial(world.random) },
    ...{ now: world.clock.now(), rootCrlUrl: `${PKI_URL}other.crl`, rootUrl: `${PKI_URL}other.cer` },
    policyOids: { own: EXAMPLE_POLICY_OID },
  }),
  next.root.certificateDer,
];

const FOLLOWED = async (world: World) => ({
  states: await statesOf(world),
  sound: await soundness(world),
  told: await told(world, 'issuer-activated'),
});
const HAS_FOLLOWED = { states: ['active', 'retiring'], sound: [true], told: [1] };

let nextRootCrlDer: Uint8Array;

const MADE: readonly Workflow[] = [
  {
    name: 'the making of a CA',
    leaving: 'one active issuer, its certificate public and its key stored',
    world: { ca: false },
    prepare: async () => undefined,
    run: async (ports) => {
      if ((await ports.ledger.activeIssuer()) !== undefined) return;
      await setUpAuthority(commandDeps(ports), {
        ...{ country: 'DE', organization: 'Acme GmbH', pkiUrl: PKI_URL, keySecret: SECRET },
        ...{ policyOid: EXAMPLE_POLICY_OID, modulusBits: 2048 },
      });
    },
    end: async (world) => ({ states: await statesOf(world), sound: await soundness(world) }),
    expectMore: { states: ['active'], sound: [true] },
  },
  {
    name: 'the roll to the next issuer',
    leaving: 'that one active and a line that says so',
    prepare: async () => undefined,
    run: takesOver((ports, _, { authority }) =>
      rollIssuer(commandDeps(ports), {
        root: { certificateDer: authority.root.certificateDer, signer: authority.rootSigner },
        key: { keySecret: SECRET, modulusBits: 2048 },
      }),
    ),
    end: FOLLOWED,
    expectMore: HAS_FOLLOWED,
  },
  {
    name: 'an issuer whose certificate another CA signs',
    leaving: 'that one active and a line that says so',
    prepare: async () => undefined,
    run: takesOver(async (ports, world, materials) => {
      const subject = { country: 'DE', organization: 'Acme GmbH', commonName: 'Acme S/MIME CA' };
      const [open] = await ports.ledger.openIssuerRequests();
      const asked =
        open ??
        (await requestIssuer(commandDeps(ports), { subject, key: { keySecret: SECRET, modulusBits: 2048 } }));
      const certificatesDer = await signedElsewhere(asked.csrDer, world, materials);
      return await installIssuer(commandDeps(ports), { certificatesDer, pkiUrl: PKI_URL });
    }),
    end: FOLLOWED,
    expectMore: HAS_FOLLOWED,
  },
  {
    name: 'the import of a CA that exists',
    leaving: 'that one active, its key stored once and a line that says so',
    prepare: async () => undefined,
    run: async (ports, _, { next }) => {
      if ((await ports.ledger.activeIssuer())?.issuerId !== ISSUER_ID) return;
      const issuer = await importIssuer(commandDeps(ports), {
        certificatesDer: [next.issuing.certificateDer, next.root.certificateDer],
        pkcs8Der: Uint8Array.from(next.issuing.pkcs8Der),
        ...{ keySecret: SECRET, pkiUrl: PKI_URL },
      });
      await published(ports, issuer);
      await activate(ports, issuer.issuerId);
    },
    end: async (world) => ({
      ...(await FOLLOWED(world)),
      stored: world.secrets.versions.filter((name) => name.startsWith(`${SECRET}/`)).length,
    }),
    expectMore: { ...HAS_FOLLOWED, stored: 1 },
  },
  {
    name: 'the next CRL of the root',
    leaving: 'it public and a line that says so',
    prepare: async (world, { authority }) => {
      nextRootCrlDer = await makeRootCrl({
        ...{ rootDer: authority.root.certificateDer, signer: authority.rootSigner },
        ...{ previousDer: authority.root.crlDer, now: world.clock.now() },
      });
    },
    run: (ports) => publishRootCrl(ports, nextRootCrlDer),
    end: async (world) => {
      const { crlNumber } = readCrl(world.bucket.object('root.crl')?.bytes ?? new Uint8Array());
      return { number: String(crlNumber), told: (await told(world, 'root-crl-published'))[0] !== 0 };
    },
    expectMore: { number: '2', told: true },
  },
  {
    name: 'the end of an issuer',
    leaving: 'it retired and one line that says so',
    prepare: async (world, materials) => {
      await joined(world);
      await rolled(world, materials);
      world.clock.advance(400 * DAY_MS);
      await world.publishCrl();
    },
    run: (ports) => upkeep(ports),
    end: async (world) => ({ states: await statesOf(world), told: await told(world, 'issuer-retired') }),
    expectMore: { states: ['active', 'retired'], told: [1] },
  },
];

const OCSP_URL = 'http://pki.acme.example/ocsp';

const scheduled = (ports: Ports) =>
  call(
    createPublishCrl({
      ...{ ...ports.crlDeps, ...BEHIND_IAM, ocsp: ports.ocspDeps },
      ...{ checkpoints: ports.checkpointDeps, readiness: ports.readinessDeps },
    }),
  );

const PUBLISHED: readonly Workflow[] = [
  {
    name: 'a scheduled run of publish-crl after a departure',
    leaving: 'it in the CRL, all answers of OCSP current and one checkpoint over the trail',
    world: { ledger: 'pglite', ocspUrl: OCSP_URL },
    prepare: async (world) => {
      await joined(world);
      world.directory.remove(USER_ID);
      await look(world);
      world.clock.advance(HOUR_MS);
    },
    run: scheduled,
    // A responder keeps its list of issuers for a moment, and an address that was fetched too early is fetched again.
    again: async (ports, world) => {
      world.clock.advance(MINUTE_MS);
      await scheduled(ports);
    },
    end: async (world) => {
      const { entries } = readCrl(world.bucket.object('issuing.crl')?.bytes ?? new Uint8Array());
      const [listing] = await world.ledger.crlListings([...entries.keys()]);
      const [issuer] = await world.ledger.issuers();
      const checkpoints = await world.ledger.checkpoints({ limit: 10 });
      return {
        listed: entries.size,
        first: listing?.crl !== undefined,
        unlisted: await world.ledger.hasUnlistedRevocations(ISSUER_ID),
        ocsp: issuer !== undefined && (await isOcspCurrent(world, issuer)),
        oldest: (await world.ledger.oldestOcspAnswer(ISSUER_ID)) !== undefined,
        checkpoints: checkpoints.map(({ signedDer }) => signedDer !== undefined),
        seen: (await world.ledger.issuerAddresses(ISSUER_ID)).every(
          ({ seenAt }) => seenAt?.getTime() === world.clock.now().getTime(),
        ),
      };
    },
    expectMore: {
      listed: 1,
      first: true,
      unlisted: false,
      ocsp: true,
      oldest: true,
      checkpoints: [true],
      seen: true,
    },
  },
];

export const AUTHORITY: readonly Workflow[] = [...MADE, ...PUBLISHED];
