import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { withProgress } from '../progress.ts';
import { facts } from '../table.ts';
import { counted, instant } from '../words.ts';
import { adminCommand } from './admin-command.ts';
import { type RolloutView, rolloutView } from './sweep-answers.ts';

const rolloutStatus = adminCommand({
  name: 'rollout status',
  summary: 'how far everybody is whom a policy has newly covered, and how long it will take',
  operands: [],
  flags: {},
  notes: [],
  async run(call, admin) {
    const rollout = await withProgress(
      call.terminal,
      () => 'asking how far the rollout is',
      () => admin.read('v1/rollout', rolloutView),
    );
    return { exitCode: EXIT.done, document: rollout, text: describeRollout(rollout) };
  },
});

const switching = (name: 'pause' | 'resume', summary: string, notes: readonly string[]): Command =>
  adminCommand({
    name: `rollout ${name}`,
    summary,
    operands: [],
    flags: {},
    notes,
    async run(call, admin) {
      const rollout = await withProgress(
        call.terminal,
        () => `asking for the rollout to ${name}`,
        () =>
          admin.post(
            'v1/rollout',
            { paused: name === 'pause' },
            rolloutView,
            '"sealwright rollout status" shows it',
          ),
      );
      return { exitCode: EXIT.done, document: rollout, text: describeRollout(rollout) };
    },
  });

export const rolloutCommands: readonly Command[] = [
  rolloutStatus,
  switching('pause', 'lets no more waiting users be looked at', [
    'Users who are under way are finished. Departures, renewals, re-keys and whatever an event names go on.',
  ]),
  switching('resume', 'lets waiting users be looked at again', []),
];

/** Progress, and when the last one will have been let out. */
export function describeRollout(rollout: RolloutView): string {
  const paused = rollout.paused
    ? `The rollout is PAUSED${rollout.changedBy === undefined ? '' : ` by ${rollout.changedBy} since ${instant(rollout.changedAt)}`}; "sealwright rollout resume" goes on.`
    : undefined;
  if (rollout.total === 0) return [paused, 'Nobody waits for a rollout.'].filter(Boolean).join('\n');
  const share = Math.floor(((rollout.ready + rollout.blocked) * 100) / rollout.total);
  return [
    ...(paused === undefined ? [] : [paused, '']),
    facts([
      ['Rollout', `${share} % of ${counted(rollout.total, 'user')}, begun ${instant(rollout.begunAt)}`],
      ['Done', counted(rollout.ready, 'user')],
      ['Blocked', rollout.blocked === 0 ? undefined : counted(rollout.blocked, 'user')],
      ['Under way', counted(rollout.underWay, 'user')],
      [
        'Waiting',
        `${counted(rollout.waiting, 'user')}${rollout.waitingSince === undefined ? '' : `, the first since ${instant(rollout.waitingSince)}`}`,
      ],
      ['Pace', describePace(rollout)],
      ['Left', rollout.minutesLeft === undefined ? 'stands still' : duration(rollout.minutesLeft)],
    ]),
  ].join('\n');
}

function describePace({ hintsPerMinute, pace, late }: RolloutView): string {
  const most = `at most ${hintsPerMinute.toLocaleString('en-US')} a minute`;
  if (late === 0) return most;
  return `${pace.toLocaleString('en-US')} a minute instead of ${hintsPerMinute.toLocaleString('en-US')}, because ${counted(late, 'user')} let out before ${late === 1 ? 'is' : 'are'} not through: "sealwright users --state pending" says why`;
}

function duration(minutes: number): string {
  if (minutes < 120) return `about ${counted(minutes, 'minute')}`;
  return `about ${counted(Math.round(minutes / 60), 'hour')}`;
}
