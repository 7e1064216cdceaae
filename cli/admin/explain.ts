import { EXIT } from '../exit-codes.ts';
import { withProgress } from '../progress.ts';
import { adminCommand } from './admin-command.ts';
import type { ExplanationView } from './answers.ts';

export const explain = adminCommand({
  name: 'explain',
  summary:
    'one user in sentences: from the event to the certificate, the identity and the CRL, and what comes next',
  operands: ['USER'],
  flags: {},
  notes: ['USER is an address the user has or had, or the immutable user id.'],
  async run(call, admin) {
    const [name = ''] = call.operands;
    const explanation = await withProgress(
      call.terminal,
      () => `reading what happened to ${name}`,
      () => admin.explanation(name),
    );
    return { exitCode: EXIT.done, document: explanation, text: describe(explanation) };
  },
});

const describe = ({ chapters }: ExplanationView): string =>
  chapters
    .map(({ title, sentences }) => [title, ...sentences.map((sentence) => `  ${sentence}`)].join('\n'))
    .join('\n\n');
