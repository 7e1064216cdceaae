import { webcrypto } from 'node:crypto';
import fc from 'fast-check';
import { madeOffline } from '../../shared/domain/recorded.ts';
// reflect-metadata comes first: @peculiar/x509 needs it when it loads.
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import * as asn1js from 'asn1js';
import { afterEach, beforeAll, describe, expect, it, test, vi } from 'vitest';
import { recordedPartsInLedger } from '../../shared/domain/recorded.ts';
import { buildCrl, type CrlEntry } from '../../shared/pki/crl.ts';
import { CrlBody } from '../../shared/pki/crl-body.ts';
import { CrlBuilder } from '../../shared/pki/crl-builder.ts';
import { whole as concatenated, passing, signedParts } from '../../shared/pki/crl-parts.ts';
import { commonEntryEnd, readCrl, verifyCrl, viewOf } from '../../shared/pki/crl-reader.ts';
import { time } from '../../shared/pki/der.ts';
import { issueCrl, issueCrlParts } from '../../shared/pki/issue.ts';
import { lintCrl } from '../../shared/pki/lint-crl.ts';
import { derToPem } from '../../shared/pki/pem.ts';
import { drawSerial } from '../../shared/pki/serial.ts';
import type { Signer } from '../../shared/pki/signer.ts';
import { openssl, opensslInstalled } from './openssl.ts';
import { DAY, NOW, type SampleAuthority, sampleAuthority, seededRandom } from './sample-authority.ts';

let ca: SampleAuthority;
beforeAll(async () => {
  ca = await sampleAuthority();
});

function entriesOf(count: number): readonly CrlEntry[] {
  const random = seededRandom(`stream/${count}`);
  return Array.from({ length: count }, () => drawSerial(random))
    .toSorted()
    .map((serialHex, index) => ({
      serialHex,
      revokedAt: new Date(NOW.getTime() - index * 61_000),
      reason: index % 2 === 0 ? 'superseded' : 'keyCompromise',
      ...(index % 7 === 0 ? { invalidityDate: new Date(NOW.getTime() - index * 1000) } : {}),
    }));
}

/** As the publisher makes one, `sign` signs it and the publisher uploads it, without the ledger between them. */
async function stream(entries: Iterable<CrlEntry>, signer: Signer = ca.issuingSigner): Promise<Uint8Array> {
  const issuerCertificateDer = ca.issuing.certificateDer;
  const builder = new CrlBuilder({ issuerCertificateDer, crlNumber: 7n, now: NOW });
  for (const entry of entries) builder.append(entry);
  const blocks = builder.takeRest();
  const { head, tail } = builder.around();
  const parts = [head, ...blocks, tail];
  const tbsParts = recordedPartsInLedger(passing(parts, () => undefined));
  const { endDer } = await issueCrlParts({ tbsParts, issuerCertificateDer, signer, signingTime: NOW });
  return await concatenated(signedParts(parts, endDer));
}

const whole = async (entries: readonly CrlEntry[]) => {
  const { tbsDer } = buildCrl({
    issuerCertificateDer: ca.issuing.certificateDer,
    crlNumber: 7n,
    now: NOW,
    entries,
  });
  return issueCrl({
    tbsDer: madeOffline(tbsDer),
    issuerCertificateDer: ca.issuing.certificateDer,
    signer: ca.issuingSigner,
    signingTime: NOW,
  });
};

describe('a CRL in pieces', () => {
  // 25,000 entries are 1.3 MB, more than one block.
  test.each([0, 1, 2, 300, 25_000])('of %i entries is byte for byte the one in one buffer', async (count) => {
    const entries = entriesOf(count);
    const crlDer = await stream(entries);
    expect(Buffer.compare(crlDer, await whole(entries))).toBe(0);
    expect(verifyCrl(crlDer, ca.issuing.certificateDer)).toBe(true);
  });

  it('is signed by a signer that takes one buffer only', async () => {
    const { signParts: _none, ...signer } = ca.issuingSigner;
    expect(verifyCrl(await stream(entriesOf(3), signer), ca.issuing.certificateDer)).toBe(true);
  });

  it('is not signed with a key that is not the issuer’s', async () => {
    await expect(stream([], ca.rootSigner)).rejects.toMatchObject({ code: 'ca-key-unusable' });
  });

  it('holds entries in blocks, none across two', () => {
    const body = new CrlBody();
    for (const entry of entriesOf(25_000)) body.append(entry);
    const { blocks } = body;
    expect(blocks.length).toBeGreaterThan(1);
    for (const block of blocks) expect(block[0]).toBe(0x30);
    expect(blocks.reduce((sum, { length }) => sum + length, 0)).toBe(body.byteLength);
  });
});

describe('the time of an entry', () => {
  it('is the one that the DER writer gives, on every day from 1950 to 2050 and around midnight', () => {
    const from = Date.UTC(1950, 0);
    const until = Date.UTC(2050, 0, 3);
    const instants = Array.from(
      { length: (until - from) / DAY },
      (_, day) => new Date(from + day * DAY + ((day * 12_345_678) % DAY)),
    );
    for (const edge of [Date.UTC(2050, 0), Date.UTC(2000, 2), Date.UTC(2024, 1, 29), Date.UTC(2000, 0)])
      instants.push(new Date(edge - 1), new Date(edge), new Date(edge + DAY - 1));
    const body = new CrlBody();
    for (const [index, revokedAt] of instants.entries())
      body.append({ serialHex: (0x10_0000 + index).toString(16), revokedAt, reason: 'superseded' });
    const entries = Buffer.concat(body.takeRest());
    let at = 0;
    for (const instant of instants) {
      const wanted = time(new Date(Math.floor(instant.getTime() / 1000) * 1000));
      const found = entries.subarray(at + 7, at + 7 + wanted.length);
      expect(Buffer.compare(found, wanted), instant.toISOString()).toBe(0);
      at += 2 + (entries[at + 1] ?? 0);
    }
  });

  test.each([
    ['before 1950', new Date(Date.UTC(1949, 11, 31))],
    ['that is none', new Date(Number.NaN)],
  ])('%s is refused', (_what, revokedAt) => {
    expect(() => new CrlBody().append({ serialHex: '11', revokedAt, reason: 'superseded' })).toThrow(
      RangeError,
    );
  });
});

describe('linting a CRL in parts', () => {
  const context = () => ({ issuerCertificateDer: ca.issuing.certificateDer, signingTime: NOW });

  it('finds what it finds in the whole, whichever byte is changed', async () => {
    const { tbsDer } = buildCrl({ ...context(), crlNumber: 7n, now: NOW, entries: entriesOf(20) });
    await fc.assert(
      fc.asyncProperty(fc.nat(tbsDer.length - 1), fc.integer({ min: 1, max: 255 }), async (index, change) => {
        const changed = Uint8Array.from(tbsDer);
        changed[index] = (changed[index] ?? 0) ^ change;
        const rulesInOne = lintCrl(changed, context()).map(({ rule }) => rule);
        const parts = [changed.subarray(0, 333), changed.subarray(333)];
        const inParts = await issueCrlParts({
          ...context(),
          tbsParts: recordedPartsInLedger(passing(parts, () => undefined)),
          signer: { ...ca.issuingSigner, signParts: async (all) => await concatenated(all) },
        }).catch((error: { readonly code: string }) => error.code);
        // What is clean goes on to a signature, which here is none.
        expect(inParts).toBe(rulesInOne.length > 0 ? 'lint-failed' : 'ca-key-unusable');
      }),
      { numRuns: 400, seed: 20261122 },
    );
  });
});

describe('the quick way through entries', () => {
  it('sees what the slow way sees, in serials of every length', () => {
    const serial = fc.bigInt({ min: 1n, max: (1n << 159n) - 1n }).map((value) => {
      const hex = value.toString(16);
      const even = hex.length % 2 === 0 ? hex : `0${hex}`;
      return /^[89a-f]/.test(even) ? `00${even}` : even;
    });
    fc.assert(
      fc.property(fc.uniqueArray(serial, { minLength: 1, maxLength: 40 }), (serials) => {
        const entries = serials
          .toSorted((one, other) => (BigInt(`0x${one}`) < BigInt(`0x${other}`) ? -1 : 1))
          .map((serialHex): CrlEntry => ({ serialHex, revokedAt: NOW, reason: 'superseded' }));
        const { tbsDer } = buildCrl({
          issuerCertificateDer: ca.issuing.certificateDer,
          crlNumber: 1n,
          now: NOW,
          entries,
        });
        const read = readCrl(tbsDer).entries;
        expect([...read.keys()]).toEqual(entries.map(({ serialHex }) => serialHex));
        for (const { serialHex } of entries) expect(read.get(serialHex)?.reason).toBe('superseded');
        expect(read.has('7f'.repeat(20))).toBe(serials.includes('7f'.repeat(20)));
        expect([...read.values()]).toHaveLength(read.size);
      }),
      { numRuns: 60 },
    );
  });

  test.each([
    ['29 February of a leap year', '240229', true],
    ['29 February of another', '250229', false],
    ['31 April', '250431', false],
    ['month 13', '251301', false],
    ['day 0', '250100', false],
    ['letters', '25ab01', false],
  ])('takes %s for what it is', async (_what, day, good) => {
    const { tbsDer } = buildCrl({
      issuerCertificateDer: ca.issuing.certificateDer,
      crlNumber: 1n,
      now: NOW,
      entries: ['11', '12'].map((serialHex) => ({
        serialHex,
        revokedAt: new Date('2025-01-01T00:00:00Z'),
        reason: 'superseded' as const,
      })),
    });
    const changed = Buffer.from(tbsDer);
    changed.write(day, changed.lastIndexOf('250101000000Z'), 'latin1');
    const findings = lintCrl(changed, { issuerCertificateDer: ca.issuing.certificateDer, signingTime: NOW });
    expect(findings.length === 0).toBe(good);
  });

  it('takes sixty of all pairs of octets for seconds', () => {
    const body = new CrlBody();
    body.append({ serialHex: '11', revokedAt: NOW, reason: 'superseded' });
    const entry = Buffer.from(body.blocks[0] ?? expect.unreachable());
    const at = entry.indexOf(0x5a) - 2;
    const taken: string[] = [];
    for (let pair = 0; pair < 0x1_0000; pair += 1) {
      entry.writeUInt16BE(pair, at);
      if (commonEntryEnd(viewOf(entry), 0) > 0) taken.push(entry.toString('latin1', at, at + 2));
    }
    expect(taken).toEqual(Array.from({ length: 60 }, (_, second) => String(second).padStart(2, '0')));
  });
});

/**
 * Why CRLs are not made with the library at hand, shown by counting. When these tests fail the library has changed, and
 * `docs/decisions` may be looked at again.
 */
describe('@peculiar/x509 2.2.0', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  const theirs = async (entries: readonly x509.X509CrlEntryParams[]) => {
    const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
    const { privateKey } = await webcrypto.subtle.generateKey(algorithm, false, ['sign', 'verify']);
    return x509.X509CrlGenerator.create(
      {
        issuer: 'CN=Sample',
        thisUpdate: NOW,
        nextUpdate: new Date(NOW.getTime() + 86_400_000),
        entries: [...entries],
        signingAlgorithm: algorithm,
        signingKey: privateKey as x509.X509CrlCreateParams['signingKey'],
      },
      webcrypto as Parameters<typeof x509.X509CrlGenerator.create>[1],
    );
  };

  const emptySequences = (block: asn1js.BaseBlock): number =>
    block instanceof asn1js.Sequence
      ? (block.valueBlock.value.length === 0 ? 1 : 0) +
        block.valueBlock.value.reduce((sum, child) => sum + emptySequences(child), 0)
      : 0;

  it('writes an empty list of extensions for an entry without a reason, which RFC 5280 does not allow; ours never has one', async () => {
    const bad = await theirs([{ serialNumber: '11', revocationDate: NOW }]);
    expect(emptySequences(asn1js.fromBER(bad.rawData).result)).toBe(1);
    expect(() => readCrl(new Uint8Array(bad.rawData))).toThrow('a list of extensions is empty');
    expect(emptySequences(asn1js.fromBER(await whole(entriesOf(20))).result)).toBe(0);
  });

  it('compares each entry with all before it; ours looks at each once', async () => {
    let comparisons = 0;
    const find = Array.prototype.findIndex;
    vi.spyOn(Array.prototype, 'findIndex').mockImplementation(function (this: unknown[], test, self) {
      return find.call(
        this,
        (item, index, list) => {
          comparisons += 1;
          return test(item, index, list);
        },
        self,
      );
    });
    const count = 200;
    await theirs(entriesOf(count).map(({ serialHex }) => ({ serialNumber: serialHex, revocationDate: NOW })));
    expect(comparisons).toBeGreaterThanOrEqual((count * (count - 1)) / 2);
    comparisons = 0;
    let looks = 0;
    const counted = entriesOf(count).map((entry) => ({
      ...entry,
      get serialHex() {
        looks += 1;
        return entry.serialHex;
      },
    }));
    buildCrl({ issuerCertificateDer: ca.issuing.certificateDer, crlNumber: 1n, now: NOW, entries: counted });
    expect(looks).toBe(count);
    expect(comparisons).toBeLessThan(count);
  });
});

describe.skipIf(!opensslInstalled)('OpenSSL', () => {
  it('lists every serial of a CRL in pieces and verifies its signature', async () => {
    const entries = entriesOf(25_000);
    const { text } = openssl(
      ['crl', '-in', 'a.crl', '-inform', 'DER', '-noout', '-text', '-CAfile', 'issuing.pem'],
      {
        'a.crl': await stream(entries),
        'issuing.pem': derToPem('CERTIFICATE', ca.issuing.certificateDer),
      },
    );
    expect(text).toContain('verify OK');
    expect(text.match(/Serial Number: /g)).toHaveLength(25_000);
    expect(text).toContain(entries.at(-1)?.serialHex.toUpperCase());
  });
});
