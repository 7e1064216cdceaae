/** Whom a message is for, read out of what OpenSSL writes. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { recipientNames, recipientsOf } from '../../shared/pki/cms-recipients.ts';
import { readPkcs12Keys } from '../../shared/pki/pkcs12.ts';
import { OLD_PASSWORD, type OldKey, oldKey } from '../support/old-key.ts';

let folder: string;
let rsa: OldKey;
let ec: OldKey;
const at = (name: string) => join(folder, name);
const openssl = (args: readonly string[], input = 'See you.\n'): Buffer => {
  const { status, stdout, stderr } = spawnSync('openssl', args, { input });
  if (status !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr.toString()}`);
  return stdout;
};
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'recipients-'));
  rsa = oldKey();
  ec = oldKey({ key: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'] });
  writeFileSync(at('rsa.pem'), rsa.certificatePem);
  writeFileSync(at('ec.pem'), ec.certificatePem);
});
afterAll(() => rmSync(folder, { recursive: true }));

const sealed = (...args: readonly string[]): Buffer =>
  openssl(['cms', '-encrypt', '-binary', '-outform', 'DER', ...args]);
const names = (key: OldKey) => recipientNames(key.certificateDer).map(({ id }) => id);

describe('the recipients of an encrypted message', () => {
  test.each([
    ['EnvelopedData', ['-aes256']],
    ['AuthEnvelopedData', ['-aes-256-gcm']],
    ['a message in BER, with indefinite lengths,', ['-aes256', '-stream']],
  ])('of %s are the certificates it names, by issuer and serial', (_, args) => {
    const found = recipientsOf(sealed(...args, at('rsa.pem'), at('ec.pem')));
    expect(found.map(({ id }) => [names(rsa).includes(id), names(ec).includes(id)])).toEqual([
      [true, false],
      [false, true],
    ]);
    expect(found[0]?.text).toMatch(/^serial [0-9a-f]+ of "Old CA"$/);
  });

  it('may be named by key id, for RSA and for key agreement', () => {
    for (const [file, key] of [
      ['rsa.pem', rsa],
      ['ec.pem', ec],
    ] as const) {
      const [found] = recipientsOf(sealed('-aes256', '-keyid', at(file)));
      expect(found?.id).toMatch(/^key [0-9a-f]{40}$/);
      expect(names(key)).toContain(found?.id);
    }
  });

  it('leave out passwords, and are refused for what is not encrypted', () => {
    expect(recipientsOf(sealed('-aes256', '-pwri_password', 'secret', at('rsa.pem')))).toHaveLength(1);
    const data = openssl(['cms', '-data_create', '-outform', 'DER']);
    expect(() => recipientsOf(data)).toThrow(/not encrypted/);
    expect(() => recipientsOf(sealed('-aes256', at('rsa.pem')).subarray(0, 60))).toThrow();
  });
});

describe('a PKCS#12 file', () => {
  it('gives every key it holds, modern or legacy', () => {
    for (const file of [rsa.pkcs12, rsa.legacyPkcs12]) {
      const { pkcs8Ders, certificatesDer } = readPkcs12Keys(file, OLD_PASSWORD);
      expect(pkcs8Ders.map((der) => Buffer.from(der).equals(rsa.pkcs8Der))).toEqual([true]);
      expect(certificatesDer).toHaveLength(2);
    }
  });
});
