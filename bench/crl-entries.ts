/** What `bench/crl.ts` writes down for its children and they read again. */

/** A page of two thousand entries, as the ledger gives them: serials are of 18 octets, which with length, two dates and reason makes 36. */
export const PAGE_BYTES = 2_000 * 36;
/** So many different times, over and over: neighbours in a CRL, which is in order of serial, were hardly ever revoked on the same day. */
export const BATCHES = 500;

/** Within the last 300 days, each on another one than the batches beside it. */
export const revokedIn = (batch: number, now: Date): Date =>
  new Date((Math.floor(now.getTime() / 1000) - 1 - ((batch * 7_919_573) % (300 * 86_400))) * 1000);
