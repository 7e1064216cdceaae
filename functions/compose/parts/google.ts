/** Google's services behind our ports: Pub/Sub, the bucket, the directory, and the pace at which they are asked. */
import { setTimeout as sleep } from 'node:timers/promises';
import { DIRECTORY_SCOPES, googleDirectory } from '../../../shared/adapters/directory/google-directory.ts';
import { delegatedCredentials } from '../../../shared/adapters/google/delegated-credentials.ts';
import { googlePace, type Pace } from '../../../shared/adapters/google/pace.ts';
import { pubsubBus } from '../../../shared/adapters/pubsub/pubsub-bus.ts';
import { storageBucket } from '../../../shared/adapters/storage/storage-bucket.ts';
import { need, type Settings } from '../../../shared/config/settings.ts';
import type { Ledger } from '../../../shared/ports/ledger.ts';
import type { Base } from './base.ts';

export const busOf = (settings: Settings, base: Base) =>
  pubsubBus({ projectId: need(settings, 'SEALWRIGHT_PROJECT'), ...base });

export const bucketOf = (settings: Settings, base: Base) =>
  storageBucket({
    projectId: need(settings, 'SEALWRIGHT_PROJECT'),
    bucket: need(settings, 'SEALWRIGHT_BUCKET'),
    ...base,
  });

/** As the account with the read-only admin role, by its own token and not by delegation. */
export function directoryOf(settings: Settings, base: Base, ledger: Ledger) {
  const credentials = delegatedCredentials({
    signerEmail: need(settings, 'SEALWRIGHT_DIRECTORY_ACCOUNT'),
    scopes: DIRECTORY_SCOPES,
    ...base,
  });
  return googleDirectory({
    bearer: credentials.forAccount(),
    ...base,
    pace: directoryPace(settings, ledger),
  });
}

const timing = { sleep: async (ms: number) => void (await sleep(ms)), elapsedMs: () => performance.now() };

const directoryPace = (settings: Settings, ledger: Ledger): Pace =>
  googlePace({
    ...timing,
    ledger,
    pace: 'directory',
    unitsPerMinute: settings.SEALWRIGHT_DIRECTORY_PER_MINUTE,
    unitsPerBooking: Math.max(1, Math.floor(settings.SEALWRIGHT_DIRECTORY_PER_MINUTE / 600)),
    code: 'directory-unavailable',
  });

export const gmailPace = (settings: Settings, ledger: Ledger): Pace =>
  googlePace({
    ...timing,
    ledger,
    pace: 'gmail',
    unitsPerMinute: settings.SEALWRIGHT_GMAIL_UNITS_PER_MINUTE,
    // The reads and writes of one new user.
    unitsPerBooking: Math.min(500, settings.SEALWRIGHT_GMAIL_UNITS_PER_MINUTE / 60),
    hasUserQuotas: true,
    code: 'gmail-unavailable',
  });
