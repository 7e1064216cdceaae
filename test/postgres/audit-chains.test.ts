import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from '../../shared/adapters/ledger/database.ts';
import { createLedger } from '../../shared/adapters/ledger/ledger.ts';
import { migrate } from '../../shared/adapters/ledger/migrate.ts';
import { openPostgres } from '../../shared/adapters/ledger/postgres.ts';
import { ChainChecker } from '../../shared/audit/chain-checker.ts';
import { judge, scopesOf } from '../../shared/plan/guard.ts';
import type { Lease, Ledger } from '../../shared/ports/ledger.ts';
import { makePlace, type Place } from './place.ts';

const NOW = new Date('2027-03-01T09:00:00.123Z');
const clock = { now: () => NOW };
const CAUSE = { source: 'watch', eventId: 'e-1', event: 'update' } as const;
const LIMITS = { minimumPerHour: 3, shareOfCovered: 0.05, maximumPerHour: 200 };
const WRITERS = 6;
const ROUNDS = 40;
const USERS = ['1', '2', '3', '4', '5', '6', '7', '8'];
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

let place: Place;
let databases: Database[];
let ledgers: Ledger[];

beforeEach(async () => {
  place = await makePlace();
  // Each with connections of its own, as instances of functions have them.
  databases = Array.from({ length: WRITERS }, () =>
    openPostgres({ connectionString: place.connectionString, maxConnections: 2 }),
  );
  await migrate(databases[0] ?? expect.unreachable());
  ledgers = databases.map((database) => createLedger({ database, clock }));
});
afterEach(async () => {
  for (const database of databases) await database.close();
  await place.remove();
});

const any = (index: number): Ledger => ledgers[index % ledgers.length] ?? expect.unreachable();
const noteOf = (writer: number, round: number, userId: string | undefined) => ({
  ...(userId === undefined ? {} : { userId }),
  cause: CAUSE,
  step: 'noted',
  reason: `Writer ${writer}, round ${round}.`,
  outcome: 'done' as const,
});

/** All entries, once their chains were found whole. */
async function wholeTrail() {
  const entries = await any(0).auditTrail({ limit: 100_000 });
  const checker = new ChainChecker();
  expect([...entries.flatMap((entry) => checker.take(entry)), ...checker.end()]).toEqual([]);
  const places = Map.groupBy(entries, ({ userId }) => userId ?? '');
  for (const [chain, links] of places) {
    expect(
      // The number is drawn before the chain's lock is had, so the order of numbers may differ from that of places.
      links.map(({ place }) => Number(place)).toSorted((one, other) => one - other),
      chain,
    ).toEqual(links.map((_link, index) => index + 1));
  }
  return entries;
}

async function enter(userId: string): Promise<Lease> {
  const lease = await any(0).acquireLease(`user:${userId}`, 600_000);
  if (lease === undefined) throw new Error(`${userId} is held`);
  await any(0).recordSighting(lease, {
    userId,
    primaryEmail: `${userId}@acme.example`,
    aliases: [],
    unit: '/Staff',
  });
  await any(0).recordKey(lease, {
    keyId: `key-${userId}`,
    userId,
    purpose: 'dual-use',
    spkiSha256Hex: createHash('sha256').update(userId).digest('hex'),
    spkiDer: bytes(userId),
    modulusBits: 3072,
    keyServiceUrl: 'https://kacls.acme.example/v1',
    wrappedKey: 'wrapped',
    proof: 'proven',
  });
  await any(0).recordLeafIntent(lease, {
    serialHex: `0${userId}`,
    issuerId: 'issuing-1',
    userId,
    keyId: `key-${userId}`,
    profile: 'dual-use-rsa/1',
    addresses: [`${userId}@acme.example`],
    notBefore: NOW,
    notAfter: new Date(NOW.getTime() + 86_400_000),
    tbsDer: bytes(userId),
  });
  return lease;
}

describe('the chains of the audit trail, with several connections writing at once,', () => {
  it('have no gap, no double place and no deadlock', async () => {
    await Promise.all(
      ledgers.map(async (ledger, writer) => {
        for (let round = 0; round < ROUNDS; round += 1) {
          // Everybody works through the same chains in another order; the first entry of each chain is raced for, too.
          const userId = [...USERS, undefined][(round * (writer + 1)) % (USERS.length + 1)];
          await ledger.audit(noteOf(writer, round, userId));
        }
      }),
    );
    const entries = await wholeTrail();
    expect(entries).toHaveLength(WRITERS * ROUNDS);
    expect(new Set(entries.map(({ reason }) => reason)).size).toBe(WRITERS * ROUNDS);
  });

  it('get on with judgements of departures and with revocations that write their own entries', async () => {
    await any(0).recordIssuer({
      issuerId: 'issuing-1',
      certificateDer: bytes('issuing'),
      chainDer: [],
      keyVersion: 'projects/p/secrets/issuing-1/versions/3',
      crlUrl: 'http://pki.acme.example/issuing-1.crl',
      issuerUrl: 'http://pki.acme.example/issuing-1.cer',
      state: 'active',
    });
    const leases = new Map<string, Lease>();
    for (const userId of USERS) leases.set(userId, await enter(userId));
    const depart = async (userId: string, index: number) => {
      const lease = leases.get(userId) ?? expect.unreachable();
      const steps = [
        { kind: 'revoke-leaf', target: `0${userId}`, revocationReason: 'affiliationChanged' },
      ] as const;
      const ruling = await any(index).judgeDeparture(
        lease,
        {
          userId,
          primaryEmail: `${userId}@acme.example`,
          unit: '/staff',
          scopes: scopesOf('/staff'),
          since: new Date(NOW.getTime() - 3_600_000),
          steps,
          cause: CAUSE,
        },
        (sight) => judge(sight, { steps, now: NOW }, LIMITS),
      );
      await any(index + 1).recordRevocation(lease, {
        serialHex: `0${userId}`,
        reason: 'affiliationChanged',
        audit: { ...noteOf(index, 0, userId), step: 'revoke-leaf' },
      });
      return ruling.kind;
    };
    const [rulings] = await Promise.all([
      Promise.all(USERS.map(depart)),
      ...ledgers.map(async (ledger, writer) => {
        for (let round = 0; round < ROUNDS; round += 1)
          await ledger.audit(noteOf(writer, round, USERS[(round * (writer + 1)) % USERS.length]));
      }),
    ]);
    expect(rulings.filter((kind) => kind === 'let-through')).toHaveLength(LIMITS.minimumPerHour);
    const entries = await wholeTrail();
    const count = (step: string) => entries.filter((entry) => entry.step === step).length;
    expect([count('noted'), count('guard'), count('revoke-leaf')]).toEqual([
      WRITERS * ROUNDS,
      USERS.length,
      USERS.length,
    ]);
  });

  it('are settled for a checkpoint only up to what is committed, whoever is in the middle of writing', async () => {
    await any(0).audit(noteOf(0, 0, '1'));
    let settled: bigint | undefined;
    let asking: Promise<unknown> = Promise.resolve();
    await (databases[1] ?? expect.unreachable()).transaction(async (queries) => {
      await queries.query(
        `INSERT INTO audit (at, user_id, cause_source, cause_id, cause_event, step, reason, outcome)
         VALUES ($1, '2', 'watch', 'e-2', 'add', 'noted', 'Late.', 'done')`,
        [NOW],
      );
      asking = any(2)
        .settledAuditEntry()
        .then((id) => {
          settled = id;
        });
      // A third writer who begins now waits behind the question, or is counted by it.
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect(settled).toBeUndefined();
    });
    await asking;
    const entries = await wholeTrail();
    expect(settled).toBe(entries.at(-1)?.id);
    expect(entries.map(({ reason }) => reason)).toContain('Late.');
  });
});
