/** What needs a wrapped key although a key pair over it is obliterated: as long as anything does, it stays. */
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { ImportedCertificate } from '../../shared/domain/imported-certificate.ts';
import type { UserLedger } from '../../shared/domain/records.ts';
import { whyWrappedKeyStays, wrappedKeyOf } from '../../shared/plan/obliteration.ts';
import { cardKey, DAY_MS, keypair, later, leaf, NOW, USER_ID, userKey, userRow } from './facts.ts';

const revocation = { reason: 'superseded', revokedAt: later(-DAY_MS), listed: true } as const;
const key = userKey('old');
const gone = leaf('0a', 'old', { revocation: revocation as never });
const SHA256 = createHash('sha256').update(Uint8Array.of(1)).digest('hex');

const ledgerOf = (changes: Partial<UserLedger> = {}): UserLedger =>
  ({
    user: userRow(),
    keys: [key, userKey('new')],
    leaves: [gone, leaf('0b', 'new', { leafDer: Uint8Array.of(2) })],
    keypairs: [
      { userId: USER_ID, serialHex: '0a', state: 'created', keypairId: 'P1' },
      { userId: USER_ID, serialHex: '0b', state: 'created', keypairId: 'P2' },
    ],
    ...changes,
  }) as unknown as UserLedger;
const importOf = (changes: Partial<ImportedCertificate>): ImportedCertificate =>
  ({
    importId: 'imported-1',
    key,
    certificateSha256Hex: 'c1',
    state: 'uploaded',
    ...changes,
  }) as ImportedCertificate;
const observed = (...keypairs: ReturnType<typeof keypair>[]) =>
  ({ kind: 'observed', keypairs, identities: [] }) as const;
const why = (ledger: UserLedger, gmail = observed(keypair('P1', SHA256), keypair('P2', 'other'))) =>
  whyWrappedKeyStays(ledger, gmail as never, key, 'P1', NOW);

describe('the wrapped key of a key pair that is obliterated', () => {
  test('goes with it where its certificate is revoked and nothing else is over the key', () => {
    expect(wrappedKeyOf(ledgerOf(), 'P1')).toBe(key);
    expect(why(ledgerOf())).toBeUndefined();
  });

  test.each<[string, UserLedger, RegExp]>([
    [
      'while its certificate is good',
      ledgerOf({ leaves: [leaf('0a', 'old')] }),
      /^certificate 0a over the same key is good until /,
    ],
    [
      'while a renewed certificate over the same key is good, or is not signed yet',
      ledgerOf({ leaves: [gone, leaf('0c', 'old', { state: 'intended' })] }),
      /^certificate 0c over the same key/,
    ],
    [
      'while a certificate over another row of the same key is good',
      ledgerOf({
        keys: [key, userKey('again', { spkiSha256Hex: key.spkiSha256Hex })],
        leaves: [gone, leaf('0d', 'again')],
      }),
      /^certificate 0d over the same key/,
    ],
    [
      'while the key is being moved',
      ledgerOf({ keyMoves: [{ jobId: 'j', serialHex: '0a' } as never] }),
      /^the key is being moved to another key service$/,
    ],
    [
      'while it waits to be imported too',
      ledgerOf({ imported: [importOf({ state: 'open' })] }),
      /^an import of the key waits/,
    ],
  ])('stays %s', (_while, ledger, sentence) => {
    expect(why(ledger)).toMatch(sentence);
  });

  test('goes from the instant on at which its certificate ends, and not before', () => {
    const ends = (notAfter: Date) => why(ledgerOf({ leaves: [leaf('0a', 'old', { notAfter })] }));
    expect(ends(later(1))).toMatch(/is good until/);
    expect(ends(NOW)).toBeUndefined();
  });

  test('stays while Gmail has another pair over the same certificate, or over an imported one of that key', () => {
    expect(why(ledgerOf(), observed(keypair('P1', SHA256), keypair('P3', SHA256)))).toBe(
      'Gmail has key pair P3 over the same key',
    );
    expect(why(ledgerOf({ imported: [importOf({})] }), observed(keypair('P4', 'c1')))).toBe(
      'Gmail has key pair P4 over the same key',
    );
  });

  test('is that of an imported pair too, and there is none of a key on a smart card', () => {
    const imported = ledgerOf({
      imported: [importOf({})],
      keypairs: [{ userId: USER_ID, serialHex: 'imported-1', state: 'created', keypairId: 'P5' } as never],
    });
    expect(wrappedKeyOf(imported, 'P5')).toBe(key);
    expect(wrappedKeyOf(ledgerOf({ keys: [cardKey('old')] }), 'P1')).toBeUndefined();
    expect(wrappedKeyOf(ledgerOf(), 'P9')).toBeUndefined();
  });
});
