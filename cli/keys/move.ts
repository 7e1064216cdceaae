import { z } from 'zod';
import { adminCommand } from '../admin/admin-command.ts';
import { numberOfUsers } from '../admin/confirm-users.ts';
import { describeJob, describeObserved, exitCodeOfJob, waitForJob } from '../admin/job-report.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { withProgress } from '../progress.ts';
import { counted } from '../words.ts';

const accepted = z.looseObject({
  job: z.string().optional(),
  keypairs: z.number(),
  users: z.number(),
  observed: z.number().default(0),
});

export const keysMove = adminCommand({
  name: 'keys move',
  summary: 'old key pairs wrapped again by another key service and uploaded again',
  operands: [],
  flags: {
    from: { kind: 'text', placeholder: 'URL', help: 'the key service that is to be switched off' },
    to: { kind: 'text', placeholder: 'URL', help: 'the one that the policy uses now' },
    'disable-old': {
      kind: 'switch',
      help: 'disable each pair under the old service once the new one is there, so that Gmail cannot take it',
    },
    'confirm-users': {
      kind: 'text',
      placeholder: 'N',
      help: 'how many users you mean; needed with --disable-old for more than the guard lets depart in an hour',
    },
    'dry-run': { kind: 'switch', help: 'only say how many' },
    wait: { kind: 'switch', help: 'wait until it is done, with progress' },
  },
  notes: [
    'The new service must have the key-encryption keys of the old one (docs/runbooks/change-key-service.md).',
    'Try one user and --disable-old first on a tenant of Google: which of two pairs with one certificate Gmail uses is not documented.',
    'With --wait it ends with 4 when some users failed and some did not, with 1 when all did.',
  ],
  async run(call, admin) {
    const { terminal } = call;
    const [from, to] = [call.text('from'), call.text('to')];
    if (from === undefined || to === undefined) throw new UsageError('Say --from URL and --to URL.');
    if (call.isSet('dry-run') && call.isSet('wait'))
      throw new UsageError('With --dry-run there is nothing to wait for; leave out --wait.');
    const confirmed = call.text('confirm-users');
    const wish = {
      ...{ from, to, disableOld: call.isSet('disable-old'), dryRun: call.isSet('dry-run') },
      ...(confirmed === undefined ? {} : { confirmUsers: numberOfUsers(confirmed) }),
    };
    const { job, keypairs, users, observed } = await withProgress(
      terminal,
      () => 'recording the job',
      () => admin.post('v1/key-moves', wish, accepted, '"sealwright audit" shows a "key-move-requested"'),
    );
    const size = `${counted(keypairs, 'key pair')} of ${counted(users, 'user')}`;
    const leftOut = describeObserved(observed);
    if (job === undefined) {
      const text = wish.dryRun
        ? `${size} would be moved; nothing was changed.${leftOut}`
        : 'Nothing is left to move, or a job under way is at it.';
      return { exitCode: EXIT.done, document: { ...wish, keypairs, users, observed }, text };
    }
    if (!call.isSet('wait')) {
      return {
        exitCode: EXIT.done,
        document: { job, keypairs, users, observed },
        text: `Job ${job} moves ${size}. "sealwright job ${job} --wait" shows how it ends.${leftOut}`,
      };
    }
    terminal.tell(`Job ${job} moves ${size}; Ctrl-C ends only the waiting.${leftOut}`);
    const ended = await waitForJob(admin, job, terminal);
    return { exitCode: exitCodeOfJob(ended), document: { job, ...ended }, text: describeJob(job, ended) };
  },
});
