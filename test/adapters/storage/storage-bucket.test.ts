import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { crc32cBase64 } from '../../../shared/adapters/google/crc32c.ts';
import { storageBucket } from '../../../shared/adapters/storage/storage-bucket.ts';
import type { ErrorKind } from '../../../shared/errors.ts';
import { googleError, type Script, type Scripted, ScriptedServer } from '../scripted-server.ts';
import { failureOf, testIdentity, testRetry } from '../world.ts';

const BYTES = Buffer.from([0x30, 0x82, 0x00, 0xff, 0x0d, 0x0a]);
const CRL = {
  name: 'crl/issuing-1.crl',
  bytes: BYTES,
  contentType: 'application/pkix-crl',
  cacheControl: 'public, max-age=300',
  ifGeneration: '41',
};
const OBJECT = '/storage/v1/b/pki/o/crl/issuing-1.crl';

describe('the public bucket', () => {
  const server = new ScriptedServer();
  beforeAll(() => server.start());
  afterAll(() => server.stop());

  function bucket(script: Script | Scripted) {
    server.play(typeof script === 'function' ? script : () => script);
    const retry = testRetry();
    const adapter = storageBucket({
      projectId: 'acme',
      bucket: 'pki',
      own: testIdentity(),
      endpoints: { rootUrl: server.rootUrl },
      retry: retry.settings,
    });
    return { ...retry, adapter };
  }
  /** Each look at the metadata finds the next of these generations; only `living` can still be downloaded. */
  const generations = (looks: readonly string[], living: string): Script => {
    let look = 0;
    return ({ query }) => {
      if (query.get('alt') !== 'media') {
        const generation = looks[look];
        look += 1;
        return { body: { generation, crc32c: crc32cBase64(BYTES) } };
      }
      return query.get('generation') === living
        ? { body: BYTES }
        : googleError(404, 'notFound', 'No such object');
    };
  };

  describe('reading', () => {
    it('answers the bytes of the generation it names', async () => {
      const { adapter } = bucket(generations(['42'], '42'));
      const read = await adapter.read(CRL.name);
      expect(read?.generation).toBe('42');
      expect(Buffer.from(read?.bytes ?? [])).toEqual(BYTES);
      expect(server.asked.map((asked) => asked.path)).toEqual([OBJECT, OBJECT]);
      expect(server.asked[0]?.headers.authorization).toBe('Bearer own-token');
    });

    it('answers undefined where there is no such object', async () => {
      expect(
        await bucket(googleError(404, 'notFound', 'No such object')).adapter.read(CRL.name),
      ).toBeUndefined();
    });

    it('looks again when the object was replaced in between', async () => {
      const { adapter } = bucket(generations(['42', '43'], '43'));
      expect(await adapter.read(CRL.name)).toMatchObject({ generation: '43' });
    });

    it('gives up on an object that keeps being replaced', async () => {
      const { adapter } = bucket(generations(['42', '43', '44', '45'], 'none'));
      expect(await failureOf(adapter.read(CRL.name))).toMatchObject({
        kind: 'retryable',
        code: 'storage-unavailable',
      });
    });

    it('refuses bytes that do not fit their checksum', async () => {
      const { adapter } = bucket(({ query }) =>
        query.get('alt') === 'media'
          ? { body: Buffer.from('other') }
          : { body: { generation: '1', crc32c: crc32cBase64(BYTES) } },
      );
      const error = await failureOf(adapter.read(CRL.name));
      expect(error).toMatchObject({ kind: 'retryable', code: 'storage-unavailable' });
      expect(error.message).toContain('CRC32C');
    });

    it('tells a missing bucket from a missing object', async () => {
      const { adapter } = bucket(googleError(404, 'notFound', 'The specified bucket does not exist.'));
      const error = await failureOf(adapter.read(CRL.name));
      expect(error).toMatchObject({ kind: 'permanent', code: 'storage-unavailable' });
      expect(error.message).toContain('Create the bucket pki');
    });
  });

  describe('writing', () => {
    it('sends bytes, type, caching and checksum in one request that names the generation it replaces', async () => {
      const { adapter } = bucket({ body: { name: CRL.name, generation: '42' } });
      expect(await adapter.write(CRL)).toEqual({ generation: '42' });
      expect(server.asked).toHaveLength(1);
      const [asked] = server.asked;
      expect([asked?.verb, asked?.path]).toEqual(['POST', '/upload/storage/v1/b/pki/o']);
      expect(Object.fromEntries(asked?.query ?? [])).toEqual({
        uploadType: 'multipart',
        name: CRL.name,
        ifGenerationMatch: '41',
      });
      const [, metadata] = /\r\n\r\n(\{.*\})\r\n/.exec(asked?.body ?? '') ?? [];
      expect(JSON.parse(metadata ?? '')).toEqual({
        cacheControl: 'public, max-age=300',
        contentType: 'application/pkix-crl',
        crc32c: crc32cBase64(BYTES),
      });
    });

    it('says 0 for an object that must not exist yet', async () => {
      const { adapter } = bucket({ body: { generation: '1' } });
      await adapter.write({ ...CRL, ifGeneration: '0' });
      expect(server.asked[0]?.query.get('ifGenerationMatch')).toBe('0');
    });

    it('is not repeated after a lost answer, so that it does not meet its own first write', async () => {
      expect(await failureOf(bucket({ cut: true }).adapter.write(CRL))).toMatchObject({
        kind: 'retryable',
        code: 'storage-unavailable',
      });
      expect(server.asked).toHaveLength(1);
    });

    it('is repeated after 429, which had no effect', async () => {
      const { adapter } = bucket({});
      server.playInOrder(googleError(429, 'rateLimitExceeded'), { body: { generation: '42' } });
      expect(await adapter.write(CRL)).toEqual({ generation: '42' });
    });

    it.each<[string, Scripted, ErrorKind, string, RegExp]>([
      [
        '412',
        googleError(412, 'conditionNotMet'),
        'retryable',
        'storage-precondition',
        /Somebody else wrote/,
      ],
      [
        'a missing bucket',
        googleError(404, 'notFound'),
        'permanent',
        'storage-unavailable',
        /Create the bucket pki/,
      ],
      [
        'a missing role',
        googleError(403, 'forbidden'),
        'permanent',
        'storage-unavailable',
        /roles\/storage\.objectUser/,
      ],
      ['400', googleError(400, 'invalid', 'Bad CRC'), 'permanent', 'storage-unavailable', /Bad CRC/],
      ['401 twice', googleError(401, 'authError'), 'retryable', 'storage-unavailable', /401/],
      ['503', googleError(503, 'backendError'), 'retryable', 'storage-unavailable', /503/],
      ['an answer without a generation', { body: {} }, 'retryable', 'storage-unavailable', /generation/],
    ])('turns %s into %s %s', async (_name, answer, kind, code, says) => {
      const error = await failureOf(bucket(answer).adapter.write(CRL));
      expect(error).toMatchObject({ kind, code });
      expect(error.message).toMatch(says);
      expect(error.message).toContain('Writing pki/crl/issuing-1.crl failed');
    });

    it('passes on how long Google wants to be left alone', async () => {
      const { adapter } = bucket(
        googleError(503, 'backendError', 'x', { headers: { 'retry-after': '120' } }),
      );
      expect(await failureOf(adapter.read(CRL.name))).toMatchObject({ retryAfterMs: 120_000 });
    });
  });
});
