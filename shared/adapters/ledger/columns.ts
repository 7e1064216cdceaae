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
