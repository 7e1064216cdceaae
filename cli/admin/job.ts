import { withProgress } from '../progress.ts';
import { adminCommand } from './admin-command.ts';
import { describeJob, exitCodeOfJob, waitForJob } from './job-report.ts';

export const job = adminCommand({
  name: 'job',
  summary: 'how far a re-key job is, user by user',
  operands: ['ID'],
  flags: { wait: { kind: 'switch', help: 'wait until it has ended' } },
  notes: ['Ends with 4 when some users failed and some did not, with 1 when all did.'],
  async run(call, admin) {
    const [id = ''] = call.operands;
    const view = call.isSet('wait')
      ? await waitForJob(admin, id, call.terminal)
      : await withProgress(
          call.terminal,
          () => `reading job ${id}`,
          () => admin.job(id),
        );
    return {
      exitCode: exitCodeOfJob(view),
      document: { job: id, ...view },
      text: describeJob(id, view),
    };
  },
});
