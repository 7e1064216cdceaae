import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { Linted } from '../../shared/pki/linted.ts';
import type { Signer } from '../../shared/pki/signer.ts';

const finding = {
  rule: 'serial',
  sentence: 'A serial is positive.',
  source: 'RFC 5280',
  fix: 'Draw another.',
  found: '-1',
};

function witness(): Signer & { readonly seen: string[] } {
  const seen: string[] = [];
  return {
    seen,
    algorithm: 'sha256WithRSA',
    spkiDer: new Uint8Array(),
    sign: async (bytes) => {
      seen.push(Buffer.from(bytes).toString());
      return new Uint8Array([1]);
    },
  };
}

describe('linted bytes', () => {
  it('are signed once', async () => {
    const signer = witness();
    const linted = Linted.by(() => [], Buffer.from('tbs'), 'the leaf');
    await linted.sign(signer);
    await expect(linted.sign(signer)).rejects.toThrow(/signed already/);
    expect(signer.seen).toEqual(['tbs']);
  });

  it('are not there when a rule is broken', () => {
    expect(() => Linted.by(() => [finding as never], Buffer.from('tbs'), 'the leaf')).toThrow(
      /Nothing was signed/,
    );
  });

  it('are what the linter saw, whatever becomes of the buffer meanwhile', async () => {
    const signer = witness();
    const buffer = Buffer.from('good');
    const linted = Linted.by(
      (der) => (Buffer.from(der).toString() === 'good' ? [] : [finding as never]),
      buffer,
      'it',
    );
    buffer.write('evil');
    await linted.sign(signer);
    expect(signer.seen).toEqual(['good']);
  });
});

test('nothing else has a CA key sign: requests, audit exports, a trial of an imported key and streamed CRLs aside', () => {
  const root = resolve(import.meta.dirname, '../../shared');
  const callers = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .filter((name) => /signer\.sign(Parts)?\(/.test(readFileSync(join(root, name), 'utf8')))
    .sort();
  expect(callers).toEqual([
    'authority/follow.ts',
    'pki/certification-request.ts',
    'pki/crl-stream.ts',
    'pki/csr.ts',
    'pki/issue.ts',
    'pki/linted.ts',
    'pki/signed-text.ts',
  ]);
});
