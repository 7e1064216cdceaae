/**
 * Google's own Pub/Sub emulator, which comes with the Cloud SDK. Found and started when it is there; a test that
 * wants it skips itself when it is not. It runs under a small keeper process that ends it when the keeper's input
 * closes, so that nothing is left behind however the tests end.
 */
import { execFile, spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';

export interface GooglePubSub {
  /** `127.0.0.1:PORT`: what `PUBSUB_EMULATOR_HOST` or the client's `apiEndpoint` takes; gRPC and REST on one port. */
  readonly host: string;
  stop(): Promise<void>;
}

/** Set by `npm run test:pubsub`, which starts one emulator for all test files. */
const SHARED = 'SEALWRIGHT_GOOGLE_PUBSUB';
const START_TIMEOUT_MS = 60_000;

const KEEPER = `
  const { spawn } = require('node:child_process');
  const [command, ...args] = process.argv.slice(1);
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  process.stdin.resume().on('close', () => child.kill('SIGKILL'));
  child.on('error', (error) => { console.error(error.message); process.exit(1); });
  child.on('exit', (code) => process.exit(code ?? 0));
`;

/** Undefined where the Cloud SDK's emulator or Java is not installed. Throws when it is there and does not start. */
export async function startGooglePubSub(): Promise<GooglePubSub | undefined> {
  const shared = process.env[SHARED];
  if (shared !== undefined) return shared === '' ? undefined : { host: shared, stop: async () => undefined };
  const jar = await findJar();
  if (jar === undefined || !(await runs('java', ['-version']))) return undefined;
  const port = await freePort();
  const keeper = spawn(
    process.execPath,
    ['-e', KEEPER, 'java', '-jar', jar, '--host=127.0.0.1', `--port=${port}`],
    { stdio: ['pipe', 'ignore', 'pipe'] },
  );
  let said = '';
  keeper.stderr.on('data', (chunk: Buffer) => {
    said = `${said}${chunk.toString()}`.slice(-4000);
  });
  const gone = new Promise<void>((resolve) => keeper.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    keeper.stdin.end();
    await gone;
  };
  const host = `127.0.0.1:${port}`;
  if (!(await answers(`http://${host}/`, () => keeper.exitCode === null))) {
    await stop();
    throw new Error(`Google's Pub/Sub emulator (${jar}) did not start: ${said}`);
  }
  return { host, stop };
}

/** Lets the test files that are started from here use this emulator; `undefined` tells them there is none. */
export function shareGooglePubSub(google: GooglePubSub | undefined): void {
  process.env[SHARED] = google?.host ?? '';
}

async function findJar(): Promise<string | undefined> {
  const roots = [
    process.env['CLOUDSDK_ROOT_DIR'],
    await printed('gcloud', ['info', '--format=value(installation.sdk_root)']),
    '/usr/lib/google-cloud-sdk',
    '/usr/share/google-cloud-sdk',
    '/opt/google-cloud-sdk',
    '/opt/homebrew/share/google-cloud-sdk',
    join(homedir(), 'google-cloud-sdk'),
  ];
  for (const root of roots) {
    if (root === undefined || root === '') continue;
    const folder = join(root, 'platform', 'pubsub-emulator', 'lib');
    const jar = list(folder).find((name) => /^cloud-pubsub-emulator-.*-all\.jar$/.test(name));
    if (jar !== undefined) return join(folder, jar);
  }
  return undefined;
}

function list(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    // Not there, or not ours to read: either way this is not where the emulator is.
    return [];
  }
}

function printed(command: string, args: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(command, args, { timeout: 15_000 }, (error, stdout) =>
      resolve(error === null ? stdout.trim() : undefined),
    );
  });
}

const runs = async (command: string, args: readonly string[]): Promise<boolean> =>
  (await printed(command, args)) !== undefined;

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(address !== null && typeof address === 'object' ? address.port : 0));
    });
  });
}

async function answers(url: string, isAlive: () => boolean): Promise<boolean> {
  const endMs = performance.now() + START_TIMEOUT_MS;
  while (isAlive() && performance.now() < endMs) {
    try {
      await fetch(url);
      return true;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  return false;
}
