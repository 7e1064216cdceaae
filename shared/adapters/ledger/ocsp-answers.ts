/**
 * OCSP answers from intent to what the responder gives out. Lists of answers travel as one jsonb parameter: a batch has
 * hundreds of rows.
 */

import type { CertIdHash } from '../../domain/ocsp.ts';
import { recordedInLedger } from '../../domain/recorded.ts';
import { permanent } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { OcspLedger, OcspSubject } from '../../ports/ledger/ocsp.ts';
import { optional, type RevocationColumns, revocationOf } from './columns.ts';
import type { Database } from './database.ts';
import { ISSUER_BESIDE, ISSUER_COLUMNS, type IssuerBesideRow, issuerBeside } from './issuers.ts';
import { readSignerOf } from './service-signers.ts';

interface SubjectRow extends RevocationColumns {
  readonly serial_hex: string;
  readonly not_after: Date;
}

const subjectOf = (row: SubjectRow): OcspSubject => ({
  serialHex: row.serial_hex,
  notAfter: row.not_after,
  ...revocationOf(row),
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

interface StatusRow extends Omit<SubjectRow, 'serial_hex' | 'not_after'>, IssuerBesideRow {
  readonly not_after: Date | null;
  readonly signer_serial_hex: string | null;
  readonly signer_spki_der: Uint8Array;
  readonly signer_not_after: Date;
}

const SELECT_STATUS = `
  SELECT ${ISSUER_BESIDE}, subject.not_after, subject.reason, subject.revoked_at, subject.invalidity_date,
         signer.serial_hex AS signer_serial_hex, signer.spki_der AS signer_spki_der, signer.not_after AS signer_not_after
    FROM leaves AS leaf
    JOIN LATERAL (SELECT ${ISSUER_COLUMNS} FROM issuers WHERE issuers.issuer_id = leaf.issuer_id) AS issuer ON true
    LEFT JOIN LATERAL (SELECT * FROM (${SUBJECTS}) AS known
                        WHERE known.issuer_id = leaf.issuer_id AND known.serial_hex = leaf.serial_hex) AS subject ON true
    LEFT JOIN LATERAL (SELECT serial_hex, spki_der, not_after FROM ocsp_signers
                        WHERE ocsp_signers.issuer_id = leaf.issuer_id AND not_after > $2 AND certificate_der IS NOT NULL
                        ORDER BY not_after DESC, serial_hex LIMIT 1) AS signer ON true
   WHERE leaf.serial_hex = $1`;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

type Writing = Pick<OcspLedger, 'recordOcspBatch' | 'readOcspBatch' | 'recordSignedOcspBatch' | 'forgetOcsp'>;
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

  readOcspSubjects: async (issuerId, serialsHex) =>
    (
      await database.query<SubjectRow>(
        `SELECT serial_hex, not_after, reason, revoked_at, invalidity_date FROM (${SUBJECTS}) AS subject
          WHERE issuer_id = $1 AND serial_hex = ANY($2)`,
        [issuerId, serialsHex],
      )
    ).map(subjectOf),

  // Every certificate that is issued goes through it.
  readLeafStatus: async (serialHex) => {
    const [row] = await database.query<StatusRow>(SELECT_STATUS, [serialHex, clock.now()]);
    if (row === undefined) return undefined;
    const { signer_serial_hex: signer, not_after: notAfter } = row;
    return {
      issuer: issuerBeside(row),
      ...(signer === null
        ? {}
        : {
            signer: { serialHex: signer, spkiDer: row.signer_spki_der, notAfter: row.signer_not_after },
          }),
      ...optional(
        'subject',
        notAfter === null ? null : subjectOf({ ...row, serial_hex: serialHex, not_after: notAfter }),
      ),
    };
  },

  oldestOcspAnswer: async (issuerId) => {
    const [row] = await database.query<{ serial_hex: string; this_update: Date; next_update: Date }>(
      `SELECT serial_hex, this_update, next_update FROM ocsp_answers
        WHERE issuer_id = $1 AND not_after >= $2 ORDER BY this_update LIMIT 1`,
      [issuerId, clock.now()],
    );
    return row === undefined
      ? undefined
      : { serialHex: row.serial_hex, thisUpdate: row.this_update, nextUpdate: row.next_update };
  },
});

interface BatchRow extends Omit<SubjectRow, 'serial_hex' | 'not_after'> {
  readonly issuer_id: string;
  readonly signer_serial_hex: string;
  readonly signed_at: Date | null;
  /** Null in the one row of a batch whose intents are gone because it was signed. */
  readonly serial_hex: string | null;
  readonly hash: CertIdHash;
  readonly tbs_der: Uint8Array;
  /** Null where the ledger knows nothing that an answer may be given about. */
  readonly not_after: Date | null;
}

/** Each method in one statement, or two: every certificate that is issued goes through all of them. */
export const ocspBatches = (database: Database, clock: Clock): Writing => ({
  recordOcspBatch: async ({ issuerId, signerSerialHex, intents }) => {
    const [batch] = await database.query<{ batch_id: bigint }>(
      `WITH batch AS (
         INSERT INTO ocsp_batches (issuer_id, signer_serial_hex, answers, intended_at) VALUES ($1, $2, $3, $4)
         RETURNING batch_id
       ), intended AS (
         INSERT INTO ocsp_intents (batch_id, serial_hex, hash, tbs_der)
         SELECT batch_id, serial_hex, hash, decode(tbs, 'hex')
           FROM batch, jsonb_to_recordset($5::jsonb) AS intent (serial_hex text, hash text, tbs text)
       )
       SELECT batch_id FROM batch`,
      [
        issuerId,
        signerSerialHex,
        intents.length,
        clock.now(),
        JSON.stringify(
          intents.map(({ serialHex, hash, tbsDer }) => ({ serial_hex: serialHex, hash, tbs: hex(tbsDer) })),
        ),
      ],
    );
    if (batch === undefined) throw new Error('bug: an INSERT answered no row');
    return batch.batch_id;
  },

  readOcspBatch: async (batchId) => {
    // One snapshot for the intents and for what is known of each serial: `sign` compares the two.
    const rows = await database.query<BatchRow>(
      `SELECT batch.issuer_id, batch.signer_serial_hex, batch.signed_at, intent.serial_hex, intent.hash, intent.tbs_der,
              subject.not_after, subject.reason, subject.revoked_at, subject.invalidity_date
         FROM ocsp_batches AS batch
         LEFT JOIN ocsp_intents AS intent USING (batch_id)
         LEFT JOIN LATERAL (SELECT * FROM (${SUBJECTS}) AS known
                             WHERE known.issuer_id = batch.issuer_id AND known.serial_hex = intent.serial_hex) AS subject
                ON true
        WHERE batch_id = $1 ORDER BY intent.serial_hex, intent.hash`,
      [batchId],
    );
    const [batch] = rows;
    if (batch === undefined) return undefined;
    // Not beside each of the hundreds of rows.
    const found = await readSignerOf(database, batch.signer_serial_hex, batch.issuer_id);
    if (found === undefined) throw new Error('bug: a batch names a signer that is not there');
    return {
      batchId,
      issuerId: batch.issuer_id,
      ...found,
      isSigned: batch.signed_at !== null,
      intents: rows.flatMap(({ serial_hex: serialHex, not_after: notAfter, ...row }) =>
        serialHex === null
          ? []
          : [
              {
                serialHex,
                hash: row.hash,
                tbsDer: recordedInLedger(row.tbs_der),
                ...(notAfter === null
                  ? {}
                  : { subject: subjectOf({ ...row, serial_hex: serialHex, not_after: notAfter }) }),
              },
            ],
      ),
    };
  },

  forgetOcsp: async (issuerId, before, limit) => {
    const [counts] = await database.query<{ answers: number; intents: number }>(
      `WITH answers AS (
         DELETE FROM ocsp_answers WHERE ctid = ANY (ARRAY(
           SELECT ctid FROM ocsp_answers WHERE issuer_id = $1 AND this_update < $2 AND not_after < $2
            ORDER BY this_update LIMIT $3)) AND not_after < $2
         RETURNING 1
       ), intents AS (
         DELETE FROM ocsp_intents WHERE ctid = ANY (ARRAY(
           SELECT intent.ctid FROM ocsp_intents AS intent JOIN ocsp_batches AS batch USING (batch_id)
            WHERE batch.issuer_id = $1 AND batch.intended_at < $2 LIMIT $3))
         RETURNING 1
       )
       SELECT (SELECT count(*) FROM answers)::int AS answers, (SELECT count(*) FROM intents)::int AS intents`,
      [issuerId, before, limit],
    );
    if (counts === undefined) throw new Error('bug: a count answered no row');
    return counts;
  },

  recordSignedOcspBatch: async (batchId, answers) => {
    const [counts] = await database.query<{ signed: number; taken: number }>(
      `WITH batch AS (
         UPDATE ocsp_batches SET signed_at = $2 WHERE batch_id = $1 AND signed_at IS NULL RETURNING issuer_id
       ), taken AS (
         INSERT INTO ocsp_answers AS known (issuer_id, serial_hex, hash, status, this_update, next_update, not_after,
                                            answer_der, batch_id)
         SELECT batch.issuer_id, serial_hex, hash, status, this_update, next_update, not_after, decode(answer, 'hex'), $1
           FROM batch, jsonb_to_recordset($3::jsonb) AS signed (serial_hex text, hash text, status text,
                this_update timestamptz, next_update timestamptz, not_after timestamptz, answer text)
          WHERE status = 'revoked' OR NOT EXISTS (SELECT 1 FROM revocations WHERE serial_hex = signed.serial_hex)
         ON CONFLICT (issuer_id, serial_hex, hash) DO UPDATE SET
           status = excluded.status, this_update = excluded.this_update, next_update = excluded.next_update,
           not_after = excluded.not_after, answer_der = excluded.answer_der, batch_id = excluded.batch_id
          WHERE known.this_update <= excluded.this_update
            AND (known.status = 'good' OR excluded.status = 'revoked')
         RETURNING serial_hex
       ), over AS (
         DELETE FROM ocsp_intents WHERE batch_id = $1 AND EXISTS (SELECT FROM batch)
       )
       SELECT (SELECT count(*) FROM batch)::int AS signed, (SELECT count(*) FROM taken)::int AS taken`,
      [
        batchId,
        clock.now(),
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
    if (counts !== undefined && counts.signed > 0) return counts.taken;
    const known = await database.query('SELECT 1 AS found FROM ocsp_batches WHERE batch_id = $1', [batchId]);
    if (known.length > 0) return 0;
    throw permanent('intent-mismatch', `The ledger has no batch ${batchId} of OCSP answers.`);
  },
});
