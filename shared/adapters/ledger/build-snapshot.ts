/**
 * `node shared/adapters/ledger/build-snapshot.ts` writes `ledger.snapshot` from the migrations; see `snapshot.ts`.
 *
 * The file differs in bytes from build to build (PostgreSQL writes times and a random system identifier into it), so a test
 * compares schemas, not bytes.
 */
import { writeFileSync } from 'node:fs';
import { constants, zstdCompressSync } from 'node:zlib';
import { PGlite } from '@electric-sql/pglite';
import { databaseOf } from './embedded.ts';
import { migrate } from './migrate.ts';
import { snapshotFile } from './snapshot.ts';

const backend = await PGlite.create();
const applied = await migrate(databaseOf(backend));
// Nobody makes another database from the two templates in here, and their 14 MB in 600 files are written at each start.
for (const template of ['template0', 'template1']) {
  await backend.exec(
    `UPDATE pg_database SET datistemplate = false, datallowconn = true WHERE datname = '${template}'`,
  );
  await backend.exec(`DROP DATABASE ${template}`);
}
await backend.exec('CHECKPOINT');
const dump = await backend.dumpDataDir('none');
const tar = Buffer.from(await dump.arrayBuffer());
await backend.close();

const snapshot = zstdCompressSync(tar, {
  // A window over the whole tar (64 MB): the write-ahead log repeats pages that lie tens of megabytes before it.
  params: { [constants.ZSTD_c_compressionLevel]: 22, [constants.ZSTD_c_windowLog]: 26 },
});
writeFileSync(snapshotFile, snapshot);
console.log(
  `ledger.snapshot: ${applied.length} migrations, ${tar.length} bytes of tar in ${snapshot.length} bytes of zstd`,
);
