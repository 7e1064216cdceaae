import type { UserLedger, UserState } from '../../shared/domain/records.ts';
import { pairsOfUse } from '../support/fakes/gmail.ts';
import type { World } from '../support/fakes/world.ts';
import { USER_ID } from './workflows.ts';

/**
 * Everything ledger and Gmail hold of one user, without what is drawn by chance: leaves are named by their place in
 * the order they were intended, and nothing says a serial, a key or an id of Gmail's.
 */
export interface Shape {
  readonly state: UserState | undefined;
  readonly nextAction: string | undefined;
  readonly keys: number;
  readonly leaves: readonly {
    readonly state: string;
    readonly address: string | undefined;
    readonly revoked?: string;
    readonly retired?: string;
  }[];
  readonly recordedPairs: readonly string[];
  readonly gmailPairs: readonly string[];
  readonly identities: Readonly<Record<string, string>>;
  readonly openWishes: number;
  readonly wishes: readonly string[];
}

/** `read`: what the ledger says of them, where somebody has it already. */
export async function shapeOf(world: World, userId = USER_ID, read?: UserLedger): Promise<Shape> {
  const ledger = read ?? (await world.ledger.readUser(userId));
  const account = world.gmail.account(userId);
  const imported = ledger.imported ?? [];
  const place = new Map([
    ...ledger.leaves.map((leaf, index) => [leaf.serialHex, `leaf ${index + 1}`] as const),
    ...imported.map((one, index) => [one.importId, `import ${index + 1}`] as const),
  ]);
  const certificates = [
    ...ledger.leaves.map(({ serialHex, leafDer }) => ({ name: place.get(serialHex), der: leafDer })),
    ...imported.map(({ importId, chainDer: [der] }) => ({ name: place.get(importId), der })),
  ];
  const leafOfPair = new Map(
    account.pairs.map((pair) => {
      const held = certificates.find(
        ({ der }) => der !== undefined && Buffer.compare(der, pair.leafDer) === 0,
      );
      return [pair.keypairId, held?.name ?? 'foreign'];
    }),
  );
  return {
    state: ledger.user?.state,
    nextAction: ledger.user?.nextAction,
    keys: ledger.keys.length,
    leaves: ledger.leaves.map((leaf) => ({
      state: leaf.state,
      address: leaf.addresses[0],
      ...(leaf.revocation === undefined
        ? {}
        : { revoked: `${leaf.revocation.reason} at ${leaf.revocation.revokedAt.toISOString()}` }),
      ...(leaf.retirement === undefined
        ? {}
        : { retired: `${leaf.retirement.reason} due ${leaf.retirement.dueAt.toISOString()}` }),
    })),
    recordedPairs: ledger.keypairs.map(
      (pair) => `${pair.state}: ${place.get(pair.serialHex)} as ${leafOfPair.get(pair.keypairId ?? '')}`,
    ),
    gmailPairs: account.pairs.map(
      (pair) => `${leafOfPair.get(pair.keypairId)} ${pair.enabled ? 'enabled' : 'disabled'}`,
    ),
    identities: Object.fromEntries(
      [...account.identities].map(([address, use]) => [
        address,
        pairsOfUse(use)
          .map((pair) => leafOfPair.get(pair) ?? 'unknown')
          .join(' and '),
      ]),
    ),
    openWishes: ledger.openWishes.length,
    wishes: await world.wishStates(userId),
  };
}
