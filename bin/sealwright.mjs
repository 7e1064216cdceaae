#!/usr/bin/env node
// Plain JavaScript on purpose: this runs on whatever Node the machine has and starts the command line on the project's
// own Node 24, which comes with the dependencies.
import { spawn } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import nodeModule from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const OLDEST = 24;
const root = dirname(dirname(realpathSync(fileURLToPath(import.meta.url))));
const program = join(root, 'cli', 'main.ts');
const modules = join(root, 'node_modules');
/**
 * What is compiled is kept, and the second command starts in half the time. Beside the code that it is made of: whoever may write there
 * may change that too. Where nobody may, Node goes without.
 */
const compiled = process.env.NODE_COMPILE_CACHE ?? join(modules, '.cache', 'sealwright');

/** The Node that is pinned with the dependencies; npm links it into `.bin` on every platform but Windows. */
function ownNode() {
  const places = [
    join(modules, '.bin', 'node'),
    join(modules, `node-win-${process.arch}`, 'bin', 'node.exe'),
  ];
  return places.find((place) => existsSync(place));
}

function fail(sentence) {
  process.stderr.write(`sealwright: ${sentence}\n`);
  process.exit(1);
}

if (!existsSync(modules)) {
  fail(`The dependencies are not installed. Run "npm ci" in ${root}, then try again.`);
}

const node = ownNode();
const thisIsNewEnough = Number(process.versions.node.split('.')[0]) >= OLDEST;
if (node === undefined && !thisIsNewEnough) {
  fail(
    `This needs Node ${OLDEST} or later and runs on ${process.version}. Run "npm ci" in ${root}, which brings it along for Linux and Windows, or install it.`,
  );
}

if (node === undefined || realpathSync(node) === realpathSync(process.execPath)) {
  process.argv[1] = program;
  nodeModule.enableCompileCache(compiled);
  await import(pathToFileURL(program).href);
} else {
  const child = spawn(node, ['--disable-warning=ExperimentalWarning', program, ...process.argv.slice(2)], {
    stdio: 'inherit',
    env: { ...process.env, NODE_COMPILE_CACHE: compiled },
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.once('error', (error) => fail(`${node} could not be started: ${error.message}`));
  child.once('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    // Whoever started this learns how it really ended.
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}
