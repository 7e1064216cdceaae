import { X509Certificate } from 'node:crypto';
import * as pkijs from 'pkijs';
import { beforeAll, describe, expect, it, test } from 'vitest';
import { createAuthority, makeIssuing, makeRoot } from '../../shared/pki/authority.ts';
import { readCertificate } from '../../shared/pki/certificate.ts';
import { assertChain } from '../../shared/pki/chain.ts';
import { readCrl, verifyCrl } from '../../shared/pki/crl-reader.ts';
import { TAGS } from '../../shared/pki/der-reader.ts';
import { EXAMPLE_POLICY_OID } from '../../shared/pki/oids.ts';
import { derToPem } from '../../shared/pki/pem.ts';
import { drawSerial } from '../../shared/pki/serial.ts';
import { signerFromPkcs8 } from '../../shared/pki/signer.ts';
import { openssl, opensslInstalled } from './openssl.ts';
import { DAY, NOW, type SampleAuthority, sampleAuthority, seededRandom } from './sample-authority.ts';

let ca: SampleAuthority;
beforeAll(async () => {
  ca = await sampleAuthority();
});

const subject = { country: 'DE', organization: 'Acme GmbH', commonName: 'Acme S/MIME Issuing CA 2' };

const issuingRequest = () => ({
  root: { certificateDer: ca.root.certificateDer, signer: ca.rootSigner },
  subject,
  spkiDer: ca.userKey.spkiDer,
  serialHex: drawSerial(ca.random),
  now: NOW,
  rootCrlUrl: 'http://pki.acme.example/root.crl',
  rootUrl: 'http://pki.acme.example/root.cer',
  policyOids: { own: EXAMPLE_POLICY_OID },
});

describe('a root', () => {
  it('signs itself with SHA-384 and is good for twenty years to the second', () => {
    const root = new X509Certificate(ca.root.certificateDer);
    expect(root.checkIssued(root) && root.verify(root.publicKey)).toBe(true);
    expect(root.validFromDate.toISOString()).toBe('2026-11-22T09:55:00.000Z');
    expect(root.validToDate.toISOString()).toBe('2046-11-22T09:54:59.000Z');
  });

  it('that ends after 2049 says so in GeneralizedTime', async () => {
    const later = new Date('2031-02-28T12:00:00Z');
    const rootDer = await makeRoot({
      subject: { ...subject, commonName: 'Acme S/MIME Root 2' },
      signer: ca.rootSigner,
      serialHex: drawSerial(ca.random),
      now: later,
    });
    const root = readCertificate(rootDer);
    expect([root.notBefore.form, root.notAfter.form]).toEqual(['utc', 'generalized']);
    expect(new X509Certificate(rootDer).validToDate.toISOString()).toBe('2051-02-28T11:54:59.000Z');
  });

  it('comes with an empty CRL of its own, number 1, good for half a year', () => {
    const crl = readCrl(ca.root.crlDer);
    expect(verifyCrl(ca.root.crlDer, ca.root.certificateDer)).toBe(true);
    expect([crl.crlNumber, crl.entries.size]).toEqual([1n, 0]);
    expect((crl.nextUpdate?.getTime() ?? 0) - crl.thisUpdate.getTime()).toBe(183 * DAY);
  });

  test.each([
    ['a country that is not two capital letters', { country: 'Germany' }, 'settings-invalid'],
    ['a common name that would fit any CA', { commonName: 'Root CA' }, 'lint-failed'],
    ['an organization that is a placeholder', { organization: '-' }, 'lint-failed'],
    ['a common name of 65 characters', { commonName: 'x'.repeat(65) }, 'lint-failed'],
  ])('is not made with %s', async (_what, change, code) => {
    const make = async () =>
      makeRoot({
        subject: { ...subject, ...change },
        signer: ca.rootSigner,
        serialHex: drawSerial(ca.random),
        now: NOW,
      });
    await expect(make()).rejects.toMatchObject({ kind: 'permanent', code });
  });
});

describe('an issuing CA', () => {
  it('is issued by the root for ten years, with a path length of 0', () => {
    const issuing = new X509Certificate(ca.issuing.certificateDer);
    const root = new X509Certificate(ca.root.certificateDer);
    expect(issuing.checkIssued(root) && issuing.verify(root.publicKey)).toBe(true);
    expect(issuing.validToDate.toISOString()).toBe('2036-11-22T09:54:59.000Z');
  });

  it('ends with its root where ten years would outlive it', async () => {
    const rootEnd = new X509Certificate(ca.root.certificateDer).validToDate;
    const now = new Date(rootEnd.getTime() - 1000 * DAY);
    const issuing = new X509Certificate(await makeIssuing({ ...issuingRequest(), now }));
    expect(issuing.validToDate).toEqual(rootEnd);
  });

  it('names a reserved policy beside its own only when configured', async () => {
    const policyOids = { own: EXAMPLE_POLICY_OID, reserved: '2.23.140.1.5.1.3' };
    const issuing = await makeIssuing({ ...issuingRequest(), policyOids });
    const reserved = Buffer.from('060767810c01050103', 'hex');
    expect(Buffer.from(issuing).includes(reserved)).toBe(true);
    expect(Buffer.from(ca.issuing.certificateDer).includes(reserved)).toBe(false);
  });

  it.each([
    ['an https CRL address', { rootCrlUrl: 'https://pki.acme.example/root.crl' }, 'url-scheme'],
    ['an issuer address on a platform host', { rootUrl: 'http://x.run.app/root.cer' }, 'url-host'],
    ['a reserved policy as its own', { policyOids: { own: '2.23.140.1.5.1.3' } }, 'policy-own'],
    ['anyPolicy', { policyOids: { own: '2.5.29.32.0' } }, 'policy-any'],
  ])('is not made with %s', async (_what, change, rule) => {
    await expect(makeIssuing({ ...issuingRequest(), ...change })).rejects.toMatchObject({
      code: 'lint-failed',
      message: expect.stringContaining(rule),
    });
  });

  it('is not made over its root’s own key', async () => {
    await expect(makeIssuing({ ...issuingRequest(), spkiDer: ca.rootSigner.spkiDer })).rejects.toMatchObject({
      message: expect.stringContaining('key-not-issuers'),
    });
  });

  it('is not made by a root whose key is another', async () => {
    const root = {
      certificateDer: ca.root.certificateDer,
      signer: { ...ca.issuingSigner, algorithm: 'sha384WithRSA' as const },
    };
    await expect(makeIssuing({ ...issuingRequest(), root })).rejects.toMatchObject({
      code: 'ca-key-unusable',
    });
  });
});

describe('a new CA', () => {
  it('has keys of 4096 bits unless told otherwise, and private keys that fit its certificates', async () => {
    const authority = await createAuthority({
      country: 'DE',
      organization: 'Acme GmbH',
      rootName: 'Acme S/MIME Root 1',
      issuingName: 'Acme S/MIME Issuing CA 1',
      rootCrlUrl: 'http://pki.acme.example/root.crl',
      rootUrl: 'http://pki.acme.example/root.cer',
      policyOids: { own: EXAMPLE_POLICY_OID },
      now: NOW,
      random: seededRandom('4096'),
    });
    for (const { certificateDer, pkcs8Der } of [authority.root, authority.issuing]) {
      const { publicKey } = new X509Certificate(certificateDer);
      expect(publicKey.asymmetricKeyDetails).toMatchObject({ modulusLength: 4096, publicExponent: 65_537n });
      expect(() => signerFromPkcs8(pkcs8Der, { algorithm: 'sha256WithRSA', certificateDer })).not.toThrow();
    }
  });

  it('gives root and issuing CA different serials, keys and names', () => {
    const root = readCertificate(ca.root.certificateDer);
    const issuing = readCertificate(ca.issuing.certificateDer);
    expect(root.serialHex).not.toBe(issuing.serialHex);
    expect(root.spkiDer).not.toEqual(issuing.spkiDer);
    expect(root.subjectDer).not.toEqual(issuing.subjectDer);
  });

  it('spells country as PrintableString and the other names as UTF8String', () => {
    const { subject: read } = pkijs.Certificate.fromBER(ca.issuing.certificateDer);
    const tags = read.typesAndValues.map(({ value }) => value.idBlock.tagNumber);
    expect(tags).toEqual([TAGS.PrintableString, TAGS.UTF8String, TAGS.UTF8String]);
  });
});

describe('checking a chain', () => {
  it('accepts issuing CA and root, and a leaf before them', async () => {
    const above = [ca.issuing.certificateDer, ca.root.certificateDer];
    expect(() => assertChain(above, NOW)).not.toThrow();
    const leaf = await ca.leaf();
    expect(() => assertChain([leaf, ...above], NOW)).not.toThrow();
  });

  it('refuses one that does not end at a root', () => {
    expect(() => assertChain([ca.issuing.certificateDer], NOW)).toThrow('it is not a self-signed root');
  });

  it('refuses one in which a certificate was not issued by the next', async () => {
    const leaf = await ca.leaf();
    expect(() => assertChain([leaf, ca.root.certificateDer], NOW)).toThrow('the next one did not issue it');
  });

  it('refuses one with a certificate that has expired', async () => {
    const chain = [await ca.leaf(), ca.issuing.certificateDer, ca.root.certificateDer];
    expect(() => assertChain(chain, new Date(NOW.getTime() + 366 * DAY))).toThrow('is not valid at');
  });
});

describe.skipIf(!opensslInstalled)('OpenSSL, reading a CA certificate,', () => {
  const text = (certificateDer: Uint8Array) =>
    openssl(['x509', '-in', 'ca.pem', '-noout', '-text'], {
      'ca.pem': derToPem('CERTIFICATE', certificateDer),
    }).text.replaceAll(/\s+/g, ' ');

  it('sees a root with three extensions and no extended key usage', () => {
    const root = text(ca.root.certificateDer);
    expect(root).toMatch(
      /sha384WithRSAEncryption.*X509v3 Basic Constraints: critical CA:TRUE X509v3 Key Usage: critical Certificate Sign, CRL Sign X509v3 Subject Key Identifier: (?:[0-9A-F]{2}:){19}[0-9A-F]{2} Signature Algorithm/,
    );
  });

  it('sees an issuing CA as the profile describes it', () => {
    expect(text(ca.issuing.certificateDer)).toMatch(
      new RegExp(
        [
          'X509v3 Basic Constraints: critical CA:TRUE, pathlen:0',
          'X509v3 Key Usage: critical Digital Signature, Certificate Sign, CRL Sign',
          'X509v3 Extended Key Usage: E-mail Protection',
          'X509v3 Authority Key Identifier: (?:keyid:)?(?:[0-9A-F]{2}:){19}[0-9A-F]{2} X509v3',
          'Policy: 1.3.6.1.4.1.32473.1.1',
          'URI:http://pki.acme.example/root.crl',
          'CA Issuers - URI:http://pki.acme.example/root.cer',
        ].join('.*'),
      ),
    );
  });
});
