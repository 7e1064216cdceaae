import { type PolicyMistake, parsePolicy } from '../../shared/config/policy.ts';
import type { Policy, PolicyRule } from '../../shared/domain/policy.ts';
import { isSealwrightError } from '../../shared/errors.ts';
import { AdminClient } from '../admin/client.ts';
import { CONNECTION_FLAGS, connectionOf } from '../admin/connection.ts';
import type { Command, Outcome } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { withProgress } from '../progress.ts';
import { facts, table } from '../table.ts';
import { counted, duration } from '../words.ts';
import { liveCheck } from './answers.ts';
import { readPolicyFile } from './file.ts';
import { warningLines } from './what-if.ts';

export const policyCheck: Command = {
  name: 'policy check',
  summary: 'every mistake in a policy file with its place, or its rules as a table',
  operands: ['FILE'],
  flags: {
    live: {
      kind: 'switch',
      help: 'ask the directory too: unknown units and groups, rules that match nobody (needs the admin API)',
    },
    ...CONNECTION_FLAGS,
  },
  notes: [
    'Ends with 1 when the file has a mistake. Without --live it needs no network: run it before every deployment.',
    'docs/policy.md describes the file.',
  ],
  async run(call) {
    const [file = ''] = call.operands;
    const text = readPolicyFile(file);
    let policy: Policy;
    try {
      policy = parsePolicy(text, file);
    } catch (error) {
      const mistakes = mistakesOf(error);
      if (mistakes === undefined) throw error;
      return refused(file, mistakes);
    }
    if (!call.isSet('live')) return taken(file, policy);
    const admin = new AdminClient(connectionOf(call));
    const live = await withProgress(
      call.terminal,
      () => 'asking the directory',
      () => admin.policy('check', { policy: text }, liveCheck),
    );
    if (live.mistakes.length > 0) return refused(file, live.mistakes);
    if (live.notCounted === undefined) return warned(taken(file, policy, live.coveredByRule), live.warnings);
    const good = taken(file, policy);
    return {
      ...good,
      document: { ...(good.document as object), notCounted: live.notCounted },
      text: `${good.text}\n\nThe directory knows every unit and group, but whom each rule covers was not counted, so that neither rules that match nobody were looked for nor a guard too generous for so few: ${live.notCounted}`,
    };
  },
};

const warned = (good: Outcome, warnings: readonly string[]): Outcome =>
  warnings.length === 0
    ? good
    : {
        ...good,
        document: { ...(good.document as object), warnings },
        text: `${good.text}${warningLines(warnings)}`,
      };

function mistakesOf(error: unknown): readonly PolicyMistake[] | undefined {
  if (!isSealwrightError(error) || error.code !== 'policy-invalid') return undefined;
  return (error.details as { readonly mistakes?: readonly PolicyMistake[] } | undefined)?.mistakes;
}

/** In the order of the file, one line each, as editors jump to: `policy.yaml:6:5: what is wrong`. */
function refused(file: string, mistakes: readonly PolicyMistake[]): Outcome {
  const inOrder = mistakes.toSorted((left, right) => left.line - right.line || left.column - right.column);
  return {
    exitCode: EXIT.failed,
    document: { valid: false, file, mistakes: inOrder },
    text: [
      ...inOrder.map(({ line, column, message }) => `${file}:${line}:${column}: ${message}`),
      `${counted(inOrder.length, 'mistake')}; a function with this policy would not start.`,
    ].join('\n'),
  };
}

function taken(file: string, policy: Policy, covered?: Readonly<Record<string, number>>): Outcome {
  const { guard, rules } = policy;
  const share = Number((guard.shareOfCovered * 100).toFixed(4));
  return {
    exitCode: EXIT.done,
    document: { valid: true, file, policy, ...(covered === undefined ? {} : { coveredByRule: covered }) },
    text: [
      table<PolicyRule>(
        [
          { title: 'RULE', value: ({ name }) => name },
          { title: 'COVERS', value: ({ scope }) => (scope.kind === 'org-unit' ? scope.path : scope.address) },
          ...(covered === undefined
            ? []
            : [{ title: 'USERS', value: ({ name }: PolicyRule) => String(covered[name] ?? 0) }]),
          { title: 'MODE', value: ({ observeOnly }) => (observeOnly ? 'observe' : 'act') },
          { title: 'PROFILE', value: ({ profile }) => profile },
          { title: 'KEY', value: ({ modulusBits }) => `RSA ${modulusBits}` },
          { title: 'VALID', value: ({ validityDays }) => `${validityDays}d` },
          { title: 'RENEW', value: ({ renewBeforeMs }) => `${duration(renewBeforeMs)} before` },
          { title: 'ALIASES', value: ({ aliases }) => aliases },
          { title: 'LEAVE', value: ({ grace }) => duration(grace.leaveMs) },
          { title: 'SUSPENDED', value: ({ grace }) => duration(grace.suspendMs) },
          {
            title: 'SUPERSEDED',
            value: ({ grace }) => (grace.supersededMs === undefined ? 'never' : duration(grace.supersededMs)),
          },
          { title: 'KEY SERVICE', value: ({ keyServiceUrl }) => keyServiceUrl ?? '(smart cards)' },
        ],
        rules,
      ),
      '',
      facts([
        [
          'Guard',
          `departures an hour: ${guard.minimumPerHour} or ${share} % of the covered users, whichever is more, and at most ${guard.maximumPerHour}`,
        ],
      ]),
      `${file} is a good policy with ${counted(rules.length, 'rule')}.`,
    ].join('\n'),
  };
}
