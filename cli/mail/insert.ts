/** Messages of a migration on their way into a mailbox, each once. */
import { createHash } from 'node:crypto';
import { isSealwrightError } from '../../shared/errors.ts';
import type { RecipientName } from '../../shared/pki/cms-recipients.ts';
import type { MailInsertion } from '../../shared/ports/mail-insertion.ts';
import type { Journal } from './journal.ts';
import { factsOf, type MessageFacts } from './messages.ts';

export type Fate = 'inserted' | 'there already' | 'not encrypted' | 'will not open' | 'unknown' | 'refused';

export interface MessageRow extends Pick<MessageFacts, 'messageId' | 'subject'> {
  readonly file: string;
  readonly fate: Fate;
  readonly detail?: string;
}

/** A message and what was found out about it before anything is inserted. */
export interface Examined {
  readonly file: string;
  readonly message: Buffer;
  readonly sha256: string;
  readonly facts: MessageFacts;
  /** Why none of the user's keys opens it, as a sentence; absent where one does. */
  readonly shut?: string;
}

/** `opening`: how messages may name certificates whose keys the user has. */
export async function examine(
  file: string,
  message: Buffer,
  opening: ReadonlySet<string>,
): Promise<Examined> {
  const facts = await factsOf(message);
  const sha256 = createHash('sha256').update(message).digest('hex');
  const shut = facts.unfit === undefined ? whyShut(facts.recipients, opening) : undefined;
  return { file, message, sha256, facts, ...(shut === undefined ? {} : { shut }) };
}

function whyShut(recipients: readonly RecipientName[], opening: ReadonlySet<string>): string | undefined {
  if (recipients.length === 0) return 'whom it is encrypted to cannot be read';
  if (recipients.some(({ id }) => opening.has(id))) return undefined;
  return `no key for ${recipients.map(({ text }) => text).join(', nor for ')}`;
}

export interface Insertion {
  readonly user: string;
  readonly journal: Journal;
  /** Absent in a dry run. */
  readonly gmail: MailInsertion | undefined;
  readonly retryUnknown: boolean;
  /** Also what no key opens. */
  readonly alsoShut: boolean;
}

export async function insertOne(examined: Examined, insertion: Insertion): Promise<MessageRow> {
  const { file, facts, sha256, shut } = examined;
  const { user, journal, gmail } = insertion;
  const about = { file, messageId: facts.messageId, subject: facts.subject };
  if (facts.unfit !== undefined) return { ...about, fate: 'not encrypted', detail: facts.unfit };
  const before = journal.stateOf(user, sha256);
  if (before?.state === 'inserted') return { ...about, fate: 'there already' };
  if (shut !== undefined && !insertion.alsoShut) return { ...about, fate: 'will not open', detail: shut };
  if (before?.state === 'begun' && !insertion.retryUnknown)
    return { ...about, fate: 'unknown', detail: UNKNOWN };
  if (gmail === undefined) return { ...about, fate: 'inserted' };
  return { ...about, ...(await sent(examined, { user, journal, gmail })) };
}

const UNKNOWN = 'an earlier run was broken off; search Gmail for its rfc822msgid, then use --retry-unknown';

async function sent(
  { message, sha256, facts: { messageId } }: Examined,
  { user, journal, gmail }: Pick<Insertion, 'user' | 'journal'> & { readonly gmail: MailInsertion },
): Promise<Pick<MessageRow, 'fate' | 'detail'>> {
  journal.write({ sha256, user, messageId, state: 'begun' });
  try {
    const gmailId = await gmail.insertMessage(user, message);
    journal.write({ sha256, user, messageId, state: 'inserted', gmailId });
    return { fate: 'inserted' };
  } catch (error) {
    if (!isSealwrightError(error)) throw error;
    const status = Number(error.details?.['httpStatus']);
    if (!(status >= 400 && status < 500)) return { fate: 'unknown', detail: error.message };
    journal.write({ sha256, user, messageId, state: 'refused' });
    return { fate: 'refused', detail: error.message };
  }
}
