import { beforeAll, describe, expect, test } from 'vitest';
import { type Materials, makeMaterials } from '../support/fakes/world.ts';
import { crashEverywhere } from './crash-campaign.ts';
import {
  ADDRESS,
  COMPROMISE,
  DELETE,
  JOIN,
  LEAVE,
  NEW_ADDRESS,
  OVERLAP_END,
  REKEY,
  RENAME,
  RENEWAL,
} from './workflows.ts';

let materials: Materials;
beforeAll(async () => {
  materials = await makeMaterials();
});

describe('a process that dies at any call and is followed by another', () => {
  test('ends a join with one key, one leaf, one pair and one identity', { timeout: 60_000 }, async () => {
    const { clean, calls, crashes } = await crashEverywhere(materials, JOIN);
    expect(clean).toEqual({
      state: 'ready',
      nextAction: 'renew',
      keys: 1,
      leaves: [{ state: 'signed', address: ADDRESS }],
      recordedPairs: ['created: leaf 1 as leaf 1'],
      gmailPairs: ['leaf 1 enabled'],
      identities: { [ADDRESS]: 'leaf 1' },
      openWishes: 0,
      wishes: [],
    });
    expect(calls).toEqual(
      expect.arrayContaining(['signing.signLeaf', 'gmail.createKeypair', 'gmail.createIdentity']),
    );
    expect(crashes).toBeGreaterThan(16);
  });

  test('ends a re-key with the new key in use and the old leaf retired', { timeout: 60_000 }, async () => {
    const { clean, calls, crashes } = await crashEverywhere(materials, REKEY);
    expect(clean).toEqual({
      state: 'ready',
      nextAction: 'revoke-replaced',
      keys: 2,
      leaves: [
        { state: 'signed', address: ADDRESS, retired: 'superseded due 2026-11-25T13:00:00.000Z' },
        { state: 'signed', address: ADDRESS },
      ],
      recordedPairs: ['created: leaf 1 as leaf 1', 'created: leaf 2 as leaf 2'],
      gmailPairs: ['leaf 1 enabled', 'leaf 2 enabled'],
      identities: { [ADDRESS]: 'leaf 2' },
      openWishes: 0,
      wishes: ['fulfilled'],
    });
    expect(calls).toEqual(
      expect.arrayContaining(['ledger.recordRetirement', 'gmail.patchIdentity', 'ledger.fulfilWish']),
    );
    expect(crashes).toBeGreaterThan(20);
  });

  test('ends a re-key after a compromise with the old leaf revoked at once', {
    timeout: 60_000,
  }, async () => {
    const { clean, calls, crashes } = await crashEverywhere(materials, COMPROMISE, { ledger: 'pglite' });
    expect(clean).toEqual({
      state: 'ready',
      nextAction: 'renew',
      keys: 2,
      leaves: [
        { state: 'signed', address: ADDRESS, revoked: 'keyCompromise at 2026-11-22T13:00:00.000Z' },
        { state: 'signed', address: ADDRESS },
      ],
      recordedPairs: ['created: leaf 1 as leaf 1', 'created: leaf 2 as leaf 2'],
      gmailPairs: ['leaf 1 enabled', 'leaf 2 enabled'],
      identities: { [ADDRESS]: 'leaf 2' },
      openWishes: 0,
      wishes: ['fulfilled'],
    });
    expect(calls.indexOf('ledger.recordRevocation')).toBeLessThan(calls.indexOf('keys.generateKey'));
    expect(crashes).toBeGreaterThan(21);
  });

  test('ends a leave with the leaf revoked, the identity gone and the pair kept', {
    timeout: 60_000,
  }, async () => {
    const { clean, calls, crashes } = await crashEverywhere(materials, LEAVE);
    expect(clean).toMatchObject({
      state: 'out',
      nextAction: undefined,
      leaves: [{ address: ADDRESS, revoked: 'affiliationChanged at 2026-11-23T14:00:00.000Z' }],
      gmailPairs: ['leaf 1 enabled'],
      identities: {},
    });
    expect(calls).toEqual(
      expect.arrayContaining(['ledger.judgeDeparture', 'bus.requestCrl', 'gmail.deleteIdentity']),
    );
    expect(crashes).toBeGreaterThan(9);
  });

  test('ends a deletion with the leaf revoked and the open re-key failed', { timeout: 60_000 }, async () => {
    const { clean, crashes } = await crashEverywhere(materials, DELETE);
    expect(clean).toMatchObject({
      state: 'out',
      leaves: [{ revoked: 'cessationOfOperation at 2026-11-22T13:00:00.000Z' }],
      openWishes: 0,
      wishes: ['failed'],
    });
    expect(crashes).toBeGreaterThan(7);
  });

  test('ends a rename with one identity, of the new address', { timeout: 60_000 }, async () => {
    const { clean, calls, crashes } = await crashEverywhere(materials, RENAME);
    expect(clean).toEqual({
      state: 'ready',
      nextAction: 'revoke-replaced',
      keys: 2,
      leaves: [
        { state: 'signed', address: ADDRESS, retired: 'superseded due 2026-11-25T13:00:00.000Z' },
        { state: 'signed', address: NEW_ADDRESS },
      ],
      recordedPairs: ['created: leaf 1 as leaf 1', 'created: leaf 2 as leaf 2'],
      gmailPairs: ['leaf 1 enabled', 'leaf 2 enabled'],
      identities: { [NEW_ADDRESS]: 'leaf 2' },
      openWishes: 0,
      wishes: [],
    });
    expect(calls.indexOf('gmail.createIdentity')).toBeLessThan(calls.indexOf('gmail.deleteIdentity'));
    expect(crashes).toBeGreaterThan(20);
  });

  test('ends a renewal with the new leaf in use and the old one left to run out', {
    timeout: 60_000,
  }, async () => {
    const { clean, crashes } = await crashEverywhere(materials, RENEWAL);
    expect(clean).toEqual({
      state: 'ready',
      nextAction: 'renew',
      keys: 2,
      leaves: [
        { state: 'signed', address: ADDRESS },
        { state: 'signed', address: ADDRESS },
      ],
      recordedPairs: ['created: leaf 1 as leaf 1', 'created: leaf 2 as leaf 2'],
      gmailPairs: ['leaf 1 enabled', 'leaf 2 enabled'],
      identities: { [ADDRESS]: 'leaf 2' },
      openWishes: 0,
      wishes: [],
    });
    expect(crashes).toBeGreaterThan(16);
  });

  test('ends an overlap with the replaced leaf revoked for the reason decided then', {
    timeout: 60_000,
  }, async () => {
    const { clean, crashes } = await crashEverywhere(materials, OVERLAP_END);
    expect(clean).toMatchObject({
      state: 'ready',
      nextAction: 'renew',
      leaves: [{ revoked: 'superseded at 2026-11-25T14:00:00.000Z' }, { state: 'signed' }],
      identities: { [ADDRESS]: 'leaf 2' },
    });
    expect(crashes).toBeGreaterThan(7);
  });
});
