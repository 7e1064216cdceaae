import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { withProgress } from '../progress.ts';
import { counted, instant } from '../words.ts';
import { adminCommand } from './admin-command.ts';
import { resumed, type StopView, stopView } from './guard-answers.ts';

const stop = adminCommand({
  name: 'stop',
  summary: 'begins nothing more for anybody, until "resume"',
  operands: ['REASON'],
  flags: {},
  notes: [
    'Example: sealwright stop "the directory shows half the company as deleted"',
    'Steps that have begun are finished. Revoking keys that an admin reported as compromised goes on, and so does publishing CRLs.',
  ],
  async run(call, admin) {
    const [reason = ''] = call.operands;
    const answer = await withProgress(
      call.terminal,
      () => 'stopping',
      () => admin.post('v1/stop', { reason }, stopView, '"sealwright status" shows it'),
    );
    return {
      exitCode: EXIT.done,
      document: answer,
      text: `${answer.stop === null ? 'Stopped.' : describeStop(answer.stop)} "sealwright resume" goes on.`,
    };
  },
});

const resume = adminCommand({
  name: 'resume',
  summary: 'ends a stop and looks at whoever waited for that',
  operands: [],
  flags: {},
  notes: [],
  async run(call, admin) {
    const answer = await withProgress(
      call.terminal,
      () => 'resuming',
      () => admin.post('v1/resume', {}, resumed, '"sealwright status" shows it'),
    );
    return {
      exitCode: EXIT.done,
      document: answer,
      text: `Resumed. ${counted(answer.woken, 'user')} had waited and ${answer.woken === 1 ? 'is' : 'are'} looked at now.`,
    };
  },
});

export const stopCommands: readonly Command[] = [stop, resume];

export const describeStop = ({ by, at, reason }: StopView): string =>
  `STOPPED by ${by} since ${instant(at)}: ${reason}${/[.!?]$/.test(reason) ? '' : '.'}`;
