/** `events dead list|show|replay|drop`: messages that no function could handle, and the decision on them. */
import { z } from 'zod';
import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { withProgress } from '../progress.ts';
import { facts, table } from '../table.ts';
import { counted, instant } from '../words.ts';
import { adminCommand } from './admin-command.ts';

const letterView = z.looseObject({
  id: z.string(),
  topic: z.string().optional(),
  subscription: z.string(),
  publishedAt: z.string(),
  givenUpAt: z.string(),
  deliveries: z.number(),
  asks: z.string(),
  userId: z.string().optional(),
});
type LetterView = z.output<typeof letterView>;
const letterList = z.looseObject({ letters: z.array(letterView), more: z.boolean() });
const fullLetter = letterView.extend({
  attributes: z.record(z.string(), z.string()),
  bytes: z.number(),
  text: z.string(),
});
const rest = {
  missing: z.array(z.string()),
  notOurs: z.array(z.looseObject({ id: z.string(), subscription: z.string() })).optional(),
  more: z.boolean().optional(),
  left: z.number().optional(),
};
type Rest = z.output<z.ZodObject<typeof rest>>;
const replayed = z.looseObject({ replayed: z.array(z.string()), ...rest });
const dropped = z.looseObject({ dropped: z.array(z.string()), ...rest });

const list = adminCommand({
  name: 'events dead list',
  summary: 'messages that no function could handle, oldest first',
  operands: [],
  flags: {},
  notes: [
    'Pub/Sub gives a message up after ten attempts (5 minutes at the least). The users concerned are looked at again by the sweep all the same.',
    'Looking takes the messages on loan for a moment: whoever looks at the same time may see fewer.',
  ],
  async run(call, admin) {
    const answer = await withProgress(
      call.terminal,
      () => 'reading dead letters',
      () => admin.read('v1/dead-letters', letterList),
    );
    const { letters, more } = answer;
    return {
      exitCode: EXIT.done,
      document: answer,
      text:
        letters.length === 0
          ? 'There are no dead letters.'
          : `${lettersTable(letters)}\n\n${more ? 'At least ' : ''}${counted(letters.length, 'dead letter')}. "sealwright events dead show ID" shows one, "… replay ID" has it delivered again.`,
    };
  },
});

const show = adminCommand({
  name: 'events dead show',
  summary: 'one dead letter, word for word',
  operands: ['ID'],
  flags: {},
  notes: ['Why it failed is in the log of the function that its subscription pushes to, ten times.'],
  async run(call, admin) {
    const [id = ''] = call.operands;
    const letter = await withProgress(
      call.terminal,
      () => `reading dead letter ${id}`,
      () => admin.read(`v1/dead-letters/${encodeURIComponent(id)}`, fullLetter),
    );
    const text =
      letter.text.length < letter.bytes ? `${letter.text}\n… (${letter.bytes} bytes in all)` : letter.text;
    return {
      exitCode: EXIT.done,
      document: letter,
      text: `${facts([
        ['Dead letter', letter.id],
        ['Asks to', letter.asks],
        ['From', `${letter.topic ?? 'an unknown topic'}, given up by ${letter.subscription}`],
        ['Published', instant(letter.publishedAt)],
        ['Given up', `${instant(letter.givenUpAt)}, after ${counted(letter.deliveries, 'attempt')}`],
        ...Object.entries(letter.attributes),
      ])}\n\n${text}`,
    };
  },
});

const replay = adminCommand({
  name: 'events dead replay',
  summary: 'has dead letters delivered again where they came from',
  operands: ['ID…'],
  flags: { all: { kind: 'switch', help: 'every one there is' } },
  notes: [
    'Do it once what stood in the way is mended. A message that fails again becomes a dead letter again, with another id. Each is written into the audit trail.',
    'Ends with 4 when some of the named ones were not there, or when there was no time for all: then say it again.',
  ],
  async run(call, admin) {
    const ids = call.operands;
    const all = call.isSet('all');
    if (all === ids.length > 0) throw new UsageError('Say which: their ids, or --all.');
    const answer = await withProgress(
      call.terminal,
      () => 'having dead letters delivered again',
      () =>
        admin.post(
          'v1/dead-letters/replay',
          all ? { all: true } : { ids },
          replayed,
          '"sealwright events dead list" shows what is left',
        ),
    );
    return {
      exitCode: isWhole(answer) ? EXIT.done : EXIT.partlyDone,
      document: answer,
      text: withRest(`${counted(answer.replayed.length, 'message')} will be delivered again.`, answer),
    };
  },
});

const drop = adminCommand({
  name: 'events dead drop',
  summary: 'gives dead letters up for good',
  operands: ['ID…'],
  flags: {},
  notes: [
    'For messages that nobody can ever handle. Events are hints, so no user is lost with one: the sweep finds them.',
  ],
  async run(call, admin) {
    const ids = call.operands;
    if (ids.length === 0) throw new UsageError('Say which: their ids.');
    const answer = await withProgress(
      call.terminal,
      () => 'dropping dead letters',
      () =>
        admin.post(
          'v1/dead-letters/drop',
          { ids },
          dropped,
          '"sealwright events dead list" shows what is left',
        ),
    );
    return {
      exitCode: isWhole(answer) ? EXIT.done : EXIT.partlyDone,
      document: answer,
      text: withRest(`${counted(answer.dropped.length, 'message')} dropped.`, answer),
    };
  },
});

const isWhole = ({ missing, notOurs = [], more = false }: Rest): boolean =>
  missing.length === 0 && notOurs.length === 0 && !more;

const withRest = (said: string, { missing, notOurs = [], more = false, left }: Rest): string =>
  [
    said,
    ...(missing.length === 0 ? [] : [`Not there: ${missing.join(', ')}.`]),
    ...notOurs.map(
      ({ id, subscription }) =>
        `${id} stays: ${subscription}, which gave it up, is none of Sealwright's subscriptions, so nobody knows where it would go.`,
    ),
    ...(more ? [`${left ?? 'More'} are left that there was no time for; say it again.`] : []),
  ].join(' ');

const lettersTable = (letters: readonly LetterView[]): string =>
  table<LetterView>(
    [
      { title: 'ID', value: ({ id }) => id },
      { title: 'GIVEN UP', value: ({ givenUpAt }) => instant(givenUpAt) },
      { title: 'PUBLISHED', value: ({ publishedAt }) => instant(publishedAt) },
      { title: 'BY', value: ({ subscription }) => subscription },
      { title: 'ASKS TO', value: ({ asks }) => asks },
    ],
    letters,
  );

export const eventCommands: readonly Command[] = [list, show, replay, drop];
