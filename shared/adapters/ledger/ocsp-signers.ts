/** Delegated OCSP signers from intent to certificate. */
import { permanent } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { OcspLedger, StoredOcspSigner } from '../../ports/ledger/ocsp.ts';
import { optional, sameBytes } from './columns.ts';
import { type Database, type Queries, StatementRefused } from './database.ts';

interface SignerRow {
  readonly serial_hex: string;
  readonly issuer_id: string;
  readonly spki_der: Uint8Array;
  readonly key_secret_version: string;
  readonly profile: string;
  readonly not_before: Date;
  readonly not_after: Date;
  readonly tbs_der: Uint8Array;
  readonly certificate_der: Uint8Array | null;
}

const SELECT_SIGNERS = `
  SELECT serial_hex, issuer_id, spki_der, key_secret_version, profile, not_before, not_after, tbs_der, certificate_der
    FROM ocsp_signers`;

const signerOf = (row: SignerRow): StoredOcspSigner => ({
  serialHex: row.serial_hex,
  issuerId: row.issuer_id,
  spkiDer: row.spki_der,
  keySecretVersion: row.key_secret_version,
  profile: row.profile,
  notBefore: row.not_before,
  notAfter: row.not_after,
  tbsDer: row.tbs_der,
  ...optional('certificateDer', row.certificate_der),
});

export const readSigner = async (
  queries: Queries,
  serialHex: string,
): Promise<StoredOcspSigner | undefined> => {
  const [row] = await queries.query<SignerRow>(`${SELECT_SIGNERS} WHERE serial_hex = $1`, [serialHex]);
  return row === undefined ? undefined : signerOf(row);
};

export const ocspSigners = (
  database: Database,
  clock: Clock,
): Pick<
  OcspLedger,
  'recordOcspSignerIntent' | 'readOcspSigner' | 'recordSignedOcspSigner' | 'ocspSigners'
> => ({
  recordOcspSignerIntent: async (intent) => {
    try {
      await database.query(
        `INSERT INTO ocsp_signers (serial_hex, issuer_id, spki_der, key_secret_version, profile, not_before, not_after,
                                   tbs_der, state, intended_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'intended', $9)`,
        [
          intent.serialHex,
          intent.issuerId,
          intent.spkiDer,
          intent.keySecretVersion,
          intent.profile,
          intent.notBefore,
          intent.notAfter,
          intent.tbsDer,
          clock.now(),
        ],
      );
    } catch (error) {
      if (error instanceof StatementRefused && error.constraint === 'ocsp_signers_pkey') {
        throw permanent('conflict', `The serial ${intent.serialHex} exists already: draw another.`);
      }
      throw error;
    }
  },

  readOcspSigner: (serialHex) => readSigner(database, serialHex),

  recordSignedOcspSigner: (serialHex, certificateDer) =>
    database.transaction(async (queries) => {
      const written = await queries.query(
        `UPDATE ocsp_signers SET state = 'signed', certificate_der = $2, signed_at = $3
          WHERE serial_hex = $1 AND state = 'intended' RETURNING serial_hex`,
        [serialHex, certificateDer, clock.now()],
      );
      if (written.length > 0) return;
      const known = await readSigner(queries, serialHex);
      if (known?.certificateDer === undefined || !sameBytes(known.certificateDer, certificateDer)) {
        throw permanent(
          'intent-mismatch',
          `The ledger has no intent for the OCSP signer ${serialHex}, or another certificate of it; the first one stays.`,
        );
      }
    }),

  ocspSigners: async (issuerId) => {
    const rows = await database.query<SignerRow>(
      `${SELECT_SIGNERS} WHERE issuer_id = $1 AND not_after > $2 ORDER BY not_after DESC, serial_hex`,
      [issuerId, clock.now()],
    );
    return rows.map(signerOf);
  },
});
