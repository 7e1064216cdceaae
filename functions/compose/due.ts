import { randomBytes, randomUUID } from 'node:crypto';
import { kaclsKeyService } from '../../shared/adapters/kacls/client.ts';
import { need, type Settings } from '../../shared/config/settings.ts';
import type { DueDeps } from '../due.ts';
import { composeBase, type Given } from './parts/base.ts';
import { busOf, directoryOf } from './parts/google.ts';
import { ledgerOf } from './parts/ledger.ts';
import { callersOf, keyServiceOptions } from './parts/private-calls.ts';
import { reportsOf } from './parts/reports.ts';

/** Well inside the time limit of `due`, whose other work waits for none of it. */
const REPORTS_BUDGET_MS = 40_000;

export async function composeDue(settings: Settings, given: Given): Promise<DueDeps> {
  const base = composeBase(settings);
  const ledger = await ledgerOf(settings, given, base);
  const keyServiceUrl = settings.SEALWRIGHT_KEY_SERVICE_URL;
  return {
    ...base,
    ...(keyServiceUrl === undefined
      ? {}
      : { rotation: { keyServiceUrl, keyRewrapping: kaclsKeyService(keyServiceOptions(base)) } }),
    callers: callersOf(settings),
    ledger,
    bus: busOf(settings, base),
    hintsPerMinute: settings.SEALWRIGHT_HINTS_PER_MINUTE,
    channels: {
      ...base,
      ledger,
      directory: directoryOf(settings, base, ledger),
      receiverUrl: need(settings, 'SEALWRIGHT_WATCH_URL'),
      randomBytes,
      randomId: randomUUID,
    },
    reports: {
      ...base,
      ledger,
      bus: busOf(settings, base),
      reports: reportsOf(settings, base),
      elapsedMs: () => performance.now(),
      budgetMs: REPORTS_BUDGET_MS,
    },
  };
}
