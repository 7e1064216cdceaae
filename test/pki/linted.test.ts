import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, expectTypeOf, it, test } from 'vitest';
import { type Recorded, recordedInLedger, recordedPartsInLedger } from '../../shared/domain/recorded.ts';
import { passing } from '../../shared/pki/crl-parts.ts';
import type { issueCertificate, issueCrl } from '../../shared/pki/issue.ts';
import type { issueOcspAnswers } from '../../shared/pki/issue-ocsp.ts';
import { Linted, signLintedParts } from '../../shared/pki/linted.ts';
import { PartsVerification } from '../../shared/pki/parts-verification.ts';
import { signable } from '../../shared/pki/signable.ts';
import { type Signer, signerFromPkcs8 } from '../../shared/pki/signer.ts';

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

const SHARED = resolve(import.meta.dirname, '../../shared');

/** Files of the product in which this stands. */
const filesWith = (pattern: RegExp): readonly string[] =>
  readdirSync(SHARED, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && pattern.test(readFileSync(join(SHARED, name), 'utf8')))
    .sort();

async function* parts(...texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}

const key = () =>
  signerFromPkcs8(
    generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'der' }),
  );

describe('recorded bytes', () => {
  it('are linted once and signed once', async () => {
    const signer = witness();
    const recorded = recordedInLedger(Buffer.from('tbs'));
    const linted = Linted.by(() => [], recorded, 'the leaf');
    expect(() => Linted.by(() => [], recorded, 'the leaf')).toThrow('signed already');
    await linted.sign(signer);
    await expect(linted.sign(signer)).rejects.toThrow(/signed already/);
    expect(signer.seen).toEqual(['tbs']);
  });

  it('are not signed when a rule is broken, and are spent', () => {
    const recorded = recordedInLedger(Buffer.from('tbs'));
    expect(() => Linted.by(() => [finding as never], recorded, 'the leaf')).toThrow(/Nothing was signed/);
    expect(() => Linted.by(() => [], recorded, 'the leaf')).toThrow('signed already');
  });

  it('are what the linter saw, whatever becomes of the buffer meanwhile', async () => {
    const signer = witness();
    const buffer = Buffer.from('good');
    const linted = Linted.by(
      (der) => (Buffer.from(der).toString() === 'good' ? [] : [finding as never]),
      recordedInLedger(buffer),
      'it',
    );
    buffer.write('evil');
    await linted.sign(signer);
    expect(signer.seen).toEqual(['good']);
  });

  it('that were changed after they were read are refused', () => {
    const recorded = recordedInLedger(Buffer.from('good'));
    recorded[0] = 0x65;
    expect(() => Linted.by(() => [], recorded, 'it')).toThrow('changed after they were read');
  });

  it('are told from all others by their type, and by what they are', () => {
    const bytes = Buffer.from('tbs');
    // @ts-expect-error bytes that nobody has recorded
    expect(() => Linted.by(() => [], bytes, 'it')).toThrow('not read from the ledger');
    const copy = Uint8Array.from(recordedInLedger(bytes));
    // @ts-expect-error a copy is other bytes
    expect(() => Linted.by(() => [], copy, 'it')).toThrow('not read from the ledger');
    // @ts-expect-error only `Linted.by` makes one
    expect(() => new Linted(Symbol('made here'), bytes)).toThrow('the linter has not seen');
    expectTypeOf<Uint8Array>().not.toExtend<Recorded>();
    expectTypeOf<Recorded>().toExtend<Uint8Array>();
    expectTypeOf<Parameters<typeof issueCertificate>[0]['tbsDer']>().toEqualTypeOf<Recorded>();
    expectTypeOf<Parameters<typeof issueCrl>[0]['tbsDer']>().toEqualTypeOf<Recorded>();
    expectTypeOf<Parameters<typeof issueOcspAnswers>[0]['tbsDers']>().toEqualTypeOf<readonly Recorded[]>();
  });

  it('in parts are read once, and the key is not used when the linter throws', async () => {
    const signer = key();
    const recorded = recordedPartsInLedger(parts('a', 'b'));
    const signature = await signLintedParts(signer, recorded, (all) => passing(all, () => undefined));
    const publicKey = createPublicKey({ key: Buffer.from(signer.spkiDer), format: 'der', type: 'spki' });
    expect(verify('sha256', Buffer.from('ab'), publicKey, signature)).toBe(true);
    await expect(signLintedParts(signer, recorded, (all) => passing(all, () => undefined))).rejects.toThrow(
      'signed already',
    );
    const { signParts: _none, ...counted } = { ...witness() };
    const refusing = (all: AsyncIterable<Uint8Array>) =>
      passing(all, (part) => {
        if (part[0] === 0x62) throw new Error('refused');
      });
    await expect(signLintedParts(counted, recordedPartsInLedger(parts('a', 'b')), refusing)).rejects.toThrow(
      'refused',
    );
    expect(counted.seen).toEqual([]);
    // @ts-expect-error parts that nobody has recorded
    await expect(signLintedParts(signer, parts('a'), refusing)).rejects.toThrow('not read from the ledger');
  });
});

describe('a signer', () => {
  it('takes what was declared signable, once, and nothing else', async () => {
    const signer = key();
    const bytes = Buffer.from('anything');
    // @ts-expect-error bytes that nobody declared signable
    await expect(signer.sign(bytes)).rejects.toThrow('nobody declared signable');
    // @ts-expect-error the same in parts
    await expect(signer.signParts?.([bytes])).rejects.toThrow('nobody declared signable');
    const good = signable(bytes);
    await signer.sign(good);
    await expect(signer.sign(good)).rejects.toThrow('the same twice');
    const verification = new PartsVerification(
      'sha256',
      createPublicKey({ key: Buffer.from(signer.spkiDer), format: 'der', type: 'spki' }),
    );
    await expect(signer.sign(signable(bytes), verification)).rejects.toThrow('the digest of other bytes');
  });
});

describe('who may say so', () => {
  it('of recorded bytes: the adapter of the ledger, and whoever makes a root, which is offline', () => {
    expect(filesWith(/recorded(Parts)?InLedger\(/)).toEqual([
      'adapters/ledger/crls.ts',
      'adapters/ledger/leaves.ts',
      'adapters/ledger/ocsp-answers.ts',
      'adapters/ledger/service-signers.ts',
      'domain/recorded.ts',
    ]);
    expect(filesWith(/madeOffline\(/)).toEqual(['authority/root-crl.ts', 'pki/authority.ts']);
  });

  it('of signable ones: requests, checkpoints, a trial of an imported key, and what is recorded and linted', () => {
    expect(filesWith(/signable(Parts)?\(/)).toEqual([
      'authority/follow.ts',
      'pki/certification-request.ts',
      'pki/csr.ts',
      'pki/linted.ts',
      'pki/signable.ts',
      'pki/signed-text.ts',
    ]);
  });
});

test('nothing else has a CA key sign: requests, audit exports and a trial of an imported key aside', () => {
  expect(filesWith(/signer\.sign(Parts)?\(/)).toEqual([
    'authority/follow.ts',
    'pki/certification-request.ts',
    'pki/csr.ts',
    'pki/linted.ts',
    'pki/signed-text.ts',
  ]);
});
