import type { DirectoryUser } from '../../domain/directory-user.ts';
import type { GmailFacts, GmailIdentity } from '../../domain/gmail.ts';
import type { LeafReference, Step } from '../../domain/step.ts';
import type { Facts } from '../facts.ts';
import { keypairHolding, ourKeypairIds } from '../holdings.ts';

type Observed = Extract<GmailFacts, { kind: 'observed' }>;

/** Brings Gmail to the current leaf: its pair exists and is enabled, the identity of the primary address uses it. */
export function convergeGmail(
  facts: Facts,
  gmail: Observed,
  user: DirectoryUser,
  current: LeafReference,
): readonly Step[] {
  return [
    ...keypairSteps(facts, current),
    ...identitySteps(facts, gmail, user, current),
    ...deleteOldIdentities(facts, gmail, user),
  ];
}

function keypairSteps(facts: Facts, current: LeafReference): readonly Step[] {
  const keypair = current === 'made' ? undefined : keypairHolding(facts, current.serialHex);
  const recorded =
    current !== 'made' &&
    facts.ledger.keypairs.some(
      (record) => record.serialHex === current.serialHex && record.keypairId === keypair?.keypairId,
    );
  if (keypair === undefined || !recorded) {
    const reason =
      keypair === undefined
        ? 'Gmail has no key pair for the certificate.'
        : 'Gmail has the key pair; its id is not recorded yet.';
    return [{ kind: 'create-keypair', chain: 'gmail', leaf: current, reason }];
  }
  if (keypair.enabled) return [];
  return [
    {
      kind: 'enable-keypair',
      chain: 'gmail',
      keypairId: keypair.keypairId,
      reason: 'Somebody disabled the key pair in use; without it the user can neither sign nor read.',
    },
  ];
}

function identitySteps(
  facts: Facts,
  gmail: Observed,
  user: DirectoryUser,
  current: LeafReference,
): readonly Step[] {
  const identity = gmail.identities.find((candidate) => candidate.address === user.primaryEmail);
  const keypair = current === 'made' ? undefined : keypairHolding(facts, current.serialHex);
  if (identity !== undefined && keypair !== undefined && uses(identity, keypair.keypairId)) return [];
  return [
    {
      kind: 'set-identity',
      chain: 'gmail',
      address: user.primaryEmail,
      leaf: current,
      replace: identity !== undefined,
      reason:
        identity === undefined
          ? `Gmail has no identity for ${user.primaryEmail}.`
          : `The identity of ${user.primaryEmail} does not use the current key pair.`,
    },
  ];
}

/** After a rename the identity of the former address goes; one that uses somebody else's pair is not ours to delete. */
function deleteOldIdentities(facts: Facts, gmail: Observed, user: DirectoryUser): readonly Step[] {
  return ownIdentities(facts, gmail)
    .filter((identity) => identity.address !== user.primaryEmail)
    .map((identity) => ({
      kind: 'delete-identity',
      chain: 'gmail',
      address: identity.address,
      departure: false,
      reason: `${identity.address} is no longer the primary address.`,
    }));
}

/** Identities that use a pair of ours. */
export function ownIdentities(facts: Facts, gmail: Observed): readonly GmailIdentity[] {
  const ours = ourKeypairIds(facts, gmail);
  return gmail.identities.filter((identity) => keypairIdsOf(identity).some((id) => ours.has(id)));
}

const keypairIdsOf = ({ use }: GmailIdentity): readonly string[] =>
  use.kind === 'dual' ? [use.keypairId] : [use.signingKeypairId, use.encryptionKeypairId];

const uses = (identity: GmailIdentity, keypairId: string): boolean =>
  identity.use.kind === 'dual' && identity.use.keypairId === keypairId;
