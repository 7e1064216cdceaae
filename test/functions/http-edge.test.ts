import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createConnection } from 'node:net';
import { http } from '@google-cloud/functions-framework';
import { getTestServer } from '@google-cloud/functions-framework/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asHttpFunction, type HttpCall, parseJsonObject } from '../../functions/wire/http.ts';
import { permanent, retryable } from '../../shared/errors.ts';

const lines: string[] = [];
const record = (severity: string) => (event: string, fields?: object) => {
  lines.push(JSON.stringify({ severity, event, ...fields }));
};
const log = { info: record('info'), warning: record('warning'), error: record('error') };
let server: Server;
let url: string;
let lastCall: HttpCall | undefined;

beforeAll(async () => {
  http(
    'edge-test',
    asHttpFunction(
      async (call) => {
        lastCall = call;
        if (call.path === '/bug') throw new Error('secret inner text');
        if (call.path === '/later')
          throw retryable('gmail-unavailable', 'Gmail is away.', { retryAfterMs: 1_500 });
        if (call.path === '/refused') throw permanent('forbidden', 'Not you.', { details: { field: 'x' } });
        if (call.path === '/json') return { status: 200, body: parseJsonObject(call.body) };
        return { status: 204 };
      },
      { name: 'edge-test', log, maxBodyBytes: 1_000 },
    ),
  );
  server = getTestServer('edge-test');
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => new Promise((resolve) => server.close(resolve)));

const post = (path: string, body: string, contentType = 'application/json') =>
  fetch(`${url}${path}`, { method: 'POST', body, headers: { 'content-type': contentType } });

/** A request line that no client library would send. */
function raw(requestLine: string): Promise<string> {
  const { port } = server.address() as AddressInfo;
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = createConnection(port, '127.0.0.1', () =>
      socket.end(`${requestLine}\r\nHost: x\r\nConnection: close\r\n\r\n`),
    );
    socket.on('data', (chunk) => {
      answer += chunk.toString();
    });
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
  });
}

describe("a function's edge", () => {
  test('hands a JSON body over as bytes, whatever the content type says', async () => {
    expect(await (await post('/json', '{"a":1}', 'text/plain')).json()).toEqual({ a: 1 });
    expect(lastCall?.headers['content-type']).toBe('text/plain');
  });

  test('answers malformed JSON with 400 in our own words, and keeps the body out of the log', async () => {
    lines.length = 0;
    const response = await post('/json', '{"authorization":"a token"');
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: {
        code: 400,
        status: 'INVALID_ARGUMENT',
        message: 'The request body is not JSON.',
        details: [{ reason: 'malformed-request' }],
      },
    });
    expect(lines.join('\n')).not.toContain('a token');
  });

  test.each(['[]', '"text"', 'null'])('refuses the JSON %s where an object is wanted', async (body) => {
    expect((await post('/json', body)).status).toBe(400);
  });

  test('answers a body over its limit with 413', async () => {
    const response = await post('/json', `"${'x'.repeat(1_000)}"`);
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({
      error: { message: 'The request body has 1002 bytes; at most 1000 are taken.' },
    });
  });

  test('answers a bug with 500 and none of its text, which goes to the log', async () => {
    lines.length = 0;
    const response = await post('/bug', '{}');
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain('secret inner text');
    expect(lines.join('\n')).toContain('secret inner text');
  });

  test('answers what may pass later with 503 and Retry-After in whole seconds', async () => {
    const response = await post('/later', '{}');
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('2');
  });

  test('answers a refusal with its status, code and details', async () => {
    const response = await post('/refused', '{}');
    expect(response.status).toBe(403);
    expect(await response.json()).toEqual({
      error: {
        code: 403,
        status: 'PERMISSION_DENIED',
        message: 'Not you.',
        details: [{ reason: 'forbidden', field: 'x' }],
      },
    });
  });

  test('takes a request target that looks like another host for a path', async () => {
    expect(await raw('GET //evil/json HTTP/1.1')).toContain('HTTP/1.1 204');
    expect(lastCall?.path).toBe('//evil/json');
    expect(await raw('GET // HTTP/1.1')).toContain('HTTP/1.1 204');
  });
});

test('another server in the same process sees its requests as they were sent', async () => {
  const other = createServer((incoming, answer) => {
    answer.end(`${incoming.headers['content-type']} ${incoming.url}`);
  });
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = other.address() as AddressInfo;
    const answer = await fetch(`http://127.0.0.1:${port}/%zz`, {
      method: 'POST',
      body: 'body',
      headers: { 'content-type': 'text/plain' },
    });
    expect(await answer.text()).toBe('text/plain /%zz');
  } finally {
    await new Promise((resolve) => other.close(resolve));
  }
});
