import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from '../../shared/adapters/ledger/database.ts';
import { createLedger } from '../../shared/adapters/ledger/ledger.ts';
import { migrate, readMigrations } from '../../shared/adapters/ledger/migrate.ts';
import { openPostgresLedger } from '../../shared/adapters/ledger/open.ts';
import { openPostgres } from '../../shared/adapters/ledger/postgres.ts';
import type { AuditEntry, Lease, Ledger } from '../../shared/ports/ledger.ts';
import { look } from '../reconcile/outcome.ts';
import { JOIN, USER_ID } from '../reconcile/workflows.ts';
import { textOf } from '../support/crl-text.ts';
import { createWorld, makeMaterials } from '../support/fakes/world.ts';
import { revokedLeaves } from '../support/packed-entries.ts';
import { schemaOf } from '../support/schema.ts';
import { makePlace, type Place, serverUrl } from './place.ts';

const clock = { now: () => new Date('2027-03-01T09:00:00Z') };
const unavailable = expect.objectContaining({ kind: 'retryable', code: 'ledger-unavailable' });
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('a ledger on PostgreSQL', () => {
  let place: Place;
  /** What the ledger uses. */
  let database: Database;
  let ledger: Ledger;
  /** Somebody with other connections, who disturbs. */
  let disturber: Database;
  let lease: Lease;

  beforeEach(async () => {
    place = await makePlace();
    database = openPostgres({ connectionString: place.connectionString, applicationName: place.schema });
    disturber = openPostgres({ connectionString: place.connectionString });
    await migrate(database);
    ledger = createLedger({ database, clock });
    const taken = await ledger.acquireLease('user:1', 3_600_000);
    if (taken === undefined) throw new Error('the lease is held');
    lease = taken;
  });
  afterEach(async () => {
    await database.close();
    await disturber.close();
    await place.remove();
  });

  const rejection = (promise: Promise<unknown>) =>
    promise.then(
      () => {
        throw new Error('expected a rejection');
      },
      (error: unknown) => error,
    );

  const sight = () =>
    ledger.recordSighting(lease, {
      userId: '1',
      primaryEmail: 'ada@acme.example',
      aliases: ['a@acme.example'],
    });

  /** Waits until so many of the ledger's backends wait for a lock, and answers the process id of one. */
  const waitingBackend = async (count = 1): Promise<number> => {
    for (;;) {
      const rows = await disturber.query<{ pid: number }>(
        `SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'`,
        [place.schema],
      );
      if (rows.length >= count && rows[0] !== undefined) return rows[0].pid;
      await sleep(10);
    }
  };

  const prepareLeaf = async (serialHex: string) => {
    await sight();
    await ledger.recordIssuer({
      issuerId: 'issuing-1',
      certificateDer: bytes('issuing'),
      chainDer: [bytes('root')],
      keyVersion: 'projects/p/secrets/issuing-1/versions/1',
      crlUrl: 'http://pki.acme.example/issuing-1.crl',
      issuerUrl: 'http://pki.acme.example/issuing-1.cer',
      state: 'active',
    });
    await ledger.recordKey(lease, {
      keyId: 'key-1',
      userId: '1',
      spkiSha256Hex: 'ab'.repeat(32),
      spkiDer: bytes('spki'),
      purpose: 'dual-use',
      modulusBits: 3072,
      keyServiceUrl: 'https://kacls.acme.example/v1',
      wrappedKey: 'wrapped',
      proof: 'proven',
    });
    await ledger.recordLeafIntent(lease, {
      serialHex,
      issuerId: 'issuing-1',
      userId: '1',
      keyId: 'key-1',
      profile: 'dual-rsa-1',
      addresses: ['ada@acme.example'],
      notBefore: clock.now(),
      notAfter: new Date('2028-03-01T09:00:00Z'),
      tbsDer: bytes('tbs'),
    });
  };

  /** Makes the next statement of this kind fail, and no other: a sequence keeps its place when the failure is rolled back. */
  const failOnce = (operation: 'INSERT' | 'UPDATE', table: string, sqlState: string, when = 'true') =>
    disturber.transaction((queries) =>
      queries.script(`
        CREATE SEQUENCE failures_left;
        CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF nextval('failures_left') = 1 THEN
            RAISE EXCEPTION 'broken for the test' USING ERRCODE = '${sqlState}';
          END IF;
          RETURN NEW;
        END $$;
        CREATE TRIGGER fail_once BEFORE ${operation} ON ${table} FOR EACH ROW
          WHEN (${when}) EXECUTE FUNCTION fail_once();`),
    );

  it('says that it cannot be used now when a migration changed a table under a prepared statement, and goes on anew', async () => {
    await database.query('CREATE TABLE things (name text)');
    const everything = () =>
      database.transaction((queries) => queries.query('SELECT * FROM things WHERE name <> $1', ['x']));
    await everything();
    await disturber.query('ALTER TABLE things ADD COLUMN colour text');
    expect(await rejection(everything())).toEqual(unavailable);
    expect(await everything()).toEqual([]);
  });

  it('whose backend is terminated in the middle of a write leaves nothing half-done, and the same call then succeeds', async () => {
    let outcome: Promise<unknown> = Promise.resolve();
    await disturber.transaction(async (queries) => {
      await queries.query('LOCK TABLE addresses IN ACCESS EXCLUSIVE MODE');
      outcome = rejection(sight());
      const pid = await waitingBackend();
      await queries.query('SELECT pg_terminate_backend($1)', [pid]);
      expect(await outcome).toEqual(unavailable);
    });
    expect((await ledger.readUser('1')).user).toBeUndefined();
    await sight();
    expect((await ledger.readUser('1')).user?.primaryEmail).toBe('ada@acme.example');
    expect(await ledger.userIdOfAddress('a@acme.example')).toBe('1');
  });

  it('lets nobody take a lease over, expired or not, while a write under it is being committed', async () => {
    await ledger.releaseLease(lease);
    const short = await ledger.acquireLease('user:1', 500);
    if (short === undefined) throw new Error('the lease is held');
    lease = short;
    const events: string[] = [];
    let write: Promise<unknown> = Promise.resolve();
    let takeover: Promise<Lease | undefined> = Promise.resolve(undefined);
    await disturber.transaction(async (queries) => {
      // The write has the lease by the time it meets a row of the same user that is not committed yet.
      await queries.query(
        `INSERT INTO users (user_id, primary_email, state, reason, since)
         VALUES ('1', 'old@acme.example', 'pending', 'Somebody else was first.', now())`,
      );
      write = sight().then(() => events.push('written'));
      await waitingBackend();
      for (;;) {
        const expired = await disturber.query(
          'SELECT 1 AS expired FROM leases WHERE expires_at <= clock_timestamp()',
        );
        if (expired.length > 0) break;
        await sleep(20);
      }
      takeover = ledger.acquireLease('user:1', 60_000);
      const taken = takeover.then(() => 'taken');
      expect(await Promise.race([taken, waitingBackend(2).then(() => 'waiting')])).toBe('waiting');
    });
    await write;
    expect(events).toEqual(['written']);
    expect((await takeover)?.fence).toBe(short.fence + 1n);
    expect((await ledger.readUser('1')).user?.primaryEmail).toBe('ada@acme.example');
  });

  it('survives the termination of connections that nobody is using', async () => {
    await sight();
    const ended = await disturber.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1',
      [place.schema],
    );
    expect(ended.length).toBeGreaterThan(0);
    // The pool hears of it only when it looks at the socket; a call in between may fail, and then says so.
    for (;;) {
      const outcome = await ledger.readUser('1').catch((error: unknown) => error);
      if (!(outcome instanceof Error)) {
        expect(outcome).toMatchObject({ user: { primaryEmail: 'ada@acme.example' } });
        break;
      }
      expect(outcome).toEqual(unavailable);
    }
  });

  it.each([
    ['INSERT', 'addresses'],
    ['INSERT', 'users'],
    ['UPDATE', 'leases'],
  ] as const)(
    'with one %s into %s failing leaves nothing half-done, and the same call then succeeds',
    async (operation, table) => {
      await failOnce(operation, table, '53100');
      const call = async () => {
        if (table === 'leases') await ledger.renewLease(lease, 3_600_000);
        else await sight();
      };
      expect(await rejection(call())).toEqual(unavailable);
      expect((await ledger.readUser('1')).user).toBeUndefined();
      await call();
      expect((await ledger.readUser('1')).user === undefined).toBe(table === 'leases');
    },
  );

  it('with the final write of an issuance failing can still revoke it, and can still finish it', async () => {
    const serialHex = '0102030405';
    await prepareLeaf(serialHex);
    await failOnce('UPDATE', 'leaves', 'XX000');
    const error = await rejection(ledger.recordSignedLeaf(serialHex, bytes('leaf')));
    expect(error).toMatchObject({ sqlState: 'XX000' });
    expect(await ledger.readLeafIntent(serialHex)).toMatchObject({ state: 'intended', tbsDer: bytes('tbs') });

    await ledger.recordRevocation(lease, { serialHex, reason: 'keyCompromise' });
    expect(await revokedLeaves(ledger, 'issuing-1')).toMatchObject([{ serialHex, reason: 'keyCompromise' }]);

    await ledger.recordSignedLeaf(serialHex, bytes('leaf'));
    expect(await ledger.readLeafIntent(serialHex)).toMatchObject({
      state: 'signed',
      leafDer: bytes('leaf'),
      revocation: { reason: 'keyCompromise' },
    });
  });

  it.each(['P0001', '23001'])(
    'refusing (%s) the line of a step that Gmail has done has the trail say that it may be missing, and blocks nobody',
    async (sqlState) => {
      const world = await createWorld(await makeMaterials(), { ledger: 'memory' });
      await JOIN.prepare(world);
      await failOnce('INSERT', 'audit', sqlState, "NEW.step = 'set-identity'");
      const deps = world.surrounded((call, perform) =>
        call.method === 'audit' ? ledger.audit(call.args[0] as AuditEntry) : perform(),
      );
      await rejection(look(deps));
      expect((await look(deps)).kind).toBe('converged');
      const trail = await ledger.auditTrail({ userId: USER_ID, limit: 100 });
      const reason = expect.stringContaining('the line of set-identity (done)');
      expect(trail.filter(({ step }) => step === 'set-identity')).toEqual([]);
      expect(trail.filter(({ outcome }) => outcome === 'failed')).toMatchObject([
        { step: 'look-interrupted', reason },
      ]);
      await world.close();
    },
  );

  it('lets one of two signers that finish at once win, and tells the other', async () => {
    await prepareLeaf('0102');
    const outcomes = await Promise.allSettled([
      ledger.recordSignedLeaf('0102', bytes('one')),
      ledger.recordSignedLeaf('0102', bytes('other')),
    ]);
    expect(outcomes.map((outcome) => outcome.status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(outcomes.find((outcome) => outcome.status === 'rejected')).toMatchObject({
      reason: { kind: 'permanent', code: 'intent-mismatch' },
    });
  });

  it('lets one of two publishers that draw the same CRL number at once win', async () => {
    await prepareLeaf('0102');
    const issuerLease = await ledger.acquireLease('issuer:issuing-1', 60_000);
    if (issuerLease === undefined) throw new Error('the lease is held');
    const intend = (crlNumber: bigint) =>
      ledger.recordCrlIntent(issuerLease, {
        issuerId: 'issuing-1',
        crlNumber,
        thisUpdate: clock.now(),
        nextUpdate: new Date('2027-03-08T09:00:00Z'),
        text: textOf(bytes('tbs')),
      });
    const outcomes = await Promise.allSettled([intend(5n), intend(5n)]);
    expect(outcomes.map((outcome) => outcome.status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(outcomes.find((outcome) => outcome.status === 'rejected')).toMatchObject({
      reason: { kind: 'permanent', code: 'conflict' },
    });
  });

  it('refuses a lower CRL number also to somebody who writes around the lease', async () => {
    await prepareLeaf('0102');
    const insert = (queries: Pick<Database, 'query'>, crlNumber: number) =>
      queries.query(
        `INSERT INTO crls (issuer_id, crl_number, this_update, next_update, tbs_head, tbs_tail, state, intended_at)
         VALUES ('issuing-1', $1, now(), now() + interval '7 days', '\\x00', '', 'intended', now())`,
        [crlNumber],
      );
    let second: Promise<unknown> = Promise.resolve();
    await database.transaction(async (queries) => {
      await insert(queries, 7);
      // Not committed yet, so the other cannot see number 7: it must wait for it.
      second = rejection(insert(disturber, 6));
      await sleep(50);
    });
    expect(await second).toMatchObject({ kind: 'permanent', code: 'conflict' });
  });

  it('takes two jobs over the same users at once, in whatever order they name them', async () => {
    const userIds = Array.from({ length: 50 }, (_, index) => String(1000 + index));
    const job = (order: readonly string[]) =>
      ledger.recordRekeyJob({
        requestedBy: 'admin@acme.example',
        reason: 'superseded',
        users: order.map((userId) => ({ userId, primaryEmail: `${userId}@acme.example` })),
      });
    for (const userId of userIds) await ledger.acquireLease(`user:${userId}`, 60_000);
    const jobs = await Promise.all([
      job(userIds),
      job(userIds.toReversed()),
      job(userIds),
      job(userIds.toReversed()),
    ]);
    for (const { jobId } of jobs) expect((await ledger.readJob(jobId))?.total).toBe(50);
    expect((await ledger.readUser('1000')).openWishes).toHaveLength(4);
  });

  it('does not show a wrapped key in what it says about a refused statement', async () => {
    await sight();
    const wrappedKey = 'd3JhcHBlZCBrZXkgb2YgYWRh';
    const error = await rejection(
      ledger.recordKey(lease, {
        keyId: 'key-1',
        userId: '1',
        spkiSha256Hex: 'not a digest',
        spkiDer: bytes('spki'),
        purpose: 'dual-use',
        modulusBits: 3072,
        keyServiceUrl: 'https://kacls.acme.example/v1',
        wrappedKey,
        proof: 'proven',
      }),
    );
    expect(error).toMatchObject({ constraint: 'user_keys_spki_sha256_hex_check' });
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(wrappedKey);
  });

  it('has the very schema that PGlite has', async () => {
    const { openEmbedded } = await import('../../shared/adapters/ledger/embedded.ts');
    const embedded = await openEmbedded();
    const here = (await schemaOf(database)).map((line) => line.replaceAll(place.schema, 'public'));
    // PostgreSQL 18 also names the NOT NULL constraints that 15 keeps as a mark on the column.
    const there = (await schemaOf(embedded)).filter((line) => !/^constraint \S+ \S+ NOT NULL /.test(line));
    await embedded.close();
    expect(here.sort()).toEqual([...there].sort());
  });
});

describe('opening a ledger on PostgreSQL', () => {
  let place: Place;
  beforeEach(async () => {
    place = await makePlace();
  });
  afterEach(() => place.remove());

  it('migrates where it may, and then only checks', async () => {
    const { connectionString } = place;
    await expect(openPostgresLedger({ connectionString, clock })).rejects.toMatchObject({
      code: 'settings-invalid',
      message: expect.stringContaining(`needs ${readMigrations().length}`),
    });
    const migrated = await openPostgresLedger({ connectionString, clock, migrate: true });
    await migrated.close();
    const checked = await openPostgresLedger({ connectionString, clock });
    expect(await checked.users()).toEqual([]);
    await checked.close();
    await checked.close();
    await expect(checked.users()).rejects.toEqual(unavailable);
  });

  it('says that it may pass when the database does not exist', async () => {
    const url = new URL(serverUrl());
    url.pathname = '/no_such_database';
    const error = await openPostgresLedger({ connectionString: url.href, clock }).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({
      code: 'ledger-unavailable',
      message: expect.stringContaining('does not exist'),
    });
  });
});
