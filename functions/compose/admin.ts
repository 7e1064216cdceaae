import { randomBytes } from 'node:crypto';
import { kaclsKeyService } from '../../shared/adapters/kacls/client.ts';
import { kaclsKeyProving } from '../../shared/adapters/kacls/key-proving.ts';
import { pubsubDeadLetters } from '../../shared/adapters/pubsub/dead-letters.ts';
import { need, type Settings } from '../../shared/config/settings.ts';
import type { AdminDeps } from '../admin.ts';
import { composeBase, type Given } from './parts/base.ts';
import { busOf, directoryOf } from './parts/google.ts';
import { ledgerOf } from './parts/ledger.ts';
import { policiesOf } from './parts/policies.ts';
import { KEY_SERVICE_TIMEOUT_MS, keyServiceOptions } from './parts/private-calls.ts';

export async function composeAdmin(settings: Settings, given: Given): Promise<AdminDeps> {
  const base = composeBase(settings);
  const audiences = need(settings, 'SEALWRIGHT_ADMIN_AUDIENCES');
  const admins = need(settings, 'SEALWRIGHT_ADMINS');
  const ledger = await ledgerOf(settings, given, base);
  const directory = directoryOf(settings, base, ledger);
  return {
    ...base,
    audiences,
    admins,
    policies: policiesOf(settings, { ...base, ledger, directory }, 'admin'),
    ledger,
    bus: busOf(settings, base),
    deadLetters: pubsubDeadLetters({ projectId: need(settings, 'SEALWRIGHT_PROJECT'), ...base }),
    directory,
    keyProving: kaclsKeyProving({ timeoutMs: KEY_SERVICE_TIMEOUT_MS }),
    keyRewrapping: kaclsKeyService(keyServiceOptions(base)),
    random: randomBytes,
    hintsPerMinute: settings.SEALWRIGHT_HINTS_PER_MINUTE,
  };
}
