/** Verdicts for those who are covered and must wait: for Gmail, or for somebody else's certificate. */
import type { Verdict } from '../domain/step.ts';
import type { Facts } from './facts.ts';
import { liveLeaves } from './holdings.ts';
import { earliest, PATIENCE_MS, plus, slowRetryMs } from './timing.ts';

/**
 * Nothing is revoked. Somebody new waits with slow retries for up to 24 hours and is then *blocked*, which still looks
 * again once a day. Whoever had a key pair in Gmail already waits for no set-up: there encryption was switched off or the
 * licence was taken away, and that is for a human at once. Without a licence Gmail may also answer that there is no mailbox; where
 * the directory has one, that is no set-up either, but it may pass, so for the first day it is asked as often as of somebody new.
 */
export function waitForGmail(facts: Facts): Verdict {
  const { gmail, ledger, presence } = facts;
  const wasInPlace = ledger.keypairs.some((keypair) => keypair.state === 'created');
  const noMailbox = gmail.kind === 'unavailable' && gmail.code === 'mailbox-not-ready';
  const setsUp = noMailbox && !(presence.kind === 'present' && presence.user.mailboxReady);
  const takenAway = wasInPlace && gmail.kind === 'unavailable' && !setsUp;
  const why = gmail.kind === 'unavailable' ? gmail.message : 'Gmail was not asked';
  return {
    ...waiting(facts, { hopeless: takenAway, mayPass: takenAway && noMailbox }),
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
    ...waiting(facts, { hopeless: false, mayPass: false }),
    reason: `Waits for the certificate ${first?.serialHex} of the user ${first?.userId} to be revoked: it names ${first?.address}.`,
    nextAction: 'wait-for-address',
    lookAt: holders,
  };
}

interface Outlook {
  /** *Blocked* at once, whatever was waited before. */
  readonly hopeless: boolean;
  /** *Blocked* is no reason to ask once a day only. */
  readonly mayPass: boolean;
}

function waiting(facts: Facts, { hopeless, mayPass }: Outlook) {
  const previous = facts.ledger.user;
  const waited = previous?.state === 'pending' || previous?.state === 'blocked';
  const waitedMs = waited ? facts.now.getTime() - previous.since.getTime() : 0;
  const blocked = hopeless || previous?.state === 'blocked' || waitedMs >= PATIENCE_MS;
  const retryMs = slowRetryMs(previous?.failures ?? 0, blocked && !mayPass ? PATIENCE_MS : waitedMs);
  // What was decided before goes on whatever is waited for.
  return {
    state: blocked ? ('blocked' as const) : ('pending' as const),
    waits: true as const,
    nextActionAt:
      earliest(plus(facts.now, retryMs), ...liveLeaves(facts).map((leaf) => leaf.retirement?.dueAt)) ??
      plus(facts.now, retryMs),
  };
}
