import {
  type ChainEndDocument,
  checkpointDocument,
  entryDocument,
  serialRevokedBy,
} from '../../shared/audit/document.ts';
import { wayOut } from '../../shared/audit/leave.ts';
import { LEAVE_BEGUN } from '../../shared/domain/leave.ts';
import { invalidInput, permanent } from '../../shared/errors.ts';
import type { ChainedEntry, CrlListing } from '../../shared/ports/ledger/audit-chains.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import type { HttpAnswer } from '../wire/http.ts';
import { pageSize } from './page-size.ts';
import { howToName } from './somebody.ts';

export interface AdminAuditDeps {
  readonly ledger: Pick<
    Ledger,
    | 'auditTrail'
    | 'auditEntriesOfStep'
    | 'auditEnds'
    | 'crlListings'
    | 'checkpoints'
    | 'heldSets'
    | 'userIdOfAddress'
    | 'readUsers'
  >;
}

/**
 * `{"entries":[…],"next"}`, oldest first; entries as `shared/audit/document.ts` writes them. With `addresses=true` also
 * `"addresses"`: by user id, the address that each of their users had last.
 */
export async function readAudit(deps: AdminAuditDeps, query: URLSearchParams): Promise<HttpAnswer> {
  const user = query.get('user');
  const userId = user === null ? null : await userIdOf(deps, user);
  const afterId = after(query, 'an entry number');
  const limit = pageSize(query);
  const withAddresses = query.get('addresses');
  if (withAddresses !== null && withAddresses !== 'true')
    throw invalidInput('malformed-request', '"addresses" must be "true" where it is said.');
  const entries = await deps.ledger.auditTrail({
    limit,
    ...(userId === null ? {} : { userId }),
    ...(afterId === undefined ? {} : { afterId }),
  });
  const [listings, begun, sets] = await Promise.all([
    listingsOf(deps, entries),
    begunOf(deps, entries),
    setsOf(deps, entries),
  ]);
  const last = entries.at(-1)?.id;
  return {
    status: 200,
    body: {
      entries: entries.map((entry) => {
        const beginnings = begun.get(entry.userId ?? '') ?? [];
        return entryDocument(
          entry,
          listings.get(serialRevokedBy(entry) ?? ''),
          wayOut(entry, beginnings, sets),
        );
      }),
      ...(withAddresses === null ? {} : { addresses: await addressesOf(deps, entries) }),
      ...(entries.length === limit && last !== undefined ? { next: String(last) } : {}),
    },
  };
}

/** An id may be of somebody of whom the trail alone knows. */
async function userIdOf(deps: AdminAuditDeps, name: string): Promise<string> {
  const userId = /^\d+$/.test(name) ? name : await deps.ledger.userIdOfAddress(name.toLowerCase());
  if (userId === undefined)
    throw permanent('not-found', `The ledger knows nobody called ${name}.${howToName(name)}`);
  return userId;
}

/** As many users are read at once as a sweep or a forecast reads. */
const USERS_AT_ONCE = 500;

/** By user id; whoever no rule ever covered has no row and is not in it. */
async function addressesOf(
  { ledger }: AdminAuditDeps,
  entries: readonly ChainedEntry[],
): Promise<Readonly<Record<string, string>>> {
  const userIds = [...new Set(entries.flatMap(({ userId }) => userId ?? []))];
  const addresses: Record<string, string> = {};
  for (let from = 0; from < userIds.length; from += USERS_AT_ONCE) {
    for (const { user } of await ledger.readUsers(userIds.slice(from, from + USERS_AT_ONCE)))
      if (user !== undefined) addresses[user.userId] = user.primaryEmail;
  }
  return addresses;
}

async function listingsOf(
  deps: AdminAuditDeps,
  entries: readonly ChainedEntry[],
): Promise<ReadonlyMap<string, CrlListing>> {
  const serials = entries.map(serialRevokedBy).filter((serial) => serial !== undefined);
  if (serials.length === 0) return new Map();
  const listings = await deps.ledger.crlListings(serials);
  return new Map(listings.map((listing) => [listing.serialHex, listing]));
}

/** By user, of those who depart with one of these entries: what began that, and what held it, may be pages before. */
async function begunOf(
  deps: AdminAuditDeps,
  entries: readonly ChainedEntry[],
): Promise<ReadonlyMap<string, readonly ChainedEntry[]>> {
  const leavers = entries
    .filter((entry) => serialRevokedBy(entry) !== undefined && entry.details?.['departure'] === true)
    .flatMap(({ userId }) => userId ?? []);
  if (leavers.length === 0) return new Map();
  const userIds = [...new Set(leavers)];
  const [begun, judged] = await Promise.all([
    deps.ledger.auditEntriesOfStep(LEAVE_BEGUN, userIds),
    deps.ledger.auditEntriesOfStep('guard', userIds),
  ]);
  return Map.groupBy([...begun, ...judged], ({ userId }) => userId ?? '');
}

/** Asked only where something was done under an approval: there are few sets, and fewer pages that need them. */
async function setsOf(deps: AdminAuditDeps, entries: readonly ChainedEntry[]) {
  if (entries.every(({ details }) => details?.['heldSet'] === undefined)) return [];
  return await deps.ledger.heldSets({ state: 'any' });
}

/** `{"checkpoints":[…],"next"}`, by number. */
export async function readCheckpoints(deps: AdminAuditDeps, query: URLSearchParams): Promise<HttpAnswer> {
  const afterNumber = after(query, 'a checkpoint number');
  const limit = pageSize(query);
  const checkpoints = await deps.ledger.checkpoints({
    limit,
    ...(afterNumber === undefined ? {} : { afterNumber }),
  });
  const last = checkpoints.at(-1)?.number;
  return {
    status: 200,
    body: {
      checkpoints: checkpoints.map(checkpointDocument),
      ...(checkpoints.length === limit && last !== undefined ? { next: String(last) } : {}),
    },
  };
}

/** `{"chains":[…],"next"}`: where each chain ends by the ledger's own account, by chain; `''` is the common one. */
export async function readChains(deps: AdminAuditDeps, query: URLSearchParams): Promise<HttpAnswer> {
  const afterChain = query.get('after');
  const limit = pageSize(query);
  const ends = await deps.ledger.auditEnds({ limit, ...(afterChain === null ? {} : { afterChain }) });
  const last = ends.at(-1)?.chain;
  return {
    status: 200,
    body: {
      chains: ends.map((end): ChainEndDocument => ({ ...end, place: String(end.place) })),
      ...(ends.length === limit && last !== undefined ? { next: last } : {}),
    },
  };
}

function after(query: URLSearchParams, what: string): bigint | undefined {
  const text = query.get('after');
  if (text === null) return undefined;
  // Eighteen digits always fit the ledger's 64 bits.
  if (!/^\d{1,18}$/.test(text)) throw invalidInput('malformed-request', `"after" must be ${what}.`);
  return BigInt(text);
}
