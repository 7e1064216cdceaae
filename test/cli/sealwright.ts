/** The command line under test: in this process, or as people start it. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Command } from '../../cli/command.ts';
import { COMMANDS } from '../../cli/commands.ts';
import { run } from '../../cli/run.ts';
import { terminalOn } from '../../cli/terminal.ts';

export const LAUNCHER = fileURLToPath(new URL('../../bin/sealwright.mjs', import.meta.url));
/** Three base64url parts, as an ID token has; the fake admin API does not look inside. */
export const TOKEN = 'aGVhZA.Ym9keQ.c2lnbg';

export interface Ended {
  /** Exit code, or the name of the signal that ended it. */
  readonly exit: number | string;
  readonly stdout: string;
  /** Without the signs of life that depend on how busy the machine is. */
  readonly stderr: string;
}

/** `… reading users (2 s)`: there after two seconds, and on a fast machine never. */
const SIGN_OF_LIFE = /^… .* \(\d+ s\)\n/gm;

type Environment = Readonly<Record<string, string>>;

/** Runs the command line in this process. */
export async function sealwright(
  words: readonly string[],
  environment: Environment = {},
  commands: readonly Command[] = COMMANDS,
): Promise<Ended> {
  let stdout = '';
  let stderr = '';
  const terminal = terminalOn({ write: (text) => (stdout += text) }, { write: (text) => (stderr += text) });
  const exit = await run({ words, commands, environment, terminal, version: '9.8.7' });
  return { exit, stdout, stderr: stderr.replaceAll(SIGN_OF_LIFE, '') };
}

export interface LaunchOptions {
  readonly environment?: Environment;
  readonly launcher?: string;
  readonly node?: string;
  readonly nodeFlags?: readonly string[];
  /** Called with the process and what it has written to standard error so far, whenever that grows. */
  readonly onProgress?: (child: { kill(signal: NodeJS.Signals): void }, stderr: string) => void;
}

/** Starts the launcher as a process, with an environment of its own. */
export function launch(words: readonly string[], options: LaunchOptions = {}): Promise<Ended> {
  const { launcher = LAUNCHER, node = process.execPath, nodeFlags = [] } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(node, [...nodeFlags, launcher, ...words], {
      env: { PATH: process.env['PATH'] ?? '', ...options.environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      stdout += chunk;
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk;
      options.onProgress?.(child, stderr);
    });
    child.once('error', reject);
    child.once('close', (code, signal) =>
      resolve({
        exit: code ?? signal ?? 'nothing',
        stdout,
        stderr: stderr.replaceAll(SIGN_OF_LIFE, ''),
      }),
    );
  });
}
