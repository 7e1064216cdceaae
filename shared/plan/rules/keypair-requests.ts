import type { Step, Verdict } from '../../domain/step.ts';
import type { Facts } from '../facts.ts';
import { earliest, plus } from '../timing.ts';
import { whyGone } from './gone.ts';

const ASK_AGAIN_MS = 3_600_000;

/**
 * What admins asked to be done to single key pairs, once Gmail says what it has; of who is gone it is closed, saying so. No departures: each
 * was named.
 */
export function keypairRequestSteps(facts: Facts): readonly Step[] {
  const gone = whyGone(facts);
  if (facts.gmail.kind !== 'observed' && gone === undefined) return [];
  const more = gone === undefined ? {} : { refuse: `${gone}; its key pairs went with it.` };
  return (facts.ledger.keypairRequests ?? []).map(
    ({ kind, requestId, serialHex, keypairId, requestedBy, confirmedBy, reason }): Step =>
      kind === 'disable'
        ? {
            kind: 'disable-keypair',
            chain: 'gmail',
            serialHex,
            keypairId,
            because: 'admin',
            departure: false,
            requestId,
            reason: `${requestedBy} asked for it: ${reason}`,
            ...more,
          }
        : {
            kind: 'obliterate-keypair',
            chain: 'gmail',
            keypairId,
            requestId,
            reason: `${requestedBy} asked for it and ${confirmedBy ?? 'nobody'} confirmed it; on legal holds: ${reason}`,
            ...more,
          },
  );
}

/** Whether an admin asked for anything to be done to single key pairs, for them to be moved, or for one to be imported. */
export const hasRequests = ({ ledger }: Facts): boolean =>
  (ledger.keypairRequests ?? []).length + (ledger.keyMoves ?? []).length > 0 ||
  (ledger.imported ?? []).some(({ state }) => state === 'open');

/** Somebody whose requests wait for Gmail is looked at again within the hour, whatever else they wait for. */
export function awaitingRequests(facts: Facts, verdict: Verdict): Verdict {
  const waits = hasRequests(facts) && facts.gmail.kind !== 'observed';
  if (!waits) return verdict;
  const nextActionAt = earliest(verdict.nextActionAt, plus(facts.now, ASK_AGAIN_MS));
  return {
    ...verdict,
    ...(nextActionAt === undefined || nextActionAt === verdict.nextActionAt
      ? {}
      : { nextAction: 'carry-out-request', nextActionAt }),
  };
}
