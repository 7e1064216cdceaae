/** When it happened, if that can be read; to the millisecond. */
export function optionalInstant(value: unknown): { readonly at?: Date } {
  const at = typeof value === 'string' ? new Date(value) : undefined;
  return at === undefined || Number.isNaN(at.getTime()) ? {} : { at };
}
