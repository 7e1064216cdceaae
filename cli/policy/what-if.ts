import { parsePolicy } from '../../shared/config/policy.ts';
import { adminCommand } from '../admin/admin-command.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { withProgress } from '../progress.ts';
import { facts, table } from '../table.ts';
import { counted, instant } from '../words.ts';
import { type Forecast, type WhatIfAnswer, whatIfAnswer } from './answers.ts';
import { readPolicyFile } from './file.ts';
import { forecastForAll } from './forecast.ts';

export const policyWhatIf = adminCommand({
  name: 'policy what-if',
  summary: 'what a policy file would do to everybody, without doing it',
  operands: ['FILE'],
  flags: {
    since: {
      kind: 'text',
      placeholder: 'INSTANT',
      help: 'only those whom a recorded event named since then: 2026-11-01T00:00:00Z',
    },
  },
  notes: [
    'Compares the plan of each user under the policy in force with the plan under FILE. The answer says what that cannot know.',
    'Ends with 3 when the guard would hold departures.',
  ],
  async run(call, admin) {
    const [file = ''] = call.operands;
    const text = readPolicyFile(file);
    const policy = parsePolicy(text, file);
    const since = sinceOf(call.text('since'));
    const answer =
      since === undefined
        ? (await forecastForAll(call, admin, text, policy)).answer
        : await withProgress(
            call.terminal,
            () => 'comparing those whom events named under the policy in force and under the draft',
            () => admin.policy('what-if', { policy: text, since }, whatIfAnswer),
          );
    return {
      exitCode: answer.guard.some(({ held }) => held) ? EXIT.refusedByGuard : EXIT.done,
      document: answer,
      text: `${describeWhatIf(answer)}\n\nNothing was changed.`,
    };
  },
});

function sinceOf(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const date = new Date(text);
  if (!/^\d{4}-\d\d-\d\dT/.test(text) || Number.isNaN(date.getTime())) {
    throw new UsageError(`"${text}" is no instant; write one such as 2026-11-01T00:00:00Z.`);
  }
  return date.toISOString();
}

/** The table of whom something changes for, and the sums below it. */
export function describeWhatIf(answer: WhatIfAnswer): string {
  const { changes, forecasts } = answer;
  const rows = table<Forecast>(
    [
      { title: 'USER', value: ({ user }) => user },
      {
        title: 'CHANGE',
        value: ({ change, observeOnly }) => `${change}${observeOnly === true ? ' (observed)' : ''}`,
      },
      { title: 'FROM', value: ({ from }) => from ?? '' },
      { title: 'TO', value: ({ to }) => to ?? '' },
      { title: 'AT ONCE', value: ({ steps }) => kinds(steps) },
      {
        title: 'LATER',
        value: ({ later }) => (later === undefined ? '' : `${instant(later.at)} ${kinds(later.steps)}`),
      },
      ...(forecasts.some(({ event }) => event !== undefined)
        ? [
            {
              title: 'EVENT',
              value: ({ event }: Forecast) =>
                event === undefined ? '' : `${instant(event.at)} ${event.event}`,
            },
          ]
        : []),
      { title: 'PROTECTED', value: ({ protectedAs }) => protectedAs ?? '' },
    ],
    forecasts,
  );
  const sums = facts([
    ['Users', String(answer.users)],
    [
      'Change',
      Object.entries(changes)
        .map(([change, count]) => `${count} ${change}`)
        .join(', '),
    ],
    [
      'Covered',
      Object.entries(answer.coveredByRule)
        .map(([rule, count]) => `${rule} ${count}`)
        .join(', '),
    ],
    ['At once', counts(answer.steps)],
    ['Later', counts(answer.later)],
    ...answer.guard.map(
      ({ scope, departing, covered, limit, held }) =>
        [
          `Guard, ${scope}`,
          `${counted(departing, 'user')} would depart of ${covered} covered; ${limit} an hour are let through${held ? ': the guard would hold them' : ''}`,
        ] as const,
    ),
  ]);
  const unknown =
    answer.notKnown.length === 0
      ? ''
      : `\n\nNot known:\n${answer.notKnown.map((one) => `- ${one}`).join('\n')}`;
  const below = `${sums}${warningLines(answer.warnings ?? [])}${unknown}`;
  if (forecasts.length === 0) return `Nobody changes.\n\n${below}`;
  const more =
    answer.notShown === 0 ? '' : `\n${counted(answer.notShown, 'user')} more, who are in these numbers:`;
  return `${rows}\n${more}\n${below}`;
}

/** Each a paragraph of its own, after what comes before it. */
export const warningLines = (warnings: readonly string[]): string =>
  warnings.map((warning) => `\n\nWarning: ${warning}`).join('');

const kinds = (steps: readonly { readonly kind: string }[]): string =>
  steps.map(({ kind }) => kind).join(', ');

const counts = (of: Readonly<Record<string, number>>): string =>
  Object.entries(of)
    .map(([kind, count]) => `${count} ${kind}`)
    .join(', ') || 'nothing';
