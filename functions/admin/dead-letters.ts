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
  const { letter, more } = await deps.deadLetters.find(id);
  if (letter === undefined) throw more ? outOfReach(id) : absent([id]);
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
 * A few hundred at a time are published again first, written down second, acknowledged last: broken off in between, a message is
 * handled twice, which changes nothing, and never lost. `more` says that time ran out before the last one, `left` how many of
 * the named ones it left; `notOurs` names those of a subscription that is none of ours, which stay where they are.
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
  const homeless: DeadLetter[] = [];
  const { settled, more } = await deps.deadLetters.settle(ids ?? 'all', async (letters) => {
    const possible = letters.filter(({ topic }) => decision === 'drop' || topic !== undefined);
    homeless.push(...letters.filter((letter) => !possible.includes(letter)));
    if (decision === 'replay') await deps.deadLetters.republish(possible);
    for (const letter of possible) await writeDown(deps, admin, decision, letter);
    return possible;
  });
  const [first] = homeless;
  if (settled.length === 0 && first !== undefined && !more) throw nowhereToGo(first);
  const left = missing(ids, [...settled, ...homeless]);
  if (settled.length === 0 && left.length > 0 && !more) throw absent(left);
  return {
    status: 200,
    body: {
      [DECISIONS[decision]]: settled.map(({ id }) => id),
      missing: more ? [] : left,
      ...(homeless.length === 0
        ? {}
        : { notOurs: homeless.map(({ id, subscription }) => ({ id, subscription })) }),
      more,
      ...(more && ids !== undefined ? { left: left.length } : {}),
    },
  };
}

async function writeDown(
  deps: DeadLetterDeps,
  admin: string,
  decision: Decision,
  letter: DeadLetter,
): Promise<void> {
  const { asks, userId } = contentOf(letter);
  await deps.ledger.audit({
    ...(userId === undefined ? {} : { userId }),
    cause: { source: 'admin', eventId: letter.id, event: decision, actor: admin },
    step: `dead-letter-${DECISIONS[decision]}`,
    reason: `${admin} had a message ${decision === 'replay' ? 'delivered again' : 'dropped'} that ${letter.subscription} had given up: ${asks}`,
    outcome: 'done',
  });
  deps.log.info(`dead-letter-${DECISIONS[decision]}`, { admin, id: letter.id, topic: letter.topic });
}

const missing = (ids: ReadonlySet<string> | undefined, found: readonly DeadLetter[]): readonly string[] => {
  const known = new Set(found.map(({ id }) => id));
  return [...(ids ?? [])].filter((id) => !known.has(id));
};

const nowhereToGo = ({ id, subscription }: DeadLetter) =>
  permanent(
    'conflict',
    `Dead letter ${id} was given up by the subscription ${subscription}, which is none of Sealwright's: nobody knows which topic it came from, so it was not published again. Have whoever made that subscription name another dead-letter topic, and drop the message here.`,
    { details: { id, subscription } },
  );

const outOfReach = (id: string) =>
  permanent(
    'not-found',
    `Dead letter ${id} is not among those that there was time to look at. Decide on the oldest first ("sealwright events dead list"), and ask again.`,
  );

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
