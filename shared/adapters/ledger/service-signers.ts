/** Certificates of the CA's own machinery from intent to certificate: those that sign OCSP answers, those that sign checkpoints. */
import { recordedInLedger } from '../../domain/recorded.ts';
import type { IssuerRecord } from '../../domain/records.ts';
import { permanent } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { ServiceSignerIntent, StoredServiceSigner } from '../../ports/ledger/service-signers.ts';
import { optional, sameBytes } from './columns.ts';
import { type Database, type Queries, StatementRefused } from './database.ts';
import { ISSUER_BESIDE, ISSUER_COLUMNS, type IssuerBesideRow, issuerBeside } from './issuers.ts';

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

const signerOf = (row: SignerRow): StoredServiceSigner => ({
  serialHex: row.serial_hex,
  issuerId: row.issuer_id,
  spkiDer: row.spki_der,
  keySecretVersion: row.key_secret_version,
  profile: row.profile,
  notBefore: row.not_before,
  notAfter: row.not_after,
  tbsDer: recordedInLedger(row.tbs_der),
  ...optional('certificateDer', row.certificate_der),
});

type SignerTable = 'ocsp_signers' | 'audit_signers';

const selectSigners = (table: SignerTable): string => `
  SELECT serial_hex, issuer_id, spki_der, key_secret_version, profile, not_before, not_after, tbs_der, certificate_der
    FROM ${table}`;

/** An OCSP signer, and the issuer whose answers it is to sign, in one statement. */
export async function readSignerOf(
  queries: Queries,
  serialHex: string,
  issuerId: string,
): Promise<{ readonly signer: StoredServiceSigner; readonly issuer: IssuerRecord } | undefined> {
  const [row] = await queries.query<SignerRow & IssuerBesideRow>(
    `SELECT signer.*, ${ISSUER_BESIDE} FROM (${selectSigners('ocsp_signers')} WHERE serial_hex = $1) AS signer,
            (SELECT ${ISSUER_COLUMNS} FROM issuers WHERE issuers.issuer_id = $2) AS issuer`,
    [serialHex, issuerId],
  );
  return row === undefined ? undefined : { signer: signerOf(row), issuer: issuerBeside(row) };
}

export interface ServiceSigners {
  intend(intent: ServiceSignerIntent): Promise<void>;
  read(serialHex: string, queries?: Queries): Promise<StoredServiceSigner | undefined>;
  recordSigned(serialHex: string, certificateDer: Uint8Array): Promise<void>;
  /** Those that end after now, of one issuer or of all; the one that ends last first. */
  current(issuerId?: string): Promise<readonly StoredServiceSigner[]>;
}

/** `called` is what an error says it is, such as "OCSP signer". */
export function serviceSigners(
  database: Database,
  clock: Clock,
  { table, called }: { readonly table: SignerTable; readonly called: string },
): ServiceSigners {
  const select = selectSigners(table);
  const read = async (serialHex: string, queries: Queries = database) => {
    const [row] = await queries.query<SignerRow>(`${select} WHERE serial_hex = $1`, [serialHex]);
    return row === undefined ? undefined : signerOf(row);
  };
  return {
    read,

    intend: async (intent) => {
      try {
        await database.query(
          `INSERT INTO ${table} (serial_hex, issuer_id, spki_der, key_secret_version, profile, not_before, not_after,
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
        if (error instanceof StatementRefused && error.constraint === `${table}_pkey`) {
          throw permanent('conflict', `The serial ${intent.serialHex} exists already: draw another.`);
        }
        throw error;
      }
    },

    recordSigned: (serialHex, certificateDer) =>
      database.transaction(async (queries) => {
        const written = await queries.query(
          `UPDATE ${table} SET state = 'signed', certificate_der = $2, signed_at = $3
            WHERE serial_hex = $1 AND state = 'intended' RETURNING serial_hex`,
          [serialHex, certificateDer, clock.now()],
        );
        if (written.length > 0) return;
        const known = await read(serialHex, queries);
        if (known?.certificateDer === undefined || !sameBytes(known.certificateDer, certificateDer)) {
          throw permanent(
            'intent-mismatch',
            `The ledger has no intent for the ${called} ${serialHex}, or another certificate of it; the first one stays.`,
          );
        }
      }),

    current: async (issuerId) => {
      const rows = await database.query<SignerRow>(
        `${select} WHERE ($1::text IS NULL OR issuer_id = $1) AND not_after > $2 ORDER BY not_after DESC, serial_hex`,
        [issuerId ?? null, clock.now()],
      );
      return rows.map(signerOf);
    },
  };
}
