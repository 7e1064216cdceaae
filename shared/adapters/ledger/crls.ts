/** CRLs from intent to publication, and which revoked leaves the next one must list. */
import type { RevocationReason } from '../../domain/revocation-reason.ts';
import { permanent, type SealwrightError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { CrlLedger, CrlRecord } from '../../ports/ledger/crls.ts';
import { optional, sameBytes } from './columns.ts';
import { consistently, type Database, type Queries } from './database.ts';
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

/** Drivers take what they read twice over as text, so a long CRL is read in slices, and only those are there twice. */
const SLICE_BYTES = 4 << 20;

/** The bytes of one column of one CRL; undefined where it is null. */
async function readSliced(
  queries: Queries,
  column: 'tbs_der' | 'crl_der',
  key: readonly [issuerId: string, crlNumber: bigint],
): Promise<Uint8Array | undefined> {
  const where = 'FROM crls WHERE issuer_id = $1 AND crl_number = $2';
  const [measured] = await queries.query<{ length: number | null }>(
    `SELECT length(${column}) AS length ${where}`,
    key,
  );
  const length = measured?.length ?? undefined;
  if (length === undefined) return undefined;
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += SLICE_BYTES) {
    const [row] = await queries.query<{ slice: Uint8Array }>(
      `SELECT substring(${column} FROM $3 FOR $4) AS slice ${where}`,
      [...key, at + 1, SLICE_BYTES],
    );
    if (row === undefined) throw new Error('bug: a CRL went away while it was read');
    bytes.set(row.slice, at);
  }
  return bytes;
}

/** Serials looked at between two statements. */
const PAGE = 10_000;

interface RevokedRow {
  readonly serial_hex: string;
  readonly reason: RevocationReason;
  readonly revoked_at: Date;
  readonly invalidity_date: Date | null;
  readonly not_after: Date;
}

const noSuchCrl = (issuerId: string, crlNumber: bigint): SealwrightError =>
  permanent('intent-mismatch', `The ledger has no intent for CRL ${crlNumber} of issuer ${issuerId}.`, {
    details: { issuerId, crlNumber: String(crlNumber) },
  });

export const crls = (database: Database, clock: Clock): CrlLedger => ({
  revokedLeaves: async (issuerId, page) => {
    const rows = await database.query<RevokedRow>(
      `SELECT leaf.serial_hex, revocation.reason, revocation.revoked_at, revocation.invalidity_date, leaf.not_after
         FROM revocations AS revocation JOIN leaves AS leaf USING (serial_hex)
        WHERE leaf.issuer_id = $1
          AND (leaf.not_after >= $2
               OR NOT EXISTS (SELECT 1 FROM last_entries WHERE serial_hex = leaf.serial_hex))
          AND revocation.serial_hex > $3
        ORDER BY revocation.serial_hex LIMIT $4`,
      [issuerId, clock.now(), page?.afterSerialHex ?? '', page?.limit ?? null],
    );
    return rows.map((row) => ({
      serialHex: row.serial_hex,
      reason: row.reason,
      revokedAt: row.revoked_at,
      notAfter: row.not_after,
      ...optional('invalidityDate', row.invalidity_date),
    }));
  },

  hasUnlistedRevocations: async (issuerId) => {
    const [row] = await database.query<{ found: boolean }>(
      'SELECT EXISTS (SELECT 1 FROM unlisted_revocations WHERE issuer_id = $1) AS found',
      [issuerId],
    );
    return row?.found === true;
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

  readCrl: (issuerId, crlNumber) =>
    consistently(database, async (queries) => {
      const [row] = await queries.query<RecordRow>(
        `${SELECT_RECORDS} WHERE issuer_id = $1 AND crl_number = $2`,
        [issuerId, crlNumber],
      );
      if (row === undefined) return undefined;
      const tbsDer = await readSliced(queries, 'tbs_der', [issuerId, crlNumber]);
      if (tbsDer === undefined) throw new Error('bug: a CRL without to-be-signed bytes');
      const crlDer = await readSliced(queries, 'crl_der', [issuerId, crlNumber]);
      return { ...crlRecord(row), tbsDer, ...optional('crlDer', crlDer ?? null) };
    }),

  // Once written it never changes, so its slices belong together without a transaction around them.
  readSignedCrl: (issuerId, crlNumber) => readSliced(database, 'crl_der', [issuerId, crlNumber]),

  // A number that is not greater than every number before is refused by a trigger, as `conflict`.
  recordCrlIntent: (lease, intent) =>
    underLease(database, lease, issuerSubject(intent.issuerId), async (queries) => {
      await queries.query(
        `INSERT INTO crls (issuer_id, crl_number, this_update, next_update, tbs_der, state, intended_at)
         VALUES ($1, $2, $3, $4, $5, 'intended', $6)`,
        [intent.issuerId, intent.crlNumber, intent.thisUpdate, intent.nextUpdate, intent.tbsDer, clock.now()],
      );
    }),

  recordSignedCrl: (issuerId, crlNumber, crlDer) =>
    database.transaction(async (queries) => {
      const written = await queries.query(
        `UPDATE crls SET state = 'signed', crl_der = $3, signed_at = $4
          WHERE issuer_id = $1 AND crl_number = $2 AND state = 'intended' RETURNING crl_number`,
        [issuerId, crlNumber, crlDer, clock.now()],
      );
      if (written.length > 0) return;
      const known = await readSliced(queries, 'crl_der', [issuerId, crlNumber]);
      if (known === undefined) throw noSuchCrl(issuerId, crlNumber);
      if (!sameBytes(known, crlDer)) {
        throw permanent(
          'intent-mismatch',
          `Another CRL ${crlNumber} of issuer ${issuerId} is in the ledger already; the first one stays.`,
          { details: { issuerId, crlNumber: String(crlNumber) } },
        );
      }
    }),

  recordPublishedCrl: (lease, issuerId, crlNumber, lists) =>
    underLease(database, lease, issuerSubject(issuerId), async (queries) => {
      // A CRL below a published one is refused by a trigger, as `conflict`.
      const published = await queries.query(
        `UPDATE crls SET state = 'published', published_at = $3
          WHERE issuer_id = $1 AND crl_number = $2 AND state = 'signed' RETURNING crl_number`,
        [issuerId, crlNumber, clock.now()],
      );
      if (published.length === 0) {
        const [known] = await queries.query<{ state: string }>(
          'SELECT state FROM crls WHERE issuer_id = $1 AND crl_number = $2',
          [issuerId, crlNumber],
        );
        if (known?.state === 'published') return;
        if (known === undefined) throw noSuchCrl(issuerId, crlNumber);
        throw permanent(
          'intent-mismatch',
          `CRL ${crlNumber} of issuer ${issuerId} is not signed, so it cannot have been published.`,
          { details: { issuerId, crlNumber: String(crlNumber) } },
        );
      }
      await forgetListed(queries, issuerId, lists);
      await rememberLastEntries(queries, issuerId, crlNumber, lists);
    }),
});

async function forgetListed(
  queries: Queries,
  issuerId: string,
  lists: (serialHex: string) => boolean,
): Promise<void> {
  const candidates = paged((after) =>
    queries.query<SerialRow>(
      `SELECT serial_hex FROM unlisted_revocations WHERE issuer_id = $1 AND serial_hex > $2
        ORDER BY serial_hex LIMIT ${PAGE}`,
      [issuerId, after],
    ),
  );
  for await (const serials of candidates) {
    await queries.query('DELETE FROM unlisted_revocations WHERE serial_hex = ANY ($1)', [
      serials.filter(lists),
    ]);
  }
}

/**
 * An expired leaf may be left out once one CRL made after its notAfter lists it (RFC 5280 §3.3). Whether this one does is
 * read from its own bytes: a revocation that was committed after the list was drawn up is not in it, whatever the instants say.
 */
async function rememberLastEntries(
  queries: Queries,
  issuerId: string,
  crlNumber: bigint,
  lists: (serialHex: string) => boolean,
): Promise<void> {
  const candidates = paged((after) =>
    queries.query<SerialRow>(
      `SELECT leaf.serial_hex
         FROM crls AS crl
         JOIN leaves AS leaf ON leaf.issuer_id = crl.issuer_id AND leaf.not_after < crl.this_update
         JOIN revocations AS revocation ON revocation.serial_hex = leaf.serial_hex
        WHERE crl.issuer_id = $1 AND crl.crl_number = $2 AND leaf.serial_hex > $3
          AND NOT EXISTS (SELECT 1 FROM last_entries WHERE serial_hex = leaf.serial_hex)
        ORDER BY leaf.serial_hex LIMIT ${PAGE}`,
      [issuerId, crlNumber, after],
    ),
  );
  for await (const serials of candidates) {
    await queries.query(
      'INSERT INTO last_entries (serial_hex, issuer_id, crl_number) SELECT unnest($1::text[]), $2, $3',
      [serials.filter(lists), issuerId, crlNumber],
    );
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
