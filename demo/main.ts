/** `npm run demo`: the whole story on one machine, with no account and no server to install. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { freePortBase } from '../local/ports.ts';
import { startSystem } from '../local/system.ts';
import { Artefacts } from './artefacts.ts';
import { progressConsole } from './console.ts';
import { opensslVersion, runChecks } from './openssl.ts';
import { tellStory } from './story.ts';

const console = progressConsole((text) => process.stdout.write(text));

async function main(): Promise<number> {
  let out: string;
  try {
    const { values } = parseArgs({ options: { out: { type: 'string', default: 'demo-out' } } });
    out = resolve(values.out);
  } catch (error) {
    process.stderr.write(
      `${error instanceof Error ? error.message : String(error)} Usage: npm run demo -- [--out DIR]\n`,
    );
    return 2;
  }
  const startedMs = performance.now();
  const stateDir = mkdtempSync(join(tmpdir(), 'sealwright-demo-'));
  try {
    console.chapter('An empty company');
    const portBase = await freePortBase();
    const system = await console.step(
      'directory, Gmail, Pub/Sub, CA, key service and all functions are up on this machine',
      () => startSystem({ portBase, stateDir, empty: true, databaseUrl: undefined }, () => undefined),
      () => 'root made offline, issuing key in Secret Manager, first CRL published',
    );
    const artefacts = new Artefacts(out);
    try {
      await tellStory(system, artefacts, console);
    } finally {
      await system.stop();
    }
    const allRight = checkWithOpenssl(artefacts);
    process.stdout.write(
      `\n${artefacts.count} artefacts in ${out}; manifest.json says what each is and how to check it.\n`,
    );
    process.stdout.write(`The story took ${((performance.now() - startedMs) / 1000).toFixed(1)} s.\n`);
    return allRight ? 0 : 1;
  } finally {
    rmSync(stateDir, { recursive: true, force: true });
  }
}

function checkWithOpenssl(artefacts: Artefacts): boolean {
  const version = opensslVersion();
  console.chapter(
    version === undefined
      ? 'OpenSSL is not installed here: the checks in manifest.json were not run.'
      : `What ${version} says`,
  );
  if (version === undefined) return true;
  const verdicts = runChecks(artefacts);
  for (const { check, path, isRight, said } of verdicts) {
    process.stdout.write(`  ${isRight ? '✓' : '✗'} ${path}: ${check.shows} — ${said}\n`);
    if (!isRight) process.stdout.write(`      ${check.command.join(' ')}\n`);
  }
  return verdicts.every((verdict) => verdict.isRight);
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`\n${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
