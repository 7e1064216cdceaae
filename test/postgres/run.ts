/**
 * `npm run test:postgres`: runs the tests of this folder on a real PostgreSQL, the one `DATABASE_URL` names or a private
 * cluster that is removed afterwards, however the run ends. Without either it says so and exits with 0. Further arguments
 * go to vitest.
 */
import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Cluster, findPrograms, startCluster } from './cluster.ts';

const config = fileURLToPath(new URL('./vitest.config.ts', import.meta.url));
const vitest = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url));

const countTests = (): number => {
  const { stdout } = spawnSync(
    process.execPath,
    [vitest, 'list', '--no-static-parse', '--config', config, '--json'],
    {
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
    },
  );
  const tests: unknown = JSON.parse(stdout.slice(stdout.indexOf('[')));
  return Array.isArray(tests) ? tests.length : 0;
};

const runTests = (connectionString: string): Promise<number> => {
  const child = spawn(process.execPath, [vitest, 'run', '--config', config, ...process.argv.slice(2)], {
    stdio: 'inherit',
    env: { ...process.env, DATABASE_URL: connectionString },
  });
  // The terminal sends SIGINT to the child as well; SIGTERM reaches only us. Either way the child ends first and then
  // the cluster goes.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 143)));
  });
};

const main = async (): Promise<number> => {
  const given = process.env.DATABASE_URL;
  if (given !== undefined && given !== '') return await runTests(given);
  const programs = findPrograms();
  if (programs === undefined) {
    console.log('No PostgreSQL: DATABASE_URL is not set and neither initdb nor pg_ctl is on this machine.');
    console.log(`0 passed, 0 failed, ${countTests()} skipped`);
    return 0;
  }
  let cluster: Cluster | undefined;
  try {
    cluster = startCluster(programs);
    return await runTests(cluster.connectionString);
  } finally {
    cluster?.remove();
  }
};

process.exitCode = await main();
