import { hash } from 'node:crypto';
import type { DirectoryPresence } from '../domain/directory-user.ts';
import type { GmailFacts } from '../domain/gmail.ts';
import type { Cause } from '../domain/hint.ts';
import type { Place } from '../domain/place.ts';
import type { UserLedger } from '../domain/records.ts';
import { isSealwrightError, type SealwrightError } from '../errors.ts';
import type { Facts } from '../plan/facts.ts';
import { leavesOnceMore, needsGmail } from '../plan/plan.ts';
import { ruleDigest } from '../plan/rule-digest.ts';
import { protections } from '../plan/scope.ts';
import { type Standing, standingOf } from '../plan/standing.ts';
import { plus } from '../plan/timing.ts';
import type { Lease } from '../ports/ledger.ts';
import { addressClaims, printedAddresses } from './claims.ts';
import type { ReconcileDeps } from './context.ts';
import { leaveBegun } from './leave.ts';
import { assertMailboxIsTheirs } from './mailbox.ts';

/** What was seen, and why Gmail could not be read where it could not: then the facts say it was not asked. */
export interface Observation {
  readonly facts: Facts;
  readonly gmailFailure?: SealwrightError;
}

/**
 * Gathers the facts about one user under their lease, and writes down the sighting: addresses for the history, and
 * since when the user is outside or suspended, because grace periods count from the first time we saw it; what made us look
 * (`cause`) is then what began the departure. A Gmail that
 * cannot be read is part of the answer and not thrown, because it must not delay a revocation.
 */
export async function observe(
  deps: ReconcileDeps,
  lease: Lease,
  cause: Cause,
  presence: DirectoryPresence,
  place?: Place,
): Promise<Observation> {
  const userId = presence.kind === 'present' ? presence.user.userId : presence.userId;
  const before = await deps.ledger.readUser(userId);
  const sight: Sight = {
    presence,
    ...(place === undefined ? {} : { place }),
    leafSha256BySerial: fingerprints(before),
  };
  const ledger = await recordSighting(deps, lease, cause, sight, before);
  const known = await withIssuers(deps, factsOf(userId, deps.clock.now(), sight, ledger));
  const facts: Facts = {
    ...known,
    ...(await addressClaims(deps, known, standingOf(known, deps.policy))),
  };
  if (presence.kind !== 'present' || !needsGmail(facts, deps.policy)) return { facts };
  if (!presence.user.mailboxReady) {
    const message = 'Gmail has not made the mailbox yet.';
    return { facts: { ...facts, gmail: { kind: 'unavailable', code: 'mailbox-not-ready', message } } };
  }
  try {
    const { primaryEmail } = presence.user;
    const gmail = await observeGmail(deps, primaryEmail);
    if (standingOf(known, deps.policy).kind !== 'covered')
      await assertMailboxIsTheirs(deps, userId, primaryEmail);
    return { facts: { ...facts, gmail } };
  } catch (error) {
    if (!isSealwrightError(error)) throw error;
    return { facts, gmailFailure: error };
  }
}

/** What stays as it is while a sighting is written down. */
type Sight = Pick<Facts, 'presence' | 'place' | 'leafSha256BySerial'>;

/** What directory and ledger say; Gmail and everybody else are not asked yet. */
const factsOf = (userId: string, now: Date, sight: Sight, ledger: UserLedger): Facts => ({
  userId,
  now,
  ...sight,
  ledger,
  gmail: { kind: 'unasked' },
  printedAddresses: sight.presence.kind === 'present' ? printedAddresses(sight.presence.user) : new Map(),
  namedByOthers: [],
  lostAddresses: [],
  formerAddresses: [],
  issuerStates: new Map(),
});

/** Somebody without a certificate has no issuer whose state could matter. */
async function withIssuers(deps: ReconcileDeps, facts: Facts): Promise<Facts> {
  if (facts.ledger.leaves.length === 0) return facts;
  return { ...facts, issuerStates: await deps.ledger.issuerStates() };
}

/** Answers the ledger with what was written. Somebody no rule ever covered leaves no trace in it. */
async function recordSighting(
  deps: ReconcileDeps,
  lease: Lease,
  cause: Cause,
  sight: Sight,
  ledger: UserLedger,
): Promise<UserLedger> {
  const { presence } = sight;
  if (presence.kind !== 'present') return ledger;
  const { user } = presence;
  const now = deps.clock.now();
  const before = factsOf(user.userId, now, sight, ledger);
  const standing = standingOf(before, deps.policy);
  if (standing.kind !== 'covered' && ledger.user === undefined) return ledger;
  const audit = leaveBegun(before, deps.policy, cause);
  const protectedBy = protections(deps.policy, user, sight.place);
  const recorded = await deps.ledger.recordSighting(lease, {
    userId: user.userId,
    primaryEmail: user.primaryEmail,
    aliases: user.aliases,
    ...leftScope(standing, ledger),
    isArchived: user.archived,
    ...(user.suspended ? { suspendedAt: ledger.user?.suspendedAt ?? now } : {}),
    ...(standing.kind === 'covered'
      ? {
          ruleName: standing.rule.name,
          ruleDigest: ruleDigest(standing.rule),
          unit: user.orgUnitPath,
        }
      : {}),
    ...(protectedBy.length === 0 ? {} : { protectedBy }),
    ...(audit === undefined ? {} : { audit }),
  });
  // A sighting changes the row and ends an absence; whatever else came meanwhile asked for another look.
  const { absence: _over, ...others } = ledger;
  const seen: UserLedger = { ...others, user: recorded };
  if (!leavesOnceMore(factsOf(user.userId, now, sight, seen), deps.policy)) return seen;
  // Before Gmail is asked: this process may die in the middle, and nobody looks again at whoever is out.
  const leaving = { state: 'leaving', reason: 'They were out and left once more, in another way.' } as const;
  const resume = { nextAction: 'resume', nextActionAt: plus(now, deps.leaseMs) } as const;
  const { failures } = recorded;
  await deps.ledger.recordState(lease, { userId: user.userId, failures, ...leaving, ...resume });
  return { ...seen, user: { ...recorded, ...leaving, ...resume, since: now } };
}

/** While a rule cannot be judged, what was known of somebody's leaving stays as it is. */
function leftScope(standing: Standing, { user }: UserLedger): { leftScopeAt?: Date } {
  const since = standing.kind === 'outside' ? standing.since : undefined;
  const leftScopeAt = since ?? (standing.kind === 'frozen' ? user?.leftScopeAt : undefined);
  return leftScopeAt === undefined ? {} : { leftScopeAt };
}

const WAITING_CODES = new Set(['mailbox-not-ready', 'cse-not-enabled', 'delegation-refused']);

async function observeGmail(deps: ReconcileDeps, mailbox: string): Promise<GmailFacts> {
  try {
    const [keypairs, identities] = await Promise.all([
      deps.gmail.listKeypairs(mailbox),
      deps.gmail.listIdentities(mailbox),
    ]);
    return { kind: 'observed', keypairs, identities };
  } catch (error) {
    if (!isSealwrightError(error) || !WAITING_CODES.has(error.code)) throw error;
    const code = error.code as 'mailbox-not-ready' | 'cse-not-enabled' | 'delegation-refused';
    return { kind: 'unavailable', code, message: error.message };
  }
}

function fingerprints(ledger: UserLedger): ReadonlyMap<string, string> {
  return new Map([
    ...ledger.leaves.flatMap((leaf): readonly (readonly [string, string])[] =>
      leaf.leafDer === undefined ? [] : [[leaf.serialHex, hash('sha256', leaf.leafDer)]],
    ),
    ...(ledger.imported ?? []).map((one) => [one.importId, one.certificateSha256Hex] as const),
  ]);
}
