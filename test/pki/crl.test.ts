import * as asn1js from 'asn1js';
import fc from 'fast-check';
import * as pkijs from 'pkijs';
import { afterEach, beforeAll, describe, expect, it, test, vi } from 'vitest';
import { madeOffline } from '../../shared/domain/recorded.ts';
import { REVOCATION_REASONS, type RevocationReason } from '../../shared/domain/revocation-reason.ts';
import { readCertificate } from '../../shared/pki/certificate.ts';
import { buildCrl, type CrlEntry } from '../../shared/pki/crl.ts';
import { readCrl, readCrlHeader, verifyCrl } from '../../shared/pki/crl-reader.ts';
import { issueCrl } from '../../shared/pki/issue.ts';
import { derToPem } from '../../shared/pki/pem.ts';
import { drawSerial } from '../../shared/pki/serial.ts';
import { openssl, opensslInstalled } from './openssl.ts';
import { DAY, NOW, type SampleAuthority, sampleAuthority, seededRandom } from './sample-authority.ts';

let ca: SampleAuthority;
beforeAll(async () => {
  ca = await sampleAuthority();
});

const REASONS = Object.keys(REVOCATION_REASONS) as readonly RevocationReason[];

const build = (entries: Iterable<CrlEntry>, changes: { crlNumber?: bigint; now?: Date } = {}) =>
  buildCrl({
    issuerCertificateDer: ca.issuing.certificateDer,
    crlNumber: 7n,
    now: NOW,
    entries,
    ...changes,
  });

const sign = (tbsDer: Uint8Array, signingTime = NOW) =>
  issueCrl({
    tbsDer: madeOffline(tbsDer),
    issuerCertificateDer: ca.issuing.certificateDer,
    signer: ca.issuingSigner,
    signingTime,
  });

/** So many entries in order of serial, with all reasons in turn. */
function sampleEntries(count: number): readonly CrlEntry[] {
  const random = seededRandom(`entries/${count}`);
  return Array.from({ length: count }, () => drawSerial(random))
    .toSorted()
    .map((serialHex, index) => ({
      serialHex,
      revokedAt: new Date(NOW.getTime() - index * 1000),
      reason: REASONS[index % REASONS.length] ?? 'superseded',
    }));
}

/** pkijs as second parser; its own default would refuse more than about a thousand entries. */
function parseWithPkijs(crlDer: Uint8Array): pkijs.CertificateRevocationList {
  const { result } = asn1js.fromBER(crlDer, { maxNodes: 1_000_000 });
  return new pkijs.CertificateRevocationList({ schema: result });
}

const wholeSecond = (at: Date) => new Date(Math.floor(at.getTime() / 1000) * 1000);

describe('a CRL', () => {
  it('runs for seven days from now, in whole seconds', () => {
    const { thisUpdate, nextUpdate } = build([]);
    expect(thisUpdate.toISOString()).toBe('2026-11-22T10:00:00.000Z');
    expect(nextUpdate.toISOString()).toBe('2026-11-29T10:00:00.000Z');
  });

  it('of a root runs for 183 days', () => {
    const { thisUpdate, nextUpdate } = buildCrl({
      issuerCertificateDer: ca.root.certificateDer,
      crlNumber: 2n,
      now: NOW,
      entries: [],
      signatureAlgorithm: 'sha384WithRSA',
    });
    expect(nextUpdate.getTime() - thisUpdate.getTime()).toBe(183 * DAY);
  });

  it('repeats its issuer’s subject byte for byte and its key identifier', async () => {
    const crl = readCrl(await sign(build([]).tbsDer));
    const issuer = readCertificate(ca.issuing.certificateDer);
    expect(crl.issuerDer).toEqual(issuer.subjectDer);
    const theirs = pkijs.Certificate.fromBER(ca.issuing.certificateDer).extensions?.find(
      ({ extnID }) => extnID === '2.5.29.14',
    )?.parsedValue as asn1js.OctetString;
    expect(Buffer.from(crl.authorityKeyIdentifier ?? [])).toEqual(
      Buffer.from(theirs.valueBlock.valueHexView),
    );
  });

  it('without entries has no list at all, rather than an empty one', async () => {
    const { tbsDer, entryCount } = build([]);
    expect(entryCount).toBe(0);
    expect(readCrlHeader(tbsDer).revokedCertificates).toBeUndefined();
    expect(parseWithPkijs(await sign(tbsDer)).revokedCertificates).toBeUndefined();
  });

  it('has exactly an authority key identifier and a CRL number, neither critical', async () => {
    const crl = parseWithPkijs(await sign(build(sampleEntries(3)).tbsDer));
    expect(crl.version).toBe(1);
    expect(crl.crlExtensions?.extensions.map(({ extnID, critical }) => [extnID, critical])).toEqual([
      ['2.5.29.35', false],
      ['2.5.29.20', false],
    ]);
  });

  it('gives every entry its reason and never an empty list of extensions', async () => {
    const entries = sampleEntries(REASONS.length * 20);
    const crl = parseWithPkijs(await sign(build(entries).tbsDer));
    const found = crl.revokedCertificates?.map(({ crlEntryExtensions }) =>
      crlEntryExtensions?.extensions.map(({ extnID, critical, extnValue }) => [
        extnID,
        critical,
        Buffer.from(extnValue.valueBlock.valueHexView).toString('hex'),
      ]),
    );
    expect(found).toEqual(
      entries.map(({ reason }) => [['2.5.29.21', false, `0a010${REVOCATION_REASONS[reason].toString(16)}`]]),
    );
    // SEQUENCE {} is 3000; nothing in these structures may be one. Serials and dates never contain the pair at an
    // element's beginning, so the check is on parsed elements, not on raw bytes.
    const emptySequences = (block: asn1js.BaseBlock): number =>
      block instanceof asn1js.Sequence
        ? (block.valueBlock.value.length === 0 ? 1 : 0) +
          block.valueBlock.value.reduce((sum, child) => sum + emptySequences(child), 0)
        : 0;
    expect(emptySequences(asn1js.fromBER(build(entries).tbsDer, { maxNodes: 100_000 }).result)).toBe(0);
  });

  it('reads back as the entries it was built from', () => {
    const entry = fc.record({
      serial: fc.bigInt({ min: 1n, max: (1n << 159n) - 1n }),
      revokedAt: fc.date({ min: new Date('2020-01-01'), max: new Date('2060-01-01'), noInvalidDate: true }),
      reason: fc.constantFrom(...REASONS),
      invalidityDate: fc.option(
        fc.date({ min: new Date('2020-01-01'), max: new Date('2026-01-01'), noInvalidDate: true }),
        { nil: undefined },
      ),
    });
    const lists = fc.uniqueArray(entry, { selector: ({ serial }) => serial, maxLength: 30 });
    fc.assert(
      fc.property(lists, fc.bigInt({ min: 0n, max: (1n << 159n) - 1n }), (list, crlNumber) => {
        const entries = list
          .toSorted((one, other) => (one.serial < other.serial ? -1 : 1))
          .map(({ serial, invalidityDate, ...rest }) => ({
            serialHex: contentHex(serial),
            ...rest,
            ...(invalidityDate === undefined ? {} : { invalidityDate }),
          }));
        const built = build(entries, { crlNumber });
        const read = readCrl(built.tbsDer);
        expect(read.crlNumber).toBe(crlNumber);
        expect(read.nextUpdate).toEqual(built.nextUpdate);
        expect([...read.entries]).toEqual(
          entries.map(({ serialHex, revokedAt, reason, ...rest }) => [
            serialHex,
            {
              revokedAt: wholeSecond(revokedAt),
              reason,
              reasonCode: REVOCATION_REASONS[reason],
              invalidityDate: 'invalidityDate' in rest ? wholeSecond(rest.invalidityDate) : undefined,
            },
          ]),
        );
        expect(built.entryCount).toBe(entries.length);
      }),
      { numRuns: 60 },
    );
  });

  it('reads alike with pkijs and with our reader', async () => {
    const entries = sampleEntries(50);
    const crlDer = await sign(build(entries).tbsDer);
    const theirs = parseWithPkijs(crlDer).revokedCertificates?.map(({ userCertificate, revocationDate }) => [
      Buffer.from(userCertificate.valueBlock.valueHexView).toString('hex'),
      revocationDate.value,
    ]);
    expect(theirs).toEqual(
      Array.from(readCrl(crlDer).entries, ([serialHex, { revokedAt }]) => [serialHex, revokedAt]),
    );
  });

  test.each([
    ['a serial twice', ['11', '11']],
    ['serials out of order', ['22', '11']],
    ['a long serial before a short one', ['0111', '22']],
    ['a padded serial after a greater one', ['0100', '00ff']],
    ['capital letters', ['7A']],
    ['an odd number of digits', ['123']],
    ['a character that has the low bits of a digit', ['7\u00b1']],
    ['another, of two octets', ['\u01371']],
    ['what stands beside the digits', ['1:']],
    ['a negative serial', ['80']],
    ['a needless zero', ['0011']],
    ['serial zero', ['00']],
    ['nothing', ['']],
    ['21 octets', ['11'.repeat(21)]],
  ])('is not built from entries with %s', (_what, serials) => {
    const entries = serials.map((serialHex) => ({
      serialHex,
      revokedAt: NOW,
      reason: 'superseded' as const,
    }));
    expect(() => build(entries)).toThrow(RangeError);
  });

  it('is not built with a negative number', () => {
    expect(() => build([], { crlNumber: -1n })).toThrow(RangeError);
  });
});

const contentHex = (serial: bigint) => {
  const hex = serial.toString(16);
  const even = hex.length % 2 === 0 ? hex : `0${hex}`;
  return /^[89a-f]/.test(even) ? `00${even}` : even;
};

describe('building a CRL', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  /** Bytes allocated by Buffer, and how often entries were looked at, while a CRL of so many entries is built. */
  function work(count: number) {
    const seen = { lookedAt: 0, allocated: 0 };
    const entries = sampleEntries(count);
    function* once(): Generator<CrlEntry> {
      for (const entry of entries) {
        yield {
          ...entry,
          get serialHex() {
            seen.lookedAt += 1;
            return entry.serialHex;
          },
        };
      }
    }
    const concat = Buffer.concat;
    const alloc = Buffer.allocUnsafe;
    vi.spyOn(Buffer, 'concat').mockImplementation((list, length) => {
      const result = concat(list, length);
      seen.allocated += result.length;
      return result;
    });
    vi.spyOn(Buffer, 'allocUnsafe').mockImplementation((size) => {
      seen.allocated += size;
      return alloc(size);
    });
    const { tbsDer } = build(once());
    vi.restoreAllMocks();
    return { ...seen, length: tbsDer.length };
  }

  it('looks at each entry once, however many there are', () => {
    expect(work(100).lookedAt).toBe(100);
    expect(work(10_000).lookedAt).toBe(10_000);
  });

  it('moves a number of bytes that grows with the entries and no faster', () => {
    const few = work(1000);
    const many = work(16_000);
    // A doubling buffer moves less than 2n, three enclosing elements n each; a list copied for each entry would move
    // n²/2, which is thousands of times more at this size.
    expect(few.allocated / few.length).toBeLessThan(10);
    expect(many.allocated / many.length).toBeLessThan(10);
  });

  it('spends the same bytes on every entry: 51 with an 18-octet serial and a reason', () => {
    const list = readCrlHeader(build(sampleEntries(1000)).tbsDer).revokedCertificates;
    expect(list?.content).toHaveLength(51 * 1000);
  });

  it('reads its entries from a stream', () => {
    const stream = sampleEntries(10).values();
    expect(build(stream).entryCount).toBe(10);
  });
});

describe('verifying a CRL', () => {
  it('says yes for its issuer', async () => {
    expect(verifyCrl(await sign(build(sampleEntries(2)).tbsDer), ca.issuing.certificateDer)).toBe(true);
  });

  it('says no for another issuer', async () => {
    expect(verifyCrl(await sign(build([]).tbsDer), ca.root.certificateDer)).toBe(false);
  });

  it('says no after any single byte was changed', async () => {
    const crlDer = await sign(build(sampleEntries(2)).tbsDer);
    fc.assert(
      fc.property(fc.nat(crlDer.length - 1), fc.integer({ min: 1, max: 255 }), (index, change) => {
        const changed = Uint8Array.from(crlDer);
        changed[index] = (changed[index] ?? 0) ^ change;
        expect(verifyCrl(changed, ca.issuing.certificateDer)).toBe(false);
      }),
      { numRuns: 500, seed: 20261122 },
    );
  });

  test.each([
    ['what is not signed yet', () => build([]).tbsDer],
    ['a certificate', () => ca.issuing.certificateDer],
    ['nothing', () => new Uint8Array()],
  ])('says no, rather than failing, for %s', (_what, bytes) => {
    expect(verifyCrl(bytes(), ca.issuing.certificateDer)).toBe(false);
  });
});

describe('reading a CRL', () => {
  test.each([
    ['an HTML page', Buffer.from('<!doctype html>')],
    ['nothing', new Uint8Array()],
    ['an empty sequence', Uint8Array.of(0x30, 0)],
  ])('refuses %s with a sentence', (_what, bytes) => {
    expect(() => readCrl(bytes)).toThrow(
      expect.objectContaining({
        code: 'publication-refused',
        message: expect.stringContaining('The CRL cannot be read'),
      }),
    );
  });

  it('refuses one that is cut short', async () => {
    const crlDer = await sign(build([]).tbsDer);
    expect(() => readCrl(crlDer.subarray(0, -1))).toThrow('cut short');
  });
});

describe.skipIf(!opensslInstalled)('OpenSSL, reading a CRL,', () => {
  const at = `${Math.floor(NOW.getTime() / 1000) + 60}`;

  it('shows number, dates, reasons and invalidity date', async () => {
    const entries: readonly CrlEntry[] = [
      { serialHex: `11${'22'.repeat(17)}`, revokedAt: NOW, reason: 'affiliationChanged' },
      {
        serialHex: `33${'44'.repeat(17)}`,
        revokedAt: NOW,
        reason: 'keyCompromise',
        invalidityDate: new Date('2026-11-01T00:00:00Z'),
      },
    ];
    const { text } = openssl(['crl', '-in', 'a.crl', '-inform', 'DER', '-noout', '-text'], {
      'a.crl': await sign(build(entries).tbsDer),
    });
    expect(text.replaceAll(/\s+/g, ' ')).toMatch(
      new RegExp(
        [
          'Version 2',
          'sha256WithRSAEncryption',
          'Last Update: Nov 22 10:00:00 2026 GMT Next Update: Nov 29 10:00:00 2026 GMT',
          'X509v3 CRL Number: 7',
          `Serial Number: 11${'22'.repeat(17)}.*Affiliation Changed`,
          `Serial Number: 33${'44'.repeat(17)}.*Key Compromise.*Invalidity Date: Nov 1 00:00:00 2026 GMT`,
        ].join('.*'),
      ),
    );
  });

  it('sees five thousand entries and a signature that verifies', async () => {
    const entries = sampleEntries(5000);
    const { text } = openssl(
      ['crl', '-in', 'a.crl', '-inform', 'DER', '-noout', '-text', '-CAfile', 'issuing.pem'],
      {
        'a.crl': await sign(build(entries).tbsDer),
        'issuing.pem': derToPem('CERTIFICATE', ca.issuing.certificateDer),
      },
    );
    const serials = Array.from(text.matchAll(/Serial Number: ([0-9A-F]+)/g), (match) =>
      match[1]?.toLowerCase(),
    );
    expect(serials).toEqual(entries.map(({ serialHex }) => serialHex));
    expect(text).toContain('verify OK');
  });

  it('parses every element to the end', async () => {
    const { status } = openssl(['asn1parse', '-inform', 'DER', '-in', 'a.crl'], {
      'a.crl': await sign(build(sampleEntries(20)).tbsDer),
    });
    expect(status).toBe(0);
  });

  const verify = async (revoked: boolean, purpose: string) => {
    const leafDer = await ca.leaf({ serialHex: `66${'77'.repeat(17)}` });
    const serialHex = revoked ? `66${'77'.repeat(17)}` : `66${'78'.repeat(17)}`;
    const crlDer = await sign(build([{ serialHex, revokedAt: NOW, reason: 'superseded' }]).tbsDer);
    return openssl(
      [
        ...['verify', '-x509_strict', '-crl_check_all', '-purpose', purpose, '-attime', at],
        ...['-CAfile', 'trust.pem', '-untrusted', 'issuing.pem', 'leaf.pem'],
      ],
      {
        'trust.pem':
          derToPem('CERTIFICATE', ca.root.certificateDer) +
          derToPem('X509 CRL', ca.root.crlDer) +
          derToPem('X509 CRL', crlDer),
        'issuing.pem': derToPem('CERTIFICATE', ca.issuing.certificateDer),
        'leaf.pem': derToPem('CERTIFICATE', leafDer),
      },
    ).text;
  };

  test.each(['smimesign', 'smimeencrypt'])(
    'checks the whole chain against both CRLs and accepts the leaf for %s',
    async (purpose) => {
      expect(await verify(false, purpose)).toContain('leaf.pem: OK');
    },
  );

  it('refuses the leaf once its serial is listed', async () => {
    expect(await verify(true, 'smimesign')).toContain('certificate revoked');
  });
});
