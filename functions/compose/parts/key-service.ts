/** The key service's parts, the same in the function and in the process of its own. */
import { randomBytes } from 'node:crypto';
import { cloudKmsKeyEncryptionKeys } from '../../../shared/adapters/cloud-kms/key-encryption-keys.ts';
import { anyKeyEncryptionKeys } from '../../../shared/adapters/kacls/any-key-encryption-keys.ts';
import { secretKeyEncryptionKeys } from '../../../shared/adapters/kacls/key-encryption-keys.ts';
import { httpKeySetDocuments } from '../../../shared/adapters/kacls/key-set-fetcher.ts';
import { httpOtherKeyServices } from '../../../shared/adapters/kacls/other-key-services.ts';
import { secretTokenSigningKeys } from '../../../shared/adapters/kacls/token-signing-keys.ts';
import { secretsOrFiles } from '../../../shared/adapters/secret-files/secret-files.ts';
import { secretManager } from '../../../shared/adapters/secret-manager/secret-manager.ts';
import { need, type Settings } from '../../../shared/config/settings.ts';
import type { KeyServiceDeps } from '../../key-service.ts';
import type { Base } from './base.ts';

/** All but where addresses and newer forms come from. */
export function keyServiceOf(
  settings: Settings,
  base: Base,
): Omit<KeyServiceDeps, 'addressBook' | 'newerForms'> {
  const { rootUrl } = base.endpoints;
  const secrets = secretsOrFiles(secretManager(base));
  const { clock } = base;
  const tokenKeys = settings.SEALWRIGHT_KEY_SERVICE_TOKEN_KEYS;
  return {
    ...base,
    keySetDocuments: httpKeySetDocuments(),
    otherKeyServices: httpOtherKeyServices(),
    version: settings.K_REVISION,
    keyEncryptionKeys: anyKeyEncryptionKeys(need(settings, 'SEALWRIGHT_KEY_SERVICE_KEYS'), {
      secrets: (versions) => secretKeyEncryptionKeys({ versions, secrets, clock }),
      kms: (versions) => cloudKmsKeyEncryptionKeys({ versions, random: randomBytes, ...base }),
    }),
    ...(tokenKeys.length === 0
      ? {}
      : { tokenSigningKeys: secretTokenSigningKeys({ versions: tokenKeys, secrets, clock }) }),
    settings: {
      baseUrl: need(settings, 'SEALWRIGHT_KEY_SERVICE_URL'),
      tenantId: need(settings, 'SEALWRIGHT_KEY_SERVICE_TENANT'),
      ownerDomain: need(settings, 'SEALWRIGHT_KEY_SERVICE_DOMAIN'),
      authenticationIssuers: need(settings, 'SEALWRIGHT_KEY_SERVICE_IDENTITY_PROVIDERS'),
      wrapCallers: settings.SEALWRIGHT_KEY_SERVICE_WRAP_CALLERS,
      rewrapCallers: settings.SEALWRIGHT_KEY_SERVICE_REWRAP_CALLERS,
      ...(settings.SEALWRIGHT_KEY_SERVICE_APPLICATIONS === undefined
        ? {}
        : { applications: settings.SEALWRIGHT_KEY_SERVICE_APPLICATIONS }),
      privilegedIssuers: settings.SEALWRIGHT_KEY_SERVICE_ADMIN_PROVIDERS,
      privilegedCallers: definedOnly(settings.SEALWRIGHT_KEY_SERVICE_ADMINS),
      migrationSources: settings.SEALWRIGHT_KEY_SERVICE_MIGRATION_SOURCES,
      migrationTargets: settings.SEALWRIGHT_KEY_SERVICE_MIGRATION_TARGETS,
      guests: settings.SEALWRIGHT_KEY_SERVICE_GUESTS === 'true' ? 'allow' : 'refuse',
      sha1Signing: settings.SEALWRIGHT_KEY_SERVICE_SHA1_SIGNING === 'true',
      oaepMgf1: settings.SEALWRIGHT_KEY_SERVICE_OAEP_MGF1,
      ...definedOnly({
        perimeters: settings.SEALWRIGHT_KEY_SERVICE_PERIMETERS?.map((perimeter) => ({
          id: perimeter.id,
          ...definedOnly(perimeter),
        })),
        userRateLimit: settings.SEALWRIGHT_KEY_SERVICE_USER_RATE_LIMIT,
        privilegedRateLimit: settings.SEALWRIGHT_KEY_SERVICE_PRIVILEGED_RATE_LIMIT,
      }),
      ...(rootUrl === undefined
        ? {}
        : {
            authorizationKeySetRoot: `${rootUrl}service_accounts/v1/jwk/`,
            wrapCallerKeySetUrl: `${rootUrl}oauth2/v3/certs`,
          }),
    },
  };
}

/** Drops what is absent: the settings' parser gives `undefined` where a field may only be missing. */
function definedOnly<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
