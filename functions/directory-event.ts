/** Pub/Sub push → look at one user. The only function that changes mailboxes and asks for certificates. */
import type { Hint } from '../shared/domain/hint.ts';
import { isSealwrightError } from '../shared/errors.ts';
import type { IdTokenVerifier } from '../shared/ports/id-tokens.ts';
import type { ReconcileDeps } from '../shared/reconcile/context.ts';
import { reconcile } from '../shared/reconcile/run.ts';
import { authenticateCaller, type CallerRule } from './wire/caller.ts';
import { parseDirectoryEvent } from './wire/hint-message.ts';
import { type HttpHandler, parseJsonObject } from './wire/http.ts';
import { type PushedMessage, parsePushEnvelope } from './wire/push-envelope.ts';

export interface DirectoryEventDeps extends ReconcileDeps {
  readonly callers: CallerRule;
  readonly idTokens: IdTokenVerifier;
}

/**
 * Acknowledges (204) what is done, what needs a human and what can never be understood; fails (503, 500) what may
 * succeed later, so that Pub/Sub delivers it again.
 */
export function createDirectoryEvent(deps: DirectoryEventDeps): HttpHandler {
  return async (call) => {
    await authenticateCaller(call.headers, deps.callers, deps.idTokens);
    const message = parsePushEnvelope(parseJsonObject(call.body));
    const hints = await understand(deps, message);
    for (const hint of hints) await follow(deps, hint, message);
    return { status: 204 };
  };
}

/** A message nobody can ever understand is written down and acknowledged; delivering it again would change nothing. */
async function understand(deps: DirectoryEventDeps, message: PushedMessage): Promise<readonly Hint[]> {
  try {
    const { hints, ignored } = parseDirectoryEvent(message);
    for (const reason of ignored) await ignore(deps, message, reason);
    return hints;
  } catch (error) {
    if (!isSealwrightError(error) || error.kind !== 'invalid-input') throw error;
    await ignore(deps, message, error.message);
    return [];
  }
}

async function ignore(deps: DirectoryEventDeps, message: PushedMessage, reason: string): Promise<void> {
  deps.log.warning('event-ignored', { eventId: message.messageId, reason });
  const cause = { source: 'audit' as const, eventId: message.messageId, event: 'ignored' };
  await deps.ledger.audit({ cause, step: 'hint-ignored', reason, outcome: 'ignored' });
}

async function follow(deps: DirectoryEventDeps, hint: Hint, message: PushedMessage): Promise<void> {
  const userId = 'userId' in hint ? hint.userId : await resolve(deps, hint.address);
  const line = {
    eventId: hint.cause.eventId,
    source: hint.cause.source,
    sourceEvent: hint.cause.event,
    attempt: message.deliveryAttempt,
  };
  if (userId === undefined) {
    const address = 'address' in hint ? hint.address : '';
    await deps.ledger.audit({
      cause: hint.cause,
      step: 'hint-ignored',
      reason: `Nobody has or had the address ${address}.`,
      outcome: 'ignored',
    });
    deps.log.warning('user-unresolved', { ...line, address });
    return;
  }
  const startedMs = performance.now();
  deps.log.info('look-started', { ...line, userId });
  const outcome = await reconcile(deps, userId, hint.cause);
  deps.log.info('look-ended', {
    ...line,
    userId,
    outcome: outcome.kind,
    ...(outcome.kind === 'busy' ? {} : { state: outcome.verdict.state }),
    durationMs: Math.round(performance.now() - startedMs),
  });
}

/** The directory first, because addresses move; then our own memory, for somebody the directory has forgotten. */
async function resolve(deps: DirectoryEventDeps, address: string): Promise<string | undefined> {
  return (await deps.directory.resolve(address)) ?? (await deps.ledger.userIdOfAddress(address));
}
