import { createHmac, randomBytes } from 'node:crypto';
import { decodeJwt } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { httpOtherKeyServices } from '../../shared/adapters/kacls/other-key-services.ts';
import { memorySigningKeys } from './support.ts';
import {
  type Answer,
  type Body,
  type ClaimChanges,
  FILE,
  type Keys,
  makeKeys,
  refusalProblems,
  startWorld,
  type World,
} from './world.ts';

const OLD = 'https://old-kacls.example/v1';
const NEW = 'https://new-kacls.example/v1';

let keys: Keys;
let oldService: World;
let newService: World;
/** Every address the two services called, in order, with the bodies that were sent. */
const called: { url: string; body: string }[] = [];

/** Carries the two invented names to where the services listen. */
const routed: typeof fetch = (input, init) => {
  const url = String(input);
  called.push({ url, body: typeof init?.body === 'string' ? init.body : '' });
  const local = url.replace(OLD, `${oldService.root}/v1`).replace(NEW, `${newService.root}/v1`);
  return fetch(local, init);
};

beforeAll(async () => {
  keys = await makeKeys();
  oldService = await startWorld(keys, {
    fetch: routed,
    settings: { baseUrl: OLD, tenantId: 'C00old', migrationSources: [], migrationTargets: [NEW] },
  });
  newService = await startWorld(keys, {
    fetch: routed,
    otherKeyServices: httpOtherKeyServices({ fetch: routed, timeoutMs: 5000 }),
    tokenSigningKeys: memorySigningKeys([keys.stranger]),
    settings: { baseUrl: NEW, migrationSources: [OLD], migrationTargets: [] },
  });
});
afterAll(async () => {
  await oldService.close();
  await newService.close();
});
afterEach(() => {
  called.length = 0;
  newService.log.lines.length = 0;
});

const contentKey = randomBytes(32);

const rewrap = async (claims: ClaimChanges = {}, fields: Body = {}): Promise<Answer> =>
  newService.post('rewrap', {
    authorization: await newService.migrationAuthorization({ role: 'migrator', ...claims }),
    original_kacls_url: OLD,
    reason: 'migration',
    wrapped_key: await oldService.wrapContentKey(contentKey),
    ...fields,
  });

describe('rewrap, from one key service to another', () => {
  it('takes a content key over: it opens here, and both services give the same hash', async () => {
    const { status, json } = await rewrap();
    expect(status).toBe(200);
    expect(Object.keys(json)).toEqual(['wrapped_key', 'resource_key_hash']);

    const opened = await newService.post('unwrap', {
      authentication: await newService.authentication(),
      authorization: await newService.fileAuthorization({ role: 'reader' }),
      wrapped_key: json['wrapped_key'],
    });
    expect(opened.json).toEqual({ key: contentKey.toString('base64') });

    const digests = [
      [oldService, await oldService.wrapContentKey(contentKey)],
      [newService, json['wrapped_key']],
    ] as const;
    const byHand = createHmac('sha256', contentKey).update(`ResourceKeyDigest:${FILE}:`).digest('base64');
    expect(json['resource_key_hash']).toBe(byHand);
    for (const [service, wrapped_key] of digests) {
      const answer = await service.post('digest', {
        authorization: await service.migrationAuthorization(),
        wrapped_key,
      });
      expect(answer.json).toEqual({ resource_key_hash: byHand });
    }
  });

  it('shows the old service a token for it and this resource alone, which that verifies under our certs', async () => {
    expect((await rewrap()).status).toBe(200);
    const [call, ...rest] = called;
    expect(call?.url).toBe(`${OLD}/privilegedunwrap`);
    // Fetched once, then kept.
    expect(rest.every(({ url }) => url === `${NEW}/certs`)).toBe(true);
    const sent = JSON.parse(call?.body ?? '{}') as Record<string, string>;
    expect(sent).toMatchObject({ resource_name: FILE, reason: 'migration' });
    const now = newService.clock.seconds();
    expect(decodeJwt(sent['authentication'] ?? '')).toEqual({
      iss: NEW,
      aud: 'kacls-migration',
      kacls_url: OLD,
      resource_name: FILE,
      iat: now,
      exp: now + 300,
    });
  });

  it('records what was taken over from where, without the key', async () => {
    await rewrap();
    expect(newService.log.lines).toMatchObject([
      {
        event: 'content-key-taken-over',
        fields: { originalKeyService: OLD, resourceName: FILE, reason: 'migration', outcome: 'done' },
      },
    ]);
    expect(JSON.stringify(newService.log.lines)).not.toContain(contentKey.toString('base64'));
  });

  it.each([
    ['not on the list', 'https://other-kacls.example/v1'],
    ['the right host at another path', 'https://old-kacls.example/v2'],
    ['the right host on another port', 'https://old-kacls.example:8443/v1'],
    ['the right host without TLS', 'http://old-kacls.example/v1'],
    ['a name that begins like the right one', `${OLD}.evil.example`],
    ['the right address with a query', `${OLD}?x=`],
    ['the right address with a fragment', `${OLD}#`],
    ['the right address as a user name', 'https://old-kacls.example@evil.example/v1'],
    ['the right address and then another path', `${OLD}/../v2`],
    ['in another spelling', OLD.toUpperCase()],
    ['a metadata server', 'http://metadata.google.internal/computeMetadata/v1'],
    ['an address in numbers', 'http://169.254.169.254/v1'],
    ['this machine', 'http://localhost:8080/v1'],
    ['this key service', NEW],
    ['no address at all', 'old-kacls'],
  ])('calls nobody when the original key service is %s', async (_what, original_kacls_url) => {
    expect(refusalProblems(await rewrap({}, { original_kacls_url }), 403)).toEqual([]);
    expect(called).toEqual([]);
  });

  it('takes one trailing slash for no difference', async () => {
    expect((await rewrap({}, { original_kacls_url: `${OLD}/` })).status).toBe(200);
    expect(called[0]?.url).toBe(`${OLD}/privilegedunwrap`);
  });

  it.each([
    ['the role of a verifier', { role: 'verifier' }, 403],
    ['the role of a writer', { role: 'writer' }, 403],
    ['another key service', { kacls_url: OLD }, 403],
    ['the issuer for Drive', { iss: 'gsuitecse-tokenissuer-drive@system.gserviceaccount.com' }, 403],
    ['another owner', { kacls_owner_domain: 'evil.example' }, 403],
    ['no resource', { resource_name: undefined }, 403],
    ['an audience of key services', { aud: 'kacls-migration' }, 403],
  ])('calls nobody for a token with %s', async (_what, claims, status) => {
    expect(refusalProblems(await rewrap(claims), status)).toEqual([]);
    expect(called).toEqual([]);
  });

  it.each([
    ['that is missing', undefined],
    ['that is no text', 7],
    ['longer than any content key', 'A'.repeat(2049)],
  ])('calls nobody for a wrapped key %s', async (_what, wrapped_key) => {
    expect(refusalProblems(await rewrap({}, { wrapped_key }), 400)).toEqual([]);
    expect(called).toEqual([]);
  });

  it('keeps to itself why the old service refused', async () => {
    const answer = await rewrap({ resource_name: `${FILE}x` });
    expect(refusalProblems(answer, 500, ['old-kacls'])).toEqual([]);
    expect(newService.log.lines.at(-1)).toMatchObject({
      severity: 'error',
      fields: { code: 'key-service-refused', message: expect.stringContaining('HTTP 403') },
    });
  });
});

describe('a user or an admin', () => {
  it('cannot take a content key over', async () => {
    for (const authorization of [
      await newService.fileAuthorization(),
      await newService.adminAuthentication(),
      '',
    ]) {
      expect(refusalProblems(await rewrap({}, { authorization }), 403)).toEqual([]);
    }
  });
});
