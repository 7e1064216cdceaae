import { googleMailInsertion, INSERT_SCOPES } from '../../shared/adapters/gmail/mail-insertion.ts';
import { delegatedCredentials } from '../../shared/adapters/google/delegated-credentials.ts';
import type { Settings } from '../../shared/config/settings.ts';
import type { MailInsertion } from '../../shared/ports/mail-insertion.ts';
import { composeBase } from './parts/base.ts';

/** For the command line: messages of a migration, as an account that may insert and nothing else. */
export function composeMailInsertion(settings: Settings, signerEmail: string): MailInsertion {
  const base = composeBase(settings);
  const credentials = delegatedCredentials({ signerEmail, scopes: INSERT_SCOPES, ...base });
  return googleMailInsertion({ credentials, ...base });
}
