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

/** Groups rows by user, keeping their order. */
export const byUser = <Row extends { readonly user_id: string }, Item>(
  rows: readonly Row[],
  itemOf: (row: Row) => Item,
): ReadonlyMap<string, readonly Item[]> => {
  const groups = new Map<string, Item[]>();
  for (const row of rows) {
    const group = groups.get(row.user_id);
    if (group === undefined) groups.set(row.user_id, [itemOf(row)]);
    else group.push(itemOf(row));
  }
  return groups;
};

export const sameBytes = (one: Uint8Array, other: Uint8Array): boolean => Buffer.compare(one, other) === 0;
