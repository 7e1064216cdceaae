import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { isCurrent, objectName, publishCrl } from '../../shared/authority/publish-crl.ts';
import { madeOffline } from '../../shared/domain/recorded.ts';
import { retryable } from '../../shared/errors.ts';
import { SIGNATURE_ALGORITHMS } from '../../shared/pki/algorithm.ts';
import { readIssuer } from '../../shared/pki/certificate.ts';
import { buildCrl } from '../../shared/pki/crl.ts';
import { CrlBody } from '../../shared/pki/crl-body.ts';
import { readCrl, verifyCrl } from '../../shared/pki/crl-reader.ts';
import { bitString, integer, sequence, time } from '../../shared/pki/der.ts';
import { issueCrl } from '../../shared/pki/issue.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import { openssl, opensslInstalled } from '../pki/openssl.ts';
import { look } from '../reconcile/outcome.ts';
import { mortal, ProcessDied, surround } from '../support/fakes/calls.ts';
import {
  createWorld,
  DAY_MS,
  ISSUER_ID,
  type Materials,
  MINUTE_MS,
  makeMaterials,
  type World,
} from '../support/fakes/world.ts';

const OBJECT = 'issuing.crl';
const CAUSE = { eventId: 'event-7', event: 'crl-requested' };

let materials: Materials;
let world: World;
beforeAll(async () => {
  materials = await makeMaterials();
});
/** The world has published its first CRL already. */
beforeEach(async () => {
  world = await createWorld(materials);
});
afterEach(() => world.close());

const visible = () => readCrl(world.bucket.object(OBJECT)?.bytes ?? expect.unreachable());
const publish = (deps = world.crlDeps) => publishCrl(deps, world.issuer, CAUSE);

/** Somebody joins and is deleted: one revoked leaf. */
async function revokeSomebody(userId: string): Promise<string> {
  world.directory.put({ userId });
  await look(world.deps, userId);
  world.directory.remove(userId);
  world.clock.advance(MINUTE_MS);
  await look(world.deps, userId);
  world.clock.advance(MINUTE_MS);
  const [leaf] = (await world.ledger.readUser(userId)).leaves;
  return leaf?.serialHex ?? expect.unreachable();
}

const firstListing = async (serialHex: string) => (await world.ledger.crlListings([serialHex]))[0]?.crl;

const publicationsTold = async () =>
  (await world.ledger.auditTrail({ limit: 100 }))
    .filter(({ step }) => step === 'crl-published')
    .map(({ details }) => details?.['crlNumber']);

/** A CRL as our CA would sign it, whatever the ledger says. */
async function crlSaying(crlNumber: bigint, serials: readonly string[]): Promise<Uint8Array> {
  const now = world.clock.now();
  const { tbsDer } = buildCrl({
    issuerCertificateDer: world.issuer.certificateDer,
    crlNumber,
    now,
    entries: serials.map((serialHex) => ({ serialHex, reason: 'superseded', revokedAt: now })),
  });
  return await issueCrl({
    tbsDer: madeOffline(tbsDer),
    issuerCertificateDer: world.issuer.certificateDer,
    signer: world.authority.issuingSigner,
    signingTime: now,
  });
}

describe('publishing a CRL', () => {
  test('begins with an empty one, so that certificates can be checked before anybody is revoked', () => {
    const object = world.bucket.object(OBJECT);
    expect(object).toMatchObject({
      contentType: 'application/pkix-crl',
      cacheControl: 'public, max-age=60',
    });
    expect(visible().crlNumber).toBe(1n);
    expect(visible().entries.size).toBe(0);
    expect(verifyCrl(object?.bytes ?? new Uint8Array(), world.issuer.certificateDer)).toBe(true);
  });

  test('lists who is revoked, with the reason, and keeps them', async () => {
    const first = await revokeSomebody('1');
    expect(await publish()).toMatchObject({ crlNumber: 2n, entries: 1 });
    const second = await revokeSomebody('2');
    expect(await publish()).toMatchObject({ crlNumber: 3n, entries: 2 });
    expect([...visible().entries.keys()].sort()).toEqual([first, second].sort());
    expect((await world.ledger.latestCrl(ISSUER_ID))?.state).toBe('published');
  });

  test('is recorded as the first that lists whom it lists first, also within one second', async () => {
    const serials: string[] = [];
    for (const userId of ['1', '2', '3']) {
      world.directory.put({ userId });
      await look(world.deps, userId);
      world.directory.remove(userId);
      await look(world.deps, userId);
      const [leaf] = (await world.ledger.readUser(userId)).leaves;
      serials.push(leaf?.serialHex ?? expect.unreachable());
      expect(await firstListing(serials.at(-1) ?? '')).toBeUndefined();
      const { crlNumber } = await publish();
      expect(await firstListing(serials.at(-1) ?? '')).toEqual({ crlNumber, publishedAt: world.clock.now() });
    }
    const firsts = await Promise.all(
      serials.map(async (serialHex) => (await firstListing(serialHex))?.crlNumber),
    );
    expect(firsts).toEqual([2n, 3n, 4n]);
  });

  /** A ledger whose process dies at the publication: before it is recorded, or before it is written down whom the CRL lists. */
  const dyingAt = (moment: 'recorded' | 'written down') =>
    surround('ledger', world.ledger, async ({ method, args }, perform) => {
      if (method !== 'recordPublishedCrl') return await perform();
      const die = async () => {
        throw new ProcessDied();
      };
      if (moment === 'recorded') await die();
      const [lease, issuerId, crlNumber, , audit] = args as Parameters<Ledger['recordPublishedCrl']>;
      return await world.ledger.recordPublishedCrl(lease, issuerId, crlNumber, die, audit);
    });
  async function dies(moment: 'recorded' | 'written down'): Promise<void> {
    await expect(publish({ ...world.crlDeps, ledger: dyingAt(moment) })).rejects.toThrow(ProcessDied);
    await world.expireLeases();
  }

  test.each([
    [['recorded']],
    [['written down']],
    [['recorded', 'written down', 'written down']],
    [['recorded', 'recorded', 'written down']],
  ] as const)('whose publisher died before it was %s is the first CRL all the same', async (moments) => {
    const serialHex = await revokeSomebody('1');
    for (const moment of moments) {
      await dies(moment);
      expect(visible().crlNumber, 'a later run finishes the first before it makes another').toBe(2n);
      world.clock.advance(MINUTE_MS);
    }
    await expect(publish()).resolves.toMatchObject({ crlNumber: 3n });
    expect(await firstListing(serialHex)).toMatchObject({ crlNumber: 2n });
    expect(await publicationsTold()).toEqual(['1', '2', '3']);
  });

  test.each(['recorded', 'written down'] as const)(
    'goes on where an earlier one died before it was %s and its bytes are damaged, says so, and is the first itself',
    async (moment) => {
      const serialHex = await revokeSomebody('1');
      await dies(moment);
      await world.database.transaction((queries) =>
        queries.script('SET LOCAL session_replication_role = replica; DELETE FROM crl_blocks'),
      );
      await expect(publish()).resolves.toMatchObject({ crlNumber: 3n });
      expect(await firstListing(serialHex)).toMatchObject({ crlNumber: 3n });
      expect(world.log.of('crl-not-finished')).toMatchObject([
        {
          severity: 'error',
          fields: { crlNumber: '2', message: expect.stringContaining('missing in the ledger') },
        },
      ]);
      await publish();
      expect(world.log.of('crl-not-finished')).toHaveLength(1);
    },
  );

  test.skipIf(!opensslInstalled)('publishes what OpenSSL reads and verifies', async () => {
    const serialHex = await revokeSomebody('1');
    await publish();
    const answer = openssl(['crl', '-inform', 'DER', '-in', 'crl', '-noout', '-text', '-CAfile', 'ca.pem'], {
      crl: world.bucket.object(OBJECT)?.bytes ?? new Uint8Array(),
      'ca.pem': `-----BEGIN CERTIFICATE-----\n${Buffer.from(world.issuer.certificateDer).toString('base64')}\n-----END CERTIFICATE-----\n`,
    });
    expect(answer.text).toContain('verify OK');
    expect(answer.text).toContain(`Serial Number: ${serialHex.toUpperCase()}`);
    expect(answer.text).toContain('Cessation Of Operation');
  });

  test('says in the audit trail and in the log what was published and why', async () => {
    await publish();
    const trail = await world.ledger.auditTrail({ limit: 100 });
    expect(trail.at(-1)).toMatchObject({
      cause: { source: 'due', eventId: 'event-7', event: 'crl-requested' },
      step: 'crl-published',
      outcome: 'done',
      details: { issuerId: ISSUER_ID, crlNumber: '2', entries: 0, atPublication: true },
    });
    expect(world.log.of('crl-published')).toHaveLength(2);
  });

  test('that dies at any call leaves a number behind and never goes backwards', async () => {
    const serialHex = await revokeSomebody('1');
    const restore = await world.save();
    const over = (process: ReturnType<typeof mortal>) => ({
      ...world.crlDeps,
      ledger: surround('ledger', world.ledger, process.around),
      bucket: surround('bucket', world.bucket, process.around),
      signing: surround('signing', world.signing, process.around),
    });
    const count = mortal();
    await publish(over(count));
    let crashes = 0;
    for (let call = 1; call <= count.calls.length; call += 1) {
      for (const moment of ['before', 'after'] as const) {
        await restore();
        await expect(publish(over(mortal({ call, moment })))).rejects.toThrow(ProcessDied);
        const left = visible();
        await world.expireLeases();
        const { crlNumber } = await publish();
        const where = `died ${moment} ${count.calls[call - 1]?.method}`;
        expect(left.crlNumber === 1n || left.entries.has(serialHex), where).toBe(true);
        expect(crlNumber > (left.crlNumber ?? 0n), where).toBe(true);
        expect(visible().crlNumber, where).toBe(crlNumber);
        const first = left.entries.has(serialHex) ? left.crlNumber : crlNumber;
        expect(await firstListing(serialHex), where).toMatchObject({ crlNumber: first });
        expect(await publicationsTold(), where).toContain(String(first));
        expect([...visible().entries.keys()], where).toEqual([serialHex]);
        expect((await world.ledger.latestPublishedCrl(ISSUER_ID))?.crlNumber, where).toBe(crlNumber);
        crashes += 1;
      }
    }
    expect(crashes).toBeGreaterThan(20);
  });

  test('is one publisher’s at a time; the other comes back', async () => {
    const lease = await world.ledger.acquireLease(`issuer:${ISSUER_ID}`, 60_000);
    await expect(publish()).rejects.toMatchObject({
      kind: 'retryable',
      code: 'lease-held',
      retryAfterMs: 5_000,
    });
    await world.ledger.releaseLease(lease ?? expect.unreachable());
    await expect(publish()).resolves.toMatchObject({ crlNumber: 2n });
  });

  test.each(['readParts', 'signCrl', 'write', 'recordPublishedCrl'])(
    'by somebody who fell asleep before %s and was overtaken changes nothing any more',
    async (method) => {
      const numbers: (bigint | undefined)[] = [];
      let slept = false;
      const sleepy = {
        ...world.crlDeps,
        bucket: surround(
          'bucket',
          world.bucket,
          async (call, perform) => await maybeSleep(call.method, perform),
        ),
        signing: surround(
          'signing',
          world.signing,
          async (call, perform) => await maybeSleep(call.method, perform),
        ),
        ledger: surround(
          'ledger',
          world.ledger,
          async (call, perform) => await maybeSleep(call.method, perform),
        ),
      };
      async function maybeSleep(name: string, perform: () => Promise<unknown>): Promise<unknown> {
        if (name !== method || slept) return await perform();
        slept = true;
        await world.expireLeases();
        // The other publisher works on a later state, and twice.
        await revokeSomebody('1');
        await publish();
        numbers.push(visible().crlNumber);
        await publish();
        numbers.push(visible().crlNumber);
        return await perform();
      }
      await expect(publish(sleepy)).rejects.toThrow();
      numbers.push(visible().crlNumber);
      expect(slept).toBe(true);
      expect(numbers.map(Number)).toEqual(numbers.map(Number).toSorted((left, right) => left - right));
      expect(visible().entries.size).toBe(1);
      expect((await world.ledger.latestPublishedCrl(ISSUER_ID))?.crlNumber).toBe(visible().crlNumber);
    },
  );

  test('stops when an entry would vanish before its certificate’s end, and leaves the published one in place', async () => {
    const serialHex = await revokeSomebody('1');
    await publish();
    const before = world.bucket.object(OBJECT);
    // A ledger restored from a backup: the revocation is gone.
    await world.database.transaction(async (queries) => {
      await queries.script(
        'SET LOCAL session_replication_role = replica; DELETE FROM crl_entries; DELETE FROM revocations',
      );
    });
    await expect(publish()).rejects.toMatchObject({
      kind: 'permanent',
      code: 'publication-refused',
      message: expect.stringContaining(serialHex),
    });
    expect(world.bucket.object(OBJECT)).toEqual(before);
  });

  test('stops when what is published lists a serial nobody knows', async () => {
    world.bucket.overwrite(OBJECT, await crlSaying(1n, ['7f'.repeat(17)]));
    await expect(publish()).rejects.toMatchObject({ code: 'publication-refused' });
  });

  test('stops at a number that was published before, and gets past it', async () => {
    world.bucket.overwrite(OBJECT, await crlSaying(3n, []));
    world.clock.advance(1_000);
    await expect(publish()).rejects.toMatchObject({
      code: 'publication-refused',
      message: expect.stringContaining('not greater than 3'),
    });
    // Numbers that are begun are burnt, so that a ledger behind its bucket catches up by itself.
    await expect(publish()).rejects.toMatchObject({ code: 'publication-refused' });
    await expect(publish()).resolves.toMatchObject({ crlNumber: 4n });
  });

  test('stops with a sentence when something else than a CRL is in its place', async () => {
    world.bucket.overwrite(OBJECT, Buffer.from('<html>'));
    await expect(publish()).rejects.toMatchObject({
      kind: 'permanent',
      code: 'publication-refused',
      message: expect.stringContaining('cannot be read'),
    });
  });

  test('that is not what the bucket holds afterwards is not recorded as published', async () => {
    const bucket = surround('bucket', world.bucket, async (call, perform) => {
      const answer = await perform();
      if (call.method === 'write') world.bucket.overwrite(OBJECT, Buffer.from('other'));
      return answer;
    });
    await expect(publish({ ...world.crlDeps, bucket })).rejects.toMatchObject({
      kind: 'retryable',
      code: 'storage-unavailable',
    });
    expect((await world.ledger.latestCrl(ISSUER_ID))?.state).toBe('signed');
  });

  test('with a signature of another key uploads nothing', async () => {
    const before = world.bucket.object(OBJECT);
    const ledger = {
      ...world.ledger,
      readCrl: async (issuerId: string, crlNumber: bigint) => {
        const crl = await world.ledger.readCrl(issuerId, crlNumber);
        // The last octet is the signature's.
        const endDer = crl?.endDer?.with(-1, (crl.endDer.at(-1) ?? 0) ^ 1);
        return crl === undefined || endDer === undefined ? crl : { ...crl, endDer };
      },
    };
    await expect(publish({ ...world.crlDeps, ledger })).rejects.toMatchObject({
      code: 'publication-refused',
    });
    expect(world.bucket.object(OBJECT)).toEqual(before);
  });

  test('uploads nothing while the ledger does not have what was said to be signed', async () => {
    const before = world.bucket.object(OBJECT);
    const signing = { ...world.signing, signCrl: async () => undefined };
    await expect(publish({ ...world.crlDeps, signing })).rejects.toMatchObject({
      kind: 'retryable',
      code: 'signing-unavailable',
    });
    expect(world.bucket.object(OBJECT)).toEqual(before);
  });

  test('whose upload takes longer than its lease keeps the lease, and a second publisher stays away', async () => {
    const other: unknown[] = [];
    const slow = {
      ...world.bucket,
      write: async (object: Parameters<typeof world.bucket.write>[0]) => {
        // Several times the lease; the heartbeat is what keeps it.
        await new Promise((resolve) => setTimeout(resolve, 1_500));
        other.push(await world.ledger.acquireLease(`issuer:${ISSUER_ID}`, 60_000));
        return await world.bucket.write(object);
      },
    };
    await publishCrl({ ...world.crlDeps, bucket: slow, leaseMs: 400 }, world.issuer, {
      eventId: 'slow',
      event: 'schedule',
    });
    expect(other).toEqual([undefined]);
    expect(world.log.of('lease-not-renewed')).toEqual([]);
  });

  test('that cannot be signed gives its lease back', async () => {
    const signing = surround('signing', world.signing, async () => {
      throw retryable('signing-unavailable', 'Away.');
    });
    await expect(publish({ ...world.crlDeps, signing })).rejects.toMatchObject({
      code: 'signing-unavailable',
    });
    await expect(publish()).resolves.toMatchObject({ crlNumber: 3n });
  });

  test('replaces a CRL of another CA’s tools, which do not sort, and lets none of its entries vanish', async () => {
    await revokeSomebody('1');
    await revokeSomebody('2');
    await publish();
    const { entries } = visible();
    const [first = '', second = ''] = entries.keys();
    const unknown = '7f'.repeat(18);
    const unsorted = (...serials: readonly string[]) => {
      const { certificate } = readIssuer(world.issuer.certificateDer);
      const now = world.clock.now();
      const tbs = sequence(
        integer(1),
        SIGNATURE_ALGORITHMS.sha256WithRSA.der,
        ...[certificate.subjectDer, time(now), time(new Date(now.getTime() + DAY_MS))],
        sequence(
          ...serials.map((serialHex) => {
            const body = new CrlBody();
            const { revokedAt = now } = entries.get(serialHex) ?? {};
            body.append({ serialHex, reason: 'cessationOfOperation', revokedAt });
            return Buffer.concat(body.blocks);
          }),
        ),
      );
      return sequence(tbs, SIGNATURE_ALGORITHMS.sha256WithRSA.der, bitString(new Uint8Array(256)));
    };
    world.bucket.overwrite(OBJECT, unsorted(unknown, second, first));
    world.clock.advance(1_000);
    await expect(publish()).rejects.toMatchObject({
      code: 'publication-refused',
      message: expect.stringContaining(`${unknown} has vanished`),
    });
    world.bucket.overwrite(OBJECT, unsorted(first, first));
    await expect(publish()).rejects.toMatchObject({
      code: 'publication-refused',
      message: expect.stringContaining('listed twice'),
    });
    world.bucket.overwrite(OBJECT, unsorted(second, first));
    await expect(publish()).resolves.toMatchObject({ entries: 2 });
  });

  test('takes the bytes of what has ended out of the ledger, and never those of the last one', async () => {
    const kept = async () =>
      (await Promise.all([1n, 2n, 3n].map((number) => world.ledger.readCrl(ISSUER_ID, number)))).map(
        (crl) => crl !== undefined,
      );
    world.clock.advance(DAY_MS);
    await publish();
    world.clock.advance(6 * DAY_MS + MINUTE_MS);
    await publish();
    expect(await kept(), 'the first was good for seven days').toEqual([false, true, true]);
    world.clock.advance(30 * DAY_MS);
    await expect(
      publish({ ...world.crlDeps, signing: { ...world.signing, signCrl: async () => undefined } }),
    ).rejects.toMatchObject({ code: 'signing-unavailable' });
    expect(await kept(), 'nothing goes where nothing was published').toEqual([false, true, true]);
  });

  test('drops an entry only after a CRL made past its certificate’s end has carried it', async () => {
    const serialHex = await revokeSomebody('1');
    const [leaf] = (await world.ledger.readUser('1')).leaves;
    await publish();
    world.clock.set(new Date((leaf?.notAfter.getTime() ?? 0) + DAY_MS));
    expect(await publish()).toMatchObject({ entries: 1 });
    expect(visible().entries.has(serialHex)).toBe(true);
    world.clock.advance(DAY_MS);
    expect(await publish()).toMatchObject({ entries: 0 });
  });
});

describe('the published CRL is current', () => {
  const current = () => isCurrent(world.crlDeps, ISSUER_ID);

  test('right after its publication, until somebody is revoked', async () => {
    expect(await current()).toBe(true);
    await revokeSomebody('1');
    expect(await current()).toBe(false);
    await publish();
    expect(await current()).toBe(true);
  });

  test('until a day before its end', async () => {
    const nextUpdate = visible().nextUpdate ?? expect.unreachable();
    world.clock.set(new Date(nextUpdate.getTime() - DAY_MS));
    expect(await current()).toBe(true);
    world.clock.advance(1);
    expect(await current()).toBe(false);
  });

  test('not for an issuer that never published one', async () => {
    expect(await isCurrent(world.crlDeps, 'other')).toBe(false);
  });
});

describe('the object behind an address', () => {
  test.each([
    ['http://pki.acme.example/issuing-1.crl', 'issuing-1.crl'],
    ['http://pki.acme.example/a%20b/c.crl', 'a b/c.crl'],
  ])('%s is %s', (url, name) => {
    expect(objectName(url)).toBe(name);
  });
});
