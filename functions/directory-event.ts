/** Pub/Sub push → look at one user. The only function that changes mailboxes and asks for certificates. */
import type { ActivePolicySource } from '../shared/activation/active-policy.ts';
import type { DirectoryPresence } from '../shared/domain/directory-user.ts';
import type { Cause, Hint } from '../shared/domain/hint.ts';
import { isSealwrightError } from '../shared/errors.ts';
import type { IdTokenVerifier } from '../shared/ports/id-tokens.ts';
import type { ReconcileDeps } from '../shared/reconcile/context.ts';
import { type RunOutcome, reconcile } from '../shared/reconcile/run.ts';
import { type SourceMeter, sourceMeter } from '../shared/sources/meter.ts';
import { isShown, type Shown, toldOf } from '../shared/sources/reads-lag.ts';
import type { EntryFacts } from './wire/audit-entry.ts';
import { authenticateCaller, type CallerRule } from './wire/caller.ts';
import { type Command, parseDirectoryMessage } from './wire/hint-message.ts';
import { type HttpHandler, parseJsonObject } from './wire/http.ts';
import { type PushedMessage, parsePushEnvelope } from './wire/push-envelope.ts';

export interface DirectoryEventDeps extends Omit<ReconcileDeps, 'policy'> {
  readonly policies: ActivePolicySource;
  readonly callers: CallerRule;
  readonly idTokens: IdTokenVerifier;
  /** Number of the organization whose audit log is followed; absent: entries of any are. */
  readonly organization?: string;
}

/**
 * Acknowledges (204) what is done, what needs a human and what can never be understood; fails (503, 500) what may
 * succeed later, so that Pub/Sub delivers it again.
 */
export function createDirectoryEvent(deps: DirectoryEventDeps): HttpHandler {
  const meter = sourceMeter('audit', deps);
  return async (call) => {
    await authenticateCaller(call.headers, deps.callers, deps.idTokens);
    const message = parsePushEnvelope(parseJsonObject(call.body));
    let entryKey: string | undefined;
    try {
      const understood = await understand(deps, meter, message);
      entryKey = understood.entryKey;
      for (const { orgUnitPath, cause } of understood.units) await sweepUnit(deps, orgUnitPath, cause);
      await allOf(understood.hints, (hint) => follow(deps, hint, message));
      // Only now: an entry whose look failed is delivered again and must not be taken for one that was followed.
      if (entryKey !== undefined) await deps.ledger.followEntries([entryKey]);
      return { status: 204 };
    } catch (error) {
      if (entryKey !== undefined) await noteArrival(deps, entryKey);
      throw error;
    } finally {
      await meter.tell();
    }
  };
}

type Understood = Command & { readonly entryKey?: string };
const NOTHING: Understood = { hints: [], units: [], ignored: [] };

/** A message nobody can ever understand is written down and acknowledged; delivering it again would change nothing. */
async function understand(
  deps: DirectoryEventDeps,
  meter: SourceMeter,
  message: PushedMessage,
): Promise<Understood> {
  try {
    const { command, entry } = parseDirectoryMessage(message);
    if (entry === undefined) return command;
    const isOurs = await admit(deps, meter, entry, message);
    if (!isOurs) return NOTHING;
    for (const { event, reason } of command.ignored) {
      meter.oddity('unknown-event', event);
      await ignore(deps, message, reason);
    }
    return { ...command, ...(entry.key === undefined ? {} : { entryKey: entry.key }) };
  } catch (error) {
    if (!isSealwrightError(error) || error.kind !== 'invalid-input') throw error;
    meter.oddity('malformed');
    await ignore(deps, message, error.message);
    return NOTHING;
  }
}

/**
 * Counts an entry of the audit log. False for one of another organization, which nobody but an admin of the sink can have
 * sent here, and for one that was followed already.
 */
async function admit(
  deps: DirectoryEventDeps,
  meter: SourceMeter,
  entry: EntryFacts,
  message: PushedMessage,
): Promise<boolean> {
  if (deps.organization !== undefined && entry.organization !== deps.organization) {
    meter.oddity('foreign-organization', entry.organization ?? 'none');
    const whose = entry.organization ?? 'no organization';
    await ignore(deps, message, `The entry is in the log of ${whose}, not of ${deps.organization}.`);
    return false;
  }
  if (entry.key !== undefined && (await deps.ledger.followedEntries([entry.key])).length > 0) {
    meter.oddity('repeated-entry');
    deps.log.info('entry-repeated', { eventId: message.messageId, entry: entry.key });
    return false;
  }
  meter.entry({ happenedAt: entry.happenedAt, alsoFrom: entry.isNotified ? 'watch' : undefined });
  return true;
}

/** It came, so the log sink has not lost it, whatever becomes of the look. The look's own failure is what has to be told. */
async function noteArrival(deps: DirectoryEventDeps, entryKey: string): Promise<void> {
  try {
    await deps.ledger.noteArrivals([entryKey]);
  } catch (error) {
    if (!isSealwrightError(error)) throw error;
    deps.log.warning('arrival-not-noted', { entry: entryKey, code: error.code, message: error.message });
  }
}

/** Written down; the sweep takes it up within a minute. */
async function sweepUnit(deps: DirectoryEventDeps, orgUnitPath: string, cause: Cause): Promise<void> {
  await deps.ledger.requestSweep({
    scope: orgUnitPath,
    cause: { eventId: cause.eventId, event: cause.event },
  });
  deps.log.info('sweep-requested', { eventId: cause.eventId, sourceEvent: cause.event, orgUnitPath });
}

async function ignore(deps: DirectoryEventDeps, message: PushedMessage, reason: string): Promise<void> {
  deps.log.warning('event-ignored', { eventId: message.messageId, reason });
  const cause = { source: 'audit' as const, eventId: message.messageId, event: 'ignored' };
  await deps.ledger.audit({ cause, step: 'hint-ignored', reason, outcome: 'ignored' });
}

async function follow(deps: DirectoryEventDeps, hint: Hint, message: PushedMessage): Promise<void> {
  const found =
    'userId' in hint ? { holder: hint.userId, userIds: [hint.userId] } : await resolve(deps, hint);
  const told = toldOf(hint.cause, deps.clock.now());
  const presences = new Map<string, DirectoryPresence | undefined>();
  await allOf(found.userIds, async (userId) => {
    const outcome = await lookAt(deps, userId, hint, message);
    if (told === 'gone' || (told !== undefined && userId === found.holder))
      presences.set(userId, await shownOf(deps, userId, outcome));
  });
  const shown: Shown = { holder: found.holder, presences };
  if (told !== undefined && !isShown(told, hint, shown)) return await putOff(deps, hint);
  if (found.userIds.length > 0 || 'userId' in hint) return;
  if (MAY_NAME_GROUP.has(hint.cause.event) && (await isGroup(deps, hint.address)))
    return await sweepUnit(deps, '/', hint.cause);
  const reason = `Nobody has or had the address ${addressesOf(hint).join(' or ')}.`;
  await deps.ledger.audit({ cause: hint.cause, step: 'hint-ignored', reason, outcome: 'ignored' });
  deps.log.warning('hint-ignored', { eventId: hint.cause.eventId, reason });
}

/**
 * What the directory showed of them since the event. Somebody else's look, which goes on while ours ends, may have begun before it did,
 * and for the sake of an event that asks no second time.
 */
const shownOf = async (
  deps: DirectoryEventDeps,
  userId: string,
  outcome: RunOutcome,
): Promise<DirectoryPresence | undefined> =>
  outcome.kind === 'busy' ? await deps.directory.presence(userId) : outcome.presence;

/**
 * What the directory does not show yet is asked about again by `due` (`shared/sources/reads-lag.ts`). The message is done with: to
 * have it delivered again would spend its attempts, end among the dead letters and slow down the others.
 */
async function putOff(deps: DirectoryEventDeps, hint: Hint): Promise<void> {
  await deps.ledger.recordPutOff(hint);
  const { eventId, event: sourceEvent } = hint.cause;
  const whom = 'userId' in hint ? { userId: hint.userId } : { address: hint.address };
  deps.log.info('hint-put-off', { eventId, sourceEvent, ...whom });
}

/** A group that came into another one, or left it, brings its own members along, and no event names them. */
const MAY_NAME_GROUP: ReadonlySet<string> = new Set(['ADD_GROUP_MEMBER', 'REMOVE_GROUP_MEMBER']);

/** Of other companies' groups Google may refuse to speak; they hold nobody whom we serve. */
async function isGroup(deps: DirectoryEventDeps, address: string): Promise<boolean> {
  try {
    return (await deps.directory.group(address)) !== undefined;
  } catch (error) {
    if (!isSealwrightError(error) || error.code !== 'directory-refused') throw error;
    deps.log.info('group-not-told', { address, message: error.message });
    return false;
  }
}

/** Fails only when it is through: a user who cannot be finished must not keep the next one's departure waiting. */
async function allOf<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const failures: unknown[] = [];
  for (const item of items) {
    try {
      await work(item);
    } catch (error) {
      failures.push(error);
    }
  }
  // A bug is told before anything that may pass by itself.
  if (failures.length > 0) throw failures.find((failure) => !isSealwrightError(failure)) ?? failures[0];
}

async function lookAt(
  deps: DirectoryEventDeps,
  userId: string,
  { cause }: Hint,
  message: PushedMessage,
): Promise<RunOutcome> {
  const { eventId, source, event: sourceEvent } = cause;
  const line = { eventId, source, sourceEvent, userId, attempt: message.deliveryAttempt };
  const startedMs = performance.now();
  deps.log.info('look-started', line);
  // Asked for each user, so that an activation holds from the next look on.
  const { policy } = await deps.policies.current();
  const outcome = await reconcile({ ...deps, policy }, userId, cause);
  deps.log.info('look-ended', {
    ...line,
    outcome: outcome.kind,
    ...(outcome.kind === 'busy' ? {} : { state: outcome.verdict.state }),
    durationMs: Math.round(performance.now() - startedMs),
  });
  return outcome;
}

type AddressHint = Extract<Hint, { address: string }>;

const addressesOf = ({ address, formerAddress }: AddressHint): readonly string[] =>
  formerAddress === undefined ? [address] : [address, formerAddress];

/**
 * Whoever the directory says has the address now, and everybody the ledger knows to have had it: between an event and
 * its arrival an address may have gone to somebody else, and the event was about the one before. `holder`: who has it now,
 * of a rename the new one.
 */
async function resolve(
  deps: DirectoryEventDeps,
  hint: AddressHint,
): Promise<{ readonly holder: string | undefined; readonly userIds: readonly string[] }> {
  const userIds = new Set<string>();
  let holder: string | undefined;
  for (const address of addressesOf(hint)) {
    const now = await deps.directory.resolve(address);
    if (address === hint.address) holder = now;
    if (now !== undefined) userIds.add(now);
    for (const before of await deps.ledger.userIdsOfAddress(address)) userIds.add(before);
  }
  return { holder, userIds: [...userIds] };
}
