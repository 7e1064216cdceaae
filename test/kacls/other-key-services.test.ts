import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { httpOtherKeyServices } from '../../shared/adapters/kacls/other-key-services.ts';
import { type LocalServer, localServer } from './support.ts';

describe('calling another key service', () => {
  let server: LocalServer;
  let answer: (request: IncomingMessage, response: ServerResponse) => void;
  let requests: string[];
  beforeAll(async () => {
    server = await localServer((request, response) => {
      requests.push(`${request.method} ${request.url}`);
      answer(request, response);
    });
  });
  afterAll(() => server.close());
  beforeEach(() => {
    requests = [];
  });

  const services = httpOtherKeyServices({ timeoutMs: 300 });
  const unwrap = () =>
    services.privilegedUnwrap({
      keyServiceUrl: `${server.root}/v1`,
      authentication: 'token',
      wrappedKey: 'AAAA',
      resourceName: 'file',
      reason: 'migration',
    });
  const respond = (status: number, body: string, headers: Record<string, string> = {}) => {
    answer = (_request, response) => response.writeHead(status, headers).end(body);
  };

  it('posts to privilegedunwrap and answers the key', async () => {
    respond(200, '{"key":"AQID"}');
    expect(Buffer.from(await unwrap())).toEqual(Buffer.of(1, 2, 3));
    expect(requests).toEqual(['POST /v1/privilegedunwrap']);
  });

  it.each([301, 302, 307, 308])('follows no redirect, here HTTP %i, and says so', async (status) => {
    respond(status, '', { location: `${server.root}/elsewhere` });
    await expect(unwrap()).rejects.toMatchObject({
      kind: 'permanent',
      code: 'key-service-refused',
      message: expect.stringMatching(/redirects are not followed/),
    });
    expect(requests).toHaveLength(1);
  });

  it.each([
    [400, 'permanent', 'key-service-refused'],
    [401, 'permanent', 'key-service-refused'],
    [403, 'permanent', 'key-service-refused'],
    [404, 'permanent', 'key-service-refused'],
    [408, 'retryable', 'key-service-unavailable'],
    [429, 'retryable', 'key-service-unavailable'],
    [500, 'retryable', 'key-service-unavailable'],
    [503, 'retryable', 'key-service-unavailable'],
  ])('reads HTTP %i as %s, %s, and repeats nothing of the answer', async (status, kind, code) => {
    respond(status, '{"message":"the token was eyJhbGciOi"}');
    await expect(unwrap()).rejects.toMatchObject({
      kind,
      code,
      message: expect.not.stringContaining('eyJ'),
    });
  });

  it.each([
    ['no JSON', '<html>'],
    ['no object', '7'],
    ['null', 'null'],
    ['no key', '{}'],
    ['a key that is no text', '{"key":7}'],
    ['an empty key', '{"key":""}'],
    ['a key that is no base64', '{"key":"***"}'],
    ['a key of 129 bytes', JSON.stringify({ key: Buffer.alloc(129).toString('base64') })],
    ['more than it reads', `{"key":"AQID","padding":"${'x'.repeat(17 * 1024)}"}`],
  ])('refuses an answer that holds %s', async (_what, body) => {
    respond(200, body);
    await expect(unwrap()).rejects.toMatchObject({ code: 'key-service-answer-invalid' });
  });

  it.each([
    [
      'never answers',
      () => {
        answer = () => {};
      },
      /within 300 ms/,
    ],
    [
      'never ends its answer',
      () => {
        answer = (_request, response) => response.writeHead(200).write('{');
      },
      /within 300 ms/,
    ],
    [
      'breaks the connection',
      () => {
        answer = (request) => request.socket.destroy();
      },
      /connection failed/,
    ],
  ])('gives up on one that %s', async (_what, prepare, message) => {
    prepare();
    await expect(unwrap()).rejects.toMatchObject({
      kind: 'retryable',
      code: 'key-service-unavailable',
      message: expect.stringMatching(message),
    });
  });
});
