/**
 * The public bucket in Cloud Storage. A write names the generation it replaces (`ifGenerationMatch`), so that two
 * publishers cannot take a CRL backwards, and carries the CRC32C, so that Google refuses a body that arrived damaged.
 * https://docs.cloud.google.com/storage/docs/request-preconditions
 */
import type { Bucket as GoogleBucket } from '@google-cloud/storage';
import { retryable } from '../../errors.ts';
import type { Bucket } from '../../ports/bucket.ts';
import { callGoogle } from '../google/call.ts';
import { GoogleCallError } from '../google/call-error.ts';
import { crc32cBase64 } from '../google/crc32c.ts';
import { type GoogleEndpoints, storageEndpoint } from '../google/endpoints.ts';
import { once } from '../google/once.ts';
import type { OwnIdentity } from '../google/own-identity.ts';
import type { Repeatable, RetrySettings } from '../google/retry.ts';
import { withinTimeLimit } from '../google/time-limit.ts';
import { storageFailure } from './failure.ts';

export interface StorageBucketOptions {
  readonly projectId: string;
  readonly bucket: string;
  readonly own: OwnIdentity;
  readonly endpoints: GoogleEndpoints;
  readonly retry: RetrySettings;
}

/** An object that keeps being replaced while it is read is looked at this often. */
const LOOKS = 3;

export function storageBucket(options: StorageBucketOptions): Bucket {
  const { own, retry } = options;

  const client = once(async (): Promise<GoogleBucket> => {
    const { Storage } = await import('@google-cloud/storage');
    const storage = new Storage({
      projectId: options.projectId,
      authClient: own.auth,
      retryOptions: { autoRetry: false, maxRetries: 0 },
      ...storageEndpoint(options.endpoints),
    });
    return storage.bucket(options.bucket);
  });

  async function call<T>(
    request: { method: string; repeatable: Repeatable; doing: string },
    attempt: () => Promise<T>,
    whenAbsent?: () => T,
  ): Promise<T> {
    try {
      const method = `storage.objects.${request.method}`;
      // The client takes a `timeout` and does nothing with it.
      return await callGoogle({ ...request, method, retry }, own, () =>
        withinTimeLimit(retry.attemptTimeoutMs, attempt()),
      );
    } catch (error) {
      if (!(error instanceof GoogleCallError)) throw error;
      const { failure } = error;
      const absent =
        failure.method.startsWith('storage.') &&
        failure.httpStatus === 404 &&
        // A bucket that is missing is a mistake in the settings, not an object nobody has written yet.
        !/bucket does not exist/i.test(failure.text);
      if (absent && whenAbsent !== undefined) return whenAbsent();
      throw storageFailure(error, request.doing, options.bucket);
    }
  }

  return {
    async read(name) {
      const bucket = await client();
      const doing = `Reading ${options.bucket}/${name}`;
      for (let look = 1; look <= LOOKS; look += 1) {
        const metadata = await call(
          { method: 'get', repeatable: 'any-time', doing },
          async () => (await bucket.file(name).getMetadata())[0],
          () => undefined,
        );
        if (metadata === undefined) return undefined;
        const generation = String(metadata.generation ?? '');
        if (!/^[1-9]\d*$/.test(generation))
          throw retryable('storage-unavailable', `${doing} failed: the answer holds no generation.`);
        // Exactly the generation that was just named; gone means it was replaced in between.
        const bytes = await call(
          { method: 'get', repeatable: 'any-time', doing },
          async () => (await bucket.file(name, { generation }).download({ validation: false }))[0],
          () => undefined,
        );
        if (bytes === undefined) continue;
        if (metadata.crc32c !== undefined && metadata.crc32c !== crc32cBase64(bytes))
          throw retryable('storage-unavailable', `${doing} failed: the bytes do not fit their CRC32C.`);
        return { bytes, generation };
      }
      throw retryable(
        'storage-unavailable',
        `${doing} failed: it was replaced ${LOOKS} times while being read.`,
      );
    },

    async write({ name, bytes, contentType, cacheControl, ifGeneration }) {
      const bucket = await client();
      const doing = `Writing ${options.bucket}/${name}`;
      const file = bucket.file(name);
      await call(
        // Repeated after a lost answer, it would meet its own first write and call that somebody else's.
        { method: 'insert', repeatable: 'without-effect', doing },
        () =>
          // A view: a long CRL should not be copied.
          file.save(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), {
            resumable: false,
            validation: false,
            contentType,
            metadata: { cacheControl, crc32c: crc32cBase64(bytes) },
            preconditionOpts: { ifGenerationMatch: ifGeneration },
          }),
      );
      const generation = String(file.metadata.generation ?? '');
      if (!/^[1-9]\d*$/.test(generation))
        throw retryable('storage-unavailable', `${doing} failed: the answer holds no generation.`);
      return { generation };
    },
  };
}
