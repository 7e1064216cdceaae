import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ENTRY_POINT } from '../../bin/build/bundle.ts';
import { zip } from '../../bin/build/zip.ts';
import { type Built, KEY_SERVER } from '../../bin/build.ts';
import { FUNCTION_NAMES, type FunctionName } from '../../functions/catalog.ts';
import { type PostgresFront, startPostgresFront } from './postgres-front.ts';
import { type Served, serve } from './served.ts';

const ROOT = resolve(import.meta.dirname, '../..');

let out = '';
let built: readonly Built[] = [];
beforeAll(() => {
  // Outside the project, so that a bundle finds no node_modules above it.
  out = mkdtempSync(join(tmpdir(), 'sealwright-build-'));
  built = JSON.parse(run('--out', out, '--json'));
}, 180_000);
afterAll(() => rmSync(out, { recursive: true, force: true }));

function run(...flags: readonly string[]): string {
  return execFileSync(process.execPath, [join(ROOT, 'bin/build.ts'), ...flags], { encoding: 'utf8' });
}

function of(name: FunctionName): Built {
  const found = built.find((each) => each.name === name);
  if (found === undefined) throw new Error(`${name} was not built`);
  return found;
}

const read = (name: FunctionName, file: string): string => readFileSync(join(out, name, file), 'utf8');

describe('the build', () => {
  test('makes one bundle and one archive per deployed function', () => {
    expect(built.map(({ name }) => name)).toEqual(FUNCTION_NAMES);
    expect(readdirSync(out).toSorted()).toEqual(
      [KEY_SERVER, ...FUNCTION_NAMES.flatMap((name) => [name, `${name}.zip`])].toSorted(),
    );
  });

  test('says how large each is', () => {
    for (const { name, bytes, gzipBytes } of built) {
      expect(read(name, 'index.js').length).toBeLessThanOrEqual(bytes);
      expect(gzipBytes).toBeGreaterThan(10_000);
      expect(gzipBytes).toBeLessThan(bytes);
    }
  });

  test('refuses a flag it does not know, with exit code 2 and a sentence', () => {
    const ended = spawnSync(process.execPath, [join(ROOT, 'bin/build.ts'), '--outt', 'x'], {
      encoding: 'utf8',
    });
    expect(ended.status).toBe(2);
    expect(ended.stderr).toContain("Unknown option '--outt'");
    expect(ended.stderr).not.toContain('    at ');
  });
});

describe('the bundle', () => {
  const gmail = 'googleapis/build/src/apis/gmail';
  const packages = (name: FunctionName) => Object.keys(of(name).parts);

  test('of sign holds the CA key reader and no Gmail, no directory, no Pub/Sub and no bucket', () => {
    expect(packages('sign')).toContain('@google-cloud/secret-manager');
    expect(packages('sign')).not.toContain('googleapis');
    expect(packages('sign')).not.toContain('@google-cloud/pubsub');
    expect(packages('sign')).not.toContain('@google-cloud/storage');
    expect(read('sign', 'index.js')).not.toContain('gmail.settings.basic');
    expect(read('sign', 'index.js')).not.toContain('gmail/v1/users');
  });

  test('of directory-event holds Gmail and no Secret Manager', () => {
    expect(read('directory-event', 'index.js')).toContain('gmail/v1/users');
    expect(packages('directory-event')).not.toContain('@google-cloud/secret-manager');
    expect(read('directory-event', 'index.js')).not.toContain('accessSecretVersion');
  });

  test.each(FUNCTION_NAMES.filter((name) => name !== 'directory-event'))(
    'of %s holds no Gmail client',
    (name) => {
      expect(read(name, 'index.js')).not.toContain('gmail/v1/users');
      expect(read(name, 'index.js.map')).not.toContain(gmail);
    },
  );

  // publish-crl puts the keys of OCSP signers there.
  test.each(FUNCTION_NAMES.filter((name) => !['sign', 'key-service', 'publish-crl'].includes(name)))(
    'of %s holds no Secret Manager',
    (name) => {
      expect(packages(name)).not.toContain('@google-cloud/secret-manager');
    },
  );

  test.each(FUNCTION_NAMES)('of %s holds no embedded database, test tool or second framework', (name) => {
    expect(
      packages(name).filter((part) => /pglite|functions-framework$|^emulator|^test|^local/.test(part)),
    ).toEqual([]);
  });

  test.each(FUNCTION_NAMES)('of %s names its module, its runtime and one dependency', (name) => {
    const manifest = JSON.parse(read(name, 'package.json'));
    expect(manifest).toEqual({
      name: `sealwright-${name}`,
      version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
      private: true,
      main: 'index.js',
      engines: { node: '24.x' },
      dependencies: { '@google-cloud/functions-framework': expect.stringMatching(/^\d+\.\d+\.\d+$/) },
    });
  });

  test('comes with a lock that holds all the framework needs, at the versions and hashes of ours', () => {
    const ours = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')).packages;
    const { '': root, ...locked } = JSON.parse(read('sign', 'package-lock.json')).packages;
    expect(root.dependencies).toEqual(JSON.parse(read('sign', 'package.json')).dependencies);
    expect(Object.keys(locked).length).toBeGreaterThan(50);
    for (const [path, entry] of Object.entries<{ integrity: string; dependencies?: object }>(locked)) {
      expect(entry).toEqual(ours[path]);
      expect(entry.integrity).toMatch(/^sha512-/);
      for (const name of Object.keys(entry.dependencies ?? {})) {
        expect(Object.keys(locked).some((found) => found.endsWith(`node_modules/${name}`))).toBe(true);
      }
    }
  });
});

const hasUnzip = spawnSync('unzip', ['-v']).error === undefined;

describe('the archive', () => {
  test.runIf(hasUnzip).each(FUNCTION_NAMES)(
    'of %s unpacks to the files of its folder, by another program',
    (name) => {
      const archive = join(out, `${name}.zip`);
      for (const file of readdirSync(join(out, name))) {
        const unpacked = execFileSync('unzip', ['-p', archive, file], { maxBuffer: 64 * 1024 * 1024 });
        expect(sha256(unpacked)).toBe(sha256(readFileSync(join(out, name, file))));
      }
      expect(execFileSync('unzip', ['-tqq', archive], { encoding: 'utf8' })).toBe('');
    },
  );

  test('has the hash that the build reports', () => {
    for (const { zipFile, zipSha256Hex } of built) expect(sha256(readFileSync(zipFile))).toBe(zipSha256Hex);
  });

  test('is the same bytes in whatever order the files come', () => {
    const a = ['a.txt', Buffer.from('a')] as const;
    const b = ['b/c.txt', Buffer.from('bc')] as const;
    expect(zip(new Map([a, b]))).toEqual(zip(new Map([b, a])));
    expect(zip(new Map([a, b]))).not.toEqual(zip(new Map([a, ['b/c.txt', Buffer.from('bd')]])));
  });
});

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describe('a bundle, served by the functions framework under plain node', () => {
  let served: Served | undefined;
  const start = async (name: FunctionName, environment: Readonly<Record<string, string>> = {}) => {
    served = await serve(join(out, name), ENTRY_POINT, environment);
    return served;
  };
  const stop = async () => {
    await served?.stop();
    served = undefined;
  };
  afterAll(stop);

  test.each(FUNCTION_NAMES)(
    '%s without settings answers 503 in JSON and logs what is missing',
    async (name) => {
      const { url, logged, output } = await start(name);
      const response = await fetch(url, {
        method: 'POST',
        body: '{"broken',
        headers: { 'content-type': 'application/json' },
      });
      expect(response.status).toBe(503);
      const [line] = logged('not-started');
      expect(await response.json()).toEqual(
        name === 'key-service'
          ? { code: 503, message: expect.stringMatching(/log says why/), details: line?.['correlationId'] }
          : {
              error: {
                code: 503,
                status: 'UNAVAILABLE',
                message: 'This function is not configured; its log says why.',
              },
            },
      );
      expect(line).toMatchObject({ severity: 'CRITICAL', function: name });
      expect(line?.['message']).toMatch(/^The setting SEALWRIGHT_\w+ is missing; this function cannot start/);
      expect(output()).not.toContain('{"broken');
      await stop();
    },
  );

  test('says in its log which setting does not fit, and goes on serving', async () => {
    const { url, logged } = await start('due', { SEALWRIGHT_LEASE_SECONDS: 'long' });
    for (const attempt of [1, 2]) {
      expect((await fetch(url)).status).toBe(503);
      expect(logged('not-started')).toHaveLength(attempt);
    }
    expect(logged('not-started')[0]?.['message']).toContain('SEALWRIGHT_LEASE_SECONDS');
    await stop();
  });

  test('says in its log that the database is out of reach, without the password', async () => {
    const { url, logged, output } = await start('directory-watch', {
      SEALWRIGHT_PROJECT: 'acme-sealwright',
      SEALWRIGHT_DATABASE_URL: 'postgresql://sealwright:hunter2@127.0.0.1:1/sealwright',
    });
    expect((await fetch(url, { method: 'POST' })).status).toBe(503);
    expect(logged('not-started')[0]?.['message']).toMatch(/ECONNREFUSED|cannot be reached|ledger/i);
    expect(output()).not.toContain('hunter2');
    await stop();
  });

  describe('with its settings and a database', () => {
    let database: PostgresFront;
    beforeAll(async () => {
      database = await startPostgresFront();
    });
    afterAll(() => database.close());

    test('key-service answers /status', async () => {
      const { url } = await start('key-service', {
        SEALWRIGHT_DATABASE_URL: database.connectionString,
        SEALWRIGHT_KEY_SERVICE_URL: 'https://kacls.acme.example/v1',
        SEALWRIGHT_KEY_SERVICE_TENANT: 'C00sample',
        SEALWRIGHT_KEY_SERVICE_DOMAIN: 'acme.example',
        SEALWRIGHT_KEY_SERVICE_KEYS: 'projects/acme-sealwright/secrets/key-encryption-key/versions/1',
        SEALWRIGHT_KEY_SERVICE_WRAP_CALLERS:
          'sealwright-directory-event@acme-sealwright.iam.gserviceaccount.com',
        SEALWRIGHT_KEY_SERVICE_IDENTITY_PROVIDERS: JSON.stringify([
          {
            issuer: 'https://idp.acme.example',
            jwksUrl: 'https://idp.acme.example/keys',
            audiences: ['acme-cse'],
          },
        ]),
        K_REVISION: 'key-service-00007-xyz',
      });
      const response = await fetch(`${url}/v1/status`);
      expect({ status: response.status, body: await response.json() }).toMatchObject({
        status: 200,
        body: { server_type: 'KACLS', version: 'key-service-00007-xyz' },
      });
      await stop();
    });

    test('directory-watch refuses a notification of a channel it did not open', async () => {
      const { url } = await start('directory-watch', {
        SEALWRIGHT_DATABASE_URL: database.connectionString,
        SEALWRIGHT_PROJECT: 'acme-sealwright',
      });
      const response = await fetch(url, {
        method: 'POST',
        headers: {
          'x-goog-channel-id': 'unknown',
          'x-goog-channel-token': 'x',
          'x-goog-resource-state': 'update',
        },
        body: '{"id":"123"}',
      });
      expect(response.status).toBe(404);
      await stop();
    });
  });
});
