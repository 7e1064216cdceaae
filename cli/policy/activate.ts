import { parsePolicy } from '../../shared/config/policy.ts';
import { adminCommand } from '../admin/admin-command.ts';
import { EXIT } from '../exit-codes.ts';
import { withProgress } from '../progress.ts';
import { activated, whatIfAnswer } from './answers.ts';
import { readPolicyFile } from './file.ts';
import { describeWhatIf } from './what-if.ts';

export const policyActivate = adminCommand({
  name: 'policy activate',
  summary: 'puts a policy file in force, with the ids that its units and groups have now',
  operands: ['FILE'],
  flags: {
    yes: { kind: 'switch', help: 'do it; without it only what it would do is shown' },
    'allow-empty-rules': { kind: 'switch', help: 'also when a rule matches nobody' },
  },
  notes: [
    'A function that has this very file uses these ids within half a minute; deploying a file that was never activated activates it by itself when all its names are known and stand for what they stood for before.',
    'Without --yes it ends with 3 when the guard would hold departures.',
  ],
  async run(call, admin) {
    const [file = ''] = call.operands;
    const policy = readPolicyFile(file);
    parsePolicy(policy, file);
    const forecast = await withProgress(
      call.terminal,
      () => 'comparing everybody under the policy in force and under this one',
      () => admin.policy('what-if', { policy }, whatIfAnswer),
    );
    if (!call.isSet('yes')) {
      return {
        exitCode: forecast.guard.some(({ held }) => held) ? EXIT.refusedByGuard : EXIT.done,
        document: { activated: false, whatIf: forecast },
        text: `${describeWhatIf(forecast)}\n\nNothing was changed. With --yes the policy is put in force.`,
      };
    }
    const answer = await withProgress(
      call.terminal,
      () => 'putting the policy in force',
      () => admin.policy('activate', { policy, allowEmptyRules: call.isSet('allow-empty-rules') }, activated),
    );
    return {
      exitCode: EXIT.done,
      document: { activated: true, ...answer, whatIf: forecast },
      text: `${describeWhatIf(forecast)}\n\nThe policy ${answer.digest.slice(0, 12)} is in force for every function that has this file.`,
    };
  },
});
