import type { StepKind } from './step.ts';

/**
 * What the row of a user says is done next. The words stand in the ledger and in `--json`; `shared/audit/next-step.ts` has the
 * sentence for each.
 */
export type NextAction =
  /** What a plan concludes. */
  | 'renew'
  | 'revoke-replaced'
  | 'warn'
  | 'revoke'
  | 'delete-identity'
  | 'disable-keypair'
  | 'ask-gmail-again'
  | 'wait-for-address'
  | 'carry-out-request'
  | 'look-at-policy'
  | 'look-for-user'
  | 'apply'
  | 'observe-again'
  /** What the guard and the stop make of it. */
  | 'wait-for-approval'
  | 'ask-guard-again'
  | 'wait-for-resume'
  /** What was cut off or failed. */
  | 'resume'
  | RetryAction
  /** What an admin asked for or decided. */
  | 'depart'
  | 'rekey'
  | 'certify-device'
  | 'import-keys'
  | 'move-keys'
  | 'disable'
  | 'obliterate';

export type RetryAction = `retry-${StepKind | 'read-directory' | 'read-gmail'}`;
