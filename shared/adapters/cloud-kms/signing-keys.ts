/**
 * Keys in Cloud KMS that sign digests. Every request carries the digest's CRC32C and every answer is checked: it
 * confirms that checksum, fits its own, and names the version that was asked for. Google's advice for a mismatch is to
 * throw the answer away and try a few times; what stays wrong is refused.
 * https://docs.cloud.google.com/kms/docs/data-integrity-guidelines ,
 * https://docs.cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys.cryptoKeyVersions/asymmetricSign
 */
import { createPublicKey } from 'node:crypto';
import { KMS_KEY_VERSION } from '../../domain/key-version.ts';
import { invalidInput, permanent } from '../../errors.ts';
import type { DigestHash, SigningKeys } from '../../ports/signing-keys.ts';
import { callGoogle } from '../google/call.ts';
import { GoogleCallError } from '../google/call-error.ts';
import { crc32c } from '../google/crc32c.ts';
import type { GoogleEndpoints } from '../google/endpoints.ts';
import type { OwnIdentity } from '../google/own-identity.ts';
import { restCall } from '../google/rest.ts';
import type { RetrySettings } from '../google/retry.ts';
import { kmsFailure } from './failure.ts';
import { fits, sameVersion, untilSound } from './sound-answers.ts';

export interface CloudKmsOptions {
  readonly own: OwnIdentity;
  readonly endpoints: GoogleEndpoints;
  readonly retry: RetrySettings;
}

const GOOGLE = 'https://cloudkms.googleapis.com/';
const HASH_OF: Readonly<Record<string, DigestHash>> = {
  RSA_SIGN_PKCS1_2048_SHA256: 'sha256',
  RSA_SIGN_PKCS1_3072_SHA256: 'sha256',
  RSA_SIGN_PKCS1_4096_SHA256: 'sha256',
  RSA_SIGN_PKCS1_4096_SHA512: 'sha512',
  EC_SIGN_P256_SHA256: 'sha256',
  EC_SIGN_P384_SHA384: 'sha384',
};

type Answer = Readonly<Record<string, unknown>>;

export function cloudKmsSigningKeys(options: CloudKmsOptions): SigningKeys {
  const { own, retry } = options;
  const root = options.endpoints.rootUrl ?? GOOGLE;

  async function call(
    request: {
      method: 'getPublicKey' | 'asymmetricSign';
      name: string;
      path: string;
      doing: string;
      role: string;
    },
    body?: Answer,
  ): Promise<Answer> {
    const method = `cloudkms.projects.locations.keyRings.cryptoKeys.cryptoKeyVersions.${request.method}`;
    const url = `${root}v1/${request.name}${request.path}`;
    try {
      // Signing twice makes two signatures of the same thing: no harm.
      return await callGoogle({ method, repeatable: 'any-time', retry }, own, (accessToken) =>
        restCall(
          body === undefined ? { url, method: 'GET' } : { url, method: 'POST', body },
          accessToken,
          retry,
        ),
      );
    } catch (error) {
      throw error instanceof GoogleCallError ? kmsFailure(error, request) : error;
    }
  }

  return {
    publicKey: async (keyVersion) => {
      assertPinned(keyVersion);
      const doing = 'Reading the public key of';
      const role = 'roles/cloudkms.publicKeyViewer';
      const answer = await untilSound(keyVersion, async () => {
        const got = await call({ method: 'getPublicKey', name: keyVersion, path: '/publicKey', doing, role });
        const pem = got['pem'];
        if (typeof pem !== 'string' || !fits(Buffer.from(pem), got['pemCrc32c'])) return 'checksum';
        return sameVersion(got['name'], keyVersion)
          ? { pem, algorithm: String(got['algorithm']) }
          : 'version';
      });
      return { spkiDer: spkiOf(answer.pem, keyVersion), hash: hashOf(answer.algorithm, keyVersion) };
    },

    signDigest: async (keyVersion, hash, digest) => {
      assertPinned(keyVersion);
      const body = {
        digest: { [hash]: Buffer.from(digest).toString('base64') },
        digestCrc32c: String(crc32c(digest)),
      };
      const doing = 'Signing with';
      const role = 'roles/cloudkms.signer';
      return await untilSound(keyVersion, async () => {
        const request = {
          method: 'asymmetricSign',
          name: keyVersion,
          path: ':asymmetricSign',
          doing,
          role,
        } as const;
        const got = await call(request, body);
        const signature =
          typeof got['signature'] === 'string' ? Buffer.from(got['signature'], 'base64') : undefined;
        if (got['verifiedDigestCrc32c'] !== true) return 'unconfirmed';
        if (signature === undefined || !fits(signature, got['signatureCrc32c'])) return 'checksum';
        return sameVersion(got['name'], keyVersion) ? new Uint8Array(signature) : 'version';
      });
    },
  };
}

function assertPinned(keyVersion: string): void {
  if (KMS_KEY_VERSION.test(keyVersion)) return;
  throw invalidInput(
    'settings-invalid',
    `"${keyVersion}" is no version of a Cloud KMS key; write projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY/cryptoKeyVersions/NUMBER.`,
  );
}

function spkiOf(pem: string, keyVersion: string): Uint8Array {
  try {
    return new Uint8Array(createPublicKey(pem).export({ type: 'spki', format: 'der' }));
  } catch (error) {
    throw permanent(
      'kms-answer-refused',
      `What Cloud KMS answered for ${keyVersion} is no public key in PEM.`,
      {
        cause: error,
        details: { problem: 'public-key', keyVersion },
      },
    );
  }
}

function hashOf(algorithm: string, keyVersion: string): DigestHash {
  const hash = Object.hasOwn(HASH_OF, algorithm) ? HASH_OF[algorithm] : undefined;
  if (hash !== undefined) return hash;
  throw permanent(
    'kms-key-unusable',
    `The key ${keyVersion} has the algorithm ${algorithm}, which certificates of ours are not signed with: make one with RSA_SIGN_PKCS1_4096_SHA256, EC_SIGN_P256_SHA256 or EC_SIGN_P384_SHA384.`,
    { details: { key: keyVersion } },
  );
}
