/** What the container holds, started under plain node in a folder of its own: no package of ours is near it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, generateKeyPairSync, randomBytes, verify } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { bundleKeyServer } from '../../bin/build/bundle.ts';
import { signAddressFeed } from '../../shared/kacls/address-feed.ts';
import { spkiSha256Of, toPkcs1Der } from '../../shared/kacls/private-key.ts';
import { sealPrivateKey } from '../../shared/kacls/wrapped-key.ts';
import {
  jwkOf,
  type KeySetServer,
  keySetServer,
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

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sealwright-container-'));
  mkdirSync(at('srv'));
  mkdirSync(at('secrets', 'key-encryption-key'), { recursive: true });
  for (const [name, bytes] of (await bundleKeyServer(process.cwd())).files)
    writeFileSync(at('srv', name), bytes);
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
async function start(environment: Readonly<Record<string, string>>): Promise<string | undefined> {
  output = '';
  const started = spawn(process.execPath, ['index.js'], { cwd: at('srv'), env: environment });
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

  it('serves without ledger, Secret Manager or metadata server: keys from files, addresses from the feed', async () => {
    await feed();
    const root = (await start(SETTINGS())) ?? '';
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

describe('the Containerfile', () => {
  const text = readFileSync(new URL('../../container/Containerfile', import.meta.url), 'utf8');
  const instructions = text
    .replaceAll(/\\\n/g, ' ')
    .split('\n')
    .filter((line) => /^[A-Z]+ /.test(line));
  const of = (name: string) => instructions.filter((line) => line.startsWith(`${name} `));

  it('copies nothing but what the build puts beside it', () => {
    const [, ...files] = (of('COPY')[0] ?? '').split(' ').slice(0, -1);
    expect(files).toContain('index.js');
    expect(files.filter((file) => !existsSync(at('srv', file)))).toEqual([]);
  });

  it('runs the bundle on the Node of the functions, as nobody in particular', () => {
    expect(of('FROM')).toEqual([expect.stringContaining('node:24')]);
    expect(of('CMD')).toEqual(['CMD ["node", "index.js"]']);
    expect(instructions.indexOf('USER node')).toBeGreaterThan(-1);
    expect(instructions.indexOf('USER node')).toBeLessThan(
      instructions.findIndex((line) => line.startsWith('CMD')),
    );
    expect(text).not.toMatch(/ADD |curl|wget|npm i|:latest/);
  });
});
