/**
 * Whole publications of a CRL with 10,000, 100,000 and 1,000,000 entries over a real PostgreSQL: `node bench/crl-publication.ts
 * [--quick | --entries N] [--json]`. The publisher and `sign` run in processes of their own, as they are deployed; what counts is the memory of
 * each at its highest. The bucket is a folder, so Google's client with its own buffers is not in the figures. Uses
 * `DATABASE_URL` (and a schema of its own there) or a private cluster; without either it says so and measures nothing.
 */
import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { migrate } from '../shared/adapters/ledger/migrate.ts';
import { openPostgres } from '../shared/adapters/ledger/postgres.ts';
import { createAuthority } from '../shared/pki/authority.ts';
import { EXAMPLE_POLICY_OID } from '../shared/pki/oids.ts';
import { findPrograms, startCluster } from '../test/postgres/cluster.ts';
import { makePlace } from '../test/postgres/place.ts';
import { type BenchRow, report } from './report.ts';

const COUNTS = countsAsked(process.argv.slice(2));
/** What Terraform gives publish-crl and sign where the CRL is long (docs/scale.md). */
const MEMORY_MB = 1024;
/** What each may take at its highest, however long the list is; it is met or missed beside the other. */
const LIMIT_MB = 200;
const ISSUER_ID = 'issuing-1';
const CHILD = 'crl-publication-child.mjs';
/** Rows written by one statement: it must end within the ledger's own time limit. */
const BATCH = 10_000;

export interface ChildReport {
  readonly peakMb: number;
  readonly atRestMb: number;
  readonly publicationMs: readonly number[];
  readonly currentMs: number;
}

function countsAsked(words: readonly string[]): readonly number[] {
  const at = words.indexOf('--entries');
  if (at >= 0) return [Number(words[at + 1])];
  return words.includes('--quick') ? [10_000] : [10_000, 100_000, 1_000_000];
}

async function measure(count: number, folder: string): Promise<readonly BenchRow[]> {
  const place = await makePlace();
  const database = openPostgres({ connectionString: place.connectionString, maxConnections: 1 });
  try {
    await migrate(database);
    const authority = await createAuthority({
      country: 'DE',
      organization: 'Acme GmbH',
      rootName: 'Acme S/MIME Root 1',
      issuingName: 'Acme S/MIME Issuing CA 1',
      rootCrlUrl: 'http://pki.acme.example/root.crl',
      rootUrl: 'http://pki.acme.example/root.cer',
      policyOids: { own: EXAMPLE_POLICY_OID },
      now: new Date(),
      random: randomBytes,
      modulusBits: 2048,
    });
    writeFileSync(join(folder, 'issuing.der'), authority.issuing.certificateDer);
    writeFileSync(join(folder, 'issuing.p8'), authority.issuing.pkcs8Der);
    await fill(count, (sql, parameters) => database.query(sql, parameters), authority.issuing.certificateDer);
    const child = fork(join(folder, CHILD), ['publish', folder], {
      env: { ...process.env, DATABASE_URL: place.connectionString },
      // As terraform/functions.tf sets it for both.
      execArgv: ['--max-semi-space-size=2'],
    });
    // Once more after the first two publications, when somebody else is to be revoked.
    await once(child, 'message');
    await revokeOne((sql) => database.query(sql));
    child.send('revoked');
    const [told] = (await once(child, 'message')) as [{ publish: ChildReport; sign: ChildReport }];
    await once(child, 'exit');
    return rowsOf(count, told);
  } finally {
    await database.close();
    await place.remove();
  }
}

/** One minified file, as deployed: reading TypeScript takes 30 MB that no function has. */
async function bundleChild(folder: string): Promise<void> {
  await build({
    entryPoints: [join(import.meta.dirname, 'crl-publication-child.ts')],
    outfile: join(folder, CHILD),
    bundle: true,
    minify: true,
    platform: 'node',
    format: 'esm',
    // pg is CommonJS and requires parts of Node. The name is longer than any that is left after minifying.
    banner: {
      js: `import { createRequire as requireOfThisBundle } from 'node:module'; const require = requireOfThisBundle(import.meta.url);`,
    },
    external: ['pg-native', '@electric-sql/*'],
    logLevel: 'warning',
  });
}

type Query = (sql: string, parameters?: readonly (string | number | Uint8Array)[]) => Promise<unknown>;

/** So many leaves, all revoked; one user and one key are enough for a CRL. */
async function fill(count: number, query: Query, certificateDer: Uint8Array): Promise<void> {
  await query(
    `INSERT INTO issuers (issuer_id, certificate_der, key_version, crl_url, issuer_url, state, recorded_at)
     VALUES ($1, $2, 'projects/p/secrets/s/versions/1', 'http://pki.acme.example/issuing.crl',
             'http://pki.acme.example/issuing.cer', 'active', now())`,
    [ISSUER_ID, certificateDer],
  );
  await query(
    `INSERT INTO users (user_id, primary_email, state, reason, since) VALUES ('1', 'a@acme.example', 'ready', '', now())`,
  );
  await query(
    `INSERT INTO user_keys (key_id, user_id, spki_sha256_hex, spki_der, modulus_bits, key_service_url, wrapped_key, proof,
                            created_at)
     VALUES ('key-1', '1', repeat('0', 64), '\\x00', 2048, 'https://kacls.acme.example', 'w', 'proven', now())`,
  );
  for (let at = 0; at < count; at += BATCH) {
    const range = [at, Math.min(count, at + BATCH) - 1];
    const serial = `'4' || substr(encode(sha256(i::text::bytea), 'hex'), 1, 35)`;
    await query(
      `INSERT INTO leaves (serial_hex, issuer_id, user_id, key_id, profile, addresses, not_before, not_after, tbs_der, state,
                           intended_at)
       SELECT ${serial}, '${ISSUER_ID}', '1', 'key-1', 'dual-use-rsa/1', '{a@acme.example}', now(), now() + interval '1 year',
              '\\x00', 'intended', now()
         FROM generate_series($1::int, $2::int) AS i`,
      range,
    );
    await query(
      `INSERT INTO revocations (serial_hex, reason, revoked_at)
       SELECT ${serial}, 'superseded', now() - interval '1 hour' FROM generate_series($1::int, $2::int) AS i`,
      range,
    );
  }
  await query('VACUUM ANALYZE leaves, revocations, crl_listings, crl_entries');
}

/** Somebody who was never revoked, which the fill leaves out: the row after the last. */
async function revokeOne(query: Query): Promise<void> {
  const serial = `'3' || repeat('5', 35)`;
  await query(
    `INSERT INTO leaves (serial_hex, issuer_id, user_id, key_id, profile, addresses, not_before, not_after, tbs_der, state,
                         intended_at)
     VALUES (${serial}, '${ISSUER_ID}', '1', 'key-1', 'dual-use-rsa/1', '{a@acme.example}', now(), now() + interval '1 year',
             '\\x00', 'intended', now())`,
  );
  await query(
    `INSERT INTO revocations (serial_hex, reason, revoked_at) VALUES (${serial}, 'superseded', now() - interval '1 second')`,
  );
}

function rowsOf(
  count: number,
  told: { readonly publish: ChildReport; readonly sign: ChildReport },
): readonly BenchRow[] {
  const name = count.toLocaleString('en');
  const [first = Number.NaN, second = Number.NaN, third = Number.NaN] = told.publish.publicationMs;
  const memory = (who: 'publish' | 'sign'): BenchRow => ({
    name: `${name} entries, ${who === 'publish' ? 'publish-crl' : 'sign'}, peak memory`,
    ours: told[who].peakMb,
    peer: LIMIT_MB,
    peerName: 'the most it may take',
    unit: 'MB',
    target: { atMost: 1 },
    note: `${told[who].atRestMb.toFixed(0)} MB before the first; deployed with ${MEMORY_MB} MB`,
  });
  return [
    memory('publish'),
    memory('sign'),
    {
      name: `${name} entries, from revocation to published`,
      ours: Math.max(first, second, third),
      peer: 60_000,
      peerName: 'the minute that is promised',
      unit: 'ms',
      target: { atMost: 1 },
      note: `all of them new ${(first / 1000).toFixed(1)} s, none new ${(second / 1000).toFixed(1)} s, one new ${(third / 1000).toFixed(1)} s; is it current: ${told.publish.currentMs.toFixed(1)} ms`,
    },
  ];
}

async function main(): Promise<number> {
  const programs = findPrograms();
  const given = process.env['DATABASE_URL'] ?? '';
  if (given === '' && programs === undefined) {
    process.stderr.write('No PostgreSQL: DATABASE_URL is not set and neither initdb nor pg_ctl is here.\n');
    return 0;
  }
  const cluster = given !== '' || programs === undefined ? undefined : startCluster(programs);
  if (cluster !== undefined) process.env['DATABASE_URL'] = cluster.connectionString;
  const folder = mkdtempSync(join(tmpdir(), 'sealwright-bench-publication-'));
  try {
    const rows: BenchRow[] = [];
    await bundleChild(folder);
    for (const count of COUNTS) {
      rmSync(join(folder, 'object'), { force: true });
      rows.push(...(await measure(count, folder)));
    }
    return report('Publishing a CRL', rows) ? 0 : 1;
  } finally {
    cluster?.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

process.exitCode = await main();
