/**
 * OCSP answers from intent to what the responder gives out. Lists of answers travel as one jsonb parameter: a batch has
 * hundreds of rows.
 */

import type { CertIdHash } from '../../domain/ocsp.ts';
import { recordedInLedger } from '../../domain/recorded.ts';
import type { RevocationReason } from '../../domain/revocation-reason.ts';
import { permanent } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { OcspLedger, OcspSubject } from '../../ports/ledger/ocsp.ts';
import { optional } from './columns.ts';
import { consistently, type Database, type Queries } from './database.ts';
import { readSigner } from './service-signers.ts';

interface SubjectRow {
  readonly serial_hex: string;
  readonly not_after: Date;
  readonly reason: RevocationReason | null;
  readonly revoked_at: Date | null;
  readonly invalidity_date: Date | null;
}

const subjectOf = (row: SubjectRow): OcspSubject => ({
  serialHex: row.serial_hex,
  notAfter: row.not_after,
  ...(row.reason === null || row.revoked_at === null
    ? {}
    : {
        revocation: {
          reason: row.reason,
          revokedAt: row.revoked_at,
          ...optional('invalidityDate', row.invalidity_date),
        },
      }),
});

/**
 * Whatever an answer may be given about: leaves that were signed, leaves that were revoked whether or not a signature
 * is known (a revocation always has a status), and the issuer's OCSP signers.
 */
const SUBJECTS = `
  SELECT leaf.issuer_id, leaf.serial_hex, leaf.not_after, revocation.reason, revocation.revoked_at,
         revocation.invalidity_date
    FROM leaves AS leaf LEFT JOIN revocations AS revocation USING (serial_hex)
   WHERE leaf.state = 'signed' OR revocation.serial_hex IS NOT NULL
  UNION ALL
  SELECT issuer_id, serial_hex, not_after, null, null, null FROM ocsp_signers WHERE state = 'signed'`;

const readSubjects = async (
  queries: Queries,
  issuerId: string,
  serialsHex: readonly string[],
): Promise<readonly OcspSubject[]> =>
  (
    await queries.query<SubjectRow>(
      `SELECT serial_hex, not_after, reason, revoked_at, invalidity_date FROM (${SUBJECTS}) AS subject
        WHERE issuer_id = $1 AND serial_hex = ANY($2)`,
      [issuerId, serialsHex],
    )
  ).map(subjectOf);

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

type Writing = Pick<OcspLedger, 'recordOcspBatch' | 'readOcspBatch' | 'recordSignedOcspBatch'>;
type Reading = Omit<
  OcspLedger,
  keyof Writing | 'recordOcspSignerIntent' | 'readOcspSigner' | 'recordSignedOcspSigner' | 'ocspSigners'
>;

export const ocspAnswers = (database: Database, clock: Clock): Reading => ({
  ocspIssuers: async () =>
    (
      await database.query<{ issuer_id: string; certificate_der: Uint8Array }>(
        `SELECT issuer_id, certificate_der FROM issuers WHERE state <> 'retired' ORDER BY issuer_id`,
      )
    ).map((row) => ({ issuerId: row.issuer_id, certificateDer: row.certificate_der })),

  readOcspAnswer: async (issuerId, serialHex, hash) => {
    const [row] = await database.query<{
      status: 'good' | 'revoked';
      this_update: Date;
      next_update: Date;
      not_after: Date;
      answer_der: Uint8Array;
    }>(
      `SELECT status, this_update, next_update, not_after, answer_der FROM ocsp_answers
        WHERE issuer_id = $1 AND serial_hex = $2 AND hash = $3`,
      [issuerId, serialHex, hash],
    );
    return row === undefined
      ? undefined
      : {
          status: row.status,
          thisUpdate: row.this_update,
          nextUpdate: row.next_update,
          notAfter: row.not_after,
          answerDer: row.answer_der,
        };
  },

  ocspSubjects: async ({ issuerId, madeBefore, behind = false, afterSerialHex = '', limit }) =>
    (
      await database.query<SubjectRow>(
        `SELECT serial_hex, not_after, reason, revoked_at, invalidity_date FROM (${SUBJECTS}) AS subject
          WHERE issuer_id = $1 AND not_after >= $2 AND serial_hex > $3
            AND ${behind ? 'reason IS NOT NULL' : 'true'}
            AND 2 > (SELECT count(*) FROM ocsp_answers AS answer
                      WHERE answer.issuer_id = $1 AND answer.serial_hex = subject.serial_hex
                        AND (answer.this_update > $4 OR ${behind})
                        AND (answer.status = 'revoked') = (subject.reason IS NOT NULL))
          ORDER BY serial_hex LIMIT $5`,
        [issuerId, clock.now(), afterSerialHex, madeBefore, limit],
      )
    ).map(subjectOf),

  readOcspSubjects: (issuerId, serialsHex) => readSubjects(database, issuerId, serialsHex),

  oldestOcspAnswer: async (issuerId) => {
    const [row] = await database.query<{ this_update: Date; next_update: Date }>(
      `SELECT this_update, next_update FROM ocsp_answers
        WHERE issuer_id = $1 AND not_after >= $2 ORDER BY this_update LIMIT 1`,
      [issuerId, clock.now()],
    );
    return row === undefined ? undefined : { thisUpdate: row.this_update, nextUpdate: row.next_update };
  },
});

export const ocspBatches = (database: Database, clock: Clock): Writing => ({
  recordOcspBatch: ({ issuerId, signerSerialHex, intents }) =>
    database.transaction(async (queries) => {
      const [batch] = await queries.query<{ batch_id: bigint }>(
        `INSERT INTO ocsp_batches (issuer_id, signer_serial_hex, answers, intended_at) VALUES ($1, $2, $3, $4)
         RETURNING batch_id`,
        [issuerId, signerSerialHex, intents.length, clock.now()],
      );
      if (batch === undefined) throw new Error('bug: an INSERT answered no row');
      await queries.query(
        `INSERT INTO ocsp_intents (batch_id, serial_hex, hash, tbs_der)
         SELECT $1, serial_hex, hash, decode(tbs, 'hex')
           FROM jsonb_to_recordset($2::jsonb) AS intent (serial_hex text, hash text, tbs text)`,
        [
          batch.batch_id,
          JSON.stringify(
            intents.map(({ serialHex, hash, tbsDer }) => ({ serial_hex: serialHex, hash, tbs: hex(tbsDer) })),
          ),
        ],
      );
      return batch.batch_id;
    }),

  readOcspBatch: (batchId) =>
    consistently(database, async (queries) => {
      const [batch] = await queries.query<{
        issuer_id: string;
        signer_serial_hex: string;
        signed_at: Date | null;
      }>('SELECT issuer_id, signer_serial_hex, signed_at FROM ocsp_batches WHERE batch_id = $1', [batchId]);
      if (batch === undefined) return undefined;
      const signer = await readSigner(queries, 'ocsp_signers', batch.signer_serial_hex);
      if (signer === undefined) throw new Error('bug: a batch names a signer that is not there');
      const intents = await queries.query<{ serial_hex: string; hash: CertIdHash; tbs_der: Uint8Array }>(
        'SELECT serial_hex, hash, tbs_der FROM ocsp_intents WHERE batch_id = $1 ORDER BY serial_hex, hash',
        [batchId],
      );
      const subjects = await readSubjects(queries, batch.issuer_id, [
        ...new Set(intents.map((intent) => intent.serial_hex)),
      ]);
      const bySerial = new Map(subjects.map((subject) => [subject.serialHex, subject]));
      return {
        batchId,
        issuerId: batch.issuer_id,
        signer,
        isSigned: batch.signed_at !== null,
        intents: intents.map((intent) => ({
          serialHex: intent.serial_hex,
          hash: intent.hash,
          tbsDer: recordedInLedger(intent.tbs_der),
          ...optional('subject', bySerial.get(intent.serial_hex) ?? null),
        })),
      };
    }),

  recordSignedOcspBatch: (batchId, answers) =>
    database.transaction(async (queries) => {
      const [batch] = await queries.query<{ issuer_id: string }>(
        'UPDATE ocsp_batches SET signed_at = $2 WHERE batch_id = $1 AND signed_at IS NULL RETURNING issuer_id',
        [batchId, clock.now()],
      );
      if (batch === undefined) {
        const known = await queries.query('SELECT 1 AS found FROM ocsp_batches WHERE batch_id = $1', [
          batchId,
        ]);
        if (known.length > 0) return 0;
        throw permanent('intent-mismatch', `The ledger has no batch ${batchId} of OCSP answers.`);
      }
      const taken = await queries.query(
        `INSERT INTO ocsp_answers AS known (issuer_id, serial_hex, hash, status, this_update, next_update, not_after,
                                            answer_der, batch_id)
         SELECT $1, serial_hex, hash, status, this_update, next_update, not_after, decode(answer, 'hex'), $2
           FROM jsonb_to_recordset($3::jsonb) AS signed (serial_hex text, hash text, status text,
                this_update timestamptz, next_update timestamptz, not_after timestamptz, answer text)
          WHERE status = 'revoked' OR NOT EXISTS (SELECT 1 FROM revocations WHERE serial_hex = signed.serial_hex)
         ON CONFLICT (issuer_id, serial_hex, hash) DO UPDATE SET
           status = excluded.status, this_update = excluded.this_update, next_update = excluded.next_update,
           not_after = excluded.not_after, answer_der = excluded.answer_der, batch_id = excluded.batch_id
          WHERE known.this_update <= excluded.this_update
            AND (known.status = 'good' OR excluded.status = 'revoked')
         RETURNING serial_hex`,
        [
          batch.issuer_id,
          batchId,
          JSON.stringify(
            answers.map((answer) => ({
              serial_hex: answer.serialHex,
              hash: answer.hash,
              status: answer.status,
              this_update: answer.thisUpdate,
              next_update: answer.nextUpdate,
              not_after: answer.notAfter,
              answer: hex(answer.answerDer),
            })),
          ),
        ],
      );
      await queries.query('DELETE FROM ocsp_intents WHERE batch_id = $1', [batchId]);
      return taken.length;
    }),
});
