import { cloudKmsSigningKeys } from '../../shared/adapters/cloud-kms/signing-keys.ts';
import { secretManager } from '../../shared/adapters/secret-manager/secret-manager.ts';
import { pinnedCaKeys } from '../../shared/authority/ca-keys.ts';
import { secretManagerServiceKeys } from '../../shared/authority/service-keys.ts';
import type { Settings } from '../../shared/config/settings.ts';
import type { SignFunctionDeps } from '../sign.ts';
import { composeBase, type Given } from './parts/base.ts';
import { ledgerOf } from './parts/ledger.ts';
import { callersOf } from './parts/private-calls.ts';

export async function composeSign(settings: Settings, given: Given): Promise<SignFunctionDeps> {
  const base = composeBase(settings);
  return {
    ...base,
    callers: callersOf(settings),
    ledger: await ledgerOf(settings, given, base),
    caKeys: pinnedCaKeys({
      secrets: secretManager(base),
      signingKeys: cloudKmsSigningKeys(base),
      clock: base.clock,
    }),
    serviceKeys: secretManagerServiceKeys(secretManager(base), base.clock),
  };
}
