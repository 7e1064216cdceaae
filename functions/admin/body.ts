import { z } from 'zod';
import { invalidInput } from '../../shared/errors.ts';

/** A request's body as its schema has it; throws `malformed-request` naming the first field that does not fit. */
export function bodyOf<T>(schema: z.ZodType<T>, body: unknown): T {
  if (holdsNul(body))
    throw invalidInput(
      'malformed-request',
      'The request holds a NUL character, which no name and no text has.',
    );
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const [first] = parsed.error.issues;
  const field =
    first?.path.join('.') || (first?.code === 'unrecognized_keys' ? first.keys.join(', ') : 'body');
  throw invalidInput('malformed-request', `"${field}": ${first?.message ?? 'does not fit'}.`, {
    details: { field },
  });
}

/** The one character that PostgreSQL does not take. */
const holdsNul = (value: unknown): boolean =>
  typeof value === 'string'
    ? value.includes('\0')
    : typeof value === 'object' && value !== null && Object.entries(value).flat().some(holdsNul);

/** Something an admin has to say in words, for the audit trail. */
export const sentence = (what: string) =>
  z
    .string({ error: `is missing: ${what}` })
    .trim()
    .min(10, `must say ${what}, in ten characters or more`)
    .max(1000);

/** Without which two admins destroy nothing. */
export const noLegalHold = sentence('that no legal hold exists, and how you know');
