/**
 * `node test/campaign/kill-functions.ts [--seed N] [--kills 30] [--users 20] [--database URL | --database private]`: see
 * `campaign.ts`. `private` starts a PostgreSQL of its own from the machine's programs. Ends with 0 when all was well.
 */
import { parseArgs } from 'node:util';
import { findPrograms, startCluster } from '../postgres/cluster.ts';
import { newSeed } from '../stories/chance.ts';
import { runCampaign } from './campaign.ts';

const say = (line: string) => process.stdout.write(`${line}\n`);

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      kills: { type: 'string', default: '30' },
      users: { type: 'string', default: '20' },
      database: { type: 'string' },
    },
  });
  const [seed, kills, users] = [values.seed ?? String(newSeed()), values.kills, values.users].map(Number);
  if (![seed, kills, users].every(Number.isSafeInteger) || seed === undefined || !kills || !users) {
    process.stderr.write('--seed, --kills and --users must be whole numbers.\n');
    return 2;
  }
  const database = databaseOf(values.database);
  try {
    say(`seed ${seed}: ${kills} kills while ${users} users join, ledger on ${database.name}`);
    const startedMs = performance.now();
    const { url } = database;
    const options = { seed, kills, users, progress: say };
    const result = await runCampaign(url === undefined ? options : { ...options, databaseUrl: url });
    const problems = [...result.problems];
    // At least two thirds of the kills must have hit somebody at work, and the joins must have lasted to the end.
    if (result.inFlight * 3 < kills * 2) problems.push('Too few kills hit a step in flight.');
    if (result.unfinishedAtLastKill === 0) problems.push('The joins were over before the killing was.');
    for (const problem of problems) say(`✗ ${problem}`);
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(0);
    say(
      `seed ${seed}: ${result.kills.length} kills, ${result.inFlight} with a step in flight; ${users} users, ` +
        `CRL numbers ${result.crlNumbers[0]} to ${result.crlNumbers.at(-1)}, ${problems.length} problems, ${seconds} s`,
    );
    return problems.length === 0 ? 0 : 1;
  } finally {
    database.remove();
  }
}

function databaseOf(given: string | undefined): { name: string; url: string | undefined; remove(): void } {
  if (given === undefined) return { name: 'PGlite', url: undefined, remove: () => undefined };
  if (given !== 'private') return { name: 'PostgreSQL', url: given, remove: () => undefined };
  const programs = findPrograms();
  if (programs === undefined) throw new Error('There is no initdb and pg_ctl on this machine.');
  const cluster = startCluster(programs);
  return { name: 'a PostgreSQL of its own', url: cluster.connectionString, remove: () => cluster.remove() };
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
