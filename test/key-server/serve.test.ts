/** The container form: the same key service on Node's own server, with TLS where it ends here. */
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes, verify } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TlsMaterial } from '../../functions/wire/node-server.ts';
import {
  ALICE,
  GMAIL_ORIGIN,
  type Keys,
  makeKeys,
  refusalProblems,
  startWorld,
  type World,
} from '../kacls/world.ts';

let keys: Keys;
let world: World;
let wrapped: string;
beforeAll(async () => {
  keys = await makeKeys();
  world = await startWorld(keys, { host: 'node' });
  wrapped = await world.wrappedKey(keys.alice, ALICE.userId);
});
afterAll(() => world.close());

const sign = async (attributes: Uint8Array, headers: Record<string, string> = {}) =>
  world.post(
    'privatekeysign',
    {
      authentication: await world.authentication(),
      authorization: await world.authorization(),
      algorithm: 'SHA256withRSA',
      digest: createHash('sha256').update(attributes).digest('base64'),
      wrapped_private_key: wrapped,
    },
    headers,
  );

describe("the key service on Node's own server", () => {
  it('signs, and answers with the headers of the function', async () => {
    const attributes = randomBytes(100);
    const answer = await sign(attributes);
    const signature = Buffer.from(String(answer.json['signature']), 'base64');
    expect(verify('sha256', attributes, keys.alice.publicKey, signature)).toBe(true);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'access-control-allow-origin': GMAIL_ORIGIN,
      'cache-control': 'no-store',
      'content-type': 'application/json; charset=utf-8',
      vary: 'Origin',
      'x-content-type-options': 'nosniff',
    });
  });

  it('parses a body of whatever content type', async () => {
    expect((await sign(randomBytes(9), { 'content-type': 'text/plain' })).status).toBe(200);
  });

  it('answers preflights', async () => {
    const answer = await world.request('/v1/privatekeysign', {
      method: 'OPTIONS',
      headers: { origin: GMAIL_ORIGIN },
    });
    expect([answer.status, answer.headers.get('access-control-allow-methods')]).toEqual([
      204,
      'GET, POST, OPTIONS',
    ]);
  });

  it.each([
    ['a body that is no JSON', '{"authentication":', 400],
    ['an empty body', '', 400],
    ['a body beyond the limit of its operation', JSON.stringify({ x: 'a'.repeat(40_000) }), 413],
    ['a body of two megabytes', JSON.stringify({ x: 'a'.repeat(2 ** 21) }), 413],
    ['a million nested lists', `{"x":${'['.repeat(1e6)}${']'.repeat(1e6)}}`, 413],
  ])('refuses %s with the structured error', async (_what, body, status) => {
    expect(refusalProblems(await world.post('privatekeysign', body), status)).toEqual([]);
    expect((await sign(randomBytes(9))).status).toBe(200);
  });

  it.each([
    ['an unknown operation', '/v1/nothing'],
    ['a broken percent escape', '/v1/%zz'],
    ['a path that looks like another host', '//evil.example/v1/status'],
    ['a path outside the base address', '/status'],
  ])('answers %s with 404', async (_what, path) => {
    const answer = await world.request(path, { headers: { origin: GMAIL_ORIGIN } });
    expect(refusalProblems(answer, 404)).toEqual([]);
  });

  it('stops reading a body that does not end, and goes on serving', async () => {
    const { port, hostname } = new URL(world.root);
    const socket = createConnection(Number(port), hostname);
    socket.on('error', () => {});
    socket.write('POST /v1/wrap HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n');
    const chunk = `10000\r\n${'a'.repeat(0x10000)}\r\n`;
    let answer = '';
    socket.on('data', (data) => {
      answer += data.toString();
    });
    const closed = new Promise((resolve) => socket.once('close', resolve));
    const feeding = setInterval(() => socket.writable && socket.write(chunk), 1);
    await closed;
    clearInterval(feeding);
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect((await sign(randomBytes(9))).status).toBe(200);
  });

  it('goes on serving after callers that left in the middle', async () => {
    const { port, hostname } = new URL(world.root);
    for (const sent of [
      'POST /v1/wrap HTTP/1.1\r\nhost: x\r\ncontent-length: 900\r\n\r\n{"a"',
      'POST ',
      '',
    ]) {
      const socket = createConnection(Number(port), hostname);
      await new Promise<void>((resolve) => socket.write(sent || ' ', () => resolve()));
      socket.destroy();
    }
    expect((await sign(randomBytes(9))).status).toBe(200);
  });
});

describe('where TLS ends at the key service itself, it', () => {
  let folder: string;
  let tls: TlsMaterial;
  let secure: World;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sealwright-tls-'));
    const file = (name: string) => join(folder, name);
    const args = [
      ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=kacls.acme.example', '-days', '2'],
      ...['-keyout', file('key.pem'), '-out', file('chain.pem')],
    ];
    execFileSync('openssl', args, { stdio: 'ignore' });
    tls = {
      certificateChain: readFileSync(file('chain.pem'), 'utf8'),
      privateKey: readFileSync(file('key.pem'), 'utf8'),
    };
    secure = await startWorld(keys, { host: 'node', tls });
  });
  afterAll(async () => {
    await secure.close();
    rmSync(folder, { recursive: true });
  });

  const handshake = (options: ConnectionOptions): Promise<string> =>
    new Promise((resolve) => {
      const port = Number(new URL(secure.root).port);
      const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options }, () => {
        resolve(socket.getProtocol() ?? 'none');
        socket.destroy();
      });
      socket.once('error', () => resolve('refused'));
    });

  it('speaks TLS 1.2 and 1.3, and neither TLS 1.1 nor plain HTTP', async () => {
    expect(await handshake({ minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' })).toBe('TLSv1.3');
    expect(await handshake({ minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' })).toBe('TLSv1.2');
    // Level 0, or OpenSSL would not offer the old version at all and the server would have nothing to refuse.
    const old = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    expect(await handshake(old)).toBe('refused');
    await expect(secure.request('/v1/status')).rejects.toThrow();
  });
});
