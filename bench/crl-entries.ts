/** What `bench/crl.ts` writes down for its children and they read again. */

/** Entries that one page has. */
export const PAGE = 1_000;
/** A page of serials of 18 octets as JSON: 36 digits and two quotes each, and a comma or a bracket around them. */
export const PAGE_BYTES = PAGE * 39 + 1;
/** So many different times, over and over: neighbours in a CRL, which is in order of serial, were hardly ever revoked on the same day. */
export const BATCHES = 500;

/** Within the last 300 days, each on another one than the batches beside it. */
export const revokedIn = (batch: number, now: Date): Date =>
  new Date((Math.floor(now.getTime() / 1000) - 1 - ((batch * 7_919_573) % (300 * 86_400))) * 1000);
