/** Runs a bundle as Cloud Run functions does: the framework's own command, in a process of its own, on one port. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';

const FRAMEWORK = resolve(
  import.meta.dirname,
  '../../node_modules/@google-cloud/functions-framework/build/src/main.js',
);

export interface Served {
  readonly url: string;
  /** Everything it has written so far. */
  output(): string;
  /** Its log lines of that event. */
  logged(event: string): readonly Record<string, unknown>[];
  stop(): Promise<void>;
}

/** Answers once the port takes connections. Throws with the process's own words where it ends before that. */
export async function serve(
  folder: string,
  target: string,
  environment: Readonly<Record<string, string>>,
): Promise<Served> {
  const port = await freePort();
  const child = spawn(process.execPath, [FRAMEWORK], {
    cwd: folder,
    // Nothing of this machine's environment: neither settings nor credentials.
    env: {
      NODE_ENV: 'production',
      NODE_OPTIONS: '--enable-source-maps',
      FUNCTION_TARGET: target,
      FUNCTION_SIGNATURE_TYPE: 'http',
      FUNCTION_SOURCE: join(folder),
      PORT: String(port),
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => {
      text += chunk;
    });
  }
  const url = `http://127.0.0.1:${port}`;
  try {
    await answering(url, child, () => text);
  } catch (error) {
    await stop(child);
    throw error;
  }
  return {
    url,
    output: () => text,
    logged: (event) =>
      text
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line) as Record<string, unknown>)
        .filter((line) => line['event'] === event),
    stop: () => stop(child),
  };
}

async function answering(url: string, child: ChildProcess, output: () => string): Promise<void> {
  while (child.exitCode === null && child.signalCode === null) {
    const connected = await fetch(`${url}/robots.txt`).then(
      () => true,
      () => false,
    );
    if (connected) return;
    await new Promise((again) => setTimeout(again, 50));
  }
  throw new Error(`The function ended before it served: ${output()}`);
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((done) => child.once('exit', done));
  child.kill('SIGKILL');
  await ended;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  await new Promise((closed) => server.close(closed));
  if (address === null || typeof address === 'string') throw new Error('No port could be had.');
  return address.port;
}
