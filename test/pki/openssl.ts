/** The OpenSSL command line as a second parser. Tests that need it are skipped, by name, where it is not installed. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const opensslInstalled = spawnSync('openssl', ['version']).status === 0;

export interface OpensslAnswer {
  readonly status: number | null;
  /** Standard output and error together, since OpenSSL writes verdicts to either. */
  readonly text: string;
  readonly output: Buffer;
}

/** Writes the files into a folder of their own and runs openssl there. */
export function openssl(
  args: readonly string[],
  files: Readonly<Record<string, Uint8Array | string>>,
): OpensslAnswer {
  const folder = mkdtempSync(join(tmpdir(), 'sealwright-openssl-'));
  try {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
    const { status, stdout, stderr } = spawnSync('openssl', args, { cwd: folder, maxBuffer: 64 * 2 ** 20 });
    return { status, text: `${stdout.toString()}\n${stderr.toString()}`, output: stdout };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
