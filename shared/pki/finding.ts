/** What linters answer, and how their answer stops a signature. */
import { permanent } from '../errors.ts';
import type { Rule } from './rules.ts';

/** One broken rule. */
export interface Finding extends Rule {
  /** Id of the rule, such as `url-scheme`. */
  readonly rule: string;
  /** What was found instead. */
  readonly found: string;
}

/**
 * Throws `lint-failed` (permanent) when there are findings: one sentence that names what was linted and each broken
 * rule with what was found. Sources and remedies are in `details.findings`.
 */
export function assertLintClean(findings: readonly Finding[], subject: string): void {
  const [first] = findings;
  if (first === undefined) return;
  const broken = findings.map(({ rule, found }) => `${rule} (${found})`).join(', ');
  const count = findings.length === 1 ? 'a rule' : `${findings.length} rules`;
  throw permanent('lint-failed', `Nothing was signed: ${subject} breaks ${count}: ${broken}. ${first.fix}`, {
    details: { findings: findings.map(({ rule, found, source, fix }) => ({ rule, found, source, fix })) },
  });
}
