/**
 * Whether a leaf may be the one in use, renewal aside. Small rules, asked in order; the first that objects says why, in
 * the sentence that becomes the reason of whatever replaces the leaf.
 */
import type { DirectoryUser } from '../../domain/directory-user.ts';
import type { PolicyRule } from '../../domain/policy.ts';
import type { LeafRecord } from '../../domain/records.ts';
import type { Facts } from '../facts.ts';
import { keyOf, openWish, printed, wantedAddresses } from '../holdings.ts';
import { INTENT_LIFETIME_MS } from '../timing.ts';

interface Question {
  readonly facts: Facts;
  readonly user: DirectoryUser;
  readonly rule: PolicyRule;
  readonly leaf: LeafRecord;
}

const answersWish = ({ facts, leaf }: Question): string | undefined => {
  const wish = openWish(facts);
  if (wish === undefined || keyOf(facts, leaf)?.wishId === wish.wishId) return undefined;
  return `${wish.requestedBy} asked for a re-key (${wish.reason}).`;
};

const namesPrimaryAddress = ({ facts, user, leaf }: Question): string | undefined =>
  leaf.addresses[0] === printed(facts, user.primaryEmail)
    ? undefined
    : `The primary address is now ${user.primaryEmail}.`;

/** Where policy wants a change of aliases in the certificate at once; elsewhere the next certificate has it. */
const namesAliases = ({ facts, user, rule, leaf }: Question): string | undefined => {
  if (rule.aliases !== 'at-once') return undefined;
  const wanted = wantedAddresses(facts, user, rule);
  const gained = wanted.filter((address) => !leaf.addresses.includes(address));
  const lost = leaf.addresses.filter((address) => !wanted.includes(address));
  if (gained.length > 0) return `The alias ${gained.join(', ')} is new.`;
  return lost.length === 0 ? undefined : `The alias ${lost.join(', ')} is gone.`;
};

const isInRightKeyService = ({ facts, rule, leaf }: Question): string | undefined =>
  keyOf(facts, leaf)?.keyServiceUrl === rule.keyServiceUrl
    ? undefined
    : rule.keyServiceUrl === undefined
      ? `Rule "${rule.name}" now has its keys on smart cards.`
      : `Rule "${rule.name}" now uses the key service ${rule.keyServiceUrl}.`;

/** A retiring issuer still publishes its CRL, so its leaves last; a retired one answers for nobody any more. */
const isAnsweredFor = ({ facts, leaf }: Question): string | undefined =>
  facts.issuerStates.get(leaf.issuerId) === 'retired'
    ? `The issuer ${leaf.issuerId} is retired and publishes no revocations any more.`
    : undefined;

const isNotOnItsWayOut = ({ leaf }: Question): string | undefined =>
  leaf.retirement === undefined ? undefined : 'The certificate in use is being replaced.';

const isNotAbandoned = ({ facts, leaf }: Question): string | undefined =>
  isAbandoned(facts, leaf) ? 'An issuance was begun and never finished.' : undefined;

const RULES = [
  answersWish,
  namesPrimaryAddress,
  namesAliases,
  isInRightKeyService,
  isAnsweredFor,
  isNotOnItsWayOut,
  isNotAbandoned,
];

/** Why this leaf cannot be the one in use; undefined when it can. */
export function unsuitability(
  facts: Facts,
  user: DirectoryUser,
  rule: PolicyRule,
  leaf: LeafRecord,
): string | undefined {
  for (const objects of RULES) {
    const reason = objects({ facts, user, rule, leaf });
    if (reason !== undefined) return reason;
  }
  return undefined;
}

/** An intent so old that it is not finished any more. */
export function isAbandoned(facts: Facts, leaf: LeafRecord): boolean {
  return leaf.state === 'intended' && facts.now.getTime() - leaf.intendedAt.getTime() > INTENT_LIFETIME_MS;
}
