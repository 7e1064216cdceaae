import { createPublicKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { keyFolder } from '../../shared/adapters/kacls/key-folder.ts';
import { gmailPkcs7Pem } from '../../shared/pki/pkcs7.ts';
import { type SampleAuthority, sampleAuthority } from '../pki/sample-authority.ts';

const ANA = 'ana@acme.example';
const KACLS = 'https://kacls.vendor.example/v1';
const wanted = { address: ANA, keyServiceUrl: KACLS };

let authority: SampleAuthority;
let folder: string;
let leafDer: Uint8Array;
beforeAll(async () => {
  authority = await sampleAuthority();
  leafDer = await authority.leaf();
  folder = mkdtempSync(join(tmpdir(), 'sealwright-keys-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const chain = (leaf = leafDer) =>
  gmailPkcs7Pem(leaf, [authority.issuing.certificateDer, authority.root.certificateDer]);
const put = (extension: string, text: string, address = ANA) =>
  writeFileSync(join(folder, `${address}.${extension}`), text);
const wrap = (changes: object = {}) =>
  put('wrap', JSON.stringify({ kacls_url: KACLS, wrapped_private_key: 'b3BhcXVl', ...changes }));
beforeEach(() => {
  wrap();
  put('p7pem', chain());
});

describe('a folder of keys wrapped elsewhere', () => {
  it('gives the public key of the chain and the wrapped key as it is', async () => {
    const key = await keyFolder(folder).find(wanted);
    expect(key).toMatchObject({ modulusBits: 2048, wrappedKey: 'b3BhcXVl' });
    // Read by another parser than the one under test builds on.
    const spki = new X509Certificate(leafDer).publicKey.export({ type: 'spki', format: 'der' });
    expect(Buffer.from(key.spkiDer)).toEqual(spki);
    expect(
      createPublicKey({ key: Buffer.from(key.spkiDer), format: 'der', type: 'spki' }).asymmetricKeyType,
    ).toBe('rsa');
  });

  it('takes a trailing slash of the key service for no difference', async () => {
    wrap({ kacls_url: `${KACLS}/` });
    expect((await keyFolder(folder).find(wanted)).wrappedKey).toBe('b3BhcXVl');
  });

  it.each<[string, () => void, RegExp]>([
    [
      'is for another key service',
      () => wrap({ kacls_url: 'https://kacls.other.example' }),
      /another key service/,
    ],
    ['has no key', () => wrap({ wrapped_private_key: undefined }), /no standard base64/],
    ['has a key in base64url', () => wrap({ wrapped_private_key: 'b3Bh-_Vl' }), /no standard base64/],
    ['has a key of more than 8 KB', () => wrap({ wrapped_private_key: 'A'.repeat(8196) }), /8192 characters/],
    ['is no JSON', () => put('wrap', '-----BEGIN PRIVATE KEY-----'), /no JSON object/],
    ['comes with no chain', () => put('p7pem', 'hello'), /no certificate chain/],
    [
      'comes with the chain of a CA alone',
      () => put('p7pem', gmailPkcs7Pem(authority.issuing.certificateDer, [authority.root.certificateDer])),
      /exactly one end-entity/,
    ],
    [
      'is not there',
      () => rmSync(join(folder, `${ANA}.wrap`)),
      /ana@acme.example.wrap cannot be read \(ENOENT\); put both files there/,
    ],
  ])('refuses a pair of files that %s, and does not repeat the key', async (_what, spoil, message) => {
    spoil();
    const failure = keyFolder(folder).find(wanted);
    await expect(failure).rejects.toMatchObject({ kind: 'permanent', code: 'supplied-key-unusable' });
    await expect(failure).rejects.toThrow(message);
    await expect(failure).rejects.not.toThrow(/b3BhcXVl|AAAAAAAA/);
  });

  it('refuses the files of somebody else under this name', async () => {
    put('p7pem', chain(await authority.leaf({ addresses: ['ben@acme.example'] })));
    await expect(keyFolder(folder).find(wanted)).rejects.toThrow(/names other addresses/);
  });

  it('never leaves the folder, whatever the directory calls somebody', async () => {
    for (const address of ['../x@acme.example', 'a/b@acme.example', 'a@b/../../etc', 'nobody']) {
      await expect(keyFolder(folder).find({ ...wanted, address })).rejects.toThrow(/cannot name a file/);
    }
  });
});
