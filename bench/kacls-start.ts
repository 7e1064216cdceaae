/**
 * How long the key service takes from its start to its first answer, and what it then holds in memory, against a bare
 * hello of the functions framework in the same run: `node bench/kacls-start.ts [--quick] [--json]`. Each start is a process
 * of its own from a bundle, with the file cache warm; what a platform adds before it (pulling an image) is not in it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { bundle, bundleKeyServer, ENTRY_POINT } from '../bin/build/bundle.ts';
import { signAddressFeed } from '../shared/kacls/address-feed.ts';
import { startPostgresFront } from '../test/build/postgres-front.ts';
import { type BenchRow, median, report } from './report.ts';

const STARTS = process.argv.includes('--quick') ? 2 : 7;
const ROOT = resolve(import.meta.dirname, '..');
const FRAMEWORK = join(ROOT, 'node_modules/@google-cloud/functions-framework/build/src/main.js');
const HELLO = 'exports.handle = (request, response) => { response.send("hello"); };';

const folder = mkdtempSync(join(tmpdir(), 'sealwright-start-'));
const at = (...parts: string[]) => join(folder, ...parts);
for (const [name, files] of [
  ['server', (await bundleKeyServer(ROOT)).files],
  ['function', (await bundle(ROOT, 'key-service')).files],
  ['hello', new Map([['index.js', Buffer.from(HELLO)]])],
] as const) {
  mkdirSync(at(name));
  for (const [file, bytes] of files) writeFileSync(at(name, file), bytes);
}
const feedKey = generateKeyPairSync('ed25519');
writeFileSync(at('feed.pub'), feedKey.publicKey.export({ type: 'spki', format: 'pem' }));
writeFileSync(
  at('feed.jws'),
  await signAddressFeed([['1', ['ana@acme.example']]], {
    ...{ tenantId: 'C00sample', key: feedKey.privateKey, now: new Date() },
  }),
);
mkdirSync(at('kek'));
writeFileSync(at('kek', '1'), randomBytes(32));

const SETTINGS = {
  SEALWRIGHT_KEY_SERVICE_URL: 'https://kacls.acme.example/v1',
  SEALWRIGHT_KEY_SERVICE_TENANT: 'C00sample',
  SEALWRIGHT_KEY_SERVICE_DOMAIN: 'acme.example',
  SEALWRIGHT_KEY_SERVICE_KEYS: `file:${at('kek', '1')}`,
  SEALWRIGHT_KEY_SERVICE_IDENTITY_PROVIDERS: JSON.stringify([
    { issuer: 'https://idp.acme.example', jwksUrl: 'https://idp.acme.example/keys', audiences: ['a'] },
  ]),
};
const FEED = {
  SEALWRIGHT_KEY_SERVICE_FEED: at('feed.jws'),
  SEALWRIGHT_KEY_SERVICE_FEED_KEY_FILE: at('feed.pub'),
  SEALWRIGHT_KEY_SERVICE_STATE: at('state'),
};

interface Started {
  readonly ms: number;
  readonly megabytes: number;
}

const database = await startPostgresFront();
const found = { hello: [] as Started[], function: [] as Started[], server: [] as Started[] };
try {
  for (let turn = 0; turn < STARTS; turn += 1) {
    found.hello.push(await start('hello', FRAMEWORK, '/', { FUNCTION_TARGET: ENTRY_POINT }));
    const withLedger = { ...SETTINGS, SEALWRIGHT_DATABASE_URL: database.connectionString };
    found.function.push(
      await start('function', FRAMEWORK, '/v1/status', { ...withLedger, FUNCTION_TARGET: ENTRY_POINT }),
    );
    found.server.push(await start('server', 'index.js', '/v1/status', { ...SETTINGS, ...FEED }));
  }
} finally {
  await database.close();
  rmSync(folder, { recursive: true });
}
const rows = [row('function', 'as a function'), row('server', 'as a container')].flat();
process.exitCode = report('The start of the key service, warm file cache', rows) ? 0 : 1;

function row(name: 'function' | 'server', how: string): BenchRow[] {
  const middle = (list: readonly Started[], what: keyof Started) => median(list.map((one) => one[what]));
  const peerName = 'functions framework, hello';
  return [
    {
      name: `key service ${how}, to its first answer`,
      ...{ ours: middle(found[name], 'ms'), peer: middle(found.hello, 'ms'), peerName, unit: 'ms' },
    },
    {
      name: `key service ${how}, resident after it`,
      ...{
        ours: middle(found[name], 'megabytes'),
        peer: middle(found.hello, 'megabytes'),
        peerName,
        unit: 'MB',
      },
    },
  ];
}

async function start(
  name: string,
  program: string,
  path: string,
  environment: Readonly<Record<string, string>>,
): Promise<Started> {
  const port = await freePort();
  const from = performance.now();
  const child = spawn(process.execPath, [program], {
    cwd: at(name),
    env: {
      NODE_ENV: 'production',
      FUNCTION_SIGNATURE_TYPE: 'http',
      FUNCTION_SOURCE: at(name),
      PORT: String(port),
      ...environment,
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  try {
    await answers(`http://127.0.0.1:${port}${path}`, child);
    const ms = performance.now() - from;
    const [, pages = '0'] = readFileSync(`/proc/${child.pid}/statm`, 'utf8').split(' ');
    return { ms, megabytes: (Number(pages) * 4096) / 1e6 };
  } finally {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
}

async function answers(url: string, child: ChildProcess): Promise<void> {
  while (child.exitCode === null) {
    const status = await fetch(url).then(
      (response) => response.status,
      () => undefined,
    );
    if (status === 200) return;
    if (status !== undefined) throw new Error(`${url} answered ${status}.`);
    await new Promise((again) => setTimeout(again, 5));
  }
  throw new Error('It ended before it answered.');
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('No port could be had.');
  return address.port;
}
