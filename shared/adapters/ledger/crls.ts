/** CRLs from intent to publication, and which revoked leaves the next one must list. */

import { createHash } from 'node:crypto';
import { recordedPartsInLedger } from '../../domain/recorded.ts';
import { REVOCATION_REASONS } from '../../domain/revocation-reason.ts';
import { permanent, type SealwrightError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { CrlLedger, CrlRecord } from '../../ports/ledger/crls.ts';
import type { AuditEntry } from '../../ports/ledger.ts';
import { insertAudit } from './audit.ts';
import { optional, sameBytes, wholeMs } from './columns.ts';
import type { Database, Queries } from './database.ts';
import { issuerSubject, underLease } from './leases.ts';

interface RecordRow {
  readonly issuer_id: string;
  readonly crl_number: bigint;
  readonly this_update: Date;
  readonly next_update: Date;
  readonly state: CrlRecord['state'];
}

const SELECT_RECORDS = 'SELECT issuer_id, crl_number, this_update, next_update, state FROM crls';

const crlRecord = (row: RecordRow): CrlRecord => ({
  issuerId: row.issuer_id,
  crlNumber: row.crl_number,
  thisUpdate: row.this_update,
  nextUpdate: row.next_update,
  state: row.state,
});

/** Serials looked at between two statements. */
const PAGE = 2_000;

/** One octet. */
const octet = (value: string): string => `set_byte('\\x00'::bytea, 0, ${value})`;

/** Zero, which no CRL has, for a reason that is not ours: whoever makes a CRL of it says so. */
const REASON_CODE = `CASE reason ${Object.entries(REVOCATION_REASONS)
  .map(([reason, code]) => `WHEN '${reason}' THEN ${code}`)
  .join(' ')} ELSE 0 END`;

/** A row of `crl_entries` in the form of `packed-entries.ts`. */
const PACKED_ENTRY = [
  octet('length(serial_hex) / 2'),
  `decode(serial_hex, 'hex')`,
  `float8send(${wholeMs('revoked_at')})`,
  `float8send(coalesce(${wholeMs('invalidity_date')}, 'NaN'))`,
  octet(REASON_CODE),
].join(' || ');

const noSuchCrl = (issuerId: string, crlNumber: bigint): SealwrightError =>
  permanent('intent-mismatch', `The ledger has no intent for CRL ${crlNumber} of issuer ${issuerId}.`, {
    details: { issuerId, crlNumber: String(crlNumber) },
  });

export const crls = (database: Database, clock: Clock): CrlLedger => ({
  revokedLeaves: async (issuerId, page) => {
    const [packed] = await database.bytes(
      `SELECT string_agg(packed, '' ORDER BY serial_hex)
         FROM (SELECT serial_hex, ${PACKED_ENTRY} AS packed
                 FROM crl_entries WHERE issuer_id = $1 AND serial_hex > $2 ORDER BY serial_hex LIMIT $3) AS page`,
      [issuerId, page?.afterSerialHex ?? '', page?.limit ?? null],
    );
    return packed ?? new Uint8Array();
  },

  hasUnlistedRevocations: async (issuerId) => {
    // In order, so that the partial index is read, and not the whole table where statistics from a busy moment call every row new.
    const [row] = await database.query<{ serial_hex: string }>(
      'SELECT serial_hex FROM crl_listings WHERE issuer_id = $1 AND crl_number IS NULL ORDER BY serial_hex LIMIT 1',
      [issuerId],
    );
    return row !== undefined;
  },

  latestCrl: async (issuerId) => {
    const [row] = await database.query<RecordRow>(
      `${SELECT_RECORDS} WHERE issuer_id = $1 ORDER BY crl_number DESC LIMIT 1`,
      [issuerId],
    );
    return row === undefined ? undefined : crlRecord(row);
  },

  latestPublishedCrl: async (issuerId) => {
    const [row] = await database.query<RecordRow>(
      `${SELECT_RECORDS} WHERE issuer_id = $1 AND state = 'published' ORDER BY crl_number DESC LIMIT 1`,
      [issuerId],
    );
    return row === undefined ? undefined : crlRecord(row);
  },

  readCrl: async (issuerId, crlNumber) => {
    const [row] = await database.query<RecordRow & TextRow>(
      `SELECT issuer_id, crl_number, this_update, next_update, state, tbs_head, tbs_tail, blocks, end_der
         FROM crls WHERE issuer_id = $1 AND crl_number = $2 AND pruned_at IS NULL`,
      [issuerId, crlNumber],
    );
    if (row === undefined) return undefined;
    return {
      ...crlRecord(row),
      tbsParts: () => recordedPartsInLedger(textParts(database, issuerId, row)),
      ...optional('endDer', row.end_der),
    };
  },

  // A number that is not greater than every number before is refused by a trigger, as `conflict`.
  recordCrlIntent: async (lease, { issuerId, text, ...intent }) => {
    const blocks: string[] = [];
    for await (const block of text.blocks) blocks.push(await keepBlock(database, issuerId, block));
    const { head, tail } = text.around();
    await underLease(database, lease, issuerSubject(issuerId), async (queries) => {
      await queries.query(
        `INSERT INTO crls (issuer_id, crl_number, this_update, next_update, tbs_head, blocks, tbs_tail, state, intended_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'intended', $8)`,
        [
          ...[issuerId, intent.crlNumber, intent.thisUpdate, intent.nextUpdate],
          ...[head, blocks, tail, clock.now()],
        ],
      );
    });
  },

  recordSignedCrl: (issuerId, crlNumber, endDer) =>
    database.transaction(async (queries) => {
      const written = await queries.query(
        `UPDATE crls SET state = 'signed', end_der = $3, signed_at = $4
          WHERE issuer_id = $1 AND crl_number = $2 AND state = 'intended' RETURNING crl_number`,
        [issuerId, crlNumber, endDer, clock.now()],
      );
      if (written.length > 0) return;
      const [known] = await queries.query<{ end_der: Uint8Array | null }>(
        'SELECT end_der FROM crls WHERE issuer_id = $1 AND crl_number = $2',
        [issuerId, crlNumber],
      );
      if (known === undefined || known.end_der === null) throw noSuchCrl(issuerId, crlNumber);
      if (!sameBytes(known.end_der, endDer)) {
        throw permanent(
          'intent-mismatch',
          `Another CRL ${crlNumber} of issuer ${issuerId} is in the ledger already; the first one stays.`,
          { details: { issuerId, crlNumber: String(crlNumber) } },
        );
      }
    }),

  publicationToFinish: async (issuerId) => {
    const [row] = await database.query<{ crl_number: bigint }>(
      `SELECT crl_number FROM crls WHERE issuer_id = $1 AND state = 'published' AND listed_at IS NULL`,
      [issuerId],
    );
    return row?.crl_number;
  },

  recordPublishedCrl: async (lease, issuerId, crlNumber, listed, audit) => {
    const under = <T>(write: (queries: Queries) => Promise<T>) =>
      underLease(database, lease, issuerSubject(issuerId), write);
    const isFinished = await under((queries) => markPublished(queries, clock, issuerId, crlNumber, audit));
    if (isFinished) return;
    // Outside of any transaction, as `listed` reads the CRL. Should the process die meanwhile, the next publication goes on.
    await recordListings({ database, under, listed }, issuerId, crlNumber);
    await rememberLastEntries({ database, under, listed }, issuerId, crlNumber);
    await under((queries) =>
      queries.query(
        'UPDATE crls SET listed_at = $3 WHERE issuer_id = $1 AND crl_number = $2 AND listed_at IS NULL',
        [issuerId, crlNumber, clock.now()],
      ),
    );
  },

  pruneCrls: (lease, issuerId) =>
    underLease(database, lease, issuerSubject(issuerId), async (queries) => {
      const pruned = await queries.query(
        `UPDATE crls SET pruned_at = $2, tbs_head = NULL, tbs_tail = NULL, blocks = '{}'
          WHERE issuer_id = $1 AND pruned_at IS NULL AND next_update < $2
            AND crl_number < (SELECT max(crl_number) FROM crls WHERE issuer_id = $1 AND state = 'published')
          RETURNING crl_number`,
        [issuerId, clock.now()],
      );
      if (pruned.length > 0) {
        await queries.query(
          `DELETE FROM crl_blocks
            WHERE issuer_id = $1 AND sha256_hex NOT IN (SELECT unnest(blocks) FROM crls WHERE issuer_id = $1)`,
          [issuerId],
        );
      }
      return pruned.length;
    }),
});

interface TextRow {
  readonly tbs_head: Uint8Array;
  readonly tbs_tail: Uint8Array;
  readonly blocks: readonly string[];
  readonly end_der: Uint8Array | null;
}

const sha256Hex = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Its digest, under which it is in the ledger from now on, if it was not before. */
async function keepBlock(queries: Queries, issuerId: string, block: Uint8Array): Promise<string> {
  const key = [issuerId, sha256Hex(block)] as const;
  const known = await queries.query('SELECT 1 FROM crl_blocks WHERE issuer_id = $1 AND sha256_hex = $2', key);
  if (known.length === 0) {
    await queries.query(
      'INSERT INTO crl_blocks (issuer_id, sha256_hex, bytes) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
      [...key, block],
    );
  }
  return key[1];
}

async function* textParts(database: Database, issuerId: string, row: TextRow): AsyncGenerator<Uint8Array> {
  yield row.tbs_head;
  for (const digest of row.blocks) {
    const [block] = await database.bytes(
      'SELECT bytes FROM crl_blocks WHERE issuer_id = $1 AND sha256_hex = $2',
      [issuerId, digest],
    );
    if (block === undefined || sha256Hex(block) !== digest) {
      throw permanent(
        'intent-mismatch',
        `A block of a CRL of issuer ${issuerId} is ${block === undefined ? 'missing in' : 'not what was recorded in'} the ledger (SHA-256 ${digest}). Find out who changed it; the next publication makes a new CRL.`,
      );
    }
    yield block;
  }
  if (row.tbs_tail.length > 0) yield row.tbs_tail;
}

/** True where it was published before, and whom it lists first is written down. */
async function markPublished(
  queries: Queries,
  clock: Clock,
  issuerId: string,
  crlNumber: bigint,
  audit: AuditEntry | undefined,
): Promise<boolean> {
  const now = clock.now();
  // A CRL below a published one, or above one that is not finished, is refused by a trigger, as `conflict`.
  const published = await queries.query(
    `UPDATE crls SET state = 'published', published_at = $3
      WHERE issuer_id = $1 AND crl_number = $2 AND state = 'signed' RETURNING crl_number`,
    [issuerId, crlNumber, now],
  );
  if (published.length > 0) {
    if (audit !== undefined) await insertAudit(queries, now, audit);
    return false;
  }
  const [known] = await queries.query<{ state: string; listed_at: Date | null }>(
    'SELECT state, listed_at FROM crls WHERE issuer_id = $1 AND crl_number = $2',
    [issuerId, crlNumber],
  );
  if (known?.state === 'published') return known.listed_at !== null;
  if (known === undefined) throw noSuchCrl(issuerId, crlNumber);
  throw permanent(
    'intent-mismatch',
    `CRL ${crlNumber} of issuer ${issuerId} is not signed, so it cannot have been published.`,
    { details: { issuerId, crlNumber: String(crlNumber) } },
  );
}

/** What it takes to look at candidates page by page, and to write down those that the CRL lists. */
interface Going {
  readonly database: Database;
  readonly under: <T>(write: (queries: Queries) => Promise<T>) => Promise<T>;
  readonly listed: (serialsHex: readonly string[]) => Promise<readonly string[]>;
}

/** Nobody is asked about twice: CRLs are published one after the other, and each is finished before the next one. */
async function recordListings(
  { database, under, listed }: Going,
  issuerId: string,
  crlNumber: bigint,
): Promise<void> {
  const candidates = paged((after) =>
    database.query<SerialRow>(
      `SELECT serial_hex FROM crl_listings WHERE issuer_id = $1 AND crl_number IS NULL AND serial_hex > $2
        ORDER BY serial_hex LIMIT ${PAGE}`,
      [issuerId, after],
    ),
  );
  for await (const serials of candidates) {
    const found = await listed(serials);
    if (found.length === 0) continue;
    await under((queries) =>
      queries.query(
        'UPDATE crl_listings SET crl_number = $2 WHERE serial_hex = ANY ($1) AND crl_number IS NULL',
        [found, crlNumber],
      ),
    );
  }
}

/**
 * An expired leaf may be left out once one CRL made after its notAfter lists it (RFC 5280 §3.3). Whether this one does is
 * read from its own bytes: a revocation that was committed after the list was drawn up is not in it, whatever the instants say.
 */
async function rememberLastEntries(
  { database, under, listed }: Going,
  issuerId: string,
  crlNumber: bigint,
): Promise<void> {
  const candidates = paged((after) =>
    database.query<SerialRow>(
      `SELECT entry.serial_hex
         FROM crls AS crl
         JOIN crl_entries AS entry ON entry.issuer_id = crl.issuer_id AND entry.not_after < crl.this_update
        WHERE crl.issuer_id = $1 AND crl.crl_number = $2 AND entry.serial_hex > $3
        ORDER BY entry.serial_hex LIMIT ${PAGE}`,
      [issuerId, crlNumber, after],
    ),
  );
  for await (const serials of candidates) {
    const found = await listed(serials);
    if (found.length === 0) continue;
    await under(async (queries) => {
      await queries.query(
        `INSERT INTO last_entries (serial_hex, issuer_id, crl_number)
         SELECT unnest($1::text[]), $2, $3 ON CONFLICT DO NOTHING`,
        [found, issuerId, crlNumber],
      );
      await queries.query('DELETE FROM crl_entries WHERE issuer_id = $1 AND serial_hex = ANY ($2)', [
        issuerId,
        found,
      ]);
    });
  }
}

interface SerialRow {
  readonly serial_hex: string;
}

async function* paged(
  read: (after: string) => Promise<readonly SerialRow[]>,
): AsyncGenerator<readonly string[]> {
  for (let after = ''; ; ) {
    const serials = (await read(after)).map((row) => row.serial_hex);
    if (serials.length > 0) yield serials;
    const last = serials.at(-1);
    if (serials.length < PAGE || last === undefined) return;
    after = last;
  }
}
