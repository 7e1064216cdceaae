/**
 * The ledger in SQL: PostgreSQL for real, PGlite for the trial, one SQL for both.
 *
 * Words are those of `shared/ports/ledger.ts` and `migrations/0001-ledger.sql`. Each noun has a file: leases, users, keys,
 * leaves, keypairs, requests about them, wishes, issuers and their addresses, crls, erasures of wrapped keys, OCSP, channels, sources, those passed over, reports, paces, sweeps, rollouts, audit,
 * guard, stop. `database.ts` is what they need of a database, with
 * two implementations, `postgres.ts` and `embedded.ts`; `migrate.ts` brings a database to the schema.
 *
 * What it will not do: decide anything, talk to anybody but the database, or change what must not change. The last
 * is refused by triggers, so that it also holds for whoever opens the database by hand.
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../../ports/clock.ts';
import type { Ledger } from '../../ports/ledger.ts';
import { addressClaims } from './address-claims.ts';
import { addressHistory } from './address-history.ts';
import { audit } from './audit.ts';
import { auditChains } from './audit-chains.ts';
import { blockedKeys } from './blocked-keys.ts';
import { channels } from './channels.ts';
import { crls } from './crls.ts';
import type { Database } from './database.ts';
import { deviceKeys } from './device-keys.ts';
import { dueUsers } from './due-users.ts';
import { erasures } from './erasures.ts';
import { guard } from './guard.ts';
import { importedKeys } from './imported-keys.ts';
import { issuerAddresses } from './issuer-addresses.ts';
import { issuerLife } from './issuer-life.ts';
import { issuers } from './issuers.ts';
import { keyMoves } from './key-moves.ts';
import { keyProofs } from './key-proofs.ts';
import { keypairRequests } from './keypair-requests.ts';
import { keypairs } from './keypairs.ts';
import { keys } from './keys.ts';
import { leases } from './leases.ts';
import { leaves } from './leaves.ts';
import { notices } from './notices.ts';
import { ocspAnswers, ocspBatches } from './ocsp-answers.ts';
import { ocspSigners } from './ocsp-signers.ts';
import { paces } from './paces.ts';
import { passedOver } from './passed-over.ts';
import { policyActivations } from './policy-activations.ts';
import { policyFollowing } from './policy-following.ts';
import { putOffHints } from './put-off-hints.ts';
import { reports } from './reports.ts';
import { rewrappedKeys } from './rewrapped-keys.ts';
import { rollouts } from './rollouts.ts';
import { sources } from './sources.ts';
import { stop } from './stop.ts';
import { sweeps } from './sweeps.ts';
import { users } from './users.ts';
import { wishes } from './wishes.ts';

export interface LedgerOptions {
  /** An open database with the schema of this code; `close` closes it. */
  readonly database: Database;
  /** Dates everything but leases. */
  readonly clock: Clock;
  /** Names processes, jobs and wishes; must never answer the same twice in any process. Default: random UUIDs. */
  readonly randomId?: () => string;
}

export const createLedger = ({ database, clock, randomId = randomUUID }: LedgerOptions): Ledger => ({
  ...leases(database, randomId()),
  ...users(database, clock),
  ...dueUsers(database, clock),
  ...keys(database, clock),
  ...keyProofs(database),
  ...rewrappedKeys(database, clock),
  ...deviceKeys(database, clock, randomId),
  ...importedKeys(database, clock, randomId),
  ...blockedKeys(database),
  ...leaves(database, clock),
  ...keypairs(database, clock),
  ...addressClaims(database),
  ...addressHistory(database),
  ...notices(database, clock),
  ...wishes(database, clock, randomId),
  ...issuers(database, clock),
  ...issuerAddresses(database, clock),
  ...issuerLife(database, clock),
  ...crls(database, clock),
  ...ocspSigners(database, clock),
  ...ocspAnswers(database, clock),
  ...ocspBatches(database, clock),
  ...channels(database, clock),
  ...sources(database, clock),
  ...passedOver(database, clock),
  ...putOffHints(database),
  ...reports(database, clock),
  ...paces(database),
  ...sweeps(database, clock),
  ...rollouts(database, clock),
  ...policyActivations(database, clock),
  ...policyFollowing(database, clock),
  ...audit(database, clock),
  ...erasures(database, clock, randomId),
  ...guard(database, clock, randomId),
  ...stop(database, clock),
  ...keyMoves(database, clock, randomId),
  ...keypairRequests(database, clock, randomId),
  ...auditChains(database, clock),
  close: () => database.close(),
});
