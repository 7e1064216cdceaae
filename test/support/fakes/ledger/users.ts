import { addressDigest } from '../../../../shared/domain/address-digest.ts';
import type { UserLedger } from '../../../../shared/domain/records.ts';
import { permanent } from '../../../../shared/errors.ts';
import type { Ledger } from '../../../../shared/ports/ledger.ts';
import { insertAudit } from './audit.ts';
import { holdLease, userSubject } from './leases.ts';
import { leafRecord } from './leaves.ts';
import { byText, type Memory, present, refuseUnless, type UserRow } from './rows.ts';
import { wishRecord } from './wishes.ts';

function readUser(memory: Memory, userId: string): UserLedger {
  const rows = memory.rows.now;
  const serials = rows.leavesOf.get(userId) ?? [];
  const row = rows.users.get(userId);
  const absence = row === undefined ? undefined : rows.absences.get(userId);
  return present({
    user: row === undefined ? undefined : userRecord(memory, row),
    keys: [...rows.keys.values()].filter((key) => key.userId === userId),
    deviceKeys: [],
    leaves: serials.map((serialHex) => leafRecord(memory, serialHex)),
    keypairs: serials.flatMap((serialHex) => rows.keypairs.get(serialHex) ?? []),
    openWishes: [...rows.wishes.values()]
      .filter((wish) => wish.userId === userId && wish.state === 'open')
      .toSorted(
        (left, right) =>
          left.requestedAt.getTime() - right.requestedAt.getTime() || byText(left.wishId, right.wishId),
      )
      .map(wishRecord),
    notices: [...rows.notices.values()]
      .filter((notice) => notice.userId === userId && !notice.isOver)
      .toSorted((left, right) => left.since.getTime() - right.since.getTime() || byText(left.key, right.key))
      .map(({ key, kind, message, since }) => ({ key, kind, message, since })),
    absence,
  }) as UserLedger;
}

/** `present` drops the undefined user of somebody unknown, which the real one keeps as a field. */
const withUser = (ledger: UserLedger): UserLedger => ({ ...ledger, user: ledger.user });

function userRecord({ rows }: Memory, row: UserRow): NonNullable<UserLedger['user']> {
  const {
    sightedAt: _,
    addressDigest: __,
    ruleDigest: ___,
    deletedAt: ____,
    isArchived: _____,
    ...record
  } = row;
  const standing = rows.now.departures.find(
    ({ userId, isStanding }) => isStanding && userId === row.userId,
  )?.state;
  return present({ ...record, departure: standing }) as NonNullable<UserLedger['user']>;
}

function holders({ rows }: Memory, address: string): readonly string[] {
  return [...rows.now.addresses.values()]
    .filter((row) => row.address === address.toLowerCase())
    .toSorted(
      (left, right) =>
        right.sighting - left.sighting ||
        right.lastSeen.getTime() - left.lastSeen.getTime() ||
        byText(left.userId, right.userId),
    )
    .map(({ userId }) => userId);
}

function recordSighting(memory: Memory, sighting: Parameters<Ledger['recordSighting']>[1]): void {
  const rows = memory.rows.now;
  const now = memory.clock.now();
  const { userId, primaryEmail, aliases } = sighting;
  for (const address of [primaryEmail, ...aliases])
    refuseUnless(address === address.toLowerCase(), 'users_primary_email_check');
  const known: UserRow = rows.users.get(userId) ?? {
    userId,
    primaryEmail,
    state: 'pending',
    reason: 'Seen for the first time; nothing is decided yet.',
    since: now,
    failures: 0,
    nextAction: 'look',
    nextActionAt: now,
  };
  const { leftScopeAt, suspendedAt, deletedAt: _gone, ...kept } = known;
  const wishChanged =
    known.primaryEmail !== primaryEmail ||
    known.addressDigest !== addressDigest(primaryEmail, aliases) ||
    (sighting.ruleName !== undefined && known.ruleDigest !== sighting.ruleDigest) ||
    (leftScopeAt === undefined) !== (sighting.leftScopeAt === undefined) ||
    (suspendedAt === undefined) !== (sighting.suspendedAt === undefined);
  rows.users.set(
    userId,
    present({
      ...kept,
      primaryEmail,
      failures: wishChanged ? 0 : known.failures,
      leftScopeAt: sighting.leftScopeAt === undefined ? undefined : (leftScopeAt ?? sighting.leftScopeAt),
      suspendedAt: sighting.suspendedAt === undefined ? undefined : (suspendedAt ?? sighting.suspendedAt),
      ruleName: sighting.ruleName ?? known.ruleName,
      ruleDigest: sighting.ruleName === undefined ? known.ruleDigest : sighting.ruleDigest,
      unit: sighting.unit?.toLowerCase() ?? known.unit,
      protectedBy: sighting.protectedBy,
      isArchived: sighting.isArchived,
      sightedAt: now,
      addressDigest: addressDigest(primaryEmail, aliases),
    }) as UserRow,
  );
  rows.absences.delete(userId);
  rows.last.sighting += 1;
  for (const address of [primaryEmail, ...aliases])
    rows.addresses.set(`${address} ${userId}`, {
      address,
      userId,
      lastSeen: now,
      sighting: rows.last.sighting,
    });
}

export const users = (
  memory: Memory,
): Pick<
  Ledger,
  | 'readUser'
  | 'users'
  | 'readUsers'
  | 'coveredByUnit'
  | 'userIdOfAddress'
  | 'userIdsOfAddress'
  | 'recordSighting'
  | 'recordState'
  | 'latestHolders'
  | 'recordNotices'
> => ({
  readUser: async (userId) => withUser(readUser(memory, userId)),
  users: async ({ afterUserId = '', limit } = {}) =>
    [...memory.rows.now.users.keys()]
      .filter((userId) => afterUserId === '' || byText(userId, afterUserId) > 0)
      .toSorted(byText)
      .slice(0, limit)
      .map((userId) => withUser(readUser(memory, userId))),
  readUsers: async (userIds) => userIds.map((userId) => withUser(readUser(memory, userId))),
  coveredByUnit: async () => {
    const covered = new Map<string, number>();
    for (const { state, unit = '' } of memory.rows.now.users.values()) {
      if (state !== 'out') covered.set(unit, (covered.get(unit) ?? 0) + 1);
    }
    return covered;
  },
  userIdOfAddress: async (address) => holders(memory, address)[0],
  userIdsOfAddress: async (address) => holders(memory, address),
  recordSighting: async (lease, sighting) => {
    holdLease(memory, lease, userSubject(sighting.userId));
    recordSighting(memory, sighting);
    if (sighting.audit !== undefined) insertAudit(memory, sighting.audit);
    return userRecord(memory, memory.rows.now.users.get(sighting.userId) as UserRow);
  },
  recordState: async (
    lease,
    { nextAction, nextActionAt, userId, state, reason, failures, forgetsLeaving, deleted, audit },
  ) => {
    holdLease(memory, lease, userSubject(userId));
    const { users: known } = memory.rows.now;
    const user = known.get(userId);
    if (user === undefined)
      throw permanent('not-found', `The ledger has no user ${userId}: record a sighting before a state.`);
    const since = user.state === state ? user.since : memory.clock.now();
    known.set(
      userId,
      present({
        ...user,
        state,
        reason,
        failures,
        since,
        nextAction,
        nextActionAt,
        ...(forgetsLeaving === true ? { leftScopeAt: undefined } : {}),
        ...(deleted === true ? { deletedAt: user.deletedAt ?? memory.clock.now() } : {}),
      }) as UserRow,
    );
    if (audit !== undefined) insertAudit(memory, audit);
  },
  latestHolders: async (addresses) =>
    [...new Set(addresses)].toSorted(byText).flatMap((address) => {
      const latest = [...memory.rows.now.addresses.values()]
        .filter((row) => row.address === address)
        .toSorted((left, right) => right.sighting - left.sighting)[0];
      return latest === undefined ? [] : [{ address, userId: latest.userId }];
    }),
  recordNotices: async (lease, { userId, kinds, notices }) => {
    holdLease(memory, lease, userSubject(userId));
    const { notices: rows } = memory.rows.now;
    for (const [place, row] of rows) {
      const isTold = notices.some(({ key }) => key === row.key);
      if (row.userId === userId && kinds.includes(row.kind) && !isTold)
        rows.set(place, { ...row, isOver: true });
    }
    for (const notice of notices) {
      const place = `${userId} ${notice.key}`;
      const known = rows.get(place);
      if (known?.isOver === false) continue;
      const kind = known?.kind ?? notice.kind;
      rows.set(place, { ...notice, kind, userId, since: memory.clock.now(), isOver: false });
    }
  },
});
