import { packEntries } from '../../../../shared/domain/packed-entries.ts';
import { recordedInLedger } from '../../../../shared/domain/recorded.ts';
import type { LeafRecord, Retirement, Revocation } from '../../../../shared/domain/records.ts';
import { permanent } from '../../../../shared/errors.ts';
import type {
  KnownAddresses,
  LeafIntent,
  Ledger,
  StoredLeafIntent,
} from '../../../../shared/ports/ledger.ts';
import { insertAudit } from './audit.ts';
import { holdLease, holdUserLease, userSubject } from './leases.ts';
import { byText, type LeafRow, type Memory, present, refuseUnless } from './rows.ts';

const sameBytes = (one: Uint8Array | undefined, other: Uint8Array): boolean =>
  one !== undefined && Buffer.compare(one, other) === 0;

const leafRow = ({ rows }: Memory, serialHex: string): LeafRow => {
  const row = rows.now.leaves.get(serialHex);
  if (row === undefined) throw new Error(`bug: there is no leaf ${serialHex}`);
  return row;
};

/** What was answered about a row, and from what beside it: rows are replaced and never changed. */
const answered = new WeakMap<
  LeafRow,
  {
    readonly record: LeafRecord;
    readonly revocation: Revocation | undefined;
    readonly retirements: readonly Retirement[] | undefined;
  }
>();

export function leafRecord(memory: Memory, serialHex: string): LeafRecord {
  const rows = memory.rows.now;
  const stored = leafRow(memory, serialHex);
  const revocation = rows.revocations.get(serialHex);
  const retirements = rows.retirements.get(serialHex);
  const last = answered.get(stored);
  if (last !== undefined && last.revocation === revocation && last.retirements === retirements)
    return last.record;
  const { profile: _, tbsDer: __, ...row } = stored;
  const retirement = retirements?.toSorted((left, right) => left.dueAt.getTime() - right.dueAt.getTime())[0];
  const record = present({
    ...row,
    holder: row.holder ?? 'key-service',
    purpose: rows.keys.get(row.keyId)?.purpose ?? 'dual-use',
    revocation,
    retirement,
  }) as LeafRecord;
  answered.set(stored, { record, revocation, retirements });
  return record;
}

/** Refuses a serial that belongs to somebody else than the lease's user. */
function requireLeaf({ rows }: Memory, userId: string, serialHex: string): void {
  if (rows.now.leaves.get(serialHex)?.userId === userId) return;
  throw permanent('not-found', `The ledger has no leaf with serial ${serialHex} of user ${userId}.`, {
    details: { serialHex, userId },
  });
}

function insertIntent({ rows, clock }: Memory, intent: LeafIntent): void {
  const { keys, blocked, leaves, leavesOf, issuers } = rows.now;
  const { serialHex, userId } = intent;
  refuseUnless(/^(?!0+$)[0-7][0-9a-f]([0-9a-f]{2}){0,19}$/.test(serialHex), 'leaves_serial_hex_check');
  const key = keys.get(intent.keyId);
  refuseUnless(key?.userId === userId && intent.holder !== 'device', 'leaves_key_id_fkey');
  refuseUnless(issuers.has(intent.issuerId), 'leaves_issuer_id_fkey');
  refuseUnless(intent.addresses.length > 0, 'leaves_addresses_check');
  refuseUnless(intent.notAfter.getTime() > intent.notBefore.getTime(), 'leaves_check');
  if (leaves.has(serialHex))
    throw permanent('conflict', `The serial ${serialHex} exists already: draw another.`, {
      details: { serialHex },
    });
  if (blocked.has(key?.spkiSha256Hex ?? ''))
    throw permanent(
      'key-blocked',
      `The key of leaf ${serialHex} was revoked for compromise and is never certified again; nothing was recorded. Make a new key.`,
      { details: { serialHex } },
    );
  const { issuerId, keyId, profile, addresses, notBefore, notAfter, tbsDer } = intent;
  leaves.set(serialHex, {
    ...{ serialHex, issuerId, userId, holder: 'key-service', keyId, profile, addresses },
    ...{ notBefore, notAfter, tbsDer, state: 'intended', intendedAt: clock.now() },
  });
  leavesOf.set(userId, [...(leavesOf.get(userId) ?? []), serialHex]);
}

function recordSignedLeaf(memory: Memory, serialHex: string, leafDer: Uint8Array): void {
  const { leaves } = memory.rows.now;
  const known = leaves.get(serialHex);
  if (known === undefined)
    throw permanent(
      'intent-mismatch',
      `A certificate with serial ${serialHex} was signed without an intent in the ledger: revoke the issuer's key if nobody can say how.`,
      { details: { serialHex } },
    );
  if (known.state === 'intended') leaves.set(serialHex, { ...known, state: 'signed', leafDer });
  else if (!sameBytes(known.leafDer, leafDer))
    throw permanent(
      'intent-mismatch',
      `Another certificate with serial ${serialHex} is in the ledger already; the first one stays.`,
      { details: { serialHex } },
    );
}

function recordRevocation(
  memory: Memory,
  userId: string,
  { serialHex, reason, invalidityDate, audit }: Parameters<Ledger['recordRevocation']>[1],
): LeafRecord {
  requireLeaf(memory, userId, serialHex);
  const { revocations, blocked, keys } = memory.rows.now;
  if (!revocations.has(serialHex)) {
    const now = memory.clock.now();
    revocations.set(
      serialHex,
      invalidityDate === undefined ? { reason, revokedAt: now } : { reason, revokedAt: now, invalidityDate },
    );
    const spki = keys.get(leafRow(memory, serialHex).keyId)?.spkiSha256Hex;
    if (reason === 'keyCompromise' && spki !== undefined && !blocked.has(spki))
      blocked.set(spki, { spkiSha256Hex: spki, serialHex, blockedAt: now });
    if (audit !== undefined) insertAudit(memory, audit);
  }
  return leafRecord(memory, serialHex);
}

function storedIntent(memory: Memory, serialHex: string): StoredLeafIntent | undefined {
  const { leaves: rows, keys, blocked, revocations } = memory.rows.now;
  const row = rows.get(serialHex);
  const key = keys.get(row?.keyId ?? '');
  if (row === undefined || key === undefined) return undefined;
  const { intendedAt: _, ...intent } = row;
  return present({
    ...intent,
    tbsDer: recordedInLedger(Uint8Array.from(row.tbsDer)),
    spkiDer: key.spkiDer,
    keyBlockedAt: blocked.get(key.spkiSha256Hex)?.blockedAt,
    revocation: revocations.get(serialHex),
  }) as StoredLeafIntent;
}

export const leaves = (
  memory: Memory,
): Pick<
  Ledger,
  | 'recordLeafIntent'
  | 'readLeafIntent'
  | 'readLeafToSign'
  | 'recordSignedLeaf'
  | 'recordRetirement'
  | 'recordRevocation'
  | 'liveLeavesNaming'
  | 'revokedLeaves'
> => ({
  readLeafToSign: async (serialHex) => {
    const intent = storedIntent(memory, serialHex);
    const { issuers, issuerAddresses } = memory.rows.now;
    const issuer = issuers.get(intent?.issuerId ?? '');
    if (intent === undefined || issuer === undefined) return undefined;
    const known = issuerAddresses.get(issuer.issuerId) ?? [];
    return {
      ...intent,
      issuer,
      issuerAddresses: known.map(({ kind, url, verifiedAt, failure }) =>
        present({ kind, url, verifiedAt, failure }),
      ) as KnownAddresses,
    };
  },
  recordLeafIntent: async (lease, intent) => {
    holdLease(memory, lease, userSubject(intent.userId));
    insertIntent(memory, intent);
  },
  readLeafIntent: async (serialHex) => storedIntent(memory, serialHex),
  recordSignedLeaf: async (serialHex, leafDer) => recordSignedLeaf(memory, serialHex, leafDer),
  recordRetirement: async (lease, { serialHex, reason, dueAt }) => {
    requireLeaf(memory, holdUserLease(memory, lease), serialHex);
    const { retirements } = memory.rows.now;
    const known = retirements.get(serialHex) ?? [];
    if (known.every((earlier) => earlier.dueAt.getTime() > dueAt.getTime()))
      retirements.set(serialHex, [...known, { reason, dueAt }]);
  },
  recordRevocation: async (lease, revocation) =>
    recordRevocation(memory, holdUserLease(memory, lease), revocation),
  liveLeavesNaming: async ({ addresses, exceptUserId, at }) => {
    const { leaves: rows, revocations } = memory.rows.now;
    const claims: Awaited<ReturnType<Ledger['liveLeavesNaming']>>[number][] = [];
    for (const leaf of rows.values()) {
      const { userId, serialHex } = leaf;
      if (userId === exceptUserId || leaf.notAfter <= at || revocations.has(serialHex)) continue;
      for (const address of leaf.addresses.filter((one) => addresses.includes(one)).toSorted(byText))
        claims.push({ address, userId, serialHex });
    }
    return claims;
  },
  revokedLeaves: async (issuerId, page) => {
    const { leaves: rows, revocations, lastEntries } = memory.rows.now;
    const now = memory.clock.now();
    const listed = [...revocations]
      .flatMap(([serialHex, revocation]) => {
        const leaf = rows.get(serialHex);
        if (leaf?.issuerId !== issuerId || (leaf.notAfter < now && lastEntries.has(serialHex))) return [];
        return [{ serialHex, ...revocation }];
      })
      .toSorted((left, right) => byText(left.serialHex, right.serialHex))
      .filter(({ serialHex }) => serialHex > (page?.afterSerialHex ?? ''))
      .slice(0, page?.limit);
    return packEntries(listed);
  },
});
