import { randomBytes } from 'node:crypto';
import { cloudKmsSigningKeys } from '../../shared/adapters/cloud-kms/signing-keys.ts';
import { secretManager } from '../../shared/adapters/secret-manager/secret-manager.ts';
import { secretVersionState } from '../../shared/adapters/secret-manager/version-state.ts';
import { publicWeb } from '../../shared/adapters/web/public-web.ts';
import type { Settings } from '../../shared/config/settings.ts';
import type { PublishCrlFunctionDeps } from '../publish-crl.ts';
import { composeBase, type Given } from './parts/base.ts';
import { bucketOf } from './parts/google.ts';
import { ledgerOf } from './parts/ledger.ts';
import { callersOf, signingOf } from './parts/private-calls.ts';

export async function composePublishCrl(settings: Settings, given: Given): Promise<PublishCrlFunctionDeps> {
  const base = composeBase(settings);
  const callers = callersOf(settings);
  const ledger = await ledgerOf(settings, given, base);
  const signing = signingOf(settings, base);
  const ocspKeySecret = settings.SEALWRIGHT_OCSP_KEY_SECRET;
  const auditKeySecret = settings.SEALWRIGHT_AUDIT_KEY_SECRET;
  const secrets = secretManager(base);
  const making = { ...base, ledger, signing, secrets, random: randomBytes };
  const { publicKey } = cloudKmsSigningKeys(base);
  const proxyUrl = settings.SEALWRIGHT_PUBLIC_HTTP_PROXY;
  return {
    ...base,
    callers,
    ledger,
    signing,
    bucket: bucketOf(settings, base),
    signingKeys: { publicKey },
    secrets,
    secretState: secretVersionState(base),
    readiness: { ...base, ledger, publicWeb: publicWeb(proxyUrl === undefined ? {} : { proxyUrl }) },
    ...(ocspKeySecret === undefined ? {} : { ocsp: { ...making, ocspKeySecret } }),
    ...(auditKeySecret === undefined ? {} : { checkpoints: { ...making, auditKeySecret } }),
  };
}
