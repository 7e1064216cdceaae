import { createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type KeyBinding, openWrappedKey, sealPrivateKey } from '../../shared/kacls/wrapped-key.ts';
import { memoryKeks } from './support.ts';

const kek = { id: 'kek/1', key: randomBytes(32) };
const tenantId = 'C00sample';
const secret = randomBytes(1193);
const binding: KeyBinding = {
  userId: '100000000000000000001',
  perimeterId: 'board',
  spkiSha256: createHash('sha256').update('public').digest(),
};

const seal = (der: Uint8Array = secret, bound: KeyBinding = binding) =>
  sealPrivateKey(der, bound, { kek, tenantId, random: randomBytes });
const open = (wrapped: string, tenant = tenantId, keks = [kek]) =>
  openWrappedKey(wrapped, { keyEncryptionKeys: memoryKeks(keks), tenantId: tenant });

const unreadable = (kind: 'invalid-input' | 'permanent', message: RegExp = /./) =>
  expect.objectContaining({ kind, code: 'wrapped-key-unreadable', message: expect.stringMatching(message) });

describe('a wrapped key', () => {
  it('gives back what was put in and whom it belongs to', async () => {
    expect(await open(seal())).toEqual({ kekId: 'kek/1', ...binding, privateKeyDer: secret });
  });

  it('comes back whole for any user, perimeter and content', async () => {
    const text = (maxLength: number) => fc.string({ maxLength, unit: 'grapheme' });
    await fc.assert(
      fc.asyncProperty(
        text(20).filter((value) => value.isWellFormed()),
        text(20).filter((value) => value.isWellFormed()),
        fc.uint8Array({ minLength: 1, maxLength: 64 }),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        async (userId, perimeterId, der, spkiSha256) => {
          const opened = await open(seal(der, { userId, perimeterId, spkiSha256 }));
          expect(opened).toMatchObject({ userId, perimeterId });
          expect(Buffer.from(opened.spkiSha256)).toEqual(Buffer.from(spkiSha256));
          expect(opened.privateKeyDer).toEqual(Buffer.from(der));
        },
      ),
      { numRuns: 50 },
    );
  });

  it('has the layout its documentation gives, read here by hand', () => {
    const blob = Buffer.from(seal(), 'base64');
    const fields = ['kek/1', binding.userId, binding.perimeterId];
    const expected = Buffer.concat([
      Buffer.from('SWPK\x01', 'latin1'),
      ...fields.flatMap((text) => [Buffer.of(text.length), Buffer.from(text)]),
      binding.spkiSha256,
    ]);
    const header = blob.subarray(0, expected.length);
    expect(header).toEqual(expected);
    const nonce = blob.subarray(header.length, header.length + 12);
    const decipher = createDecipheriv('aes-256-gcm', kek.key, nonce);
    decipher.setAAD(Buffer.concat([Buffer.from('\x11smime-private-key\x09C00sample', 'latin1'), header]));
    decipher.setAuthTag(blob.subarray(-16));
    const plain = Buffer.concat([decipher.update(blob.subarray(header.length + 12, -16)), decipher.final()]);
    expect(plain).toEqual(secret);
  });

  it('of format version one, made elsewhere, opens for ever', async () => {
    const vector = JSON.parse(
      readFileSync(new URL('../vectors/kacls/wrapped-key-v1.json', import.meta.url), 'utf8'),
    ) as Record<string, string>;
    const field = (name: string): string => vector[name] ?? '';
    const key = Buffer.from(field('kekHex'), 'hex');
    const opened = await open(field('wrappedKey'), field('tenantId'), [{ id: field('kekId'), key }]);
    expect(opened.privateKeyDer.toString()).toBe(field('payloadUtf8'));
    expect(opened).toMatchObject({ userId: field('userId'), perimeterId: field('perimeterId') });
    const again = sealPrivateKey(Buffer.from(field('payloadUtf8')), opened, {
      kek: { id: field('kekId'), key },
      tenantId: field('tenantId'),
      random: () => Buffer.from(field('nonceHex'), 'hex'),
    });
    expect(again).toBe(field('wrappedKey'));
  });

  it('does not open with any one of its bytes changed', async () => {
    const blob = Buffer.from(seal(randomBytes(64)), 'base64');
    for (let at = 0; at < blob.length; at += 1) {
      for (const change of [0x01, 0x80]) {
        const altered = Buffer.from(blob);
        altered[at] = (altered[at] ?? 0) ^ change;
        await expect(open(altered.toString('base64')), `byte ${at}`).rejects.toMatchObject({
          code: 'wrapped-key-unreadable',
        });
      }
    }
  });

  it('does not open cut short anywhere, or with something added', async () => {
    const blob = Buffer.from(seal(randomBytes(64)), 'base64');
    for (let length = 0; length < blob.length; length += 1) {
      const cut = blob.subarray(0, length).toString('base64');
      await expect(open(cut), `${length} bytes`).rejects.toMatchObject({ code: 'wrapped-key-unreadable' });
    }
    const longer = Buffer.concat([blob, Buffer.alloc(1)]).toString('base64');
    await expect(open(longer)).rejects.toThrow(unreadable('invalid-input', /altered/));
  });

  it('opens for its own tenant alone', async () => {
    await expect(open(seal(), 'C00other')).rejects.toThrow(unreadable('invalid-input', /tenant/));
  });

  it('is never tried with a key other than the one it names, which the error names too', async () => {
    const other = { id: 'kek/2', key: kek.key };
    await expect(open(seal(), tenantId, [other])).rejects.toThrow(unreadable('permanent', /kek\/1/));
  });

  it('does not open under another key of the same name', async () => {
    const impostor = { id: kek.id, key: randomBytes(32) };
    await expect(open(seal(), tenantId, [impostor])).rejects.toThrow(unreadable('invalid-input'));
  });

  it('of a later format is refused by its version', async () => {
    const blob = Buffer.from(seal(), 'base64');
    blob[4] = 3;
    await expect(open(blob.toString('base64'))).rejects.toThrow(unreadable('invalid-input', /version 3/));
  });

  it('does not bring unprintable text into an error', async () => {
    const hostile = { id: 'a\nb', key: kek.key };
    const wrapped = sealPrivateKey(secret, binding, { kek: hostile, tenantId, random: randomBytes });
    await expect(open(wrapped)).rejects.toThrow(unreadable('invalid-input', /not printable/));
  });

  it('is not made when it would not fit 8 KB, and its fields must fit their lengths', () => {
    expect(() => seal(randomBytes(6100))).toThrow(/limit of 8191/);
    expect(() => seal(secret, { ...binding, userId: 'x'.repeat(256) })).toThrow(/user id/);
    expect(() => seal(secret, { ...binding, spkiSha256: randomBytes(20) })).toThrow(/SHA-256/);
  });
});
