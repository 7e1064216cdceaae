import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { httpKeySetDocuments } from '../../shared/adapters/kacls/key-set-fetcher.ts';
import { type LocalServer, localServer } from './support.ts';

describe('fetching a key set', () => {
  let server: LocalServer;
  let answer: (request: IncomingMessage, response: ServerResponse) => void;
  let requests: string[];
  beforeAll(async () => {
    server = await localServer((request, response) => {
      requests.push(request.url ?? '');
      answer(request, response);
    });
  });
  afterAll(() => server.close());
  beforeEach(() => {
    requests = [];
  });

  const documents = httpKeySetDocuments({ timeoutMs: 300 });
  const respond = (status: number, body: string, headers: Record<string, string> = {}) => {
    answer = (_request, response) => response.writeHead(status, headers).end(body);
  };
  const fetchIt = () => documents.fetch(`${server.root}/keys`);

  it('gives the keys as they are', async () => {
    respond(200, '{"keys":[{"kid":"a"},7,null,{"kid":"b"}]}');
    expect((await fetchIt()).keys).toEqual([{ kid: 'a' }, { kid: 'b' }]);
  });

  it.each([
    ['public, max-age=19800, must-revalidate, no-transform', '0', 19_800_000],
    ['max-age=600', '100', 500_000],
    ['max-age=600', '900', 0],
    ['MAX-AGE="60"', '', 60_000],
    ['no-store', '', 0],
    ['max-age=600, no-cache', '', 0],
    ['private', '', undefined],
    ['max-age=soon', '', undefined],
    ['', '', undefined],
  ])('reads "%s" with age "%s" as %s ms', async (cacheControl, age, expected) => {
    respond(200, '{"keys":[]}', { 'cache-control': cacheControl, ...(age === '' ? {} : { age }) });
    expect((await fetchIt()).maxAgeMs).toBe(expected);
  });

  it.each([
    ['an error', () => respond(500, 'oops'), /HTTP 500/],
    ['something not there', () => respond(404, '{"keys":[]}'), /HTTP 404/],
    ['no JSON', () => respond(200, '<html>'), /not JSON/],
    ['JSON without keys', () => respond(200, '{}'), /no list "keys"/],
    ['keys that are no list', () => respond(200, '{"keys":{}}'), /no list "keys"/],
    ['null', () => respond(200, 'null'), /no list "keys"/],
    ['more than it reads', () => respond(200, ' '.repeat(300 * 1024)), /larger than 262144 bytes/],
    [
      'nothing in time',
      () => {
        answer = () => {};
      },
      /within 300 ms/,
    ],
    [
      'a body that never ends',
      () => {
        answer = (_request, response) => response.writeHead(200).write('{');
      },
      /within 300 ms/,
    ],
    [
      'a broken connection',
      () => {
        answer = (request) => request.socket.destroy();
      },
      /connection failed/,
    ],
  ])('refuses %s as something that may pass', async (_what, prepare, message) => {
    prepare();
    await expect(fetchIt()).rejects.toMatchObject({
      kind: 'retryable',
      code: 'key-service-unavailable',
      message: expect.stringMatching(message),
    });
  });

  it('does not follow a redirect', async () => {
    respond(302, '', { location: `${server.root}/elsewhere` });
    await expect(fetchIt()).rejects.toThrow(/HTTP 302/);
    expect(requests).toEqual(['/keys']);
  });
});
