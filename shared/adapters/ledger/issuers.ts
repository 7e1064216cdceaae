/** Issuers with the chain above them. */

import type { AddressKind } from '../../domain/issuer-address.ts';
import { custodyOf } from '../../domain/key-version.ts';
import type { IssuerRecord } from '../../domain/records.ts';
import { permanent } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { CrlRecord } from '../../ports/ledger/crls.ts';
import type { KnownAddresses, Ledger } from '../../ports/ledger.ts';
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

/** An issuer beside something else: the certificate, and the rest as JSON. */
export interface IssuerBesideRow {
  readonly issuer_der: Uint8Array;
  readonly issuer: Omit<IssuerRow, 'certificate_der'>;
}

/** The same with its public addresses. */
export interface KnownIssuerRow extends IssuerBesideRow {
  readonly issuer_addresses: readonly {
    readonly kind: AddressKind;
    readonly url: string;
    readonly verified_at: string | null;
    readonly failure: string | null;
  }[];
}

/** The columns of these rows, of whatever is joined as `issuer`. */
export const ISSUER_BESIDE = `issuer.certificate_der AS issuer_der, to_jsonb(issuer) - 'certificate_der' AS issuer`;
export const KNOWN_ISSUER = `${ISSUER_BESIDE}, (
  SELECT coalesce(jsonb_agg(jsonb_build_object('kind', kind, 'url', url, 'verified_at', verified_at, 'failure', failure) ORDER BY kind, url), '[]')
    FROM issuer_addresses AS known WHERE known.issuer_id = issuer.issuer_id) AS issuer_addresses`;

export const issuerBeside = (row: IssuerBesideRow): IssuerRecord =>
  issuerRecord({ ...row.issuer, certificate_der: row.issuer_der });

export const knownIssuer = (
  row: KnownIssuerRow,
): { readonly issuer: IssuerRecord; readonly issuerAddresses: KnownAddresses } => ({
  issuer: issuerBeside(row),
  issuerAddresses: row.issuer_addresses.map(({ kind, url, verified_at: at, failure }) => ({
    ...{ kind, url },
    ...optional('verifiedAt', at === null ? null : new Date(at)),
    ...optional('failure', failure),
  })),
});

interface ToUseRow extends KnownIssuerRow {
  readonly crl_number: bigint | null;
  readonly this_update: Date;
  readonly next_update: Date;
  readonly crl_state: CrlRecord['state'];
}

const SELECT_TO_USE = `
  SELECT ${KNOWN_ISSUER}, crl.crl_number, crl.this_update, crl.next_update, crl.state AS crl_state
    FROM (SELECT ${ISSUER_COLUMNS} FROM issuers WHERE issuers.state = $1) AS issuer
    LEFT JOIN LATERAL (
      SELECT crl_number, this_update, next_update, state FROM crls
       WHERE crls.issuer_id = issuer.issuer_id AND crls.state = 'published' ORDER BY crl_number DESC LIMIT 1
    ) AS crl ON true`;

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
): Pick<Ledger, 'recordIssuer' | 'activeIssuer' | 'issuerToUse' | 'readIssuer' | 'issuers'> => ({
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

  // Every certificate begins with it.
  issuerToUse: async () => {
    const [row] = await database.query<ToUseRow>(SELECT_TO_USE, ['active']);
    if (row === undefined) return undefined;
    const found = knownIssuer(row);
    const { crl_number: crlNumber, this_update: thisUpdate, next_update: nextUpdate, crl_state: state } = row;
    if (crlNumber === null) return found;
    return { ...found, crl: { issuerId: found.issuer.issuerId, crlNumber, thisUpdate, nextUpdate, state } };
  },

  readIssuer: async (issuerId) => (await readIssuers(database, 'issuer_id = $1', [issuerId]))[0],

  issuers: () => readIssuers(database, 'true', []),
});
