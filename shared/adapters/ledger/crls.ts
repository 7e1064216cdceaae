/** CRLs from intent to publication, and which revoked leaves the next one must list. */
import type { RevocationReason } from '../../domain/revocation-reason.ts';
import { permanent, type SealwrightError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Ledger, StoredCrl } from '../../ports/ledger.ts';
import { optional, sameBytes } from './columns.ts';
import type { Database } from './database.ts';
import { issuerSubject, underLease } from './leases.ts';

interface CrlRow {
  readonly issuer_id: string;
  readonly crl_number: bigint;
  readonly this_update: Date;
  readonly next_update: Date;
  readonly tbs_der: Uint8Array;
  readonly state: StoredCrl['state'];
  readonly crl_der: Uint8Array | null;
}

const SELECT_CRLS =
  'SELECT issuer_id, crl_number, this_update, next_update, tbs_der, state, crl_der FROM crls';

const storedCrl = (row: CrlRow): StoredCrl => ({
  issuerId: row.issuer_id,
  crlNumber: row.crl_number,
  thisUpdate: row.this_update,
  nextUpdate: row.next_update,
  tbsDer: row.tbs_der,
  state: row.state,
  ...optional('crlDer', row.crl_der),
});

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

export const crls = (
  database: Database,
  clock: Clock,
): Pick<
  Ledger,
  | 'revokedLeaves'
  | 'latestCrl'
  | 'latestPublishedCrl'
  | 'recordCrlIntent'
  | 'readCrl'
  | 'recordSignedCrl'
  | 'recordPublishedCrl'
> => ({
  revokedLeaves: async (issuerId) => {
    const rows = await database.query<RevokedRow>(
      `SELECT leaf.serial_hex, revocation.reason, revocation.revoked_at, revocation.invalidity_date, leaf.not_after
         FROM revocations AS revocation JOIN leaves AS leaf USING (serial_hex)
        WHERE leaf.issuer_id = $1
          AND (leaf.not_after >= $2
               OR NOT EXISTS (SELECT 1 FROM last_entries WHERE serial_hex = leaf.serial_hex))
        ORDER BY leaf.serial_hex`,
      [issuerId, clock.now()],
    );
    return rows.map((row) => ({
      serialHex: row.serial_hex,
      reason: row.reason,
      revokedAt: row.revoked_at,
      notAfter: row.not_after,
      ...optional('invalidityDate', row.invalidity_date),
    }));
  },

  latestCrl: async (issuerId) => {
    const [row] = await database.query<CrlRow>(
      `${SELECT_CRLS} WHERE issuer_id = $1 ORDER BY crl_number DESC LIMIT 1`,
      [issuerId],
    );
    return row === undefined ? undefined : storedCrl(row);
  },

  latestPublishedCrl: async (issuerId) => {
    const [row] = await database.query<CrlRow>(
      `${SELECT_CRLS} WHERE issuer_id = $1 AND state = 'published' ORDER BY crl_number DESC LIMIT 1`,
      [issuerId],
    );
    return row === undefined ? undefined : storedCrl(row);
  },

  readCrl: async (issuerId, crlNumber) => {
    const [row] = await database.query<CrlRow>(`${SELECT_CRLS} WHERE issuer_id = $1 AND crl_number = $2`, [
      issuerId,
      crlNumber,
    ]);
    return row === undefined ? undefined : storedCrl(row);
  },

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
      const [known] = await queries.query<{ crl_der: Uint8Array }>(
        'SELECT crl_der FROM crls WHERE issuer_id = $1 AND crl_number = $2',
        [issuerId, crlNumber],
      );
      if (known === undefined) throw noSuchCrl(issuerId, crlNumber);
      if (!sameBytes(known.crl_der, crlDer)) {
        throw permanent(
          'intent-mismatch',
          `Another CRL ${crlNumber} of issuer ${issuerId} is in the ledger already; the first one stays.`,
          { details: { issuerId, crlNumber: String(crlNumber) } },
        );
      }
    }),

  recordPublishedCrl: (lease, issuerId, crlNumber) =>
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
      // An expired leaf may be left out once one CRL made after its notAfter lists it (RFC 5280 §3.3). Whether this one
      // does is read from its own bytes: a revocation that was committed after the list was drawn up is not in it,
      // whatever the instants say. The serial is looked for as the DER INTEGER it is there.
      await queries.query(
        `INSERT INTO last_entries (serial_hex, issuer_id, crl_number)
         SELECT leaf.serial_hex, crl.issuer_id, crl.crl_number
           FROM crls AS crl
           JOIN leaves AS leaf ON leaf.issuer_id = crl.issuer_id AND leaf.not_after < crl.this_update
           JOIN revocations AS revocation ON revocation.serial_hex = leaf.serial_hex
          WHERE crl.issuer_id = $1 AND crl.crl_number = $2
            AND NOT EXISTS (SELECT 1 FROM last_entries WHERE serial_hex = leaf.serial_hex)
            AND position(
                  decode('02' || lpad(to_hex(length(leaf.serial_hex) / 2), 2, '0') || leaf.serial_hex, 'hex')
                  IN crl.tbs_der) > 0`,
        [issuerId, crlNumber],
      );
    }),
});
