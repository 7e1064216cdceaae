import { randomBytes } from 'node:crypto';
import { GMAIL_SCOPES, googleGmail } from '../../shared/adapters/gmail/google-gmail.ts';
import { delegatedCredentials } from '../../shared/adapters/google/delegated-credentials.ts';
import { cardFolder } from '../../shared/adapters/kacls/card-folder.ts';
import { kaclsKeyService } from '../../shared/adapters/kacls/client.ts';
import { keyFolder } from '../../shared/adapters/kacls/key-folder.ts';
import { withStatusAtIssue } from '../../shared/authority/status-at-issue.ts';
import { need, type Settings } from '../../shared/config/settings.ts';
import { generateRsaKey } from '../../shared/pki/key.ts';
import type { DirectoryEventDeps } from '../directory-event.ts';
import { composeBase, type Given } from './parts/base.ts';
import { busOf, directoryOf, gmailPace } from './parts/google.ts';
import { ledgerOf } from './parts/ledger.ts';
import { policiesOf } from './parts/policies.ts';
import { callersOf, keyServiceOptions, signingOf } from './parts/private-calls.ts';

export async function composeDirectoryEvent(settings: Settings, given: Given): Promise<DirectoryEventDeps> {
  const base = composeBase(settings);
  const gmailCredentials = delegatedCredentials({
    signerEmail: need(settings, 'SEALWRIGHT_GMAIL_ACCOUNT'),
    scopes: GMAIL_SCOPES,
    ...base,
  });
  const callers = callersOf(settings);
  const ledger = await ledgerOf(settings, given, base);
  const directory = directoryOf(settings, base, ledger);
  const bus = busOf(settings, base);
  return {
    ...base,
    callers,
    policies: policiesOf(settings, { ...base, ledger, directory }, 'directory-event'),
    ledger,
    bus,
    directory,
    gmail: googleGmail({ credentials: gmailCredentials, ...base, pace: gmailPace(settings, ledger) }),
    keyService: kaclsKeyService(keyServiceOptions(base)),
    keyRewrapping: kaclsKeyService(keyServiceOptions(base)),
    ...(settings.SEALWRIGHT_KEY_FOLDER === undefined
      ? {}
      : {
          suppliedKeys: keyFolder(settings.SEALWRIGHT_KEY_FOLDER),
          cardKeys: cardFolder(settings.SEALWRIGHT_KEY_FOLDER),
        }),
    signing: withStatusAtIssue(signingOf(settings, base), { ...base, ledger, bus }),
    generateKey: given.generateKey ?? generateRsaKey,
    random: randomBytes,
    leaseMs: settings.SEALWRIGHT_LEASE_SECONDS * 1000,
    ...(settings.SEALWRIGHT_ORGANIZATION === undefined
      ? {}
      : { organization: settings.SEALWRIGHT_ORGANIZATION }),
  };
}
