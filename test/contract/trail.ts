/** What every ledger promises about audit chains, their checkpoints, policy activations and sweeps. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from '../../shared/adapters/ledger/database.ts';
import { createLedger } from '../../shared/adapters/ledger/ledger.ts';
import { ChainChecker } from '../../shared/audit/chain-checker.ts';
import { entrySha256Hex } from '../../shared/audit/entry.ts';
import { addressDigest } from '../../shared/domain/address-digest.ts';
import { unpackedId } from '../../shared/domain/packed-id.ts';
import { EVERYBODY, SWEEP_SUBJECT } from '../../shared/ports/ledger/sweeps.ts';
import type { AuditEntry, Ledger } from '../../shared/ports/ledger.ts';
import { PackedUsers, Statuses } from '../../shared/sources/sweep/packed-users.ts';
import { gathered } from '../support/gathered.ts';

const START = new Date('2027-03-01T09:00:00.123Z');
const HOUR_MS = 3_600_000;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

const entry = (userId: string | undefined, reason = 'größer: 日本'): AuditEntry => ({
  ...(userId === undefined ? {} : { userId }),
  cause: { source: 'watch', eventId: 'e-1', event: 'add' },
  step: 'issue-leaf',
  reason,
  outcome: 'done',
  details: { serialHex: '01ab', departure: false, ms: 12.5, nothing: null, 'Ключ “ä”': 'ü' },
});

/** `open` answers an empty database with the schema; `close` is called on it after each test. */
export const trailContract = (open: () => Promise<Database>): void => {
  let database: Database;
  let ledger: Ledger;
  let now: Date;
  const later = (ms: number) => new Date(START.getTime() + ms);

  beforeEach(async () => {
    now = START;
    database = await open();
    ledger = createLedger({ database, clock: { now: () => now } });
  });
  afterEach(() => ledger.close());

  describe('the chains of the audit trail', () => {
    it('are hashed by the database as shared/audit computes, each user’s by itself', async () => {
      for (const userId of ['1', '2', undefined, '1', undefined]) await ledger.audit(entry(userId));
      const entries = await ledger.auditTrail({ limit: 10 });
      expect(entries.map(({ userId, place }) => `${userId ?? '-'} ${place}`)).toEqual([
        '1 1',
        '2 1',
        '- 1',
        '1 2',
        '- 2',
      ]);
      expect(entries.map(entrySha256Hex)).toEqual(entries.map(({ sha256Hex }) => sha256Hex));
      const checker = new ChainChecker();
      expect([...entries.flatMap((taken) => checker.take(taken)), ...checker.end()]).toEqual([]);
    });

    it('have heads as they were at an entry, and are settled at the last one', async () => {
      expect(await ledger.settledAuditEntry()).toBe(0n);
      for (const userId of ['1', '2', '1']) await ledger.audit(entry(userId));
      const ids = (await ledger.auditTrail({ limit: 10 })).map(({ id }) => id);
      expect(await ledger.settledAuditEntry()).toBe(ids[2]);
      const heads = async (id: bigint) => {
        const found: string[] = [];
        for await (const { chain, place } of ledger.auditHeads(id)) found.push(`${chain} ${place}`);
        return found;
      };
      expect(await heads(ids[1] ?? 0n)).toEqual(['1 1', '2 1']);
      expect(await heads(ids[2] ?? 0n)).toEqual(['1 2', '2 1']);
    });

    it('end where the ledger says that they do, page by page', async () => {
      for (const userId of ['2', '1', undefined, '1']) await ledger.audit(entry(userId));
      const trail = await ledger.auditTrail({ limit: 10 });
      const endOf = (chain: string) => {
        const { place, sha256Hex } =
          trail.findLast(({ userId = '' }) => userId === chain) ?? expect.unreachable();
        return { chain, place, sha256Hex };
      };
      expect(await ledger.auditEnds({ limit: 2 })).toEqual([endOf(''), endOf('1')]);
      expect(await ledger.auditEnds({ afterChain: '1', limit: 2 })).toEqual([endOf('2')]);
    });

    it.each([
      `UPDATE audit SET reason = 'other'`,
      'DELETE FROM audit',
      'DELETE FROM audit_chains',
      'UPDATE audit_chains SET place = place + 2',
    ])('refuse "%s"', async (sql) => {
      await ledger.audit(entry('1'));
      await expect(database.query(sql)).rejects.toMatchObject({ code: 'conflict' });
    });
  });

  describe('a checkpoint', () => {
    const signer = {
      serialHex: '0c01',
      issuerId: 'issuing-1',
      spkiDer: bytes('spki'),
      keySecretVersion: 'projects/p/secrets/audit/versions/1',
      profile: 'audit-signer/1',
      notBefore: START,
      notAfter: later(HOUR_MS),
      tbsDer: bytes('tbs'),
    };
    beforeEach(async () => {
      await ledger.recordIssuer({
        issuerId: 'issuing-1',
        certificateDer: bytes('issuing'),
        chainDer: [],
        keyVersion: 'projects/p/secrets/issuing-1/versions/3',
        crlUrl: 'http://pki.acme.example/issuing-1.crl',
        issuerUrl: 'http://pki.acme.example/issuing-1.cer',
        state: 'active',
      });
      await ledger.recordAuditSignerIntent(signer);
    });

    it('has a signer that is signed once and found until it ends', async () => {
      await ledger.recordSignedAuditSigner('0c01', bytes('signer'));
      await expect(ledger.recordSignedAuditSigner('0c01', bytes('other'))).rejects.toMatchObject({
        code: 'intent-mismatch',
      });
      expect(await ledger.auditSigners()).toEqual([{ ...signer, certificateDer: bytes('signer') }]);
      now = later(HOUR_MS);
      expect(await ledger.auditSigners()).toEqual([]);
      expect(await ledger.readAuditSigner('0c01')).toMatchObject({ certificateDer: bytes('signer') });
    });

    it('is intended under a number that no other has, signed once, and listed by number', async () => {
      const intended = (number: bigint) => ({
        number,
        lastEntryId: 0n,
        statement: `statement ${number}`,
        signerSerialHex: '0c01',
      });
      expect(await ledger.latestCheckpoint()).toBeUndefined();
      await ledger.recordCheckpointIntent(intended(1n));
      await expect(ledger.recordCheckpointIntent(intended(1n))).rejects.toMatchObject({ code: 'conflict' });
      await ledger.recordSignedCheckpoint(1n, bytes('cms'));
      await ledger.recordSignedCheckpoint(1n, bytes('cms'));
      await expect(ledger.recordSignedCheckpoint(1n, bytes('other'))).rejects.toMatchObject({
        code: 'intent-mismatch',
      });
      await ledger.recordCheckpointIntent(intended(2n));
      expect(await ledger.latestCheckpoint()).toEqual(intended(2n));
      expect(await ledger.checkpoints({ limit: 10 })).toEqual([
        { ...intended(1n), signedDer: bytes('cms') },
        intended(2n),
      ]);
      expect(await ledger.checkpoints({ afterNumber: 1n, limit: 10 })).toEqual([intended(2n)]);
    });
  });

  describe('an activated policy', () => {
    const activation = (text: string, automatic = false) => ({
      digest: text.padEnd(64, '0'),
      text: `# ${text}`,
      pins: { units: { '/staff': 'id:1' }, groups: {} },
      activatedBy: 'admin@acme.example',
      automatic,
    });

    it('is the newest of its text or of all, and is never changed', async () => {
      expect(await ledger.latestPolicyActivation()).toBeUndefined();
      await ledger.recordPolicyActivation(activation('a'));
      now = later(HOUR_MS);
      await ledger.recordPolicyActivation(activation('b'));
      expect(await ledger.latestPolicyActivation()).toEqual({ ...activation('b'), activatedAt: now });
      expect(await ledger.latestPolicyActivation('a'.padEnd(64, '0'))).toEqual({
        ...activation('a'),
        activatedAt: START,
      });
      await expect(database.query(`UPDATE policy_activations SET policy_text = 'x'`)).rejects.toMatchObject({
        code: 'conflict',
      });
    });

    it('is activated automatically once', async () => {
      await ledger.recordPolicyActivation(activation('a', true));
      now = later(HOUR_MS);
      await ledger.recordPolicyActivation(activation('a', true));
      expect((await ledger.latestPolicyActivation())?.activatedAt).toEqual(START);
    });
  });

  describe('a sweep', () => {
    const take = async () => {
      const lease = await ledger.acquireLease(SWEEP_SUBJECT, 60_000);
      if (lease === undefined) throw new Error('the sweep is held');
      return lease;
    };
    const cause = { eventId: 'e-1', event: 'schedule' };
    const progress = { phase: 'living' as const, pages: 1, living: 2, deleted: 0, differing: 1 };

    it('is asked for once, begun, keeps its place over its passes, and ends', async () => {
      const lease = await take();
      expect(await ledger.takeUpSweep(lease)).toBeUndefined();
      await ledger.requestSweep({ scope: '/', cause });
      await ledger.requestSweep({ scope: '/', cause });
      expect((await ledger.sweepOverview()).waiting).toHaveLength(1);
      const begun = await ledger.takeUpSweep(lease);
      const sweepId = begun?.sweepId ?? expect.unreachable();
      expect(begun).toMatchObject({ state: 'running', passes: 1, phase: 'living', cause });
      const seen = Uint8Array.from({ length: 12 }, (_, index) => 255 - index);
      await ledger.recordSweepProgress(lease, sweepId, {
        ...progress,
        covering: ['staff'],
        pageToken: 'p2',
        seen,
      });
      expect(await ledger.recordSweepFailure(lease, sweepId, 'It answered 503.')).toBe(1);
      expect(begun?.covering).toEqual([]);
      expect(await ledger.takeUpSweep(lease)).toMatchObject({
        ...{ ...progress, covering: ['staff'], pageToken: 'p2', failures: 1 },
      });
      const pieces: Uint8Array[] = [];
      for await (const piece of ledger.seenBySweep(sweepId)) pieces.push(piece);
      expect(pieces).toEqual([seen]);
      expect(await ledger.beginPass(lease, sweepId)).toMatchObject({
        ...{ passes: 2, pages: 0, living: 0, covering: [] },
      });
      await ledger.recordSweepProgress(lease, sweepId, { ...progress, seen: new Uint8Array(0) });
      expect((await ledger.takeUpSweep(lease))?.covering).toBeUndefined();
      for await (const piece of ledger.seenBySweep(sweepId)) expect.unreachable(String(piece));
      expect(
        await ledger.endSweep(lease, sweepId, {
          ...{ state: 'whole', missing: [], sampled: 0 },
          counts: { pages: 9, living: 4_100, deleted: 3, differing: 2 },
        }),
      ).toMatchObject({ state: 'whole', missing: 0, endedAt: START, pages: 9, living: 4_100, differing: 2 });
      expect(await ledger.sweepOverview()).toMatchObject({ waiting: [], lastWhole: { sweepId } });
    });

    it('keeps how far the members of groups are read, and who they are, until its pass or it ends', async () => {
      const lease = await take();
      await ledger.requestSweep({ scope: '/', cause });
      const { sweepId, groups: none } = (await ledger.takeUpSweep(lease)) ?? expect.unreachable();
      expect(none).toBeUndefined();
      const [one, other] = [new Uint8Array(12).fill(1), new Uint8Array(24).fill(2)];
      const reading = { groupId: 'g', holdsEverybody: false, members: 1, pageToken: 'p2' };
      await ledger.recordSweepFailure(lease, sweepId, 'It answered 503.');
      await ledger.recordGroupReading(lease, sweepId, reading, one);
      await ledger.recordGroupReading(lease, sweepId, { ...reading, groupId: 'h' }, other);
      const whole = { groupId: 'g', holdsEverybody: true, members: 3 };
      await ledger.recordGroupReading(lease, sweepId, whole, other);
      await ledger.recordGroupReading(lease, sweepId, whole, new Uint8Array(0));
      const known = await ledger.takeUpSweep(lease);
      expect(known?.groups).toEqual([whole, { ...reading, groupId: 'h' }]);
      expect(known).toMatchObject({ failures: 0 });
      expect(known?.why).toBeUndefined();
      const read = async () => {
        const pieces: unknown[] = [];
        for await (const piece of ledger.membersOfSweep(sweepId)) pieces.push(piece);
        return pieces;
      };
      expect(await read()).toEqual([
        { groupId: 'g', packed: one },
        { groupId: 'h', packed: other },
        { groupId: 'g', packed: other },
      ]);
      expect((await ledger.beginPass(lease, sweepId)).groups).toBeUndefined();
      expect(await read()).toEqual([]);
      await ledger.recordGroupReading(lease, sweepId, whole, one);
      const ended = await ledger.endSweep(lease, sweepId, { state: 'not-whole', why: 'As told.' });
      expect(ended.groups).toBeUndefined();
      expect(await read()).toEqual([]);
      await ledger.releaseLease(lease);
      await expect(ledger.recordGroupReading(lease, sweepId, whole, one)).rejects.toMatchObject({
        code: 'lease-lost',
      });
    });

    it('says of the policy that is followed, and of no other, that its rules were judged', async () => {
      const lease = await take();
      const areJudged = async () => (await ledger.policyFollowing()).followed?.areRulesJudged;
      await ledger.recordPolicyFollowed(lease, 'a');
      await ledger.recordRulesJudged(lease, 'before');
      expect(await areJudged()).toBe(false);
      await ledger.recordRulesJudged(lease, 'a');
      expect(await areJudged()).toBe(true);
      await ledger.recordPolicyFollowed(lease, 'b');
      expect(await areJudged()).toBe(false);
    });

    it('writes only under its lease', async () => {
      const lease = await take();
      await ledger.requestSweep({ scope: '/', cause });
      const { sweepId } = (await ledger.takeUpSweep(lease)) ?? expect.unreachable();
      await ledger.releaseLease(lease);
      await expect(
        ledger.recordSweepProgress(lease, sweepId, { ...progress, seen: new Uint8Array(12) }),
      ).rejects.toMatchObject({ code: 'lease-lost' });
    });

    it('sees every user once in the packed pieces, and who was not sighted since', async () => {
      const ids = ['1', '2', '3', '161803398874989484821'];
      for (const userId of ids) {
        const lease = await ledger.acquireLease(`user:${userId}`, 60_000);
        if (lease === undefined) throw new Error('held');
        await ledger.recordSighting(lease, {
          userId,
          primaryEmail: `${userId}@acme.example`,
          aliases: [],
          ruleName: 'C:\\staff, Köln',
          isArchived: userId === '2',
        });
        const state = { userId, state: 'ready', reason: '', failures: 0, deleted: userId === '3' } as const;
        const next = userId === '1' ? ({ nextAction: 'observe-again', nextActionAt: now } as const) : {};
        await ledger.recordState(lease, { ...state, ...next });
        now = later(HOUR_MS);
      }
      const packed = await ledger.atOneMoment((moment) => gathered(moment.packedUsers));
      const statuses = new Statuses();
      const users = new PackedUsers(packed, statuses);
      const read: (string | undefined)[] = [];
      while (users.next()) {
        read.push(unpackedId(users.id, 0));
        expect(users.hasDigest).toBe(true);
        expect(users.digest).toBe(addressDigest(`${read.at(-1)}@acme.example`, []));
        const status = {
          ...{ state: 'ready', hasLeftScope: false, isSuspended: false, ruleName: 'C:\\staff, Köln' },
          ...{
            isObserved: read.at(-1) === '1',
            isArchived: read.at(-1) === '2',
            isDeleted: read.at(-1) === '3',
          },
        };
        expect(statuses.at(users.status)).toEqual(status);
        expect((await ledger.sweptUsers([read.at(-1) ?? ''])).get(read.at(-1) ?? '')).toMatchObject(status);
      }
      expect(read.toSorted()).toEqual(ids.toSorted());
      expect(await ledger.atOneMoment((moment) => moment.estimateUsers())).toBeGreaterThanOrEqual(0);
      const sweep = { scope: EVERYBODY, cause: { eventId: 'test', event: 'test' } };
      await ledger.requestSweep(sweep);
      const lease = await ledger.acquireLease(SWEEP_SUBJECT, 60_000);
      if (lease === undefined) throw new Error('held');
      const { sweepId = 0n } = (await ledger.takeUpSweep(lease)) ?? {};
      await ledger.endSweep(lease, sweepId, { state: 'whole', missing: ['3'], sampled: 0 });
      expect(await ledger.unseenSince(['1', '3', 'unknown'], later(HOUR_MS + 1))).toEqual([
        { userId: '1', isDeleted: false },
        { userId: '3', isDeleted: true, absence: { firstMissedAt: now, lastMissedAt: now } },
      ]);
      expect((await ledger.unseenSince(['1', '2'], later(1))).map(({ userId }) => userId)).toEqual(['1']);
      expect(await ledger.readyUsersNotSightedSince(later(1), 10)).toEqual(['1']);
      expect(await ledger.readyUsersNotSightedSince(later(HOUR_MS + 1), 10)).toEqual(['1', ids[3], '2']);
      expect((await ledger.sweptUsers(['2', 'unknown'])).get('2')).toMatchObject({
        userId: '2',
        state: 'ready',
        ruleName: 'C:\\staff, Köln',
        hasLeftScope: false,
      });
    });
  });
};
