/** The environment of each function on this machine: what Terraform sets in the cloud. */
import { FUNCTION_NAMES, type FunctionName } from '../shared/domain/function-names.ts';
import { ACCOUNTS, COMPANY, loopbackUrl, type PortName, SECRETS } from './company.ts';

export interface LocalEnvironment {
  readonly portBase: number;
  readonly clockFile: string;
  readonly policyFile: string;
  /** Full names of the key-encryption key versions, newest first. */
  readonly keyEncryptionKeys: readonly string[];
  readonly databaseUrl: string | undefined;
  /** Calls of the Directory API in a minute of the machine's clock, all functions together; the product's own default unless told. */
  readonly directoryPerMinute?: number;
}

type Environment = Readonly<Record<string, string>>;

const PORT_OF: Readonly<Record<FunctionName, PortName>> = {
  'directory-watch': 'directoryWatch',
  'directory-event': 'directoryEvent',
  due: 'due',
  sweep: 'sweep',
  sign: 'sign',
  'publish-crl': 'publishCrl',
  admin: 'admin',
  'key-service': 'keyService',
  ocsp: 'ocsp',
};

export const functionUrl = (portBase: number, name: FunctionName): string =>
  loopbackUrl(portBase, PORT_OF[name]);

/** The environment of every function, by name. */
export function functionEnvironments(local: LocalEnvironment): Readonly<Record<FunctionName, Environment>> {
  const url = (name: FunctionName) => functionUrl(local.portBase, name);
  const own: Readonly<Record<FunctionName, Environment>> = {
    'directory-watch': { SEALWRIGHT_SERVICE_ACCOUNT: ACCOUNTS.directoryWatch },
    'directory-event': {
      SEALWRIGHT_SERVICE_ACCOUNT: ACCOUNTS.directoryEvent,
      SEALWRIGHT_CALLERS: ACCOUNTS.push,
      SEALWRIGHT_SIGN_URL: url('sign'),
      SEALWRIGHT_GMAIL_ACCOUNT: ACCOUNTS.gmail,
      SEALWRIGHT_ORGANIZATION: COMPANY.organizationNumber,
    },
    due: {
      SEALWRIGHT_SERVICE_ACCOUNT: ACCOUNTS.due,
      SEALWRIGHT_CALLERS: ACCOUNTS.scheduler,
      SEALWRIGHT_WATCH_URL: url('directory-watch'),
      SEALWRIGHT_KEY_SERVICE_URL: url('key-service'),
    },
    sweep: { SEALWRIGHT_SERVICE_ACCOUNT: ACCOUNTS.sweep, SEALWRIGHT_CALLERS: ACCOUNTS.scheduler },
    sign: {
      SEALWRIGHT_SERVICE_ACCOUNT: ACCOUNTS.sign,
      SEALWRIGHT_CALLERS: [ACCOUNTS.directoryEvent, ACCOUNTS.publishCrl].join(','),
    },
    'publish-crl': {
      SEALWRIGHT_SERVICE_ACCOUNT: ACCOUNTS.publishCrl,
      SEALWRIGHT_CALLERS: [ACCOUNTS.push, ACCOUNTS.scheduler].join(','),
      SEALWRIGHT_SIGN_URL: url('sign'),
      SEALWRIGHT_OCSP_KEY_SECRET: `projects/${COMPANY.project}/secrets/${SECRETS.ocspKey}`,
      SEALWRIGHT_AUDIT_KEY_SECRET: `projects/${COMPANY.project}/secrets/${SECRETS.auditKey}`,
      // The company's names mean nothing on this machine; the public site takes them as a proxy does.
      SEALWRIGHT_PUBLIC_HTTP_PROXY: loopbackUrl(local.portBase, 'pki'),
    },
    admin: {
      SEALWRIGHT_SERVICE_ACCOUNT: ACCOUNTS.admin,
      SEALWRIGHT_ADMINS: COMPANY.superAdmin,
      SEALWRIGHT_ADMIN_AUDIENCES: adminAudience(local.portBase),
    },
    ocsp: { SEALWRIGHT_SERVICE_ACCOUNT: ACCOUNTS.ocsp },
    'key-service': {
      SEALWRIGHT_SERVICE_ACCOUNT: ACCOUNTS.keyService,
      SEALWRIGHT_KEY_SERVICE_URL: url('key-service'),
      SEALWRIGHT_KEY_SERVICE_TENANT: COMPANY.tenantId,
      SEALWRIGHT_KEY_SERVICE_DOMAIN: COMPANY.domain,
      SEALWRIGHT_KEY_SERVICE_WRAP_CALLERS: [ACCOUNTS.directoryEvent, ACCOUNTS.migration].join(','),
      SEALWRIGHT_KEY_SERVICE_REWRAP_CALLERS: [ACCOUNTS.due, ACCOUNTS.admin].join(','),
      SEALWRIGHT_KEY_SERVICE_KEYS: local.keyEncryptionKeys.join(','),
      SEALWRIGHT_KEY_SERVICE_IDENTITY_PROVIDERS: JSON.stringify([
        {
          issuer: COMPANY.identityProvider.issuer,
          jwksUrl: `${loopbackUrl(local.portBase, 'google')}/_idp/jwks`,
          audiences: [COMPANY.identityProvider.clientId],
        },
      ]),
    },
  };
  const common = commonEnvironment(local);
  return Object.fromEntries(
    FUNCTION_NAMES.map((name) => [name, { ...common, SEALWRIGHT_AUDIENCE: url(name), ...own[name] }]),
  ) as unknown as Record<FunctionName, Environment>;
}

/** The environment of an admin who sets up the CA. */
export const setUpEnvironment = (local: LocalEnvironment): Environment => ({
  ...commonEnvironment(local),
  SEALWRIGHT_SERVICE_ACCOUNT: ACCOUNTS.setUp,
});

/** An admin's ID token is for the admin function's own address. */
export const adminAudience = (portBase: number): string => `${loopbackUrl(portBase, 'admin')}/`;

export const caKeySecret = `projects/${COMPANY.project}/secrets/${SECRETS.caKey}`;

const commonEnvironment = (local: LocalEnvironment): Environment => ({
  SEALWRIGHT_PROJECT: COMPANY.project,
  SEALWRIGHT_GOOGLE_ROOT_URL: `${loopbackUrl(local.portBase, 'google')}/`,
  SEALWRIGHT_CLOCK_OFFSET_FILE: local.clockFile,
  SEALWRIGHT_POLICY_FILE: local.policyFile,
  SEALWRIGHT_DIRECTORY_ACCOUNT: ACCOUNTS.directory,
  SEALWRIGHT_BUCKET: COMPANY.bucket,
  SEALWRIGHT_BEHIND_IAM: 'true',
  SEALWRIGHT_LEASE_SECONDS: '15',
  ...(local.databaseUrl === undefined ? {} : { SEALWRIGHT_DATABASE_URL: local.databaseUrl }),
  ...(local.directoryPerMinute === undefined
    ? {}
    : { SEALWRIGHT_DIRECTORY_PER_MINUTE: String(local.directoryPerMinute) }),
});
