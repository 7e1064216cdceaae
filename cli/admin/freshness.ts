/** The part of `sealwright status` about where events come from: alarms first, then each source, then what was not followed. */
import { table } from '../table.ts';
import { counted, instant } from '../words.ts';
import type { SystemStatus } from './sweep-answers.ts';

const NAMES: Readonly<Record<string, string>> = {
  watch: 'directory notifications',
  audit: 'audit log',
  reports: 'Reports API',
};

type NotFollowed = SystemStatus['notFollowed'][number];

export const describeAlarms = ({ alarms }: SystemStatus): readonly string[] =>
  alarms.map(({ alarm, message }) => `ALARM ${alarm}: ${message}`);

export function describeFreshness(status: SystemStatus): string {
  const lines = [
    sourcesLine(status),
    channelsLine(status),
    backlogLine(status),
    ...putOffLine(status),
    deadLettersLine(status.deadLetters),
  ];
  if (status.notFollowed.length > 0) lines.push('', notFollowedTable(status.notFollowed));
  return lines.join('\n');
}

/** How many channels are open, until when every kind of event that they bring is brought, and which kinds are not. */
function channelsLine({ notifications: { open, until, without } }: SystemStatus): string {
  if (open === 0 || until === undefined) {
    const ended = without
      .flatMap(({ since }) => since ?? [])
      .toSorted()
      .at(-1);
    return `No notification channel is open${ended === undefined ? '' : `; the last one ended ${instant(ended)}`}.`;
  }
  const none = without.map(({ kind, since }) =>
    since === undefined ? kind : `${kind} (since ${instant(since)})`,
  );
  return `${counted(open, 'notification channel')} open, until ${instant(until)}.${none.length === 0 ? '' : ` None for ${none.join(', ')}.`}`;
}

function sourcesLine({ sources, reports }: SystemStatus): string {
  const lasts = sources
    .filter(({ receivedAt }) => receivedAt !== undefined)
    .map(({ source, receivedAt }) => `${NAMES[source] ?? source} ${instant(receivedAt)}`);
  const read = reports.readAt === undefined ? [] : [`Reports API read ${instant(reports.readAt)}`];
  const all = [...lasts, ...read];
  return all.length === 0 ? 'No event has come yet.' : `Last events: ${all.join(', ')}.`;
}

/** Whoever waits for a look, and since when: for a wave of a rollout, because their time has come, or for something else. */
function backlogLine({
  backlog: { due, oldestDueAt, pending, oldestPending },
  rollout,
}: SystemStatus): string {
  const since = (which: string, date: string | undefined) =>
    date === undefined ? '' : ` (${which} since ${instant(date)})`;
  return `Backlog: ${counted(rollout.waiting, 'hint')} not let out${since('the first waits', rollout.waitingSince)}, ${rollout.late.toLocaleString('en-US')} let out and late, ${counted(due, 'user')} due${since('the first', oldestDueAt)}, ${pending.toLocaleString('en-US')} pending${since('the longest', oldestPending?.since)}.`;
}

/** Only where there are any: in most minutes of most days there are none. */
function putOffLine({ backlog: { putOff, oldestPutOffAt } }: SystemStatus): readonly string[] {
  if (putOff === 0) return [];
  const first = oldestPutOffAt === undefined ? '' : ` (the first at ${instant(oldestPutOffAt)})`;
  return [
    `The directory does not show yet what ${counted(putOff, 'event')} told of${first}; it is asked again every minute, for ten minutes after each.`,
  ];
}

function deadLettersLine({ count, more, why }: SystemStatus['deadLetters']): string {
  if (count === null) return `Dead letters: unknown (${why ?? 'no reason was given'}).`;
  if (count === 0) return 'No dead letters.';
  return `${more ? 'At least ' : ''}${counted(count, 'dead letter')}: "sealwright events dead list".`;
}

const notFollowedTable = (rows: readonly NotFollowed[]): string =>
  table<NotFollowed>(
    [
      { title: 'NOT FOLLOWED', value: ({ kind }) => kind },
      { title: 'FROM', value: ({ source }) => source },
      { title: 'WHAT', value: ({ name }) => name },
      { title: 'COUNT', value: ({ count }) => count.toLocaleString('en-US') },
      { title: 'LAST', value: ({ lastAt }) => instant(lastAt) },
    ],
    rows,
  );
