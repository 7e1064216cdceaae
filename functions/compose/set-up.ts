import { randomBytes } from 'node:crypto';
import { cloudKmsSigningKeys } from '../../shared/adapters/cloud-kms/signing-keys.ts';
import { secretManager } from '../../shared/adapters/secret-manager/secret-manager.ts';
import { secretVersionState } from '../../shared/adapters/secret-manager/version-state.ts';
import type { Settings } from '../../shared/config/settings.ts';
import { composeBase, type Given } from './parts/base.ts';
import { bucketOf, busOf } from './parts/google.ts';
import { ledgerOfOwner } from './parts/ledger.ts';

/**
 * What setting up a CA and looking after it needs; asked for by an admin's command, never by a deployed function. Whoever
 * makes a CA is the first to touch a new ledger, which then gets its tables.
 */
export async function composeSetUp(
  settings: Settings,
  given: Given,
  options: { readonly migrate: boolean } = { migrate: true },
) {
  const base = composeBase(settings);
  return {
    ...base,
    ledger: await ledgerOfOwner(settings, given, base, options),
    secrets: secretManager(base),
    signingKeys: cloudKmsSigningKeys(base),
    secretState: secretVersionState(base),
    bucket: bucketOf(settings, base),
    bus: busOf(settings, base),
    random: randomBytes,
  };
}
