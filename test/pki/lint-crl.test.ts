import { beforeAll, describe, expect, it, test } from 'vitest';
import { readCertificate } from '../../shared/pki/certificate.ts';
import { assembleCrl, buildCrl } from '../../shared/pki/crl.ts';
import {
  contextPrimitive,
  enumerated,
  generalizedTime,
  integer,
  integerFromHex,
  nullValue,
  octetString,
  oid,
  sequence,
  time,
  tlv,
} from '../../shared/pki/der.ts';
import { CRL_RULES, type CrlRuleId, lintCrl } from '../../shared/pki/lint-crl.ts';
import { CRL_OIDS, EXTENSION_OIDS } from '../../shared/pki/oids.ts';
import { encodeExtension } from '../../shared/pki/tbs.ts';
import { withCrlParts } from './mutate.ts';
import { DAY, NOW, type SampleAuthority, sampleAuthority } from './sample-authority.ts';

let ca: SampleAuthority;
let crl: Uint8Array;
let authorityKey: Uint8Array;
beforeAll(async () => {
  ca = await sampleAuthority();
  crl = buildCrl({
    issuerCertificateDer: ca.issuing.certificateDer,
    crlNumber: 5n,
    now: NOW,
    entries: [{ serialHex: '11'.repeat(18), revokedAt: NOW, reason: 'superseded' }],
  }).tbsDer;
  const ski = readCertificate(ca.issuing.certificateDer).extensions.find(
    (extension) => extension.oid === EXTENSION_OIDS.subjectKeyIdentifier,
  );
  authorityKey = encodeExtension(
    EXTENSION_OIDS.authorityKeyIdentifier,
    false,
    sequence(contextPrimitive(0, (ski?.value ?? new Uint8Array(2)).subarray(2))),
  );
});

const lint = (der: Uint8Array, signingTime = NOW) =>
  lintCrl(der, { issuerCertificateDer: ca.issuing.certificateDer, signingTime });
const rules = (der: Uint8Array, signingTime = NOW) => lint(der, signingTime).map(({ rule }) => rule);

const number = (value: Uint8Array = integer(5)) => encodeExtension(CRL_OIDS.cRLNumber, false, value);
const at = time(new Date('2026-11-22T10:00:00Z'));
const serial = integerFromHex('11'.repeat(18));
const reason = (code: number, critical = false) =>
  encodeExtension(CRL_OIDS.reasonCode, critical, enumerated(code));
const entry = (...extensions: readonly Uint8Array[]) =>
  sequence(serial, at, ...(extensions.length === 0 ? [] : [sequence(...extensions)]));
const listOf = (...entries: readonly Uint8Array[]) => ({ revoked: [sequence(...entries)] });

const MUTANTS: readonly {
  readonly what: string;
  readonly der: () => Uint8Array;
  readonly rules: readonly CrlRuleId[];
  readonly signingTime?: Date;
}[] = [
  { what: 'a byte after its end', der: () => Buffer.concat([crl, Uint8Array.of(0)]), rules: ['crl-der'] },
  { what: 'no version', der: () => withCrlParts(crl, { version: [] }), rules: ['crl-version'] },
  {
    what: 'SHA-1',
    der: () => withCrlParts(crl, { algorithm: sequence(oid('1.2.840.113549.1.1.5'), nullValue()) }),
    rules: ['crl-signature-algorithm'],
  },
  {
    what: 'another algorithm outside than inside',
    der: () => assembleCrl(crl, 'sha512WithRSA', new Uint8Array(256)),
    rules: ['crl-signature-algorithm'],
  },
  {
    what: 'the root’s name',
    der: () => withCrlParts(crl, { issuer: readCertificate(ca.root.certificateDer).subjectDer }),
    rules: ['crl-issuer-dn'],
  },
  {
    what: 'a thisUpdate 61 seconds in the future',
    der: () => crl,
    signingTime: new Date('2026-11-22T09:58:59Z'),
    rules: ['crl-this-update'],
  },
  {
    what: 'a thisUpdate a day and a second ago',
    der: () => crl,
    signingTime: new Date('2026-11-23T10:00:01Z'),
    rules: ['crl-this-update'],
  },
  { what: 'no nextUpdate', der: () => withCrlParts(crl, { nextUpdate: [] }), rules: ['crl-next-update'] },
  {
    what: 'a nextUpdate ten days and a second later',
    der: () => withCrlParts(crl, { nextUpdate: [time(new Date('2026-12-02T10:00:01Z'))] }),
    rules: ['crl-next-update'],
  },
  {
    what: 'a nextUpdate that is its thisUpdate',
    der: () => withCrlParts(crl, { nextUpdate: [at] }),
    rules: ['crl-next-update'],
  },
  {
    what: 'GeneralizedTime for 2026',
    der: () => withCrlParts(crl, { nextUpdate: [generalizedTime(new Date('2026-11-29T10:00:00Z'))] }),
    rules: ['crl-time-encoding'],
  },
  {
    what: 'a revocation date in GeneralizedTime for 2026',
    der: () =>
      withCrlParts(
        crl,
        listOf(sequence(serial, generalizedTime(new Date('2026-11-22T10:00:00Z')), sequence(reason(4)))),
      ),
    rules: ['crl-time-encoding'],
  },
  {
    what: 'no extensions',
    der: () => withCrlParts(crl, { extensions: [] }),
    rules: ['crl-extensions', 'crl-authority-key-identifier', 'crl-number'],
  },
  {
    what: 'an issuingDistributionPoint',
    der: () =>
      withCrlParts(crl, {
        extensions: [
          authorityKey,
          number(),
          encodeExtension(CRL_OIDS.issuingDistributionPoint, true, sequence()),
        ],
      }),
    rules: ['crl-extensions'],
  },
  {
    what: 'a delta CRL indicator',
    der: () =>
      withCrlParts(crl, {
        extensions: [authorityKey, number(), encodeExtension('2.5.29.27', true, integer(1))],
      }),
    rules: ['crl-extensions'],
  },
  {
    what: 'a critical CRL number',
    der: () =>
      withCrlParts(crl, {
        extensions: [authorityKey, encodeExtension(CRL_OIDS.cRLNumber, true, integer(5))],
      }),
    rules: ['crl-extensions'],
  },
  {
    what: 'the key identifier of somebody else',
    der: () =>
      withCrlParts(crl, {
        extensions: [
          encodeExtension(
            EXTENSION_OIDS.authorityKeyIdentifier,
            false,
            sequence(contextPrimitive(0, new Uint8Array(20))),
          ),
          number(),
        ],
      }),
    rules: ['crl-authority-key-identifier'],
  },
  {
    what: 'a negative number',
    der: () => withCrlParts(crl, { extensions: [authorityKey, number(Uint8Array.of(2, 1, 0xff))] }),
    rules: ['crl-number'],
  },
  {
    what: 'a number of 21 octets',
    der: () => withCrlParts(crl, { extensions: [authorityKey, number(integer(1n << 160n))] }),
    rules: ['crl-number'],
  },
  { what: 'an empty list', der: () => withCrlParts(crl, listOf()), rules: ['crl-empty-list'] },
  {
    what: 'an empty list of entry extensions',
    der: () => withCrlParts(crl, listOf(sequence(serial, at, sequence()))),
    rules: ['crl-der'],
  },
  {
    what: 'serial zero',
    der: () => withCrlParts(crl, listOf(sequence(integer(0), at, sequence(reason(4))))),
    rules: ['crl-entry-serial'],
  },
  {
    what: 'a negative serial',
    der: () => withCrlParts(crl, listOf(sequence(tlv(0x02, Uint8Array.of(0x81)), at, sequence(reason(4))))),
    rules: ['crl-entry-serial'],
  },
  {
    what: 'a serial twice',
    der: () => withCrlParts(crl, listOf(entry(reason(4)), entry(reason(4)))),
    rules: ['crl-entry-order'],
  },
  {
    what: 'serials out of order',
    der: () =>
      withCrlParts(
        crl,
        listOf(
          sequence(integerFromHex('0200'), at, sequence(reason(4))),
          sequence(integerFromHex('02'), at, sequence(reason(4))),
        ),
      ),
    rules: ['crl-entry-order'],
  },
  {
    what: 'an entry without a reason',
    der: () => withCrlParts(crl, listOf(entry())),
    rules: ['crl-entry-extensions'],
  },
  {
    what: 'a critical reason',
    der: () => withCrlParts(crl, listOf(entry(reason(4, true)))),
    rules: ['crl-entry-extensions'],
  },
  {
    what: 'a certificate issuer in an entry',
    der: () => withCrlParts(crl, listOf(entry(reason(4), encodeExtension('2.5.29.29', true, sequence())))),
    rules: ['crl-entry-extensions'],
  },
  ...([0, 2, 6, 8, 10] as const).map((code) => ({
    what: `reason ${code}`,
    der: () => withCrlParts(crl, listOf(entry(reason(code)))),
    rules: ['crl-entry-reason'] as const,
  })),
];

describe('the CRL linter', () => {
  it('finds nothing in a CRL as it is built, empty or not, and once it is taken apart and put together', () => {
    const empty = buildCrl({
      issuerCertificateDer: ca.issuing.certificateDer,
      crlNumber: 0n,
      now: NOW,
      entries: [],
    });
    expect([...lint(crl), ...lint(empty.tbsDer), ...lint(withCrlParts(crl, {}))]).toEqual([]);
  });

  it('accepts a thisUpdate a minute ahead of a slow signer’s clock, and one a day old', () => {
    expect(rules(crl, new Date('2026-11-22T09:59:00Z'))).toEqual([]);
    expect(rules(crl, new Date('2026-11-23T10:00:00Z'))).toEqual([]);
  });

  it('accepts a nextUpdate of exactly ten days and an invalidity date', () => {
    const invalidity = encodeExtension(CRL_OIDS.invalidityDate, false, octetString(at).subarray(2));
    expect(rules(withCrlParts(crl, { nextUpdate: [time(new Date('2026-12-02T10:00:00Z'))] }))).toEqual([]);
    expect(
      rules(
        withCrlParts(
          crl,
          listOf(
            entry(
              reason(1),
              encodeExtension(CRL_OIDS.invalidityDate, false, generalizedTime(new Date('2026-01-01'))),
            ),
          ),
        ),
      ),
    ).toEqual([]);
    // UTCTime is not what an invalidity date may be.
    expect(rules(withCrlParts(crl, listOf(entry(reason(1), invalidity))))).toEqual(['crl-der']);
  });

  test.each(MUTANTS.map((mutant) => [mutant.what, mutant] as const))('refuses %s', (_what, mutant) => {
    expect(rules(mutant.der(), mutant.signingTime).toSorted()).toEqual(mutant.rules.toSorted());
  });

  it('refuses an issuer whose key may not sign CRLs', async () => {
    const findings = lintCrl(crl, { issuerCertificateDer: await ca.leaf(), signingTime: NOW });
    expect(findings.map(({ rule }) => rule)).toContain('crl-issuer-may-sign');
  });

  it('holds a root’s CRL to twelve months instead of ten days', () => {
    const issuer = readCertificate(ca.root.certificateDer);
    const rootCrl = (days: number) =>
      withCrlParts(
        buildCrl({
          issuerCertificateDer: ca.root.certificateDer,
          crlNumber: 1n,
          now: NOW,
          entries: [],
          signatureAlgorithm: 'sha384WithRSA',
        }).tbsDer,
        {
          issuer: issuer.subjectDer,
          nextUpdate: [time(new Date(Date.parse('2026-11-22T10:00:00Z') + days * DAY))],
        },
      );
    const lintRoot = (days: number) =>
      lintCrl(rootCrl(days), { issuerCertificateDer: ca.root.certificateDer, signingTime: NOW }).map(
        ({ rule }) => rule,
      );
    expect(lintRoot(365)).toEqual([]);
    expect(lintRoot(366)).toEqual(['crl-next-update']);
  });

  it('is shown to refuse each of its rules', () => {
    const shown: readonly string[] = [...MUTANTS.flatMap((mutant) => mutant.rules), 'crl-issuer-may-sign'];
    expect(Object.keys(CRL_RULES).filter((rule) => !shown.includes(rule))).toEqual([]);
  });

  it('reports a rule once, by its first breach, however many entries break it', () => {
    const bad = Array.from({ length: 50 }, (_, index) =>
      sequence(integer(index + 1), at, sequence(reason(0))),
    );
    expect(lint(withCrlParts(crl, listOf(...bad)))).toMatchObject([
      { rule: 'crl-entry-reason', found: '01: reason 0' },
    ]);
  });
});
