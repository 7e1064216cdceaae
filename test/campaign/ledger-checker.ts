/**
 * What must be true of a ledger whatever was done to the processes that wrote it, asked in SQL of the tables themselves, and of
 * CRLs through OpenSSL. It takes nothing from the product but the names of tables.
 */
import type { Queries } from '../../shared/adapters/ledger/database.ts';
import { sequence } from '../../shared/pki/der.ts';
import { readCrl } from '../stories/openssl.ts';

/** What others saw, which the ledger has to account for. */
export interface Witnesses {
  /** Serials of leaves that the signer says it signed, lower-case hex. */
  readonly signed: readonly string[];
  /** Certificates that identities at Gmail use now. */
  readonly uses: readonly { readonly userId: string; readonly serialHex: string }[];
  readonly now: Date;
}

/** Every violation as a sentence; empty when there is none. For a ledger at rest. */
export async function checkLedger(ledger: Queries, witnesses: Witnesses): Promise<readonly string[]> {
  return [
    ...(await checkSignatures(ledger, witnesses)),
    ...(await checkCurrentLeaves(ledger, witnesses)),
    ...(await checkUses(ledger, witnesses)),
    ...(await checkCrls(ledger)),
    ...(await checkChains(ledger)),
    ...(await checkHeld(ledger)),
  ];
}

async function checkSignatures(ledger: Queries, { signed }: Witnesses): Promise<readonly string[]> {
  const known = new Set(
    (await ledger.query<{ serial: string }>('SELECT serial_hex AS serial FROM leaves')).map(
      ({ serial }) => serial,
    ),
  );
  const orphans = signed.filter((serial) => !known.has(serial));
  // The outer SEQUENCE has four octets before the first element, which is the TBSCertificate.
  const other = await ledger.query<{ serial: string }>(
    `SELECT serial_hex AS serial FROM leaves
      WHERE state = 'signed' AND (position(tbs_der IN leaf_der) <> 5 OR signed_at < intended_at)`,
  );
  const silent = await ledger.query<{ serial: string }>(
    `SELECT serial_hex AS serial FROM revocations r WHERE NOT EXISTS
       (SELECT FROM audit a WHERE a.step = 'revoke-leaf' AND a.details->>'serialHex' = r.serial_hex)`,
  );
  return [
    ...orphans.map((serial) => `${serial} was signed and no intent foresaw it.`),
    ...other.map(({ serial }) => `${serial} is not what was intended.`),
    ...silent.map(({ serial }) => `${serial} was revoked and the audit trail does not say so.`),
  ];
}

async function checkCurrentLeaves(ledger: Queries, { now }: Witnesses): Promise<readonly string[]> {
  const rows = await ledger.query<{ user: string; purpose: string; count: bigint }>(
    `SELECT l.user_id AS "user", k.purpose, count(*) AS count FROM leaves l JOIN user_keys k USING (key_id)
      WHERE l.not_after > $1
        AND NOT EXISTS (SELECT FROM revocations r WHERE r.serial_hex = l.serial_hex)
        AND NOT EXISTS (SELECT FROM retirements t WHERE t.serial_hex = l.serial_hex)
      GROUP BY 1, 2 HAVING count(*) > 1`,
    [now],
  );
  return rows.map(({ user, purpose, count }) => `${user} has ${count} current leaves for ${purpose}.`);
}

async function checkUses(ledger: Queries, { uses }: Witnesses): Promise<readonly string[]> {
  const problems: string[] = [];
  for (const { userId, serialHex } of uses) {
    const [row] = await ledger.query<{ owner: string; revoked: boolean }>(
      `SELECT user_id AS owner, EXISTS (SELECT FROM revocations r WHERE r.serial_hex = l.serial_hex) AS revoked
         FROM leaves l WHERE serial_hex = $1 AND state = 'signed'`,
      [serialHex],
    );
    if (row === undefined)
      problems.push(`${userId} uses ${serialHex}, which the ledger does not have signed.`);
    else if (row.owner !== userId) problems.push(`${userId} uses ${serialHex} of ${row.owner}.`);
    else if (row.revoked) problems.push(`${userId} uses ${serialHex}, which is revoked.`);
  }
  return problems;
}

async function checkCrls(ledger: Queries): Promise<readonly string[]> {
  const crls = await ledger.query<{
    issuer: string;
    number: bigint;
    thisUpdate: Date;
    intendedAt: Date;
    state: string;
    tbs: Uint8Array | null;
    end: Uint8Array | null;
  }>(
    // Null once the CRL has ended and its bytes were taken out.
    `SELECT issuer_id AS issuer, crl_number AS number, this_update AS "thisUpdate", intended_at AS "intendedAt", state,
            crls.end_der AS "end",
            tbs_head || coalesce((SELECT string_agg(block.bytes, ''::bytea ORDER BY position)
                                    FROM unnest(crls.blocks) WITH ORDINALITY AS listed (sha256_hex, position)
                                    JOIN crl_blocks AS block ON block.issuer_id = crls.issuer_id
                                     AND block.sha256_hex = listed.sha256_hex), ''::bytea) || tbs_tail AS tbs
       FROM crls ORDER BY issuer_id, crl_number`,
  );
  const problems: string[] = [];
  let before:
    | { issuer: string; thisUpdate: Date; intendedAt: Date; revoked: ReadonlySet<string> }
    | undefined;
  for (const crl of crls) {
    const last = before?.issuer === crl.issuer ? before : undefined;
    if (last !== undefined && (crl.thisUpdate < last.thisUpdate || crl.intendedAt < last.intendedAt))
      problems.push(`CRL ${crl.number} is older than the one numbered before it.`);
    const read = crl.tbs === null || crl.end === null ? undefined : readCrl(sequence(crl.tbs, crl.end));
    if (read !== undefined && read.number !== crl.number)
      problems.push(`CRL ${crl.number} says it is ${read.number}.`);
    const revoked = new Set(read?.revoked.keys() ?? last?.revoked);
    for (const serial of last?.revoked ?? [])
      if (!revoked.has(serial)) problems.push(`CRL ${crl.number} no longer lists ${serial}.`);
    before = { ...crl, revoked };
  }
  const unlisted = await ledger.query<{ serial: string }>('SELECT serial_hex AS serial FROM revocations');
  const listed = new Set(before?.revoked);
  problems.push(
    ...unlisted
      .filter(({ serial }) => !listed.has(serial))
      .map(({ serial }) => `No CRL lists ${serial}, which is revoked.`),
  );
  return problems;
}

async function checkChains(ledger: Queries): Promise<readonly string[]> {
  const broken = await ledger.query<{ id: bigint }>(
    `SELECT id FROM (
       SELECT id, place, sha256_hex, previous_sha256_hex, encode(sha256(convert_to(audit_text(audit), 'UTF8')), 'hex') AS computed,
              lag(place, 1, 0::bigint) OVER chain AS place_before,
              lag(sha256_hex, 1, repeat('0', 64)) OVER chain AS hash_before
         FROM audit WINDOW chain AS (PARTITION BY coalesce(user_id, '') ORDER BY place)) AS entry
      WHERE computed <> sha256_hex OR previous_sha256_hex <> hash_before OR place <> place_before + 1`,
  );
  const ends = await ledger.query<{ chain: string; isThere: boolean }>(
    `SELECT head.chain, entry.place = head.place AS "isThere"
       FROM audit_chains AS head
       LEFT JOIN LATERAL (SELECT place, sha256_hex FROM audit WHERE coalesce(user_id, '') = head.chain ORDER BY place DESC LIMIT 1)
         AS entry ON true
      WHERE (entry.place, entry.sha256_hex) IS DISTINCT FROM (head.place, head.sha256_hex)`,
  );
  const named = (chain: string) => chain || 'nobody in particular';
  return [
    ...broken.map(({ id }) => `Entry ${id} of the audit trail does not fit its chain.`),
    ...ends.map(({ chain, isThere }) =>
      isThere
        ? `The last entry of the audit chain of ${named(chain)} is another than was written.`
        : `The end of the audit chain of ${named(chain)} is missing.`,
    ),
  ];
}

async function checkHeld(ledger: Queries): Promise<readonly string[]> {
  const stuck = await ledger.query<{ user: string; set: bigint; state: string }>(
    `SELECT d.user_id AS "user", s.set_id AS "set", s.state FROM held_departures d JOIN held_sets s USING (set_id)
      WHERE d.state = 'held' AND s.state <> 'open' ORDER BY 1`,
  );
  return stuck.map(
    ({ user, set, state }) => `${user} waits in held set ${set}, which is ${state}: nobody can decide.`,
  );
}
