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

/** Who else has, or is named for, the addresses of this user's certificates. Asked after the sighting is committed. */
export async function addressClaims(
  deps: ReconcileDeps,
  facts: Facts,
  standing: Standing,
): Promise<Pick<Facts, 'namedByOthers' | 'lostAddresses'>> {
  const namedByOthers =
    standing.kind === 'covered'
      ? await deps.ledger.liveLeavesNaming({
          addresses: wantedAddresses(facts, standing.user, standing.rule),
          exceptUserId: facts.userId,
          at: facts.now,
        })
      : [];
  return { namedByOthers, lostAddresses: await lostAddresses(deps, facts) };
}

/**
 * Only addresses that live leaves name and that the directory does not give this user now can be somebody else's. The
 * ledger knows whom it saw with them; the directory is asked too, because the new holder may be outside every rule.
 */
async function lostAddresses(deps: ReconcileDeps, facts: Facts): Promise<readonly AddressClaim[]> {
  const mine = new Set(
    addressesOf(facts.presence).map((address) => facts.printedAddresses.get(address) ?? address),
  );
  const named = new Set(liveLeaves(facts).flatMap((leaf) => leaf.addresses));
  const doubtful = [...named].filter((address) => !mine.has(address));
  if (doubtful.length === 0) return [];
  const seen = await deps.ledger.laterHolders(facts.userId, doubtful);
  const known = new Set(seen.map(({ address }) => address));
  const resolved: AddressClaim[] = [];
  for (const address of doubtful.filter((candidate) => !known.has(candidate))) {
    const userId = await holderOf(deps, address);
    if (userId !== undefined && userId !== facts.userId) resolved.push({ address, userId });
  }
  return [...seen, ...resolved];
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
