/**
 * The audit trail as hash chains. Vocabulary: a *chain* is the entries of one user, or those that concern nobody in
 * particular (chain `''`); an entry's *place* counts from 1 within its chain; its hash covers the hash before it. A
 * *checkpoint* is a signed statement over the *heads* of all chains at one entry. Everything here is pure and reads no
 * ledger, so that an auditor's copy can be judged anywhere.
 *
 * What it will not do: say that something is true. It says that what was written then is what is here now.
 */
import { createHash } from 'node:crypto';
import type { ChainedEntry } from '../ports/ledger/audit-chains.ts';
import type { AuditEntry } from '../ports/ledger.ts';

/** What stands before the first entry of every chain. */
export const NO_ENTRY_SHA256_HEX = '0'.repeat(64);

export const chainOf = (entry: Pick<AuditEntry, 'userId'>): string => entry.userId ?? '';

/** `length in octets:text,`, or `-,` for what is absent: no two lists of fields give the same text. */
export const field = (text: string | undefined): string =>
  text === undefined ? '-,' : `${Buffer.byteLength(text)}:${text},`;

/**
 * The text whose SHA-256 is an entry's hash. The fields in order: `sealwright-audit/1`, hash before, chain, place, id,
 * at, cause's source, event id, event, actor, time, then step, reason, outcome, details. Instants are ISO 8601 in UTC with
 * milliseconds; details are as `detailsText` says. The ledger computes the same by itself (migration `audit-chains`).
 */
export function entryText(entry: ChainedEntry): string {
  const { cause } = entry;
  return [
    'sealwright-audit/1',
    entry.previousSha256Hex,
    chainOf(entry),
    String(entry.place),
    String(entry.id),
    entry.at.toISOString(),
    cause.source,
    cause.eventId,
    cause.event,
    cause.actor,
    cause.at?.toISOString(),
    entry.step,
    entry.reason,
    entry.outcome,
    entry.details === undefined ? undefined : detailsText(entry.details),
  ]
    .map(field)
    .join('');
}

export const entrySha256Hex = (entry: ChainedEntry): string =>
  createHash('sha256').update(entryText(entry)).digest('hex');

/**
 * Details as PostgreSQL prints `jsonb`: keys by length in octets and then by octets, `": "` and `", "` between, numbers
 * in plain decimals. https://www.postgresql.org/docs/current/datatype-json.html
 */
export function detailsText(details: NonNullable<AuditEntry['details']>): string {
  const members = Object.entries(details)
    .map(([key, value]) => ({ key: Buffer.from(key), value }))
    .toSorted((left, right) => left.key.length - right.key.length || Buffer.compare(left.key, right.key))
    .map(({ key, value }) => `${JSON.stringify(key.toString())}: ${valueText(value)}`);
  return `{${members.join(', ')}}`;
}

const valueText = (value: string | number | boolean | null): string =>
  typeof value === 'number' ? plainDecimal(value) : JSON.stringify(value);

/** JavaScript writes very large and very small numbers with an exponent, PostgreSQL does not. */
function plainDecimal(value: number): string {
  const text = JSON.stringify(value);
  const parts = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(text);
  if (parts === null) return text;
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = parts;
  const digits = whole + fraction;
  const point = 1 + Number(exponent);
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`;
  return `${sign}${digits}${'0'.repeat(Math.max(0, point - digits.length))}`;
}
