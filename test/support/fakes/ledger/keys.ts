import type { KeypairRecord } from '../../../../shared/domain/records.ts';
import { permanent } from '../../../../shared/errors.ts';
import type { Ledger } from '../../../../shared/ports/ledger.ts';
import { insertAudit } from './audit.ts';
import { holdLease, holdUserLease, userSubject } from './leases.ts';
import { byText, type Memory, refuseUnless } from './rows.ts';

function requireSigned({ rows }: Memory, userId: string, serialHex: string): void {
  const leaf = rows.now.leaves.get(serialHex);
  if (leaf?.userId === userId && leaf.state === 'signed') return;
  throw permanent(
    'not-found',
    `The ledger has no signed leaf with serial ${serialHex} of user ${userId}, so Gmail cannot have a keypair for it.`,
    { details: { serialHex, userId } },
  );
}

function keypairOf({ rows }: Memory, userId: string, serialHex: string): KeypairRecord {
  const known = rows.now.keypairs.get(serialHex);
  if (known?.userId === userId) return known;
  throw permanent('not-found', `The ledger has no keypair for serial ${serialHex} of user ${userId}.`, {
    details: { serialHex, userId },
  });
}

const keypairs = (
  memory: Memory,
): Pick<
  Ledger,
  'recordKeypairIntent' | 'recordKeypair' | 'recordKeypairDisabled' | 'recordKeypairEnabled'
> => ({
  recordKeypairIntent: async (lease, serialHex) => {
    const userId = holdUserLease(memory, lease);
    requireSigned(memory, userId, serialHex);
    const { keypairs: rows } = memory.rows.now;
    if (!rows.has(serialHex)) rows.set(serialHex, { serialHex, userId, state: 'intended' });
  },
  recordKeypair: async (lease, { serialHex, keypairId }) => {
    const userId = holdUserLease(memory, lease);
    requireSigned(memory, userId, serialHex);
    const { keypairs: rows } = memory.rows.now;
    for (const pair of rows.values())
      if (pair.userId === userId && pair.keypairId === keypairId && pair.serialHex !== serialHex)
        throw permanent(
          'conflict',
          `Gmail's keypair ${keypairId} of user ${userId} is recorded for another leaf than ${serialHex}.`,
          { details: { serialHex, keypairId } },
        );
    rows.set(serialHex, { ...rows.get(serialHex), serialHex, userId, state: 'created', keypairId });
  },
  recordKeypairDisabled: async (lease, { serialHex, because }) => {
    const pair = keypairOf(memory, holdUserLease(memory, lease), serialHex);
    const disabled = pair.disabled ?? { at: memory.clock.now(), because };
    memory.rows.now.keypairs.set(serialHex, { ...pair, disabled });
  },
  recordKeypairEnabled: async (lease, serialHex) => {
    const { disabled: _, ...pair } = keypairOf(memory, holdUserLease(memory, lease), serialHex);
    memory.rows.now.keypairs.set(serialHex, pair);
  },
});

export const keys = (
  memory: Memory,
): Pick<
  Ledger,
  'recordKey' | 'recordProof' | 'readBlockedKey' | 'knownPublicKeys' | 'countCardKeys' | 'otherHolderOfKey'
> &
  ReturnType<typeof keypairs> => ({
  ...keypairs(memory),
  recordKey: async (lease, key) => {
    holdLease(memory, lease, userSubject(key.userId));
    const { keys: rows, wishes, users } = memory.rows.now;
    refuseUnless(/^[0-9a-f]{64}$/.test(key.spkiSha256Hex), 'user_keys_spki_sha256_hex_check');
    refuseUnless(key.modulusBits < 2 ** 31 && key.wrappedKey !== '', 'user_keys_check');
    refuseUnless(users.has(key.userId), 'user_keys_user_id_fkey');
    refuseUnless(key.wishId === undefined || wishes.has(key.wishId), 'user_keys_wish_id_fkey');
    const known = rows.get(key.keyId);
    if (known === undefined) rows.set(key.keyId, { ...key, createdAt: memory.clock.now() });
    else if (
      known.userId !== key.userId ||
      known.purpose !== key.purpose ||
      known.wrappedKey !== key.wrappedKey ||
      known.card?.description !== key.card?.description ||
      Buffer.compare(known.spkiDer, key.spkiDer) !== 0
    )
      throw permanent('conflict', `The ledger already has another key ${key.keyId}: draw another key id.`);
  },
  recordProof: async (keyId, proof, audit) => {
    const { keys: rows } = memory.rows.now;
    const known = rows.get(keyId);
    if (known === undefined) throw permanent('not-found', `The ledger has no key ${keyId}.`);
    if (known.card !== undefined) throw permanent('conflict', `The key ${keyId} is on a smart card.`);
    rows.set(keyId, { ...known, proof });
    if (audit !== undefined) insertAudit(memory, audit);
  },
  countCardKeys: async () =>
    [...memory.rows.now.keys.values()].filter(({ card }) => card !== undefined).length,
  // Keys of devices are not kept here.
  otherHolderOfKey: async (spkiSha256Hex, userId) =>
    [...memory.rows.now.keys.values()].find(
      (key) => key.spkiSha256Hex === spkiSha256Hex && key.userId !== userId,
    )?.userId,
  readBlockedKey: async (spkiSha256Hex) => memory.rows.now.blocked.get(spkiSha256Hex),
  knownPublicKeys: async ({ after, limit }) => {
    const places = [...memory.rows.now.keys.values()]
      .map((key) => ({ place: `g${key.keyId}`, spkiDer: key.spkiDer }))
      .filter(({ place }) => after === undefined || byText(place, after) > 0)
      .toSorted((left, right) => byText(left.place, right.place))
      .slice(0, limit);
    const next = places.length === limit ? places.at(-1)?.place : undefined;
    return { spkisDer: places.map(({ spkiDer }) => spkiDer), ...(next === undefined ? {} : { next }) };
  },
});
