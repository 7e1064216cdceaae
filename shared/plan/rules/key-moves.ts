import type { KeyMove } from '../../domain/records.ts';
import type { Step } from '../../domain/step.ts';
import type { Facts } from '../facts.ts';
import { keypairIdsOf } from './gmail.ts';
import { whyGone } from './gone.ts';

/**
 * Old pairs that an admin's job moves to another key service, once Gmail says what it has. The pair that an identity still
 * uses waits until the identity has another one: it is no old pair yet.
 */
export function keyMoveSteps(facts: Facts): readonly Step[] {
  const moves = facts.ledger.keyMoves ?? [];
  const gone = whyGone(facts);
  if (gone !== undefined)
    return moves.map((move) => stepOf(facts, move, { refuse: `${gone}; its mail went with it.` }));
  if (facts.gmail.kind !== 'observed') return [];
  const inUse = new Set(facts.gmail.identities.flatMap(keypairIdsOf));
  return moves
    .filter((move) => !inUse.has(recordedId(facts, move) ?? ''))
    .map((move) => stepOf(facts, move, {}));
}

const recordedId = (facts: Facts, { serialHex }: KeyMove): string | undefined =>
  facts.ledger.keypairs.find((pair) => pair.serialHex === serialHex)?.keypairId;

const stepOf = (facts: Facts, move: KeyMove, more: { readonly refuse?: string }): Step => ({
  kind: 'move-keypair',
  chain: 'gmail',
  jobId: move.jobId,
  serialHex: move.serialHex,
  keypairId: recordedId(facts, move) ?? '',
  toUrl: move.toUrl,
  disableOld: move.disableOld,
  reason: `${move.requestedBy} asked for keys to move from ${move.fromUrl} to ${move.toUrl}.`,
  ...more,
});
