/**
 * Key-encryption keys in Cloud KMS. They never leave it: each blob gets a data key drawn here, which a pinned version of the
 * KMS key encrypts, bound to purpose and tenant. KMS sees data keys and never a private key, and its audit log has
 * a line for each use of a blob.
 * https://docs.cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys/encrypt
 */
import { KMS_KEY_VERSION } from '../../domain/key-version.ts';
import { invalidInput, permanent } from '../../errors.ts';
import type { KeyEncryptionKeys } from '../../ports/key-encryption-keys.ts';
import { callGoogle } from '../google/call.ts';
import { GoogleCallError } from '../google/call-error.ts';
import { crc32c } from '../google/crc32c.ts';
import { restCall } from '../google/rest.ts';
import { kmsFailure } from './failure.ts';
import type { CloudKmsOptions } from './signing-keys.ts';
import { fits, sameVersion, untilSound } from './sound-answers.ts';

export interface CloudKmsKeyEncryptionKeysOptions extends CloudKmsOptions {
  /** Full names of pinned versions, newest first. The first one wraps. */
  readonly versions: readonly string[];
  /** A CSPRNG; draws data keys. */
  readonly random: (length: number) => Uint8Array;
}

const GOOGLE = 'https://cloudkms.googleapis.com/';
const DATA_KEY_BYTES = 32;
const NAME =
  /^(projects\/[^/]+\/locations\/([^/]+)\/keyRings\/([^/]+)\/cryptoKeys\/([^/]+))\/cryptoKeyVersions\/(\d+)$/;

interface Version {
  readonly name: string;
  readonly key: string;
}

type Answer = Readonly<Record<string, unknown>>;

/**
 * `LOCATION/RING/KEY/VERSION`, without the project: what blobs name. Throws `settings-invalid` for a name that is no
 * pinned version.
 */
export function kmsKekId(version: string): string {
  const [, , location, ring, key, number] = KMS_KEY_VERSION.test(version) ? (NAME.exec(version) ?? []) : [];
  if (number !== undefined) return [location, ring, key, number].join('/');
  throw permanent(
    'settings-invalid',
    `"${version}" is no version of a Cloud KMS key; write projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY/cryptoKeyVersions/NUMBER.`,
  );
}

/** Throws `settings-invalid` (permanent) at once for names it cannot use. */
export function cloudKmsKeyEncryptionKeys(options: CloudKmsKeyEncryptionKeysOptions): KeyEncryptionKeys {
  const versions = new Map<string, Version>(
    options.versions.map((name) => [kmsKekId(name), { name, key: NAME.exec(name)?.[1] ?? '' }]),
  );
  const root = options.endpoints.rootUrl ?? GOOGLE;

  return {
    async current(boundTo) {
      const [newest] = versions;
      if (newest === undefined) throw new Error('No version of a key-encryption key is named.');
      const [id, version] = newest;
      const key = options.random(DATA_KEY_BYTES);
      return { id, key, wrappedDataKey: await encrypt(version, key, boundTo) };
    },
    async byId(id, dataKey) {
      const version = versions.get(id);
      if (version === undefined) return undefined;
      if (dataKey === undefined) throw unreadable('it holds no data key, which its key-encryption key needs');
      return await decrypt(version, dataKey.wrapped, dataKey.boundTo);
    },
  };

  function encrypt(version: Version, dataKey: Uint8Array, boundTo: Uint8Array): Promise<Uint8Array> {
    const body = {
      plaintext: base64(dataKey),
      plaintextCrc32c: String(crc32c(dataKey)),
      ...bound(boundTo),
    };
    return untilSound(version.name, async () => {
      const role = 'roles/cloudkms.cryptoKeyEncrypterDecrypter';
      const got = await call('encrypt', version.name, body, { doing: 'Wrapping with', role });
      const ciphertext = bytesOf(got['ciphertext']);
      if (
        got['verifiedPlaintextCrc32c'] !== true ||
        got['verifiedAdditionalAuthenticatedDataCrc32c'] !== true
      )
        return 'unconfirmed';
      if (!fits(ciphertext, got['ciphertextCrc32c'])) return 'checksum';
      return sameVersion(got['name'], version.name) ? ciphertext : 'version';
    });
  }

  /** By the key and not the version: KMS reads from the ciphertext which of its versions that was. */
  function decrypt(version: Version, wrapped: Uint8Array, boundTo: Uint8Array): Promise<Uint8Array> {
    const body = {
      ciphertext: base64(wrapped),
      ciphertextCrc32c: String(crc32c(wrapped)),
      ...bound(boundTo),
    };
    return untilSound(version.name, async () => {
      const role = 'roles/cloudkms.cryptoKeyEncrypterDecrypter';
      const got = await call('decrypt', version.key, body, { doing: 'Unwrapping with', role });
      const dataKey = bytesOf(got['plaintext']);
      if (dataKey.length !== DATA_KEY_BYTES || !fits(dataKey, got['plaintextCrc32c'])) return 'checksum';
      return dataKey;
    });
  }

  async function call(
    what: 'encrypt' | 'decrypt',
    name: string,
    body: Answer,
    advice: { readonly doing: string; readonly role: string },
  ): Promise<Answer> {
    const method = `cloudkms.projects.locations.keyRings.cryptoKeys.${what}`;
    const { own, retry } = options;
    try {
      return await callGoogle({ method, repeatable: 'any-time', retry }, own, (accessToken) =>
        restCall({ url: `${root}v1/${name}:${what}`, method: 'POST', body }, accessToken, retry),
      );
    } catch (error) {
      if (!(error instanceof GoogleCallError)) throw error;
      const { httpStatus, status } = error.failure;
      // A verdict on what was sent, which came with a request of somebody; the key itself is well.
      if (what === 'decrypt' && httpStatus === 400 && status === 'INVALID_ARGUMENT')
        throw unreadable(
          'Cloud KMS does not open its data key: it was altered, or was made for another tenant',
        );
      throw kmsFailure(error, { ...advice, name });
    }
  }
}

const bound = (boundTo: Uint8Array) => ({
  additionalAuthenticatedData: base64(boundTo),
  additionalAuthenticatedDataCrc32c: String(crc32c(boundTo)),
});

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

const bytesOf = (value: unknown): Uint8Array =>
  typeof value === 'string' ? Buffer.from(value, 'base64') : new Uint8Array();

const unreadable = (why: string) =>
  invalidInput('wrapped-key-unreadable', `The wrapped key cannot be opened: ${why}.`);
