import type { Settings } from '../../shared/config/settings.ts';
import type { SweepFunctionDeps } from '../sweep.ts';
import { composeBase, type Given } from './parts/base.ts';
import { busOf, directoryOf } from './parts/google.ts';
import { ledgerOf } from './parts/ledger.ts';
import { policiesOf } from './parts/policies.ts';
import { callersOf } from './parts/private-calls.ts';

export async function composeSweep(settings: Settings, given: Given): Promise<SweepFunctionDeps> {
  const base = composeBase(settings);
  const callers = callersOf(settings);
  const ledger = await ledgerOf(settings, given, base);
  const directory = directoryOf(settings, base, ledger);
  return {
    ...base,
    callers,
    policies: policiesOf(settings, { ...base, ledger, directory }, 'sweep'),
    ledger,
    bus: busOf(settings, base),
    directory,
    elapsedMs: () => performance.now(),
    intervalMs: settings.SEALWRIGHT_SWEEP_INTERVAL_HOURS * 3_600_000,
    budgetMs: settings.SEALWRIGHT_SWEEP_BUDGET_SECONDS * 1000,
    lookByAgeMs: settings.SEALWRIGHT_LOOK_BY_AGE_DAYS * 86_400_000,
    hintsPerMinute: settings.SEALWRIGHT_HINTS_PER_MINUTE,
  };
}
