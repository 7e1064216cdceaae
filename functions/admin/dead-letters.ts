/** Dead letters as an admin sees them, has them tried again, or drops them. */
import { z } from 'zod';
import { invalidInput, isSealwrightError, permanent } from '../../shared/errors.ts';
import type { DeadLetter, DeadLetters } from '../../shared/ports/dead-letters.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import type { Log } from '../../shared/ports/log.ts';
import { parseDirectoryEvent } from '../wire/hint-message.ts';
import type { HttpAnswer } from '../wire/http.ts';
import { parseMessageJson } from '../wire/push-envelope.ts';
import { bodyOf } from './body.ts';

export interface DeadLetterDeps {
  readonly deadLetters: DeadLetters;
  readonly ledger: Pick<Ledger, 'audit'>;
  readonly log: Log;
}

/** What one listing shows; whoever has more decides on these first. */
const SHOWN = 500;
/** Of a message's text; an audit entry has a few kilobytes. */
const MAX_TEXT_BYTES = 256 * 1024;

const DECISIONS = { replay: 'replayed', drop: 'dropped' } as const;
type Decision = keyof typeof DECISIONS;

export async function readDeadLetters(deps: DeadLetterDeps): Promise<HttpAnswer> {
  const { letters, more } = await deps.deadLetters.look(SHOWN);
  return { status: 200, body: { letters: letters.map(view), more } };
}

export async function readDeadLetter(deps: DeadLetterDeps, id: string): Promise<HttpAnswer> {
  const { letters } = await deps.deadLetters.look(Number.POSITIVE_INFINITY);
  const letter = letters.find((one) => one.id === id);
  if (letter === undefined) throw absent([id]);
  const bytes = Buffer.from(letter.data);
  return {
    status: 200,
    body: {
      ...view(letter),
      attributes: letter.attributes,
      bytes: bytes.length,
      text: bytes.subarray(0, MAX_TEXT_BYTES).toString('utf8'),
    },
  };
}

const chosen = z.union([
  z.strictObject({ ids: z.array(z.string().min(1).max(100)).min(1).max(5_000) }),
  z.strictObject({ all: z.literal(true) }),
]);

/**
 * Published again first, written down second, acknowledged last: broken off in between, a message is handled twice, which
 * changes nothing, and never lost.
 */
export async function settleDeadLetters(
  deps: DeadLetterDeps,
  admin: string,
  decision: Decision,
  body: unknown,
): Promise<HttpAnswer> {
  const parsed = bodyOf(chosen, body);
  const ids = 'ids' in parsed ? new Set(parsed.ids) : undefined;
  if (ids === undefined && decision === 'drop')
    throw invalidInput('malformed-request', 'Dead letters are dropped by their ids only.');
  const settled = await deps.deadLetters.settle(
    ({ id }) => ids === undefined || ids.has(id),
    async (letter) => {
      if (decision === 'replay') await deps.deadLetters.republish(letter);
      const { asks, userId } = contentOf(letter);
      await deps.ledger.audit({
        ...(userId === undefined ? {} : { userId }),
        cause: { source: 'admin', eventId: letter.id, event: decision, actor: admin },
        step: `dead-letter-${DECISIONS[decision]}`,
        reason: `${admin} had a message ${decision === 'replay' ? 'delivered again' : 'dropped'} that ${letter.subscription} had given up: ${asks}`,
        outcome: 'done',
      });
      deps.log.info(`dead-letter-${DECISIONS[decision]}`, { admin, id: letter.id, topic: letter.topic });
    },
  );
  if (settled.length === 0 && ids !== undefined) throw absent([...ids]);
  return {
    status: 200,
    body: { [DECISIONS[decision]]: settled.map(({ id }) => id), missing: missing(ids, settled) },
  };
}

const missing = (ids: ReadonlySet<string> | undefined, settled: readonly DeadLetter[]): readonly string[] =>
  [...(ids ?? [])].filter((id) => settled.every((letter) => letter.id !== id));

const absent = (ids: readonly string[]) =>
  permanent(
    'not-found',
    `There is no dead letter ${ids.join(', ')}, or somebody else is looking at it at this moment; try again in a minute.`,
  );

const view = (letter: DeadLetter) => ({
  id: letter.id,
  topic: letter.topic,
  subscription: letter.subscription,
  publishedAt: letter.publishedAt,
  givenUpAt: letter.givenUpAt,
  deliveries: letter.deliveries,
  ...contentOf(letter),
});

/** What the message asks for, in words, and whom it is about where it says so by id. */
function contentOf(letter: DeadLetter): { readonly asks: string; readonly userId?: string } {
  const message = { messageId: letter.id, data: Buffer.from(letter.data) };
  try {
    if (letter.topic === 'crl-requests')
      return { asks: `publish the CRL of ${String(parseMessageJson(message)['issuerId'])}` };
    const { hints, units } = parseDirectoryEvent(message);
    const [hint] = hints;
    const parts = [
      ...hints.map(
        (one) =>
          `look at ${'userId' in one ? one.userId : one.address} (${one.cause.source} ${one.cause.event})`,
      ),
      ...units.map((unit) => `sweep ${unit.orgUnitPath} (${unit.cause.event})`),
    ];
    return {
      asks: parts.length === 0 ? 'nothing that is followed' : parts.join('; '),
      ...(hints.length === 1 && hint !== undefined && 'userId' in hint ? { userId: hint.userId } : {}),
    };
  } catch (error) {
    if (!isSealwrightError(error)) throw error;
    return { asks: `not understood: ${error.message}` };
  }
}
