import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { madeOffline, recordedPartsInLedger } from '../../shared/domain/recorded.ts';
import { buildCrl, type CrlEntry } from '../../shared/pki/crl.ts';
import { CrlBody } from '../../shared/pki/crl-body.ts';
import { CrlBuilder } from '../../shared/pki/crl-builder.ts';
import { EntryCursor, entryRuns, Listing } from '../../shared/pki/crl-entries.ts';
import { CrlPartsReader, passing, readThrough, signedParts, whole } from '../../shared/pki/crl-parts.ts';
import { crlKeyIdentifier, crlNumberOf, readCrl, readCrlHeader } from '../../shared/pki/crl-reader.ts';
import { checkSuccession } from '../../shared/pki/crl-succession.ts';
import { assertPartsSuccession } from '../../shared/pki/crl-succession-parts.ts';
import { CrlVerifier } from '../../shared/pki/crl-verifier.ts';
import { issueCrl, issueCrlParts } from '../../shared/pki/issue.ts';
import { drawSerial } from '../../shared/pki/serial.ts';
import { DAY, NOW, type SampleAuthority, sampleAuthority, seededRandom } from './sample-authority.ts';

let ca: SampleAuthority;
let crlDer: Uint8Array;
let tbsDer: Uint8Array;
beforeAll(async () => {
  ca = await sampleAuthority();
  ({ tbsDer } = built(7n, NOW, entriesOf(60)));
  crlDer = await sign(tbsDer);
});

function entriesOf(count: number): readonly CrlEntry[] {
  const random = seededRandom('parts');
  return Array.from({ length: count }, () => drawSerial(random))
    .toSorted()
    .map((serialHex, index) => ({
      serialHex,
      revokedAt: new Date(NOW.getTime() - index * 61_000),
      reason: index % 2 === 0 ? 'superseded' : 'keyCompromise',
      ...(index % 7 === 0 ? { invalidityDate: new Date(NOW.getTime() - index * 1000) } : {}),
    }));
}

const built = (crlNumber: bigint, now: Date, entries: readonly CrlEntry[]) =>
  buildCrl({ issuerCertificateDer: ca.issuing.certificateDer, crlNumber, now, entries });
const sign = (tbs: Uint8Array) =>
  issueCrl({
    tbsDer: madeOffline(tbs),
    issuerCertificateDer: ca.issuing.certificateDer,
    signer: ca.issuingSigner,
    signingTime: NOW,
  });

/** The same bytes in parts of these lengths, over and over. */
function* cut(bytes: Uint8Array, lengths: readonly number[]): Generator<Uint8Array> {
  for (let at = 0, index = 0; at < bytes.length; index += 1) {
    const length = lengths[index % lengths.length] ?? 1;
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

const recorded = (parts: Iterable<Uint8Array>) => recordedPartsInLedger(passing(parts, () => undefined));

const cuts = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 5 });

async function read(parts: Iterable<Uint8Array>) {
  const tbs: Uint8Array[] = [];
  const reader = new CrlPartsReader((bytes) => tbs.push(Uint8Array.from(bytes)));
  const cursor = new EntryCursor(entryRuns(parts, reader));
  const serials: string[] = [];
  do while (cursor.step()) serials.push(cursor.entry.serialHex);
  while (await cursor.refill());
  const end = reader.end();
  crlNumberOf(end.header);
  crlKeyIdentifier(end.header);
  return { serials, ...end, tbs: Buffer.concat(tbs) };
}

describe('a CRL in parts', () => {
  it('is read as the whole is, wherever it is cut', async () => {
    const { entries } = readCrl(crlDer);
    const { revokedCertificates: _list, tbsDer: _tbs, ...header } = readCrlHeader(crlDer);
    await fc.assert(
      fc.asyncProperty(cuts, async (lengths) => {
        const parts = await read(cut(crlDer, lengths));
        expect(parts.serials).toEqual([...entries.keys()]);
        expect(parts.header).toMatchObject({ ...header, revokedCertificates: undefined });
        expect(parts.byteLength).toBe(crlDer.length);
        expect(Buffer.compare(parts.tbs, tbsDer)).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  it('that lists nobody has no list, and a to-be-signed one is read like a signed one', async () => {
    const empty = await read(cut(await sign(built(1n, NOW, []).tbsDer), [50]));
    expect([empty.hasList, empty.serials]).toEqual([false, []]);
    const unsigned = await read(cut(tbsDer, [90]));
    expect([unsigned.hasList, unsigned.serials.length, unsigned.header.signed]).toEqual([
      true,
      60,
      undefined,
    ]);
  });

  it('of changed bytes is refused where the whole is, or says the same as the whole', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(crlDer.length - 1),
        fc.integer({ min: 1, max: 255 }),
        cuts,
        async (index, change, lengths) => {
          const changed = Uint8Array.from(crlDer);
          changed[index] = (changed[index] ?? 0) ^ change;
          let inOne: readonly string[] | undefined;
          try {
            inOne = [...readCrl(changed).entries.keys()];
          } catch {
            inOne = undefined;
          }
          const inParts = await read(cut(changed, lengths)).catch(() => undefined);
          // Lists that do not ascend are left to the reader of whole CRLs.
          if (inParts !== undefined) expect(inParts.serials).toEqual(inOne);
          else if (inOne !== undefined) expect(inOne).not.toEqual(inOne.toSorted());
        },
      ),
      { numRuns: 600, seed: 20261129 },
    );
  });

  it.each([0, 1, 5, 300, -1])('that ends after %s bytes is refused', async (length) => {
    await expect(readThrough([crlDer.subarray(0, length)], new CrlPartsReader())).rejects.toThrow();
  });

  it('is verified over its to-be-signed bytes, under its own issuer alone', async () => {
    const verified = async (der: Uint8Array, certificateDer = ca.issuing.certificateDer) => {
      const verifier = new CrlVerifier(certificateDer);
      const { header } = await readThrough(cut(der, [64]), new CrlPartsReader(verifier.digest));
      return verifier.verifies(header);
    };
    expect(await verified(crlDer)).toBe(true);
    expect(await verified(crlDer, ca.root.certificateDer)).toBe(false);
    expect(await verified(crlDer.with(-1, (crlDer.at(-1) ?? 0) ^ 1))).toBe(false);
    const serialAt = Buffer.from(crlDer).indexOf(entriesOf(60)[30]?.serialHex ?? '', 'hex') + 10;
    expect(await verified(crlDer.with(serialAt, (crlDer[serialAt] ?? 0) ^ 1))).toBe(false);
    expect(await verified(tbsDer)).toBe(false);
  });

  it('says which serials it lists, in portions, and again from the beginning', async () => {
    const serials = entriesOf(60).map(({ serialHex }) => serialHex);
    const others = ['0100', `41${'00'.repeat(17)}`, '7f'.repeat(18)];
    const asked = [...serials, ...others].sort();
    const listing = new Listing(() => cut(crlDer, [333]));
    expect(await listing.filter(asked.slice(0, 20))).toEqual(
      asked.slice(0, 20).filter((one) => !others.includes(one)),
    );
    expect(await listing.filter(asked.slice(20))).toEqual(
      asked.slice(20).filter((one) => !others.includes(one)),
    );
    expect(await listing.filter(asked)).toEqual(serials);
    expect(await listing.filter([])).toEqual([]);
  });
});

describe('building a CRL of which nobody has the whole', () => {
  const parts = async (entries: readonly CrlEntry[]) => {
    const builder = new CrlBuilder({
      issuerCertificateDer: ca.issuing.certificateDer,
      crlNumber: 7n,
      now: NOW,
    });
    const blocks: Uint8Array[] = [];
    for (const entry of entries) {
      builder.append(entry);
      blocks.push(...builder.takeFinished());
    }
    blocks.push(...builder.takeRest());
    const { head, tail } = builder.around();
    return [head, ...blocks, tail];
  };

  it.each([0, 1, 60, 9000])('with %s entries gives the bytes of the whole', async (count) => {
    const entries = entriesOf(count);
    const inParts = Buffer.concat(await parts(entries));
    expect(Buffer.compare(inParts, built(7n, NOW, entries).tbsDer)).toBe(0);
    const { endDer } = await issueCrlParts({
      tbsParts: recorded(cut(inParts, [4096])),
      issuerCertificateDer: ca.issuing.certificateDer,
      signer: ca.issuingSigner,
      signingTime: NOW,
    });
    expect(Buffer.compare(await whole(signedParts([inParts], endDer)), await sign(inParts))).toBe(0);
  });

  it('has all blocks but one in common with a list that has one entry more, wherever it is', () => {
    const entries = entriesOf(20_000);
    const blocksOf = (listed: readonly CrlEntry[]) => {
      const body = new CrlBody();
      for (const entry of listed) body.append(entry);
      return body.takeRest().map((block) => Buffer.from(block).toString('latin1'));
    };
    const all = blocksOf(entries);
    expect(all.length).toBeGreaterThan(3);
    for (const left of [0, 9_999, 19_999]) {
      const known = new Set(blocksOf(entries.toSpliced(left, 1)));
      expect(all.filter((block) => !known.has(block)).length, `without entry ${left}`).toBeLessThanOrEqual(2);
    }
  });

  it('signs nothing when a part, an entry or the header is refused on the way', async () => {
    const used: string[] = [];
    const signer = {
      ...ca.issuingSigner,
      signParts: async (all: Iterable<Uint8Array> | AsyncIterable<Uint8Array>) => {
        await whole(all);
        used.push('signed');
        return new Uint8Array();
      },
    };
    const request = { issuerCertificateDer: ca.issuing.certificateDer, signer, signingTime: NOW };
    const stop = () => Promise.reject(new Error('Stop.'));
    const tbsParts = () => recorded(cut(tbsDer, [100]));
    await expect(issueCrlParts({ ...request, tbsParts: tbsParts(), onEntries: stop })).rejects.toThrow(
      'Stop.',
    );
    await expect(issueCrlParts({ ...request, tbsParts: tbsParts(), onHeader: stop })).rejects.toThrow(
      'Stop.',
    );
    const late = { ...request, tbsParts: tbsParts(), signingTime: new Date(NOW.getTime() + 8 * DAY) };
    await expect(issueCrlParts(late)).rejects.toMatchObject({ code: 'lint-failed' });
    await expect(
      issueCrlParts({ ...request, tbsParts: recorded(cut(tbsDer.subarray(0, -3), [100])) }),
    ).rejects.toMatchObject({ code: 'lint-failed' });
    expect(used).toEqual([]);
    await expect(issueCrlParts({ ...request, tbsParts: tbsParts() })).rejects.toMatchObject({
      code: 'ca-key-unusable',
    });
    expect(used).toEqual(['signed']);
  });
});

describe('one CRL after another, both in parts', () => {
  it('has the objections that there are to the whole ones', async () => {
    const all = entriesOf(12);
    const later = new Date(NOW.getTime() + DAY);
    interface Side {
      readonly listed: readonly boolean[];
      readonly number: bigint;
      readonly reason: CrlEntry['reason'];
      readonly changed: number;
    }
    const side: fc.Arbitrary<Side> = fc.record({
      listed: fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }),
      number: fc.bigInt({ min: 1n, max: 3n }),
      reason: fc.constantFrom('superseded' as const, 'cessationOfOperation' as const),
      changed: fc.nat(11),
    });
    const made = ({ listed, number, reason, changed }: Side, now: Date) =>
      built(
        number,
        now,
        all.flatMap((entry, index) => {
          if (listed[index] !== true) return [];
          return [index === changed ? { ...entry, reason } : entry];
        }),
      ).tbsDer;
    const endOf = (serialHex: string) =>
      Number.parseInt(serialHex.slice(-1), 16) % 2 === 0 ? new Date(NOW.getTime() - DAY) : later;
    await fc.assert(
      fc.asyncProperty(side, side, cuts, async (before, after, lengths) => {
        const [previous, next] = [made(before, NOW), made(after, later)];
        const objections = checkSuccession(readCrl(previous), readCrl(next), {
          now: later,
          notAfterOf: endOf,
        });
        const inParts = assertPartsSuccession(cut(previous, lengths), cut(next, lengths), {
          now: later,
          notAfterOf: async (serialHex) => endOf(serialHex),
        });
        if (objections.length === 0) await inParts;
        else {
          const error = await inParts.then(
            () => expect.unreachable(),
            (thrown: Error) => thrown,
          );
          expect(error).toMatchObject({ code: 'publication-refused' });
          const shown = objections.length > 10 ? [] : objections;
          for (const objection of shown) expect(error.message).toContain(objection);
        }
      }),
      { numRuns: 80 },
    );
  });
});
