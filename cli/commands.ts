import { erasureCommands } from './admin/erasures.ts';
import { eventCommands } from './admin/events.ts';
import { explain } from './admin/explain.ts';
import { held } from './admin/held.ts';
import { job } from './admin/job.ts';
import { keypairCommands } from './admin/keypair.ts';
import { rekey } from './admin/rekey.ts';
import { rolloutCommands } from './admin/rollout.ts';
import { status } from './admin/status.ts';
import { stopCommands } from './admin/stop.ts';
import { sweepStart } from './admin/sweep.ts';
import { user } from './admin/user.ts';
import { users } from './admin/users.ts';
import { auditExport } from './audit/export.ts';
import { audit } from './audit/show.ts';
import { auditVerify } from './audit/verify.ts';
import { caCsr } from './ca/csr.ts';
import { caHealth } from './ca/health.ts';
import { caImport } from './ca/import.ts';
import { caInit } from './ca/init.ts';
import { caInstall } from './ca/install.ts';
import { caRetire } from './ca/retire.ts';
import { caRoll } from './ca/roll.ts';
import { caRootCrl } from './ca/root-crl.ts';
import { caTrustBundle } from './ca/trust-bundle.ts';
import { certExport } from './certificate/export.ts';
import { certIssue } from './certificate/issue.ts';
import { certRevoke } from './certificate/revoke.ts';
import type { Command } from './command.ts';
import { doctor } from './doctor/doctor.ts';
import { keysEpochs } from './keys/epochs.ts';
import { keysFeed } from './keys/feed.ts';
import { keysMove } from './keys/move.ts';
import { keysProve } from './keys/prove.ts';
import { keysStatus } from './keys/status.ts';
import { ledgerMigrate } from './ledger/migrate.ts';
import { lint } from './lint/lint.ts';
import { mailImport } from './mail/import.ts';
import { policyActivate } from './policy/activate.ts';
import { policyCheck } from './policy/check.ts';
import { policySchema } from './policy/schema.ts';
import { policyTest } from './policy/test.ts';
import { policyWhatIf } from './policy/what-if.ts';

/** In the order of the help: what is asked daily first. */
export const COMMANDS: readonly Command[] = [
  status,
  users,
  user,
  explain,
  rekey,
  job,
  ...held,
  ...stopCommands,
  ...rolloutCommands,
  sweepStart,
  ...eventCommands,
  ...keypairCommands,
  ...erasureCommands,
  audit,
  auditVerify,
  auditExport,
  certExport,
  certIssue(),
  certRevoke,
  lint(),
  doctor,
  keysStatus,
  keysEpochs,
  keysMove,
  keysProve,
  keysFeed,
  mailImport(),
  policyCheck,
  policyWhatIf,
  policyTest,
  policyActivate,
  policySchema,
  caInit(),
  caHealth(),
  caRootCrl(),
  caRoll(),
  caRetire(),
  caImport(),
  caCsr(),
  caInstall(),
  caTrustBundle(),
  ledgerMigrate(),
];
