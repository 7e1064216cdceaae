import { beforeAll, describe, expect, it } from 'vitest';
import { buildCrl, type CrlEntry } from '../../shared/pki/crl.ts';
import { type Crl, readCrl } from '../../shared/pki/crl-reader.ts';
import { assertSuccession, checkSuccession } from '../../shared/pki/crl-succession.ts';
import { DAY, NOW, type SampleAuthority, sampleAuthority } from './sample-authority.ts';

let ca: SampleAuthority;
beforeAll(async () => {
  ca = await sampleAuthority();
});

const later = new Date(NOW.getTime() + DAY);
const serialA = `11${'aa'.repeat(17)}`;
const serialB = `22${'bb'.repeat(17)}`;
const revoked = (serialHex: string, changes: Partial<CrlEntry> = {}): CrlEntry => ({
  serialHex,
  revokedAt: new Date('2026-11-01T00:00:00Z'),
  reason: 'superseded',
  ...changes,
});

const crl = (crlNumber: bigint, now: Date, entries: readonly CrlEntry[], issuer = ca.issuing): Crl =>
  readCrl(buildCrl({ issuerCertificateDer: issuer.certificateDer, crlNumber, now, entries }).tbsDer);

const check = (previous: Crl, next: Crl, notAfter?: Date, now = later) =>
  checkSuccession(previous, next, { now, notAfterOf: () => notAfter });

describe('one CRL after another', () => {
  it('may add entries under a greater number', () => {
    const next = crl(2n, later, [revoked(serialA), revoked(serialB)]);
    expect(check(crl(1n, NOW, [revoked(serialA)]), next)).toEqual([]);
  });

  it('may have the same entries', () => {
    expect(check(crl(1n, NOW, [revoked(serialA)]), crl(9n, later, [revoked(serialA)]))).toEqual([]);
  });

  it.each([
    [1n, 'the same number'],
    [0n, 'a smaller number'],
  ])('may not have number %s, %s', (crlNumber) => {
    expect(check(crl(1n, NOW, []), crl(crlNumber, later, []))).toEqual([
      `Its number ${crlNumber} is not greater than 1, which is published.`,
    ]);
  });

  it('may not be older than the published one', () => {
    expect(check(crl(1n, later, []), crl(2n, NOW, []))).toEqual([
      expect.stringContaining('before the published one'),
    ]);
  });

  it('may not come from the future', () => {
    expect(check(crl(1n, NOW, []), crl(2n, later, []), undefined, NOW)).toEqual([
      expect.stringContaining('which is in the future'),
    ]);
  });

  it('may not be out of date when it is published', () => {
    const week = new Date(later.getTime() + 7 * DAY);
    expect(check(crl(1n, NOW, []), crl(2n, later, []), undefined, week)).toEqual([
      'It is out of date already.',
    ]);
  });

  it('may not be another issuer’s', () => {
    expect(check(crl(1n, NOW, []), crl(2n, later, [], ca.root))).toEqual(['It is another issuer’s CRL.']);
  });

  it('may drop an entry once a CRL issued after the certificate’s end has carried it', () => {
    const end = new Date('2026-11-22T09:59:59Z');
    expect(check(crl(1n, NOW, [revoked(serialA)]), crl(2n, later, []), end)).toEqual([]);
  });

  it.each([
    ['ends in the second the last CRL was issued', new Date('2026-11-22T10:00:00Z')],
    ['has ended since the last CRL was issued', new Date(NOW.getTime() + 1000)],
    ['has not ended', new Date(later.getTime() + DAY)],
  ])('may not drop the entry of a certificate that %s', (_what, notAfter) => {
    expect(check(crl(1n, NOW, [revoked(serialA)]), crl(2n, later, []), notAfter)).toEqual([
      expect.stringContaining(`Serial ${serialA} has vanished`),
    ]);
  });

  it('may not drop the entry of a certificate that nobody knows', () => {
    expect(check(crl(1n, NOW, [revoked(serialA)]), crl(2n, later, []))).toEqual([
      expect.stringContaining('(unknown)'),
    ]);
  });

  it.each([
    ['reason', { reason: 'keyCompromise' as const }],
    ['date', { revokedAt: new Date('2026-11-02T00:00:00Z') }],
  ])('may not change the %s of an entry', (_what, change) => {
    expect(check(crl(1n, NOW, [revoked(serialA)]), crl(2n, later, [revoked(serialA, change)]))).toEqual([
      `Serial ${serialA} has another date or reason than before.`,
    ]);
  });
});

describe('asserting a succession', () => {
  it('refuses with every objection in one message', () => {
    const previous = crl(5n, NOW, [revoked(serialA), revoked(serialB)]);
    const run = () =>
      assertSuccession(previous, crl(5n, later, []), { now: later, notAfterOf: () => undefined });
    expect(run).toThrow(
      expect.objectContaining({
        kind: 'permanent',
        code: 'publication-refused',
        message: expect.stringMatching(/not greater than 5.*Serial 11.*Serial 22.*Leave the published one/),
      }),
    );
  });

  it('names ten of many and counts the rest', () => {
    const many = Array.from({ length: 30 }, (_, index) => revoked(`${index + 10}${'00'.repeat(17)}`));
    const run = () =>
      assertSuccession(crl(1n, NOW, many), crl(2n, later, []), { now: later, notAfterOf: () => undefined });
    expect(run).toThrow('And 20 more.');
  });

  it('lets a proper successor through', () => {
    const run = () =>
      assertSuccession(crl(1n, NOW, []), crl(2n, later, []), { now: later, notAfterOf: () => undefined });
    expect(run).not.toThrow();
  });
});
