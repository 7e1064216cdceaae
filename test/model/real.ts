/** The system that the model is compared with: the loop, the ledger and the signing of the product, Google's side faked. */
import { activate } from '../../shared/authority/activate.ts';
import { isCurrent, objectName, publishCrl } from '../../shared/authority/publish-crl.ts';
import { checkAddresses } from '../../shared/authority/readiness.ts';
import type { PolicyRule } from '../../shared/domain/policy.ts';
import type { IssuerRecord, KeyPurpose, UserLedger, UserState } from '../../shared/domain/records.ts';
import type { ReconcileDeps } from '../../shared/reconcile/context.ts';
import { reconcile } from '../../shared/reconcile/run.ts';
import { CRL_URL, ISSUER_URL, type SampleAuthority } from '../pki/sample-authority.ts';
import { listedSerials } from '../support/elements.ts';
import { type FakePair, isForeign, pairsOfUse } from '../support/fakes/gmail.ts';
import { CAUSE, type World } from '../support/fakes/world.ts';
import { publishAuthority } from '../support/next-authority.ts';
import { policyOf, policyRule } from '../support/policy.ts';
import {
  addressOf,
  DAY_MS,
  HOUR_MS,
  type Model,
  type Person,
  type PersonState,
  predictedCrl,
  type Rules,
} from './model.ts';

export const GROUP = 'vip@acme.example';
const NEXT_ISSUER_ID = 'issuing-2';
const NEXT_KEY = 'projects/acme/secrets/issuing-key-2/versions/1';
const DUE_ROUNDS = 200;

/** In force at the beginning: for `/Staff` the documented defaults, for a group other things in all that a policy can say. */
export const RULES: Rules = {
  staff: policyRule({ modulusBits: 2048 }),
  vip: policyRule({
    ...{ name: 'vip', scope: { kind: 'group', address: GROUP, groupId: GROUP } },
    ...{ modulusBits: 2048, profile: 'split', validityDays: 90, aliases: 'at-once' },
    ...{
      onLeave: { identity: 'keep', keypair: 'disable' },
      onSuspend: { identity: 'delete', keypair: 'keep' },
    },
    grace: {
      leaveMs: 0,
      suspendMs: DAY_MS,
      archiveMs: 2 * DAY_MS,
      deleteMs: DAY_MS,
      supersededMs: 2 * HOUR_MS,
      wrappedKeysMs: undefined,
    },
  }),
};

export interface Real {
  readonly world: World;
  deps: ReconcileDeps;
  readonly next: SampleAuthority;
  /** When the CRLs of each issuer were made, as they say themselves. */
  readonly madeMs: Map<string, number[]>;
  /** By serial, the number of the first CRL in which it was public. */
  readonly firstCrl: Map<string, string>;
}

export const newReal = (world: World, next: SampleAuthority): Real => ({
  ...{ world, next, deps: { ...world.deps, policy: policyOf([RULES.vip, RULES.staff]) } },
  ...{ madeMs: new Map(), firstCrl: new Map() },
});

/** Another policy is activated. */
export function changeRule(real: Real, name: string, change: (rule: PolicyRule) => PolicyRule): void {
  const { policy } = real.deps;
  const rules = policy.rules.map((rule) => (rule.name === name ? change(rule) : rule));
  real.deps = { ...real.deps, policy: { ...policy, rules } };
}

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
  await publishAuthority(world, next, issuer.issuerUrl);
  await ledger.recordIssuer(issuer);
  await publish(real, issuer);
  await checkAddresses(world.readinessDeps, issuer);
  await activate({ ledger, clock }, NEXT_ISSUER_ID);
}

/** A look at each, as an event would bring it about, and at whomever such a look asks for. */
export async function lookAt({ deps, world }: Real, userIds: readonly string[]): Promise<void> {
  for (const userId of userIds) {
    await reconcile(deps, userId, CAUSE);
    for (let hint = world.bus.hints.shift(); hint !== undefined; hint = world.bus.hints.shift())
      if ('userId' in hint) await reconcile(deps, hint.userId, hint.cause);
  }
}

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
  const { clock, ledger } = real.world;
  for (const issuer of await ledger.issuers()) {
    const published = await ledger.latestPublishedCrl(issuer.issuerId);
    if ((published?.nextUpdate.getTime() ?? 0) - clock.now().getTime() < DAY_MS) await publish(real, issuer);
  }
  const due = await real.world.ledger.dueUsers(100);
  await lookAt(
    real,
    due.map(({ userId }) => userId),
  );
}

async function publish(real: Real, issuer: IssuerRecord): Promise<void> {
  const { crlNumber } = await publishCrl(real.world.crlDeps, issuer, { eventId: 'due', event: 'test' });
  const { thisUpdate, serials } = listedSerials(publicCrl(real, issuer));
  for (const serialHex of serials)
    if (!real.firstCrl.has(serialHex)) real.firstCrl.set(serialHex, String(crlNumber));
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

/** One comparison; cheaper than an assertion of the test runner, of which there would be a million. */
function same(what: string, system: string, model: string): void {
  if (system !== model) throw new Error(`${what}: the system says\n${system}\nand the model\n${model}`);
}

/** Everything the model says, asked of the system. Then the model is told of new certificates what was drawn for them. */
export async function expectAgreement(real: Real, model: Model): Promise<void> {
  for (const person of model.people.values()) {
    const ledger = await real.world.ledger.readUser(person.userId);
    const { user } = ledger;
    same(
      `The state of ${person.userId} (${user?.reason})`,
      user === undefined ? 'none' : STATES[user.state],
      person.state,
    );
    for (const purpose of ['dual-use', 'signing', 'encryption'] as const)
      compareLeaves(ledger, model, person, purpose);
    compareGmail(real, ledger, person);
  }
}

function compareLeaves(ledger: UserLedger, model: Model, person: Person, purpose: KeyPurpose): void {
  const system = ledger.leaves.filter((leaf) => leaf.purpose === purpose);
  const predicted = person.leaves.filter((leaf) => leaf.purpose === purpose);
  same(
    `The certificates of ${person.userId} (${purpose})`,
    system
      .map(({ addresses, keyId, revocation }) => {
        const first = system.findIndex((leaf) => leaf.keyId === keyId);
        return `${addresses} over the key of ${first}: ${revocation?.reason ?? 'good'}`;
      })
      .join('\n'),
    predicted
      .map(({ addresses, keyNumber, revoked }) => {
        const first = predicted.findIndex((leaf) => leaf.keyNumber === keyNumber);
        return `${addresses} over the key of ${first}: ${revoked ?? 'good'}`;
      })
      .join('\n'),
  );
  for (const [index, { serialHex, notAfter }] of system.entries()) {
    const leaf = predicted[index];
    if (leaf === undefined || leaf.serial !== undefined) continue;
    const endMs = notAfter.getTime();
    // It was issued since the last command, and begins some minutes before that.
    const lastsMs = leaf.validityDays * DAY_MS;
    if (endMs > model.nowMs + lastsMs || endMs < leaf.afterMs + lastsMs - 10 * 60_000)
      throw new Error(
        `A certificate of ${person.userId} ends on ${notAfter.toISOString()}, not after ${leaf.validityDays} days.`,
      );
    leaf.serial = serialHex;
    leaf.endMs = endMs;
    // 30 days before its end, and up to ten earlier.
    const drawn = Number.parseInt(serialHex.slice(-8), 16) / 2 ** 32;
    leaf.renewMs = endMs - 30 * DAY_MS - Math.floor(drawn * 10 * DAY_MS);
  }
}

function compareGmail({ world }: Real, { user, leaves, keypairs }: UserLedger, person: Person): void {
  const { userId, name, state, taken, handled } = person;
  // Nothing was ever there, or nobody is let in to bring it in order.
  if (person.leaves.length === 0 || (state === 'active' && !person.encryption)) return;
  const account = world.gmail.account(userId);
  const pairs = account.pairs.filter((pair) => !isForeign(pair));
  const identities = [...account.identities]
    .map(([address, use]) => ({
      address,
      uses: pairsOfUse(use).map((id) => pairs.find(({ keypairId }) => keypairId === id)),
    }))
    .filter(({ uses }) => uses.some((pair) => pair !== undefined));
  const enabled = pairs.filter(({ enabled }) => enabled).length;
  if (state === 'active') {
    same(`The state of ${userId}`, `${user?.state} ${user?.reason}`, `ready ${user?.reason}`);
    const serialOf = (pair: FakePair | undefined) => {
      const serialHex = keypairs.find(({ keypairId }) => keypairId === pair?.keypairId)?.serialHex;
      const leaf = leaves.find((candidate) => candidate.serialHex === serialHex);
      if (pair?.enabled !== true || Buffer.compare(leaf?.leafDer ?? Buffer.of(), pair.leafDer) !== 0)
        return 'none';
      return serialHex;
    };
    same(
      `The identity of ${userId} and what it uses`,
      identities.map(({ address, uses }) => `${address} ${uses.map(serialOf)}`).join('\n'),
      `${addressOf(userId, name)} ${person.inUse.map(({ serial }) => serial)}`,
    );
  } else if (!handled.identity || taken.identity) {
    same(`The identities of ${userId}`, String(identities.length), taken.identity ? '0' : '1');
  }
  if (!handled.pairs || taken.pairs)
    same(`The enabled pairs of ${userId}`, String(enabled), String(taken.pairs ? 0 : pairs.length));
}

const readCrls = new WeakMap<Uint8Array, readonly string[]>();

/** Each issuer's public CRL, published anew where `due` would ask for it, lists whom the model says and nobody else. */
export async function expectListed(real: Real, model: Model): Promise<void> {
  for (const issuer of await real.world.ledger.issuers()) {
    if (!(await isCurrent(real.world.crlDeps, issuer.issuerId))) await publish(real, issuer);
    const crlDer = publicCrl(real, issuer);
    const listed = readCrls.get(crlDer) ?? [...listedSerials(crlDer).serials].sort();
    readCrls.set(crlDer, listed);
    const predicted = predictedCrl(
      model,
      issuer.issuerId === NEXT_ISSUER_ID,
      real.madeMs.get(issuer.issuerId) ?? [],
    );
    same(`The CRL of ${issuer.issuerId}`, listed.join('\n'), predicted.join('\n'));
    await expectFirst(real, issuer, listed);
  }
}

/** Of each listed serial the ledger names the CRL in which it first was public, as anybody saw who fetched them all. */
async function expectFirst({ world, firstCrl }: Real, issuer: IssuerRecord, serials: readonly string[]) {
  const listings = await world.ledger.crlListings(serials);
  const told = listings.map(({ serialHex, crl }) => `${serialHex} ${crl?.crlNumber}`);
  const seen = [...serials].sort().map((serialHex) => `${serialHex} ${firstCrl.get(serialHex)}`);
  same(`The first CRLs of ${issuer.issuerId}`, told.join('\n'), seen.join('\n'));
}
