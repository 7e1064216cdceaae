import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { assertImplicitRejection } from '../../shared/kacls/decryption.ts';
import { privateDecryptAs } from './support.ts';

const asserted = (flags: readonly string[]) =>
  execFileSync(
    process.execPath,
    [
      ...flags,
      '--input-type=module',
      '--eval',
      `import { assertImplicitRejection } from './shared/kacls/decryption.ts';
       try { assertImplicitRejection(); console.log('safe'); } catch (error) { console.log(error.message); }`,
    ],
    { cwd: new URL('../..', import.meta.url), encoding: 'utf8' },
  ).trim();

describe('the check for implicit rejection', () => {
  it('lets this runtime pass', () => {
    expect(() => assertImplicitRejection()).not.toThrow();
  });

  it('refuses a runtime whose PKCS#1 v1.5 decryption tells good padding from bad', () => {
    // Stands for an OpenSSL without implicit rejection: decryption of garbage fails, as the padding is wrong.
    const preload = privateDecryptAs("() => { throw new Error('padding check failed'); }");
    expect(asserted(['--import', preload])).toMatch(
      /cannot decrypt RSA PKCS#1 v1.5 with implicit rejection.*Node 24/,
    );
  });

  it('refuses a runtime that answers garbage with something else each time', () => {
    const preload = privateDecryptAs('() => crypto.randomBytes(16)');
    expect(asserted(['--import', preload])).toMatch(/Run the key service on Node 24/);
  });
});
