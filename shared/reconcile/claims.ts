import type { AddressClaim } from '../domain/address-claim.ts';
import type { DirectoryPresence, DirectoryUser } from '../domain/directory-user.ts';
import { isSealwrightError } from '../errors.ts';
import { addressForm } from '../pki/mailbox-address.ts';
import type { Facts } from '../plan/facts.ts';
import { liveLeaves, wantedAddresses } from '../plan/holdings.ts';
import type { Standing } from '../plan/standing.ts';
import type { ReconcileDeps } from './context.ts';

/** How certificates spell the addresses of a user, where they spell them otherwise than the directory. */
export function printedAddresses(user: DirectoryUser): ReadonlyMap<string, string> {
  return new Map(
    [user.primaryEmail, ...user.aliases].flatMap((address): [string, string][] => {
      const form = addressForm(address);
      return form.kind === 'unusable' || form.address === address ? [] : [[address, form.address]];
    }),
  );
}

/**
 * Who else has, or is named for, the addresses of this user's certificates, and by which former addresses somebody who is gone is
 * protected. Asked after the sighting is committed.
 */
export async function addressClaims(
  deps: ReconcileDeps,
  facts: Facts,
  standing: Standing,
): Promise<Pick<Facts, 'namedByOthers' | 'lostAddresses' | 'formerAddresses'>> {
  const namedByOthers =
    standing.kind === 'covered'
      ? await deps.ledger.liveLeavesNaming({
          addresses: wantedAddresses(facts, standing.user, standing.rule),
          exceptUserId: facts.userId,
          at: facts.now,
        })
      : [];
  return { namedByOthers, ...(await changedHands(deps, facts)) };
}

/**
 * Only addresses that live leaves name and that the directory does not give this user now can be somebody else's. The
 * ledger knows whom it saw with them; the directory is asked too, because the new holder may be outside every rule.
 */
async function changedHands(
  deps: ReconcileDeps,
  facts: Facts,
): Promise<Pick<Facts, 'lostAddresses' | 'formerAddresses'>> {
  const mine = new Set(
    addressesOf(facts.presence).map((address) => facts.printedAddresses.get(address) ?? address),
  );
  const named = new Set(liveLeaves(facts).flatMap((leaf) => leaf.addresses));
  const doubtful = [...named].filter((address) => !mine.has(address));
  if (doubtful.length === 0) return { lostAddresses: [], formerAddresses: [] };
  // Of somebody present the directory says what protects them.
  const protecting = facts.presence.kind === 'present' ? [] : deps.policy.protected.users;
  const holders = await deps.ledger.latestHolders([...new Set([...doubtful, ...protecting])]);
  const own = holders.flatMap(({ address, userId }) => (userId === facts.userId ? [address] : []));
  const seen = holders.filter(({ address, userId }) => userId !== facts.userId && named.has(address));
  const known = new Set(seen.map(({ address }) => address));
  const resolved: AddressClaim[] = [];
  for (const address of doubtful.filter((candidate) => !known.has(candidate))) {
    const userId = await holderOf(deps, address);
    if (userId !== undefined && userId !== facts.userId) resolved.push({ address, userId });
  }
  return {
    lostAddresses: [...seen, ...resolved],
    formerAddresses: own.filter((address) => protecting.includes(address)),
  };
}

/** A directory that does not answer says nothing about who has an address; what the ledger saw stands. */
async function holderOf(deps: ReconcileDeps, address: string): Promise<string | undefined> {
  try {
    return await deps.directory.resolve(address);
  } catch (error) {
    if (!isSealwrightError(error)) throw error;
    deps.log.warning('address-not-resolved', { address, code: error.code, message: error.message });
    return undefined;
  }
}

const addressesOf = (presence: DirectoryPresence): readonly string[] => {
  switch (presence.kind) {
    case 'present':
      return [presence.user.primaryEmail, ...presence.user.aliases];
    case 'deleted':
      return [];
    case 'absent':
      return [];
    default:
      return presence satisfies never;
  }
};
