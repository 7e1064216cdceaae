import { spawnSync } from 'node:child_process';
import type { Artefacts, Check } from './artefacts.ts';

export interface Verdict {
  readonly check: Check;
  readonly path: string;
  readonly isRight: boolean;
  /** What OpenSSL said, one line. */
  readonly said: string;
}

/** OpenSSL's version line; undefined where it is not installed. */
export function opensslVersion(): string | undefined {
  const result = spawnSync('openssl', ['version'], { encoding: 'utf8' });
  return result.status === 0 ? result.stdout.trim() : undefined;
}

/** Runs every check of the manifest, in the artefacts' folder. */
export function runChecks(artefacts: Artefacts): readonly Verdict[] {
  return artefacts.checks.map((check) => {
    const [program = '', ...args] = check.command;
    const result = spawnSync(program, args, { cwd: artefacts.folder, encoding: 'utf8' });
    const output = `${result.stdout}${result.stderr}`;
    const exitIsRight =
      check.expectedExit === 0 ? result.status === 0 : result.status !== 0 && result.status !== null;
    const outputIsRight = check.expectedOutput === undefined || output.includes(check.expectedOutput);
    return {
      check,
      path: check.path,
      isRight: exitIsRight && outputIsRight,
      said: lastLine(output, check.expectedOutput),
    };
  });
}

function lastLine(output: string, wanted: string | undefined): string {
  const lines = output
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);
  return lines.find((line) => wanted !== undefined && line.includes(wanted)) ?? lines.at(-1) ?? 'no output';
}
