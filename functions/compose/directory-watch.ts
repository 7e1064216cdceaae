import type { Settings } from '../../shared/config/settings.ts';
import type { DirectoryWatchDeps } from '../directory-watch.ts';
import { composeBase, type Given } from './parts/base.ts';
import { busOf } from './parts/google.ts';
import { ledgerOf } from './parts/ledger.ts';

export async function composeDirectoryWatch(settings: Settings, given: Given): Promise<DirectoryWatchDeps> {
  const base = composeBase(settings);
  return { ...base, ledger: await ledgerOf(settings, given, base), bus: busOf(settings, base) };
}
