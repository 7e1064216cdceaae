import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { storageBucket } from '../../../shared/adapters/storage/storage-bucket.ts';
import { type Company, openCompany, PROJECT, STRANGER } from '../emulator-company.ts';
import { failureOf } from '../world.ts';

const crl = (bytes: Uint8Array, ifGeneration: string) => ({
  name: 'crl/issuing 1.crl',
  bytes,
  contentType: 'application/pkix-crl',
  cacheControl: 'public, max-age=300',
  ifGeneration,
});

describe('the public bucket against the emulator', () => {
  let company: Company;
  const bucketAs = (who?: string, bucket = 'acme-pki') =>
    storageBucket({
      projectId: PROJECT,
      bucket,
      own: company.own(who),
      endpoints: company.endpoints,
      retry: company.retry,
    });

  beforeAll(async () => {
    company = await openCompany();
  });
  beforeEach(() => company.faults.apply({ reset: true }));
  afterAll(() => company.close());

  it('keeps bytes by generation and lets nobody write over what they have not seen', async () => {
    const bucket = bucketAs();
    expect(await bucket.read('crl/issuing 1.crl')).toBeUndefined();
    const [one, two] = [randomBytes(3000), randomBytes(3000)];
    const first = await bucket.write(crl(one, '0'));
    expect(await bucket.read('crl/issuing 1.crl')).toEqual({ bytes: one, generation: first.generation });
    expect(await failureOf(bucket.write(crl(two, '0')))).toMatchObject({
      kind: 'retryable',
      code: 'storage-precondition',
    });
    const second = await bucket.write(crl(two, first.generation));
    expect(await failureOf(bucket.write(crl(one, first.generation)))).toMatchObject({
      code: 'storage-precondition',
    });
    expect(await bucket.read('crl/issuing 1.crl')).toEqual({ bytes: two, generation: second.generation });
  });

  it('takes an object in parts and gives it back in parts, checked like any other', async () => {
    const bucket = bucketAs();
    const bytes = randomBytes(2_500_000);
    const parts = async function* () {
      for (let at = 0; at < bytes.length; at += 300_000) yield bytes.subarray(at, at + 300_000);
    };
    const long = { ...crl(bytes, '0'), name: 'long.crl', bytes: parts };
    const { generation } = await bucket.write(long);
    expect((await bucket.read('long.crl'))?.bytes).toEqual(bytes);
    const read = await bucket.readParts('long.crl');
    expect(read?.generation).toBe(generation);
    const got: Uint8Array[] = [];
    for await (const part of read?.parts ?? []) got.push(part);
    expect(got.length).toBeGreaterThan(2);
    expect(Buffer.compare(Buffer.concat(got), bytes)).toBe(0);
    expect(await failureOf(bucket.write(long))).toMatchObject({ code: 'storage-precondition' });
    expect(await bucket.readParts('nothing.crl')).toBeUndefined();
    const replaced = await bucket.readParts('long.crl');
    await bucket.write({ ...long, ifGeneration: generation });
    const reading = async () => {
      for await (const part of replaced?.parts ?? []) got.push(part);
    };
    expect(await failureOf(reading())).toMatchObject({ kind: 'retryable', code: 'storage-unavailable' });
  });

  it('refuses a body in parts that is not twice the same', async () => {
    let times = 0;
    const parts = async function* () {
      times += 1;
      yield Buffer.from(`body ${times}`);
    };
    const bucket = bucketAs();
    expect(
      await failureOf(bucket.write({ ...crl(Buffer.of(), '0'), name: 'two.crl', bytes: parts })),
    ).toMatchObject({ code: 'storage-unavailable' });
    expect(await bucket.read('two.crl')).toBeUndefined();
  });

  it('stores type and caching with the object', async () => {
    await bucketAs().write({ ...crl(Buffer.from([1]), '0'), name: 'headers.crl' });
    const { accessToken } = company.tokens.mint({
      kind: 'service-account',
      email: `sealwright-directory-event@${PROJECT}.iam.gserviceaccount.com`,
      scopes: ['https://www.googleapis.com/auth/devstorage.read_only'],
    });
    const answer = await fetch(`${company.endpoints.rootUrl}storage/v1/b/acme-pki/o/headers.crl`, {
      headers: { authorization: `Bearer ${accessToken}` },
    });
    expect(await answer.json()).toMatchObject({
      contentType: 'application/pkix-crl',
      cacheControl: 'public, max-age=300',
    });
  });

  it('reports a write whose answer was lost, and finds it when it looks again', async () => {
    const bucket = bucketAs();
    const bytes = randomBytes(100);
    company.faults.apply({ calls: [{ method: 'storage.objects.insert', nth: [1], cut: 'after' }] });
    const write = { ...crl(bytes, '0'), name: 'lost.crl' };
    expect(await failureOf(bucket.write(write))).toMatchObject({
      kind: 'retryable',
      code: 'storage-unavailable',
    });
    expect((await bucket.read('lost.crl'))?.bytes).toEqual(bytes);
  });

  it('names the bucket that is missing, and the role', async () => {
    const missing = await failureOf(bucketAs(undefined, 'no-such-bucket').read('x'));
    expect(missing).toMatchObject({ kind: 'permanent', code: 'storage-unavailable' });
    expect(missing.message).toContain('Create the bucket no-such-bucket');
    const stranger = await failureOf(bucketAs(STRANGER).write(crl(Buffer.from([1]), '0')));
    expect(stranger).toMatchObject({ kind: 'permanent', code: 'storage-unavailable' });
    expect(stranger.message).toContain('roles/storage.objectUser');
  });

  it('gets through throttling and a server error', async () => {
    company.faults.apply({
      calls: [
        { method: 'storage.objects.get', nth: [1], status: 429 },
        { method: 'storage.objects.get', nth: [2], status: 503 },
      ],
    });
    expect(await bucketAs().read('nothing')).toBeUndefined();
  });
});
