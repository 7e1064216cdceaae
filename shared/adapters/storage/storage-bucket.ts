/**
 * The public bucket in Cloud Storage. A write names the generation it replaces (`ifGenerationMatch`), so that two
 * publishers cannot take a CRL backwards, and carries the CRC32C, so that Google refuses a body that arrived damaged.
 * https://docs.cloud.google.com/storage/docs/request-preconditions
 */
import { pipeline } from 'node:stream/promises';
import type { Bucket as GoogleBucket } from '@google-cloud/storage';
import { retryable } from '../../errors.ts';
import type { Bucket, ObjectParts } from '../../ports/bucket.ts';
import { callGoogle } from '../google/call.ts';
import { GoogleCallError } from '../google/call-error.ts';
import { crc32cBase64, RunningCrc32c } from '../google/crc32c.ts';
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

/** What is held of a long object at a time. */
const RANGE_BYTES = 1 << 20;

/** Google compares it with what arrives. Parts are read twice for it: once here, once while they are sent. */
async function checksumOf(bytes: Uint8Array | ObjectParts): Promise<string> {
  if (typeof bytes !== 'function') return crc32cBase64(bytes);
  const checksum = new RunningCrc32c();
  for await (const part of bytes()) checksum.update(part);
  return checksum.base64();
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

  /** What an object is at the moment; undefined where it is none. */
  async function look(
    name: string,
    doing: string,
  ): Promise<
    { readonly generation: string; readonly crc32c: string | undefined; readonly size: number } | undefined
  > {
    const bucket = await client();
    const metadata = await call(
      { method: 'get', repeatable: 'any-time', doing },
      async () => (await bucket.file(name).getMetadata())[0],
      () => undefined,
    );
    if (metadata === undefined) return undefined;
    const generation = String(metadata.generation ?? '');
    if (!/^[1-9]\d*$/.test(generation))
      throw retryable('storage-unavailable', `${doing} failed: the answer holds no generation.`);
    return { generation, crc32c: metadata.crc32c, size: Number(metadata.size ?? Number.NaN) };
  }

  /** Exactly this generation, or a range of it; undefined where it is gone, so it was replaced in between. */
  async function download(
    name: string,
    generation: string,
    doing: string,
    range: { readonly start?: number; readonly end?: number } = {},
  ): Promise<Uint8Array | undefined> {
    const bucket = await client();
    return await call(
      { method: 'get', repeatable: 'any-time', doing },
      async () => (await bucket.file(name, { generation }).download({ validation: false, ...range }))[0],
      () => undefined,
    );
  }

  /** In ranges, each a request of its own with a time limit and tries of its own. */
  async function* downloadParts(
    name: string,
    {
      generation,
      crc32c,
      size,
    }: { readonly generation: string; readonly crc32c: string | undefined; readonly size: number },
    doing: string,
  ): AsyncGenerator<Uint8Array> {
    const checksum = new RunningCrc32c();
    for (let start = 0; start < size; start += RANGE_BYTES) {
      const end = Math.min(size, start + RANGE_BYTES) - 1;
      const part = await download(name, generation, doing, { start, end });
      if (part?.length !== end - start + 1)
        throw retryable('storage-unavailable', `${doing} failed: it was replaced while being read.`);
      checksum.update(part);
      yield part;
    }
    if (crc32c !== undefined && crc32c !== checksum.base64())
      throw retryable('storage-unavailable', `${doing} failed: the bytes do not fit their CRC32C.`);
  }

  return {
    async read(name) {
      const doing = `Reading ${options.bucket}/${name}`;
      for (let count = 1; count <= LOOKS; count += 1) {
        const found = await look(name, doing);
        if (found === undefined) return undefined;
        const bytes = await download(name, found.generation, doing);
        if (bytes === undefined) continue;
        if (found.crc32c !== undefined && found.crc32c !== crc32cBase64(bytes))
          throw retryable('storage-unavailable', `${doing} failed: the bytes do not fit their CRC32C.`);
        return { bytes, generation: found.generation };
      }
      throw retryable(
        'storage-unavailable',
        `${doing} failed: it was replaced ${LOOKS} times while being read.`,
      );
    },

    async readParts(name) {
      const doing = `Reading ${options.bucket}/${name}`;
      const found = await look(name, doing);
      if (found === undefined) return undefined;
      if (!Number.isSafeInteger(found.size))
        throw retryable('storage-unavailable', `${doing} failed: the answer holds no size.`);
      return { parts: downloadParts(name, found, doing), generation: found.generation };
    },

    async write({ name, bytes, contentType, cacheControl, ifGeneration }) {
      const bucket = await client();
      const doing = `Writing ${options.bucket}/${name}`;
      const file = bucket.file(name);
      const save = {
        resumable: false,
        validation: false,
        contentType,
        metadata: { cacheControl, crc32c: await checksumOf(bytes) },
        preconditionOpts: { ifGenerationMatch: ifGeneration },
      } as const;
      await call(
        // Repeated after a lost answer, it would meet its own first write and call that somebody else's.
        { method: 'insert', repeatable: 'without-effect', doing },
        () =>
          typeof bytes === 'function'
            ? pipeline(bytes, file.createWriteStream(save))
            : // A view, not a copy.
              file.save(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), save),
      );
      const generation = String(file.metadata.generation ?? '');
      if (!/^[1-9]\d*$/.test(generation))
        throw retryable('storage-unavailable', `${doing} failed: the answer holds no generation.`);
      return { generation };
    },
  };
}
