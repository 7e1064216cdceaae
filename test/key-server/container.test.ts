/**
 * The container without an engine: the files that its Containerfile copies out of the build, in a folder of their own, started by
 * its own command under its own settings. No package of ours is near them.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash, generateKeyPairSync, randomBytes, verify } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { buildKeyServer, KEY_SERVER } from '../../bin/build.ts';
import { signAddressFeed } from '../../shared/kacls/address-feed.ts';
import { spkiSha256Of, toPkcs1Der } from '../../shared/kacls/private-key.ts';
import { sealPrivateKey } from '../../shared/kacls/wrapped-key.ts';
import {
  jwkOf,
  type KeySetServer,
  keySetServer,
  privateDecryptAs,
  type RsaPair,
  rsaPair,
  signToken,
} from '../kacls/support.ts';
import { ALICE, BASE_URL, GMAIL_ISSUER, resourceName } from '../kacls/world.ts';

const HOUR_S = 3600;
const kek = randomBytes(32);
const feedKey = generateKeyPairSync('ed25519');
let folder: string;
let issuers: KeySetServer;
let idp: RsaPair;
let gmail: RsaPair;
let alice: RsaPair;
let child: ChildProcess | undefined;
let output = '';
const at = (...parts: string[]) => join(folder, ...parts);

const CONTAINERFILE = readFileSync(new URL('../../container/Containerfile', import.meta.url), 'utf8');
const instructions = CONTAINERFILE.replaceAll(/\\\n/g, ' ')
  .split('\n')
  .filter((line) => /^[A-Z]+ /.test(line));
/** What follows the name of each of these instructions. */
const of = (name: string): readonly string[] =>
  instructions.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1));
const copied = of('COPY').flatMap((line) => line.split(' ').slice(0, -1));
const commandIn = (text = ''): readonly string[] =>
  JSON.parse(text.slice(text.indexOf('['))) as readonly string[];
const imageEnvironment = Object.fromEntries(
  of('ENV')
    .flatMap((line) => line.split(/ +/))
    .map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sealwright-container-'));
  mkdirSync(at('srv'));
  mkdirSync(at('secrets', 'key-encryption-key'), { recursive: true });
  await buildKeyServer(at('dist'));
  for (const name of copied) copyFileSync(at('dist', KEY_SERVER, name), at('srv', name));
  writeFileSync(at('secrets', 'key-encryption-key', '3'), kek);
  writeFileSync(at('feed.pub'), feedKey.publicKey.export({ type: 'spki', format: 'pem' }));
  [idp, gmail, alice] = await Promise.all([rsaPair(2048), rsaPair(2048), rsaPair(2048)]);
  issuers = await keySetServer();
  issuers.published.set('/idp', [jwkOf(idp, 'idp-1')]);
  issuers.published.set(`/service_accounts/v1/jwk/${GMAIL_ISSUER}`, [jwkOf(gmail, 'gmail-1')]);
}, 60_000);
afterEach(() => stop('SIGKILL'));
afterAll(async () => {
  await issuers.close();
  for (const name of ['srv', 'state']) if (existsSync(at(name))) chmodSync(at(name), 0o755);
  rmSync(folder, { recursive: true });
});

const seconds = () => Math.floor(Date.now() / 1000);
const feed = async (ageSeconds = 0) =>
  writeFileSync(
    at('feed.jws'),
    await signAddressFeed([[ALICE.userId, [ALICE.address]]], {
      ...{ tenantId: 'C00sample', key: feedKey.privateKey, now: new Date(Date.now() - ageSeconds * 1000) },
    }),
  );

const SETTINGS = () => ({
  SEALWRIGHT_KEY_SERVICE_URL: BASE_URL,
  SEALWRIGHT_KEY_SERVICE_TENANT: 'C00sample',
  SEALWRIGHT_KEY_SERVICE_DOMAIN: 'acme.example',
  SEALWRIGHT_KEY_SERVICE_KEYS: `file:${at('secrets', 'key-encryption-key', '3')}`,
  SEALWRIGHT_KEY_SERVICE_IDENTITY_PROVIDERS: JSON.stringify([
    { issuer: 'https://idp.acme.example', jwksUrl: `${issuers.root}/idp`, audiences: ['web'] },
  ]),
  SEALWRIGHT_GOOGLE_ROOT_URL: `${issuers.root}/`,
  SEALWRIGHT_KEY_SERVICE_FEED: at('feed.jws'),
  SEALWRIGHT_KEY_SERVICE_FEED_KEY_FILE: at('feed.pub'),
  SEALWRIGHT_KEY_SERVICE_STATE: at('state'),
  PORT: '0',
});

/** Answers its address once it listens; undefined when it ends before that. */
async function start(
  environment: Readonly<Record<string, string>>,
  { uid }: { readonly uid?: number } = {},
): Promise<string | undefined> {
  output = '';
  const [program, ...args] = commandIn(of('CMD')[0]);
  expect(program).toBe('node');
  const started = spawn(process.execPath, [...args], {
    cwd: at('srv'),
    env: { ...imageEnvironment, SEALWRIGHT_KEY_SERVICE_STATE: at('state'), ...environment },
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  child = started;
  for (const stream of [started.stdout, started.stderr]) {
    stream.on('data', (data: Buffer) => {
      output += data.toString();
    });
  }
  while (started.exitCode === null) {
    const port = /"event":"listening","port":(\d+)/.exec(output)?.[1];
    if (port !== undefined) return `http://127.0.0.1:${port}`;
    await new Promise((again) => setTimeout(again, 20));
  }
  return undefined;
}

async function stop(signal: NodeJS.Signals): Promise<number | null> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return null;
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
  return child.exitCode;
}

const get = async (url: string) => {
  const response = await fetch(url);
  return { status: response.status, json: await response.json() };
};

async function sign(root: string, address = ALICE.address) {
  const times = { iat: seconds(), exp: seconds() + HOUR_S };
  const attributes = randomBytes(50);
  const wrapped = sealPrivateKey(
    toPkcs1Der(alice.privateKey),
    { userId: ALICE.userId, perimeterId: '', spkiSha256: spkiSha256Of(alice.privateKey) },
    { kek: { id: 'key-encryption-key/3', key: kek }, tenantId: 'C00sample', random: randomBytes },
  );
  const response = await fetch(`${root}/v1/privatekeysign`, {
    method: 'POST',
    body: JSON.stringify({
      authentication: await signToken(idp, 'idp-1', {
        ...{ iss: 'https://idp.acme.example', aud: 'web', email: address, ...times },
      }),
      authorization: await signToken(gmail, 'gmail-1', {
        ...{ iss: GMAIL_ISSUER, aud: 'cse-authorization', email: address, role: 'signer', ...times },
        ...{ kacls_url: BASE_URL, resource_name: resourceName(address), spki_hash_algorithm: 'SHA-256' },
        spki_hash: spkiSha256Of(alice.privateKey).toString('base64'),
      }),
      algorithm: 'SHA256withRSA',
      digest: createHash('sha256').update(attributes).digest('base64'),
      wrapped_private_key: wrapped,
    }),
  });
  const json = (await response.json()) as { signature?: string };
  const signature = Buffer.from(json.signature ?? '', 'base64');
  return { status: response.status, verifies: verify('sha256', attributes, alice.publicKey, signature) };
}

describe('the container of the key service', () => {
  it('ends with a sentence about the setting that is missing', async () => {
    expect(await start({})).toBeUndefined();
    expect(child?.exitCode).toBe(1);
    expect(output.trim().split('\n')).toHaveLength(1);
    expect(JSON.parse(output)).toMatchObject({
      severity: 'CRITICAL',
      event: 'not-started',
      message: expect.stringMatching(/^The setting SEALWRIGHT_\w+ is missing/),
    });
  });

  it('does not start on a Node that answers a bad PKCS#1 v1.5 padding with an error, and says which one it needs', async () => {
    await feed();
    const preload = privateDecryptAs("() => { throw new Error('padding check failed'); }");
    expect(await start({ ...SETTINGS(), NODE_OPTIONS: `--import=${preload}` })).toBeUndefined();
    expect(child?.exitCode).toBe(1);
    expect(JSON.parse(output.trim().split('\n').at(-1) ?? '')).toMatchObject({
      severity: 'CRITICAL',
      event: 'not-started',
      message: expect.stringMatching(/implicit rejection.*Node 24/),
    });
  });

  it('serves without ledger, Secret Manager or metadata server: keys from files, addresses from the feed', async () => {
    await feed();
    const limit = { SEALWRIGHT_KEY_SERVICE_USER_RATE_LIMIT: '{"burst":1,"perSecond":0.0001}' };
    const root = (await start({ ...SETTINGS(), ...limit })) ?? '';
    expect(await get(`${root}/healthz`)).toEqual({ status: 200, json: { alive: true } });
    expect(await get(`${root}/readyz`)).toMatchObject({
      status: 200,
      json: {
        ready: true,
        checks: { 'key-encryption-key': 'ready', addresses: 'ready' },
        addressFeed: { addresses: 1 },
      },
    });
    expect((await get(`${root}/v1/status`)).json).toMatchObject({ server_type: 'KACLS' });
    expect(await sign(root)).toEqual({ status: 200, verifies: true });
    // The limit that its environment sets.
    expect((await sign(root)).status).toBe(429);
    expect(await stop('SIGTERM')).toBe(0);
    expect(output).toContain('"event":"stopped"');
  });

  it('opens old mail after a restart although the feed is gone, and asks newcomers to come back', async () => {
    rmSync(at('state'), { recursive: true, force: true });
    await feed(30 * 24 * HOUR_S);
    expect(await start(SETTINGS())).toBeDefined();
    await stop('SIGTERM');
    rmSync(at('feed.jws'));
    const root = (await start(SETTINGS())) ?? '';
    expect(output).toContain('address-feed-not-refreshed');
    expect((await get(`${root}/readyz`)).status).toBe(200);
    expect(await sign(root)).toEqual({ status: 200, verifies: true });
    expect((await sign(root, 'newcomer@acme.example')).status).toBe(503);
  });

  it('is not ready without any feed or without its key-encryption key, and alive all the same', async () => {
    rmSync(at('state'), { recursive: true, force: true });
    rmSync(at('feed.jws'), { force: true });
    const root =
      (await start({
        ...SETTINGS(),
        SEALWRIGHT_KEY_SERVICE_KEYS: `file:${at('secrets')}/key-encryption-key/9`,
      })) ?? '';
    expect(await get(`${root}/readyz`)).toMatchObject({
      status: 503,
      json: {
        ready: false,
        checks: { 'key-encryption-key': 'secret-missing', addresses: 'ledger-unavailable' },
      },
    });
    expect((await get(`${root}/healthz`)).status).toBe(200);
  });
});

describe('the container, whose root is read-only and whose user is nobody,', () => {
  const NOBODY = 65_534;
  /** Only root may become somebody else, and only where that user may run this node; anybody else is bound by the modes. */
  const otherUser =
    process.getuid?.() === 0 &&
    spawnSync(process.execPath, ['--version'], { uid: NOBODY, gid: NOBODY }).status === 0
      ? { uid: NOBODY }
      : {};
  /** As the image is laid out: the program's folder may not be written, and the state is the user's or nobody's. */
  const layOut = (stateMode: number) => {
    rmSync(at('state'), { recursive: true, force: true });
    mkdirSync(at('state'));
    chmodSync(at('state'), stateMode);
    chmodSync(folder, 0o755);
    chmodSync(at('srv'), 0o555);
    if (otherUser.uid !== undefined && stateMode === 0o700) chownSync(at('state'), NOBODY, NOBODY);
  };
  const health = (port: string): number | null => {
    const [program, ...args] = commandIn(of('HEALTHCHECK')[0]);
    expect(program).toBe('node');
    return spawnSync(process.execPath, args, { env: { ...imageEnvironment, PORT: port } }).status;
  };

  it('starts, is found healthy by its own health check, signs, and writes to its state alone', async () => {
    await feed();
    layOut(0o700);
    const root = (await start(SETTINGS(), otherUser)) ?? output;
    const { port } = new URL(root);
    expect(health(port)).toBe(0);
    expect(await sign(root)).toEqual({ status: 200, verifies: true });
    expect(readdirSync(at('srv')).toSorted()).toEqual(copied.toSorted());
    expect(readdirSync(at('state'))).not.toEqual([]);
    expect(await stop('SIGTERM')).toBe(0);
    expect(health(port)).toBe(1);
  });

  const isBound = process.getuid?.() !== 0 || otherUser.uid !== undefined;
  it.skipIf(!isBound)('goes on signing where even its state cannot be written, and says so', async () => {
    await feed();
    layOut(0o555);
    const root = (await start(SETTINGS(), otherUser)) ?? output;
    expect(await sign(root)).toEqual({ status: 200, verifies: true });
    expect(output).toContain('"event":"address-feed-not-kept"');
  });
});

describe('the Containerfile', () => {
  it('copies nothing but what the build puts beside it, and all that node is given', () => {
    expect(copied).toContain('index.js');
    expect(copied.filter((file) => !existsSync(at('dist', KEY_SERVER, file)))).toEqual([]);
    expect(readFileSync(at('dist', KEY_SERVER, 'Containerfile'), 'utf8')).toBe(CONTAINERFILE);
  });

  it('runs the bundle on the Node of the functions, as nobody in particular', () => {
    expect(of('FROM')).toEqual([expect.stringContaining('node:24')]);
    expect(of('CMD')).toEqual(['["node", "index.js"]']);
    expect(instructions.indexOf('USER node')).toBeGreaterThan(-1);
    expect(instructions.indexOf('USER node')).toBeLessThan(
      instructions.findIndex((line) => line.startsWith('CMD')),
    );
    expect(CONTAINERFILE).not.toMatch(/ADD |curl|wget|npm i|:latest/);
  });

  it('keeps its state where the settings say and the user may write', () => {
    const state = imageEnvironment['SEALWRIGHT_KEY_SERVICE_STATE'];
    expect(of('VOLUME')).toEqual([state]);
    expect(of('RUN')).toEqual([`install -d -o node -g node -m 0700 ${state}`]);
    expect(of('EXPOSE')).toEqual([imageEnvironment['PORT']]);
  });
});
