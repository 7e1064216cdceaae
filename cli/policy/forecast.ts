/**
 * A forecast for everybody. One request to the admin API has time for some hundred thousand users; a larger directory is compared in
 * several, each from where the one before came to, and added up here.
 */
import { warningsOf } from '../../shared/config/policy-warnings.ts';
import type { Policy } from '../../shared/domain/policy.ts';
import type { AdminClient } from '../admin/client.ts';
import type { Call } from '../command.ts';
import { CommandFailure } from '../failure.ts';
import { withProgress } from '../progress.ts';
import { counted } from '../words.ts';
import { type WhatIfAnswer, whatIfAnswer } from './answers.ts';

/** Of each kind of change so many users are listed, as in one part. */
const SHOWN_OF_EACH_CHANGE = 2_000;

export interface Forecasted {
  readonly answer: WhatIfAnswer;
  /** How many requests it took. */
  readonly parts: number;
}

/** `policy` is the text, `parsed` what it says. */
export async function forecastForAll(
  call: Call,
  admin: AdminClient,
  policy: string,
  parsed: Policy,
): Promise<Forecasted> {
  let answer: WhatIfAnswer | undefined;
  let parts = 0;
  const begun = new Set<string>();
  const label = () =>
    `comparing everybody under the policy in force and under the draft${answer === undefined ? '' : `, ${counted(answer.users, 'user')} so far`}`;
  return await withProgress(call.terminal, label, async () => {
    for (;;) {
      const from = answer?.next === undefined ? {} : { from: answer.next };
      const part = await admin.policy('what-if', { policy, inParts: true, ...from }, whatIfAnswer);
      answer = answer === undefined ? part : together(answer, part);
      parts += 1;
      if (part.next === undefined) return { answer: warned(parsed, answer), parts };
      if (begun.has(part.next))
        throw new CommandFailure(
          'directory-unavailable',
          'The pages of the directory’s users go round in a circle. Nothing was changed; ask again.',
        );
      begun.add(part.next);
    }
  });
}

/** Only the sums say how many are covered. */
function warned(policy: Policy, answer: WhatIfAnswer): WhatIfAnswer {
  const warnings = warningsOf(policy, answer.coveredByRule);
  return warnings.length === 0 ? answer : { ...answer, warnings: [...warnings] };
}

function together(before: WhatIfAnswer, part: WhatIfAnswer): WhatIfAnswer {
  if (part.inForce !== before.inForce)
    throw new CommandFailure(
      'conflict',
      'Another policy came into force while everybody was compared. Nothing was changed; ask again.',
    );
  const { next: _past, ...sums } = before;
  const shown = new Map<string, number>();
  const all = [...before.forecasts, ...part.forecasts];
  const forecasts = all.filter(({ change }) => {
    shown.set(change, (shown.get(change) ?? 0) + 1);
    return (shown.get(change) ?? 0) <= SHOWN_OF_EACH_CHANGE;
  });
  return {
    ...sums,
    users: before.users + part.users,
    changes: added(before.changes, part.changes),
    coveredByRule: added(before.coveredByRule, part.coveredByRule),
    steps: added(before.steps, part.steps),
    later: added(before.later, part.later),
    guard: guardOf([...before.guard, ...part.guard]),
    forecasts: forecasts.toSorted((left, right) => (left.user < right.user ? -1 : 1)),
    notShown: before.notShown + part.notShown + all.length - forecasts.length,
    ...(part.next === undefined ? {} : { next: part.next }),
  };
}

function added(one: Readonly<Record<string, number>>, other: Readonly<Record<string, number>>) {
  const sums = { ...one };
  for (const [name, count] of Object.entries(other)) sums[name] = (sums[name] ?? 0) + count;
  return sums;
}

/** Of a scope that is in several parts the departures are added up and held against the limit. */
function guardOf(scopes: WhatIfAnswer['guard']): WhatIfAnswer['guard'] {
  const sums = new Map<string, WhatIfAnswer['guard'][number]>();
  for (const each of scopes) {
    const departing = (sums.get(each.scope)?.departing ?? 0) + each.departing;
    sums.set(each.scope, { ...each, departing, held: departing > each.limit });
  }
  return [...sums.values()];
}
