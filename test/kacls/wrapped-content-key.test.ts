import { createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { permanent, retryable } from '../../shared/errors.ts';
import { openContentKey, sealContentKey } from '../../shared/kacls/wrapped-content-key.ts';
import { kekIdOfWrappedKey, openWrappedKey, sealPrivateKey } from '../../shared/kacls/wrapped-key.ts';
import { memoryKeks } from './support.ts';

const kek = { id: 'kek/1', key: randomBytes(32) };
const tenantId = 'C00sample';
const resourceName = '//googleapis.com/drive/files/1ZRzC';
const secret = randomBytes(32);
const under = { keyEncryptionKeys: memoryKeks([kek]), tenantId };

const seal = (contentKey: Uint8Array = secret, perimeterId = 'board', name = resourceName) =>
  sealContentKey(contentKey, { resourceName: name, perimeterId }, { kek, tenantId, random: randomBytes });
const open = (wrapped: string, name = resourceName, tenant = tenantId) =>
  openContentKey(wrapped, name, { ...under, tenantId: tenant });
const sealPrivate = () =>
  sealPrivateKey(
    randomBytes(64),
    { userId: '1', perimeterId: '', spkiSha256: randomBytes(32) },
    { kek, tenantId, random: randomBytes },
  );

describe('a wrapped content key', () => {
  it('comes back whole with its perimeter, for any resource and any key of 1 to 128 bytes', async () => {
    const text = (maxLength: number) => fc.string({ maxLength, unit: 'grapheme' });
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 1, maxLength: 128 }),
        text(20).filter((value) => value.isWellFormed()),
        text(40).filter((value) => value.isWellFormed()),
        async (contentKey, perimeterId, name) => {
          const opened = await open(seal(contentKey, perimeterId, name), name);
          expect(opened).toEqual({ kekId: 'kek/1', perimeterId, contentKey: Buffer.from(contentKey) });
        },
      ),
      { numRuns: 50 },
    );
  });

  it('has the layout its documentation gives, read here by hand', () => {
    const blob = Buffer.from(seal(), 'base64');
    const header = Buffer.concat([
      Buffer.from('SWDK\x01\x05kek/1\x05board', 'latin1'),
      createHash('sha256').update(resourceName).digest(),
    ]);
    expect(blob.subarray(0, header.length)).toEqual(header);
    const nonce = blob.subarray(header.length, header.length + 12);
    const decipher = createDecipheriv('aes-256-gcm', kek.key, nonce);
    decipher.setAAD(Buffer.concat([Buffer.from('\x0bcontent-key\x09C00sample', 'latin1'), header]));
    decipher.setAuthTag(blob.subarray(-16));
    const plain = Buffer.concat([decipher.update(blob.subarray(header.length + 12, -16)), decipher.final()]);
    expect(plain).toEqual(secret);
  });

  it('of format version one, made elsewhere, opens for ever', async () => {
    const vector = JSON.parse(
      readFileSync(new URL('../vectors/kacls/wrapped-content-key-v1.json', import.meta.url), 'utf8'),
    ) as Record<string, string>;
    const field = (name: string): string => vector[name] ?? '';
    const key = { id: field('kekId'), key: Buffer.from(field('kekHex'), 'hex') };
    const tenant = field('tenantId');
    const opened = await openContentKey(field('wrappedKey'), field('resourceName'), {
      keyEncryptionKeys: memoryKeks([key]),
      tenantId: tenant,
    });
    expect(opened.contentKey.toString('hex')).toBe(field('contentKeyHex'));
    expect(opened.perimeterId).toBe(field('perimeterId'));
    const binding = { resourceName: field('resourceName'), perimeterId: field('perimeterId') };
    const again = sealContentKey(opened.contentKey, binding, {
      kek: key,
      tenantId: tenant,
      random: () => Buffer.from(field('nonceHex'), 'hex'),
    });
    expect(again).toBe(field('wrappedKey'));
  });

  it('stays below 1 KB with the longest key, the longest perimeter and a resource of any length', () => {
    expect(seal(randomBytes(128), 'x'.repeat(128), 'r'.repeat(512)).length).toBeLessThanOrEqual(1024);
  });

  it('opens for its own resource alone', async () => {
    await expect(open(seal(), `${resourceName}x`)).rejects.toMatchObject({ code: 'forbidden' });
    await expect(open(seal(), '')).rejects.toMatchObject({ code: 'forbidden' });
  });

  it('opens for its own tenant alone', async () => {
    await expect(open(seal(), resourceName, 'C00other')).rejects.toMatchObject({
      kind: 'invalid-input',
      code: 'wrapped-key-unreadable',
    });
  });

  it('does not open with any one of its bytes changed, or cut short anywhere', async () => {
    const blob = Buffer.from(seal(), 'base64');
    for (let at = 0; at < blob.length; at += 1) {
      const altered = Buffer.from(blob);
      altered[at] = (altered[at] ?? 0) ^ 0x04;
      const damaged = [altered, blob.subarray(0, at)].map((bytes) => bytes.toString('base64'));
      for (const wrapped of damaged) {
        await expect(open(wrapped), `byte ${at}`).rejects.toMatchObject({ code: 'wrapped-key-unreadable' });
      }
    }
  });

  it('is no private key, and a private key is no content key', async () => {
    await expect(openWrappedKey(seal(), under)).rejects.toMatchObject({ code: 'wrapped-key-unreadable' });
    await expect(open(sealPrivate())).rejects.toMatchObject({ code: 'wrapped-key-unreadable' });
    expect(() => kekIdOfWrappedKey(seal())).toThrow(/another kind/);
  });

  it('does not become the other kind when its magic is changed', async () => {
    const asPrivate = Buffer.from(seal(), 'base64');
    asPrivate.write('SWPK', 0, 'latin1');
    await expect(openWrappedKey(asPrivate.toString('base64'), under)).rejects.toMatchObject({
      code: 'wrapped-key-unreadable',
    });
    const asContent = Buffer.from(sealPrivate(), 'base64');
    asContent.write('SWDK', 0, 'latin1');
    await expect(open(asContent.toString('base64'))).rejects.toMatchObject({
      code: 'wrapped-key-unreadable',
    });
  });

  it('names a key-encryption key that is lost, and is tried with no other', async () => {
    const keyEncryptionKeys = memoryKeks([{ id: 'kek/2', key: kek.key }]);
    await expect(openContentKey(seal(), resourceName, { keyEncryptionKeys, tenantId })).rejects.toMatchObject(
      {
        kind: 'permanent',
        code: 'wrapped-key-unreadable',
        message: expect.stringContaining('kek/1'),
      },
    );
  });

  it.each(['secret-missing', 'secret-unreadable'] as const)(
    'is reported lost when its key-encryption key is named and answers %s',
    async (code) => {
      const keyEncryptionKeys = {
        ...memoryKeks([kek]),
        byId: () => Promise.reject(permanent(code, 'The version projects/acme/secrets/kek is destroyed.')),
      };
      await expect(
        openContentKey(seal(), resourceName, { keyEncryptionKeys, tenantId }),
      ).rejects.toMatchObject({
        kind: 'permanent',
        code: 'wrapped-key-unreadable',
        message: expect.not.stringContaining('projects/'),
        details: { kekId: 'kek/1' },
      });
    },
  );

  it('is not reported lost while its key-encryption key cannot be read for the moment', async () => {
    const keyEncryptionKeys = {
      ...memoryKeks([kek]),
      byId: () => Promise.reject(retryable('secrets-unavailable', 'down')),
    };
    await expect(openContentKey(seal(), resourceName, { keyEncryptionKeys, tenantId })).rejects.toMatchObject(
      {
        code: 'secrets-unavailable',
      },
    );
  });
});
