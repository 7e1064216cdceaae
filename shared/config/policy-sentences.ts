/** What is wrong with one value of a policy file, in our words: what belongs there, what stands there, and what may have been meant. */
import type { z } from 'zod';
import { nearest } from './nearest.ts';
import { KNOWN_FIELDS } from './policy-schema.ts';

/** What kind of value belongs somewhere; what is not here keeps zod's words. */
const KINDS: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
};

/** YAML 1.1 read these as true and false. */
const ONCE_BOOLEAN: Readonly<Record<string, boolean>> = { yes: true, on: true, no: false, off: false };

/**
 * For what the schema says nothing of its own about. Undefined leaves it to zod, which no field of the schema does:
 * `policy.test.ts` tries them all.
 */
export function sentenceOf(issue: z.core.$ZodRawIssue): string | undefined {
  const { input, path = [] } = issue;
  const what = nameOf(path);
  switch (issue.code) {
    case 'invalid_value':
      return `${what} is ${oneOf(issue.values)}, not ${told(input)}`;
    case 'invalid_type':
      return input === undefined ? undefined : wrongKind(issue.expected, fieldOf(path), what, input);
    case 'too_small':
      return issue.origin === 'string'
        ? `${what} is empty`
        : `${what} is at least ${issue.minimum}, not ${told(input)}`;
    default:
      return undefined;
  }
}

/** The word that was mistyped, where only some are allowed. */
export function suggestionFor(issue: z.core.$ZodIssue, value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  const meant = nearest(value, wordsIn(issue));
  if (meant !== undefined) return `"${meant}"`;
  const isBoolean = issue.code === 'invalid_type' && issue.expected === 'boolean';
  const once = isBoolean ? ONCE_BOOLEAN[value.toLowerCase()] : undefined;
  return once === undefined ? undefined : String(once);
}

/** Of a union the words of all its branches. */
const wordsIn = (issue: z.core.$ZodIssue): readonly string[] => {
  if (issue.code === 'invalid_union') return issue.errors.flat().flatMap(wordsIn);
  return issue.code === 'invalid_value' ? issue.values.filter((value) => typeof value === 'string') : [];
};

function wrongKind(expected: string, field: string, what: string, input: unknown): string {
  const fields = KNOWN_FIELDS[field]?.join(', ');
  const kind = expected === 'object' && fields !== undefined ? `a mapping of ${fields}` : KINDS[expected];
  if (input === null) return `${what} has no value: it is ${kind ?? expected}, or left out`;
  const is = `${what} is ${kind ?? expected}, not ${told(input)}`;
  if (typeof input === 'object') return is;
  if (expected === 'array') return fields === undefined ? `${is}; write ["${String(input)}"]` : is;
  return expected === 'string' ? `${is}; write it in quotes: "${String(input)}"` : is;
}

/** The field that a path leads to, its own or that of the list it is in. */
export const fieldOf = (path: readonly PropertyKey[]): string =>
  String(path.findLast((part) => typeof part === 'string') ?? '');

const nameOf = (path: readonly PropertyKey[]): string =>
  typeof path.at(-1) === 'number' ? `an entry of ${fieldOf(path)}` : fieldOf(path);

const quoted = (value: unknown): string => (typeof value === 'string' ? `"${value}"` : String(value));

/** What stands in the file. */
const told = (value: unknown): string => {
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' && value !== null ? 'a mapping' : quoted(value);
};

/** "act" or "observe"; 2048, 3072 or 4096. */
const oneOf = (values: readonly unknown[]): string => {
  const words = values.map(quoted);
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
};
