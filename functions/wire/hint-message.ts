import type { Cause, Hint, HintSource } from '../../shared/domain/hint.ts';
import { invalidInput } from '../../shared/errors.ts';
import { type EntryFacts, parseAuditEntry, readEntryFacts } from './audit-entry.ts';
import { optionalInstant } from './optional-instant.ts';
import { type PushedMessage, parseMessageJson } from './push-envelope.ts';

const SOURCES: ReadonlySet<string> = new Set<HintSource>(['watch', 'audit', 'sweep', 'due', 'admin']);

/** An org unit that changed: everybody below it has another path, and no event names any of them. */
export interface ChangedUnit {
  readonly orgUnitPath: string;
  readonly cause: Cause;
}

/** A part of a message that nothing is to be done about: what it goes by, and why, in words. */
export interface Ignored {
  readonly event: string;
  readonly reason: string;
}

/** What a message on `directory-events` asks for. */
export interface Command {
  readonly hints: readonly Hint[];
  /** Units whose subtree is to be swept. */
  readonly units: readonly ChangedUnit[];
  readonly ignored: readonly Ignored[];
}

/** Two kinds of message travel on the topic: our own hints, and log entries exactly as the org sink publishes them. */
export function parseDirectoryMessage(message: PushedMessage): {
  readonly command: Command;
  /** Present for a log entry. */
  readonly entry?: EntryFacts;
} {
  const body = parseMessageJson(message);
  if ('protoPayload' in body)
    return { command: parseAuditEntry(body, message.messageId), entry: readEntryFacts(body) };
  return { command: { hints: [parseHint(body, message.messageId)], units: [], ignored: [] } };
}

/** What a message asks for, without what a log entry says about itself. */
export const parseDirectoryEvent = (message: PushedMessage): Command =>
  parseDirectoryMessage(message).command;

function parseHint(body: Readonly<Record<string, unknown>>, messageId: string): Hint {
  if (body['version'] !== 1) {
    throw invalidInput(
      'malformed-event',
      `Message ${messageId} is neither a log entry nor a hint of version 1.`,
    );
  }
  const cause = parseCause(body['cause'], messageId);
  const { userId, address, formerAddress, detail } = body;
  if (typeof userId === 'string' && /^\d{1,32}$/.test(userId)) return { userId, cause };
  if (isAddress(address)) {
    const former = isAddress(formerAddress) ? { formerAddress: formerAddress.toLowerCase() } : {};
    return {
      address: address.toLowerCase(),
      ...former,
      ...(isText(detail) ? { detail } : {}),
      cause,
    };
  }
  throw invalidInput(
    'malformed-event',
    `Message ${messageId} names no user: it needs "userId" (digits) or "address".`,
  );
}

function parseCause(value: unknown, messageId: string): Cause {
  const cause = value as Partial<Record<keyof Cause, unknown>> | null | undefined;
  const { source, eventId, event, actor, at } = cause ?? {};
  if (typeof source !== 'string' || !SOURCES.has(source) || !isText(eventId) || !isText(event)) {
    throw invalidInput('malformed-event', `Message ${messageId} has no valid "cause".`);
  }
  return {
    source: source as HintSource,
    eventId,
    event,
    ...(isText(actor) ? { actor } : {}),
    ...optionalInstant(at),
  };
}

const isAddress = (value: unknown): value is string => isText(value) && value.includes('@');

/** PostgreSQL takes every character but NUL. */
const isText = (value: unknown): value is string => typeof value === 'string' && !value.includes('\0');
