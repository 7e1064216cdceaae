/** What an attacker, or a broken neighbour, may send. Each gets its documented status, and the service stays up. */
import { createSign, generateKeyPairSync, randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { jwkOf, type LocalServer, localServer } from './support.ts';
import {
  ALICE,
  BOB,
  type Body,
  FILE,
  IDP,
  type Keys,
  makeKeys,
  refusalProblems,
  spkiHash,
  startWorld,
  WEB_CLIENT,
  type World,
} from './world.ts';

let keys: Keys;
let world: World;
let wrapped: string;
beforeAll(async () => {
  keys = await makeKeys();
  world = await startWorld(keys);
  wrapped = await world.wrappedKey(keys.alice, ALICE.userId);
});
afterAll(() => world.close());

const sign = async (changes: Body = {}) =>
  world.post('privatekeysign', {
    authentication: await world.authentication(),
    authorization: await world.authorization(),
    algorithm: 'SHA256withRSA',
    digest: randomBytes(32).toString('base64'),
    wrapped_private_key: wrapped,
    ...changes,
  });

afterEach(async () => {
  expect((await sign()).status).toBe(200);
});

/** A token whose claims are this very text, which no library would write. */
function handmade(claims: string, header = '{"alg":"RS256","kid":"idp-1"}', pair = keys.idp): string {
  const input = [header, claims].map((part) => Buffer.from(part).toString('base64url')).join('.');
  return `${input}.${createSign('sha256').update(input).sign(pair.privateKey, 'base64url')}`;
}

describe('tokens that are genuine and strange', () => {
  const claims = (more: string) => {
    const now = world.clock.seconds();
    return `{"iss":"${IDP}","aud":"${WEB_CLIENT}","iat":${now},"exp":${now + 3600},"email":"${ALICE.address}"${more}}`;
  };

  it('are taken when they are plain, which shows that the others fail for what they are', async () => {
    expect((await sign({ authentication: handmade(claims('')) })).status).toBe(200);
  });

  it.each([
    ['an address twice', () => `,"email":"${BOB.address}"`],
    ['an address twice, once in escapes', () => `,"\\u0065mail":"${BOB.address}"`],
    ['the same address twice', () => `,"email":"${ALICE.address}"`],
    ['an expiry twice', () => ',"exp":4102444800'],
    ['an issuer twice', () => `,"iss":"${IDP}"`],
  ])('are refused with %s', async (_what, more) => {
    expect(refusalProblems(await sign({ authentication: handmade(claims(more())) }), 401)).toEqual([]);
  });

  /** Gmail's own claims as its token has them, and more behind them. */
  const authorization = async (more: string) => {
    const [, plain = ''] = (await world.authorization()).split('.');
    const text = Buffer.from(plain, 'base64url').toString();
    return handmade(`${text.slice(0, -1)}${more}}`, '{"alg":"RS256","kid":"gmail-1"}', keys.gmail);
  };

  it.each([
    ['no claim twice', () => '', 200],
    ['a role twice', () => ',"role":"decrypter"', 403],
    ['the same role twice', () => ',"role":"signer"', 403],
    ['a role twice, once in escapes', () => ',"rol\\u0065":"signer"', 403],
    ["somebody else's key hash besides", () => `,"spki_hash":"${spkiHash(keys.bob)}"`, 403],
    ['the same key hash twice', () => `,"spki_hash":"${spkiHash(keys.alice)}"`, 403],
    ['an address twice', () => `,"email":"${BOB.address}"`, 403],
    ['a key service twice', () => ',"kacls_url":"https://evil.example"', 403],
  ])('of Gmail, with %s', async (_what, more, status) => {
    const answer = await sign({ authorization: await authorization(more()) });
    expect(answer.status).toBe(status);
    if (status !== 200) expect(refusalProblems(answer, status)).toEqual([]);
  });

  it('are refused with claims of 100 kB, as too large', async () => {
    const token = handmade(claims(`,"groups":"${'x'.repeat(100 * 1024)}"`));
    expect(refusalProblems(await sign({ authentication: token }), 413)).toEqual([]);
  });

  it('are taken with claims of 10 kB: directories have many groups', async () => {
    const token = handmade(claims(`,"groups":"${'x'.repeat(10 * 1024)}"`));
    expect((await sign({ authentication: token })).status).toBe(200);
  });

  it('are taken or refused, and never a failure, with lists nested as deep as fits', async () => {
    const nested = `,"x":${'['.repeat(5000)}${']'.repeat(5000)}`;
    expect((await sign({ authentication: handmade(claims(nested)) })).status).toBe(200);
  });

  it.each([
    ['no object', '7'],
    ['a list', '[]'],
    ['null', 'null'],
    ['no JSON', '{'],
    ['an issuer that is no text', '{"iss":{}}'],
    ['a prototype', `{"__proto__":{"iss":"${IDP}"}}`],
  ])('are refused when their claims are %s', async (_what, text) => {
    expect(refusalProblems(await sign({ authentication: handmade(text) }), 401)).toEqual([]);
    expect(refusalProblems(await sign({ authorization: handmade(text) }), 403)).toEqual([]);
  });

  it.each([
    ['that must be understood', '{"alg":"RS256","kid":"idp-1","crit":["b64"],"b64":false}'],
    ['with a key id that is no text', '{"alg":"RS256","kid":7}'],
    ['with a key id of 10 kB', `{"alg":"RS256","kid":"${'x'.repeat(10 * 1024)}"}`],
    ['with a key id like a property of every object', '{"alg":"RS256","kid":"__proto__"}'],
  ])('are refused with a header %s', async (_what, header) => {
    const answer = await sign({ authentication: handmade(claims(''), header) });
    expect(refusalProblems(answer, 401)).toEqual([]);
  });
});

describe('bodies that are JSON and strange', () => {
  it('of a million nested lists are refused as too large', async () => {
    const body = `{"reason":${'['.repeat(1e6)}${']'.repeat(1e6)}}`;
    expect(refusalProblems(await world.post('privatekeysign', body), 413)).toEqual([]);
  });

  it('with lists nested as deep as fits are read', async () => {
    const body = `{"reason":${'['.repeat(15_000)}${']'.repeat(15_000)}}`;
    expect(refusalProblems(await world.post('privatekeysign', body), 401)).toEqual([]);
  });

  it('that reach for the prototype of objects change nothing', async () => {
    const body =
      '{"__proto__":{"authentication":"x","polluted":true},"constructor":{"prototype":{"polluted":1}}}';
    expect(refusalProblems(await world.post('privatekeysign', body), 401)).toEqual([]);
    expect({}).not.toHaveProperty('polluted');
  });

  it.each([
    ['every field a number', 7],
    ['every field a list', []],
    ['every field an object', {}],
    ['every field true', true],
  ])('with %s are refused', async (_what, value) => {
    const names = ['authentication', 'authorization', 'algorithm', 'digest', 'wrapped_private_key', 'reason'];
    const body = Object.fromEntries(names.map((name) => [name, value]));
    expect(refusalProblems(await world.post('privatekeysign', body), 400)).toEqual([]);
  });
});

describe('wrapped keys that were tampered with, over the whole service', () => {
  const refusedOrLost = [400, 422];

  it('never open with a bit flipped at any place of the header, nor at some of every part', async () => {
    const blob = Buffer.from(wrapped, 'base64');
    const places = [
      ...Array.from({ length: 96 }, (_, at) => at),
      120,
      400,
      900,
      blob.length - 16,
      blob.length - 1,
    ];
    for (const at of places) {
      const altered = Buffer.from(blob);
      altered[at] = (altered[at] ?? 0) ^ 1;
      const answer = await sign({ wrapped_private_key: altered.toString('base64') });
      expect(refusedOrLost, `byte ${at}`).toContain(answer.status);
      expect(refusalProblems(answer, answer.status)).toEqual([]);
    }
  });

  it('never open cut short', async () => {
    for (const length of [4, 5, 8, 40, 80, 100, 400]) {
      const cut = Buffer.from(wrapped, 'base64').subarray(0, length).toString('base64');
      expect(refusalProblems(await sign({ wrapped_private_key: cut }), 400), `${length} bytes`).toEqual([]);
    }
  });
});

describe('a key set server that', () => {
  /** Answers requests for the identity provider's keys as the test wants. */
  let answer: (response: ServerResponse) => void;
  let server: LocalServer;
  beforeAll(async () => {
    server = await localServer((_request, response) => answer(response));
  });
  afterAll(() => server.close());

  async function ask(keySet: (response: ServerResponse) => void): Promise<[status: number, service: World]> {
    answer = keySet;
    const service = await startWorld(keys, {
      keySetTimeoutMs: 300,
      settings: {
        authenticationIssuers: [{ issuer: IDP, jwksUrl: `${server.root}/keys`, audiences: [WEB_CLIENT] }],
      },
    });
    const reply = await service.post('wrap', {
      authentication: await service.authentication(),
      authorization: await service.fileAuthorization(),
      key: 'AAAA',
    });
    if (reply.status !== 200) expect(refusalProblems(reply, reply.status)).toEqual([]);
    return [reply.status, service];
  }
  const withKeys = (list: readonly unknown[]) => (response: ServerResponse) => {
    response.end(JSON.stringify({ keys: list }));
  };

  it.each<[string, (response: ServerResponse) => void]>([
    ['hangs', () => {}],
    ['sends a head and then hangs', (response) => response.writeHead(200).write('{"keys":[')],
    [
      'sends 100 MB',
      (response) => {
        const piece = Buffer.alloc(1024 * 1024, 0x20);
        const send = (left: number): void => {
          if (left === 0) response.end();
          else if (!response.destroyed) response.write(piece, () => send(left - 1));
        };
        send(100);
      },
    ],
    ['sends a web page', (response) => response.end('<html>Sign in</html>')],
    ['sends an error', (response) => response.writeHead(500).end()],
    [
      'sends somewhere else',
      (response) => response.writeHead(302, { location: 'http://localhost:1/' }).end(),
    ],
    ['has no keys', (response) => response.end('{"keys":[]}')],
    ['closes the connection', (response) => response.destroy()],
  ])('%s makes the service ask its callers to come back', async (_what, keySet) => {
    const [status, service] = await ask(keySet);
    await service.close();
    expect(status).toBe(503);
  });

  it.each<[string, () => readonly unknown[]]>([
    ['gives the key of another under the known id', () => [jwkOf(keys.stranger, 'idp-1')]],
    ['gives the key under another id', () => [jwkOf(keys.idp, 'other')]],
    [
      'has the right key and a wrong one before it with the same id',
      () => [jwkOf(keys.stranger, 'idp-1'), jwkOf(keys.idp, 'idp-1')],
    ],
  ])('%s makes tokens fail to verify', async (_what, list) => {
    const [status, service] = await ask(withKeys(list()));
    await service.close();
    expect(status).toBe(401);
  });

  it.each<[string, () => readonly unknown[]]>([
    ['says the key is for encryption', () => [{ ...jwkOf(keys.idp, 'idp-1'), use: 'enc' }]],
    ['says the key is for HMAC', () => [{ ...jwkOf(keys.idp, 'idp-1'), alg: 'HS256' }]],
    ['gives a secret instead of a public key', () => [{ kty: 'oct', kid: 'idp-1', k: 'AAAA' }]],
    [
      'gives an EC key',
      () => [
        {
          ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' }),
          kid: 'idp-1',
        },
      ],
    ],
    [
      'gives an RSA key of 1024 bits',
      () => [
        {
          ...generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' }),
          kid: 'idp-1',
        },
      ],
    ],
    ['gives half a key', () => [{ kty: 'RSA', kid: 'idp-1', e: 'AQAB' }]],
    ['gives things that are no keys', () => [null, 7, 'key', [], {}]],
  ])('%s has no key the service could use', async (_what, list) => {
    const [status, service] = await ask(withKeys(list()));
    await service.close();
    expect(status).toBe(503);
  });

  it('mends itself is believed again', async () => {
    const [status, service] = await ask((response) => response.writeHead(503).end());
    expect(status).toBe(503);
    answer = withKeys([jwkOf(keys.idp, 'idp-1')]);
    service.clock.advance(5000);
    const again = await service.post('wrap', {
      authentication: await service.authentication(),
      authorization: await service.fileAuthorization({ resource_name: FILE }),
      key: 'AAAA',
    });
    await service.close();
    expect(again.status).toBe(200);
  });
});
