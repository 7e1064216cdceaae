import { constants, copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type FakeAdmin, startFakeAdmin } from './fake-admin.ts';
import { LAUNCHER, launch, TOKEN } from './sealwright.ts';

const running = { state: 'running', total: 1, done: 0, failed: 0, users: [] };
let admin: FakeAdmin;
let folder: string;
/** The same Node under another name, so that the launcher takes it for a stranger and starts the project's own. */
let otherNode: string;
let environment: Record<string, string>;

beforeAll(async () => {
  admin = await startFakeAdmin();
  environment = { SEALWRIGHT_ADMIN_URL: admin.url, SEALWRIGHT_ADMIN_TOKEN: TOKEN };
  folder = mkdtempSync(join(tmpdir(), 'sealwright-cli-'));
  otherNode = join(folder, 'node');
  copyFileSync(process.execPath, otherNode, constants.COPYFILE_FICLONE);
});
afterAll(async () => {
  await admin.close();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => admin.reset());

describe.each([
  ["the project's own Node", () => process.execPath],
  ['another Node', () => otherNode],
])('the launcher, on %s', (_name, node) => {
  it('prints what was asked for on standard output and ends with 0', async () => {
    const { exit, stdout, stderr } = await launch(['--version'], { node: node() });
    expect([exit, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it('hands the exit code on', async () => {
    const { exit, stdout, stderr } = await launch(['usres'], { node: node() });
    expect([exit, stdout]).toEqual([2, '']);
    expect(stderr).toBe('sealwright: There is no command "usres"; did you mean "users"?\n');
  });

  it('hands arguments and environment on as they are', async () => {
    const { exit, stderr } = await launch(['user', 'a b"c@acme.example'], { node: node(), environment });
    expect([exit, stderr]).toEqual([1, 'sealwright: There is no such thing.\n']);
    expect(admin.asked.map(({ target }) => target)).toEqual(['/v1/users/a%20b%22c%40acme.example']);
  });

  it('keeps what it compiled, for the next command', async () => {
    const kept = mkdtempSync(join(folder, 'compiled-'));
    const compiling = { node: node(), environment: { NODE_COMPILE_CACHE: kept } };
    await launch(['--version'], compiling);
    const files = () => readdirSync(kept, { recursive: true }).toSorted();
    const first = files();
    expect(first.length).toBeGreaterThan(10);
    expect((await launch(['--version'], compiling)).exit).toBe(0);
    expect(files()).toEqual(first);
  });

  it('hands SIGTERM on, ends by it and leaves no process behind', async () => {
    admin.answer('GET /v1/jobs/j1', { body: running });
    const { exit } = await launch(['job', 'j1', '--wait'], {
      node: node(),
      environment,
      onProgress: (child) => child.kill('SIGTERM'),
    });
    // `close` comes only once every process that holds the pipes is gone.
    expect(exit).toBe('SIGTERM');
  });
});

describe('the launcher', () => {
  const pretending = (version: string) => [
    '--import',
    `data:text/javascript,Object.defineProperty(process,"versions",{value:{...process.versions,node:"${version}"}});Object.defineProperty(process,"version",{value:"v${version}"})`,
  ];

  function copyOfLauncher(withModules: boolean): string {
    const root = mkdtempSync(join(folder, 'tree-'));
    mkdirSync(join(root, 'bin'));
    if (withModules) mkdirSync(join(root, 'node_modules'));
    const launcher = join(root, 'bin', 'sealwright.mjs');
    copyFileSync(LAUNCHER, launcher);
    return launcher;
  }

  it('says in one sentence that the dependencies are missing', async () => {
    const { exit, stdout, stderr } = await launch(['users'], { launcher: copyOfLauncher(false) });
    expect([exit, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^sealwright: The dependencies are not installed\. Run "npm ci" in \/.*\n$/);
  });

  it('says in one sentence that this Node is too old and the own one is missing', async () => {
    const { exit, stderr } = await launch(['users'], {
      launcher: copyOfLauncher(true),
      nodeFlags: pretending('20.11.0'),
    });
    expect(exit).toBe(1);
    expect(stderr).toMatch(
      /^sealwright: This needs Node 24 or later and runs on v20\.11\.0\. Run "npm ci" .*\n$/,
    );
  });

  it('starts the own Node from an old one', async () => {
    const { exit, stdout } = await launch(['--version'], {
      node: otherNode,
      nodeFlags: pretending('20.11.0'),
    });
    expect(exit).toBe(0);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it('ends quietly with 0 when whoever reads closes the pipe early', async () => {
    const { spawn } = await import('node:child_process');
    const ended = await new Promise<{ code: number | null; stderr: string }>((resolve) => {
      const child = spawn(process.execPath, [LAUNCHER, '--help'], { stdio: ['ignore', 'pipe', 'pipe'] });
      let stderr = '';
      child.stdout.destroy();
      child.stderr.on('data', (chunk) => {
        stderr += chunk;
      });
      child.once('close', (code) => resolve({ code, stderr }));
    });
    expect(ended).toEqual({ code: 0, stderr: '' });
  });
});
