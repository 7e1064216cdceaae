/**
 * What every ledger promises, whatever database is underneath. Run by `test/ledger` on PGlite and by `test/postgres` on
 * PostgreSQL.
 */
import { createHash, randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import type { NextAction } from '../../shared/domain/next-action.ts';
import type { IssuerRecord } from '../../shared/domain/records.ts';
import type { AuditEntry, CrlIntent, LeafIntent, Lease, Ledger } from '../../shared/ports/ledger.ts';
import { listing, listingNobody, tbsOf, textOf } from '../support/crl-text.ts';
import { revokedLeaves } from '../support/packed-entries.ts';
import type { LedgerKind, LedgerSubject } from './subject.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const START = new Date('2027-03-01T09:00:00.000Z');
const LEASE_MS = 60_000;

const later = (ms: number): Date => new Date(START.getTime() + ms);

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** 18 bytes like ours: first byte 01–7F, the rest random. */
const newSerial = (): string => {
  const serial = randomBytes(18);
  serial[0] = 1 + ((serial[0] ?? 0) % 0x7f);
  return serial.toString('hex');
};

const ISSUER: IssuerRecord = {
  issuerId: 'issuing-1',
  certificateDer: bytes('issuing certificate'),
  chainDer: [bytes('policy certificate'), bytes('root certificate')],
  keyVersion: 'projects/p/secrets/issuing-1/versions/3',
  crlUrl: 'http://pki.acme.example/issuing-1.crl',
  issuerUrl: 'http://pki.acme.example/issuing-1.cer',
  state: 'active',
};

const CAUSE = { source: 'watch', eventId: 'message-1', event: 'add' } as const;

const LEFT = {
  source: 'audit',
  eventId: 'entry-2',
  event: 'MOVE_USER_TO_ORG_UNIT',
  actor: 'ops@acme.example',
  at: new Date('2027-03-01T08:59:59.123Z'),
} as const;

/** As in a CRL: each serial as a DER INTEGER. The rest of a TBSCertList does not matter here. */
const tbsListing = (serials: readonly string[]): Uint8Array =>
  Uint8Array.from(serials.flatMap((serial) => [0x02, serial.length / 2, ...Buffer.from(serial, 'hex')]));

/** The error a promise was rejected with. */
const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => {
      throw new Error('expected a rejection');
    },
    (error: unknown) => error,
  );

const permanently = (code: string) => expect.objectContaining({ kind: 'permanent', code });
const leaseLost = expect.objectContaining({ kind: 'retryable', code: 'lease-lost' });

export const ledgerContract = ({ speaksSql, start }: LedgerKind): void => {
  let subject: LedgerSubject;
  let ledger: Ledger;
  /** The same database seen from another process. */
  let elsewhere: Ledger;
  let now: Date;
  const clock = { now: () => now };
  const advance = (ms: number) => {
    now = new Date(now.getTime() + ms);
  };

  beforeEach(async () => {
    now = START;
    subject = await start();
    ledger = subject.open(clock);
    elsewhere = subject.open(clock);
  });
  afterEach(() => subject.close());

  const take = async (subject: string, from: Ledger = ledger): Promise<Lease> => {
    const lease = await from.acquireLease(subject, LEASE_MS);
    if (lease === undefined) throw new Error(`${subject} is held`);
    return lease;
  };

  const expire = (lease: Lease) => subject.expire(lease.subject);

  /** A user who was seen, with a lease that stays ours. */
  const enter = async (userId: string, primaryEmail = `${userId}@acme.example`): Promise<Lease> => {
    const lease = await take(`user:${userId}`);
    await ledger.recordSighting(lease, { userId, primaryEmail, aliases: [] });
    return lease;
  };

  const keyOf = (userId: string, keyId: string) => ({
    keyId,
    userId,
    spkiSha256Hex: createHash('sha256').update(keyId).digest('hex'),
    spkiDer: bytes(`spki of ${keyId}`),
    purpose: 'dual-use' as const,
    modulusBits: 3072,
    keyServiceUrl: 'https://kacls.acme.example/v1',
    wrappedKey: `wrapped ${keyId}`,
    proof: 'proven' as const,
  });

  const intentFor = (userId: string, serialHex: string, changes: Partial<LeafIntent> = {}): LeafIntent => ({
    serialHex,
    issuerId: ISSUER.issuerId,
    userId,
    keyId: `key-${userId}`,
    profile: 'dual-rsa-1',
    addresses: [`${userId}@acme.example`],
    notBefore: now,
    notAfter: new Date(now.getTime() + 365 * DAY_MS),
    tbsDer: bytes(`tbs ${serialHex}`),
    ...changes,
  });

  /** A user with key and one leaf; `signed` unless told otherwise. Needs the issuer. */
  const enrol = async (
    userId: string,
    { serialHex = newSerial(), signed = true, validMs = 365 * DAY_MS } = {},
  ): Promise<{ lease: Lease; serialHex: string }> => {
    const lease = await enter(userId);
    await ledger.recordKey(lease, keyOf(userId, `key-${userId}`));
    await ledger.recordLeafIntent(
      lease,
      intentFor(userId, serialHex, { notAfter: new Date(now.getTime() + validMs) }),
    );
    if (signed) await ledger.recordSignedLeaf(serialHex, bytes(`leaf ${serialHex}`));
    return { lease, serialHex };
  };

  const crlIntent = (crlNumber: bigint, serials: readonly string[] = []): CrlIntent => ({
    issuerId: ISSUER.issuerId,
    crlNumber,
    thisUpdate: now,
    nextUpdate: new Date(now.getTime() + 7 * DAY_MS),
    text: textOf(tbsListing(serials)),
  });

  /** One run of the publisher: lists what the ledger says must be listed, signs, publishes. */
  const publish = async (crlNumber: bigint): Promise<readonly string[]> => {
    const lease = await take(`issuer:${ISSUER.issuerId}`);
    const serials = (await revokedLeaves(ledger, ISSUER.issuerId)).map((leaf) => leaf.serialHex);
    await ledger.recordCrlIntent(lease, crlIntent(crlNumber, serials));
    await ledger.recordSignedCrl(ISSUER.issuerId, crlNumber, bytes(`crl ${crlNumber}`));
    await ledger.recordPublishedCrl(lease, ISSUER.issuerId, crlNumber, listing(serials));
    await ledger.releaseLease(lease);
    return serials;
  };

  describe('a lease', () => {
    it('is held by one at a time, also within one process', async () => {
      const lease = await ledger.acquireLease('user:1', LEASE_MS);
      expect(lease).toMatchObject({ subject: 'user:1', fence: 1n });
      expect(await elsewhere.acquireLease('user:1', LEASE_MS)).toBeUndefined();
      expect(await ledger.acquireLease('user:1', LEASE_MS)).toBeUndefined();
    });

    it('is on one subject and leaves the others free', async () => {
      await take('user:1');
      expect(await elsewhere.acquireLease('user:2', LEASE_MS)).toMatchObject({ subject: 'user:2' });
      expect(await elsewhere.acquireLease('issuer:1', LEASE_MS)).toMatchObject({ subject: 'issuer:1' });
    });

    it('is free again once given back, and the fence has grown', async () => {
      expect(await ledger.releaseLease(await take('user:1'))).toBe('released');
      expect((await take('user:1', elsewhere)).fence).toBe(2n);
    });

    it('is taken over once the database says it has expired, and the fence has grown', async () => {
      await expire(await take('user:1'));
      expect((await take('user:1', elsewhere)).fence).toBe(2n);
    });

    it('says that it was taken over from somebody who never gave it back, and is as good as any', async () => {
      const first = await take('user:1');
      expect(first.takenOver).toBeUndefined();
      await expire(first);
      const second = await take('user:1', elsewhere);
      expect(second.takenOver).toBe(true);
      await elsewhere.renewLease(second, LEASE_MS);
      expect(await ledger.releaseLease(first)).toBe('released');
      expect(await elsewhere.releaseLease(second)).toBe('released');
      expect((await take('user:1')).takenOver).toBeUndefined();
    });

    it('does not expire when the product clock jumps', async () => {
      const lease = await take('user:1');
      advance(21 * DAY_MS);
      expect(await elsewhere.acquireLease('user:1', LEASE_MS)).toBeUndefined();
      await ledger.renewLease(lease, LEASE_MS);
    });

    it.runIf(speaksSql)('is extended by renewal', async () => {
      const lease = await take('user:1');
      const expiry = async () =>
        (
          await subject.database.query<{ expires_at: Date }>('SELECT expires_at FROM leases')
        )[0]?.expires_at.getTime() ?? 0;
      const before = await expiry();
      await ledger.renewLease(lease, 10 * LEASE_MS);
      expect((await expiry()) - before).toBeGreaterThanOrEqual(9 * LEASE_MS);
    });

    it('that expired cannot be renewed', async () => {
      const lease = await take('user:1');
      await expire(lease);
      expect(await rejection(ledger.renewLease(lease, LEASE_MS))).toEqual(leaseLost);
    });

    it('that was taken over cannot be renewed, and giving it back does not touch the new one', async () => {
      const lost = await take('user:1');
      await expire(lost);
      const current = await take('user:1', elsewhere);
      expect(await rejection(ledger.renewLease(lost, LEASE_MS))).toEqual(leaseLost);
      expect(await ledger.releaseLease(lost)).toBe('released');
      await elsewhere.renewLease(current, LEASE_MS);
      expect(await ledger.acquireLease('user:1', LEASE_MS)).toBeUndefined();
    });

    it('on a user that somebody asked for meanwhile stays ours for one more look', async () => {
      const lease = await take('user:1');
      await elsewhere.acquireLease('user:1', LEASE_MS);
      await elsewhere.acquireLease('user:1', LEASE_MS);
      expect(await ledger.releaseLease(lease)).toEqual({ again: undefined });
      await ledger.renewLease(lease, LEASE_MS);
      expect(await ledger.releaseLease(lease)).toBe('released');
      await take('user:1', elsewhere);
    });

    it('tells for whose sake that look is, the last who said so, and each of them once', async () => {
      const lease = await take('user:1');
      await elsewhere.acquireLease('user:1', LEASE_MS, { source: 'sweep', eventId: '7', event: 'moved' });
      await elsewhere.acquireLease('user:1', LEASE_MS, LEFT);
      await elsewhere.acquireLease('user:1', LEASE_MS);
      expect(await ledger.releaseLease(lease)).toEqual({ again: LEFT });
      await elsewhere.acquireLease('user:1', LEASE_MS);
      expect(await ledger.releaseLease(lease)).toEqual({ again: undefined });
      await elsewhere.acquireLease('user:1', LEASE_MS, { source: 'watch', eventId: '8', event: '\ud800' });
      expect(await ledger.releaseLease(lease)).toMatchObject({ again: { eventId: '8' } });
      expect(await ledger.releaseLease(lease)).toBe('released');
      const next = await take('user:1');
      expect(await ledger.releaseLease(next)).toBe('released');
    });

    it('names whoever asked for a look that did not come to its end, until one has', async () => {
      const moved = { source: 'sweep', eventId: '7', event: 'moved' } as const;
      const lost = await take('user:1');
      expect(lost.unanswered).toBeUndefined();
      await elsewhere.acquireLease('user:1', LEASE_MS, moved);
      await ledger.releaseLease(lost);
      await elsewhere.acquireLease('user:1', LEASE_MS, LEFT);
      await expire(lost);
      const over = await take('user:1', elsewhere);
      expect(over.unanswered).toEqual([moved, LEFT]);
      await expire(over);
      const last = await take('user:1');
      expect(last.unanswered).toEqual([moved, LEFT]);
      expect(await ledger.releaseLease(last)).toBe('released');
      expect((await take('user:1')).unanswered).toBeUndefined();
    });

    it('names whoever asked and was left to `dueUsers`, if another comes first', async () => {
      const lease = await take('user:1');
      await elsewhere.acquireLease('user:1', LEASE_MS, LEFT);
      await expire(lease);
      await ledger.releaseLease(lease);
      expect(await take('user:1')).toMatchObject({ unanswered: [LEFT] });
    });

    it('taken over by the one who asks owes no further look', async () => {
      const lost = await take('user:1');
      await elsewhere.acquireLease('user:1', LEASE_MS);
      await expire(lost);
      expect(await elsewhere.releaseLease(await take('user:1', elsewhere))).toBe('released');
    });

    it('on an issuer is given back however often it was asked for', async () => {
      const lease = await take('issuer:1');
      await elsewhere.acquireLease('issuer:1', LEASE_MS);
      expect(await ledger.releaseLease(lease)).toBe('released');
    });

    it('given back after it expired leaves the request of whoever asked to `dueUsers`', async () => {
      const lease = await take('user:1');
      await elsewhere.acquireLease('user:1', LEASE_MS, LEFT);
      await expire(lease);
      expect(await ledger.releaseLease(lease)).toBe('released');
      expect(await ledger.dueUsers(10)).toEqual([
        { userId: '1', nextAction: 'look-again', occasion: lease.fence, cause: LEFT },
      ]);
      await ledger.releaseLease(await take('user:1'));
      expect(await ledger.dueUsers(10)).toEqual([]);
    });

    it('whose holder died leaves that request to `dueUsers` too', async () => {
      const lease = await take('user:1');
      await elsewhere.acquireLease('user:1', LEASE_MS, LEFT);
      await expire(lease);
      expect(await ledger.dueUsers(10)).toEqual([
        { userId: '1', nextAction: 'look-again', occasion: lease.fence, cause: LEFT },
      ]);
    });

    it('is on a user, an issuer or a named job and nothing else', async () => {
      await take('job:sweep');
      await expect(ledger.acquireLease('mailbox:1', LEASE_MS)).rejects.toThrow(/leases_subject_check/);
    });
  });

  describe('a write', () => {
    const notice = { key: 'a', kind: 'foreign-keypair', message: 'A pair.' } as const;
    const userWrites: Record<string, (lease: Lease, serialHex: string, wishId: string) => Promise<unknown>> =
      {
        recordSighting: (lease) =>
          ledger.recordSighting(lease, { userId: '1', primaryEmail: 'new@acme.example', aliases: [] }),
        recordState: (lease) =>
          ledger.recordState(lease, { userId: '1', state: 'ready', reason: 'All in place.', failures: 0 }),
        recordKey: (lease) => ledger.recordKey(lease, keyOf('1', 'another-key')),
        recordLeafIntent: (lease) => ledger.recordLeafIntent(lease, intentFor('1', newSerial())),
        recordRetirement: (lease, serialHex) =>
          ledger.recordRetirement(lease, { serialHex, reason: 'superseded', dueAt: now }),
        recordRevocation: (lease, serialHex) =>
          ledger.recordRevocation(lease, { serialHex, reason: 'superseded' }),
        recordKeypairIntent: (lease, serialHex) => ledger.recordKeypairIntent(lease, serialHex),
        recordKeypair: (lease, serialHex) => ledger.recordKeypair(lease, { serialHex, keypairId: 'pair-1' }),
        recordNotices: (lease) =>
          ledger.recordNotices(lease, { userId: '1', kinds: ['foreign-keypair'], notices: [notice] }),
        fulfilWish: (lease, _serialHex, wishId) => ledger.fulfilWish(lease, wishId),
        failWish: (lease, _serialHex, wishId) => ledger.failWish(lease, wishId, 'It cannot be done.'),
      };
    const crlWrites: Record<string, (lease: Lease) => Promise<unknown>> = {
      recordCrlIntent: (lease) => ledger.recordCrlIntent(lease, crlIntent(8n)),
      recordPublishedCrl: (lease) => ledger.recordPublishedCrl(lease, ISSUER.issuerId, 7n, listingNobody),
    };

    const prepare = async () => {
      await ledger.recordIssuer(ISSUER);
      const { lease, serialHex } = await enrol('1');
      const { wishes } = await ledger.recordRekeyJob({
        requestedBy: 'admin@acme.example',
        reason: 'superseded',
        users: [{ userId: '1', primaryEmail: '1@acme.example' }],
      });
      const issuerLease = await take(`issuer:${ISSUER.issuerId}`);
      await ledger.recordCrlIntent(issuerLease, crlIntent(7n));
      await ledger.recordSignedCrl(ISSUER.issuerId, 7n, bytes('crl'));
      return { lease, serialHex, issuerLease, wishId: wishes[0]?.wishId ?? '' };
    };

    test.each([...Object.keys(userWrites), ...Object.keys(crlWrites)])(
      '%s is made under a live lease and refused, with nothing written, under a lost one',
      async (name) => {
        const { lease, issuerLease, serialHex, wishId } = await prepare();
        const ours = name in crlWrites ? issuerLease : lease;
        const write = (under: Lease) =>
          name in crlWrites ? crlWrites[name]?.(under) : userWrites[name]?.(under, serialHex, wishId);
        const before = await subject.contents();

        const forged: readonly Lease[] = [
          { ...ours, fence: ours.fence + 1n },
          { ...ours, holder: 'somebody else' },
        ];
        for (const lease of forged) expect(await rejection(Promise.resolve(write(lease)))).toEqual(leaseLost);

        await expire(ours);
        expect(await rejection(Promise.resolve(write(ours)))).toEqual(leaseLost);

        const current = await take(ours.subject, elsewhere);
        expect(await rejection(Promise.resolve(write(ours)))).toEqual(leaseLost);
        expect(await subject.contents()).toEqual(before);

        await write(current);
        expect(await subject.contents()).not.toEqual(before);
      },
    );

    test.each([...Object.keys(userWrites), ...Object.keys(crlWrites)])(
      '%s under the lease of another subject is a bug and is refused',
      async (name) => {
        const { serialHex, wishId } = await prepare();
        const before = await subject.contents();
        const other = await take('issuer:another');
        const user = await take('user:another');
        for (const lease of [other, user]) {
          const write =
            name in crlWrites ? crlWrites[name]?.(lease) : userWrites[name]?.(lease, serialHex, wishId);
          expect(String(await rejection(Promise.resolve(write)))).toMatch(/lease of|has no/);
        }
        expect(await subject.contents()).toEqual(before);
      },
    );
  });

  describe('a sighting', () => {
    it('of somebody new makes a pending user', async () => {
      await enter('1', 'ada@acme.example');
      const { user, ...rest } = await ledger.readUser('1');
      expect(user).toEqual({
        userId: '1',
        primaryEmail: 'ada@acme.example',
        state: 'pending',
        reason: expect.stringMatching(/\.$/),
        since: START,
        failures: 0,
        nextAction: 'look',
        nextActionAt: START,
      });
      // Should the first look die, somebody else is told to take one.
      expect(rest).toEqual({
        keys: [],
        deviceKeys: [],
        leaves: [],
        keypairs: [],
        openWishes: [],
        notices: [],
      });
    });

    it('keeps when the user was first seen outside and suspended, until they are not', async () => {
      const lease = await enter('1');
      const see = (fields: { leftScopeAt?: Date; suspendedAt?: Date }) =>
        ledger.recordSighting(lease, { userId: '1', primaryEmail: '1@acme.example', aliases: [], ...fields });
      await see({ leftScopeAt: later(1), suspendedAt: later(2) });
      await see({ leftScopeAt: later(50), suspendedAt: later(60) });
      expect((await ledger.readUser('1')).user).toMatchObject({
        leftScopeAt: later(1),
        suspendedAt: later(2),
      });
      await see({});
      const cleared = (await ledger.readUser('1')).user;
      expect(cleared).not.toHaveProperty('leftScopeAt');
      expect(cleared).not.toHaveProperty('suspendedAt');
      await see({ leftScopeAt: later(70) });
      expect((await ledger.readUser('1')).user).toMatchObject({ leftScopeAt: later(70) });
    });

    it('keeps the name of the last covering rule when no rule covers the user', async () => {
      const lease = await enter('1');
      const sighting = { userId: '1', primaryEmail: '1@acme.example', aliases: [] };
      await ledger.recordSighting(lease, { ...sighting, ruleName: 'staff' });
      await ledger.recordSighting(lease, sighting);
      expect((await ledger.readUser('1')).user?.ruleName).toBe('staff');
      await ledger.recordSighting(lease, { ...sighting, ruleName: 'legal' });
      expect((await ledger.readUser('1')).user?.ruleName).toBe('legal');
    });

    it('says what protected the account at that look, until one finds that nothing does', async () => {
      const lease = await enter('1');
      const sighting = { userId: '1', primaryEmail: '1@acme.example', aliases: [] };
      const protectedBy = ['super-admins', 'org-unit id:/board'];
      expect(await ledger.recordSighting(lease, { ...sighting, protectedBy })).toMatchObject({ protectedBy });
      expect((await ledger.readUser('1')).user).toMatchObject({ protectedBy });
      await ledger.recordSighting(lease, sighting);
      expect((await ledger.readUser('1')).user).not.toHaveProperty('protectedBy');
    });

    it('leaves state and failures as they were while the same is wished', async () => {
      const lease = await enter('1');
      const sighting = { userId: '1', primaryEmail: '1@acme.example', aliases: ['a@acme.example'] };
      const rule = { ruleName: 'staff', ruleDigest: 'as it was' };
      await ledger.recordSighting(lease, { ...sighting, ...rule });
      await ledger.recordState(lease, { userId: '1', state: 'blocked', reason: 'No mailbox.', failures: 3 });
      await ledger.recordSighting(lease, { ...sighting, ...rule, ruleName: 'renamed', unit: '/Staff' });
      await ledger.recordSighting(lease, sighting);
      expect((await ledger.readUser('1')).user).toMatchObject({ state: 'blocked', failures: 3 });
    });

    it.each([
      ['a primary address', { primaryEmail: 'a@acme.example', aliases: ['1@acme.example'] }],
      ['an alias', { aliases: [] }],
      ['a form of the rule', { ruleDigest: 'another' }],
      ['a departure', { leftScopeAt: START }],
      ['a suspension', { suspendedAt: START }],
    ])('forgets failures over another wish: %s', async (_what, change) => {
      const lease = await enter('1');
      const sighting = {
        ...{ userId: '1', primaryEmail: '1@acme.example', aliases: ['a@acme.example'] },
        ...{ ruleName: 'staff', ruleDigest: 'as it was' },
      };
      const fail = () =>
        ledger.recordState(lease, { userId: '1', state: 'blocked', reason: 'No mailbox.', failures: 3 });
      await ledger.recordSighting(lease, sighting);
      await fail();
      expect(await ledger.recordSighting(lease, { ...sighting, ...change })).toMatchObject({
        ...{ state: 'blocked', failures: 0 },
      });
      await fail();
      expect(await ledger.recordSighting(lease, sighting)).toMatchObject({ failures: 0 });
    });

    it('is written with its line of the trail, as a state is, or not at all', async () => {
      const lease = await enter('1');
      const sighting = { userId: '1', primaryEmail: '1@acme.example', aliases: [] };
      const state = { userId: '1', state: 'leaving', reason: 'Moved.', failures: 0 } as const;
      const begun = (eventId: string): AuditEntry => ({
        ...{ userId: '1', cause: { source: 'watch', eventId, event: 'update' } },
        ...{ step: 'leave-begun', reason: 'Moved.', outcome: 'done' },
      });
      const written = async () =>
        (await ledger.auditEntriesOfStep('leave-begun', ['1', '2'])).map(({ cause }) => cause.eventId);
      await ledger.recordSighting(lease, { ...sighting, audit: begun('sighting') });
      await ledger.recordState(lease, { ...state, audit: begun('state') });
      await ledger.releaseLease(lease);
      for (const late of [
        ledger.recordSighting(lease, { ...sighting, audit: begun('late') }),
        ledger.recordState(lease, { ...state, audit: begun('late') }),
      ])
        await expect(late).rejects.toMatchObject({ code: 'lease-lost' });
      expect(await written()).toEqual(['sighting', 'state']);
      expect(await ledger.auditEntriesOfStep('leave-begun', ['2'])).toEqual([]);
    });

    it('refuses an address that is not in lower case', async () => {
      const lease = await take('user:1');
      await expect(
        ledger.recordSighting(lease, { userId: '1', primaryEmail: 'Ada@acme.example', aliases: [] }),
      ).rejects.toThrow(/users_primary_email_check/);
      expect((await ledger.readUser('1')).user).toBeUndefined();
    });
  });

  describe('an address', () => {
    it('leads to who has it, as primary address or as alias, in any case', async () => {
      const lease = await take('user:1');
      await ledger.recordSighting(lease, {
        userId: '1',
        primaryEmail: 'ada@acme.example',
        aliases: ['a@acme.example', 'ada@acme.example'],
      });
      expect(await ledger.userIdOfAddress('ada@acme.example')).toBe('1');
      expect(await ledger.userIdOfAddress('A@Acme.Example')).toBe('1');
      expect(await ledger.userIdOfAddress('nobody@acme.example')).toBeUndefined();
      expect(await ledger.userIdsOfAddress('nobody@acme.example')).toEqual([]);
    });

    it('still leads to a renamed user while nobody else has it', async () => {
      const lease = await enter('1', 'ada@acme.example');
      await ledger.recordSighting(lease, { userId: '1', primaryEmail: 'ada.l@acme.example', aliases: [] });
      expect(await ledger.userIdOfAddress('ada@acme.example')).toBe('1');
    });

    it('from before two renames leads to the same user, as every address between', async () => {
      const lease = await enter('1', 'ada@acme.example');
      for (const primaryEmail of ['ada.l@acme.example', 'ada.k@acme.example']) {
        advance(HOUR_MS);
        await ledger.recordSighting(lease, { userId: '1', primaryEmail, aliases: [] });
      }
      for (const address of ['ada@acme.example', 'ada.l@acme.example', 'ada.k@acme.example']) {
        expect(await ledger.userIdsOfAddress(address)).toEqual(['1']);
      }
    });

    it('that moved to somebody else leads there first, even at the same instant, and keeps its history', async () => {
      const first = await enter('1', 'ada@acme.example');
      await ledger.recordSighting(first, { userId: '1', primaryEmail: 'ada.l@acme.example', aliases: [] });
      await enter('2', 'ada@acme.example');
      await ledger.recordSighting(first, { userId: '1', primaryEmail: 'ada.l@acme.example', aliases: [] });
      expect(await ledger.userIdOfAddress('ada@acme.example')).toBe('2');
      expect(await ledger.userIdsOfAddress('ada@acme.example')).toEqual(['2', '1']);
      await ledger.recordSighting(first, { userId: '1', primaryEmail: 'ada@acme.example', aliases: [] });
      expect(await ledger.userIdOfAddress('ada@acme.example')).toBe('1');
    });

    it.runIf(speaksSql)('keeps when it was first and last seen', async () => {
      const lease = await enter('1', 'ada@acme.example');
      advance(HOUR_MS);
      await ledger.recordSighting(lease, { userId: '1', primaryEmail: 'ada@acme.example', aliases: [] });
      expect(await subject.database.query('SELECT first_seen, last_seen FROM addresses')).toEqual([
        { first_seen: START, last_seen: later(HOUR_MS) },
      ]);
    });
  });

  describe('a state', () => {
    it('replaces reason, failures and next action, and dates the change', async () => {
      const lease = await enter('1');
      advance(HOUR_MS);
      await ledger.recordState(lease, {
        userId: '1',
        state: 'blocked',
        reason: 'There is no mailbox yet.',
        failures: 4,
        nextAction: 'retry-read-gmail',
        nextActionAt: later(2 * HOUR_MS),
      });
      expect((await ledger.readUser('1')).user).toEqual({
        userId: '1',
        primaryEmail: '1@acme.example',
        state: 'blocked',
        reason: 'There is no mailbox yet.',
        since: later(HOUR_MS),
        failures: 4,
        nextAction: 'retry-read-gmail',
        nextActionAt: later(2 * HOUR_MS),
      });
    });

    it('that stays the same keeps its date, and absent fields are cleared', async () => {
      const lease = await enter('1');
      const state = { userId: '1', state: 'blocked', reason: 'No mailbox.', failures: 1 } as const;
      await ledger.recordState(lease, { ...state, nextAction: 'retry-read-gmail', nextActionAt: later(1) });
      advance(HOUR_MS);
      await ledger.recordState(lease, { ...state, failures: 2, reason: 'Still no mailbox.' });
      const { user } = await ledger.readUser('1');
      expect(user).toMatchObject({ since: START, failures: 2, reason: 'Still no mailbox.' });
      expect(user).not.toHaveProperty('nextAction');
      expect(user).not.toHaveProperty('nextActionAt');
    });

    it('of somebody who was never seen is refused', async () => {
      const lease = await take('user:1');
      const state = { userId: '1', state: 'ready', reason: 'All in place.', failures: 0 } as const;
      expect(await rejection(ledger.recordState(lease, state))).toEqual(permanently('not-found'));
    });
  });

  describe('due users', () => {
    const wait = async (userId: string, nextActionAt: Date | undefined, nextAction: NextAction = 'renew') => {
      const lease = await enter(userId);
      await ledger.recordState(lease, {
        userId,
        state: 'ready',
        reason: 'All in place.',
        failures: 0,
        nextAction,
        ...(nextActionAt === undefined ? {} : { nextActionAt }),
      });
      await ledger.releaseLease(lease);
    };

    it('are those whose time has come, the longest waiting first, up to the limit', async () => {
      await wait('1', later(HOUR_MS), 'renew');
      await wait('2', later(HOUR_MS - 1), 'retry-read-gmail');
      await wait('3', later(HOUR_MS + 1));
      await wait('4', undefined);
      advance(HOUR_MS);
      const due = [
        { userId: '2', nextAction: 'retry-read-gmail', occasion: later(HOUR_MS - 1) },
        { userId: '1', nextAction: 'renew', occasion: later(HOUR_MS) },
      ];
      expect(await ledger.dueUsers(10)).toEqual(due);
      expect(await ledger.dueUsers(1)).toEqual(due.slice(0, 1));
    });

    it('are counted as of an instant to come too, hinted at or not', async () => {
      await wait('1', later(HOUR_MS));
      await wait('2', later(2 * HOUR_MS));
      await wait('3', undefined);
      expect(await ledger.dueBy(later(HOUR_MS - 1))).toBe(0);
      expect(await ledger.dueBy(later(HOUR_MS))).toBe(1);
      advance(HOUR_MS);
      await ledger.recordDueHints(await ledger.dueUsers(10));
      expect(await ledger.dueBy(later(2 * HOUR_MS))).toBe(2);
    });

    it('include whoever a dead process was working on, once, even if never seen', async () => {
      await wait('1', START);
      await expire(await take('user:1'));
      await expire(await take('user:2'));
      await expire(await take('issuer:1'));
      await take('user:3');
      const due = await ledger.dueUsers(10);
      expect(due).toHaveLength(2);
      expect(due).toEqual(
        expect.arrayContaining([
          { userId: '1', nextAction: 'resume', occasion: 2n },
          { userId: '2', nextAction: 'resume', occasion: 1n },
        ]),
      );
    });

    it('no longer include them once somebody has taken over and finished', async () => {
      await expire(await take('user:2'));
      await ledger.releaseLease(await take('user:2', elsewhere));
      expect(await ledger.dueUsers(10)).toEqual([]);
    });
  });

  describe('due users who were hinted at', () => {
    const appoint = async (userId: string, nextActionAt: Date) => {
      const lease = await enter(userId);
      const state = { userId, state: 'ready', reason: 'Well.', failures: 0, nextAction: 'renew' } as const;
      await ledger.recordState(lease, { ...state, nextActionAt });
      await ledger.releaseLease(lease);
    };
    const due = async (most: number) => (await ledger.dueUsers(most)).map(({ userId }) => userId);

    it('are left out for ten minutes, take their places meanwhile, and come after whoever was not', async () => {
      for (const userId of ['1', '2', '3', '4']) await appoint(userId, later(Number(userId)));
      advance(HOUR_MS);
      await ledger.recordDueHints(await ledger.dueUsers(2));
      expect(await due(2)).toEqual([]);
      expect(await due(3)).toEqual(['3']);
      expect(await due(10)).toEqual(['3', '4']);
      advance(600_000 - 1);
      expect(await due(10)).toEqual(['3', '4']);
      advance(1);
      expect(await due(10)).toEqual(['3', '4', '1', '2']);
      await ledger.recordDueHints(await ledger.dueUsers(1));
      expect(await due(3)).toEqual(['4', '1']);
    });

    it('are due anew with another time, and free their places when they are through', async () => {
      for (const userId of ['1', '2']) await appoint(userId, START);
      await ledger.recordDueHints(await ledger.dueUsers(2));
      await appoint('1', later(60_000));
      expect(await due(1)).toEqual([]);
      advance(60_000);
      expect(await due(1)).toEqual([]);
      expect(await due(2)).toEqual(['1']);
      await appoint('2', later(DAY_MS));
      expect(await due(1)).toEqual(['1']);
    });

    it('are due anew when their worker has died, for the lease alone', async () => {
      await appoint('1', START);
      await ledger.recordDueHints(await ledger.dueUsers(1));
      await expire(await take('user:1'));
      const again = await ledger.dueUsers(5);
      expect(again).toMatchObject([{ userId: '1', nextAction: 'resume' }]);
      await ledger.recordDueHints(again);
      expect(await due(5)).toEqual([]);
      await expire(await take('user:1'));
      expect(await due(5)).toEqual(['1']);
    });

    it('count among the hints of the last minute, of which the waves take the rest', async () => {
      for (const userId of ['1', '2']) await appoint(userId, START);
      await ledger.recordDueHints(await ledger.dueUsers(2));
      expect((await ledger.wavesLately()).lastMinute).toBe(2);
      advance(60_000);
      expect((await ledger.wavesLately()).lastMinute).toBe(0);
    });
  });

  describe('a sweep that queues hints', () => {
    it('is told how many it found: not those who waited before, or were hinted at within the hour', async () => {
      const sweepBy = async () => {
        await ledger.requestSweep({ scope: '/', cause: { eventId: 'schedule', event: 'schedule' } });
        const lease = await take('job:sweep');
        return { lease, sweepId: (await ledger.takeUpSweep(lease))?.sweepId ?? 0n };
      };
      const first = await sweepBy();
      const queue = ({ lease, sweepId }: typeof first, ...userIds: readonly string[]) =>
        ledger.queueHints(
          lease,
          userIds.map((userId) => ({ userId, kind: 'came-into-scope', sweepId })),
        );
      expect(await queue(first)).toBe(0);
      expect(await queue(first, '1', '2')).toBe(2);
      await ledger.recordWave(first.lease, ['1']);
      expect(await queue(first, '1', '2', '3'), 'the same page once more, after a crash').toBe(3);
      await ledger.endSweep(first.lease, first.sweepId, { state: 'whole', missing: [], sampled: 0 });
      await ledger.releaseLease(first.lease);
      const second = await sweepBy();
      expect(await queue(second, '1', '2', '3', '4')).toBe(1);
      now = new Date(now.getTime() + HOUR_MS);
      expect(await queue(second, '1', '2'), 'hinted at in vain').toBe(1);
    });
  });

  describe('users let out in a wave', () => {
    it('are late from two minutes on for an hour, unless they are through or wait for what is nobody’s load', async () => {
      const cause = { eventId: 'schedule', event: 'schedule' };
      await ledger.requestSweep({ scope: '/', cause });
      const lease = await take('job:sweep');
      const sweepId = (await ledger.takeUpSweep(lease))?.sweepId ?? 0n;
      const states = {
        1: { state: 'ready' },
        2: { state: 'pending', nextAction: 'ask-gmail-again' },
        3: { state: 'pending', nextAction: 'wait-for-address' },
        4: { state: 'pending', nextAction: 'retry-make-key' },
        5: { state: 'blocked' },
        6: { state: 'pending' },
      } as const;
      for (const [userId, state] of Object.entries(states)) {
        const own = await enter(userId);
        await ledger.recordState(own, { userId, reason: 'As told.', failures: 0, ...state });
        await ledger.releaseLease(own);
      }
      const userIds = [...Object.keys(states), 'nobody-looked-at-yet'];
      const hints = userIds.map((userId) => ({ userId, kind: 'came-into-scope' as const, sweepId }));
      await ledger.queueHints(lease, [...hints, { userId: 'waits', kind: 'look-by-age', sweepId }]);
      await ledger.recordWave(lease, userIds);
      const begun = now.getTime();
      const lateAfter = async (ms: number) => {
        now = new Date(begun + ms);
        return { ...(await ledger.wavesLately()), overview: (await ledger.rolloutOverview()).late };
      };
      expect(await lateAfter(0)).toEqual({ lastMinute: 7, late: 0, overview: 0 });
      expect(await lateAfter(119_999)).toEqual({ lastMinute: 0, late: 0, overview: 0 });
      expect(await lateAfter(120_000)).toEqual({ lastMinute: 0, late: 3, overview: 3 });
      expect(await lateAfter(HOUR_MS - 1)).toEqual({ lastMinute: 0, late: 3, overview: 3 });
      expect(await lateAfter(HOUR_MS)).toEqual({ lastMinute: 0, late: 0, overview: 0 });
      expect(await ledger.rolloutOverview()).toMatchObject({ waiting: 1, waitingSince: new Date(begun) });
    });
  });

  describe('a key', () => {
    it('is read as it was written, dated, in order', async () => {
      const lease = await enter('1');
      await ledger.recordKey(lease, keyOf('1', 'b'));
      await ledger.recordKey(lease, { ...keyOf('1', 'a'), proof: 'unproven' });
      expect((await ledger.readUser('1')).keys).toEqual([
        { ...keyOf('1', 'b'), createdAt: START },
        { ...keyOf('1', 'a'), proof: 'unproven', createdAt: START },
      ]);
    });

    it('written twice is done already; another one under the same id is a conflict', async () => {
      const lease = await enter('1');
      await ledger.recordKey(lease, keyOf('1', 'a'));
      await ledger.recordKey(lease, keyOf('1', 'a'));
      expect((await ledger.readUser('1')).keys).toHaveLength(1);
      expect(await rejection(ledger.recordKey(lease, { ...keyOf('1', 'a'), wrappedKey: 'other' }))).toEqual(
        permanently('conflict'),
      );
      const other = await enter('2');
      expect(await rejection(ledger.recordKey(other, keyOf('2', 'a')))).toEqual(permanently('conflict'));
    });

    it('gains proof later', async () => {
      const lease = await enter('1');
      await ledger.recordKey(lease, { ...keyOf('1', 'a'), proof: 'unproven' });
      const line = {
        ...{ userId: '1', cause: { source: 'admin', eventId: 'a', event: 'test' } as const },
        ...{ step: 'prove-key', reason: 'It opened.', outcome: 'done' as const },
      };
      await ledger.recordProof('a', 'proven', line);
      expect((await ledger.readUser('1')).keys[0]?.proof).toBe('proven');
      expect(await rejection(ledger.recordProof('b', 'proven', line))).toEqual(permanently('not-found'));
      expect(await ledger.auditTrail({ userId: '1', limit: 10 })).toMatchObject([line]);
    });

    it('that is refused does not show its wrapped form in the error', async () => {
      const lease = await enter('1');
      const wrappedKey = 'd3JhcHBlZCBrZXkgb2YgYWRh';
      const bad = [
        { ...keyOf('1', 'a'), wrappedKey, spkiSha256Hex: 'not a digest' },
        { ...keyOf('1', 'a'), wrappedKey, modulusBits: 2 ** 40 },
        { ...keyOf('1', 'a'), wrappedKey, wishId: 'no such wish' },
      ];
      for (const key of bad) {
        const error = await rejection(ledger.recordKey(lease, key));
        expect(error).toBeInstanceOf(Error);
        expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(wrappedKey);
      }
      expect((await ledger.readUser('1')).keys).toEqual([]);
    });
  });

  describe('a leaf', () => {
    beforeEach(() => ledger.recordIssuer(ISSUER));

    it('is intended with the exact bytes to be signed, and read back with the key', async () => {
      const { serialHex } = await enrol('1', { signed: false });
      expect(await ledger.readLeafIntent(serialHex)).toEqual({
        ...intentFor('1', serialHex),
        holder: 'key-service',
        state: 'intended',
        spkiDer: keyOf('1', 'key-1').spkiDer,
      });
      const [leaf] = (await ledger.readUser('1')).leaves;
      expect(leaf).toEqual({
        serialHex,
        issuerId: ISSUER.issuerId,
        userId: '1',
        holder: 'key-service',
        keyId: 'key-1',
        purpose: 'dual-use',
        state: 'intended',
        addresses: ['1@acme.example'],
        notBefore: START,
        notAfter: later(365 * DAY_MS),
        intendedAt: START,
      });
    });

    it('keeps all kinds of bytes', async () => {
      const { lease } = await enrol('1');
      const serialHex = newSerial();
      const every = Uint8Array.from({ length: 1024 }, (_, index) => index % 256);
      await ledger.recordLeafIntent(lease, intentFor('1', serialHex, { tbsDer: every }));
      await ledger.recordSignedLeaf(serialHex, every);
      expect(await ledger.readLeafIntent(serialHex)).toMatchObject({ tbsDer: every, leafDer: every });
    });

    it('never shares a serial, with no user and no issuer', async () => {
      await ledger.recordIssuer({
        ...ISSUER,
        issuerId: 'issuing-2',
        certificateDer: bytes('other'),
        state: 'retiring',
      });
      const { lease, serialHex } = await enrol('1');
      const other = await enter('2');
      await ledger.recordKey(other, keyOf('2', 'key-2'));
      const again = [
        () => ledger.recordLeafIntent(lease, intentFor('1', serialHex)),
        () => ledger.recordLeafIntent(other, intentFor('2', serialHex)),
        () => ledger.recordLeafIntent(lease, intentFor('1', serialHex, { issuerId: 'issuing-2' })),
      ];
      for (const attempt of again) expect(await rejection(attempt())).toEqual(permanently('conflict'));
      expect((await ledger.readLeafIntent(serialHex))?.userId).toBe('1');
    });

    it.each([
      ['a serial that is not positive', () => ({ serialHex: 'ff00' })],
      ['a serial of zero', () => ({ serialHex: '0000' })],
      ['a serial of more than 20 bytes', () => ({ serialHex: '01'.repeat(21) })],
      ['an issuer nobody recorded', () => ({ issuerId: 'unknown' })],
      ['a key of another user', () => ({ keyId: 'key-2' })],
      ['no address', () => ({ addresses: [] })],
      ['an end before its beginning', () => ({ notAfter: new Date(START.getTime() - 1) })],
    ])('with %s is refused', async (_title, changes) => {
      const { lease } = await enrol('1');
      const other = await enter('2');
      await ledger.recordKey(other, keyOf('2', 'key-2'));
      const before = await subject.contents();
      await expect(ledger.recordLeafIntent(lease, intentFor('1', newSerial(), changes()))).rejects.toThrow(
        /constraint leaves_/,
      );
      expect(await subject.contents()).toEqual(before);
    });

    it('is signed once: the same bytes again are done already, others are an intent mismatch', async () => {
      const { serialHex } = await enrol('1', { signed: false });
      await ledger.recordSignedLeaf(serialHex, bytes('certificate'));
      await ledger.recordSignedLeaf(serialHex, bytes('certificate'));
      expect(await rejection(ledger.recordSignedLeaf(serialHex, bytes('another')))).toEqual(
        permanently('intent-mismatch'),
      );
      expect(await ledger.readLeafIntent(serialHex)).toMatchObject({
        state: 'signed',
        leafDer: bytes('certificate'),
      });
      expect((await ledger.readUser('1')).leaves[0]).toMatchObject({
        state: 'signed',
        leafDer: bytes('certificate'),
      });
    });

    it('that nobody intended cannot be recorded as signed', async () => {
      expect(await rejection(ledger.recordSignedLeaf(newSerial(), bytes('x')))).toEqual(
        permanently('intent-mismatch'),
      );
      expect(await ledger.readLeafIntent(newSerial())).toBeUndefined();
    });

    it('is revoked once: the first date and reason stay', async () => {
      const { lease, serialHex } = await enrol('1');
      const invalidityDate = later(-DAY_MS);
      const first = await ledger.recordRevocation(lease, {
        serialHex,
        reason: 'keyCompromise',
        invalidityDate,
      });
      expect(first).toMatchObject({
        serialHex,
        state: 'signed',
        revocation: { reason: 'keyCompromise', revokedAt: START, invalidityDate },
      });
      advance(HOUR_MS);
      expect(await ledger.recordRevocation(lease, { serialHex, reason: 'superseded' })).toEqual(first);
      expect((await ledger.readUser('1')).leaves).toEqual([first]);
    });

    it('is read for signing with its issuer and with what is known of the issuer’s addresses', async () => {
      const { serialHex, lease } = await enrol('1', { signed: false });
      const { issuerId, crlUrl, issuerUrl } = ISSUER;
      const right = { sha256Hex: '0'.repeat(64), found: 'the CRL' };
      await ledger.recordAddressCheck(issuerId, { kind: 'crl', url: crlUrl, ...right });
      await ledger.recordAddressCheck(issuerId, {
        kind: 'issuer',
        url: issuerUrl,
        failure: 'it answers 404',
      });
      const read = async () => {
        const { issuer, issuerAddresses, ...intent } =
          (await ledger.readLeafToSign(serialHex)) ?? expect.unreachable();
        return { issuer, intent, addresses: issuerAddresses.toSorted((a, b) => (a.kind < b.kind ? -1 : 1)) };
      };
      expect(await read()).toEqual({
        issuer: await ledger.readIssuer(issuerId),
        intent: await ledger.readLeafIntent(serialHex),
        addresses: [
          { kind: 'crl', url: crlUrl, verifiedAt: START },
          { kind: 'issuer', url: issuerUrl, failure: 'it answers 404' },
        ],
      });
      await ledger.recordRevocation(lease, { serialHex, reason: 'superseded' });
      expect((await read()).intent).toEqual(await ledger.readLeafIntent(serialHex));
      expect(await ledger.readLeafToSign('7f00')).toBeUndefined();
      const { issuer, addresses } = await read();
      const use = (await ledger.issuerToUse()) ?? expect.unreachable();
      expect([use.issuer, use.crl]).toEqual([issuer, undefined]);
      expect(use.issuerAddresses.toSorted((a, b) => (a.kind < b.kind ? -1 : 1))).toEqual(addresses);
    });

    it('is revoked together with its line of the audit trail, which is written once', async () => {
      const { lease, serialHex } = await enrol('1');
      const audit = {
        userId: '1',
        cause: { source: 'audit', eventId: 'e1', event: 'DELETE_USER' },
        step: 'revoke-leaf',
        reason: 'The account was deleted.',
        outcome: 'done',
      } as const;
      await ledger.recordRevocation(lease, { serialHex, reason: 'cessationOfOperation', audit });
      await ledger.recordRevocation(lease, { serialHex, reason: 'superseded', audit });
      expect(await ledger.auditTrail({ userId: '1', limit: 10 })).toMatchObject([audit]);
    });

    it('whose issuance stopped half-way can be revoked and is listed', async () => {
      const { lease, serialHex } = await enrol('1', { signed: false });
      const leaf = await ledger.recordRevocation(lease, { serialHex, reason: 'cessationOfOperation' });
      expect(leaf.state).toBe('intended');
      expect(await revokedLeaves(ledger, ISSUER.issuerId)).toEqual([
        { serialHex, reason: 'cessationOfOperation', revokedAt: START },
      ]);
      expect(await ledger.readLeafIntent(serialHex)).toMatchObject({
        revocation: { reason: 'cessationOfOperation', revokedAt: START },
      });
    });

    it('of another user is not touched', async () => {
      const { serialHex } = await enrol('1');
      const { lease } = await enrol('2');
      const before = await subject.contents();
      const attempts = [
        () => ledger.recordRevocation(lease, { serialHex, reason: 'superseded' }),
        () => ledger.recordRetirement(lease, { serialHex, reason: 'superseded', dueAt: now }),
        () => ledger.recordKeypairIntent(lease, serialHex),
        () => ledger.recordKeypair(lease, { serialHex, keypairId: 'pair' }),
      ];
      for (const attempt of attempts) expect(await rejection(attempt())).toEqual(permanently('not-found'));
      expect(await subject.contents()).toEqual(before);
    });

    it('is retired at the earliest date anybody decided, and the decisions are kept', async () => {
      const { lease, serialHex } = await enrol('1');
      const retire = (reason: 'superseded' | 'affiliationChanged', dueAt: Date) =>
        ledger.recordRetirement(lease, { serialHex, reason, dueAt });
      const retirement = async () => (await ledger.readUser('1')).leaves[0]?.retirement;
      await retire('superseded', later(72 * HOUR_MS));
      await retire('superseded', later(72 * HOUR_MS));
      await retire('affiliationChanged', later(90 * HOUR_MS));
      expect(await retirement()).toEqual({ reason: 'superseded', dueAt: later(72 * HOUR_MS) });
      await retire('affiliationChanged', later(24 * HOUR_MS));
      expect(await retirement()).toEqual({ reason: 'affiliationChanged', dueAt: later(24 * HOUR_MS) });
      if (!speaksSql) return;
      expect(await subject.database.query('SELECT reason FROM retirements ORDER BY position')).toEqual([
        { reason: 'superseded' },
        { reason: 'affiliationChanged' },
      ]);
    });
  });

  describe('a keypair', () => {
    beforeEach(() => ledger.recordIssuer(ISSUER));

    it('is intended before Gmail is asked, and created once Gmail has answered', async () => {
      const { lease, serialHex } = await enrol('1');
      await ledger.recordKeypairIntent(lease, serialHex);
      await ledger.recordKeypairIntent(lease, serialHex);
      expect((await ledger.readUser('1')).keypairs).toEqual([{ serialHex, userId: '1', state: 'intended' }]);
      await ledger.recordKeypair(lease, { serialHex, keypairId: 'ANe1Bmj' });
      await ledger.recordKeypair(lease, { serialHex, keypairId: 'ANe1Bmj' });
      await ledger.recordKeypairIntent(lease, serialHex);
      expect((await ledger.readUser('1')).keypairs).toEqual([
        { serialHex, userId: '1', state: 'created', keypairId: 'ANe1Bmj' },
      ]);
    });

    it('that Gmail already had is adopted without an intent, and one made anew gets its new id', async () => {
      const { lease, serialHex } = await enrol('1');
      await ledger.recordKeypair(lease, { serialHex, keypairId: 'first' });
      await ledger.recordKeypair(lease, { serialHex, keypairId: 'second' });
      expect((await ledger.readUser('1')).keypairs).toEqual([
        { serialHex, userId: '1', state: 'created', keypairId: 'second' },
      ]);
    });

    it('has an id that no other leaf of the user has', async () => {
      const { lease, serialHex } = await enrol('1');
      const second = newSerial();
      await ledger.recordLeafIntent(lease, intentFor('1', second));
      await ledger.recordSignedLeaf(second, bytes('second'));
      await ledger.recordKeypair(lease, { serialHex, keypairId: 'pair' });
      expect(await rejection(ledger.recordKeypair(lease, { serialHex: second, keypairId: 'pair' }))).toEqual(
        permanently('conflict'),
      );
      const other = await enrol('2');
      await ledger.recordKeypair(other.lease, { serialHex: other.serialHex, keypairId: 'pair' });
    });

    it('needs a signed leaf', async () => {
      const { lease, serialHex } = await enrol('1', { signed: false });
      expect(await rejection(ledger.recordKeypairIntent(lease, serialHex))).toEqual(permanently('not-found'));
      expect(await rejection(ledger.recordKeypair(lease, { serialHex, keypairId: 'pair' }))).toEqual(
        permanently('not-found'),
      );
    });
  });

  describe('a re-key job', () => {
    const ask = (users: readonly string[], reason: 'superseded' | 'keyCompromise' = 'superseded') =>
      ledger.recordRekeyJob({
        requestedBy: 'admin@acme.example',
        reason,
        users: users.map((userId) => ({ userId, primaryEmail: `${userId}@acme.example` })),
      });

    it('holds one open wish per user', async () => {
      await enter('1');
      const invalidityDate = later(-DAY_MS);
      const { jobId, wishes } = await ledger.recordRekeyJob({
        requestedBy: 'admin@acme.example',
        reason: 'keyCompromise',
        invalidityDate,
        users: [
          { userId: '1', primaryEmail: '1@acme.example' },
          { userId: '2', primaryEmail: '2@acme.example' },
          { userId: '1', primaryEmail: '1@acme.example' },
        ],
      });
      expect(wishes.map((wish) => wish.userId)).toEqual(['1', '2']);
      for (const wish of wishes) {
        expect(wish).toEqual({
          wishId: wish.wishId,
          userId: wish.userId,
          jobId,
          reason: 'keyCompromise',
          requestedBy: 'admin@acme.example',
          requestedAt: START,
          invalidityDate,
        });
        expect((await ledger.readUser(wish.userId)).openWishes).toEqual([wish]);
      }
    });

    it('that takes something counts whom it names, each once, from when it was asked for', async () => {
      expect(await ledger.usersTakenFromByJobs(START)).toBe(0);
      for (const userId of ['1', '2', '3', '4']) await ledger.releaseLease(await enter(userId));
      await ask(['1', '2'], 'keyCompromise');
      await ask(['4']);
      advance(HOUR_MS);
      await ask(['2', '3'], 'keyCompromise');
      await ledger.recordRekeyJob({
        ...{ requestedBy: 'admin@acme.example', reason: 'superseded', disableKeypairs: true },
        users: [{ userId: '3', primaryEmail: '3@acme.example' }],
      });
      expect(await ledger.usersTakenFromByJobs(START)).toBe(3);
      expect(await ledger.usersTakenFromByJobs(later(1))).toBe(2);
      expect(await ledger.usersTakenFromByJobs(later(HOUR_MS))).toBe(2);
      expect(await ledger.usersTakenFromByJobs(later(HOUR_MS + 1))).toBe(0);
    });

    it('wakes its users at the pace it is given, in its order, or when they are due sooner', async () => {
      const lease = await enter('2');
      const soon = {
        userId: '2',
        state: 'ready',
        reason: 'Well.',
        failures: 0,
        nextAction: 'renew',
      } as const;
      await ledger.recordState(lease, { ...soon, nextActionAt: later(1) });
      await ledger.releaseLease(lease);
      await ledger.recordRekeyJob({
        ...{ requestedBy: 'admin@acme.example', reason: 'superseded', paceMs: 86 },
        users: ['3', '2', '1'].map((userId) => ({ userId, primaryEmail: `${userId}@acme.example` })),
      });
      advance(10 * 86);
      expect(await ledger.dueUsers(10)).toEqual([
        { userId: '3', nextAction: 'rekey', occasion: START },
        { userId: '2', nextAction: 'renew', occasion: later(1) },
        { userId: '1', nextAction: 'rekey', occasion: later(172) },
      ]);
    });

    it('wakes its users by itself: failures forgotten, due at once, somebody new included', async () => {
      const lease = await enter('1');
      await ledger.recordState(lease, {
        userId: '1',
        state: 'blocked',
        reason: 'Gmail refuses.',
        failures: 7,
        nextAction: 'retry-read-gmail',
        nextActionAt: later(DAY_MS),
      });
      await ledger.releaseLease(lease);
      await ask(['1', '2']);
      expect(await ledger.dueUsers(10)).toEqual([
        { userId: '1', nextAction: 'rekey', occasion: START },
        { userId: '2', nextAction: 'rekey', occasion: START },
      ]);
      expect((await ledger.readUser('1')).user).toMatchObject({ state: 'blocked', failures: 0 });
      expect((await ledger.readUser('2')).user).toMatchObject({
        state: 'pending',
        primaryEmail: '2@acme.example',
      });
    });

    it('makes whoever is working on one of its users look again', async () => {
      const lease = await enter('1');
      const { jobId } = await ask(['1']);
      expect(await ledger.releaseLease(lease)).toMatchObject({
        again: { source: 'admin', eventId: jobId, event: 'rekey' },
      });
    });

    it('tells how far it is, in the order asked for, and what waits for what', async () => {
      const first = await enter('1');
      const second = await enter('2');
      const { jobId, wishes } = await ask(['2', '1', '3']);
      const wishOf = (userId: string) => wishes.find((wish) => wish.userId === userId)?.wishId ?? '';
      await ledger.recordState(first, {
        userId: '1',
        state: 'blocked',
        reason: 'There is no mailbox yet.',
        failures: 1,
      });
      expect(await ledger.readJob(jobId)).toMatchObject({
        jobId,
        kind: 'rekey',
        state: 'running',
        total: 3,
        done: 0,
        failed: 0,
      });
      await ledger.fulfilWish(second, wishOf('2'));
      expect(await ledger.readJob(jobId)).toMatchObject({
        state: 'running',
        done: 1,
        users: [
          { user: '2@acme.example', state: 'done', detail: '' },
          { user: '1@acme.example', state: 'waiting', detail: 'There is no mailbox yet.' },
          { user: '3@acme.example', state: 'waiting' },
        ],
      });
      await ledger.fulfilWish(first, wishOf('1'), 'Revoked, and nothing to issue.');
      expect((await ledger.readJob(jobId))?.users).toContainEqual({
        ...{ user: '1@acme.example', state: 'done', detail: 'Revoked, and nothing to issue.' },
      });
      await ledger.failWish(await enter('3'), wishOf('3'), 'The user is outside the policy.');
      expect(await ledger.readJob(jobId)).toMatchObject({
        state: 'failed',
        total: 3,
        done: 2,
        failed: 1,
        users: [
          { state: 'done' },
          { state: 'done' },
          { state: 'failed', detail: 'The user is outside the policy.' },
        ],
      });
      expect((await ledger.readUser('1')).openWishes).toEqual([]);
    });

    it('is done when every wish is fulfilled, and with nobody to re-key', async () => {
      const lease = await enter('1');
      const { jobId, wishes } = await ask(['1']);
      await ledger.fulfilWish(lease, wishes[0]?.wishId ?? '');
      expect((await ledger.readJob(jobId))?.state).toBe('done');
      expect(await ledger.readJob((await ask([])).jobId)).toMatchObject({
        state: 'done',
        total: 0,
        users: [],
      });
      expect(await ledger.readJob('no-such-job')).toBeUndefined();
    });

    it('has wishes that close once', async () => {
      const lease = await enter('1');
      const wishId = (await ask(['1'])).wishes[0]?.wishId ?? '';
      await ledger.fulfilWish(lease, wishId);
      await ledger.fulfilWish(lease, wishId);
      expect(await rejection(ledger.failWish(lease, wishId, 'too late'))).toEqual(permanently('conflict'));
      const other = await enter('2');
      expect(await rejection(ledger.fulfilWish(other, wishId))).toEqual(permanently('not-found'));
    });

    it('may be asked again while another is open, and a key names the wish it answers', async () => {
      const lease = await enter('1');
      const first = (await ask(['1'])).wishes[0];
      advance(1);
      const second = (await ask(['1'], 'keyCompromise')).wishes[0];
      expect((await ledger.readUser('1')).openWishes).toEqual([first, second]);
      const wishId = second?.wishId ?? '';
      await ledger.recordKey(lease, { ...keyOf('1', 'a'), wishId });
      expect((await ledger.readUser('1')).keys[0]?.wishId).toBe(wishId);
    });
  });

  describe('an issuer', () => {
    it('is read back with its chain', async () => {
      await ledger.recordIssuer(ISSUER);
      expect(await ledger.readIssuer(ISSUER.issuerId)).toEqual(ISSUER);
      expect(await ledger.activeIssuer()).toEqual(ISSUER);
      expect(await ledger.issuers()).toEqual([ISSUER]);
      expect(await ledger.readIssuer('unknown')).toBeUndefined();
    });

    it('may be recorded again and change state, but not its certificate', async () => {
      await ledger.recordIssuer(ISSUER);
      const retiring: IssuerRecord = { ...ISSUER, state: 'retiring', chainDer: [bytes('root certificate')] };
      await ledger.recordIssuer(retiring);
      expect(await ledger.readIssuer(ISSUER.issuerId)).toEqual(retiring);
      expect(await ledger.activeIssuer()).toBeUndefined();
      expect(await ledger.issuerToUse()).toBeUndefined();
      expect(
        await rejection(ledger.recordIssuer({ ...retiring, certificateDer: bytes('another certificate') })),
      ).toEqual(permanently('conflict'));
    });

    it('is the only active one', async () => {
      await ledger.recordIssuer(ISSUER);
      const next: IssuerRecord = { ...ISSUER, issuerId: 'issuing-2', certificateDer: bytes('second') };
      expect(await rejection(ledger.recordIssuer(next))).toEqual(permanently('conflict'));
      expect(await ledger.issuers()).toEqual([ISSUER]);
      await ledger.recordIssuer({ ...ISSUER, state: 'retiring' });
      advance(1);
      await ledger.recordIssuer(next);
      expect(await ledger.activeIssuer()).toEqual(next);
      expect((await ledger.issuers()).map((issuer) => issuer.issuerId)).toEqual(['issuing-1', 'issuing-2']);
    });
  });

  describe('a CRL', () => {
    let lease: Lease;
    beforeEach(async () => {
      await ledger.recordIssuer(ISSUER);
      lease = await take(`issuer:${ISSUER.issuerId}`);
    });

    it('goes from intended to signed to published and is read back in each state', async () => {
      expect(await ledger.latestCrl(ISSUER.issuerId)).toBeUndefined();
      const number = 1_900_000_000_123_456_789n;
      const intent = crlIntent(number, [newSerial()]);
      await ledger.recordCrlIntent(lease, intent);
      const { text, ...record } = intent;
      expect(await ledger.latestCrl(ISSUER.issuerId)).toEqual({ ...record, state: 'intended' });
      const intended = await ledger.readCrl(ISSUER.issuerId, number);
      expect(intended).toEqual({ ...record, state: 'intended', tbsParts: expect.any(Function) });
      expect(await tbsOf(intended)).toEqual(text.around().head);
      await ledger.recordSignedCrl(ISSUER.issuerId, number, bytes('crl'));
      await ledger.recordSignedCrl(ISSUER.issuerId, number, bytes('crl'));
      expect(await ledger.readCrl(ISSUER.issuerId, number)).toEqual({
        ...record,
        state: 'signed',
        tbsParts: expect.any(Function),
        endDer: bytes('crl'),
      });
      await ledger.recordPublishedCrl(lease, ISSUER.issuerId, number, listingNobody);
      await ledger.recordPublishedCrl(lease, ISSUER.issuerId, number, listingNobody);
      expect((await ledger.latestCrl(ISSUER.issuerId))?.state).toBe('published');
      expect(await ledger.readCrl(ISSUER.issuerId, 5n)).toBeUndefined();
    });

    it('comes back as its head, its blocks in their order and its tail, as often as it is read', async () => {
      const blocks = ['b', 'a', 'c', 'a'].map((letter) => bytes(letter.repeat(1000)));
      const around = { head: bytes('head'), tail: bytes('tail') };
      const wanted = bytes(
        ['head', ...'baca'.split('').map((letter) => letter.repeat(1000)), 'tail'].join(''),
      );
      await ledger.recordCrlIntent(lease, { ...crlIntent(1n), text: { blocks, around: () => around } });
      const stored = await ledger.readCrl(ISSUER.issuerId, 1n);
      expect(await tbsOf(stored)).toEqual(wanted);
      expect(await tbsOf(stored)).toEqual(wanted);
    });

    it('whose text fails half-way leaves no intent behind, and its number is free', async () => {
      const around = () => {
        throw new Error('It breaks a rule.');
      };
      const text = { blocks: [bytes('block')], around };
      await expect(ledger.recordCrlIntent(lease, { ...crlIntent(1n), text })).rejects.toThrow(
        'breaks a rule',
      );
      expect(await ledger.latestCrl(ISSUER.issuerId)).toBeUndefined();
      await ledger.recordCrlIntent(lease, crlIntent(1n));
    });

    it('keeps its bytes until it has ended and a later one is published, and its number for good', async () => {
      const states = async () =>
        Promise.all(
          [1n, 2n, 3n].map(
            async (number) => (await ledger.readCrl(ISSUER.issuerId, number))?.state ?? 'pruned',
          ),
        );
      for (const number of [1n, 2n]) {
        await ledger.recordCrlIntent(lease, crlIntent(number, [newSerial()]));
        await ledger.recordSignedCrl(ISSUER.issuerId, number, bytes('crl'));
        await ledger.recordPublishedCrl(lease, ISSUER.issuerId, number, listingNobody);
        advance(DAY_MS);
      }
      await ledger.recordCrlIntent(lease, crlIntent(3n));
      expect(await ledger.pruneCrls(lease, ISSUER.issuerId)).toBe(0);
      now = later(7 * DAY_MS);
      expect(await ledger.pruneCrls(lease, ISSUER.issuerId), 'at nextUpdate itself').toBe(0);
      advance(1);
      expect(await ledger.pruneCrls(lease, ISSUER.issuerId)).toBe(1);
      expect(await states()).toEqual(['pruned', 'published', 'intended']);
      advance(365 * DAY_MS);
      expect(await ledger.pruneCrls(lease, ISSUER.issuerId), 'the latest stays, however old').toBe(0);
      expect(await states()).toEqual(['pruned', 'published', 'intended']);
      expect(await rejection(ledger.recordCrlIntent(lease, crlIntent(1n)))).toEqual(permanently('conflict'));
    });

    it('stays the public one while a later one is being made', async () => {
      expect(await ledger.latestPublishedCrl(ISSUER.issuerId)).toBeUndefined();
      await ledger.recordCrlIntent(lease, crlIntent(1n));
      await ledger.recordSignedCrl(ISSUER.issuerId, 1n, bytes('one'));
      expect(await ledger.latestPublishedCrl(ISSUER.issuerId)).toBeUndefined();
      expect(await ledger.issuerToUse()).toEqual({ issuer: ISSUER, issuerAddresses: [] });
      await ledger.recordPublishedCrl(lease, ISSUER.issuerId, 1n, listingNobody);
      await ledger.recordCrlIntent(lease, crlIntent(2n));
      await ledger.recordSignedCrl(ISSUER.issuerId, 2n, bytes('two'));
      expect((await ledger.latestPublishedCrl(ISSUER.issuerId))?.crlNumber).toBe(1n);
      expect((await ledger.issuerToUse())?.crl).toEqual(await ledger.latestPublishedCrl(ISSUER.issuerId));
    });

    it('has a number greater than any before, of the same issuer', async () => {
      await ledger.recordIssuer({
        ...ISSUER,
        issuerId: 'other',
        certificateDer: bytes('o'),
        state: 'retiring',
      });
      await ledger.recordCrlIntent(lease, crlIntent(5n));
      for (const number of [5n, 4n]) {
        expect(await rejection(ledger.recordCrlIntent(lease, crlIntent(number)))).toEqual(
          permanently('conflict'),
        );
      }
      await ledger.recordCrlIntent(await take('issuer:other'), { ...crlIntent(5n), issuerId: 'other' });
      await ledger.recordCrlIntent(lease, crlIntent(6n));
      expect((await ledger.latestCrl(ISSUER.issuerId))?.crlNumber).toBe(6n);
    });

    it('is not published once a later one is', async () => {
      for (const number of [1n, 2n]) {
        await ledger.recordCrlIntent(lease, crlIntent(number));
        await ledger.recordSignedCrl(ISSUER.issuerId, number, bytes(`crl ${number}`));
      }
      await ledger.recordPublishedCrl(lease, ISSUER.issuerId, 2n, listingNobody);
      expect(await rejection(ledger.recordPublishedCrl(lease, ISSUER.issuerId, 1n, listingNobody))).toEqual(
        permanently('conflict'),
      );
    });

    it('is signed as intended and once', async () => {
      expect(await rejection(ledger.recordSignedCrl(ISSUER.issuerId, 1n, bytes('crl')))).toEqual(
        permanently('intent-mismatch'),
      );
      await ledger.recordCrlIntent(lease, crlIntent(1n));
      expect(await rejection(ledger.recordPublishedCrl(lease, ISSUER.issuerId, 1n, listingNobody))).toEqual(
        permanently('intent-mismatch'),
      );
      await ledger.recordSignedCrl(ISSUER.issuerId, 1n, bytes('crl'));
      expect(await rejection(ledger.recordSignedCrl(ISSUER.issuerId, 1n, bytes('other')))).toEqual(
        permanently('intent-mismatch'),
      );
      expect(await rejection(ledger.recordPublishedCrl(lease, ISSUER.issuerId, 9n, listingNobody))).toEqual(
        permanently('intent-mismatch'),
      );
    });
  });

  describe('the revoked leaves of an issuer', () => {
    beforeEach(() => ledger.recordIssuer(ISSUER));

    it('are listed by serial with date, reason and invalidity date', async () => {
      const second = await enrol('2', { serialHex: '7f02' });
      const first = await enrol('1', { serialHex: '0101' });
      await enrol('3');
      await ledger.recordRevocation(second.lease, { serialHex: '7f02', reason: 'superseded' });
      await ledger.recordRevocation(first.lease, {
        serialHex: '0101',
        reason: 'keyCompromise',
        invalidityDate: later(-1),
      });
      expect(await revokedLeaves(ledger, ISSUER.issuerId)).toEqual([
        {
          serialHex: '0101',
          reason: 'keyCompromise',
          revokedAt: START,
          invalidityDate: later(-1),
        },
        { serialHex: '7f02', reason: 'superseded', revokedAt: START },
      ]);
      expect(await revokedLeaves(ledger, 'another')).toEqual([]);
      for (const hostile of [`x' OR ''='`, `$2`, `\\' OR TRUE --`, `"'"`])
        expect(await revokedLeaves(ledger, hostile), hostile).toEqual([]);
    });

    it('come in pages, by serial', async () => {
      for (const serialHex of ['0101', '0202', '0303']) {
        const { lease } = await enrol(serialHex, { serialHex });
        await ledger.recordRevocation(lease, { serialHex, reason: 'superseded' });
      }
      const page = async (afterSerialHex: string) =>
        (await revokedLeaves(ledger, ISSUER.issuerId, { afterSerialHex, limit: 2 })).map(
          (leaf) => leaf.serialHex,
        );
      expect(await page('')).toEqual(['0101', '0202']);
      expect(await page('0202')).toEqual(['0303']);
      expect(await page('0303')).toEqual([]);
    });

    it('are unlisted until a published CRL was seen to list them, each by itself', async () => {
      const unlisted = () => ledger.hasUnlistedRevocations(ISSUER.issuerId);
      expect(await unlisted()).toBe(false);
      const first = await enrol('1');
      const second = await enrol('2');
      await ledger.recordRevocation(first.lease, { serialHex: first.serialHex, reason: 'superseded' });
      expect([await unlisted(), await ledger.hasUnlistedRevocations('another')]).toEqual([true, false]);
      const issuerLease = await take(`issuer:${ISSUER.issuerId}`);
      await ledger.recordCrlIntent(issuerLease, crlIntent(1n, [first.serialHex]));
      // After the list was drawn up, and with an earlier date than it has.
      now = later(-DAY_MS);
      await ledger.recordRevocation(second.lease, { serialHex: second.serialHex, reason: 'superseded' });
      now = START;
      await ledger.recordSignedCrl(ISSUER.issuerId, 1n, bytes('crl'));
      expect(await unlisted(), 'only a publication changes it').toBe(true);
      await ledger.recordPublishedCrl(issuerLease, ISSUER.issuerId, 1n, listing([first.serialHex]));
      expect(await unlisted(), 'the second is in no CRL').toBe(true);
      await ledger.releaseLease(issuerLease);
      await publish(2n);
      expect(await unlisted()).toBe(false);
    });

    const firstListed = async (...serials: readonly string[]) =>
      (await ledger.crlListings(serials)).map(({ crl }) => crl?.crlNumber ?? 'none');

    it('have as their first CRL the one that was seen to list them, whatever the instants say', async () => {
      const first = await enrol('1', { serialHex: '0101' });
      const second = await enrol('2', { serialHex: '0202' });
      await enrol('3', { serialHex: '0303' });
      await ledger.recordRevocation(first.lease, { serialHex: '0101', reason: 'superseded' });
      expect(await firstListed('0101')).toEqual(['none']);
      const lease = await take(`issuer:${ISSUER.issuerId}`);
      // In the second of the revocation; the other one is committed when the list is drawn up, and dated before it.
      await ledger.recordCrlIntent(lease, crlIntent(1n, ['0101']));
      now = later(-DAY_MS);
      await ledger.recordRevocation(second.lease, { serialHex: '0202', reason: 'superseded' });
      now = later(1_500);
      await ledger.recordSignedCrl(ISSUER.issuerId, 1n, bytes('crl'));
      await ledger.recordPublishedCrl(lease, ISSUER.issuerId, 1n, listing(['0101']));
      await ledger.releaseLease(lease);
      expect(await ledger.crlListings(['0303', '0202', '0101', 'none'])).toEqual([
        {
          ...{ serialHex: '0101', issuerId: ISSUER.issuerId, revokedAt: START },
          crl: { crlNumber: 1n, publishedAt: later(1_500) },
        },
        { serialHex: '0202', issuerId: ISSUER.issuerId, revokedAt: later(-DAY_MS) },
      ]);
      for (const number of [2n, 3n]) await publish(number);
      expect(await firstListed('0101', '0202')).toEqual([1n, 2n]);
    });

    it('of a CRL whose publisher died have it as their first, and the next one waits until that is written down', async () => {
      const { lease, serialHex } = await enrol('1');
      await ledger.recordRevocation(lease, { serialHex, reason: 'superseded' });
      const issuerLease = await take(`issuer:${ISSUER.issuerId}`);
      const toFinish = () => ledger.publicationToFinish(ISSUER.issuerId);
      const dying = async () => {
        throw new Error('The process died.');
      };
      for (const number of [1n, 2n]) {
        await ledger.recordCrlIntent(issuerLease, crlIntent(number, [serialHex]));
        await ledger.recordSignedCrl(ISSUER.issuerId, number, bytes(`crl ${number}`));
      }
      expect(await toFinish()).toBeUndefined();
      const entry = { cause: CAUSE, step: 'crl-published', reason: 'Due.', outcome: 'done' } as const;
      const one = (listed: typeof dying | ReturnType<typeof listing>) =>
        ledger.recordPublishedCrl(issuerLease, ISSUER.issuerId, 1n, listed, entry);
      await expect(one(dying)).rejects.toThrow('died');
      expect(await toFinish()).toBe(1n);
      expect(await ledger.hasUnlistedRevocations(ISSUER.issuerId)).toBe(true);
      const two = () =>
        ledger.recordPublishedCrl(issuerLease, ISSUER.issuerId, 2n, listing([serialHex]), entry);
      expect(await rejection(two())).toEqual(permanently('conflict'));
      advance(1_000);
      await one(listing([serialHex]));
      expect([await toFinish(), await firstListed(serialHex)]).toEqual([undefined, [1n]]);
      await one(dying);
      await two();
      expect(await firstListed(serialHex)).toEqual([1n]);
      const told = (await ledger.auditTrail({ limit: 100 })).filter(({ step }) => step === 'crl-published');
      expect(told.map(({ at }) => at)).toEqual([START, later(1_000)]);
      const [first] = await ledger.crlListings([serialHex]);
      expect(first?.crl?.publishedAt, 'the instant of the entry').toEqual(START);
    });

    it.runIf(speaksSql)('keep their first CRL, whoever asks', async () => {
      const { lease, serialHex } = await enrol('1');
      await ledger.recordRevocation(lease, { serialHex, reason: 'superseded' });
      await publish(1n);
      await publish(2n);
      for (const sql of [
        'UPDATE crl_listings SET crl_number = 2',
        'UPDATE crl_listings SET crl_number = NULL',
        'DELETE FROM crl_listings',
        'UPDATE crls SET listed_at = NULL',
        "UPDATE crls SET listed_at = listed_at + interval '1 s'",
      ])
        await expect(subject.database.query(sql), sql).rejects.toMatchObject({ code: 'conflict' });
    });

    it('stay listed until one CRL made after their expiry has been published', async () => {
      const { lease, serialHex } = await enrol('1', { validMs: 10 * DAY_MS });
      await ledger.recordRevocation(lease, { serialHex, reason: 'superseded' });
      expect(await publish(1n)).toEqual([serialHex]);
      advance(10 * DAY_MS);
      expect(await publish(2n), 'at notAfter itself it is still valid').toEqual([serialHex]);
      advance(1);
      expect(await publish(3n), 'expired, and not yet in a CRL made since').toEqual([serialHex]);
      expect(await publish(4n)).toEqual([]);
    });

    it('stay listed while the CRL made after their expiry is only intended or signed', async () => {
      const { lease, serialHex } = await enrol('1', { validMs: DAY_MS });
      await ledger.recordRevocation(lease, { serialHex, reason: 'superseded' });
      advance(2 * DAY_MS);
      const issuerLease = await take(`issuer:${ISSUER.issuerId}`);
      await ledger.recordCrlIntent(issuerLease, crlIntent(1n, [serialHex]));
      await ledger.recordSignedCrl(ISSUER.issuerId, 1n, bytes('crl'));
      expect(await revokedLeaves(ledger, ISSUER.issuerId)).toHaveLength(1);
      await ledger.recordPublishedCrl(issuerLease, ISSUER.issuerId, 1n, listing([serialHex]));
      expect(await revokedLeaves(ledger, ISSUER.issuerId)).toEqual([]);
    });

    it('that were revoked after the list was drawn up wait for the next one, whatever the dates say', async () => {
      const { lease, serialHex } = await enrol('1', { validMs: DAY_MS });
      advance(2 * DAY_MS);
      const issuerLease = await take(`issuer:${ISSUER.issuerId}`);
      await ledger.recordCrlIntent(issuerLease, crlIntent(1n, []));
      now = START;
      await ledger.recordRevocation(lease, { serialHex, reason: 'superseded' });
      now = later(2 * DAY_MS);
      await ledger.recordSignedCrl(ISSUER.issuerId, 1n, bytes('crl'));
      await ledger.recordPublishedCrl(issuerLease, ISSUER.issuerId, 1n, listingNobody);
      await ledger.releaseLease(issuerLease);
      expect(await publish(2n)).toEqual([serialHex]);
      expect(await publish(3n)).toEqual([]);
    });
  });

  describe('a watch channel', () => {
    it('is recorded, recorded again, listed by expiry, and known for a week after it was retired', async () => {
      const channel = {
        channelId: 'channel-1',
        resourceId: 'resource-1',
        tokenSha256Hex: 'ab'.repeat(32),
        event: 'add',
        expiresAt: later(6 * HOUR_MS),
      };
      await ledger.recordChannel({ ...channel, expiresAt: later(HOUR_MS) });
      await ledger.recordChannel(channel);
      await ledger.recordChannel({ ...channel, channelId: 'channel-0', expiresAt: later(2 * HOUR_MS) });
      expect(await ledger.readChannel('channel-1')).toEqual({
        tokenSha256Hex: channel.tokenSha256Hex,
        resourceId: 'resource-1',
        expiresAt: channel.expiresAt,
      });
      expect(await ledger.channels()).toEqual([
        { channelId: 'channel-0', resourceId: 'resource-1', event: 'add', expiresAt: later(2 * HOUR_MS) },
        { channelId: 'channel-1', resourceId: 'resource-1', event: 'add', expiresAt: channel.expiresAt },
      ]);
      const retiredAt = now;
      await ledger.retireChannel('channel-1');
      advance(HOUR_MS);
      await ledger.retireChannel('channel-1');
      expect(await ledger.readChannel('channel-1')).toMatchObject({ retiredAt });
      expect(await ledger.channels()).toMatchObject([{ channelId: 'channel-0' }]);
      advance(7 * 24 * HOUR_MS);
      await ledger.retireChannel('channel-0');
      expect(await ledger.readChannel('channel-1')).toBeUndefined();
    });

    it('that is over and was heard of is to be stopped, once', async () => {
      const unanswered = {
        channelId: 'channel-1',
        resourceId: '',
        tokenSha256Hex: 'ab'.repeat(32),
        event: 'all',
        expiresAt: later(HOUR_MS),
      };
      await ledger.recordChannel(unanswered);
      await ledger.recordChannel({ ...unanswered, channelId: 'channel-2', resourceId: 'resource-2' });
      await ledger.recordStrayNotification('channel-2', 'another');
      expect(await ledger.strayChannels()).toEqual([]);
      await ledger.retireChannel('channel-1');
      await ledger.retireChannel('channel-2');
      await ledger.recordStrayNotification('channel-1', 'resource-1');
      expect(await ledger.strayChannels()).toEqual([
        { channelId: 'channel-1', resourceId: 'resource-1' },
        { channelId: 'channel-2', resourceId: 'resource-2' },
      ]);
      await ledger.recordChannelStopped('channel-1');
      expect(await ledger.strayChannels()).toEqual([{ channelId: 'channel-2', resourceId: 'resource-2' }]);
    });
  });

  describe('hints that were put off', () => {
    const putOff = (eventId: string, at: Date) =>
      ledger.recordPutOff({ userId: '1', cause: { source: 'watch', eventId, event: 'add', at } });

    it('are counted in the backlog, with the time of the first event of them', async () => {
      expect(await ledger.backlog()).toMatchObject({ putOff: 0 });
      expect((await ledger.backlog()).oldestPutOffAt).toBeUndefined();
      await putOff('c:2', new Date(START.getTime() + 60_000));
      await putOff('c:1', START);
      await putOff('c:3', new Date(START.getTime() + 90_000));
      expect(await ledger.backlog()).toMatchObject({ putOff: 3, oldestPutOffAt: START });
      const [, first] = await ledger.putOffHints(10);
      await ledger.forgetPutOff(first === undefined ? [] : [first.number]);
      expect(await ledger.backlog()).toMatchObject({
        ...{ putOff: 2, oldestPutOffAt: new Date(START.getTime() + 60_000) },
      });
    });
  });

  describe('a hint that was put off', () => {
    const created = (eventId: string) =>
      ({
        address: 'ana@acme.example',
        formerAddress: 'ana.old@acme.example',
        cause: { source: 'audit', eventId, event: 'RENAME_USER', actor: 'admin@acme.example', at: START },
      }) as const;
    const added = {
      userId: '1',
      cause: { source: 'watch', eventId: 'c:1', event: 'add', at: START },
    } as const;
    const waiting = async () => (await ledger.putOffHints(10)).map(({ hint }) => hint);

    it('is kept as it is, those that wait longest first, at most so many', async () => {
      for (const hint of [created('1'), added, created('2')]) await ledger.recordPutOff(hint);
      expect(await waiting()).toEqual([created('1'), added, created('2')]);
      expect((await ledger.putOffHints(2)).map(({ hint }) => hint)).toEqual([created('1'), added]);
    });

    it('is kept once, and put off again waits behind the others', async () => {
      for (const hint of [created('1'), added, created('1')]) await ledger.recordPutOff(hint);
      expect(await waiting()).toEqual([added, created('1')]);
    });

    it('is kept beside another of the same entry, with all it says', async () => {
      const moved = {
        ...{ address: 'a1@acme.example', detail: '/Staff' },
        cause: { ...created('1').cause, event: 'MOVE_USER_TO_ORG_UNIT' },
      };
      for (const hint of [created('1'), moved]) await ledger.recordPutOff(hint);
      expect(await waiting()).toEqual([created('1'), moved]);
    });

    it('is forgotten by its number, and stays where it was put off again since', async () => {
      for (const hint of [created('1'), added]) await ledger.recordPutOff(hint);
      const numbers = (await ledger.putOffHints(10)).map(({ number }) => number);
      await ledger.recordPutOff(added);
      await ledger.forgetPutOff(numbers);
      expect(await waiting()).toEqual([added]);
      await ledger.forgetPutOff([]);
      await ledger.recordPutOff(added);
      await ledger.forgetPutOff(numbers);
      expect(await waiting()).toEqual([added]);
    });
  });

  describe('somebody whom an event named and no rule covered', () => {
    const named = (userId: string, event: string) =>
      ledger.recordPassedOver({ userId, source: 'audit', event });
    const since = async (at: Date) => await ledger.passedOver({ since: at, limit: 10 });

    it('is kept with the latest event', async () => {
      await named('2', 'CREATE_USER');
      advance(HOUR_MS);
      await named('2', 'MOVE_USER_TO_ORG_UNIT');
      await named('1', 'CREATE_USER');
      expect(await since(START)).toEqual([
        { userId: '1', at: now, source: 'audit', event: 'CREATE_USER' },
        { userId: '2', at: now, source: 'audit', event: 'MOVE_USER_TO_ORG_UNIT' },
      ]);
      expect(await since(new Date(now.getTime() + 1))).toEqual([]);
    });

    it('is read a page at a time', async () => {
      for (const userId of ['1', '10', '2']) await named(userId, 'CREATE_USER');
      const page = (after: string) => ledger.passedOver({ since: START, after, limit: 2 });
      expect((await page('')).map(({ userId }) => userId)).toEqual(['1', '10']);
      expect((await page('10')).map(({ userId }) => userId)).toEqual(['2']);
    });

    it('is forgotten after ninety days', async () => {
      await named('1', 'CREATE_USER');
      advance(90 * DAY_MS);
      await named('2', 'CREATE_USER');
      expect(await since(START)).toHaveLength(2);
      advance(1);
      await named('3', 'CREATE_USER');
      expect((await since(START)).map(({ userId }) => userId)).toEqual(['2', '3']);
    });
  });

  describe('the audit trail', () => {
    const entry = (changes: Partial<AuditEntry> = {}): AuditEntry => ({
      userId: '1',
      cause: { source: 'admin', eventId: 'job-1', event: 'rekey', actor: 'admin@acme.example' },
      step: 'issue-leaf',
      reason: 'The user has no certificate.',
      outcome: 'done',
      details: { serialHex: '01ab', attempts: 2, adopted: false, previous: null },
      ...changes,
    });

    it('is read back entry by entry, with the clock at the time', async () => {
      await ledger.audit(entry());
      advance(HOUR_MS);
      await ledger.audit({ cause: CAUSE, step: 'hint-ignored', reason: 'Unknown user.', outcome: 'ignored' });
      const trail = await ledger.auditTrail({ limit: 10 });
      const [first, second] = trail;
      expect(trail).toEqual([
        { ...first, ...entry(), at: START, place: 1n, previousSha256Hex: '0'.repeat(64) },
        {
          id: second?.id,
          place: 1n,
          previousSha256Hex: '0'.repeat(64),
          sha256Hex: second?.sha256Hex,
          at: later(HOUR_MS),
          cause: CAUSE,
          step: 'hint-ignored',
          reason: 'Unknown user.',
          outcome: 'ignored',
        },
      ]);
    });

    it('answers the heads of its chains as they stood at an entry, by chain', async () => {
      const { userId: _, ...aboutNobody } = entry();
      for (const line of [
        entry({ userId: '2' }),
        entry({ userId: '10' }),
        aboutNobody,
        entry({ userId: '2' }),
      ]) {
        await ledger.audit(line);
      }
      const all = await ledger.auditTrail({ limit: 10 });
      const last = await ledger.settledAuditEntry();
      expect(last).toBe(all.at(-1)?.id);
      const headsAt = async (id: bigint) => {
        const heads: object[] = [];
        for await (const chainHead of ledger.auditHeads(id)) heads.push(chainHead);
        return heads;
      };
      const head = (index: number) => {
        const { place = 0n, sha256Hex = '' } = all[index] ?? {};
        return { chain: all[index]?.userId ?? '', place, sha256Hex };
      };
      expect(await headsAt(last)).toEqual([head(2), head(1), head(3)]);
      expect(await headsAt(all[1]?.id ?? 0n)).toEqual([head(1), head(0)]);
      expect(await headsAt(0n)).toEqual([]);
    });

    it('is paged by id and filtered by user', async () => {
      for (const userId of ['1', '2', '1', '1']) await ledger.audit(entry({ userId }));
      const all = await ledger.auditTrail({ limit: 10 });
      expect(all.map((line) => line.userId)).toEqual(['1', '2', '1', '1']);
      const page = await ledger.auditTrail({ userId: '1', limit: 2 });
      expect(page.map((line) => line.id)).toEqual([all[0]?.id, all[2]?.id]);
      const rest = await ledger.auditTrail({ userId: '1', limit: 2, afterId: page[1]?.id ?? 0n });
      expect(rest.map((line) => line.id)).toEqual([all[3]?.id]);
    });

    it('tells how many users departed since an instant, each counted once', async () => {
      const departure = entry({ step: 'revoke-leaf', details: { departure: true } });
      await ledger.audit({ ...departure, userId: 'before' });
      advance(HOUR_MS);
      const counted: readonly AuditEntry[] = [
        { ...departure, userId: 'revoked' },
        { ...departure, userId: 'revoked' },
        entry({ userId: 'revoked', step: 'delete-identity' }),
        entry({ userId: 'identity', step: 'delete-identity', details: { departure: true } }),
        { userId: 'disabled', cause: CAUSE, step: 'disable-keypair', reason: 'Policy.', outcome: 'adopted' },
      ];
      const uncounted: readonly AuditEntry[] = [
        entry({ userId: 'a', step: 'revoke-leaf', details: { departure: false } }),
        entry({ userId: 'b', step: 'revoke-leaf', details: {} }),
        entry({ userId: 'c', step: 'delete-identity', details: { departure: false } }),
        { ...departure, userId: 'd', outcome: 'failed' },
        { ...departure, userId: 'e', outcome: 'already' },
        { ...departure, userId: 'f', step: 'retire-leaf' },
      ];
      for (const line of [...counted, ...uncounted]) await ledger.audit(line);
      expect(await ledger.departuresSince(later(HOUR_MS))).toEqual({ departures: 3, coveredUsers: 0 });
      expect(await ledger.departuresSince(later(HOUR_MS + 1))).toEqual({ departures: 0, coveredUsers: 0 });
      expect(await ledger.departuresSince(START)).toMatchObject({ departures: 4 });
    });

    it('is measured against the users covered now, whatever their state but `out`', async () => {
      for (const [index, state] of (['ready', 'pending', 'blocked', 'leaving', 'out'] as const).entries()) {
        const userId = String(index);
        const lease = await enter(userId);
        await ledger.recordState(lease, { userId, state, reason: 'For the test.', failures: 0 });
      }
      expect((await ledger.departuresSince(START)).coveredUsers).toBe(4);
    });
  });

  describe('the export of users', () => {
    it('is ordered by id and paged, with everything about each', async () => {
      await ledger.recordIssuer(ISSUER);
      for (const userId of ['30', '4', '100']) await enrol(userId);
      const all = await ledger.users();
      expect(all.map((entry) => entry.user?.userId)).toEqual(['100', '30', '4']);
      expect(all).toEqual([
        await ledger.readUser('100'),
        await ledger.readUser('30'),
        await ledger.readUser('4'),
      ]);
      expect(all[0]?.keys).toHaveLength(1);
      const page = await ledger.users({ limit: 2 });
      expect(page).toEqual(all.slice(0, 2));
      expect(await ledger.users({ afterUserId: '30', limit: 2 })).toEqual(all.slice(2));
      expect(await ledger.users({ afterUserId: '4' })).toEqual([]);
      expect(await ledger.readUsers(['4', 'nobody', '100'])).toEqual([
        await ledger.readUser('4'),
        await ledger.readUser('nobody'),
        await ledger.readUser('100'),
      ]);
    });

    it('counts who is covered by the unit they were last seen in, and nobody who is out', async () => {
      for (const [userId, unit, state] of [
        ['1', '/Staff', 'ready'],
        ['2', '/staff', 'leaving'],
        ['3', '/Staff', 'out'],
        ['4', undefined, 'pending'],
      ] as const) {
        const lease = await take(`user:${userId}`);
        const primaryEmail = `${userId}@acme.example`;
        await ledger.recordSighting(lease, {
          ...{ userId, primaryEmail, aliases: [] },
          ...(unit === undefined ? {} : { unit }),
        });
        await ledger.recordState(lease, { userId, state, reason: 'as told', failures: 0 });
      }
      expect(await ledger.coveredByUnit()).toEqual(
        new Map([
          ['/staff', 2],
          ['', 1],
        ]),
      );
    });

    it('answers an empty record for somebody unknown', async () => {
      expect(await ledger.readUser('1')).toEqual({
        user: undefined,
        keys: [],
        deviceKeys: [],
        leaves: [],
        keypairs: [],
        openWishes: [],
        notices: [],
      });
    });
  });

  describe.runIf(speaksSql)('by hand, in SQL,', () => {
    const serialHex = '01aa';
    const refused: readonly string[] = [
      "UPDATE revocations SET reason = 'superseded'",
      'UPDATE revocations SET revoked_at = now()',
      'DELETE FROM revocations',
      "UPDATE audit SET reason = 'nothing happened'",
      'DELETE FROM audit',
      "UPDATE user_keys SET wrapped_key = 'x'",
      'DELETE FROM user_keys',
      "UPDATE leaves SET state = 'intended', leaf_der = NULL, signed_at = NULL",
      "UPDATE leaves SET leaf_der = '\\x00'",
      "UPDATE leaves SET tbs_der = '\\x00'",
      "UPDATE leaves SET not_after = now() + interval '100 years'",
      'DELETE FROM leaves',
      "UPDATE retirements SET due_at = now() + interval '100 years'",
      'DELETE FROM retirements',
      "UPDATE issuers SET certificate_der = '\\x00'",
      'DELETE FROM issuers',
      'DELETE FROM keypairs',
      "UPDATE crls SET tbs_head = '\\x00'",
      "UPDATE crls SET pruned_at = next_update + interval '1 day', tbs_head = NULL, tbs_tail = NULL, blocks = '{}'",
      'UPDATE crl_entries SET revoked_at = now()',
      'DELETE FROM crl_entries',
      "UPDATE crls SET state = 'signed', published_at = NULL",
      'DELETE FROM crls',
      'UPDATE leases SET fence = fence - 1 WHERE fence > 1',
      'DELETE FROM leases',
      'DELETE FROM addresses',
      "UPDATE wishes SET state = 'open', closed_at = NULL",
      'DELETE FROM wishes',
      "UPDATE jobs SET requested_by = 'nobody'",
      'DELETE FROM jobs',
      'TRUNCATE audit',
      'TRUNCATE revocations CASCADE',
    ];

    test.each(refused)('%s is refused', async (sql) => {
      await ledger.recordIssuer(ISSUER);
      const { lease } = await enrol('1', { serialHex });
      await ledger.recordRetirement(lease, { serialHex, reason: 'superseded', dueAt: now });
      await ledger.recordRevocation(lease, { serialHex, reason: 'keyCompromise' });
      await ledger.recordKeypair(lease, { serialHex, keypairId: 'pair' });
      const { wishes } = await ledger.recordRekeyJob({
        requestedBy: 'admin@acme.example',
        reason: 'superseded',
        users: [{ userId: '1', primaryEmail: '1@acme.example' }],
      });
      await ledger.fulfilWish(lease, wishes[0]?.wishId ?? '');
      await publish(1n);
      await ledger.releaseLease(await take(`issuer:${ISSUER.issuerId}`));
      await ledger.audit({ cause: CAUSE, step: 'crl-published', reason: 'Due.', outcome: 'done' });
      const before = await subject.contents();
      expect(await rejection(subject.database.query(sql))).toEqual(permanently('conflict'));
      expect(await subject.contents()).toEqual(before);
    });
  });
};
