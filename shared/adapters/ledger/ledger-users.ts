/**
 * Who works on the ledger. A *user* here is a deployed function; each has a *role* of its own in the database, made by
 * migration 0019, and in production a login that is a member of that role and of no other (terraform/database.tf). What
 * each may do is `rights.ts`. The *owner* is whoever migrates: `sealwright ca init` and its like, and no function.
 */
import { FUNCTION_NAMES, type FunctionName } from '../../domain/function-names.ts';

export const LEDGER_USERS = FUNCTION_NAMES;

export type LedgerUser = FunctionName;

/** The name of its role in the database, such as `sealwright_publish_crl`; needs no quoting. */
export const roleOf = (user: LedgerUser): string => `sealwright_${user.replaceAll('-', '_')}`;
