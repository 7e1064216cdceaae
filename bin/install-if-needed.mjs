// Plain JavaScript on purpose: this runs on whatever Node the machine has, before the project's own is installed.
// Installs the locked dependencies when they are missing or older than the lock file, so that every npm
// command of this project can be the first one a newcomer types.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const lock = join(root, 'package-lock.json');
const marker = join(root, 'node_modules', '.package-lock.json');

if (!existsSync(marker) || statSync(marker).mtimeMs < statSync(lock).mtimeMs) {
  process.stderr.write('Installing the locked dependencies (once; about half a minute)…\n');
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const result = spawnSync(npm, ['ci', '--loglevel=error', '--no-audit', '--no-fund'], {
    cwd: root,
    // npm's own chatter belongs on stderr: stdout carries the one machine-readable line of `npm start`.
    stdio: ['ignore', 2, 2],
  });
  if (result.status !== 0) {
    process.stderr.write(
      'The dependencies could not be installed: `npm ci` failed. Its message stands above.\n',
    );
    process.exit(1);
  }
}
