import { parsePolicy } from '../../shared/config/policy.ts';
import { adminCommand } from '../admin/admin-command.ts';
import type { AdminClient } from '../admin/client.ts';
import type { Call, Outcome } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { withProgress } from '../progress.ts';
import { activated, type WhatIfAnswer } from './answers.ts';
import { readPolicyFile } from './file.ts';
import { forecastForAll } from './forecast.ts';
import { describeWhatIf } from './what-if.ts';

export const policyActivate = adminCommand({
  name: 'policy activate',
  summary: 'puts a policy file in force, with the ids that its units and groups have now',
  operands: ['FILE'],
  flags: {
    yes: { kind: 'switch', help: 'do it; without it only what it would do is shown' },
    'allow-empty-rules': { kind: 'switch', help: 'also when a rule matches nobody' },
    'without-forecast': {
      kind: 'switch',
      help: 'compare nobody first, where there is no time for it',
    },
  },
  notes: [
    'A function that has this very file uses these ids within half a minute; deploying a file that was never activated activates it by itself when all its names are known and stand for what they stood for before.',
    'Without --yes it ends with 3 when the guard would hold departures.',
  ],
  async run(call, admin) {
    const [file = ''] = call.operands;
    const policy = readPolicyFile(file);
    const parsed = parsePolicy(policy, file);
    if (call.isSet('without-forecast')) return await activateUnseen(call, admin, policy);
    const { answer: forecast, parts } = await forecastForAll(call, admin, policy, parsed);
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
      () =>
        admin.policy(
          'activate',
          {
            policy,
            allowEmptyRules: call.isSet('allow-empty-rules'),
            // One part is compared anew, in the request that puts it in force; several have no time for that.
            ...(parts === 1 ? {} : { forecast: sumsOf(forecast) }),
          },
          activated,
        ),
    );
    return {
      exitCode: EXIT.done,
      document: { activated: true, ...answer, whatIf: forecast },
      text: `${describeWhatIf(forecast)}\n\nThe policy ${answer.digest.slice(0, 12)} is in force for every function that has this file.`,
    };
  },
});

/** What the admin API takes of a forecast that it made in parts. */
const sumsOf = ({ changes, coveredByRule, guard }: WhatIfAnswer) => ({
  ...{ changes, coveredByRule },
  guard: guard.map(({ scope, covered, departing, limit, held }) => ({
    ...{ scope, covered, departing, limit, held },
  })),
});

/** Nobody is compared, and the admin says so twice: with --without-forecast and with --yes. */
async function activateUnseen(call: Call, admin: AdminClient, policy: string): Promise<Outcome> {
  if (!call.isSet('yes')) {
    throw new UsageError(
      '--without-forecast shows nothing, so that there is nothing to look at first; add --yes to put the policy in force.',
    );
  }
  const answer = await withProgress(
    call.terminal,
    () => 'putting the policy in force',
    () => admin.policy('activate', { policy, withoutForecast: true }, activated),
  );
  return {
    exitCode: EXIT.done,
    document: { activated: true, ...answer },
    text: `${answer.noForecast ?? ''}\n\nThe policy ${answer.digest.slice(0, 12)} is in force for every function that has this file.`,
  };
}
