/** Mail addresses as the Directory accepts them: https://support.google.com/a/answer/9193374 */

/**
 * The address in lower case; undefined when the Directory would not take it: letters, digits, `-`, `_`, `'` and
 * single dots before the `@`, 64 characters at most, no `+`.
 */
export function parseAddress(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  const address = value.trim().toLowerCase();
  const match = /^([a-z0-9_'-]+(?:\.[a-z0-9_'-]+)*)@([a-z0-9-]+(?:\.[a-z0-9-]+)+)$/.exec(address);
  const local = match?.[1];
  return local === undefined || local.length > 64 ? undefined : address;
}

export function domainOf(address: string): string {
  return address.slice(address.lastIndexOf('@') + 1);
}

/** The alias Google adds by itself to every address: `ann@acme.example.test-google-a.com`. */
export function nonEditableAlias(address: string): string {
  return `${address}.test-google-a.com`;
}
