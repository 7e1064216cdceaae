import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { crc32c, crc32cBase64 } from '../../../shared/adapters/google/crc32c.ts';
import { secretManager } from '../../../shared/adapters/secret-manager/secret-manager.ts';
import type { ErrorKind } from '../../../shared/errors.ts';
import { googleError, type Script, type Scripted, ScriptedServer } from '../scripted-server.ts';
import { failureOf, testIdentity, testRetry } from '../world.ts';

const SECRET = 'projects/acme/secrets/issuing-ca';
const VERSION = `${SECRET}/versions/3`;
const PAYLOAD = Buffer.from('123456789');
/** The check value of CRC-32C in the catalogue of parametrised CRC algorithms. */
const CHECKSUM = 0xe3069283;

describe('CRC32C', () => {
  it("is Castagnoli's, unsigned, and big-endian in base64", () => {
    expect(crc32c(PAYLOAD)).toBe(CHECKSUM);
    expect(crc32cBase64(PAYLOAD)).toBe(Buffer.from('e3069283', 'hex').toString('base64'));
    expect(crc32c(new Uint8Array())).toBe(0);
  });
});

describe('secrets', () => {
  const server = new ScriptedServer();
  beforeAll(() => server.start());
  afterAll(() => server.stop());

  function secrets(script: Script | Scripted) {
    server.play(typeof script === 'function' ? script : () => script);
    const retry = testRetry();
    const adapter = secretManager({
      own: testIdentity(),
      endpoints: { rootUrl: server.rootUrl },
      retry: retry.settings,
    });
    return { ...retry, adapter };
  }
  const calls = () => server.asked.map((asked) => `${asked.verb} ${asked.path}`);
  const version = (payload: object): Scripted => ({ body: { name: VERSION, payload } });

  describe('reading', () => {
    it('answers the bytes of the pinned version', async () => {
      const { adapter } = secrets(
        version({ data: PAYLOAD.toString('base64'), dataCrc32c: String(CHECKSUM) }),
      );
      expect(Buffer.from(await adapter.read(VERSION))).toEqual(PAYLOAD);
      expect(calls()).toEqual([`GET /v1/${VERSION}:access`]);
      expect(server.asked[0]?.headers.authorization).toBe('Bearer own-token');
    });

    it.each([
      ['bytes that do not fit their checksum', { data: PAYLOAD.toString('base64'), dataCrc32c: '1' }],
      ['bytes without a checksum', { data: PAYLOAD.toString('base64') }],
      ['no bytes', {}],
    ])('refuses %s', async (_name, payload) => {
      const error = await failureOf(secrets(version(payload)).adapter.read(VERSION));
      expect(error).toMatchObject({ kind: 'permanent', code: 'secret-unreadable' });
      expect(error.message).toContain(VERSION);
      expect(error.message).not.toContain(PAYLOAD.toString('base64'));
    });

    it.each([`${SECRET}/versions/latest`, `${SECRET}/versions/0`, SECRET, 'issuing-ca', `${VERSION}/x`])(
      'refuses the name %s, which pins no version',
      async (name) => {
        const error = await failureOf(secrets({ body: {} }).adapter.read(name));
        expect(error).toMatchObject({ kind: 'invalid-input', code: 'settings-invalid' });
        expect(error.message).toContain(name);
        expect(server.asked).toEqual([]);
      },
    );

    const precondition = googleError(400, 'failedPrecondition', 'is in DISABLED state.', {
      status: 'FAILED_PRECONDITION',
    });
    it.each<[string, Scripted, ErrorKind, string, RegExp]>([
      [
        'a version that is not there',
        googleError(404, 'notFound'),
        'permanent',
        'secret-missing',
        /Create it/,
      ],
      ['a disabled or destroyed version', precondition, 'permanent', 'secret-unreadable', /DISABLED/],
      [
        'a missing role',
        googleError(403, 'forbidden'),
        'permanent',
        'secret-unreadable',
        /roles\/secretmanager\.secretAccessor/,
      ],
      ['401 twice', googleError(401, 'authError'), 'retryable', 'secrets-unavailable', /401/],
      ['429', googleError(429, 'rateLimitExceeded'), 'retryable', 'secrets-unavailable', /429/],
      ['503', googleError(503, 'backendError'), 'retryable', 'secrets-unavailable', /503/],
      ['a lost answer', { cut: true }, 'retryable', 'secrets-unavailable', /gave no answer/],
    ])('turns %s into %s %s, naming the version', async (_name, answer, kind, code, says) => {
      const error = await failureOf(secrets(answer).adapter.read(VERSION));
      expect(error).toMatchObject({ kind, code });
      expect(error.message).toMatch(says);
      expect(error.message).toContain(VERSION);
    });
  });

  describe('adding', () => {
    const added: Scripted = { body: { name: 'projects/17/secrets/issuing-ca/versions/4' } };

    it('sends the bytes with their checksum and answers the full name of the version', async () => {
      const { adapter } = secrets(added);
      expect(await adapter.add(SECRET, PAYLOAD)).toBe('projects/17/secrets/issuing-ca/versions/4');
      expect(calls()).toEqual([`POST /v1/${SECRET}:addVersion`]);
      expect(JSON.parse(server.asked[0]?.body ?? '')).toEqual({
        payload: { data: PAYLOAD.toString('base64'), dataCrc32c: String(CHECKSUM) },
      });
    });

    it('makes a secret that is missing, with automatic replication, and takes one made meanwhile', async () => {
      for (const creation of [{ body: { name: SECRET } }, googleError(409, 'alreadyExists')]) {
        const { adapter } = secrets({});
        server.playInOrder(googleError(404, 'notFound'), creation, added);
        expect(await adapter.add(SECRET, PAYLOAD)).toBe('projects/17/secrets/issuing-ca/versions/4');
        expect(calls()).toEqual([
          `POST /v1/${SECRET}:addVersion`,
          'POST /v1/projects/acme/secrets',
          `POST /v1/${SECRET}:addVersion`,
        ]);
        expect(server.asked[1]?.query.get('secretId')).toBe('issuing-ca');
        expect(JSON.parse(server.asked[1]?.body ?? '')).toMatchObject({ replication: { automatic: {} } });
      }
    });

    it('is not repeated after a lost answer, so that no second version is made', async () => {
      const { adapter } = secrets({ cut: true });
      expect(await failureOf(adapter.add(SECRET, PAYLOAD))).toMatchObject({
        kind: 'retryable',
        code: 'secrets-unavailable',
      });
      expect(server.asked).toHaveLength(1);
    });

    it('says which role is missing', async () => {
      const error = await failureOf(secrets(googleError(403, 'forbidden')).adapter.add(SECRET, PAYLOAD));
      expect(error).toMatchObject({ kind: 'permanent', code: 'secrets-unavailable' });
      expect(error.message).toContain('roles/secretmanager.admin');
    });

    it.each<[string, string, Uint8Array]>([
      ['a version instead of a secret', VERSION, PAYLOAD],
      ['a name with a slash', 'projects/acme/secrets/a/b', PAYLOAD],
      ['an empty payload', SECRET, new Uint8Array()],
      ['a payload over 64 KiB', SECRET, new Uint8Array(65_537)],
    ])('refuses %s before asking anybody', async (_name, secret, payload) => {
      expect(await failureOf(secrets(added).adapter.add(secret, payload))).toMatchObject({
        code: 'settings-invalid',
      });
      expect(server.asked).toEqual([]);
    });

    it('does not invent a version where the answer names none', async () => {
      const error = await failureOf(secrets({ body: {} }).adapter.add(SECRET, PAYLOAD));
      expect(error).toMatchObject({ kind: 'retryable', code: 'secrets-unavailable' });
    });
  });
});
