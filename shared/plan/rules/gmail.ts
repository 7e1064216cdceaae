import type { DirectoryUser } from '../../domain/directory-user.ts';
import type { GmailFacts, GmailIdentity, GmailKeypair } from '../../domain/gmail.ts';
import type { IdentityLeaves, LeafReference, Step } from '../../domain/step.ts';
import type { Facts } from '../facts.ts';
import { type Currents, keypairHolding, leafOf, ourKeypairIds, ownKeypairs } from '../holdings.ts';
import { isKeyFromBefore } from './retirement.ts';

type Observed = Extract<GmailFacts, { kind: 'observed' }>;

/** Brings Gmail to the current leaves: their pairs exist and are enabled, the primary address's identity uses them. */
export function convergeGmail(
  facts: Facts,
  gmail: Observed,
  user: DirectoryUser,
  currents: Currents,
): readonly Step[] {
  return [
    ...[...currents.values()].flatMap((current) => keypairSteps(facts, current)),
    ...enableAfterReturn(facts, currents),
    ...identitySteps(facts, gmail, user, currents),
    ...deleteOldIdentities(facts, gmail, user),
    ...disableReplaced(facts, currents),
  ];
}

function keypairSteps(facts: Facts, current: LeafReference): readonly Step[] {
  const keypair = pairOf(facts, current);
  const recorded =
    'serialHex' in current &&
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
      serialHex: current.serialHex,
      keypairId: keypair.keypairId,
      reason: 'The key pair in use is disabled; without it the user can neither sign nor read.',
    },
  ];
}

/** Pairs that we disabled when the user left open old mail again once they are back. */
function enableAfterReturn(facts: Facts, currents: Currents): readonly Step[] {
  const inUse = new Set([...currents.values()].map((current) => leafOf(facts, current)?.serialHex));
  return ownKeypairs(facts)
    .filter(({ serialHex, keypair }) =>
      facts.ledger.keypairs.some(
        (record) =>
          record.serialHex === serialHex &&
          record.disabled?.because === 'left' &&
          // The pair in use is enabled above; here it only has to be written down that it is.
          (!inUse.has(serialHex) || keypair.enabled),
      ),
    )
    .map(({ serialHex, keypair }) => ({
      kind: 'enable-keypair',
      chain: 'gmail',
      serialHex,
      keypairId: keypair.keypairId,
      reason: 'The user is back: mail that was encrypted to this key pair can be read again.',
    }));
}

/** Where the admin who asked for a re-key said so: what it replaces is disabled, once the new pair is in use. */
function disableReplaced(facts: Facts, currents: Currents): readonly Step[] {
  const wish = facts.ledger.openWishes.find((open) => open.disableKeypairs === true);
  if (wish === undefined) return [];
  const inUse = new Set([...currents.values()].map((current) => leafOf(facts, current)?.serialHex));
  return ownKeypairs(facts)
    .filter(({ serialHex, keypair }) => {
      const leaf = facts.ledger.leaves.find((candidate) => candidate.serialHex === serialHex);
      return (
        keypair.enabled && !inUse.has(serialHex) && leaf !== undefined && isKeyFromBefore(facts, leaf, wish)
      );
    })
    .map(({ serialHex, keypair }) => ({
      kind: 'disable-keypair',
      chain: 'gmail',
      serialHex,
      keypairId: keypair.keypairId,
      because: wish.reason === 'keyCompromise' ? 'compromised' : 'admin',
      departure: false,
      reason: `${wish.requestedBy} asked for the replaced key pair to be disabled (${wish.reason}).`,
    }));
}

function identitySteps(
  facts: Facts,
  gmail: Observed,
  user: DirectoryUser,
  currents: Currents,
): readonly Step[] {
  const identity = gmail.identities.find((candidate) => candidate.address === user.primaryEmail);
  const leaves = identityLeaves(currents);
  if (identity !== undefined && uses(facts, identity, leaves)) return [];
  return [
    {
      kind: 'set-identity',
      chain: 'gmail',
      address: user.primaryEmail,
      leaves,
      replace: identity !== undefined,
      reason: whySetIdentity(facts, gmail, user, identity),
    },
  ];
}

function whySetIdentity(
  facts: Facts,
  gmail: Observed,
  user: DirectoryUser,
  identity: GmailIdentity | undefined,
): string {
  if (identity === undefined) return `Gmail has no identity for ${user.primaryEmail}.`;
  const ours = ourKeypairIds(facts, gmail);
  const foreign = keypairIdsOf(identity).filter((id) => !ours.has(id));
  if (foreign.length > 0) {
    return `The identity of ${user.primaryEmail} used the key pair ${foreign.join(', ')}, which Sealwright did not make.`;
  }
  return `The identity of ${user.primaryEmail} does not use the current key pair.`;
}

function identityLeaves(currents: Currents): IdentityLeaves {
  const dual = currents.get('dual-use');
  if (dual !== undefined) return { kind: 'dual', leaf: dual };
  const signing = currents.get('signing');
  const encryption = currents.get('encryption');
  if (signing === undefined || encryption === undefined)
    throw new Error('An identity needs a dual-use leaf, or a signing and an encryption leaf.');
  return { kind: 'split', signing, encryption };
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

export const keypairIdsOf = ({ use }: GmailIdentity): readonly string[] =>
  use.kind === 'dual' ? [use.keypairId] : [use.signingKeypairId, use.encryptionKeypairId];

const pairOf = (facts: Facts, reference: LeafReference): GmailKeypair | undefined =>
  'made' in reference ? undefined : keypairHolding(facts, reference.serialHex);

function uses(facts: Facts, { use }: GmailIdentity, leaves: IdentityLeaves): boolean {
  const holds = (reference: LeafReference, keypairId: string) =>
    pairOf(facts, reference)?.keypairId === keypairId;
  if (leaves.kind === 'dual') return use.kind === 'dual' && holds(leaves.leaf, use.keypairId);
  return (
    use.kind === 'split' &&
    holds(leaves.signing, use.signingKeypairId) &&
    holds(leaves.encryption, use.encryptionKeypairId)
  );
}
