import { googleMailInsertion, INSERT_SCOPES } from '../../shared/adapters/gmail/mail-insertion.ts';
import { delegatedCredentials } from '../../shared/adapters/google/delegated-credentials.ts';
import { impersonatedIdTokens } from '../../shared/adapters/google/impersonated-id-tokens.ts';
import { kaclsKeyService } from '../../shared/adapters/kacls/client.ts';
import type { Settings } from '../../shared/config/settings.ts';
import type { KeyService } from '../../shared/ports/key-service.ts';
import type { MailInsertion } from '../../shared/ports/mail-insertion.ts';
import { composeBase } from './parts/base.ts';
import { KEY_SERVICE_TIMEOUT_MS } from './parts/private-calls.ts';

/** For the command line: messages of a migration, as an account that may insert and nothing else. */
export function composeMailInsertion(settings: Settings, signerEmail: string): MailInsertion {
  const base = composeBase(settings);
  const credentials = delegatedCredentials({ signerEmail, scopes: INSERT_SCOPES, ...base });
  return googleMailInsertion({ credentials, ...base });
}

/** For the command line: keys of old mail, wrapped at the word of the migration's account. */
export function composeMigrationKeyService(settings: Settings, account: string): KeyService {
  const fetchIdToken = impersonatedIdTokens({ account, ...composeBase(settings) });
  return kaclsKeyService({ fetchIdToken, timeoutMs: KEY_SERVICE_TIMEOUT_MS });
}
