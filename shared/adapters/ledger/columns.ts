/** Small bridges between columns, which are null, and our records, where the field is then absent. */

/** `{ [name]: value }`, or nothing at all for null; to be spread into a record. */
export const optional = <Name extends string, Value>(
  name: Name,
  value: Value | null,
): { readonly [Key in Name]?: Value } => {
  const fields: { [Key in Name]?: Value } = {};
  if (value !== null) fields[name] = value;
  return fields;
};

export const sameBytes = (one: Uint8Array, other: Uint8Array): boolean => Buffer.compare(one, other) === 0;

/**
 * SQL for a timestamptz as whole milliseconds since 1970, cut off as `Date` cuts them off, of years from 1970 to 2105. `extract`
 * computes with numerics, which for a page of a CRL takes ten times as long; a float8 is off by less than half of the
 * microsecond that is added.
 */
export const wholeMs = (column: string): string => `floor(date_part('epoch', ${column}) * 1000 + 0.0005)`;
