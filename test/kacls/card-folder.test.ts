import { createPublicKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { cardFolder } from '../../shared/adapters/kacls/card-folder.ts';
import { gmailPkcs7Pem } from '../../shared/pki/pkcs7.ts';
import { openssl, opensslInstalled } from '../pki/openssl.ts';
import { type SampleAuthority, sampleAuthority } from '../pki/sample-authority.ts';

const ANA = 'ana@acme.example';
let authority: SampleAuthority;
let leafDer: Uint8Array;
let folder: string;
beforeAll(async () => {
  authority = await sampleAuthority();
  leafDer = await authority.leaf();
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sealwright-cards-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const put = (name: string, content: string | Uint8Array) => writeFileSync(join(folder, name), content);
const find = (purpose: 'dual-use' | 'signing' | 'encryption' = 'dual-use', address = ANA) =>
  cardFolder(folder).find({ address, purpose });
const chain = (leaf = leafDer) =>
  gmailPkcs7Pem(leaf, [authority.issuing.certificateDer, authority.root.certificateDer]);
/** As OpenSSL makes it; `-outform DER` for the other encoding. */
const request = (newKey: readonly string[], ...more: string[]) =>
  openssl(['req', '-new', ...newKey, '-nodes', '-keyout', '/dev/null', '-subj', '/CN=Ana', ...more], {})
    .output;
const RSA = ['-newkey', 'rsa:2048'];

describe('a folder of requests from smart cards', () => {
  it.skipIf(!opensslInstalled).each([
    ['PEM', []],
    ['PEM under its older label', ['-newhdr']],
    ['DER', ['-outform', 'DER']],
  ])('gives the key of a request in %s, as OpenSSL reads it', async (_encoding, options) => {
    const csr = request(RSA, ...options);
    put(`${ANA}.csr`, csr);
    const { spkiDer, modulusBits } = await find();
    const { output } = openssl(
      ['req', '-in', 'a.csr', '-noout', '-pubkey', ...(options.includes('DER') ? ['-inform', 'DER'] : [])],
      { 'a.csr': csr },
    );
    expect(createPublicKey(output).export({ type: 'spki', format: 'der' })).toEqual(Buffer.from(spkiDer));
    expect(modulusBits).toBe(2048);
  });

  it('gives the key of a certificate that another CA issued for the card', async () => {
    put(`${ANA}.p7pem`, chain());
    const spki = new X509Certificate(leafDer).publicKey.export({ type: 'spki', format: 'der' });
    expect(Buffer.from((await find()).spkiDer)).toEqual(spki);
  });

  it('has a file of its own for each purpose', async () => {
    put(`${ANA}.signing.p7pem`, chain());
    expect((await find('signing')).modulusBits).toBe(2048);
    await expect(find('encryption')).rejects.toThrow(/neither .*ana@acme\.example\.encryption\.csr nor/);
    await expect(find()).rejects.toMatchObject({ kind: 'permanent', code: 'card-key-unusable' });
  });

  it.skipIf(!opensslInstalled)(
    'refuses a request for a key of another kind than RSA, which Gmail would not take',
    async () => {
      put(`${ANA}.csr`, request(['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']));
      await expect(find()).rejects.toThrow(/no RSA key/);
    },
  );

  it.skipIf(!opensslInstalled)('refuses a request whose signature proves nothing', async () => {
    const csr = request(RSA, '-outform', 'DER');
    csr[csr.length - 1] = (csr.at(-1) ?? 0) ^ 1;
    put(`${ANA}.csr`, csr);
    await expect(find()).rejects.toThrow(/signature does not verify/);
  });

  it.each<[string, () => void, RegExp]>([
    ['is none', () => put(`${ANA}.csr`, 'hello'), /is not taken/],
    ['is damaged', () => put(`${ANA}.csr`, '-----BEGIN CERTIFICATE REQUEST-----\n!\n'), /damaged/],
    [
      'stands beside a chain',
      () => {
        put(`${ANA}.csr`, 'hello');
        put(`${ANA}.p7pem`, chain());
      },
      /both .* are there/,
    ],
  ])('refuses a request that %s', async (_what, spoil, message) => {
    spoil();
    await expect(find()).rejects.toMatchObject({ kind: 'permanent', code: 'card-key-unusable' });
    await expect(find()).rejects.toThrow(message);
  });

  it('refuses the chain of somebody else', async () => {
    put(`${ANA}.p7pem`, chain(await authority.leaf({ addresses: ['ben@acme.example'] })));
    await expect(find()).rejects.toThrow(/names other addresses/);
  });

  it('never leaves the folder, whatever the directory calls somebody', async () => {
    for (const address of ['../x@acme.example', 'a/b@acme.example', 'nobody']) {
      await expect(find('dual-use', address)).rejects.toThrow(/cannot name a file/);
    }
  });
});
