/**
 * The prepared snapshot: a PGlite data folder with the migrations known when it was built already applied, as tar,
 * zstd-compressed. Loading it replaces the seconds that making a database cluster costs.
 *
 * `build-snapshot.ts` writes it. It needs no rebuilding for a new migration (that is applied on top) but must be rebuilt
 * when an unreleased migration is edited or PGlite's PostgreSQL changes; `test/ledger/snapshot.test.ts` says so.
 */
import { readFileSync } from 'node:fs';
import { zstdDecompressSync } from 'node:zlib';

export const snapshotFile = new URL('./ledger.snapshot', import.meta.url);

/** The tar archive, about 33 MB. */
export const readSnapshot = (): Buffer => zstdDecompressSync(readFileSync(snapshotFile));
