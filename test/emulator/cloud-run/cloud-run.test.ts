import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  type RequestOptions,
  request,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Compute, GoogleAuth } from 'google-auth-library';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type CloudRun,
  type CloudRunService,
  createCloudRun,
  kaclsMethod,
} from '../../../emulator/cloud-run/index.ts';
import { GOOGLE_ISSUER } from '../../../emulator/core/outbound-request.ts';
import { type Company, EVENTS, OTHER, openCompany } from '../identity/company.ts';

let company: Company;
let folder: string;
let socketPath: string;
let cloudRun: CloudRun | undefined;
let fn: Server | undefined;

beforeEach(async () => {
  company = await openCompany();
  folder = mkdtempSync(join(tmpdir(), 'run-'));
  socketPath = join(folder, 'function.sock');
});
afterEach(async () => {
  await cloudRun?.stop();
  cloudRun = undefined;
  await stopFunction();
  await company[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

interface Seen {
  verb: string | undefined;
  path: string | undefined;
  headers: IncomingHttpHeaders;
  body: string;
}

/** The function's own server; unless told otherwise it answers what it saw. */
async function startFunction(handle: RequestListener = echo): Promise<void> {
  fn = createServer(handle).listen(socketPath);
  await once(fn, 'listening');
}

async function stopFunction(): Promise<void> {
  if (fn === undefined) return;
  fn.closeAllConnections();
  fn.close();
  await once(fn, 'close');
  fn = undefined;
}

async function readAll(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

async function echo(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await readAll(incoming).catch(() => '');
  const seen: Seen = { verb: incoming.method, path: incoming.url, headers: incoming.headers, body };
  response.setHeader('content-type', 'application/json').end(JSON.stringify(seen));
}

/** One service named `sign`, before whatever listens on the socket. */
async function open(service: Partial<CloudRunService> = {}): Promise<string> {
  cloudRun = createCloudRun(company.context, { calls: company.calls, idTokens: company.room.idTokens }, [
    { name: 'sign', port: 0, socketPath, access: 'public', ...service },
  ]);
  await cloudRun.start();
  return cloudRun.url('sign');
}

const iam = (url?: string) => ({
  access: { invokers: [EVENTS], ...(url === undefined ? {} : { audiences: [url] }) },
});

function token(audience: string, claims: Record<string, unknown> = {}): Promise<string> {
  return company.room.idTokens.mint(GOOGLE_ISSUER, {
    aud: audience,
    email: EVENTS,
    email_verified: true,
    ...claims,
  });
}

const seenBy = async (response: Response): Promise<Seen> => (await response.json()) as Seen;

/** By node:http, for headers and verbs that fetch does not send. */
function send(url: string, options: RequestOptions, body?: string) {
  const call = request(url, { agent: false, ...options });
  call.end(body);
  return call;
}

const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2));
};

describe('the front of a public service', () => {
  it('passes verb, path, query, headers and body on, and the answer back', async () => {
    await startFunction(async (incoming, response) => {
      response.writeHead(201, { 'x-own': 'a', 'set-cookie': ['a=1', 'b=2'] });
      response.end(
        `${incoming.method} ${incoming.url} ${incoming.headers['x-own']} ${await readAll(incoming)}`,
      );
    });
    const url = await open();
    const response = await fetch(`${url}v1/users?x=%2F&y=1`, {
      method: 'PUT',
      body: 'body',
      headers: { 'x-own': 'kept' },
    });
    expect(response.status).toBe(201);
    expect(response.headers.get('x-own')).toBe('a');
    expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2']);
    expect(await response.text()).toBe('PUT /v1/users?x=%2F&y=1 kept body');
  });

  // A child process, because the race is between two: one that reads the body and one that ends the request.
  it('passes on every answer of a function that answers the moment it has the body', {
    timeout: 60_000,
  }, async () => {
    const source = `
      const server = require('node:http').createServer((incoming, response) => {
        incoming.once('data', () => response.writeHead(400).end('no'));
      });
      server.listen(process.argv[1], () => console.log('listening'));
      setInterval(() => server.getConnections((_, open) => console.error(String(open))), 50);`;
    const child = spawn(process.execPath, ['-e', source, socketPath], { stdio: ['ignore', 'pipe', 'pipe'] });
    let connections = '';
    child.stderr.on('data', (chunk: Buffer) => {
      connections = chunk.toString().trim().split('\n').at(-1) ?? '';
    });
    try {
      await once(child.stdout, 'data');
      const url = await open();
      for (let call = 0; call < 200; call += 1) {
        const response = await fetch(url, { method: 'POST', body: 'x'.repeat(50) });
        expect(`${response.status} ${await response.text()}`).toBe('400 no');
      }
      // The front closes each connection once it has the answer.
      await until(() => connections === '0');
    } finally {
      child.kill('SIGKILL');
      await once(child, 'close');
    }
  });

  it('passes tokens on untouched and unchecked', async () => {
    await startFunction();
    const response = await fetch(await open(), {
      headers: { authorization: 'Bearer a.b.c', 'x-serverless-authorization': 'Bearer d.e.f' },
    });
    expect((await seenBy(response)).headers).toMatchObject({
      authorization: 'Bearer a.b.c',
      'x-serverless-authorization': 'Bearer d.e.f',
    });
  });

  it('adds where the request came from, behind what was there, and a trace', async () => {
    await startFunction();
    const url = await open();
    const bare = (await seenBy(await fetch(url))).headers;
    expect(bare).toMatchObject({
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
      traceparent: expect.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/),
      'x-cloud-trace-context': expect.stringMatching(/^[0-9a-f]{32}\/\d+$/),
      host: new URL(url).host,
    });
    const traceparent = `00-${'a'.repeat(32)}-00000000000000ff-01`;
    const behind = { 'x-forwarded-for': '192.0.2.1', 'x-forwarded-proto': 'https', traceparent };
    expect((await seenBy(await fetch(url, { headers: behind }))).headers).toMatchObject({
      'x-forwarded-for': '192.0.2.1, 127.0.0.1',
      'x-forwarded-proto': 'http',
      traceparent,
      'x-cloud-trace-context': `${'a'.repeat(32)}/255;o=1`,
    });
    const wrong = { traceparent: `00-${'0'.repeat(32)}-00000000000000ff-01` };
    expect((await seenBy(await fetch(url, { headers: wrong }))).headers['traceparent']).not.toBe(
      wrong.traceparent,
    );
  });

  it('keeps headers of the hop, in both directions, to the hop', async () => {
    await startFunction((incoming, response) => {
      response.setHeader('connection', 'x-mine');
      response.setHeader('x-mine', 'hop');
      response.setHeader('proxy-authenticate', 'Basic');
      echo(incoming, response);
    });
    const call = send(await open(), {
      headers: {
        connection: 'close, x-mine',
        'x-mine': 'hop',
        te: 'trailers',
        'proxy-authorization': 'Basic x',
        'x-kept': 'end',
      },
    });
    const [response] = (await once(call, 'response')) as [IncomingMessage];
    const { headers } = JSON.parse(await readAll(response)) as Seen;
    expect(headers).toMatchObject({ 'x-kept': 'end' });
    for (const name of ['x-mine', 'te', 'proxy-authorization']) expect(headers).not.toHaveProperty(name);
    for (const name of ['x-mine', 'proxy-authenticate']) expect(response.headers).not.toHaveProperty(name);
  });

  it('streams both ways before either side has ended', async () => {
    await startFunction((incoming, response) => {
      response.flushHeaders();
      incoming.on('data', (chunk: Buffer) => response.write(chunk.toString().toUpperCase()));
      incoming.on('end', () => response.end());
    });
    const call = request(await open(), { method: 'POST', agent: false });
    call.flushHeaders();
    call.write('one');
    const [response] = (await once(call, 'response')) as [IncomingMessage];
    const [first] = (await once(response, 'data')) as [Buffer];
    expect(first.toString()).toBe('ONE');
    call.end('two');
    expect(await readAll(response)).toBe('TWO');
  });

  it('passes on a body of unknown length under any verb, and none where there is none', async () => {
    await startFunction();
    const url = await open();
    const call = send(url, { method: 'DELETE', headers: { 'transfer-encoding': 'chunked' } }, 'text');
    const [response] = (await once(call, 'response')) as [IncomingMessage];
    expect(JSON.parse(await readAll(response))).toMatchObject({ verb: 'DELETE', body: 'text' });
    const empty = await seenBy(await fetch(url));
    expect(empty.body).toBe('');
    expect(empty.headers).not.toHaveProperty('transfer-encoding');
  });

  it('answers HEAD and 204 without a body', async () => {
    await startFunction((_incoming, response) => response.writeHead(204).end());
    const url = await open();
    expect((await fetch(url, { method: 'HEAD' })).status).toBe(204);
    expect(await (await fetch(url)).text()).toBe('');
  });
});

describe('the front of a service behind IAM', () => {
  it('lets an invoker in, its token shorn of the signature', async () => {
    await startFunction();
    const url = await open(iam());
    const jwt = await token(url.replace(/\/$/, ''));
    const response = await fetch(url, { headers: { authorization: `Bearer ${jwt}` } });
    expect(response.status).toBe(200);
    const [header, payload] = jwt.split('.');
    expect((await seenBy(response)).headers.authorization).toBe(
      `Bearer ${header}.${payload}.SIGNATURE_REMOVED_BY_GOOGLE`,
    );
  });

  it("takes the token that Google's own client fetches from the metadata server", async () => {
    await startFunction();
    const url = await open(iam());
    const before = process.env['GCE_METADATA_HOST'];
    process.env['GCE_METADATA_HOST'] = `127.0.0.1:${company.port}`;
    try {
      const compute = new Compute({ serviceAccountEmail: EVENTS });
      const auth = new GoogleAuth({ authClient: compute as never });
      const client = await auth.getIdTokenClient(url);
      const response = await client.request<Seen>({ url: `${url}sign`, method: 'POST', data: { id: 1 } });
      expect(response.data).toMatchObject({ verb: 'POST', path: '/sign', body: '{"id":1}' });
      expect(response.data.headers.authorization).toMatch(/\.SIGNATURE_REMOVED_BY_GOOGLE$/);
    } finally {
      if (before === undefined) delete process.env['GCE_METADATA_HOST'];
      else process.env['GCE_METADATA_HOST'] = before;
    }
  });

  it('prefers X-Serverless-Authorization and then passes Authorization on untouched', async () => {
    await startFunction();
    const url = await open(iam());
    const jwt = await token(url);
    const response = await fetch(url, {
      headers: { 'x-serverless-authorization': `bearer ${jwt}`, authorization: 'Bearer a.b.c' },
    });
    const { headers } = await seenBy(response);
    expect(headers.authorization).toBe('Bearer a.b.c');
    expect(headers['x-serverless-authorization']).toMatch(/\.SIGNATURE_REMOVED_BY_GOOGLE$/);
  });

  it('checks X-Serverless-Authorization alone when both are there', async () => {
    await startFunction();
    const url = await open(iam());
    const response = await fetch(url, {
      headers: { 'x-serverless-authorization': 'Bearer a.b.c', authorization: `Bearer ${await token(url)}` },
    });
    expect(response.status).toBe(401);
  });

  it('takes its own address with and without a slash, and the audiences it was given', async () => {
    await startFunction();
    const url = await open(iam('https://sign.acme.example'));
    for (const audience of [url, url.replace(/\/$/, ''), 'https://sign.acme.example']) {
      const response = await fetch(url, { headers: { authorization: `Bearer ${await token(audience)}` } });
      expect(response.status).toBe(200);
    }
  });

  it('answers 403 as JSON to a request without a token, also to a preflight, and the function sees nothing', async () => {
    let calls = 0;
    await startFunction((_incoming, response) => {
      calls += 1;
      response.end();
    });
    const url = await open(iam());
    for (const method of ['GET', 'POST', 'OPTIONS']) {
      const response = await fetch(url, { method });
      expect(response.status).toBe(403);
      expect(await response.json()).toMatchObject({ error: { code: 403, status: 'PERMISSION_DENIED' } });
    }
    expect(calls).toBe(0);
  });

  it.each([
    ['another audience', async (url: string) => token(`${url}sign`)],
    ['several audiences', async (url: string) => token(url, { aud: [url, 'x'] })],
    ['another issuer', async (url: string) => token(url, { iss: 'https://idp.acme.example' })],
    [
      "the company's own provider as its maker",
      async (url: string) =>
        company.room.idTokens.mint('https://idp.acme.example', {
          iss: GOOGLE_ISSUER,
          aud: url,
          email: EVENTS,
        }),
    ],
    ['an end in the past', async (url: string) => token(url, { iat: 1, exp: 2 })],
    [
      'no signature',
      async (url: string) => (await token(url)).replace(/[^.]*$/, 'SIGNATURE_REMOVED_BY_GOOGLE'),
    ],
    [
      'a signature of something else',
      async (url: string) => {
        const [header, , signature] = (await token(url)).split('.');
        const claims = {
          iss: GOOGLE_ISSUER,
          aud: url,
          email: EVENTS,
          email_verified: true,
          exp: 9e9,
          iat: 1,
        };
        return `${header}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.${signature}`;
      },
    ],
    [
      'an access token in its place',
      async () => company.bearer({ kind: 'service-account', email: EVENTS, scopes: [] }).slice(7),
    ],
    ['rubbish', async () => 'rubbish'],
  ])('answers 401 to a token with %s', async (_name, make) => {
    await startFunction();
    const url = await open(iam());
    const response = await fetch(url, { headers: { authorization: `Bearer ${await make(url)}` } });
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toContain('error="invalid_token"');
    expect(response.headers.get('content-type')).toContain('application/json');
  });

  it('answers 401 to something other than a bearer token', async () => {
    await startFunction();
    const url = await open(iam());
    expect((await fetch(url, { headers: { authorization: 'Basic abc' } })).status).toBe(401);
  });

  it.each([
    ['who is no invoker', { email: OTHER }],
    ['whose address is not verified', { email_verified: false }],
    ['without an address', { email: undefined }],
  ])('answers 403 to a caller %s', async (_name, claims) => {
    await startFunction();
    const url = await open(iam());
    const jwt = await token(url, claims);
    const response = await fetch(url, { headers: { authorization: `Bearer ${jwt}` } });
    expect(response.status).toBe(403);
  });

  it('names the caller in the call log, and never a token', async () => {
    await startFunction();
    const url = await open(iam());
    const jwt = await token(url);
    await fetch(`${url}sign?secret=1`, { method: 'POST', headers: { authorization: `Bearer ${jwt}` } });
    await fetch(url);
    expect(company.calls.since(0)).toMatchObject([
      { method: 'functions.sign', verb: 'POST', path: '/sign', caller: EVENTS, status: 200 },
      { method: 'functions.sign', verb: 'GET', path: '/', status: 403, reason: 'forbidden' },
    ]);
    const text = JSON.stringify(company.calls.since(0));
    expect(text).not.toContain('secret');
    expect(text).not.toContain(jwt.slice(0, 20));
  });
});

describe('the front, while the function is away,', () => {
  const unavailable = { error: { code: 503, status: 'UNAVAILABLE', message: expect.any(String) } };

  it('answers 503, and serves again when the function is back', async () => {
    const url = await open();
    const gone = await fetch(url);
    expect(gone.status).toBe(503);
    expect(await gone.json()).toMatchObject(unavailable);
    await startFunction();
    expect((await fetch(url)).status).toBe(200);
    await stopFunction();
    expect((await fetch(url, { method: 'POST', body: 'x'.repeat(100_000) })).status).toBe(503);
    await startFunction();
    expect((await fetch(url)).status).toBe(200);
  });

  it('answers 503 when the function breaks the connection before its answer', async () => {
    await startFunction((incoming) => incoming.socket.destroy());
    const response = await fetch(await open());
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject(unavailable);
  });

  it("breaks the client's connection when the function breaks off in the middle of its answer", async () => {
    await startFunction((incoming, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half', () => incoming.socket.destroy());
    });
    const response = await fetch(await open());
    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toThrow();
  });

  it('answers 504 when the function does not begin to answer in time', async () => {
    await startFunction(() => undefined);
    const response = await fetch(await open({ timeoutMs: 20 }));
    expect(response.status).toBe(504);
    expect(await response.json()).toMatchObject({ error: { status: 'DEADLINE_EXCEEDED' } });
  });

  it('passes on the answer of a function that does not read the request to its end', async () => {
    await startFunction((_incoming, response) => response.writeHead(413, { connection: 'close' }).end('no'));
    const response = await fetch(await open(), { method: 'POST', body: 'x'.repeat(4_000_000) });
    expect(response.status).toBe(413);
    expect(await response.text()).toBe('no');
  });
});

describe('the front', () => {
  it('answers 413 to a body over its limit, announced or not, and takes one at the limit', async () => {
    await startFunction();
    const url = await open({ maxBodyBytes: 1000 });
    expect((await fetch(url, { method: 'POST', body: 'x'.repeat(1000) })).status).toBe(200);
    expect((await fetch(url, { method: 'POST', body: 'x'.repeat(1001) })).status).toBe(413);
    const call = send(url, { method: 'POST', headers: { 'transfer-encoding': 'chunked' } }, 'x'.repeat(1001));
    const [response] = (await once(call, 'response')) as [IncomingMessage];
    expect(response.statusCode).toBe(413);
    response.resume();
  });

  it('takes the request from the function when its client leaves', async () => {
    let left = false;
    let arrived = false;
    await startFunction((_incoming, response) => {
      arrived = true;
      response.on('close', () => {
        left = true;
      });
    });
    const url = await open();
    const aborted = new AbortController();
    const call = fetch(url, { signal: aborted.signal });
    await until(() => arrived);
    aborted.abort();
    await expect(call).rejects.toThrow();
    await until(() => left);
    await until(() => company.calls.last > 0);
    expect(company.calls.since(0)).toMatchObject([{ status: 499, reason: 'clientClosedRequest' }]);
    expect(cloudRun?.pending()).toEqual([]);
  });

  it('tells in words what is under way', async () => {
    const waiting: ServerResponse[] = [];
    await startFunction((_incoming, response) => {
      waiting.push(response);
    });
    const url = await open();
    expect(cloudRun?.pending()).toEqual([]);
    const call = fetch(`${url}a?b=c`, { method: 'POST' });
    await until(() => waiting.length === 1);
    expect(cloudRun?.pending()).toEqual(['sign: POST /a']);
    waiting[0]?.end();
    await call;
    await until(() => cloudRun?.pending().length === 0);
  });

  it('does not start on a port in use, says which, and leaves the other ports free', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const service = { socketPath, access: 'public' } as const;
    const run = createCloudRun(company.context, { calls: company.calls, idTokens: company.room.idTokens }, [
      { name: 'a', port: 0, ...service },
      { name: 'b', port, ...service },
    ]);
    await expect(run.start()).rejects.toThrow(`Port ${port} of the service b is in use`);
    taken.close();
    await once(taken, 'close');
    await run.start();
    await run.stop();
  });

  it('knows the services it was given, each once', async () => {
    await open();
    expect(cloudRun?.url('sign')).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/);
    expect(() => cloudRun?.url('other')).toThrow(RangeError);
    const service = { name: 'a', port: 0, socketPath, access: 'public' } as const;
    const parts = { calls: company.calls, idTokens: company.room.idTokens };
    expect(() => createCloudRun(company.context, parts, [service, service])).toThrow('Two services');
  });

  it('breaks what is in flight when it stops', async () => {
    let arrived = false;
    await startFunction(() => {
      arrived = true;
    });
    const call = fetch(await open());
    await until(() => arrived);
    await Promise.all([expect(call).rejects.toThrow(), cloudRun?.stop()]);
  });
});

describe('faults before a function', () => {
  const fault = (value: Record<string, unknown>) => company.context.faults.apply({ calls: [value] });

  it('are named after the service, or as the service says', async () => {
    await startFunction();
    const url = await open({ methodOf: kaclsMethod });
    fault({ method: 'kacls.privatekeysign', status: 429, reason: 'rateLimitExceeded', retryAfterSeconds: 7 });
    const response = await fetch(`${url}v1/privatekeysign`, { method: 'POST' });
    expect(response.status).toBe(429);
    expect(response.headers.get('retry-after')).toBe('7');
    expect((await fetch(`${url}v1/status`)).status).toBe(200);
    expect(company.calls.since(0).map((call) => call.method)).toEqual([
      'kacls.privatekeysign',
      'kacls.status',
    ]);
  });

  it.each([
    ['before', 0],
    ['after', 1],
  ] as const)('cut the connection %s the effect', async (cut, effects) => {
    let seen = 0;
    await startFunction((_incoming, response) => {
      seen += 1;
      response.end('done');
    });
    const url = await open();
    fault({ method: 'functions.sign', nth: [1], cut });
    await expect(fetch(url, { method: 'POST', body: 'x' })).rejects.toThrow();
    await until(() => company.calls.last > 0);
    expect(seen).toBe(effects);
    expect(company.calls.since(0)).toMatchObject([{ cut, status: cut === 'after' ? 200 : 499 }]);
    expect((await fetch(url)).status).toBe(200);
  });

  it('delay a call, which its client may still leave', async () => {
    await startFunction();
    const url = await open();
    fault({ method: 'functions.*', latencyMs: 600_000 });
    const aborted = new AbortController();
    const call = fetch(url, { signal: aborted.signal });
    await until(() => cloudRun?.pending().length === 1);
    aborted.abort();
    await expect(call).rejects.toThrow();
    await until(() => cloudRun?.pending().length === 0);
    expect(company.calls.since(0)).toMatchObject([{ status: 499 }]);
  });

  it('do not open a service to somebody it would refuse', async () => {
    await startFunction();
    const url = await open(iam());
    fault({ method: '*', status: 503 });
    expect((await fetch(url)).status).toBe(403);
  });
});
