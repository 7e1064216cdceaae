/** Heads of the audit trail's chains, the certificates that sign checkpoints, and the checkpoints. */
import { permanent } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { AuditChains, ChainHead, StoredCheckpoint } from '../../ports/ledger/audit-chains.ts';
import { optional, sameBytes } from './columns.ts';
import { type Database, type Queries, StatementRefused } from './database.ts';
import { serviceSigners } from './service-signers.ts';

interface HeadRow {
  readonly chain: string;
  /** Null, as the hash, for a chain that began later. */
  readonly place: bigint | null;
  readonly sha256_hex: string | null;
}

interface ListingRow {
  readonly serial_hex: string;
  readonly issuer_id: string;
  readonly revoked_at: Date;
  readonly crl_number: bigint | null;
  readonly published_at: Date | null;
}

interface CheckpointRow {
  readonly number: bigint;
  readonly last_entry_id: bigint;
  readonly statement: string;
  readonly signer_serial_hex: string;
  readonly signed_der: Uint8Array | null;
}

const SELECT_CHECKPOINTS =
  'SELECT number, last_entry_id, statement, signer_serial_hex, signed_der FROM audit_checkpoints';

const checkpointOf = (row: CheckpointRow): StoredCheckpoint => ({
  number: row.number,
  lastEntryId: row.last_entry_id,
  statement: row.statement,
  signerSerialHex: row.signer_serial_hex,
  ...optional('signedDer', row.signed_der),
});

const readCheckpoint = async (queries: Queries, number: bigint): Promise<StoredCheckpoint | undefined> => {
  const [row] = await queries.query<CheckpointRow>(`${SELECT_CHECKPOINTS} WHERE number = $1`, [number]);
  return row === undefined ? undefined : checkpointOf(row);
};

const HEADS_PER_PAGE = 5_000;

async function* readHeads(queries: Queries, lastEntryId: bigint): AsyncGenerator<ChainHead> {
  let after: string | null = null;
  for (;;) {
    const rows: readonly HeadRow[] = await queries.query<HeadRow>(
      `SELECT known.chain, head.place, head.sha256_hex
         FROM (SELECT chain FROM audit_chains WHERE $2::text IS NULL OR chain > $2 ORDER BY chain LIMIT $3) AS known
         LEFT JOIN LATERAL (
           SELECT place, sha256_hex FROM audit
            WHERE coalesce(user_id, '') = known.chain AND id <= $1 ORDER BY place DESC LIMIT 1) AS head ON true
        ORDER BY known.chain`,
      [lastEntryId, after, HEADS_PER_PAGE],
    );
    for (const { chain, place, sha256_hex } of rows) {
      if (place !== null && sha256_hex !== null) yield { chain, place, sha256Hex: sha256_hex };
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < HEADS_PER_PAGE) return;
    after = last.chain;
  }
}

export const auditChains = (
  database: Database,
  clock: Clock,
): Omit<AuditChains, 'auditTrail' | 'auditEntriesOfStep'> => {
  const signers = serviceSigners(database, clock, { table: 'audit_signers', called: 'audit signer' });
  return {
    settledAuditEntry: async () => {
      const [row] = await database.query<{ last: bigint }>('SELECT settled_audit_entry() AS last');
      return row?.last ?? 0n;
    },

    auditHeads: (lastEntryId) => readHeads(database, lastEntryId),

    auditEnds: ({ afterChain, limit }) =>
      database.query<ChainHead>(
        `SELECT chain, place, sha256_hex AS "sha256Hex" FROM audit_chains
          WHERE $1::text IS NULL OR chain > $1 ORDER BY chain LIMIT $2`,
        [afterChain ?? null, limit],
      ),

    crlListings: async (serialsHex) => {
      const rows = await database.query<ListingRow>(
        `SELECT serial_hex, leaf.issuer_id, revocation.revoked_at, crl.crl_number, crl.published_at
           FROM revocations AS revocation JOIN leaves AS leaf USING (serial_hex)
           LEFT JOIN crl_listings AS listing USING (serial_hex)
           LEFT JOIN crls AS crl ON crl.issuer_id = listing.issuer_id AND crl.crl_number = listing.crl_number
          WHERE serial_hex = ANY($1) ORDER BY serial_hex`,
        [serialsHex],
      );
      return rows.map((row) => ({
        serialHex: row.serial_hex,
        issuerId: row.issuer_id,
        revokedAt: row.revoked_at,
        ...(row.crl_number === null || row.published_at === null
          ? {}
          : { crl: { crlNumber: row.crl_number, publishedAt: row.published_at } }),
      }));
    },

    recordAuditSignerIntent: signers.intend,
    readAuditSigner: (serialHex) => signers.read(serialHex),
    recordSignedAuditSigner: signers.recordSigned,
    auditSigners: () => signers.current(),

    recordCheckpointIntent: async ({ number, lastEntryId, statement, signerSerialHex }) => {
      try {
        await database.query(
          `INSERT INTO audit_checkpoints (number, last_entry_id, statement, signer_serial_hex, intended_at)
           VALUES ($1, $2, $3, $4, $5)`,
          [number, lastEntryId, statement, signerSerialHex, clock.now()],
        );
      } catch (error) {
        if (error instanceof StatementRefused && error.constraint === 'audit_checkpoints_pkey') {
          throw permanent('conflict', `Checkpoint ${number} of the audit trail exists already.`);
        }
        throw error;
      }
    },

    readCheckpoint: (number) => readCheckpoint(database, number),

    latestCheckpoint: async () => {
      const [row] = await database.query<CheckpointRow>(`${SELECT_CHECKPOINTS} ORDER BY number DESC LIMIT 1`);
      return row === undefined ? undefined : checkpointOf(row);
    },

    recordSignedCheckpoint: (number, signedDer) =>
      database.transaction(async (queries) => {
        const written = await queries.query(
          `UPDATE audit_checkpoints SET signed_der = $2, signed_at = $3
            WHERE number = $1 AND signed_der IS NULL RETURNING number`,
          [number, signedDer, clock.now()],
        );
        if (written.length > 0) return;
        const known = await readCheckpoint(queries, number);
        if (known?.signedDer === undefined || !sameBytes(known.signedDer, signedDer)) {
          throw permanent(
            'intent-mismatch',
            `The ledger has no intent for checkpoint ${number} of the audit trail, or another signature of it; the first one stays.`,
          );
        }
      }),

    checkpoints: async ({ afterNumber, limit }) => {
      const rows = await database.query<CheckpointRow>(
        `${SELECT_CHECKPOINTS} WHERE number > $1 ORDER BY number LIMIT $2`,
        [afterNumber ?? 0n, limit],
      );
      return rows.map(checkpointOf);
    },
  };
};
