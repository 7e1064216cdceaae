/** What commands have in common by which two admins destroy something: a statement of the first, a digest from the second. */
import type { Flag } from '../command.ts';
import { UsageError } from '../failure.ts';

/** Of the admin who asks. */
export const NO_LEGAL_HOLD = {
  kind: 'text',
  placeholder: 'STATEMENT',
  help: 'your statement that no legal hold exists, and how you know',
} as const satisfies Flag;

/** The text of a flag that nothing is done without. Throws `UsageError`. */
export function needed(text: string | undefined, flag: string): string {
  if (text !== undefined && text.trim() !== '') return text;
  throw new UsageError(`${flag} is missing.`);
}
