/** The system that the model is compared with: the loop, the ledger and the signing of the product, Google's side faked. */
import { expect } from 'vitest';
import { activate } from '../../shared/authority/activate.ts';
import { isCurrent, objectName, publishCrl } from '../../shared/authority/publish-crl.ts';
import { checkAddresses } from '../../shared/authority/readiness.ts';
import type { IssuerRecord, UserState } from '../../shared/domain/records.ts';
import type { ReconcileDeps } from '../../shared/reconcile/context.ts';
import { reconcile } from '../../shared/reconcile/run.ts';
import { CRL_URL, ISSUER_URL, type SampleAuthority } from '../pki/sample-authority.ts';
import { listedSerials } from '../support/elements.ts';
import { pairsOfUse } from '../support/fakes/gmail.ts';
import { CAUSE, DAY_MS, KEY_SERVICE_URL, type World } from '../support/fakes/world.ts';
import { policyOf, policyRule } from '../support/policy.ts';
import { type Model, type PersonState, predictedCrl } from './model.ts';

export const GROUP = 'vip@acme.example';
const NEXT_ISSUER_ID = 'issuing-2';
const NEXT_KEY = 'projects/acme/secrets/issuing-key-2/versions/1';
const DUE_ROUNDS = 200;

export interface Real {
  readonly world: World;
  service: string;
  scope: string;
  readonly next: SampleAuthority;
  /** When the CRLs of each issuer were made, as they say themselves. */
  readonly madeMs: Map<string, number[]>;
}

export const newReal = (world: World, next: SampleAuthority): Real => ({
  ...{ world, next, service: KEY_SERVICE_URL, scope: '/Staff', madeMs: new Map() },
});

const depsOf = ({ world, service, scope }: Real): ReconcileDeps => {
  const common = { modulusBits: 2048, keyServiceUrl: service } as const;
  const vip = { name: 'vip', scope: { kind: 'group', address: GROUP, groupId: GROUP } } as const;
  const staff = { scope: { kind: 'org-unit', path: scope } } as const;
  return {
    ...world.deps,
    policy: policyOf([policyRule({ ...common, ...vip }), policyRule({ ...common, ...staff })]),
  };
};

/** As an admin does it: prepared, its CRL and addresses public, then active. */
export async function rollIssuer(real: Real): Promise<void> {
  const { world, next } = real;
  const { ledger, clock } = world;
  const { certificateDer } = next.issuing;
  world.secrets.put(NEXT_KEY, next.issuing.pkcs8Der);
  const issuer: IssuerRecord = {
    ...{
      issuerId: NEXT_ISSUER_ID,
      certificateDer,
      chainDer: [next.root.certificateDer],
      keyVersion: NEXT_KEY,
    },
    ...{
      crlUrl: CRL_URL.replace('issuing', 'issuing-2'),
      issuerUrl: ISSUER_URL.replace('issuing', 'issuing-2'),
    },
    state: 'prepared',
  };
  world.publicWeb.put(issuer.issuerUrl, {
    ...{ status: 200, contentType: 'application/pkix-cert', body: certificateDer },
  });
  await ledger.recordIssuer(issuer);
  await publish(real, issuer);
  await checkAddresses(world.readinessDeps, issuer);
  await activate({ ledger, clock }, NEXT_ISSUER_ID);
}

/** When each certificate is renewed and ends, as drawn with its serial: 30 days before its end, and up to ten earlier. */
export async function tellRenewals({ world }: Real, model: Model): Promise<void> {
  for (const [userId, person] of model.people) {
    const { leaves } = await world.ledger.readUser(userId);
    for (const [index, { serialHex, notAfter }] of leaves.entries()) {
      const leaf = person.leaves[index];
      if (leaf === undefined) continue;
      const drawn = Number.parseInt(serialHex.slice(-8), 16) / 2 ** 32;
      leaf.serial = serialHex;
      leaf.endMs = notAfter.getTime();
      leaf.renewMs = leaf.endMs - 30 * DAY_MS - Math.floor(drawn * 10 * DAY_MS);
    }
  }
}

/** One look at somebody, as an event would bring it about. */
export const look = async (real: Real, userId: string): Promise<void> => {
  await reconcile(depsOf(real), userId, CAUSE);
};

/** Lets time pass as the schedules do: whoever is due is looked at when they are due, and the CRL is kept fresh. */
export async function pass(real: Real, milliseconds: number): Promise<void> {
  const { clock, ledger } = real.world;
  const endMs = clock.now().getTime() + milliseconds;
  for (let round = 0; round < DUE_ROUNDS; round += 1) {
    const nextMs = Math.min(
      ...(await ledger.users()).map(({ user }) => user?.nextActionAt?.getTime() ?? endMs),
    );
    if (nextMs >= endMs) break;
    clock.set(new Date(Math.max(nextMs, clock.now().getTime())));
    await lookAtDue(real);
  }
  clock.set(new Date(endMs));
  await lookAtDue(real);
}

/** As the schedules do: first the CRLs, because nothing is issued without one that is good, then whoever is due. */
async function lookAtDue(real: Real): Promise<void> {
  await publishDue(real);
  for (const { userId } of await real.world.ledger.dueUsers(100)) await look(real, userId);
}

async function publishDue(real: Real): Promise<void> {
  for (const issuer of await real.world.ledger.issuers())
    if (!(await isCurrent(real.world.crlDeps, issuer.issuerId))) await publish(real, issuer);
}

async function publish(real: Real, issuer: IssuerRecord): Promise<void> {
  await publishCrl(real.world.crlDeps, issuer, { eventId: 'due', event: 'test' });
  const { thisUpdate } = listedSerials(publicCrl(real, issuer));
  real.madeMs.set(issuer.issuerId, [...(real.madeMs.get(issuer.issuerId) ?? []), thisUpdate.getTime()]);
}

/** As anybody can fetch it. */
export function publicCrl({ world }: Real, { issuerId, crlUrl }: IssuerRecord): Uint8Array {
  const object = world.bucket.object(objectName(crlUrl));
  if (object === undefined) throw new Error(`Nothing is public under ${crlUrl} of ${issuerId}.`);
  return object.bytes;
}

const STATES: Readonly<Record<UserState, PersonState>> = {
  ready: 'active',
  pending: 'active',
  blocked: 'active',
  leaving: 'leaving',
  out: 'out',
};

/** Everything the model says, asked of the system. */
export async function expectAgreement(real: Real, model: Model): Promise<void> {
  const { ledger, gmail } = real.world;
  for (const [userId, person] of model.people) {
    const { user, leaves } = await ledger.readUser(userId);
    const listed = new Set(leaves.flatMap((leaf) => (leaf.revocation === undefined ? [] : [leaf.serialHex])));
    expect(user === undefined ? 'none' : STATES[user.state], `state of ${userId}: ${user?.reason}`).toBe(
      person.state,
    );
    expect(
      leaves.map(
        ({ serialHex, addresses }) => `${addresses[0]} ${listed.has(serialHex) ? 'revoked' : 'good'}`,
      ),
      `certificates of ${userId}`,
    ).toEqual(
      person.leaves.map(({ name, revoked }) => `${addressOf(userId, name)} ${revoked ? 'revoked' : 'good'}`),
    );
    if (person.state !== 'active' || !person.encryption) continue;
    expect(user?.state, `${userId}: ${user?.reason}`).toBe('ready');
    const account = gmail.account(userId);
    const use = account.identities.get(addressOf(userId, person.name));
    const pair = account.pairs.find(
      ({ keypairId }) => use !== undefined && pairsOfUse(use).includes(keypairId),
    );
    expect(pair, `the pair that the identity of ${userId} uses`).toMatchObject({ enabled: true });
    const inUse = leaves.find(
      ({ leafDer }) => Buffer.compare(leafDer ?? Buffer.of(), pair?.leafDer ?? Buffer.of()) === 0,
    );
    expect(inUse !== undefined && !listed.has(inUse.serialHex), `${userId} uses a good certificate`).toBe(
      true,
    );
  }
}

/** Each issuer's public CRL lists, a minute after the last thing happened, whom the model says and nobody else. */
export async function expectListed(real: Real, model: Model): Promise<void> {
  await publishDue(real);
  for (const issuer of await real.world.ledger.issuers()) {
    const predicted = predictedCrl(
      model,
      issuer.issuerId === NEXT_ISSUER_ID,
      real.madeMs.get(issuer.issuerId) ?? [],
    );
    const { serials } = listedSerials(publicCrl(real, issuer));
    expect([...serials].sort(), `the CRL of ${issuer.issuerId}`).toEqual(predicted);
  }
}

export const addressOf = (userId: string, name: string): string => `${name}-${userId}@acme.example`;
