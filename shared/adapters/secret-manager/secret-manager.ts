/**
 * Secret Manager. Versions are read by number, never as `latest`: which CA key signs is a decision, not a race.
 * Every payload travels with its CRC32C and is checked against it. Payloads are never logged and never kept here.
 * https://docs.cloud.google.com/secret-manager/docs/reference/rest
 */
import type { SecretManagerServiceClient } from '@google-cloud/secret-manager';
import { invalidInput, permanent, retryable } from '../../errors.ts';
import type { Secrets, SecretVersion } from '../../ports/secrets.ts';
import { callGoogle } from '../google/call.ts';
import { GoogleCallError } from '../google/call-error.ts';
import { crc32c } from '../google/crc32c.ts';
import { type GoogleEndpoints, gaxEndpoint } from '../google/endpoints.ts';
import { once } from '../google/once.ts';
import type { OwnIdentity } from '../google/own-identity.ts';
import type { Repeatable, RetrySettings } from '../google/retry.ts';
import { secretsFailure } from './failure.ts';

export interface SecretManagerOptions {
  readonly own: OwnIdentity;
  readonly endpoints: GoogleEndpoints;
  readonly retry: RetrySettings;
}

const PINNED_VERSION = /^projects\/[^/]+\/secrets\/[A-Za-z0-9_-]{1,255}\/versions\/[1-9][0-9]*$/;
const SECRET = /^(projects\/[^/]+)\/secrets\/([A-Za-z0-9_-]{1,255})$/;
/** https://docs.cloud.google.com/secret-manager/quotas */
const MAX_PAYLOAD_BYTES = 65_536;

export function secretManager(options: SecretManagerOptions): Secrets {
  const { own, retry } = options;

  // Loading the package takes a quarter of a second; functions without secrets never pay for it.
  const client = once(async (): Promise<SecretManagerServiceClient> => {
    const { SecretManagerServiceClient } = await import('@google-cloud/secret-manager');
    return new SecretManagerServiceClient({ auth: own.auth, ...gaxEndpoint(options.endpoints) });
  });
  const callOptions = { retry: null, timeout: retry.attemptTimeoutMs };
  const call = <T>(method: string, repeatable: Repeatable, attempt: () => Promise<T>): Promise<T> =>
    callGoogle({ method: `secretmanager.projects.secrets.${method}`, repeatable, retry }, own, attempt);

  async function addVersion(secrets: SecretManagerServiceClient, secret: string, payload: Uint8Array) {
    const [version] = await call('addVersion', 'without-effect', () =>
      secrets.addSecretVersion(
        { parent: secret, payload: { data: payload, dataCrc32c: crc32c(payload) } },
        callOptions,
      ),
    );
    return version;
  }

  /** Somebody else may have created it in between: then it is there, which is all that was wanted. */
  async function create(
    secrets: SecretManagerServiceClient,
    parent: string,
    secretId: string,
  ): Promise<void> {
    try {
      await call('create', 'any-time', () =>
        secrets.createSecret({ parent, secretId, secret: { replication: { automatic: {} } } }, callOptions),
      );
    } catch (error) {
      if (!(error instanceof GoogleCallError && error.failure.httpStatus === 409)) throw error;
    }
  }

  return {
    async read(name) {
      if (!PINNED_VERSION.test(name)) {
        throw invalidInput(
          'settings-invalid',
          `"${name}" is no pinned secret version; write projects/PROJECT/secrets/SECRET/versions/NUMBER, not "latest".`,
        );
      }
      const secrets = await client();
      try {
        const [version] = await call('versions.access', 'any-time', () =>
          secrets.accessSecretVersion({ name }, callOptions),
        );
        return checked(name, version.payload?.data, version.payload?.dataCrc32c);
      } catch (error) {
        throw error instanceof GoogleCallError ? secretsFailure(error, 'Reading', name) : error;
      }
    },

    async listVersions(secret) {
      const secrets = await client();
      try {
        const [versions] = await call('versions.list', 'any-time', () =>
          secrets.listSecretVersions({ parent: secret }, callOptions),
        );
        return versions.map(({ name, state }) => listed(secret, name, state));
      } catch (error) {
        if (!(error instanceof GoogleCallError)) throw error;
        if (error.failure.httpStatus === 404) return [];
        throw secretsFailure(error, 'Listing', secret);
      }
    },

    async add(secret, payload) {
      const [, parent, secretId] = SECRET.exec(secret) ?? [];
      if (parent === undefined || secretId === undefined) {
        throw invalidInput(
          'settings-invalid',
          `"${secret}" is no secret; write projects/PROJECT/secrets/SECRET, with letters, digits, "-" and "_" in its name.`,
        );
      }
      if (payload.length === 0 || payload.length > MAX_PAYLOAD_BYTES) {
        throw invalidInput(
          'settings-invalid',
          `The payload for ${secret} has ${payload.length} bytes; Secret Manager takes 1 to ${MAX_PAYLOAD_BYTES}.`,
        );
      }
      const secrets = await client();
      try {
        const version = await addVersion(secrets, secret, payload).catch(async (error: unknown) => {
          if (!(error instanceof GoogleCallError && error.failure.httpStatus === 404)) throw error;
          await create(secrets, parent, secretId);
          return await addVersion(secrets, secret, payload);
        });
        if (!version.name || !PINNED_VERSION.test(version.name)) {
          throw retryable(
            'secrets-unavailable',
            `Secret Manager added a version to ${secret} without saying its number; look at the secret before adding again.`,
          );
        }
        return version.name;
      } catch (error) {
        throw error instanceof GoogleCallError ? secretsFailure(error, 'Adding to', secret) : error;
      }
    },
  };
}

function listed(secret: string, name: unknown, state: unknown): SecretVersion {
  if (typeof name === 'string' && (state === 'ENABLED' || state === 'DISABLED' || state === 'DESTROYED'))
    return { name, state };
  throw retryable(
    'secrets-unavailable',
    `Secret Manager lists a version of ${secret} as "${String(name)}" in the state "${String(state)}", which is unknown here.`,
  );
}

/** Bytes come as a Buffer over gRPC and as base64 text over REST; the checksum as a number, a Long or text. */
function checked(name: string, data: Uint8Array | string | null | undefined, checksum: unknown): Uint8Array {
  const bytes = typeof data === 'string' ? Buffer.from(data, 'base64') : data;
  if (bytes === null || bytes === undefined || bytes.length === 0)
    throw permanent(
      'secret-unreadable',
      `The secret version ${name} holds no payload; configure another version.`,
    );
  if (checksum === null || checksum === undefined || String(checksum) !== String(crc32c(bytes))) {
    throw permanent(
      'secret-unreadable',
      `The payload of the secret version ${name} does not fit its CRC32C; it is not used. Try again, and configure another version if this stays so.`,
    );
  }
  return bytes;
}
