import { adminCommand } from '../admin/admin-command.ts';
import { EXIT } from '../exit-codes.ts';
import { withProgress } from '../progress.ts';
import { facts, table } from '../table.ts';
import { type TestAnswer, testAnswer } from './answers.ts';
import { readPolicyFile } from './file.ts';

export const policyTest = adminCommand({
  name: 'policy test',
  summary: 'which rule covers a user, and why the others do not',
  operands: ['USER'],
  flags: {
    file: {
      kind: 'text',
      placeholder: 'FILE',
      help: 'under this policy file instead of the policy in force',
    },
  },
  notes: [
    'USER is an address or the immutable user id. Rules are listed in the order in which they are asked.',
  ],
  async run(call, admin) {
    const [user = ''] = call.operands;
    const file = call.text('file');
    const policy = file === undefined ? {} : { policy: readPolicyFile(file) };
    const answer = await withProgress(
      call.terminal,
      () => `looking at ${user}`,
      () => admin.policy('test', { user, ...policy }, testAnswer),
    );
    return { exitCode: EXIT.done, document: answer, text: describe(answer) };
  },
});

function describe(answer: TestAnswer): string {
  return [
    facts([
      ['User', answer.user],
      ['Org unit', answer.orgUnit],
      ['Standing', `${answer.standing}${answer.why === undefined ? '' : `: ${answer.why}`}`],
      ['Rule', answer.rule],
      [
        'Protected',
        answer.protectedAs === undefined
          ? undefined
          : `as ${answer.protectedAs}: departures wait for an admin`,
      ],
      ['Would be', `${answer.verdict.state}. ${answer.verdict.reason}`],
      ['Steps', answer.steps.map(({ kind }) => kind).join(', ') || 'none'],
    ]),
    '',
    table<TestAnswer['considered'][number]>(
      [
        { title: 'RULE', value: ({ rule }) => rule },
        { title: 'FITS', value: ({ fits }) => (fits ? 'yes' : 'no') },
        { title: 'WHY', value: ({ why }) => why },
      ],
      answer.considered,
    ),
  ].join('\n');
}
