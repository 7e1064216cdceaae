/** Other people's command-line tools, each test in a folder of its own that is gone afterwards. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

export const installed = (command: string): boolean => spawnSync('which', [command]).status === 0;

export interface ToolAnswer {
  readonly status: number | null;
  readonly text: string;
}

/** Writes the files and answers ways to run commands beside them; to be called inside a test. */
export function tool(files: Readonly<Record<string, Uint8Array | string>>) {
  const folder = mkdtempSync(join(tmpdir(), 'sw-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  const input = (text: string, command: string, ...args: readonly string[]): ToolAnswer => {
    const { status, stdout, stderr } = spawnSync(command, args, {
      cwd: folder,
      input: text,
      timeout: 20_000,
      env: { ...process.env, LC_ALL: 'C.UTF-8' },
    });
    return { status, text: `${stdout.toString()}\n${stderr.toString()}` };
  };
  return {
    input,
    /** Without blocking this process, for a command that asks it something. */
    runAside: (command: string, ...args: readonly string[]) =>
      new Promise<ToolAnswer>((resolve) => {
        const child = execFile(
          command,
          args,
          { cwd: folder, timeout: 20_000, env: { ...process.env, LC_ALL: 'C.UTF-8' } },
          (_error, stdout, stderr) => resolve({ status: child.exitCode, text: `${stdout}\n${stderr}` }),
        );
        child.stdin?.end();
      }),
    run: (command: string, ...args: readonly string[]) => input('', command, ...args),
    write: (name: string, content: Uint8Array | string) => writeFileSync(join(folder, name), content),
    read: (name: string) => readFileSync(join(folder, name)),
  };
}
