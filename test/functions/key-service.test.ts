import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createKeyService } from '../../functions/key-service.ts';
import { httpKeySetDocuments } from '../../shared/adapters/kacls/key-set-fetcher.ts';
import { permanent, retryable } from '../../shared/errors.ts';
import type { KeyServiceSettings } from '../../shared/kacls/settings.ts';
import { ManualClock, memoryKeks, memoryLog } from '../kacls/support.ts';
import {
  ALICE,
  BASE_URL,
  GMAIL_ORIGIN,
  type Keys,
  makeKeys,
  refusalProblems,
  resourceName,
  spkiHash,
  startWorld,
  type World,
  WRAP_CALLER,
} from '../kacls/world.ts';

const ADMIN_CONSOLE = 'https://admin.google.com';
const OPERATIONS = [
  ...['wrap', 'unwrap', 'delegate', 'digest', 'rewrap', 'privilegedwrap', 'privilegedunwrap'],
  ...['wrapprivatekey', 'rewrapprivatekey', 'privatekeysign', 'privatekeydecrypt'],
  'privilegedprivatekeydecrypt',
];
const PATHS = ['status', 'certs', 'takeout_unwrap', ...OPERATIONS];
const DIGEST = randomBytes(32).toString('base64');

let keys: Keys;
beforeAll(async () => {
  keys = await makeKeys();
});

describe('key service, over HTTP', () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld(keys);
  });
  afterAll(() => world.close());
  beforeEach(() => {
    world.log.lines.length = 0;
  });

  it('says at /status what it is and lists exactly the operations it serves', async () => {
    const { status, json } = await world.request('/v1/status');
    expect(status).toBe(200);
    expect(json).toEqual({
      server_type: 'KACLS',
      vendor_id: 'Sealwright',
      version: '1.2.3',
      name: 'Sealwright key service',
      operations_supported: OPERATIONS,
    });
  });

  it.each([
    ['mail alone', { applications: ['gmail'] }, ['wrap', 'unwrap', 'delegate']],
    [
      'everything but mail with S/MIME',
      { applications: ['drive', 'meet', 'calendar', 'gmail-sta'] },
      ['privatekeysign', 'privatekeydecrypt'],
    ],
    ['nobody who may have keys wrapped', { wrapCallers: [] }, ['wrapprivatekey', 'rewrapprivatekey']],
    [
      'no admins',
      { privilegedCallers: {}, migrationTargets: [] },
      ['privilegedwrap', 'privilegedunwrap', 'privilegedprivatekeydecrypt', 'takeout_unwrap'],
    ],
    ['no key service to move from', { migrationSources: [] }, ['rewrap']],
    [
      'no key service to move from or to',
      { migrationSources: [], migrationTargets: [] },
      ['digest', 'rewrap'],
    ],
  ] satisfies [string, Partial<KeyServiceSettings>, string[]][])(
    'configured for %s, neither lists nor serves what that leaves out',
    async (_what, settings, missing) => {
      const smaller = await startWorld(keys, { settings });
      try {
        const { json } = await smaller.request('/v1/status');
        expect(json['operations_supported']).toEqual(OPERATIONS.filter((name) => !missing.includes(name)));
        for (const name of missing) expect(refusalProblems(await smaller.post(name, {}), 404)).toEqual([]);
      } finally {
        await smaller.close();
      }
    },
  );

  it('has no certs, no delegate and no rewrap without a signing key', async () => {
    const smaller = await startWorld(keys, { tokenSigningKeys: null });
    try {
      const { json } = await smaller.request('/v1/status');
      expect(json['operations_supported']).toEqual(
        OPERATIONS.filter((name) => name !== 'delegate' && name !== 'rewrap'),
      );
      const certs = await smaller.request('/v1/certs', { headers: { origin: GMAIL_ORIGIN } });
      expect(refusalProblems(certs, 404)).toEqual([]);
      for (const name of ['delegate', 'rewrap']) {
        expect(refusalProblems(await smaller.post(name, {}), 404)).toEqual([]);
      }
    } finally {
      await smaller.close();
    }
  });

  it.each([
    ['a POST to status', 'POST', '/v1/status', 405],
    ['a GET of privatekeysign', 'GET', '/v1/privatekeysign', 405],
    ['a PUT to wrapprivatekey', 'PUT', '/v1/wrapprivatekey', 405],
    ['a GET of wrap', 'GET', '/v1/wrap', 405],
    ['a POST to certs', 'POST', '/v1/certs', 405],
    ['an operation that it does not have', 'POST', '/v1/migrate', 404],
    ['an operation named like a property of every object', 'POST', '/v1/constructor', 404],
    ['an operation outside its base address', 'POST', '/privatekeysign', 404],
    ['an operation below another prefix that begins alike', 'POST', '/v11/privatekeysign', 404],
    ['a path below an operation', 'POST', '/v1/privatekeysign/x', 404],
    ['the bare base address', 'GET', '/v1', 404],
  ])('answers %s with the structured error', async (_what, method, path, status) => {
    const answer = await world.request(path, { method, headers: { origin: GMAIL_ORIGIN } });
    expect(refusalProblems(answer, status)).toEqual([]);
  });

  it('names the right verb when the wrong one was used', async () => {
    const answer = await world.request('/v1/status', { method: 'POST', headers: { origin: GMAIL_ORIGIN } });
    expect(answer.headers.get('allow')).toBe('GET, OPTIONS');
  });

  it.each(PATHS)('answers the preflight of %s for the origin of Gmail', async (operation) => {
    const { status, headers } = await world.request(`/v1/${operation}`, {
      method: 'OPTIONS',
      headers: { origin: GMAIL_ORIGIN, 'access-control-request-method': 'POST' },
    });
    expect(status).toBe(204);
    expect(headers.get('access-control-allow-origin')).toBe(GMAIL_ORIGIN);
    expect(headers.get('access-control-allow-methods')).toContain('POST');
    expect(headers.get('access-control-allow-headers')).toContain('Content-Type');
    expect(Number(headers.get('access-control-max-age'))).toBeGreaterThan(0);
    expect(headers.get('vary')).toBe('Origin');
    expect(headers.get('access-control-allow-credentials')).toBeNull();
  });

  it.each([
    ['a stranger', 'https://evil.example', 'status'],
    [
      'a stranger whose name begins like the origin of Gmail',
      `${GMAIL_ORIGIN}.evil.example`,
      'privatekeysign',
    ],
    ['an opaque origin', 'null', 'privatekeysign'],
    ['the Admin console, for anything but status', ADMIN_CONSOLE, 'privatekeysign'],
  ])('allows no cross-origin use to %s', async (_who, origin, operation) => {
    for (const method of ['OPTIONS', 'POST']) {
      const { headers } = await world.request(`/v1/${operation}`, { method, headers: { origin } });
      expect(headers.get('access-control-allow-origin')).toBeNull();
      expect(headers.get('access-control-allow-methods')).toBeNull();
    }
  });

  it('lets the Admin console read status', async () => {
    const { headers } = await world.request('/v1/status', { headers: { origin: ADMIN_CONSOLE } });
    expect(headers.get('access-control-allow-origin')).toBe(ADMIN_CONSOLE);
  });

  it('serves callers that send no Origin and a content type of their own choice', async () => {
    const body = JSON.stringify({
      authentication: await world.authentication(),
      authorization: await world.authorization(),
      algorithm: 'SHA256withRSA',
      digest: DIGEST,
      wrapped_private_key: await world.wrappedKey(keys.alice, ALICE.userId),
    });
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'application/json; charset=latin1',
    ]) {
      const answer = await world.request('/v1/privatekeysign', {
        method: 'POST',
        headers: { 'content-type': type },
        body,
      });
      expect(answer.status).toBe(200);
      expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
    }
  });

  it.each([
    ['a body that is not JSON', '{"authentication":', 400],
    ['an empty body', '', 400],
    ['a JSON list', '[]', 400],
    ['a token that is a number', { authentication: 7, authorization: 7 }, 400],
    ['bytes that are no text', Uint8Array.of(0xff, 0xfe, 0x00), 400],
    ['a body of more than 32 KB', { authentication: 'a'.repeat(33 * 1024) }, 413],
    ['a body of more than a megabyte', { authentication: 'a'.repeat(1024 * 1024) }, 413],
  ])('refuses %s with the structured error', async (_what, body, status) => {
    for (const operation of OPERATIONS.filter((name) => !name.endsWith('wrapprivatekey'))) {
      expect(refusalProblems(await world.post(operation, body), status)).toEqual([]);
    }
  });

  it('takes up to 64 KB for wrapprivatekey, and no more', async () => {
    const padded = (bytes: number) => world.post('wrapprivatekey', { filler: 'a'.repeat(bytes) });
    expect((await padded(60 * 1024)).status).toBe(401);
    expect(refusalProblems(await padded(65 * 1024), 413)).toEqual([]);
  });

  it('forbids storing answers and guessing their type', async () => {
    const { headers } = await world.request('/v1/status');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
  });
});

describe('key service, when something behind it fails', () => {
  const signRequest = async (world: World) => ({
    authentication: await world.authentication(),
    authorization: await world.authorization(),
    algorithm: 'SHA256withRSA',
    digest: DIGEST,
    wrapped_private_key: await world.wrappedKey(keys.alice, ALICE.userId),
  });

  it.each([
    [
      'asks to come back when the ledger is unavailable',
      retryable('ledger-unavailable', 'Connection to 10.0.0.7 refused.', { retryAfterMs: 2500 }),
      503,
      '3',
    ],
    [
      'answers a fault of its own set-up with 500',
      permanent('secret-missing', 'No secret in 10.0.0.7.'),
      500,
      null,
    ],
    ['answers a bug with 500', new TypeError('10.0.0.7 is not iterable'), 500, null],
  ])(
    '%s, keeps the details in the log and says nothing about them',
    async (_what, error, status, retryAfter) => {
      const world = await startWorld(keys, {
        addressBook: {
          userIdsOfAddress: () => Promise.reject(error),
        },
      });
      try {
        const answer = await world.post('privatekeysign', await signRequest(world));
        expect(refusalProblems(answer, status, ['10.0.0.7'])).toEqual([]);
        expect(answer.headers.get('retry-after')).toBe(retryAfter);
        const line = world.log.lines.at(-1);
        expect(line?.severity).toBe('error');
        expect(line?.fields).toMatchObject({
          correlationId: answer.json['details'],
          outcome: 'failed',
          status,
        });
        expect(line?.fields['message']).toContain('10.0.0.7');
      } finally {
        await world.close();
      }
    },
  );
});

describe('key service, in its audit log', () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld(keys);
  });
  afterAll(() => world.close());
  afterEach(() => {
    world.log.lines.length = 0;
  });

  const sign = async (more: Record<string, unknown> = {}) => ({
    authentication: await world.authentication(),
    authorization: await world.authorization(),
    algorithm: 'SHA256withRSA',
    digest: DIGEST,
    reason: 'sign email',
    wrapped_private_key: await world.wrappedKey(keys.alice, ALICE.userId),
    ...more,
  });

  it('records who used which key for which message, how and why', async () => {
    const body = await sign();
    world.log.lines.length = 0;
    await world.post('privatekeysign', body);
    expect(world.log.lines).toEqual([
      {
        severity: 'info',
        event: 'private-key-used',
        fields: {
          correlationId: expect.stringMatching(/^[0-9a-f]{32}$/),
          operation: 'privatekeysign',
          reason: 'sign email',
          authenticated: ALICE.address,
          messageId: '<CAE1@mail.gmail.com>',
          resourceName: resourceName(ALICE.address),
          algorithm: 'pkcs1-sha256',
          owner: ALICE.userId,
          kekId: 'kek/1',
          perimeterId: '',
          spkiSha256Hex: Buffer.from(spkiHash(keys.alice), 'base64').toString('hex'),
          outcome: 'done',
        },
      },
    ]);
  });

  it('records a refusal with its cause and the id the caller was given', async () => {
    const answer = await world.post(
      'privatekeysign',
      await sign({ authorization: await world.authorization({ role: 'reader' }) }),
    );
    const line = world.log.lines.at(-1);
    expect(line).toMatchObject({
      severity: 'warning',
      event: 'private-key-used',
      fields: {
        correlationId: answer.json['details'],
        authenticated: ALICE.address,
        outcome: 'refused',
        code: 'forbidden',
      },
    });
  });

  it('gives the making of wrapped keys an event of its own, to raise alarms on', async () => {
    await world.wrap(keys.bob, '7');
    expect(world.log.lines).toMatchObject([
      {
        event: 'private-key-wrapped',
        fields: { authenticated: WRAP_CALLER, owner: '7', kekId: 'kek/1', outcome: 'done' },
      },
    ]);
    await world.post('wrapprivatekey', { authentication: await world.authentication() });
    expect(world.log.lines.at(-1)).toMatchObject({
      severity: 'warning',
      event: 'private-key-wrapped',
      fields: { outcome: 'refused', code: 'unauthenticated' },
    });
  });

  it('believes nothing of a token that was not verified', async () => {
    const forged = await world.authentication({ email: 'ceo@acme.example' }, keys.stranger);
    await world.post('privatekeysign', await sign({ authentication: forged }));
    expect(JSON.stringify(world.log.lines.at(-1))).not.toContain('ceo@');
  });

  it.each([
    ['line breaks', 'sign\r\n{"severity":"INFO"}', 'sign {"severity":"INFO"}'],
    ['a bidirectional override and a line separator', 'a\u202eb\u2028c', 'a b c'],
    ['two kilobytes', 'x'.repeat(2048), `${'x'.repeat(200)}…`],
    ['half a surrogate pair', 'a\ud800', 'a\ufffd'],
  ])('neutralises a reason with %s and serves the request', async (_what, reason, logged) => {
    const answer = await world.post('privatekeysign', await sign({ reason }));
    expect(answer.status).toBe(200);
    expect(world.log.lines.at(-1)?.fields['reason']).toBe(logged);
  });

  it('serves a request whose reason is no text', async () => {
    expect((await world.post('privatekeysign', await sign({ reason: { client: 'gmail' } }))).status).toBe(
      200,
    );
  });

  it('never holds a token, a digest, a wrapped key or a private key', async () => {
    const body = await sign();
    await world.post('privatekeysign', body);
    await world.post('privatekeysign', {
      ...body,
      wrapped_private_key: `${body.wrapped_private_key.slice(0, -8)}AAAAAAAA`,
    });
    await world.post('wrapprivatekey', {
      authentication: await world.wrapAuthentication(),
      private_key: `x${keys.alice.privateKey.export({ type: 'pkcs8', format: 'pem' })}`,
    });
    const all = JSON.stringify(world.log.lines);
    const der = keys.alice.privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64');
    for (const secret of [
      body.authentication,
      body.authorization.slice(-60),
      DIGEST,
      body.wrapped_private_key.slice(0, 60),
      der.slice(200, 240),
    ]) {
      expect(all).not.toContain(secret);
    }
  });
});

describe('key service, at its start', () => {
  const OTHER = 'https://kacls.vendor.example/v1';
  const start = (changes: Record<string, unknown>) =>
    createKeyService({
      settings: {
        baseUrl: BASE_URL,
        tenantId: 'C00sample',
        ownerDomain: 'acme.example',
        authenticationIssuers: [
          { issuer: 'https://idp.example', jwksUrl: 'https://idp.example/keys', audiences: ['a'] },
        ],
        wrapCallers: [],
        guests: 'refuse',
        sha1Signing: false,
        oaepMgf1: 'same',
        ...changes,
      },
      keyEncryptionKeys: memoryKeks([]),
      addressBook: { userIdsOfAddress: async () => [] },
      keySetDocuments: httpKeySetDocuments(),
      clock: new ManualClock(),
      log: memoryLog(),
      version: '0',
    });

  it.each([
    ['without TLS', 'http://kacls.example/v1'],
    ['on this machine', 'https://localhost/v1'],
    ['on this machine, under a name of its own', 'https://kacls.localhost/v1'],
    ['on loopback', 'http://127.0.0.1:8080/v1'],
    ['in numbers', 'https://93.184.216.34/v1'],
    ['in one number', 'https://1572395042/v1'],
    ['in hexadecimal numbers', 'https://0x5db8d822/v1'],
    ['in numbers of version 6', 'https://[2001:db8::1]/v1'],
    ['at the metadata server', 'https://metadata.google.internal/v1'],
    ['at the metadata server, in numbers', 'http://169.254.169.254/v1'],
    ['at a name without a domain', 'https://kacls/v1'],
    ['at a name that ends in a dot', 'https://kacls.example./v1'],
    ['in a network of its own', 'https://kacls.corp.internal/v1'],
    ['with a user', 'https://user@kacls.example/v1'],
    ['with a query', 'https://kacls.example/v1?x'],
    ['with doubled slashes', 'https://kacls.example//v1'],
    ['in capitals', 'https://KACLS.example/v1'],
    ['with a port that goes without saying', 'https://kacls.example:443/v1'],
    ['with a way up', 'https://kacls.example/x/../v1'],
    ['that is this one', `${BASE_URL}/`],
    ['that is no address', 'kacls.example'],
  ])('refuses another key service %s, to move from or to', (_what, url) => {
    for (const field of ['migrationSources', 'migrationTargets']) {
      expect(() => start({ [field]: [url] })).toThrow(
        expect.objectContaining({ code: 'settings-invalid', message: expect.stringContaining(field) }),
      );
    }
  });

  it('accepts other key services by their public names', () => {
    for (const url of [
      OTHER,
      `${OTHER}/`,
      'https://cse.vendor.example:8443',
      'https://xn--bcher-kva.example/a/b',
    ]) {
      expect(start({ migrationSources: [url], migrationTargets: [url] })).toBeTypeOf('function');
    }
  });

  it('accepts one on loopback only where it stands on loopback itself', () => {
    const migrationSources = ['http://127.0.0.1:8080/old'];
    expect(start({ migrationSources, baseUrl: 'http://127.0.0.1:8081/v1' })).toBeTypeOf('function');
    expect(() => start({ migrationSources })).toThrow(/must be https/);
  });

  it('accepts admins of the same identity provider with a client of their own', () => {
    const privilegedIssuers = [
      { issuer: 'https://idp.example', jwksUrl: 'https://idp.example/keys', audiences: ['b'] },
    ];
    const privilegedCallers = { privilegedunwrap: ['export@acme.example'] };
    expect(start({ privilegedIssuers, privilegedCallers })).toBeTypeOf('function');
  });

  it('accepts settings without the optional fields', () => {
    expect(start({})).toBeTypeOf('function');
  });

  const idp = { issuer: 'https://idp.example', jwksUrl: 'https://idp.example/keys', audiences: ['a'] };
  it.each([
    [
      'a base address without TLS',
      { baseUrl: 'http://kacls.acme.example' },
      /baseUrl must be an https address/,
    ],
    ['a base address with a query', { baseUrl: `${BASE_URL}?x=1` }, /baseUrl must be a plain address/],
    ['no base address', { baseUrl: '' }, /baseUrl/],
    ['no tenant', { tenantId: '' }, /tenantId must have 1 to 255 bytes/],
    ['a tenant that fits no wrapped key', { tenantId: 'x'.repeat(256) }, /tenantId must have 1 to 255 bytes/],
    ['no owner domain', { ownerDomain: '' }, /ownerDomain must not be empty/],
    ['no identity provider', { authenticationIssuers: [] }, /at least one identity provider/],
    ['an issuer named twice', { authenticationIssuers: [idp, idp] }, /names https:\/\/idp.example twice/],
    [
      'an issuer without an audience',
      { authenticationIssuers: [{ ...idp, audiences: [] }] },
      /at least one audience/,
    ],
    [
      'an issuer whose audience is that of wrapprivatekey',
      { authenticationIssuers: [{ ...idp, audiences: [`${BASE_URL}/`] }] },
      /uses for other tokens/,
    ],
    [
      'an issuer whose audience is that of authorization tokens',
      { authenticationIssuers: [{ ...idp, audiences: ['cse-authorization'] }] },
      /uses for other tokens/,
    ],
    [
      'a key set fetched without TLS',
      { authenticationIssuers: [{ ...idp, jwksUrl: 'http://idp.example/keys' }] },
      /must be an https address/,
    ],
    ['a key set root that is no address', { authorizationKeySetRoot: 'nowhere' }, /authorizationKeySetRoot/],
    [
      'an issuer whose audience is that of other key services',
      { authenticationIssuers: [{ ...idp, audiences: ['kacls-migration'] }] },
      /uses for other tokens/,
    ],
    [
      'an issuer whose audience is that of delegated tokens',
      { authenticationIssuers: [{ ...idp, audiences: ['kacls-delegation'] }] },
      /uses for other tokens/,
    ],
    [
      'itself as an identity provider',
      { authenticationIssuers: [{ ...idp, issuer: `${BASE_URL}/` }] },
      /no identity provider/,
    ],
    [
      'a key service as an identity provider of admins',
      { privilegedIssuers: [{ ...idp, issuer: OTHER }], migrationTargets: [OTHER] },
      /no identity provider/,
    ],
    [
      'admins who come with the audience of everybody',
      { privilegedIssuers: [idp] },
      /shares the audience a .* register a client for admins alone/,
    ],
    [
      'admins for whom nobody vouches',
      { privilegedCallers: { privilegedwrap: ['a@acme.example'] } },
      /privilegedIssuers says nowhere/,
    ],
    ['admins of an unknown endpoint', { privilegedCallers: { unwrap: [] } }, /names unwrap/],
    [
      'an admin without an address',
      { privilegedIssuers: [{ ...idp, audiences: ['b'] }], privilegedCallers: { privilegedwrap: [''] } },
      /empty address/,
    ],
    ['no application', { applications: [] }, /at least one application/],
    ['an application that does not exist', { applications: ['sheets'] }, /names sheets/],
    ['a perimeter named twice', { perimeters: [{ id: 'a' }, { id: 'a' }] }, /names "a" twice/],
    ['a perimeter with too long an id', { perimeters: [{ id: 'x'.repeat(129) }] }, /128 bytes/],
    ['a rate limit that lets nobody through', { userRateLimit: { burst: 0, perSecond: 1 } }, /userRateLimit/],
    [
      'a rate limit that never refills',
      { privilegedRateLimit: { burst: 1, perSecond: 0 } },
      /privilegedRateLimit/,
    ],
  ])('refuses %s and names the field', (_what, changes, message) => {
    expect(() => start(changes)).toThrow(
      expect.objectContaining({ code: 'settings-invalid', message: expect.stringMatching(message) }),
    );
  });
});
