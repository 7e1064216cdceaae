import { createHash, createPrivateKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { kaclsKeyService } from '../../shared/adapters/kacls/client.ts';
import { isSealwrightError, permanent, type SealwrightError } from '../../shared/errors.ts';
import { type LocalServer, localServer } from './support.ts';
import { ALICE, BASE_URL, makeKeys, startWorld, WRAP_CALLER } from './world.ts';

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const privateKeyDer = privateKey.export({ type: 'pkcs8', format: 'der' });
const spkiHash = createHash('sha256')
  .update(publicKey.export({ type: 'spki', format: 'der' }))
  .digest();
const TOKEN = 'header.claims.signature-of-google';

const WRAPPED = randomBytes(1500).toString('base64');
const CORRELATION = '0123456789abcdef0123456789abcdef';

describe('the client of a key service', () => {
  let server: LocalServer;
  let answer: (response: ServerResponse, request: IncomingMessage) => void;
  let received: { path: string; body: Record<string, unknown> }[];
  beforeAll(async () => {
    server = await localServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const body = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
        received.push({ path: request.url ?? '', body });
        answer(response, request);
      });
    });
  });
  afterAll(() => server.close());
  beforeEach(() => {
    received = [];
  });

  const respond = (status: number, body: unknown, headers: Record<string, string> = {}) => {
    answer = (response) =>
      response.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body));
  };
  const audiences: string[] = [];
  const client = kaclsKeyService({
    timeoutMs: 500,
    fetchIdToken: async (audience) => {
      audiences.push(audience);
      return TOKEN;
    },
  });
  const wrap = (keyServiceUrl = `${server.root}/v1`, keyService = client) =>
    keyService.wrapPrivateKey({
      keyServiceUrl,
      privateKeyDer,
      spkiSha256Hex: spkiHash.toString('hex'),
      userId: ALICE.userId,
    });

  /** The failure, checked to hold nothing that was sent. */
  async function failure(attempt: Promise<unknown>): Promise<SealwrightError> {
    const error = await attempt.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (!isSealwrightError(error)) throw new Error('expected a failure of the taxonomy', { cause: error });
    const der = privateKeyDer.toString('base64');
    const told = JSON.stringify([error.message, error.details, String(error.cause)]);
    for (const secret of [
      TOKEN,
      der.slice(0, 40),
      der.slice(600, 640),
      WRAPPED.slice(0, 40),
      'PRIVATE KEY',
    ]) {
      expect(told).not.toContain(secret);
    }
    return error;
  }

  it('sends the key once, as PKCS#8 PEM, with the owner and a token for this address', async () => {
    respond(200, { wrapped_private_key: WRAPPED });
    await wrap(`${server.root}/v1/`);
    expect(audiences.at(-1)).toBe(`${server.root}/v1`);
    expect(received).toHaveLength(1);
    const [{ path, body } = { path: '', body: {} }] = received;
    expect(path).toBe('/v1/wrapprivatekey');
    expect(body).toEqual({
      authentication: TOKEN,
      private_key: expect.stringMatching(
        /^-----BEGIN PRIVATE KEY-----\n[\s\S]*\n-----END PRIVATE KEY-----\n$/,
      ),
      perimeter_id: '',
      user_id: ALICE.userId,
    });
    const sent = createPrivateKey(String(body['private_key'])).export({ type: 'pkcs8', format: 'der' });
    expect(sent).toEqual(privateKeyDer);
  });

  it('takes an answer that names the right public key for a proof', async () => {
    respond(200, {
      wrapped_private_key: WRAPPED,
      spki_hash: spkiHash.toString('base64'),
      spki_hash_algorithm: 'SHA-256',
    });
    expect(await wrap()).toEqual({ wrappedKey: WRAPPED, proof: 'proven' });
    respond(200, { wrapped_private_key: WRAPPED, spki_hash: spkiHash.toString('base64').replace('=', '') });
    expect(await wrap()).toEqual({ wrappedKey: WRAPPED, proof: 'proven' });
  });

  it('takes an answer that names no public key as unproven', async () => {
    respond(200, { wrapped_private_key: WRAPPED, something_new: 1 });
    expect(await wrap()).toEqual({ wrappedKey: WRAPPED, proof: 'unproven' });
  });

  it.each([
    ['a page for people', '<html>Welcome</html>'],
    ['nothing', ''],
    ['a list', []],
    ['a number', '7'],
    ['no wrapped key', {}],
    ['an empty wrapped key', { wrapped_private_key: '' }],
    ['a wrapped key that is no text', { wrapped_private_key: { a: 1 } }],
    ['a wrapped key of more than 8 KB', { wrapped_private_key: 'A'.repeat(8196) }],
    ['a wrapped key that is no base64', { wrapped_private_key: '-----BEGIN-----' }],
    ['a wrapped key in base64url', { wrapped_private_key: 'ab-_' }],
    [
      'the hash of another key',
      { wrapped_private_key: WRAPPED, spki_hash: randomBytes(32).toString('base64') },
    ],
    ['a hash that is no text', { wrapped_private_key: WRAPPED, spki_hash: null }],
    [
      'a hash by another algorithm',
      { wrapped_private_key: WRAPPED, spki_hash: spkiHash.toString('base64'), spki_hash_algorithm: 'SHA-1' },
    ],
    ['a hash in hex', { wrapped_private_key: WRAPPED, spki_hash: spkiHash.toString('hex') }],
    ['an endless text', ' '.repeat(100 * 1024)],
  ])('refuses %s as an answer that may be better next time', async (_what, body) => {
    respond(200, body);
    expect(await failure(wrap())).toMatchObject({ kind: 'retryable', code: 'key-service-answer-invalid' });
  });

  it('takes a wrapped key of exactly 8 KB', async () => {
    respond(200, { wrapped_private_key: 'A'.repeat(8192) });
    expect((await wrap()).wrappedKey).toHaveLength(8192);
  });

  it.each([
    [500, {}, undefined],
    [502, {}, undefined],
    [503, { 'retry-after': '7' }, 7_000],
    [503, { date: 'Mon, 23 Nov 2026 12:00:00 GMT', 'retry-after': 'Mon, 23 Nov 2026 12:01:30 GMT' }, 90_000],
    [503, { 'retry-after': 'soon' }, undefined],
    [429, { 'retry-after': '30' }, 30_000],
    [408, {}, undefined],
  ])(
    'treats HTTP %i as passing, and waits as long as it is asked to',
    async (status, headers, retryAfterMs) => {
      respond(status, { code: status, message: 'x', details: CORRELATION }, headers);
      const error = await failure(wrap());
      expect(error).toMatchObject({ kind: 'retryable', code: 'key-service-unavailable' });
      expect(error.retryAfterMs).toBe(retryAfterMs);
      expect(error.message).toContain(CORRELATION);
    },
  );

  it.each([
    [400, /PKCS#8 PEM/],
    [401, /audience/],
    [403, /list of callers/],
    [404, /no wrapprivatekey/],
    [418, /does not take/],
  ])('treats HTTP %i as final and says what to do', async (status, advice) => {
    respond(status, { code: status, message: 'x', details: CORRELATION });
    const error = await failure(wrap());
    expect(error).toMatchObject({ kind: 'permanent', code: 'key-service-refused' });
    expect(error.message).toMatch(advice);
    expect(error.message).toContain(CORRELATION);
  });

  it('repeats nothing that a refusal repeats', async () => {
    answer = (response) => {
      const echo = JSON.stringify(received.at(-1)?.body);
      response.writeHead(400).end(JSON.stringify({ code: 400, message: echo, details: echo }));
    };
    expect((await failure(wrap())).code).toBe('key-service-refused');
  });

  it('does not carry a private key along a redirect', async () => {
    respond(307, '', { location: `${server.root}/elsewhere` });
    const error = await failure(wrap());
    expect(error).toMatchObject({ kind: 'permanent', code: 'key-service-refused' });
    expect(error.message).toContain('redirects');
    expect(received.map(({ path }) => path)).toEqual(['/v1/wrapprivatekey']);
  });

  it.each([
    [
      'does not answer',
      () => {
        answer = () => {};
      },
      /within 500 ms/,
    ],
    [
      'stops in the middle of its answer',
      () => {
        answer = (response) => response.writeHead(200).write('{');
      },
      /within 500 ms/,
    ],
    [
      'breaks the connection',
      () => {
        answer = (_response, request) => request.socket.destroy();
      },
      /connection failed/,
    ],
  ])('treats a service that %s as unavailable', async (_what, prepare, message) => {
    prepare();
    const error = await failure(wrap());
    expect(error).toMatchObject({ kind: 'retryable', code: 'key-service-unavailable' });
    expect(error.message).toMatch(message);
  });

  it('treats a service that is not there as unavailable and names the cause', async () => {
    const gone = await localServer(() => {});
    await gone.close();
    const error = await failure(wrap(gone.root));
    expect(error).toMatchObject({ kind: 'retryable', code: 'key-service-unavailable' });
    expect(error.message).toContain('ECONNREFUSED');
  });

  it.each(['http://kacls.acme.example', 'ftp://kacls.acme.example', 'kacls.acme.example', ''])(
    'sends nothing to "%s"',
    async (address) => {
      const tokens = audiences.length;
      expect(await failure(wrap(address))).toMatchObject({ kind: 'permanent', code: 'settings-invalid' });
      expect(audiences).toHaveLength(tokens);
    },
  );

  it('reports a token that cannot be had without what the auth library says of it', async () => {
    const noToken = kaclsKeyService({
      timeoutMs: 500,
      fetchIdToken: () => Promise.reject(new Error(`request with ${TOKEN} failed`)),
    });
    expect(await failure(wrap(undefined, noToken))).toMatchObject({
      kind: 'retryable',
      code: 'key-service-unavailable',
    });
    const refused = permanent('delegation-refused', 'Allow it.');
    const knowing = kaclsKeyService({ timeoutMs: 500, fetchIdToken: () => Promise.reject(refused) });
    expect(await failure(wrap(undefined, knowing))).toBe(refused);
    expect(received).toEqual([]);
  });
});

describe('the client and our own key service', () => {
  it('agree: what one sends the other wraps, proves and will serve', async () => {
    const keys = await makeKeys();
    const world = await startWorld(keys);
    try {
      const client = kaclsKeyService({
        timeoutMs: 5_000,
        fetchIdToken: (audience) => world.wrapAuthentication({ aud: audience, email: WRAP_CALLER }),
        // The public address of the service leads to the test server.
        fetch: (input, init) => fetch(String(input).replace('https://kacls.acme.example', world.root), init),
      });
      const { wrappedKey, proof } = await client.wrapPrivateKey({
        keyServiceUrl: BASE_URL,
        privateKeyDer,
        spkiSha256Hex: spkiHash.toString('hex'),
        userId: ALICE.userId,
        perimeterId: 'board',
      });
      expect(proof).toBe('proven');
      const answer = await world.post('privatekeysign', {
        authentication: await world.authentication(),
        authorization: await world.authorization({
          spki_hash: spkiHash.toString('base64'),
          perimeter_id: 'board',
        }),
        algorithm: 'SHA256withRSA',
        digest: randomBytes(32).toString('base64'),
        wrapped_private_key: wrappedKey,
      });
      expect(answer.status).toBe(200);
    } finally {
      await world.close();
    }
  });
});
