/**
 * Who works on the ledger. A *user* here is a deployed function; each has a *role* of its own in the database, made by
 * migration 0019, and in production a login that is a member of that role and of no other (terraform/database.tf). What
 * each may do is `rights.ts`. The *owner* is whoever migrates: `sealwright ca init` and its like, and no function.
 */

/** The deployed functions, by the names in functions/catalog.ts. */
export const LEDGER_USERS = [
  'directory-watch',
  'directory-event',
  'due',
  'sweep',
  'sign',
  'publish-crl',
  'admin',
  'key-service',
  'ocsp',
] as const;

export type LedgerUser = (typeof LEDGER_USERS)[number];

/** The name of its role in the database, such as `sealwright_publish_crl`; needs no quoting. */
export const roleOf = (user: LedgerUser): string => `sealwright_${user.replaceAll('-', '_')}`;
