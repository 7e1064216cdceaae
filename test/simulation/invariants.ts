/**
 * What must hold after every step, whatever went wrong, and what must hold once everything is quiet. Each is a sentence
 * that throws `Violated`; `invariants.test.ts` shows each one a planted violation.
 */
import { createHash } from 'node:crypto';
import type { DirectoryUser } from '../../shared/domain/directory-user.ts';
import { isWithin } from '../../shared/domain/org-unit-path.ts';
import type { Policy } from '../../shared/domain/policy.ts';
import type { Revocation } from '../../shared/domain/records.ts';
import { readCrl } from '../../shared/pki/crl-reader.ts';
import type { FakeBucket } from '../support/fakes/bucket.ts';
import type { FakeDirectory } from '../support/fakes/directory.ts';
import { type FakeGmail, pairsOfUse } from '../support/fakes/gmail.ts';
import type { LeafRow, Rows } from '../support/fakes/ledger/rows.ts';

export class Violated extends Error {
  override readonly name = 'Violated';
}

export interface Sight {
  readonly rows: () => Rows;
  readonly gmail: FakeGmail;
  readonly directory: FakeDirectory;
  readonly bucket: FakeBucket;
  /** Those that a look under way may go by. */
  readonly policies: () => readonly Policy[];
}

const sha256Hex = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Asked by the CA key itself, before it signs. */
export function assertForeseen(rows: Rows, tbsDer: Uint8Array): void {
  const same = (bytes: Uint8Array | undefined) => bytes !== undefined && Buffer.compare(bytes, tbsDer) === 0;
  for (const crls of rows.crls.values()) if (crls.some((crl) => same(crl.tbsDer))) return;
  const leaf = [...rows.leaves.values()].find((candidate) => same(candidate.tbsDer));
  if (leaf === undefined)
    throw new Violated(`A signature over ${sha256Hex(tbsDer)} that the ledger did not foresee.`);
  const spki = rows.keys.get(leaf.keyId)?.spkiSha256Hex ?? '';
  if (rows.blocked.has(spki))
    throw new Violated(`The key of ${leaf.serialHex} was compromised, and it is signed.`);
}

/** Remembers what it saw, because what is over must stay over. */
export interface Watch {
  /** After every step. */
  check(): void;
  /** Revocations seen so far. */
  readonly revoked: ReadonlyMap<string, Revocation>;
}

export function watch(sight: Sight): Watch {
  const revoked = new Map<string, Revocation>();
  const published = new Map<string, { bytes: Uint8Array; number: bigint; serials: ReadonlySet<string> }>();
  const rulings: Rulings = { read: 0, last: new Map() };
  const protections = new Map<string, Protection>();
  return {
    revoked,
    check: () => {
      const rows = sight.rows();
      assertStaysRevoked(rows, revoked);
      assertCrlsGrow(sight, published);
      assertOneHolder(rows);
      assertFewIdentities(sight);
      followProtections(sight, rows, protections);
      assertJudged(rows, rulings, sight.policies(), protections);
      assertDecidable(rows);
    },
  };
}

interface Rulings {
  /** How far the audit trail has been read. */
  read: number;
  /** What the guard last said of each user. */
  readonly last: Map<string, string>;
}

/**
 * Nobody loses a certificate by a departure that the guard did not let through and no admin approved, and nobody protected by one that
 * no admin approved.
 */
function assertJudged(
  rows: Rows,
  rulings: Rulings,
  policies: readonly Policy[],
  protections: ReadonlyMap<string, Protection>,
): void {
  const { audit } = rows;
  const { last } = rulings;
  for (; rulings.read < audit.length; rulings.read += 1) {
    const { userId = '', step, outcome, details = {} } = audit[rulings.read] ?? { step: '', outcome: '' };
    if (step === 'guard') last.set(userId, outcome);
    if (step !== 'revoke-leaf' || outcome !== 'done' || details['departure'] !== true) continue;
    const serialHex = String(details['serialHex']);
    if (details['heldSet'] === undefined && last.get(userId) !== 'intended')
      throw new Violated(`${userId} lost ${serialHex} by a departure that nobody let through.`);
    if (
      details['heldSet'] === undefined &&
      policies.every((policy) => isProtected(rows, policy, userId, serialHex, protections.get(userId)))
    )
      throw new Violated(`${userId} is protected and lost ${serialHex}, which nobody approved.`);
  }
}

/** What but a name has protected somebody since they were last changed, by the directory and not by what the ledger has of it. */
interface Protection {
  readonly by: readonly string[];
  /** How often they were sighted like this. The first sighting may be of what the directory said before. */
  readonly sightings: number;
  readonly sightedAtMs: number | undefined;
}

/** Of those who are gone it stays what it was when they went. */
function followProtections(
  { directory, policies }: Sight,
  { users }: Rows,
  protections: Map<string, Protection>,
): void {
  for (const [userId, { sightedAt }] of users) {
    const user = directory.living(userId);
    if (user === undefined) continue;
    const [first = [], ...others] = policies().map((policy) => protectedBy(policy, user, directory));
    const by = first.filter((one) => others.every((other) => other.includes(one)));
    const known = protections.get(userId);
    const isSame = known !== undefined && known.by.join() === by.join();
    const sightedAtMs = sightedAt?.getTime();
    if (isSame && known.sightedAtMs === sightedAtMs) continue;
    protections.set(userId, { by, sightings: isSame ? known.sightings + 1 : 0, sightedAtMs });
  }
}

function protectedBy(
  { protected: { superAdmins, orgUnits, groups } }: Policy,
  user: DirectoryUser,
  { members }: FakeDirectory,
): readonly string[] {
  return [
    ...(superAdmins && user.superAdmin === true ? ['super admins'] : []),
    ...orgUnits.flatMap(({ path }) => (isWithin(user.orgUnitPath, path) ? [path] : [])),
    ...groups.flatMap(({ address }) => (members.get(address)?.has(user.userId) ? [address] : [])),
  ];
}

const protectsBy = ({ protected: { superAdmins, orgUnits, groups } }: Policy, what: string): boolean =>
  (superAdmins && what === 'super admins') ||
  orgUnits.some(({ path }) => path === what) ||
  groups.some(({ address }) => address === what);

/**
 * By id whatever they are; by what they were last seen as, and by address once they are deleted or in no list and nobody else was seen with it since. What
 * addresses somebody present has only the directory could say, at the moment of the look.
 */
function isProtected(
  { addresses, revocations }: Rows,
  policy: Policy,
  userId: string,
  serialHex: string,
  lastSeen: Protection | undefined,
): boolean {
  const { users } = policy.protected;
  if (users.includes(userId)) return true;
  if (revocations.get(serialHex)?.reason !== 'cessationOfOperation') return false;
  if (
    lastSeen !== undefined &&
    lastSeen.sightings > 1 &&
    lastSeen.by.some((what) => protectsBy(policy, what))
  )
    return true;
  const seen = [...addresses.values()].toSorted((left, right) => right.sighting - left.sighting);
  return users.some((address) => seen.find((row) => row.address === address)?.userId === userId);
}

/** Whoever is held waits in a set that an admin can decide on. */
function assertDecidable({ departures, heldSets }: Rows): void {
  for (const { state, userId, setId } of departures) {
    const where = heldSets.get(setId)?.state;
    if (state === 'held' && where !== 'open')
      throw new Violated(`${userId} waits in held set ${setId}, which is ${where}: nobody can decide.`);
  }
}

function assertStaysRevoked(rows: Rows, seen: Map<string, Revocation>): void {
  for (const [serialHex, revocation] of seen) {
    const now = rows.revocations.get(serialHex);
    if (now?.revokedAt !== revocation.revokedAt || now.reason !== revocation.reason)
      throw new Violated(`The revocation of ${serialHex} is gone or another one.`);
  }
  if (rows.revocations.size === seen.size) return;
  for (const [serialHex, revocation] of rows.revocations) seen.set(serialHex, revocation);
}

function assertCrlsGrow(
  { bucket, rows }: Sight,
  published: Map<string, { bytes: Uint8Array; number: bigint; serials: ReadonlySet<string> }>,
): void {
  for (const name of bucket.names) {
    const bytes = bucket.object(name)?.bytes;
    const before = published.get(name);
    if (bytes === undefined || bytes === before?.bytes) continue;
    const crl = readCrl(bytes);
    const number = crl.crlNumber ?? 0n;
    const serials = new Set(crl.entries.keys());
    if (before !== undefined && number <= before.number)
      throw new Violated(`The number of ${name} went from ${before.number} to ${number}.`);
    for (const serialHex of before?.serials ?? []) {
      if (!serials.has(serialHex) && !rows().lastEntries.has(serialHex))
        throw new Violated(`${name} ${number} lists ${serialHex} no more.`);
    }
    published.set(name, { bytes, number, serials });
  }
}

const isLive = (rows: Rows, leaf: LeafRow, nowMs: number): boolean =>
  leaf.state === 'signed' && !rows.revocations.has(leaf.serialHex) && leaf.notAfter.getTime() > nowMs;

/** Two people's certificates never name one address, from the moment either is signed. */
function assertOneHolder(rows: Rows): void {
  const holder = new Map<string, string>();
  for (const leaf of rows.leaves.values()) {
    if (!isLive(rows, leaf, 0)) continue;
    for (const address of leaf.addresses) {
      const other = holder.get(address) ?? leaf.userId;
      if (other !== leaf.userId)
        throw new Violated(`Certificates of ${other} and of ${leaf.userId} both name ${address}.`);
      holder.set(address, leaf.userId);
    }
  }
}

/**
 * At no moment has a mailbox more identities than those of the old address and the new one. Those on pairs that somebody
 * else made do not count.
 */
function assertFewIdentities({ rows: look, gmail }: Sight): void {
  const rows = look();
  const ours = new Set([...rows.keypairs.values()].flatMap(({ keypairId }) => keypairId ?? []));
  for (const userId of rows.users.keys()) {
    const addresses = [...gmail.account(userId).identities].flatMap(([address, use]) =>
      pairsOfUse(use).some((keypairId) => ours.has(keypairId)) ? [address] : [],
    );
    if (addresses.length > 2)
      throw new Violated(`${userId} has identities of more than two addresses: ${addresses.join(', ')}.`);
  }
}

/** Everything that leaves a process but the key service's own call, and every line of the log. */
export function assertNoPlainKey(holds: (value: unknown) => boolean, where: string, value: unknown): void {
  if (holds(value)) throw new Violated(`A plain key in ${where}.`);
}

/** Once everything is quiet, about somebody whose mailbox answers. */
export function assertGmailAgrees(sight: Sight, userId: string, nowMs: number): void {
  const rows = sight.rows();
  const { identities, pairs } = sight.gmail.account(userId);
  const serials = new Map<string, string>();
  for (const leaf of rows.leaves.values())
    if (leaf.userId === userId && leaf.leafDer !== undefined)
      serials.set(sha256Hex(leaf.leafDer), leaf.serialHex);
  const known = new Set(
    [...rows.keypairs.values()].flatMap((pair) => (pair.userId === userId ? (pair.keypairId ?? []) : [])),
  );
  const primary = sight.directory.living(userId)?.primaryEmail;
  // What somebody made by hand for an address they no longer have is theirs.
  const ours = [...identities].filter(
    ([address, use]) => address === primary || pairsOfUse(use).some((keypairId) => known.has(keypairId)),
  );
  if (ours.length > 1)
    throw new Violated(`${userId} has the identities ${ours.map(([address]) => address).join(' and ')}.`);
  for (const [address, use] of ours) {
    for (const keypairId of pairsOfUse(use)) {
      if (!known.has(keypairId))
        throw new Violated(
          `The identity ${address} uses the pair ${keypairId}, which the ledger does not know.`,
        );
      const pair = pairs.find((candidate) => candidate.keypairId === keypairId);
      const leaf = rows.leaves.get(serials.get(pair?.leafSha256Hex ?? '') ?? '');
      if (leaf === undefined || !isLive(rows, leaf, nowMs))
        throw new Violated(`The identity ${address} uses a certificate that is revoked or over.`);
    }
  }
}
