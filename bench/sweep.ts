/**
 * A sweep of 1,000,000 users, of whom 2 % differ, against `JSON.parse` of the same pages in the same run:
 * `node bench/sweep.ts [--quick] [--json]`. The pages have the form in which the Directory API answers the sweep's
 * question, 500 users each; they come from files, and reading those is left out on both sides, as the network would be, while
 * PostgreSQL goes on. Everything else is the product's own: the adapter's reading of a page, the ledger on a private PostgreSQL, the
 * checkpoints, joiners hinted at in waves. Only the bus is a list. PostgreSQL works on the same processors, so what it takes of them
 * is in a row of its own. The first sweep reads everybody's row and keeps its table, as one does each day, and is in a row of its
 * own; before each of the others some users are written, as in the hours between. Two more rows are sweeps under other rules: one that excludes
 * a few by name, and one for a group of which everybody is a member, whose pages are then parsed on both sides. Exit status 1 when a
 * target is missed or those who were hinted at or wait for it are not exactly those that differ.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { systemClock } from '../shared/adapters/clock/system-clock.ts';
import { openPostgresLedger } from '../shared/adapters/ledger/open.ts';
import { openPostgres } from '../shared/adapters/ledger/postgres.ts';
import { addressDigest } from '../shared/domain/address-digest.ts';
import { findPrograms, startCluster } from '../test/postgres/cluster.ts';
import { postmasterOf, serverCpuSeconds } from './process-time.ts';
import { type BenchRow, median, report } from './report.ts';
import {
  CASES,
  type Case,
  differenceAt,
  EXCLUDED,
  MEMBERS_PAGE_SIZE,
  PAGE_SIZE,
  type SweepAnswer,
  userAt,
} from './sweep-users.ts';

const QUICK = process.argv.includes('--quick');
const USERS = QUICK ? 50_000 : 1_000_000;
const ROUNDS = 5;
const PEAK_MB = 200;
const ROWS_A_STATEMENT = 10_000;
/** Written before each sweep, twice each: so many of a million are in six hours, in a company whose certificates are renewed once a year. */
const WRITTEN = QUICK ? 35 : 685;

const programs = findPrograms();
if (programs === undefined) throw new Error('There is no PostgreSQL (initdb, pg_ctl) to keep the ledger in.');
const folder = mkdtempSync(join(tmpdir(), 'sealwright-bench-sweep-'));
const cluster = startCluster(programs);
try {
  process.exitCode = (await run()) ? 0 : 1;
} finally {
  cluster.remove();
  rmSync(folder, { recursive: true, force: true });
}

async function run(): Promise<boolean> {
  const differing = writePages();
  await bundleChild();
  await fillLedger();
  const measured: Record<Case, Measured> = { unit: nothing(), named: nothing(), group: nothing() };
  const postmaster = postmasterOf(cluster.connectionString);
  const first = child('sweep', 'unit');
  await assertExactly(differing);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const kind of CASES) {
      const { parse, sweep, databaseMs } = measured[kind];
      parse.push(child('parse', kind));
      await forgetSweeps();
      await writeSome();
      const before = serverCpuSeconds(postmaster);
      sweep.push(child('sweep', kind));
      databaseMs.push((serverCpuSeconds(postmaster) - before) * 1000);
      await assertExactly(kind === 'named' ? new Set([...differing, userAt(EXCLUDED).userId]) : differing);
    }
  }
  const { parse, sweep, databaseMs } = measured.unit;
  const together = of(sweep, 'cpuMs') + median(databaseMs);
  const peak = Math.max(...[first, ...sweep].map(({ peakMb }) => peakMb));
  const further = ({ parse, sweep }: Measured, name: string, peerName: string): BenchRow => ({
    ...{ name, ours: of(sweep, 'ms'), peer: of(parse, 'ms'), peerName, unit: 'ms' },
    note: `processor time ${of(sweep, 'cpuMs').toFixed(0)} against ${of(parse, 'cpuMs').toFixed(0)} ms; peak ${Math.max(...sweep.map(({ peakMb }) => peakMb)).toFixed(0)} MB`,
  });
  const name = `${USERS.toLocaleString('en')} users, ${differing.size.toLocaleString('en')} differ`;
  const rows: BenchRow[] = [
    {
      name: `sweep, ${name}`,
      ours: of(sweep, 'ms'),
      peer: of(parse, 'ms'),
      peerName: 'JSON.parse of the same pages',
      unit: 'ms',
      target: { atMost: 1.5 },
      note: `of it: ledger table ${of(sweep, 'loadMs').toFixed(0)}, parsing ${of(sweep, 'parseMs').toFixed(0)}, checkpoints ${of(sweep, 'checkpointMs').toFixed(0)}, closing ${of(sweep, 'closeMs').toFixed(0)} ms`,
    },
    {
      name: 'sweep, the first of a day',
      ours: first.ms,
      peer: of(parse, 'ms'),
      peerName: 'JSON.parse of the same pages',
      unit: 'ms',
      note: `of it: reading and keeping the ledger table ${first.loadMs.toFixed(0)} ms`,
    },
    {
      name: 'sweep, processor time of our process',
      ours: of(sweep, 'cpuMs'),
      peer: of(parse, 'cpuMs'),
      peerName: 'JSON.parse of the same pages',
      unit: 'ms',
    },
    {
      name: 'sweep, with the processor time of PostgreSQL',
      ours: together,
      peer: of(parse, 'cpuMs'),
      peerName: 'JSON.parse of the same pages',
      unit: 'ms',
      note: `of it PostgreSQL ${median(databaseMs).toFixed(0)} ms; on ${availableParallelism()} processors, ${(together / availableParallelism()).toFixed(0)} ms of each if it were divided evenly`,
    },
    {
      name: 'sweep, peak memory',
      ours: peak,
      peer: PEAK_MB,
      peerName: `the limit of ${PEAK_MB} MB`,
      unit: 'MB',
      target: { atMost: 1 },
    },
    further(measured.named, 'sweep under a rule that excludes three by name', 'JSON.parse of the same pages'),
    further(
      measured.group,
      'sweep under a rule for a group of everybody',
      'JSON.parse of the same pages and those of the members',
    ),
  ];
  return report('Sweep', rows);
}

interface Measured {
  readonly parse: SweepAnswer[];
  readonly sweep: SweepAnswer[];
  readonly databaseMs: number[];
}

function nothing(): Measured {
  return { parse: [], sweep: [], databaseMs: [] };
}

function of(answers: readonly SweepAnswer[], what: keyof SweepAnswer): number {
  return median(answers.map((answer) => answer[what]));
}

/** Bundled as a function is: what strips types from source takes thirty megabytes that no function needs. */
async function bundleChild(): Promise<void> {
  await build({
    entryPoints: [join(import.meta.dirname, 'sweep-child.ts')],
    outfile: join(folder, 'sweep-child.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['pg-native'],
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
    logLevel: 'error',
  });
}

/** Writes the pages of a list, each of which names the next one. */
function pagesOf(name: string, key: string, size: number) {
  let page: object[] = [];
  let pages = 0;
  mkdirSync(join(folder, name));
  const write = (next: { readonly nextPageToken?: string }): void => {
    writeFileSync(join(folder, name, `${pages}.json`), JSON.stringify({ [key]: page, ...next }));
    pages += 1;
    page = [];
  };
  return {
    add(listed: object): void {
      if (page.length === size) write({ nextPageToken: String(pages + 1) });
      page.push(listed);
    },
    end: () => write({}),
  };
}

/** Answers whom a sweep must hint at. */
function writePages(): ReadonlySet<string> {
  const differing = new Set<string>();
  const living = pagesOf('living', 'users', PAGE_SIZE);
  const members = pagesOf('members', 'members', MEMBERS_PAGE_SIZE);
  const deleted: object[] = [];
  for (let index = 0; index < USERS; index += 1) {
    const { userId, listed, listedDeleted } = userAt(index);
    const difference = differenceAt(index);
    if (difference !== undefined) differing.add(userId);
    if (listedDeleted !== undefined) deleted.push(listedDeleted);
    if (listed === undefined) continue;
    living.add(listed);
    if (difference !== 'moved-out') members.add({ id: userId, type: 'USER' });
  }
  living.end();
  members.end();
  writeFileSync(join(folder, 'deleted.json'), JSON.stringify({ users: deleted }));
  return differing;
}

async function fillLedger(): Promise<void> {
  const { connectionString } = cluster;
  await (await openPostgresLedger({ connectionString, clock: systemClock, migrate: true })).close();
  const database = openPostgres({ connectionString });
  const now = new Date();
  for (let start = 0; start < USERS; start += ROWS_A_STATEMENT) {
    const ids: string[] = [];
    const emails: string[] = [];
    const digests: string[] = [];
    for (let index = start; index < Math.min(USERS, start + ROWS_A_STATEMENT); index += 1) {
      const { known } = userAt(index);
      if (known === undefined) continue;
      ids.push(known.userId);
      emails.push(known.primaryEmail);
      digests.push(String(addressDigest(known.primaryEmail, known.aliases)));
    }
    await database.query(
      `INSERT INTO users (user_id, primary_email, state, reason, since, rule_name, failures, sighted_at, address_digest)
       SELECT id, email, 'ready', 'Rule "staff" covers the user; certificate, key pair and identity are in place.',
              $4, 'staff', 0, $4, digest::integer
         FROM unnest($1::text[], $2::text[], $3::text[]) AS rows (id, email, digest)`,
      [ids, emails, digests, now],
    );
  }
  await database.query('ANALYZE users');
  await database.close();
}

/** Those whom the sweep hinted at and those whom it left for a later wave, against those who differ. */
async function assertExactly(differing: ReadonlySet<string>): Promise<void> {
  const database = openPostgres({ connectionString: cluster.connectionString });
  const waiting = await database.query<{ user_id: string }>(
    'SELECT user_id FROM rollout_users WHERE hinted_at IS NULL',
  );
  await database.close();
  const hinted = JSON.parse(readFileSync(join(folder, 'hinted.json'), 'utf8')) as readonly string[];
  const found = new Set([...hinted, ...waiting.map((row) => row.user_id)]);
  const needless = [...found].filter((userId) => !differing.has(userId));
  const left = [...differing].filter((userId) => !found.has(userId));
  if (needless.length + left.length > 0)
    throw new Error(
      `${needless.length} users were hinted at and do not differ; ${left.length} differ and were not.`,
    );
}

/** As if none had ever run: whoever was hinted at within the hour would not be hinted at again. */
async function forgetSweeps(): Promise<void> {
  const database = openPostgres({ connectionString: cluster.connectionString });
  await database.query('TRUNCATE sweeps, sweep_seen, sweep_members, absences, rollout_users, rollouts');
  await database.close();
}

/** They become pending and ready again, as somebody does who is renewed. */
async function writeSome(): Promise<void> {
  const database = openPostgres({ connectionString: cluster.connectionString });
  for (const state of ['pending', 'ready'])
    await database.query(
      'UPDATE users SET state = $1 WHERE user_id = ANY (ARRAY(SELECT user_id FROM users ORDER BY user_id LIMIT $2))',
      [state, WRITTEN],
    );
  await database.close();
}

function child(mode: 'parse' | 'sweep', kind: Case): SweepAnswer {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(folder, 'sweep-child.mjs'), mode, kind, folder, cluster.connectionString],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`The ${mode} process failed: ${stderr}`);
  return JSON.parse(stdout) as SweepAnswer;
}
