/** Where a new issuing key is: flags that several commands share. */
import type { IssuingKeyPlace } from '../../shared/authority/issuing-key.ts';
import { KMS_KEY_VERSION } from '../../shared/domain/key-version.ts';
import { urlProblem } from '../../shared/pki/public-url.ts';
import type { Call, Flag } from '../command.ts';
import { UsageError } from '../failure.ts';

const DEFAULT_SECRET = 'issuing-ca-key';

export const KEY_FLAGS = {
  'key-secret': {
    kind: 'text',
    placeholder: 'SECRET',
    help: `secret for the issuing key; default ${DEFAULT_SECRET}`,
  },
  'kms-key': {
    kind: 'text',
    placeholder: 'KEYVERSION',
    help: 'instead: a version of a Cloud KMS key, projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/N',
  },
} as const satisfies Readonly<Record<string, Flag>>;

/** Throws `UsageError`. */
export function keyPlaceOf(call: Pick<Call, 'text'>, project: string): IssuingKeyPlace {
  const kmsKeyVersion = call.text('kms-key');
  if (kmsKeyVersion === undefined) return { keySecret: keySecretOf(call.text('key-secret'), project) };
  if (call.text('key-secret') !== undefined)
    throw new UsageError(
      'The issuing key is in Secret Manager or in Cloud KMS: give --key-secret or --kms-key.',
    );
  return { kmsKeyVersion: checkedKmsKey(kmsKeyVersion) };
}

export function checkedKmsKey(text: string): string {
  if (KMS_KEY_VERSION.test(text)) return text;
  throw new UsageError(
    `--kms-key takes one version of a key, projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY/cryptoKeyVersions/NUMBER, not "${text}".`,
  );
}

export function keySecretOf(text: string | undefined, project: string): string {
  if (text === undefined) return `projects/${project}/secrets/${DEFAULT_SECRET}`;
  if (/^[A-Za-z0-9_-]{1,255}$/.test(text)) return `projects/${project}/secrets/${text}`;
  if (/^projects\/[^/]+\/secrets\/[A-Za-z0-9_-]{1,255}$/.test(text)) return text;
  throw new UsageError(
    `--key-secret takes the name of a secret, such as ${DEFAULT_SECRET} or projects/PROJECT/secrets/SECRET, not "${text}".`,
  );
}

export const PKI_URL_FLAG = {
  'pki-url': {
    kind: 'text',
    placeholder: 'URL',
    help: 'public address of CRL and CA certificates, plain http: http://pki.acme.example/',
  },
} as const satisfies Readonly<Record<string, Flag>>;

/** Throws `UsageError`. */
export function checkPkiUrl(text: string): string {
  const problem = urlProblem(text, { trial: false });
  if (problem !== undefined) {
    throw new UsageError(
      `--pki-url is printed into every certificate and must answer for years: ${problem.found}. Write a plain http address on a name of your own, such as http://pki.acme.example/.`,
    );
  }
  if (new URL(text).pathname !== '/') {
    throw new UsageError(
      `--pki-url ends at its host: the bucket's objects are served from there by name. Leave out "${new URL(text).pathname}".`,
    );
  }
  return text;
}

/** Values of flags that must be there; throws one `UsageError` naming all that are not. */
export function needed<Name extends string>(
  call: Pick<Call, 'text'>,
  command: string,
  names: readonly Name[],
): Readonly<Record<Name, string>> {
  const missing = names.filter((name) => call.text(name) === undefined);
  if (missing.length > 0)
    throw new UsageError(`"${command}" needs ${missing.map((name) => `--${name}`).join(', ')}.`);
  return Object.fromEntries(names.map((name) => [name, call.text(name) ?? ''])) as Record<Name, string>;
}
