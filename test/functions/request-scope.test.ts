import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { freePortBase } from '../../local/ports.ts';

const ROOT = join(import.meta.dirname, '../..');
let child: ChildProcess;
let url: string;
let errors = '';

/** The command that the platform starts, with its handlers that end the process at an uncaught error. */
beforeAll(async () => {
  const port = await freePortBase();
  url = `http://127.0.0.1:${port}`;
  const command = join(ROOT, 'node_modules/@google-cloud/functions-framework/build/src/main.js');
  const source = join(import.meta.dirname, 'support/stray-errors.ts');
  child = spawn(
    process.execPath,
    [command, '--target=stray-errors', `--source=${source}`, `--port=${port}`],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, NODE_ENV: 'production' },
    },
  );
  child.stderr?.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  await vi.waitFor(async () => expect((await fetch(`${url}/process`)).status).toBe(200), { timeout: 30_000 });
}, 40_000);

afterAll(() => child.kill('SIGKILL'));

describe('a request behind the functions framework', () => {
  test('runs in no Domain, which would have every promise of the process followed', async () => {
    expect(await (await fetch(`${url}/process`)).json()).toEqual({ pid: child.pid, domain: 'none' });
  });

  test.each(['timer', 'emitter', 'promise'])(
    'whose handler leaves an error in a %s that nobody catches is answered 500, logged, and ends alone',
    async (where) => {
      const [answer, other] = await Promise.all([fetch(`${url}/${where}`), fetch(`${url}/process`)]);
      expect([answer.status, await answer.text()]).toEqual([500, 'Internal Server Error']);
      expect(other.status).toBe(200);
      expect(errors).toMatch(new RegExp(`an? ${where}`));
      expect(await (await fetch(`${url}/process`)).json()).toMatchObject({ pid: child.pid });
    },
  );

  test('has no part in an error outside every request, which ends the process as the framework wants it', async () => {
    const ended = once(child, 'exit');
    process.kill(child.pid ?? 0, 'SIGUSR2');
    expect(await ended).toEqual([16, null]);
    expect(errors).toContain('thrown in no request');
  });
});
