/** The process: the only reader of arguments and environment; ends once everything is written. */
import { readFileSync } from 'node:fs';
import { COMMANDS } from './commands.ts';
import { run } from './run.ts';
import { terminalOn } from './terminal.ts';

// `sealwright users | head` closes the pipe early, which is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
});

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const exitCode = await run({
  words: process.argv.slice(2),
  commands: COMMANDS,
  environment: process.env,
  terminal: terminalOn(process.stdout, process.stderr),
  version,
});

// Connections that vendors' clients keep open for a next call must not keep a finished command alive; what was
// written goes out first.
process.stdout.write('', () => process.stderr.write('', () => process.exit(exitCode)));
