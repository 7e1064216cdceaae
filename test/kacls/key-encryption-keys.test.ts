import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { secretKeyEncryptionKeys } from '../../shared/adapters/kacls/key-encryption-keys.ts';
import { permanent, retryable } from '../../shared/errors.ts';
import type { Secrets } from '../../shared/ports/secrets.ts';
import { ManualClock } from './support.ts';

const NEW = 'projects/acme-pki/secrets/key-service-kek/versions/3';
/** Only a KMS looks at it. */
const BOUND_TO = Buffer.from('any');
const OLD = 'projects/acme-pki/secrets/key-service-kek/versions/2';

describe('key-encryption keys out of Secret Manager', () => {
  let clock: ManualClock;
  let reads: string[];
  let payloads: Map<string, Uint8Array | Error>;
  let secrets: Pick<Secrets, 'read'>;
  beforeEach(() => {
    clock = new ManualClock();
    reads = [];
    payloads = new Map([
      [NEW, randomBytes(32)],
      [OLD, randomBytes(32)],
    ]);
    secrets = {
      read: async (version) => {
        reads.push(version);
        const payload = payloads.get(version);
        if (payload instanceof Uint8Array) return payload;
        throw payload ?? permanent('secret-missing', 'missing');
      },
    };
  });
  const keks = (versions: readonly string[] = [NEW, OLD]) =>
    secretKeyEncryptionKeys({ versions, secrets, clock });

  it('wrap under the first version named, whose id leaves the project out', async () => {
    expect(await keks().current(BOUND_TO)).toEqual({ id: 'key-service-kek/3', key: payloads.get(NEW) });
  });

  it('are found by id, and only those that are named', async () => {
    expect(await keks().byId('key-service-kek/2')).toEqual(payloads.get(OLD));
    expect(await keks().byId('key-service-kek/1')).toBeUndefined();
    expect(await keks([NEW]).byId('key-service-kek/2')).toBeUndefined();
  });

  it('are read once in five minutes, however many ask at once', async () => {
    const keys = keks();
    await Promise.all([keys.current(BOUND_TO), keys.current(BOUND_TO), keys.byId('key-service-kek/3')]);
    clock.advance(299_999);
    await keys.current(BOUND_TO);
    expect(reads).toEqual([NEW]);
    clock.advance(1);
    await keys.current(BOUND_TO);
    expect(reads).toEqual([NEW, NEW]);
  });

  it('go on for an hour while Secret Manager is unavailable', async () => {
    const keys = keks();
    const { key } = await keys.current(BOUND_TO);
    payloads.set(NEW, retryable('secrets-unavailable', 'down'));
    clock.advance(3_599_999);
    expect((await keys.current(BOUND_TO)).key).toEqual(key);
    clock.advance(1);
    await expect(keys.current(BOUND_TO)).rejects.toMatchObject({ code: 'secrets-unavailable' });
  });

  it('stop when their version is destroyed, as soon as they are read again', async () => {
    const keys = keks();
    await keys.byId('key-service-kek/2');
    payloads.set(OLD, permanent('secret-unreadable', 'destroyed'));
    clock.advance(300_000);
    await expect(keys.byId('key-service-kek/2')).rejects.toMatchObject({ code: 'secret-unreadable' });
    expect((await keys.current(BOUND_TO)).id).toBe('key-service-kek/3');
  });

  it.each([0, 16, 31, 33, 44])('refuse a payload of %i bytes', async (length) => {
    payloads.set(NEW, randomBytes(length));
    await expect(keks().current(BOUND_TO)).rejects.toMatchObject({
      kind: 'permanent',
      code: 'secret-unreadable',
      message: expect.stringContaining(`${length} bytes; it must be exactly 32`),
    });
  });

  it.each([
    ['no version at all', []],
    ['an alias', ['projects/p/secrets/s/versions/latest']],
    ['a secret without a version', ['projects/p/secrets/s']],
    ['nonsense', ['kek']],
    ['one id twice', [NEW, NEW.replace('acme-pki', 'other')]],
  ])('refuse %s at once', (_what, versions) => {
    expect(() => keks(versions)).toThrow(
      expect.objectContaining({ code: 'settings-invalid', kind: 'permanent' }),
    );
  });
});
