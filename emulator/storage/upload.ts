import type { Call } from '../core/route.ts';
import { hashesOf, type NewObject } from './buckets.ts';
import { readMultipart } from './multipart.ts';
import { invalid, required, unsupported } from './refusals.ts';

/** Fields of an object a client may set, all text but `metadata`, which is a map of texts. */
const SETTABLE = [
  'contentType',
  'cacheControl',
  'contentDisposition',
  'contentEncoding',
  'contentLanguage',
] as const;
const KNOWN = new Set<string>([
  ...SETTABLE,
  'name',
  'bucket',
  'metadata',
  'md5Hash',
  'crc32c',
  'storageClass',
]);

/**
 * The object of a simple (`media`) or multipart upload. Hashes that the client gives must be those of what arrived.
 * https://cloud.google.com/storage/docs/uploads-downloads
 */
export function readUpload(call: Call): NewObject {
  const { query } = call;
  if (query.has('predefinedAcl')) {
    throw invalid('Cannot use ACL API to update bucket policy when uniform bucket-level access is enabled.');
  }
  if (query.has('kmsKeyName')) throw unsupported('The emulator has no customer-managed encryption.');
  const { metadata, content, contentType } = split(call);
  const unknown = Object.keys(metadata).find((field) => !KNOWN.has(field));
  if (unknown !== undefined) throw invalid(`Unknown field "${unknown}" in the object's metadata.`);
  checkHashes(metadata, content);
  const encoding = query.get('contentEncoding');
  const described = Object.fromEntries(
    SETTABLE.map((field) => [field, text(metadata, field)]).filter(([, value]) => value !== undefined),
  );
  const custom = customMetadata(metadata['metadata']);
  return {
    ...described,
    ...(encoding === null ? {} : { contentEncoding: encoding }),
    ...(custom === undefined ? {} : { metadata: custom }),
    name: objectName(query.get('name') ?? text(metadata, 'name')),
    contentType: text(metadata, 'contentType') ?? contentType ?? 'application/octet-stream',
    content,
  };
}

interface SplitUpload {
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly content: Buffer;
  readonly contentType: string | undefined;
}

function split(call: Call): SplitUpload {
  const contentType = call.headers['content-type'];
  switch (call.query.get('uploadType')) {
    case 'media':
      return { metadata: {}, content: call.body, contentType };
    case 'multipart': {
      const [metadata, content] = readMultipart(call.body, contentType ?? '');
      return {
        metadata: parseMetadata(metadata.bytes),
        content: content.bytes,
        contentType: content.contentType,
      };
    }
    case 'resumable':
      throw unsupported(
        'The emulator takes uploads in one request only (uploadType media or multipart; resumable: false).',
      );
    default:
      throw required('Required parameter uploadType must be media or multipart.');
  }
}

function parseMetadata(bytes: Buffer): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    value = undefined;
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw invalid('The first part of a multipart upload must be the metadata, a JSON object.');
  }
  return value as Record<string, unknown>;
}

function checkHashes(metadata: Readonly<Record<string, unknown>>, content: Buffer): void {
  const calculated = hashesOf(content);
  const md5 = text(metadata, 'md5Hash');
  if (md5 !== undefined && md5 !== calculated.md5Hash) {
    throw invalid(`Provided MD5 hash "${md5}" doesn't match calculated MD5 hash "${calculated.md5Hash}".`);
  }
  const crc = text(metadata, 'crc32c');
  if (crc !== undefined && crc !== calculated.crc32c) {
    throw invalid(`Provided CRC32C "${crc}" doesn't match calculated CRC32C "${calculated.crc32c}".`);
  }
}

/** https://cloud.google.com/storage/docs/objects#naming */
function objectName(name: string | undefined): string {
  if (name === undefined || name === '') throw required('Required parameter: name');
  if (Buffer.byteLength(name) > 1024) throw invalid('An object name has at most 1024 bytes of UTF-8.');
  if (
    /[\r\n]/.test(name) ||
    name === '.' ||
    name === '..' ||
    name.startsWith('.well-known/acme-challenge/')
  ) {
    throw invalid(`Invalid object name: "${name}".`);
  }
  return name;
}

function text(metadata: Readonly<Record<string, unknown>>, field: string): string | undefined {
  const value = metadata[field];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw invalid(`The metadata field "${field}" must be text.`);
  return value;
}

function customMetadata(value: unknown): Record<string, string> | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'object' || Array.isArray(value)) throw invalid('"metadata" must be a map of texts.');
  const entries = Object.entries(value).map(([key, entry]: [string, unknown]): [string, string] => {
    if (typeof entry !== 'string') throw invalid(`The custom metadata "${key}" must be text.`);
    return [key, entry];
  });
  return Object.fromEntries(entries);
}
