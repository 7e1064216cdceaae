import type { Settings } from '../../shared/config/settings.ts';
import type { KeyServiceDeps } from '../key-service.ts';
import { composeBase, type Given } from './parts/base.ts';
import { keyServiceOf } from './parts/key-service.ts';
import { ledgerOf } from './parts/ledger.ts';

export async function composeKeyService(settings: Settings, given: Given): Promise<KeyServiceDeps> {
  const base = composeBase(settings);
  const ledger = await ledgerOf(settings, given, base);
  return { ...keyServiceOf(settings, base), addressBook: ledger, newerForms: ledger };
}
