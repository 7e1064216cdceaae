/**
 * Once a day the heads of all chains of the audit trail are put into a statement and signed, so that not even somebody
 * with all rights on the database can make the trail anew without it showing. The statement is committed before it is
 * signed; what was begun and not signed is finished first.
 */
import { HeadsDigest, parseStatement, statementOf, statementSha256Hex } from '../audit/checkpoint.ts';
import { NO_ENTRY_SHA256_HEX } from '../audit/entry.ts';
import type { IssuerRecord } from '../domain/records.ts';
import { buildAuditSigner } from '../pki/service-certificate.ts';
import type { AuditChains, StoredCheckpoint } from '../ports/ledger/audit-chains.ts';
import type { Ledger } from '../ports/ledger.ts';
import type { Log } from '../ports/log.ts';
import type { Signing } from '../ports/signing.ts';
import { readySigner, type ServiceSignerDeps, type ServiceSignerKind } from './service-signer.ts';

export interface CheckpointDeps extends ServiceSignerDeps {
  readonly ledger: Pick<
    AuditChains,
    | 'settledAuditEntry'
    | 'auditHeads'
    | 'latestCheckpoint'
    | 'recordCheckpointIntent'
    | 'auditSigners'
    | 'recordAuditSignerIntent'
    | 'readAuditSigner'
  > &
    Pick<Ledger, 'acquireLease' | 'releaseLease' | 'activeIssuer'>;
  readonly signing: Pick<Signing, 'signAuditSigner' | 'signCheckpoint'>;
  /** Full secret name, `projects/P/secrets/S`; each audit signer's key becomes a version of it. */
  readonly auditKeySecret: string;
  readonly log: Log;
}

const DAY_MS = 86_400_000;
/** A run an hour early still counts as a day: the schedule comes every six hours and must not drift to thirty. */
const CHECKPOINT_EVERY_MS = DAY_MS - 3_600_000;
const LEASE_MS = 60_000;

/** Makes the checkpoint that is due, if one is. Does nothing while somebody else does, or before there is an issuer. */
export async function keepCheckpoints(deps: CheckpointDeps): Promise<void> {
  const lease = await deps.ledger.acquireLease('job:audit-checkpoint', LEASE_MS);
  if (lease === undefined) return;
  try {
    const issuer = await deps.ledger.activeIssuer();
    if (issuer !== undefined) await keepUnderLease(deps, issuer);
  } finally {
    if ((await deps.ledger.releaseLease(lease)) !== 'released') await deps.ledger.releaseLease(lease);
  }
}

async function keepUnderLease(deps: CheckpointDeps, issuer: IssuerRecord): Promise<void> {
  const last = await deps.ledger.latestCheckpoint();
  if (last !== undefined && last.signedDer === undefined) {
    await deps.signing.signCheckpoint(last.number);
    tell(deps, last);
    return;
  }
  const at = deps.clock.now();
  const lastAt = last === undefined ? undefined : parseStatement(last.statement)?.at;
  if (lastAt !== undefined && at.getTime() - lastAt.getTime() < CHECKPOINT_EVERY_MS) return;
  const signer = await readySigner(deps, auditSignerKind(deps), issuer);
  const lastEntryId = await deps.ledger.settledAuditEntry();
  const digest = new HeadsDigest();
  for await (const head of deps.ledger.auditHeads(lastEntryId)) digest.take(head);
  const number = (last?.number ?? 0n) + 1n;
  const chains = digest.chains;
  const statement = statementOf({
    number,
    at,
    lastEntryId,
    chains,
    headsSha256Hex: digest.sha256Hex(),
    previousSha256Hex: last === undefined ? NO_ENTRY_SHA256_HEX : statementSha256Hex(last.statement),
  });
  await deps.ledger.recordCheckpointIntent({
    number,
    lastEntryId,
    statement,
    signerSerialHex: signer.serialHex,
  });
  await deps.signing.signCheckpoint(number);
  tell(deps, { number, lastEntryId, statement });
}

/** An anchor outside the ledger: its owner can remove the newest checkpoints, and not this line of the log. */
const tell = (
  { log }: CheckpointDeps,
  { number, lastEntryId, statement }: Pick<StoredCheckpoint, 'number' | 'lastEntryId' | 'statement'>,
): void =>
  log.info('audit-checkpoint-signed', {
    number: String(number),
    lastEntryId: String(lastEntryId),
    statementSha256Hex: statementSha256Hex(statement),
  });

/** A year, because it can be revoked; replaced a month before its end. */
const auditSignerKind = ({ ledger, signing, auditKeySecret }: CheckpointDeps): ServiceSignerKind => ({
  called: 'audit signer',
  remedy: 'record an issuer that has them; until then no checkpoint is signed.',
  validityDays: 365,
  renewBeforeMs: 30 * DAY_MS,
  keySecret: auditKeySecret,
  build: buildAuditSigner,
  current: async (issuerId) =>
    (await ledger.auditSigners()).filter((candidate) => candidate.issuerId === issuerId),
  intend: (intent) => ledger.recordAuditSignerIntent(intent),
  sign: (serialHex) => signing.signAuditSigner(serialHex),
  read: (serialHex) => ledger.readAuditSigner(serialHex),
});
