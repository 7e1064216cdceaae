/**
 * A 32-bit digest (FNV-1a, signed, as PostgreSQL's `integer`) of the addresses a user has: the primary one, then the
 * aliases in order of code units. Equal addresses give equal digests; two different sets share one by chance once in
 * four thousand million, which is why it only ever decides whether a look can be spared until the next one by age.
 * `shared/adapters/directory/page-scan.wat` computes the same from the bytes of a page.
 */
export function addressDigest(primaryEmail: string, aliases: readonly string[]): number {
  let hash = digestText(NO_DIGEST, primaryEmail);
  if (aliases.length > 0) {
    const inOrder = aliases.length === 1 ? aliases : aliases.toSorted();
    for (const alias of inOrder) hash = digestText(digestNext(hash), alias);
  }
  return hash;
}

/** The digest of nothing, from which the primary address goes on. */
const NO_DIGEST = 0x811c9dc5 | 0;
const PRIME = 0x01000193;
/** No address holds it. */
const SEPARATOR = 0x0a;

/** Goes on with one more code unit. */
const digestOn = (hash: number, code: number): number => Math.imul(hash ^ code, PRIME);

/** Goes on to the next alias. */
const digestNext = (hash: number): number => digestOn(hash, SEPARATOR);

function digestText(seed: number, text: string): number {
  let hash = seed;
  for (let index = 0; index < text.length; index += 1) hash = digestOn(hash, text.charCodeAt(index));
  return hash;
}
