/**
 * Carries a plan out on facts, in memory: what the steps would leave behind if nothing went wrong, or if the chain
 * stopped after some of them. Far simpler than the real handlers, and written from the steps' descriptions.
 */
import type { GmailFacts } from '../../shared/domain/gmail.ts';
import type { LeafReference, Step } from '../../shared/domain/step.ts';
import type { Facts } from '../../shared/plan/facts.ts';
import { type Made, nothingMade } from '../../shared/reconcile/context.ts';
import { cardKey, fingerprint, keypair, leaf, USER_ID, userKey } from './facts.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Observed = Extract<GmailFacts, { kind: 'observed' }>;

let born = 0;

export function carryOut(start: Facts, steps: readonly Step[]): Facts {
  let facts = start;
  const made = nothingMade();
  for (const step of steps) facts = carryOutStep(facts, step, made);
  return facts;
}

function carryOutStep(facts: Facts, step: Step, made: Made): Facts {
  const ledger: Mutable<Facts['ledger']> = { ...facts.ledger };
  const serialOf = (reference: LeafReference) =>
    'made' in reference ? (made.serials.get(reference.made) ?? '') : reference.serialHex;
  const withLeaf = (serialHex: string, change: object): Facts => ({
    ...facts,
    ledger: {
      ...ledger,
      leaves: ledger.leaves.map((entry) => (entry.serialHex === serialHex ? { ...entry, ...change } : entry)),
    },
  });
  const withGmail = (change: (gmail: Observed) => Partial<Observed>): Facts =>
    facts.gmail.kind === 'observed' ? { ...facts, gmail: { ...facts.gmail, ...change(facts.gmail) } } : facts;
  born += 1;
  switch (step.kind) {
    case 'make-key': {
      const keyId = `key-${born}`;
      made.keyIds.set(step.purpose, keyId);
      const key = userKey(keyId, {
        purpose: step.purpose,
        createdAt: facts.now,
        modulusBits: step.modulusBits,
        keyServiceUrl: step.keyServiceUrl,
        ...(step.wishId === undefined ? {} : { wishId: step.wishId }),
      });
      return { ...facts, ledger: { ...ledger, keys: [...ledger.keys, key] } };
    }
    case 'take-card-key': {
      const keyId = `key-${born}`;
      made.keyIds.set(step.purpose, keyId);
      const key = cardKey(keyId, {
        purpose: step.purpose,
        createdAt: facts.now,
        ...(step.wishId === undefined ? {} : { wishId: step.wishId }),
      });
      return { ...facts, ledger: { ...ledger, keys: [...ledger.keys, key] } };
    }
    case 'issue-leaf': {
      const serialHex = `0b${born.toString(16).padStart(8, '0')}`;
      made.serials.set(step.purpose, serialHex);
      const keyId = 'made' in step.key ? (made.keyIds.get(step.key.made) ?? '') : step.key.keyId;
      const issued = leaf(serialHex, keyId, {
        purpose: step.purpose,
        addresses: step.addresses,
        notBefore: facts.now,
        notAfter: new Date(facts.now.getTime() + step.validityDays * 86_400_000),
        intendedAt: facts.now,
      });
      return {
        ...facts,
        ledger: { ...ledger, leaves: [...ledger.leaves, issued] },
        leafSha256BySerial: new Map([...facts.leafSha256BySerial, [serialHex, fingerprint(serialHex)]]),
      };
    }
    case 'issue-device-leaf': {
      const serialHex = `0d${born.toString(16).padStart(8, '0')}`;
      const issued = leaf(serialHex, step.deviceKeyId, {
        holder: 'device',
        addresses: step.addresses,
        notBefore: facts.now,
        notAfter: new Date(facts.now.getTime() + step.validityDays * 86_400_000),
        intendedAt: facts.now,
      });
      return { ...facts, ledger: { ...ledger, leaves: [...ledger.leaves, issued] } };
    }
    case 'sign-leaf':
      return {
        ...withLeaf(step.serialHex, { state: 'signed' }),
        leafSha256BySerial: new Map([
          ...facts.leafSha256BySerial,
          [step.serialHex, fingerprint(step.serialHex)],
        ]),
      };
    case 'retire-leaf':
      return withLeaf(step.serialHex, { retirement: { reason: step.revocationReason, dueAt: step.dueAt } });
    case 'revoke-leaf':
      return withLeaf(step.serialHex, {
        revocation: { reason: step.revocationReason, revokedAt: facts.now },
      });
    case 'create-keypair': {
      const serialHex = serialOf(step.leaf);
      const known =
        facts.gmail.kind === 'observed' &&
        facts.gmail.keypairs.find((pair) => pair.leafSha256Hex === fingerprint(serialHex));
      const keypairId = known ? known.keypairId : `pair-${born}`;
      const record = { serialHex, userId: USER_ID, state: 'created' as const, keypairId };
      const recorded = {
        ...facts,
        ledger: {
          ...ledger,
          keypairs: [...ledger.keypairs.filter((pair) => pair.serialHex !== serialHex), record],
        },
      };
      if (known || recorded.gmail.kind !== 'observed') return recorded;
      const keypairs = [...recorded.gmail.keypairs, keypair(keypairId, fingerprint(serialHex))];
      return { ...recorded, gmail: { ...recorded.gmail, keypairs } };
    }
    case 'move-keypair':
      return {
        ...facts,
        ledger: {
          ...ledger,
          keyMoves: (ledger.keyMoves ?? []).filter(({ serialHex }) => serialHex !== step.serialHex),
        },
      };
    case 'import-keypair': {
      const { importId, refuse } = step;
      const state = refuse === undefined ? ('uploaded' as const) : ('refused' as const);
      const imported = (ledger.imported ?? []).map((entry) =>
        entry.importId === importId ? { ...entry, state } : entry,
      );
      const closed: Facts = { ...facts, ledger: { ...ledger, imported } };
      const sha256 = facts.leafSha256BySerial.get(importId) ?? '';
      if (refuse !== undefined || closed.gmail.kind !== 'observed') return closed;
      if (closed.gmail.keypairs.some((pair) => pair.leafSha256Hex === sha256)) return closed;
      const record = { serialHex: importId, userId: USER_ID, state: 'created' as const, keypairId: importId };
      return {
        ...closed,
        ledger: { ...closed.ledger, keypairs: [...closed.ledger.keypairs, record] },
        gmail: { ...closed.gmail, keypairs: [...closed.gmail.keypairs, keypair(importId, sha256)] },
      };
    }
    case 'obliterate-keypair':
      return withGmail((gmail) => ({
        keypairs: gmail.keypairs.filter((pair) => pair.keypairId !== step.keypairId),
      }));
    case 'enable-keypair':
    case 'disable-keypair': {
      const enabled = step.kind === 'enable-keypair';
      const recorded: Facts = {
        ...facts,
        ledger: {
          ...ledger,
          keypairs: ledger.keypairs.map(({ disabled, ...pair }) => {
            if (pair.serialHex !== step.serialHex)
              return disabled === undefined ? pair : { ...pair, disabled };
            return step.kind === 'enable-keypair'
              ? pair
              : { ...pair, disabled: { at: facts.now, because: step.because } };
          }),
        },
      };
      if (recorded.gmail.kind !== 'observed') return recorded;
      const keypairs = recorded.gmail.keypairs.map((pair) =>
        pair.keypairId === step.keypairId ? { ...pair, enabled } : pair,
      );
      return { ...recorded, gmail: { ...recorded.gmail, keypairs } };
    }
    case 'set-identity': {
      const pairOf = (reference: LeafReference) =>
        ledger.keypairs.find((pair) => pair.serialHex === serialOf(reference))?.keypairId ?? 'missing';
      const use =
        step.leaves.kind === 'dual'
          ? { kind: 'dual' as const, keypairId: pairOf(step.leaves.leaf) }
          : {
              kind: 'split' as const,
              signingKeypairId: pairOf(step.leaves.signing),
              encryptionKeypairId: pairOf(step.leaves.encryption),
            };
      return withGmail((gmail) => ({
        identities: [
          ...gmail.identities.filter((entry) => entry.address !== step.address),
          { address: step.address, use },
        ],
      }));
    }
    case 'delete-identity':
      return withGmail((gmail) => ({
        identities: gmail.identities.filter((entry) => entry.address !== step.address),
      }));
    case 'fulfil-wish':
    case 'fail-wish':
      return {
        ...facts,
        ledger: { ...ledger, openWishes: ledger.openWishes.filter((entry) => entry.wishId !== step.wishId) },
      };
    default:
      return step satisfies never;
  }
}
