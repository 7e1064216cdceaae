/** Verdicts for those who are covered and must wait: for Gmail, or for somebody else's certificate. */
import type { Verdict } from '../domain/step.ts';
import type { Facts } from './facts.ts';
import { liveLeaves } from './holdings.ts';
import { earliest, PATIENCE_MS, plus, slowRetryMs } from './timing.ts';

/**
 * Nothing is revoked. Somebody new waits with slow retries for up to 24 hours and is then *blocked*, which still looks
 * again once a day. Whoever had a key pair in Gmail already waits for no set-up: there encryption was switched off or the
 * licence was taken away, and that is for a human at once.
 */
export function waitForGmail(facts: Facts): Verdict {
  const { gmail, ledger } = facts;
  const wasInPlace = ledger.keypairs.some((keypair) => keypair.state === 'created');
  const takenAway = wasInPlace && gmail.kind === 'unavailable' && gmail.code !== 'mailbox-not-ready';
  const why = gmail.kind === 'unavailable' ? gmail.message : 'Gmail was not asked';
  return {
    ...waiting(facts, takenAway),
    reason: takenAway
      ? `Gmail does not take part any more; nothing is revoked: ${why}`
      : `Waits for Gmail: ${why}`,
    nextAction: 'ask-gmail-again',
  };
}

/** Until then nothing is issued: two people's certificates must not name one address. */
export function waitForHolder(facts: Facts): Verdict {
  const [first] = facts.namedByOthers;
  const holders = [...new Set(facts.namedByOthers.map(({ userId }) => userId))];
  return {
    ...waiting(facts, false),
    reason: `Waits for the certificate ${first?.serialHex} of the user ${first?.userId} to be revoked: it names ${first?.address}.`,
    nextAction: 'wait-for-address',
    lookAt: holders,
  };
}

function waiting(facts: Facts, hopeless: boolean) {
  const previous = facts.ledger.user;
  const waited = previous?.state === 'pending' || previous?.state === 'blocked';
  const waitedMs = waited ? facts.now.getTime() - previous.since.getTime() : 0;
  const blocked = hopeless || previous?.state === 'blocked' || waitedMs >= PATIENCE_MS;
  const retryMs = slowRetryMs(previous?.failures ?? 0, blocked ? PATIENCE_MS : waitedMs);
  // What was decided before goes on whatever is waited for.
  return {
    state: blocked ? ('blocked' as const) : ('pending' as const),
    waits: true as const,
    nextActionAt:
      earliest(plus(facts.now, retryMs), ...liveLeaves(facts).map((leaf) => leaf.retirement?.dueAt)) ??
      plus(facts.now, retryMs),
  };
}
