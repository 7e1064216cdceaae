/** Issuers with the chain above them. */
import { custodyOf } from '../../domain/key-version.ts';
import type { IssuerRecord } from '../../domain/records.ts';
import { permanent } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Ledger } from '../../ports/ledger.ts';
import { optional, sameBytes } from './columns.ts';
import { type Database, type Parameter, type Queries, StatementRefused } from './database.ts';

export interface IssuerRow {
  readonly issuer_id: string;
  readonly certificate_der: Uint8Array;
  readonly key_version: string;
  readonly crl_url: string;
  readonly issuer_url: string;
  readonly ocsp_url: string | null;
  readonly state: IssuerRecord['state'];
  /** Base64 of each certificate above it. */
  readonly chain: readonly string[];
}

export const ISSUER_COLUMNS = `issuers.issuer_id, issuers.certificate_der, issuers.key_version, issuers.crl_url, issuers.issuer_url,
  issuers.ocsp_url, issuers.state,
  ARRAY(SELECT encode(link.certificate_der, 'base64') FROM issuer_chains AS link
         WHERE link.issuer_id = issuers.issuer_id ORDER BY link.place) AS chain`;

export const issuerRecord = (row: IssuerRow): IssuerRecord => ({
  issuerId: row.issuer_id,
  certificateDer: row.certificate_der,
  chainDer: row.chain.map((der) => new Uint8Array(Buffer.from(der, 'base64'))),
  keyVersion: row.key_version,
  crlUrl: row.crl_url,
  issuerUrl: row.issuer_url,
  ...optional('ocspUrl', row.ocsp_url),
  state: row.state,
});

/** Issuers that meet `condition`, oldest first. */
const readIssuers = async (
  queries: Queries,
  condition: string,
  parameters: readonly Parameter[],
): Promise<readonly IssuerRecord[]> => {
  const rows = await queries.query<IssuerRow>(
    `SELECT ${ISSUER_COLUMNS} FROM issuers WHERE ${condition} ORDER BY recorded_at, issuer_id`,
    parameters,
  );
  return rows.map(issuerRecord);
};

export const issuers = (
  database: Database,
  clock: Clock,
): Pick<Ledger, 'recordIssuer' | 'activeIssuer' | 'readIssuer' | 'issuers'> => ({
  recordIssuer: (issuer) =>
    database.transaction(async (queries) => {
      const [known] = await queries.query<{ certificate_der: Uint8Array }>(
        'SELECT certificate_der FROM issuers WHERE issuer_id = $1 FOR UPDATE',
        [issuer.issuerId],
      );
      if (known !== undefined && !sameBytes(known.certificate_der, issuer.certificateDer)) {
        throw permanent(
          'conflict',
          `The issuer ${issuer.issuerId} is in the ledger with another certificate: give the new certificate an issuer id of its own.`,
        );
      }
      try {
        await queries.query(
          `INSERT INTO issuers (issuer_id, certificate_der, key_version, crl_url, issuer_url, ocsp_url, state,
                                recorded_at, key_custody)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
           ON CONFLICT (issuer_id) DO UPDATE SET
             key_version = excluded.key_version, key_custody = excluded.key_custody, crl_url = excluded.crl_url,
             issuer_url = excluded.issuer_url, ocsp_url = excluded.ocsp_url, state = excluded.state`,
          [
            issuer.issuerId,
            issuer.certificateDer,
            issuer.keyVersion,
            issuer.crlUrl,
            issuer.issuerUrl,
            issuer.ocspUrl ?? null,
            issuer.state,
            clock.now(),
            custodyOf(issuer.keyVersion),
          ],
        );
      } catch (error) {
        if (error instanceof StatementRefused && error.constraint === 'issuers_one_active') {
          throw permanent(
            'conflict',
            `Another issuer than ${issuer.issuerId} is active: record that one as retiring first.`,
          );
        }
        throw error;
      }
      await queries.query('DELETE FROM issuer_chains WHERE issuer_id = $1', [issuer.issuerId]);
      for (const [place, certificateDer] of issuer.chainDer.entries()) {
        await queries.query(
          'INSERT INTO issuer_chains (issuer_id, place, certificate_der) VALUES ($1, $2, $3)',
          [issuer.issuerId, place, certificateDer],
        );
      }
    }),

  activeIssuer: async () => (await readIssuers(database, `state = 'active'`, []))[0],

  readIssuer: async (issuerId) => (await readIssuers(database, 'issuer_id = $1', [issuerId]))[0],

  issuers: () => readIssuers(database, 'true', []),
});
