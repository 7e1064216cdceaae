import { X509Certificate } from 'node:crypto';
import * as pkijs from 'pkijs';
import { beforeAll, describe, expect, it } from 'vitest';
import { derToPem, pemToDer } from '../../shared/pki/pem.ts';
import { certsOnlyPkcs7, gmailPkcs7Pem } from '../../shared/pki/pkcs7.ts';
import { openssl, opensslInstalled } from './openssl.ts';
import { type SampleAuthority, sampleAuthority } from './sample-authority.ts';

let ca: SampleAuthority;
let leaf: Uint8Array;
beforeAll(async () => {
  ca = await sampleAuthority();
  leaf = await ca.leaf();
});

const chain = () => [ca.issuing.certificateDer, ca.root.certificateDer];

describe('the PKCS#7 for Gmail', () => {
  it('is PEM labelled PKCS7 in lines of at most 64 characters', () => {
    const lines = gmailPkcs7Pem(leaf, chain()).split('\n');
    expect(lines[0]).toBe('-----BEGIN PKCS7-----');
    expect(lines.slice(-2)).toEqual(['-----END PKCS7-----', '']);
    for (const line of lines.slice(1, -2)) expect(line).toMatch(/^[A-Za-z0-9+/]{1,64}={0,2}$/);
    expect(Math.max(...lines.map(({ length }) => length))).toBe(64);
  });

  it('holds leaf, issuing CA and root in this order', () => {
    const der = pemToDer(gmailPkcs7Pem(leaf, chain()), 'PKCS7');
    const content = pkijs.ContentInfo.fromBER(der);
    const signed = new pkijs.SignedData({ schema: content.content });
    const subjects = signed.certificates?.map((certificate) => {
      if (!(certificate instanceof pkijs.Certificate)) throw new Error('Not a plain certificate.');
      return new X509Certificate(Buffer.from(certificate.toSchema().toBER())).subject.split('\n').at(-1);
    });
    expect(subjects).toEqual(['CN=ana@acme.example', 'CN=Acme S/MIME Issuing CA 1', 'CN=Acme S/MIME Root 1']);
  });

  it('is version 1 with no digest algorithms, content, CRLs or signers', () => {
    const signed = new pkijs.SignedData({
      schema: pkijs.ContentInfo.fromBER(certsOnlyPkcs7([leaf, ...chain()])).content,
    });
    expect(signed.version).toBe(1);
    expect(signed.digestAlgorithms).toEqual([]);
    expect(signed.encapContentInfo.eContentType).toBe('1.2.840.113549.1.7.1');
    expect(signed.encapContentInfo.eContent).toBeUndefined();
    expect(signed.crls).toBeUndefined();
    expect(signed.signerInfos).toEqual([]);
  });
});

describe.skipIf(!opensslInstalled)('OpenSSL', () => {
  it('prints the certificates of our PKCS#7', () => {
    const { text } = openssl(['pkcs7', '-in', 'chain.p7', '-print_certs', '-noout'], {
      'chain.p7': gmailPkcs7Pem(leaf, chain()),
    });
    expect(Array.from(text.matchAll(/subject=.*CN ?= ?(.*)/g), (match) => match[1])).toEqual([
      'ana@acme.example',
      'Acme S/MIME Issuing CA 1',
      'Acme S/MIME Root 1',
    ]);
  });

  it('makes the same bytes with crl2pkcs7 -nocrl', () => {
    const { output } = openssl(
      [
        ...['crl2pkcs7', '-nocrl', '-outform', 'DER'],
        ...['-certfile', 'leaf.pem', '-certfile', 'issuing.pem', '-certfile', 'root.pem'],
      ],
      {
        'leaf.pem': derToPem('CERTIFICATE', leaf),
        'issuing.pem': derToPem('CERTIFICATE', ca.issuing.certificateDer),
        'root.pem': derToPem('CERTIFICATE', ca.root.certificateDer),
      },
    );
    expect(Buffer.from(certsOnlyPkcs7([leaf, ...chain()])).equals(output)).toBe(true);
  });
});
