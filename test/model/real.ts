/** The system that the model is compared with: the loop, the ledger and the signing of the product, Google's side faked. */
import { expect } from 'vitest';
import { isCurrent } from '../../shared/authority/publish-crl.ts';
import type { UserState } from '../../shared/domain/records.ts';
import type { ReconcileDeps } from '../../shared/reconcile/context.ts';
import { reconcile } from '../../shared/reconcile/run.ts';
import { pairsOfUse } from '../support/fakes/gmail.ts';
import { CAUSE, ISSUER_ID, KEY_SERVICE_URL, type World } from '../support/fakes/world.ts';
import { policyOf, policyRule } from '../support/policy.ts';
import type { Model, PersonState } from './model.ts';

/** Longer than anybody lives in the model: nobody's certificate is renewed. */
const VALIDITY_DAYS = 819;
const DUE_ROUNDS = 200;

export interface Real {
  readonly world: World;
  service: string;
}

export const newReal = (world: World): Real => ({ world, service: KEY_SERVICE_URL });

const depsOf = ({ world, service }: Real): ReconcileDeps => ({
  ...world.deps,
  policy: policyOf([policyRule({ modulusBits: 2048, validityDays: VALIDITY_DAYS, keyServiceUrl: service })]),
});

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
  // As `due` does each minute.
  if (!(await isCurrent(real.world.crlDeps, ISSUER_ID))) await real.world.publishCrl();
  await lookAtDue(real);
}

async function lookAtDue(real: Real): Promise<void> {
  for (const { userId } of await real.world.ledger.dueUsers(100)) await look(real, userId);
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
  const listed = new Set((await ledger.revokedLeaves(ISSUER_ID)).map(({ serialHex }) => serialHex));
  for (const [userId, person] of model.people) {
    const { user, leaves } = await ledger.readUser(userId);
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

export const addressOf = (userId: string, name: string): string => `${name}-${userId}@acme.example`;
