/**
 * `node test/campaign/year.ts [--seed N] [--people 200] [--days 400] [--database URL] [--own-keys]`: a year of a company in
 * minutes, see `year/`. Without `--database` it starts a PostgreSQL of its own from the machine's programs; with `--own-keys` every
 * user key is made as the product makes it, which takes a minute more. Ends with 0 when everybody is as the model says.
 */
import { parseArgs } from 'node:util';
import { findPrograms, startCluster } from '../postgres/cluster.ts';
import { newSeed } from '../stories/chance.ts';
import { runYear } from './year/run.ts';

/**
 * A day passes in a second, and in a day autovacuum would look 1,440 times. Once a minute it came every sixtieth night: statements kept
 * plans that were made for empty tables, and tables whose rows change daily grew to many times their size. Every second it took a
 * fifth of PostgreSQL's time, for itself and for planning anew whatever it had analyzed.
 */
const AUTOVACUUM = 'autovacuum_naptime=8s';

const say = (line: string) => process.stdout.write(`${line}\n`);

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      people: { type: 'string', default: '200' },
      days: { type: 'string', default: '400' },
      database: { type: 'string' },
      'own-keys': { type: 'boolean', default: false },
    },
  });
  const [seed, people, days] = [values.seed ?? String(newSeed()), values.people, values.days].map(Number);
  if (
    ![seed, people, days].every(Number.isSafeInteger) ||
    seed === undefined ||
    !people ||
    !days ||
    people < 20 ||
    days < 30
  ) {
    process.stderr.write('--seed, --people (20 or more) and --days (30 or more) must be whole numbers.\n');
    return 2;
  }
  const programs = values.database === undefined ? findPrograms() : undefined;
  if (values.database === undefined && programs === undefined)
    throw new Error('There is no PostgreSQL (initdb, pg_ctl); name one with --database URL.');
  const cluster = programs === undefined ? undefined : startCluster(programs, [AUTOVACUUM]);
  // Nobody else would end the server that was started for this run.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      cluster?.remove();
      process.exit(130);
    });
  }
  try {
    say(`seed ${seed}: ${days} days of ${people} people`);
    const databaseUrl = values.database ?? cluster?.connectionString ?? '';
    const { problems, seconds, cpuSeconds, ...counts } = await runYear({
      seed,
      people,
      days,
      databaseUrl,
      ownKeys: values['own-keys'],
      progress: say,
    });
    for (const problem of problems) say(`✗ ${problem}`);
    say(
      `seed ${seed}: ${days} days, ${counts.people} people ever, ${counts.certificates} certificates, ` +
        `${counts.auditEntries} audit entries under ${counts.checkpoints} checkpoints, ${problems.length} problems; ` +
        `${seconds.toFixed(0)} s, ${cpuSeconds === undefined ? 'unknown' : cpuSeconds.toFixed(0)} s of processor time`,
    );
    return problems.length === 0 ? 0 : 1;
  } finally {
    cluster?.remove();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 1;
}
