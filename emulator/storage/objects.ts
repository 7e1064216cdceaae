/** The JSON API's methods on objects: https://cloud.google.com/storage/docs/json_api/v1/objects */
import type { AccessTokens, Caller } from '../core/access-tokens.ts';
import { type Answer, type Call, ok, type Route } from '../core/route.ts';
import type { Buckets } from './buckets.ts';
import { CONDITION_PARAMETERS, checkConditions } from './conditions.ts';
import type { StoredObject } from './records.ts';
import { invalid, noObject, unsupported } from './refusals.ts';
import { readUpload } from './upload.ts';

export interface ObjectParts {
  readonly buckets: Buckets;
  readonly tokens: AccessTokens;
  readonly rootUrl: () => string;
}

const scope = (name: string) => `https://www.googleapis.com/auth/${name}`;
const WRITE_SCOPES = ['devstorage.read_write', 'devstorage.full_control', 'cloud-platform'].map(scope);
const READ_SCOPES = [...WRITE_SCOPES, ...['devstorage.read_only', 'cloud-platform.read-only'].map(scope)];

/** Every method has these. */
const STANDARD_PARAMETERS = [
  'alt',
  'fields',
  'key',
  'prettyPrint',
  'quotaUser',
  'userIp',
  'userProject',
  'projection',
];
const DEFAULT_PAGE_SIZE = 1000;

export function objectRoutes(parts: ObjectParts): readonly Route[] {
  const object = '/b/:bucket/o/:object';
  return [
    {
      id: 'storage.objects.insert',
      verb: 'POST',
      path: '/upload/storage/v1/b/:bucket/o',
      scopes: WRITE_SCOPES,
      handle: (call) => insert(parts, call),
    },
    {
      id: 'storage.objects.list',
      verb: 'GET',
      path: '/storage/v1/b/:bucket/o',
      scopes: 'none',
      handle: (call) => list(parts, call),
    },
    {
      id: 'storage.objects.get',
      verb: 'GET',
      path: `/storage/v1${object}`,
      scopes: 'none',
      handle: (call) => get(parts, call),
    },
    {
      id: 'storage.objects.get',
      verb: 'GET',
      path: `/download/storage/v1${object}`,
      scopes: 'none',
      handle: (call) => get(parts, call),
    },
    {
      id: 'storage.objects.delete',
      verb: 'DELETE',
      path: `/storage/v1${object}`,
      scopes: WRITE_SCOPES,
      handle: (call) => remove(parts, call),
    },
  ];
}

function insert({ buckets, rootUrl }: ObjectParts, call: Call): Answer {
  const bucket = call.params['bucket'] ?? '';
  checkParameters(call, [
    'uploadType',
    'name',
    'contentEncoding',
    'kmsKeyName',
    'predefinedAcl',
    ...CONDITION_PARAMETERS,
  ]);
  buckets.authorize(bucket, call.caller, 'storage.objects.create');
  const made = readUpload(call);
  const live = buckets.find(bucket, made.name);
  // Replacing is deleting and creating: objectCreator alone may not.
  if (live !== undefined) buckets.authorize(bucket, call.caller, 'storage.objects.delete');
  checkConditions(call, live);
  return ok(resource(bucket, buckets.put(bucket, made), rootUrl()));
}

function get({ buckets, tokens, rootUrl }: ObjectParts, call: Call): Answer {
  const bucket = call.params['bucket'] ?? '';
  checkParameters(call, ['generation', ...CONDITION_PARAMETERS]);
  buckets.authorize(bucket, reader(tokens, call), 'storage.objects.get');
  const object = liveObject(buckets, call);
  if (checkConditions(call, object, true) === 'not-modified') return { status: 304 };
  return call.query.get('alt') === 'media'
    ? media(object, call.headers['range'])
    : ok(resource(bucket, object, rootUrl()));
}

/** Whole, or one range of it (RFC 9110 §14); anything but `bytes=FIRST-LAST` is ignored, as Google ignores what it cannot read. */
function media(object: StoredObject, range: unknown): Answer {
  const headers = mediaHeaders(object);
  const body = Buffer.from(object.content, 'base64');
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(String(range)) ?? [];
  if (first === undefined || last === undefined) return { status: 200, headers, body };
  const [from, to] = [Number(first), Math.min(Number(last), body.length - 1)];
  if (from > to) return { status: 416, headers: { 'content-range': `bytes */${body.length}` } };
  return {
    status: 206,
    headers: { ...headers, 'content-range': `bytes ${from}-${to}/${body.length}` },
    body: body.subarray(from, to + 1),
  };
}

function remove({ buckets }: ObjectParts, call: Call): Answer {
  const bucket = call.params['bucket'] ?? '';
  checkParameters(call, ['generation', ...CONDITION_PARAMETERS]);
  buckets.authorize(bucket, call.caller, 'storage.objects.delete');
  const object = liveObject(buckets, call);
  checkConditions(call, object);
  buckets.remove(bucket, object.name);
  return { status: 204 };
}

function list({ buckets, tokens, rootUrl }: ObjectParts, call: Call): Answer {
  const bucket = call.params['bucket'] ?? '';
  checkParameters(call, ['prefix', 'delimiter', 'maxResults', 'pageToken', 'versions']);
  if (call.query.get('versions') === 'true') throw unsupported('The emulator keeps live objects only.');
  buckets.authorize(bucket, reader(tokens, call), 'storage.objects.list');
  const prefix = call.query.get('prefix') ?? '';
  const entries = grouped(
    buckets.list(bucket).filter((object) => object.name.startsWith(prefix)),
    prefix,
    call.query.get('delimiter') ?? '',
  );
  const start = startOf(call.query.get('pageToken') ?? '');
  const end = start + pageSizeOf(call.query.get('maxResults'));
  const page = entries.slice(start, end);
  const items = page.filter((entry) => typeof entry !== 'string');
  const prefixes = page.filter((entry) => typeof entry === 'string');
  return ok({
    kind: 'storage#objects',
    ...(end < entries.length ? { nextPageToken: Buffer.from(`after ${end}`).toString('base64url') } : {}),
    ...(prefixes.length === 0 ? {} : { prefixes }),
    ...(items.length === 0 ? {} : { items: items.map((item) => resource(bucket, item, rootUrl())) }),
  });
}

/** With a delimiter, what lies deeper is one entry: its common prefix. */
function grouped(
  objects: readonly StoredObject[],
  prefix: string,
  delimiter: string,
): readonly (StoredObject | string)[] {
  if (delimiter === '') return objects;
  const entries = objects.map((object) => {
    const at = object.name.indexOf(delimiter, prefix.length);
    return at < 0 ? object : object.name.slice(0, at + delimiter.length);
  });
  return entries.filter((entry, index) => typeof entry !== 'string' || entries.indexOf(entry) === index);
}

/** Whoever sends a token must send a good one, even to read what is public. */
function reader(tokens: AccessTokens, call: Call): Caller | undefined {
  const { authorization } = call.headers;
  return authorization === undefined ? undefined : tokens.authorize(authorization, READ_SCOPES);
}

function liveObject(buckets: Buckets, call: Call): StoredObject {
  const bucket = call.params['bucket'] ?? '';
  const name = call.params['object'] ?? '';
  const object = buckets.find(bucket, name);
  const generation = call.query.get('generation');
  if (object === undefined || (generation !== null && generation !== object.generation)) {
    throw noObject(bucket, name);
  }
  return object;
}

function resource(bucket: string, object: StoredObject, rootUrl: string): Record<string, unknown> {
  const { content: _content, timeCreated, ...shown } = object;
  const path = `b/${bucket}/o/${encodeURIComponent(object.name)}`;
  return {
    kind: 'storage#object',
    id: `${bucket}/${object.name}/${object.generation}`,
    selfLink: `${rootUrl}storage/v1/${path}`,
    mediaLink: `${rootUrl}download/storage/v1/${path}?generation=${object.generation}&alt=media`,
    bucket,
    ...shown,
    storageClass: 'STANDARD',
    etag: etagOf(object),
    timeCreated,
    updated: timeCreated,
    timeStorageClassUpdated: timeCreated,
  };
}

function mediaHeaders(object: StoredObject): Record<string, string> {
  return {
    'content-type': object.contentType,
    'cache-control': object.cacheControl ?? 'no-cache, no-store, max-age=0, must-revalidate',
    etag: etagOf(object),
    'last-modified': new Date(object.timeCreated).toUTCString(),
    'x-goog-generation': object.generation,
    'x-goog-metageneration': object.metageneration,
    'x-goog-hash': `crc32c=${object.crc32c},md5=${object.md5Hash}`,
    'x-goog-storage-class': 'STANDARD',
    'x-goog-stored-content-encoding': object.contentEncoding ?? 'identity',
    'x-goog-stored-content-length': object.size,
    ...(object.contentDisposition === undefined ? {} : { 'content-disposition': object.contentDisposition }),
    ...(object.contentEncoding === undefined ? {} : { 'content-encoding': object.contentEncoding }),
    ...(object.contentLanguage === undefined ? {} : { 'content-language': object.contentLanguage }),
  };
}

const etagOf = (object: StoredObject): string =>
  Buffer.from(`${object.generation}/${object.metageneration}`).toString('base64');

function checkParameters(call: Call, known: readonly string[]): void {
  const unknown = [...call.query.keys()].find(
    (name) => !known.includes(name) && !STANDARD_PARAMETERS.includes(name),
  );
  if (unknown !== undefined) throw invalid(`Unknown query parameter "${unknown}".`);
}

function pageSizeOf(text: string | null): number {
  if (text === null) return DEFAULT_PAGE_SIZE;
  if (!/^[1-9]\d{0,8}$/.test(text)) throw invalid(`Invalid value for maxResults: "${text}".`);
  return Math.min(Number(text), DEFAULT_PAGE_SIZE);
}

function startOf(token: string): number {
  if (token === '') return 0;
  const start = /^after (\d{1,9})$/.exec(Buffer.from(token, 'base64url').toString())?.[1];
  if (start === undefined) throw invalid('The page token is not one this list gave out.');
  return Number(start);
}
