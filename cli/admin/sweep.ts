import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { withProgress } from '../progress.ts';
import { counted, instant } from '../words.ts';
import { adminCommand } from './admin-command.ts';
import { type SweepView, type SystemStatus, sweepAccepted } from './sweep-answers.ts';

export const sweepStart = adminCommand({
  name: 'sweep start',
  summary: 'compares the whole directory, or a unit of it, with the ledger now',
  operands: [],
  flags: {
    'org-unit': { kind: 'text', placeholder: '/PATH', help: 'only this unit and everything below it' },
    'accept-shrunk': {
      kind: 'switch',
      help: 'the directory did lose that many users: believe the numbers of this sweep',
    },
  },
  notes: [
    'It begins within a minute, or when the one under way has ended; "sealwright status" shows how it ends. It only looks: whoever differs is looked at like anybody else, and the guard counts every departure.',
  ],
  async run(call, admin) {
    const orgUnit = call.text('org-unit');
    const acceptShrunk = call.isSet('accept-shrunk');
    if (orgUnit !== undefined && acceptShrunk)
      throw new UsageError('--accept-shrunk is about the whole directory; leave out --org-unit.');
    if (orgUnit !== undefined && !orgUnit.startsWith('/'))
      throw new UsageError(`An org unit is a path that begins with a slash: --org-unit /${orgUnit}.`);
    const body = {
      ...(orgUnit === undefined ? {} : { orgUnit }),
      ...(acceptShrunk ? { acceptShrunk } : {}),
    };
    const accepted = await withProgress(
      call.terminal,
      () => 'asking for a sweep',
      () => admin.post('v1/sweeps', body, sweepAccepted, '"sealwright status" shows it'),
    );
    return {
      exitCode: EXIT.done,
      document: accepted,
      text: `A sweep of ${accepted.scope} begins within a minute, or when the one under way has ended.`,
    };
  },
});

/** The part of `sealwright status` about sweeps. */
export function describeSweeps({ sweep }: SystemStatus): string {
  const { lastWhole, lastEnded, running, waiting } = sweep;
  const lines: string[] = [];
  if (lastEnded?.state === 'not-whole')
    lines.push(
      `The last sweep of the directory was NOT WHOLE (${instant(lastEnded.endedAt)}): ${lastEnded.why ?? ''}`,
    );
  lines.push(
    lastWhole === null
      ? 'No sweep of the directory has been whole yet.'
      : `Last whole sweep: ${instant(lastWhole.endedAt)}, ${counted(lastWhole.users, 'user')} in ${Math.ceil((lastWhole.durationMs ?? 0) / 1000)} s, ${lastWhole.differing.toLocaleString('en-US')} differed${missing(lastWhole)}.`,
  );
  if (running !== null)
    lines.push(
      `A sweep of ${running.scope} is under way since ${instant(running.startedAt)}: ${counted(running.users, 'user')} read${membersRead(running)}${running.why === undefined ? '' : `; it does not go on: ${running.why}`}.`,
    );
  for (const { scope, requestedAt } of waiting)
    lines.push(
      `A sweep of ${scope} waits since ${instant(requestedAt)}${running === null ? '' : ', until the one under way has ended'}.`,
    );
  return lines.join('\n');
}

/** Of large groups alone: they are read before the first page of users is. */
const membersRead = ({ groups = [] }: SweepView): string =>
  groups
    .map(
      ({ group, members, whole }) =>
        `, ${counted(members, 'member')} of group ${group} read${whole ? '' : ' so far'}`,
    )
    .join('');

const missing = (sweep: SweepView): string =>
  (sweep.missing ?? 0) === 0 ? '' : `, ${sweep.missing} in no list`;
