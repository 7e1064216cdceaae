/**
 * What happened to one user and why, in sentences, from the event in the directory to the entry in the CRL. Pure: what it
 * says is what ledger, audit trail and policy say.
 */
import type { Cause } from '../domain/hint.ts';
import { LEAVE_BEGUN, type LeaveTerms } from '../domain/leave.ts';
import type {
  DisableCause,
  KeypairRecord,
  LeafRecord,
  UserKeyRecord,
  UserLedger,
  UserRecord,
} from '../domain/records.ts';
import { sentence } from '../domain/sentence.ts';
import type { ChainedEntry, CrlListing } from '../ports/ledger/audit-chains.ts';
import { leaveTermsOf, wayOut } from './leave.ts';
import { nextStep, occasionOf } from './next-step.ts';

export interface ExplainFacts {
  readonly now: Date;
  readonly user: UserRecord;
  readonly ledger: UserLedger;
  /** The user's entries, oldest first. */
  readonly trail: readonly ChainedEntry[];
  /** Of the user's revoked leaves. */
  readonly listings: readonly CrlListing[];
  /** How the policy in force sees them now, in one sentence; absent where the directory could not be asked. */
  readonly standing?: string;
}

/** One link of the way: a heading and its sentences. */
export interface Chapter {
  readonly title:
    | 'State'
    | 'Policy'
    | 'Certificate'
    | 'Earlier certificates'
    | 'Other mail clients'
    | 'Imported keys'
    | 'Notices'
    | 'Next';
  readonly sentences: readonly string[];
}

/** Chapters that have nothing to say are left out. */
export function explain(facts: ExplainFacts): readonly Chapter[] {
  const leaves = facts.ledger.leaves.toSorted(
    (left, right) => right.intendedAt.getTime() - left.intendedAt.getTime(),
  );
  const ours = leaves.filter(({ holder }) => holder === 'key-service');
  const current = ours.filter((leaf) => isLive(leaf, facts.now) && leaf.retirement === undefined);
  const newest = current.filter(
    (leaf, index) => current.findIndex(({ purpose }) => purpose === leaf.purpose) === index,
  );
  const earlier = ours.filter((leaf) => !newest.includes(leaf));
  const chapters: readonly Chapter[] = [
    { title: 'State', sentences: state(facts) },
    { title: 'Policy', sentences: facts.standing === undefined ? [] : [facts.standing] },
    { title: 'Certificate', sentences: newest.flatMap((leaf) => inUse(facts, leaf)) },
    { title: 'Earlier certificates', sentences: earlier.map((leaf) => over(facts, leaf)) },
    {
      title: 'Other mail clients',
      sentences: leaves.filter(({ holder }) => holder === 'device').map((leaf) => onDevice(facts, leaf)),
    },
    { title: 'Imported keys', sentences: imported(facts) },
    { title: 'Notices', sentences: facts.ledger.notices.map(({ message }) => message) },
    { title: 'Next', sentences: next(facts, leaves) },
  ];
  return chapters.filter(({ sentences }) => sentences.length > 0);
}

const isLive = (leaf: LeafRecord, now: Date): boolean =>
  leaf.revocation === undefined && leaf.notAfter.getTime() > now.getTime();

function state(facts: ExplainFacts): readonly string[] {
  const { user, trail } = facts;
  const begun = runningLeave(facts);
  const last = trail.findLast(({ outcome }) => outcome !== 'ignored');
  return [
    `${user.primaryEmail} (user id ${user.userId}) is ${user.state} since ${at(user.since)}: ${sentence(user.reason)}`,
    ...(user.leftScopeAt === undefined ? [] : [`Out of scope since ${at(user.leftScopeAt)}.`]),
    ...(user.suspendedAt === undefined ? [] : [`Suspended since ${at(user.suspendedAt)}.`]),
    ...(begun === undefined ? [] : [`Leaving began with ${because(begun.cause)}: ${sentence(begun.reason)}`]),
    ...(isLeaving(user) ? identitiesLeft(facts) : []),
    ...trail
      .filter(({ step }) => step === 'erase-wrapped-keys')
      .map(
        (entry) =>
          `${sentence(entry.reason)} That was at ${at(entry.at)}; nobody opens mail with them again.`,
      ),
    ...unfinished(user.failures),
    ...(last === undefined
      ? []
      : [
          `The last entry of the audit trail is ${last.step} (${last.outcome}) at ${at(last.at)}, because of ${because(last.cause)}.`,
        ]),
  ];
}

const unfinished = (failures: number): readonly string[] => {
  if (failures === 0) return [];
  return [
    failures === 1
      ? 'The last look could not be finished.'
      : `The last ${failures} looks in a row could not be finished.`,
  ];
};

const isLeaving = ({ state: standing }: UserRecord): boolean => standing === 'leaving' || standing === 'out';

/** Of each address that ever had an identity: whether we deleted it, or it went with the account, and when. */
function identitiesLeft(facts: ExplainFacts): readonly string[] {
  const last = lastIdentityActs(facts);
  const departure = departureOf(facts);
  // The directory does not always say when.
  const when =
    departure?.leavingSince.startsWith('1970') === false ? ` at ${at(new Date(departure.leavingSince))}` : '';
  const fate = isGone(facts)
    ? `went with the account, which was deleted${when}`
    : 'has not been deleted since';
  return [...last].map(([address, entry]) =>
    entry.step === 'delete-identity'
      ? `The identity of ${address} was deleted at ${at(entry.at)}.`
      : `The identity of ${address} was set at ${at(entry.at)} and ${fate}.`,
  );
}

/** By address: the last entry that set its identity or deleted it. */
function lastIdentityActs({ trail }: ExplainFacts): ReadonlyMap<string, ChainedEntry> {
  const last = new Map<string, ChainedEntry>();
  for (const entry of trail) {
    const address = entry.details?.['address'];
    const isAct = entry.step === 'set-identity' || entry.step === 'delete-identity';
    if (isAct && entry.outcome !== 'failed' && typeof address === 'string') last.set(address, entry);
  }
  return last;
}

/** The departure under way, or the last one; what somebody came back from is none. */
const departureOf = ({ user, trail }: ExplainFacts): LeaveTerms | undefined =>
  isLeaving(user) ? trail.map(leaveTermsOf).findLast((terms) => terms !== undefined) : undefined;

/** The account is deleted, and what Gmail had is gone with it. */
const isGone = (facts: ExplainFacts): boolean => departureOf(facts)?.leaving === 'deleted';

/** The entry that began the departure under way: whoever came back in between has no such date any more, or a later one. */
function runningLeave(facts: ExplainFacts): ChainedEntry | undefined {
  const { user, trail } = facts;
  if (user.state !== 'leaving') return undefined;
  const since = (user.leftScopeAt ?? user.suspendedAt)?.toISOString();
  const departure = departureOf(facts);
  const kind =
    user.leftScopeAt !== undefined ? 'outside' : user.suspendedAt !== undefined ? 'suspended' : 'deleted';
  if (kind === 'deleted' && departure?.leaving !== 'deleted') return undefined;
  return trail.find((entry) => {
    const terms = entry.step === LEAVE_BEGUN ? leaveTermsOf(entry) : undefined;
    return terms?.leaving === kind && terms.leavingSince === (since ?? departure?.leavingSince);
  });
}

/** From the event to the identity. */
function inUse(facts: ExplainFacts, leaf: LeafRecord): readonly string[] {
  const { ledger } = facts;
  const key = ledger.keys.find(({ keyId }) => keyId === leaf.keyId);
  const pair = ledger.keypairs.find(({ serialHex }) => serialHex === leaf.serialHex);
  const gone = isGone(facts);
  const identity = gone ? undefined : identityEntry(facts, pair);
  const what = leaf.purpose === 'dual-use' ? 'Certificate' : `The ${leaf.purpose} certificate`;
  return [
    ...origin(facts, leaf),
    leaf.state === 'signed'
      ? `${what} ${leaf.serialHex} for ${leaf.addresses.join(', ')} was issued by ${leaf.issuerId} at ${at(leaf.intendedAt)} and is valid until ${at(leaf.notAfter)}.`
      : `${what} ${leaf.serialHex} for ${leaf.addresses.join(', ')} was begun at ${at(leaf.intendedAt)} and is not signed yet.`,
    ...(key === undefined ? [] : [keySentence(key)]),
    pairSentence(pair, gone),
    ...(identity === undefined
      ? []
      : [
          `The identity of ${String(identity.details?.['address'] ?? facts.user.primaryEmail)} uses it since ${at(identity.at)}.`,
        ]),
  ];
}

function keySentence(key: UserKeyRecord): string {
  if (key.card !== undefined) return 'Its private key is on a smart card, and nothing of it is wrapped.';
  return key.proof === 'proven'
    ? `Its private key is wrapped by ${key.keyServiceUrl}, which showed that it opens.`
    : `Its private key is wrapped by ${key.keyServiceUrl}; nobody has seen it open yet.`;
}

/** The event that led to a leaf. */
function origin(facts: ExplainFacts, leaf: LeafRecord): readonly string[] {
  const issued = entryOf(facts, leaf, 'issue-leaf') ?? entryOf(facts, leaf, 'sign-leaf');
  if (issued === undefined) return [];
  const seconds =
    issued.cause.at === undefined ? undefined : (issued.at.getTime() - issued.cause.at.getTime()) / 1000;
  const took = seconds === undefined ? '' : `, ${seconds.toFixed(1)} s after it`;
  return [`It began with ${because(issued.cause)}${took}: ${sentence(issued.reason)}`];
}

const entryOf = ({ trail }: ExplainFacts, leaf: LeafRecord, step: string): ChainedEntry | undefined =>
  trail.findLast(
    (entry) =>
      entry.step === step && entry.outcome !== 'failed' && entry.details?.['serialHex'] === leaf.serialHex,
  );

/** Of an identity that uses this pair: when it was given it. */
const identityEntry = (facts: ExplainFacts, pair: KeypairRecord | undefined): ChainedEntry | undefined =>
  [...lastIdentityActs(facts).values()].findLast(
    ({ step, details }) =>
      step === 'set-identity' &&
      pair?.keypairId !== undefined &&
      Object.values(details ?? {}).includes(pair.keypairId),
  );

const WENT_WITH_ACCOUNT = 'which went with the account';

/** `gone`: with its account. */
function pairSentence(pair: KeypairRecord | undefined, gone: boolean): string {
  if (pair === undefined) return 'Gmail has not been given a key pair for it yet.';
  if (pair.keypairId === undefined) return 'Gmail was asked for its key pair and has not answered yet.';
  if (gone) return `Gmail had it as key pair ${pair.keypairId}, ${WENT_WITH_ACCOUNT}.`;
  if (pair.disabled === undefined) return `Gmail holds it as key pair ${pair.keypairId}.`;
  return `Gmail holds it as key pair ${pair.keypairId}, ${disabledSince(pair.disabled)}.`;
}

const DISABLED: Readonly<Record<DisableCause, string>> = {
  left: 'because its user left',
  compromised: 'because its key was reported as compromised',
  admin: 'because an admin asked for it',
};

const disabledSince = ({ at: when, because: cause }: NonNullable<KeypairRecord['disabled']>): string =>
  `disabled since ${at(when)} ${DISABLED[cause]}`;

function over(facts: ExplainFacts, leaf: LeafRecord): string {
  const named = `${leaf.serialHex}${leaf.purpose === 'dual-use' ? '' : ` (${leaf.purpose})`}, from ${at(leaf.intendedAt)} for ${leaf.addresses.join(', ')},`;
  if (leaf.revocation !== undefined) {
    const entry = entryOf(facts, leaf, 'revoke-leaf');
    const why = entry === undefined ? '' : ` after ${whatLedTo(facts, entry)}: ${sentence(entry.reason)}`;
    return `${named} was revoked at ${at(leaf.revocation.revokedAt)} as ${leaf.revocation.reason}${why || '.'} ${listed(facts, leaf)}${pairLeft(facts, leaf)}`;
  }
  if (leaf.notAfter.getTime() <= facts.now.getTime())
    return `${named} ran out at ${at(leaf.notAfter)}.${pairLeft(facts, leaf)}`;
  if (leaf.retirement !== undefined) {
    return `${named} is replaced and will be revoked as ${leaf.retirement.reason} at ${at(leaf.retirement.dueAt)}.${pairLeft(facts, leaf)}`;
  }
  return `${named} is replaced and runs out at ${at(leaf.notAfter)}.${pairLeft(facts, leaf)}`;
}

/** The event, and what lay between it and the revocation (approval, grace period), so that nobody reads that as a delay. */
function whatLedTo({ trail }: ExplainFacts, entry: ChainedEntry): string {
  const { begun } = wayOut(entry, trail, []);
  const { approvedBy, heldSet } = entry.details ?? {};
  const approval =
    approvedBy === undefined ? '' : ` and the approval of held set ${heldSet} by ${String(approvedBy)}`;
  const cause = `${because((begun ?? entry).cause)}${approval}`;
  const terms = leaveTermsOf(entry);
  if (terms === undefined || terms.graceEndsAt === terms.leavingSince) return cause;
  const late = (entry.at.getTime() - new Date(terms.graceEndsAt).getTime()) / 1000;
  const grace = `the grace period that ran from ${at(new Date(terms.leavingSince))} to ${at(new Date(terms.graceEndsAt))}, ${late.toFixed(1)} s before the revocation`;
  return `${cause} and ${grace}`;
}

/** What became of the pair, as far as we did it: old mail opens with one that stays enabled. */
function pairLeft(facts: ExplainFacts, leaf: LeafRecord): string {
  const pair = facts.ledger.keypairs.find(({ serialHex }) => serialHex === leaf.serialHex);
  if (pair?.keypairId === undefined) return '';
  const fate = isGone(facts)
    ? WENT_WITH_ACCOUNT
    : pair.disabled === undefined
      ? 'which was left enabled'
      : disabledSince(pair.disabled);
  return ` Gmail was given it as key pair ${pair.keypairId}, ${fate}.`;
}

function listed({ listings }: ExplainFacts, leaf: LeafRecord): string {
  const listing = listings.find(({ serialHex }) => serialHex === leaf.serialHex);
  if (leaf.state === 'intended') return 'Whether it was ever signed is not known.';
  return listing?.crl === undefined
    ? `No public CRL of ${leaf.issuerId} lists it yet.`
    : `CRL ${listing.crl.crlNumber} of ${leaf.issuerId}, public since ${at(listing.crl.publishedAt)}, is the first that lists it.`;
}

function onDevice({ ledger, now }: ExplainFacts, leaf: LeafRecord): string {
  const device = ledger.deviceKeys.find(({ keyId }) => keyId === leaf.keyId)?.device ?? 'a device';
  const standing =
    leaf.revocation !== undefined
      ? `was revoked at ${at(leaf.revocation.revokedAt)} as ${leaf.revocation.reason}`
      : isLive(leaf, now)
        ? `is valid until ${at(leaf.notAfter)} and not renewed by itself`
        : `ran out at ${at(leaf.notAfter)}`;
  return `${leaf.serialHex} on ${device} ${standing}.`;
}

/** Keys of old mail, and whether it opens with them. */
function imported(facts: ExplainFacts): readonly string[] {
  const { imported: certificates = [], keypairs } = facts.ledger;
  const gone = isGone(facts);
  return certificates.map(
    ({ importId, addresses, notBefore, notAfter, requestedBy, state: standing, detail, key }) => {
      const named = `${importId}${addresses.length === 0 ? '' : ` for ${addresses.join(', ')}`}, good from ${at(notBefore)} to ${at(notAfter)}, was imported by ${requestedBy}.`;
      const pair = keypairs.find(({ serialHex }) => serialHex === importId);
      const place =
        standing === 'refused' ? `It was refused: ${sentence(detail ?? '')}` : pairSentence(pair, gone);
      return `${named} ${keySentence(key)} ${place}`;
    },
  );
}

/** What the user's row says, and what has been decided for single certificates and keys. */
function next(facts: ExplainFacts, leaves: readonly LeafRecord[]): readonly string[] {
  const retirements = leaves.flatMap(({ revocation, retirement, serialHex }) =>
    revocation !== undefined || retirement === undefined
      ? []
      : [
          `At ${at(retirement.dueAt)} the replaced certificate ${serialHex} is revoked (${retirement.reason}).`,
        ],
  );
  const wishes = facts.ledger.openWishes.map(
    ({ reason, requestedBy, requestedAt }) =>
      `A re-key (${reason}) that ${requestedBy} asked for at ${at(requestedAt)} is still open.`,
  );
  return [...wishes, ...action(facts), ...retirements];
}

function action(facts: ExplainFacts): readonly string[] {
  const { nextAction, nextActionAt, state: standing } = facts.user;
  if (nextAction === undefined || nextActionAt === undefined)
    return standing === 'out' ? ['Nothing, until the directory says something else.'] : [];
  // Each retirement has a sentence of its own.
  if (nextAction === 'revoke-replaced') return [];
  // An overlap may end before the grace period does, and is what somebody looks for first.
  const graceEndsAt = nextAction === 'revoke' ? runningLeave(facts)?.details?.['graceEndsAt'] : undefined;
  return [nextStep(nextAction, at(typeof graceEndsAt === 'string' ? new Date(graceEndsAt) : nextActionAt))];
}

/** "a notification of the directory (add, event channel-1:42) at 2027-03-01 08:00:12Z". */
function because({ source, event, eventId, actor, at: when }: Cause): string {
  const who = actor === undefined ? '' : ` by ${actor}`;
  const time = when === undefined ? '' : ` at ${at(when)}`;
  switch (source) {
    case 'watch':
      return `a notification of the directory (${event}, event ${eventId})${time}`;
    case 'audit':
      return `the audit log entry ${event}${who} (${eventId})${time}`;
    case 'sweep':
      return `a sweep of the directory (${event}, ${eventId})`;
    case 'due':
      return `the schedule (${occasionOf(event)})`;
    case 'admin':
      return `an admin's order (${event}${who}, ${eventId})${time}`;
    default:
      return source satisfies never;
  }
}

/** To the second, in UTC. */
const at = (instant: Date): string => `${instant.toISOString().slice(0, 19).replace('T', ' ')}Z`;
