import { Storage as StorageClient } from '@google-cloud/storage';
import { OAuth2Client } from 'google-auth-library';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createStorage, type Storage } from '../../../emulator/storage/index.ts';
import { type Serving, serve } from '../identity/serving.ts';

const WRITE = 'https://www.googleapis.com/auth/devstorage.read_write';
const READ = 'https://www.googleapis.com/auth/devstorage.read_only';
const at = (name: string) => `${name}@acme-sealwright.iam.gserviceaccount.com`;
const PUBLISHER = at('sealwright-publish-crl');
const CREATOR = at('creator');
const VIEWER = at('viewer');
const STRANGER = at('stranger');

let serving: Serving<Storage>;
let names = 0;
/** A name no other test uses. */
let name = '';

beforeAll(async () => {
  serving = await serve((context) =>
    createStorage(context, {
      buckets: [
        { name: 'acme-pki', publicRead: true, objectAdmins: [PUBLISHER], objectCreators: [CREATOR] },
        { name: 'acme-audit', objectAdmins: [PUBLISHER], objectViewers: [VIEWER] },
      ],
    }),
  );
});
afterAll(() => serving[Symbol.asyncDispose]());
beforeEach(() => {
  names += 1;
  name = `crl/issuing ${names}.crl`;
});

/** Google's own client, calling as a service account. */
function bucket(email = PUBLISHER, bucketName = 'acme-pki', scopes = [WRITE]) {
  const authClient = new OAuth2Client();
  const { accessToken } = serving.context.tokens.mint({ kind: 'service-account', email, scopes });
  authClient.setCredentials({ access_token: accessToken });
  const client = new StorageClient({
    projectId: 'acme-sealwright',
    apiEndpoint: serving.root.replace(/\/$/, ''),
    useAuthWithCustomEndpoint: true,
    authClient,
    retryOptions: { autoRetry: false },
  });
  return client.bucket(bucketName);
}

const file = (email?: string, bucketName?: string) => bucket(email, bucketName).file(name);
const plain = { resumable: false, validation: false } as const;
const code = (status: number) => expect.objectContaining({ code: status });

async function raw(
  verb: string,
  path: string,
  options: { body?: string; headers?: Record<string, string>; as?: string | null; scopes?: string[] } = {},
) {
  const { as = PUBLISHER, scopes = [WRITE] } = options;
  const response = await fetch(`${serving.root}${path}`, {
    method: verb,
    headers: {
      ...(as === null
        ? {}
        : { authorization: serving.bearer({ kind: 'service-account', email: as, scopes }) }),
      ...options.headers,
    },
    ...(options.body === undefined ? {} : { body: options.body }),
  });
  const text = await response.text();
  const json = response.headers.get('content-type')?.includes('json') === true;
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: json ? (JSON.parse(text) as Record<string, unknown>) : {},
  };
}

const upload = (query: string, body: string, headers: Record<string, string> = {}, as = PUBLISHER) =>
  raw('POST', `upload/storage/v1/b/acme-pki/o?${query}`, { body, headers, as });

const object = () => `storage/v1/b/acme-pki/o/${encodeURIComponent(name)}`;

function multipart(metadata: unknown, content: string, boundary = 'frontier'): string {
  const first = typeof metadata === 'string' ? metadata : JSON.stringify(metadata);
  return [
    `--${boundary}`,
    'Content-Type: application/json; charset=UTF-8',
    '',
    first,
    `--${boundary}`,
    'Content-Type: application/pkix-crl',
    '',
    content,
    `--${boundary}--`,
    '',
  ].join('\r\n');
}
const related = { 'content-type': 'multipart/related; boundary=frontier' };

describe("Cloud Storage, through Google's client,", () => {
  it('keeps bytes with their type, caching and hashes, and gives them back', async () => {
    const bytes = Buffer.from(Array.from({ length: 1000 }, (_, index) => index % 256));
    await file().save(bytes, {
      resumable: false,
      contentType: 'application/pkix-crl',
      metadata: { cacheControl: 'public, max-age=300', metadata: { issuer: 'x' } },
    });
    const [metadata] = await file().getMetadata();
    expect(metadata).toMatchObject({
      kind: 'storage#object',
      bucket: 'acme-pki',
      name,
      contentType: 'application/pkix-crl',
      cacheControl: 'public, max-age=300',
      size: '1000',
      metageneration: '1',
      generation: expect.stringMatching(/^\d{16}$/),
      metadata: { issuer: 'x' },
    });
    const [content] = await file().download({ validation: 'crc32c' });
    expect(content.equals(bytes)).toBe(true);
    expect((await file().download({ validation: 'md5' }))[0].equals(bytes)).toBe(true);
  });

  it('replaces an object only under the generation the writer knows', async () => {
    await file().save('1', { ...plain, preconditionOpts: { ifGenerationMatch: 0 } });
    const first = (await file().getMetadata())[0].generation;
    await expect(file().save('2', { ...plain, preconditionOpts: { ifGenerationMatch: 0 } })).rejects.toEqual(
      code(412),
    );
    await file().save('2', { ...plain, preconditionOpts: { ifGenerationMatch: Number(first) } });
    const second = (await file().getMetadata())[0].generation;
    expect(BigInt(String(second))).toBeGreaterThan(BigInt(String(first)));
    await expect(
      file().save('3', { ...plain, preconditionOpts: { ifGenerationMatch: Number(first) } }),
    ).rejects.toEqual(code(412));
    expect((await file().download())[0].toString()).toBe('2');
  });

  it('gives generations that grow over a deletion too', async () => {
    await file().save('1', plain);
    const first = (await file().getMetadata())[0].generation;
    await file().delete();
    expect(await file().exists()).toEqual([false]);
    await file().save('1', plain);
    expect(BigInt(String((await file().getMetadata())[0].generation))).toBeGreaterThan(BigInt(String(first)));
  });

  it('lists by prefix, page by page, in the order of names', async () => {
    const folder = `list-${names}`;
    for (const leaf of ['b', 'a', 'deep/c', 'deep/d'])
      await bucket().file(`${folder}/${leaf}`).save(leaf, plain);
    const [files] = await bucket().getFiles({ prefix: `${folder}/`, maxResults: 3 });
    expect(files.map((entry) => entry.name)).toEqual([`${folder}/a`, `${folder}/b`, `${folder}/deep/c`]);
    const [all] = await bucket().getFiles({ prefix: `${folder}/` });
    expect(all).toHaveLength(4);
    const shallow = await raw('GET', `storage/v1/b/acme-pki/o?prefix=${folder}/&delimiter=/`);
    expect(shallow.body).toMatchObject({
      prefixes: [`${folder}/deep/`],
      items: [{ name: `${folder}/a` }, { name: `${folder}/b` }],
    });
  });

  it('says that an object or a bucket does not exist', async () => {
    await expect(file().download()).rejects.toEqual(code(404));
    await expect(file().delete()).rejects.toEqual(code(404));
    await expect(file(PUBLISHER, 'none').save('x', plain)).rejects.toEqual(code(404));
  });
});

describe('Cloud Storage lets', () => {
  it('a creator add objects, but neither replace, read, list nor delete them', async () => {
    await file(CREATOR, 'acme-pki').save('1', plain);
    await expect(file(CREATOR).save('2', plain)).rejects.toMatchObject({
      code: 403,
      message: expect.stringContaining('storage.objects.delete'),
    });
    await expect(file(CREATOR).delete()).rejects.toEqual(code(403));
    await expect(bucket(CREATOR).getFiles()).rejects.toEqual(code(403));
  });

  it('a viewer read and list, but not write', async () => {
    await file(PUBLISHER, 'acme-audit').save('1', plain);
    expect((await file(VIEWER, 'acme-audit').download())[0].toString()).toBe('1');
    expect((await bucket(VIEWER, 'acme-audit').getFiles())[0].map((entry) => entry.name)).toEqual([name]);
    await expect(file(VIEWER, 'acme-audit').save('2', plain)).rejects.toEqual(code(403));
    await expect(file(STRANGER, 'acme-audit').download()).rejects.toEqual(code(403));
  });

  it('anybody read an object of a public bucket, but not list it, and nothing of another bucket', async () => {
    await file().save('1', plain);
    await file(PUBLISHER, 'acme-audit').save('1', plain);
    expect(await raw('GET', `${object()}?alt=media`, { as: null })).toMatchObject({ status: 200, text: '1' });
    expect((await raw('GET', 'storage/v1/b/acme-pki/o', { as: null })).status).toBe(401);
    const other = await raw('GET', object().replace('acme-pki', 'acme-audit'), { as: null });
    expect(other).toMatchObject({
      status: 401,
      body: {
        error: { message: expect.stringContaining('Anonymous caller'), errors: [{ reason: 'required' }] },
      },
    });
  });

  it('nobody read even a public object with a token that is no good', async () => {
    await file().save('1', plain);
    expect((await raw('GET', object(), { as: null, headers: { authorization: 'Bearer x' } })).status).toBe(
      401,
    );
    expect((await raw('GET', object(), { scopes: ['https://mail.google.com/'] })).status).toBe(403);
  });

  it('nobody write without a token or with one for reading', async () => {
    expect(
      (await raw('POST', 'upload/storage/v1/b/acme-pki/o?uploadType=media&name=a', { as: null })).status,
    ).toBe(401);
    const reading = { scopes: [READ] };
    expect(
      (await raw('POST', 'upload/storage/v1/b/acme-pki/o?uploadType=media&name=a', reading)).status,
    ).toBe(403);
    expect((await raw('DELETE', object(), reading)).status).toBe(403);
    await file().save('1', plain);
    expect((await raw('GET', object(), reading)).status).toBe(200);
  });
});

describe('Cloud Storage, asked with preconditions,', () => {
  it('answers 412 conditionNotMet in its own shape', async () => {
    const answer = await upload(`uploadType=media&name=${encodeURIComponent(name)}&ifGenerationMatch=5`, 'x');
    expect(answer).toMatchObject({
      status: 412,
      body: {
        error: {
          code: 412,
          message: 'At least one of the pre-conditions you specified did not hold.',
          errors: [{ reason: 'conditionNotMet', location: 'If-Match', locationType: 'header' }],
        },
      },
    });
  });

  it.each([
    ['ifGenerationMatch', 'match', 200, 200],
    ['ifGenerationMatch', 'other', 412, 412],
    ['ifGenerationNotMatch', 'match', 304, 412],
    ['ifGenerationNotMatch', 'other', 200, 200],
    ['ifMetagenerationMatch', 'meta', 200, 200],
    ['ifMetagenerationMatch', 'other', 412, 412],
    ['ifMetagenerationNotMatch', 'meta', 304, 412],
    ['ifMetagenerationNotMatch', 'other', 200, 200],
  ])(
    'decides %s with the %s number: %i for a read, %i for a write',
    async (parameter, which, reading, writing) => {
      await file().save('1', plain);
      const { generation } = (await raw('GET', object())).body as { generation: string };
      const value = { match: generation, other: '7', meta: '1' }[which];
      expect((await raw('GET', `${object()}?${parameter}=${value}`)).status).toBe(reading);
      const query = `uploadType=media&name=${encodeURIComponent(name)}&${parameter}=${value}`;
      expect((await upload(query, 'x')).status).toBe(writing);
    },
  );

  it('holds a deletion to them too, and to the generation it names', async () => {
    await file().save('1', plain);
    expect((await raw('DELETE', `${object()}?ifGenerationMatch=7`)).status).toBe(412);
    expect((await raw('DELETE', `${object()}?generation=7`)).status).toBe(404);
    expect((await raw('DELETE', object())).status).toBe(204);
  });

  it('takes no text for a number', async () => {
    expect((await upload(`uploadType=media&name=x&ifGenerationMatch=new`, 'x')).status).toBe(400);
  });

  it('finds nothing under a metageneration when there is no object', async () => {
    const query = `uploadType=media&name=${encodeURIComponent(name)}&ifMetagenerationMatch=1`;
    expect((await upload(query, 'x')).status).toBe(412);
  });
});

describe('an upload to Cloud Storage', () => {
  it('in one piece takes its type from the request', async () => {
    const query = `uploadType=media&name=${encodeURIComponent(name)}`;
    const answer = await upload(query, 'bytes', { 'content-type': 'application/pkix-crl' });
    expect(answer.body).toMatchObject({ name, contentType: 'application/pkix-crl', size: '5' });
  });

  it('in parts takes its type from the metadata, else from the part', async () => {
    const named = await upload('uploadType=multipart', multipart({ name, contentType: 'a/b' }, 'x'), related);
    expect(named.body).toMatchObject({ name, contentType: 'a/b' });
    const bare = await upload('uploadType=multipart', multipart({ name }, 'x'), related);
    expect(bare.body).toMatchObject({ contentType: 'application/pkix-crl' });
  });

  it('keeps content that looks like line ends and boundaries byte for byte', async () => {
    const content = '\r\n--front\r\n\r\n--frontie\r\n';
    await upload('uploadType=multipart', multipart({ name }, content), related);
    expect((await raw('GET', `${object()}?alt=media`)).text).toBe(content);
  });

  it('takes a quoted boundary, and the name of the query before that of the metadata', async () => {
    const answer = await upload(
      `uploadType=multipart&name=${encodeURIComponent(name)}`,
      multipart({ name: 'another' }, 'x', 'a b'),
      { 'content-type': 'multipart/related; boundary="a b"' },
    );
    expect(answer.body).toMatchObject({ name });
  });

  it('takes the hashes of what arrived and refuses others, storing nothing', async () => {
    // MD5 and CRC-32C of "123456789", computed with OpenSSL and published as the check value of CRC-32C.
    const good = { name, md5Hash: 'JfnnlDI7RTiF9RgfG2JNCw==', crc32c: '4waSgw==' };
    const bad = { name: 'unstored', md5Hash: 'AAAAAAAAAAAAAAAAAAAAAA==' };
    expect((await upload('uploadType=multipart', multipart(good, '123456789'), related)).status).toBe(200);
    expect((await upload('uploadType=multipart', multipart(bad, '123456789'), related)).status).toBe(400);
    const badCrc = { name: 'unstored', crc32c: 'AAAAAA==' };
    expect((await upload('uploadType=multipart', multipart(badCrc, '123456789'), related)).status).toBe(400);
    expect((await raw('GET', 'storage/v1/b/acme-pki/o/unstored')).status).toBe(404);
  });

  it.each([
    ['without an upload type', 'name=a', 'x', {}, 400],
    ['of a resumable kind', 'uploadType=resumable&name=a', '', {}, 501],
    ['without a name', 'uploadType=media', 'x', {}, 400],
    ['with a line end in its name', 'uploadType=media&name=a%0Ab', 'x', {}, 400],
    ['named "..":', 'uploadType=media&name=..', 'x', {}, 400],
    ['with a name over 1024 bytes', `uploadType=media&name=${'é'.repeat(513)}`, 'x', {}, 400],
    ['with an ACL', 'uploadType=media&name=a&predefinedAcl=publicRead', 'x', {}, 400],
    ['with a key of the customer', 'uploadType=media&name=a&kmsKeyName=k', 'x', {}, 501],
    ['with an unknown parameter', 'uploadType=media&name=a&public=1', 'x', {}, 400],
    [
      'in parts without a boundary',
      'uploadType=multipart&name=a',
      'x',
      { 'content-type': 'multipart/related' },
      400,
    ],
    ['in parts that never end', 'uploadType=multipart&name=a', '--frontier\r\n\r\n{}', related, 400],
    ['in one part', 'uploadType=multipart&name=a', '--frontier\r\n\r\n{}\r\n--frontier--', related, 400],
    ['with metadata that is no JSON', 'uploadType=multipart', multipart('{', 'x'), related, 400],
    ['with metadata that is a list', 'uploadType=multipart', multipart('[]', 'x'), related, 400],
    [
      'with an unknown metadata field',
      'uploadType=multipart',
      multipart({ name: 'a', owner: 'x' }, 'x'),
      related,
      400,
    ],
    [
      'with a type that is no text',
      'uploadType=multipart',
      multipart({ name: 'a', contentType: 1 }, 'x'),
      related,
      400,
    ],
    [
      'with custom metadata that is no text',
      'uploadType=multipart',
      multipart({ name: 'a', metadata: { b: 1 } }, 'x'),
      related,
      400,
    ],
  ])('%s is refused', async (_name, query, body, headers, status) => {
    expect((await upload(query, body, headers)).status).toBe(status);
  });
});

describe('reading from Cloud Storage', () => {
  it('tells hashes, generation and etag with the bytes', async () => {
    await upload(`uploadType=media&name=${encodeURIComponent(name)}`, '123456789');
    const { headers } = await raw('GET', `download/${object()}?alt=media`);
    expect(headers.get('x-goog-hash')).toBe('crc32c=4waSgw==,md5=JfnnlDI7RTiF9RgfG2JNCw==');
    expect(headers.get('x-goog-generation')).toMatch(/^\d+$/);
    expect(headers.get('etag')).not.toBeNull();
  });

  it.each(['versions=true', 'maxResults=0', 'pageToken=x', 'matchGlob=*'])(
    'refuses a list with %s',
    async (query) => {
      expect((await raw('GET', `storage/v1/b/acme-pki/o?${query}`)).status).toBeGreaterThanOrEqual(400);
    },
  );

  it('leaves the array out of an empty list', async () => {
    expect((await raw('GET', 'storage/v1/b/acme-pki/o?prefix=none/')).body).toEqual({
      kind: 'storage#objects',
    });
  });
});

describe('a bucket', () => {
  it('must have a name that is one', () => {
    expect(() => createStorage(serving.context, { buckets: [{ name: 'Acme' }] })).toThrow(RangeError);
  });
});
