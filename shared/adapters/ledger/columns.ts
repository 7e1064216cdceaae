/** Small bridges between columns, which are null, and our records, where the field is then absent. */
import type { RevocationReason } from '../../domain/revocation-reason.ts';

/** `{ [name]: value }`, or nothing at all for null; to be spread into a record. */
export const optional = <Name extends string, Value>(
  name: Name,
  value: Value | null,
): { readonly [Key in Name]?: Value } => {
  const fields: { [Key in Name]?: Value } = {};
  if (value !== null) fields[name] = value;
  return fields;
};

/** Of a leaf's row, joined to its revocation: all null where it is not revoked. */
export interface RevocationColumns {
  readonly reason: RevocationReason | null;
  readonly revoked_at: Date | null;
  readonly invalidity_date: Date | null;
}

interface Revocation {
  readonly reason: RevocationReason;
  readonly revokedAt: Date;
  readonly invalidityDate?: Date;
}

/** To be spread into the record of a leaf: its revocation, or nothing at all. */
export const revocationOf = (row: RevocationColumns): { readonly revocation?: Revocation } =>
  row.reason === null || row.revoked_at === null
    ? {}
    : {
        revocation: {
          reason: row.reason,
          revokedAt: row.revoked_at,
          ...optional('invalidityDate', row.invalidity_date),
        },
      };

export const sameBytes = (one: Uint8Array, other: Uint8Array): boolean => Buffer.compare(one, other) === 0;

/**
 * SQL for a timestamptz as whole milliseconds since 1970, cut off as `Date` cuts them off, of years from 1970 to 2105. `extract`
 * computes with numerics, which for a page of a CRL takes ten times as long; a float8 is off by less than half of the
 * microsecond that is added.
 */
export const wholeMs = (column: string): string => `floor(date_part('epoch', ${column}) * 1000 + 0.0005)`;
