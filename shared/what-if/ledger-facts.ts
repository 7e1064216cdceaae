import { createHash } from 'node:crypto';
import type { DirectoryPresence } from '../domain/directory-user.ts';
import type { GmailFacts, GmailIdentity } from '../domain/gmail.ts';
import type { Place } from '../domain/place.ts';
import type { IssuerRecord, KeyPurpose, UserLedger } from '../domain/records.ts';
import type { Facts } from '../plan/facts.ts';
import { printedAddresses } from '../reconcile/claims.ts';

/**
 * Facts for a plan that is only looked at: Gmail is taken to be as the ledger left it, and nobody else is asked for
 * addresses that changed hands. A plan made at a real look reads both.
 */
export function factsByLedger(
  userId: string,
  now: Date,
  presence: DirectoryPresence,
  place: Place | undefined,
  ledger: UserLedger,
  issuerStates: ReadonlyMap<string, IssuerRecord['state']>,
): Facts {
  const leafSha256BySerial = new Map(
    ledger.leaves.flatMap(({ serialHex, leafDer }) =>
      leafDer === undefined ? [] : [[serialHex, createHash('sha256').update(leafDer).digest('hex')] as const],
    ),
  );
  return {
    userId,
    now,
    presence,
    ...(place === undefined ? {} : { place }),
    ledger,
    gmail: gmailByLedger(ledger, leafSha256BySerial),
    leafSha256BySerial,
    printedAddresses: presence.kind === 'present' ? printedAddresses(presence.user) : new Map(),
    namedByOthers: [],
    lostAddresses: [],
    formerAddresses: [],
    issuerStates,
  };
}

function gmailByLedger(ledger: UserLedger, fingerprints: ReadonlyMap<string, string>): GmailFacts {
  const pairOf = new Map(ledger.keypairs.map((pair) => [pair.serialHex, pair]));
  const keypairs = ledger.leaves.flatMap((leaf) => {
    const pair = pairOf.get(leaf.serialHex);
    const leafSha256Hex = fingerprints.get(leaf.serialHex);
    if (pair?.keypairId === undefined || leafSha256Hex === undefined) return [];
    const { keypairId } = pair;
    return [
      {
        keypairId,
        enabled: pair.disabled === undefined,
        leafSha256Hex,
        subjectAddresses: leaf.addresses.slice(0, 1),
      },
    ];
  });
  return { kind: 'observed', keypairs, identities: identityByLedger(ledger, pairOf) };
}

/** The identity that the newest live certificates were made for. */
function identityByLedger(
  { user, leaves }: UserLedger,
  pairOf: ReadonlyMap<string, { readonly keypairId?: string }>,
): readonly GmailIdentity[] {
  if (user === undefined) return [];
  const newest = (purpose: KeyPurpose) =>
    leaves
      .filter(
        (leaf) =>
          leaf.purpose === purpose &&
          leaf.holder === 'key-service' &&
          leaf.revocation === undefined &&
          leaf.addresses[0] === user.primaryEmail,
      )
      .toSorted((left, right) => right.intendedAt.getTime() - left.intendedAt.getTime())
      .map((leaf) => pairOf.get(leaf.serialHex)?.keypairId)
      .find((keypairId) => keypairId !== undefined);
  const address = user.primaryEmail;
  const dual = newest('dual-use');
  if (dual !== undefined) return [{ address, use: { kind: 'dual', keypairId: dual } }];
  const signing = newest('signing');
  const encryption = newest('encryption');
  if (signing === undefined || encryption === undefined) return [];
  return [{ address, use: { kind: 'split', signingKeypairId: signing, encryptionKeypairId: encryption } }];
}
