/**
 * One line per use of a key, for the customer's auditors: who, which message, which key, how, with what outcome. It
 * carries no token, digest, wrapped key or private key. Values that others wrote are cleaned before they go in.
 */

/** Adds what has become known; text is cleaned, anything that is neither text, number nor truth value is left out. */
export type Note = (facts: Readonly<Record<string, unknown>>) => void;

/** Longest text of another's making that a line carries, in characters; resource names have at most 512 bytes. */
const LONGEST_FACT = 512;

export interface AuditLine {
  readonly note: Note;
  readonly facts: () => Readonly<Record<string, string | number | boolean>>;
}

export function auditLine(): AuditLine {
  const facts = new Map<string, string | number | boolean>();
  return {
    note(added) {
      for (const [name, value] of Object.entries(added)) {
        if (typeof value === 'string') facts.set(name, cleanText(value, LONGEST_FACT));
        else if (typeof value === 'number' || typeof value === 'boolean') facts.set(name, value);
      }
    },
    facts: () => Object.fromEntries(facts),
  };
}

/**
 * Text of unknown origin, made harmless for logs and consoles: control and invisible formatting characters (line
 * breaks, bidirectional overrides, line separators) become spaces, halves of surrogate pairs become U+FFFD, and the
 * rest after `longest` characters is cut.
 */
export function cleanText(text: string, longest: number): string {
  // Cutting first keeps the work small; a pair cut in two becomes U+FFFD.
  const cleaned = text
    .slice(0, longest)
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ');
  return text.length > longest ? `${cleaned}…` : cleaned;
}
