/** Two workers on one ledger, disturbed by everything short of losing the disk; then a checker over tables, CRLs and chains. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Database, TransactionQueries } from '../../shared/adapters/ledger/database.ts';
import { openPostgres } from '../../shared/adapters/ledger/postgres.ts';
import { encodeOcspRequest, issuerHashes } from '../../shared/pki/ocsp.ts';
import { readOcspResponse } from '../../shared/pki/ocsp-reader.ts';
import { pemToDer } from '../../shared/pki/pem.ts';
import { checkLedger, type Witnesses } from '../campaign/ledger-checker.ts';
import { atWork, startWorker, type Worker, witnessesOf } from '../campaign/two-workers.ts';
import { chance } from '../stories/chance.ts';
import { addressOf, beginStory, eventually, only, type Story } from '../stories/story.ts';
import { makePlace, type Place } from './place.ts';

/** Who joins while workers are killed, and who while one is stopped. */
const NAMES = { killed: ['ada', 'ben', 'cleo', 'dora'], stopped: ['emil', 'fay', 'gus', 'hal'] } as const;
const SEED = 11;
/** More than the lease of the local system, 15 s. */
const STOPPED_MS = 16_500;
const KILLS = 4;
const TERMINATIONS = 12;

const sealAnew = (which: string): string =>
  `UPDATE audit SET sha256_hex = encode(sha256(convert_to(audit_text(audit), 'UTF8')), 'hex') WHERE ${which};`;

describe('two workers on one PostgreSQL', { timeout: 600_000 }, () => {
  let place: Place;
  let database: Database;
  let story: Story;
  let workers: readonly [Worker, Worker];
  let witnesses: Witnesses;
  let url: string;
  const people: { name: string; userId: string }[] = [];

  beforeAll(async () => {
    place = await makePlace();
    const named = new URL(place.connectionString);
    // By this name the backends of this test are told from everybody else's.
    named.searchParams.set('application_name', place.schema);
    url = named.href;
    story = await beginStory({ databaseUrl: url });
    workers = [await startWorker(story, 'one', url), await startWorker(story, 'two', url)];
    database = openPostgres({ connectionString: place.connectionString });
    // Events reach nobody: all looks are the two workers', and what they leave undone is done by the minute's schedule.
    await story.company.faults({ seed: SEED, events: { drop: 1 } });
  }, 600_000);

  afterAll(async () => {
    for (const worker of workers ?? []) await worker.end();
    await story?.end();
    await database?.close();
    await place.remove();
  }, 120_000);

  const checked = async (change?: (queries: TransactionQueries) => Promise<unknown>, seen = witnesses) => {
    class Undo extends Error {
      readonly problems: readonly string[];
      constructor(problems: readonly string[]) {
        super('undone');
        this.problems = problems;
      }
    }
    try {
      return await database.transaction(async (queries) => {
        await queries.query(`SET LOCAL session_replication_role = 'replica'`);
        await change?.(queries);
        throw new Undo(await checkLedger(queries, seen));
      });
    } catch (error) {
      if (error instanceof Undo) return error.problems;
      throw error;
    }
  };

  it('leave a leaf whose last write failed revocable by its serial, and CRL and OCSP say so', async () => {
    await database.transaction((queries) =>
      queries.script(`
        CREATE SEQUENCE failures_left;
        CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
        BEGIN
          IF nextval('failures_left') = 1 THEN RAISE EXCEPTION 'broken for the test' USING ERRCODE = 'XX000'; END IF;
          RETURN NEW;
        END $$;
        CREATE TRIGGER fail_once BEFORE UPDATE ON leaves FOR EACH ROW EXECUTE FUNCTION fail_once();`),
    );
    const userId = await story.company.hire('zoe');
    expect(await workers[0].look(userId)).toBeGreaterThanOrEqual(500);
    const serial = only(
      await database.query<{ serial: string; state: string }>(
        'SELECT serial_hex AS serial, state FROM leaves WHERE user_id = $1',
        [userId],
      ),
    );
    expect(serial.state, 'signed perhaps, and certainly foreseen').toBe('intended');
    await story.company.deleteUser(addressOf('zoe'));
    await eventually('a look that revokes it', async () =>
      (await workers[1].look(userId)) === 204 ? true : undefined,
    );
    const revoked = (
      await story.company.crlThat('the orphan in the CRL', (crl) => crl.revoked.has(serial.serial))
    ).revoked;
    expect(revoked.get(serial.serial)).toBe('Cessation Of Operation');
    const hashes = issuerHashes(pemToDer(story.system.issuingPem, 'CERTIFICATE'), 'sha256');
    const status = await eventually('the OCSP answer', async () => {
      const response = await fetch(story.system.ready.ocsp, {
        method: 'POST',
        headers: { 'content-type': 'application/ocsp-request' },
        body: Buffer.from(encodeOcspRequest('sha256', hashes, serial.serial)),
      });
      const { basic } = readOcspResponse(await response.bytes());
      return basic === undefined ? undefined : JSON.stringify(basic.data.answers);
    });
    expect(status).toMatch(/revoked/);
  });

  it('bring everybody to one certificate, one pair and one identity, whatever is done to them meanwhile', async () => {
    const random = chance(SEED);
    const { company } = story;
    const hire = async (names: readonly string[]) => {
      for (const name of names) people.push({ name, userId: await company.hire(name) });
    };
    await hire(NAMES.killed);
    await company.faults({
      seed: SEED,
      events: { drop: 1 },
      calls: [
        'gmail.users.settings.cse.*',
        'kacls.wrapprivatekey',
        'functions.sign',
        'directory.users.get',
      ].map((method) => ({ method, latencyMs: 150 })),
    });
    let disturbing = true;
    const asking = workers.map(async (worker) => {
      while (disturbing) {
        const asked = people.filter(() => random() < 0.5);
        const looks = Promise.all(asked.map(({ userId }) => worker.look(userId)));
        // A worker that is stopped answers nobody; the other is asked on.
        await Promise.race([looks, new Promise((resolve) => setTimeout(resolve, 1_000))]);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    });
    const hit = { kills: 0, terminated: 0 };

    for (let kill = 0; kill < KILLS; kill += 1) {
      const worker = workers[random() < 0.5 ? 0 : 1];
      const { supervisor } = worker;
      if ((await atWork(worker, 4_000)).length > 0) hit.kills += 1;
      const pid = supervisor.pid();
      const again = new Promise<void>((resolve) =>
        supervisor.onRestart((fresh) => fresh !== pid && resolve()),
      );
      process.kill(pid, 'SIGKILL');
      await again;
    }
    const stopped = workers[0];
    await hire(NAMES.stopped);
    const caught = await atWork(stopped);
    process.kill(stopped.supervisor.pid(), 'SIGSTOP');
    const endsMs = performance.now() + STOPPED_MS;
    while (performance.now() < endsMs || hit.terminated === 0) {
      if (hit.terminated < TERMINATIONS) {
        const ended = await database.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE application_name = $1 AND xact_start IS NOT NULL ORDER BY random() LIMIT 1`,
          [place.schema],
        );
        hit.terminated += ended.length;
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    process.kill(stopped.supervisor.pid(), 'SIGCONT');
    disturbing = false;
    await Promise.all(asking);
    expect(caught.length, 'steps in flight in the worker that was stopped').toBeGreaterThan(0);
    expect(hit.kills, 'kills that hit a step').toBeGreaterThan(0);
    expect(hit.terminated, 'backends ended in mid-transaction').toBeGreaterThan(0);

    await company.noFaults();
    for (const { name, userId } of people) {
      await eventually(
        `${name} ready`,
        async () => {
          await workers[1].look(userId);
          return (await company.user(addressOf(name)))?.state === 'ready' ? true : undefined;
        },
        120_000,
      );
    }
    await company.moveClock('2m');
    const logs = [story.system.logFile, ...workers.map(({ logFile }) => logFile)];
    witnesses = await witnessesOf(story, logs, people);
    for (const { name } of people) {
      const { pairs, identities, unrevoked } = await company.holdings(addressOf(name));
      expect([pairs.length, identities.length, unrevoked.length], name).toEqual([1, 1, 1]);
    }
  });

  it('leave tables, CRLs and chains in which the checker finds nothing', async () => {
    expect(witnesses.signed.length).toBeGreaterThanOrEqual(people.length);
    expect(await checked()).toEqual([]);
  });

  it.each<[string, (queries: TransactionQueries) => Promise<unknown>, RegExp]>([
    [
      'a leaf that is not what was intended',
      (queries) =>
        queries.query(
          `UPDATE leaves SET tbs_der = set_byte(tbs_der, 40, 1) || '\\x00' WHERE serial_hex = $1`,
          [witnesses.uses[0]?.serialHex ?? ''],
        ),
      /is not what was intended/,
    ],
    [
      'a leaf that was signed before it was intended',
      (queries) =>
        queries.query(
          `UPDATE leaves SET signed_at = intended_at - interval '1 millisecond' WHERE serial_hex = $1`,
          [witnesses.uses[0]?.serialHex ?? ''],
        ),
      /is not what was intended/,
    ],
    [
      'two current leaves',
      (queries) =>
        queries.script(
          `INSERT INTO leaves OVERRIDING SYSTEM VALUE SELECT (jsonb_populate_record(l, jsonb_build_object('serial_hex', '01' || l.serial_hex, 'position', 1000000))).* FROM leaves l WHERE serial_hex = '${witnesses.uses[0]?.serialHex}'`,
        ),
      /has 2 current leaves for dual-use/,
    ],
    [
      'a revoked leaf in use, which no CRL lists and no entry of the audit trail tells of',
      (queries) =>
        queries.query(
          `INSERT INTO revocations (serial_hex, reason, revoked_at) VALUES ($1, 'superseded', now())`,
          [witnesses.uses[0]?.serialHex ?? ''],
        ),
      /audit trail does not say so[\s\S]*which is revoked\.[\s\S]*No CRL lists/,
    ],
    [
      'a CRL that is older than the one numbered before it',
      (queries) =>
        queries.query(
          `UPDATE crls SET this_update = this_update - interval '1 day' WHERE crl_number = (SELECT max(crl_number) FROM crls)`,
        ),
      /is older than the one numbered before it/,
    ],
    [
      'a CRL that was intended before the one numbered before it',
      (queries) =>
        queries.query(
          `UPDATE crls SET intended_at = intended_at - interval '1 day' WHERE crl_number = (SELECT max(crl_number) FROM crls)`,
        ),
      /is older than the one numbered before it/,
    ],
    [
      'a CRL with another number inside',
      (queries) =>
        queries.query(
          'UPDATE crls SET crl_number = crl_number + 1 WHERE crl_number = (SELECT max(crl_number) FROM crls)',
        ),
      /says it is/,
    ],
    [
      'the first CRL published again, which no longer lists whom the others list',
      (queries) =>
        queries.query(
          `UPDATE crls SET crl_number = (SELECT max(crl_number) + 1 FROM crls)
            WHERE crl_number = (SELECT min(crl_number) FROM crls)`,
        ),
      /CRL \d+ no longer lists [0-9a-f]+\./,
    ],
    [
      'a changed audit entry',
      (queries) =>
        queries.query(`UPDATE audit SET reason = 'Nothing.' WHERE id = (SELECT max(id) FROM audit)`),
      /does not fit its chain/,
    ],
    [
      'an audit entry that was changed and sealed anew',
      (queries) =>
        queries.script(`UPDATE audit SET reason = 'Nothing.' WHERE place = 1; ${sealAnew('place = 1')}`),
      /does not fit its chain/,
    ],
    [
      'an audit entry that was cut out, with the last one sealed anew over the gap',
      (queries) => {
        const of = (place: string) =>
          `place = (SELECT ${place} FROM audit_chains c WHERE c.chain = coalesce(audit.user_id, ''))`;
        return queries.script(
          `UPDATE audit SET previous_sha256_hex =
             (SELECT before.previous_sha256_hex FROM audit AS before
               WHERE before.user_id = audit.user_id AND before.place = audit.place - 1)
            WHERE user_id IS NOT NULL AND place > 1 AND ${of('c.place')};
           DELETE FROM audit WHERE user_id IS NOT NULL AND ${of('c.place - 1')};
           ${sealAnew(of('c.place'))}`,
        );
      },
      /does not fit its chain/,
    ],
    [
      'the last audit entry of somebody, changed and sealed anew',
      (queries) => {
        const last = 'id = (SELECT max(id) FROM audit WHERE user_id IS NOT NULL)';
        return queries.script(`UPDATE audit SET reason = 'Nothing.' WHERE ${last}; ${sealAnew(last)}`);
      },
      /The last entry of the audit chain of \d+ is another than was written/,
    ],
    [
      'a removed audit entry',
      (queries) =>
        queries.query(`DELETE FROM audit WHERE id = (SELECT max(id) FROM audit WHERE user_id IS NOT NULL)`),
      /The end of the audit chain of \d+ is missing/,
    ],
    [
      'a departure that waits in a held set which another has absorbed',
      (queries) =>
        queries.script(
          `INSERT INTO held_sets (set_id, scope, reason, opened_at, state, absorbed_by) OVERRIDING SYSTEM VALUE
             VALUES (900001, 'tenant', 'So.', now(), 'open', NULL), (900002, 'unit:/a', 'So.', now(), 'absorbed', 900001);
           INSERT INTO held_departures (set_id, user_id, primary_email, steps, held_at, state)
             SELECT 900002, min(user_id), 'x@acme.example', '[]', now(), 'held' FROM users`,
        ),
      /\d+ waits in held set 900002, which is absorbed: nobody can decide/,
    ],
  ])('would not have hidden %s from it', async (_what, plant, sentence) => {
    expect((await checked(plant)).join('\n')).toMatch(sentence);
  });

  it('would not have hidden a signature without an intent, or somebody who uses what they should not', async () => {
    const [first, second] = witnesses.uses;
    const seen: Witnesses = {
      ...witnesses,
      signed: [...witnesses.signed, '0abc'],
      uses: [
        { userId: first?.userId ?? '', serialHex: '0def' },
        { userId: first?.userId ?? '', serialHex: second?.serialHex ?? '' },
      ],
    };
    expect((await checked(undefined, seen)).join('\n')).toMatch(
      /0abc was signed and no intent foresaw it\.\n.*uses 0def, which the ledger does not have signed\.\n.*uses \w+ of \d+\./,
    );
  });
});
