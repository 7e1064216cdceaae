/**
 * Reading a JSON request as Google's front ends do (proto3 JSON): every field is known and has its type, or the call
 * is refused with 400 `INVALID_ARGUMENT` and a `google.rpc.BadRequest` naming the field. `null` counts as absent, and
 * a field may be written `dataCrc32c` or `data_crc32c`. https://protobuf.dev/programming-guides/json/
 */
import { invalidArgument } from './google-error.ts';
import { type Call, jsonBody } from './route.ts';

/** What a field holds. `int64` stays decimal text, `bytes` becomes a Buffer (standard or URL-safe base64). */
export type FieldKind =
  | 'string'
  | 'bool'
  | 'int32'
  | 'int64'
  | 'bytes'
  | 'string-map'
  | 'int64-map'
  /** Any JSON, kept as it comes (`google.protobuf.Value`). */
  | 'any'
  | { readonly message: Shape }
  | { readonly repeated: FieldKind };

export interface Shape {
  readonly [field: string]: FieldKind;
}

type ValueOf<K> = K extends 'string' | 'int64'
  ? string
  : K extends 'bool'
    ? boolean
    : K extends 'int32'
      ? number
      : K extends 'bytes'
        ? Buffer
        : K extends 'string-map' | 'int64-map'
          ? Record<string, string>
          : K extends { readonly message: infer M }
            ? Message<M>
            : K extends { readonly repeated: infer R }
              ? readonly ValueOf<R>[]
              : K extends 'any'
                ? unknown
                : never;

/** The parsed form of a shape: absent fields are absent. */
export type Message<S> = { readonly [F in keyof S]?: ValueOf<S[F]> };

/** The request body as the shape says; an empty body is an empty message. Throws 400 `invalidArgument`. */
export function readMessage<const S extends Shape>(call: Call, shape: S): Message<S> {
  return parseObject(jsonBody(call), shape, '') as Message<S>;
}

const STANDARD_PARAMETERS = new Set([
  '$.xgafv',
  '$alt',
  '$prettyPrint',
  'access_token',
  'alt',
  'callback',
  'fields',
  'key',
  'oauth_token',
  'prettyPrint',
  'quotaUser',
  'uploadType',
  'upload_protocol',
]);

/** Refuses query parameters that the method does not have; those every Google method has are let through. */
export function checkQuery(call: Call, known: readonly string[] = []): void {
  for (const name of call.query.keys()) {
    if (STANDARD_PARAMETERS.has(name) || known.includes(name)) continue;
    throw violation(
      name,
      `Invalid JSON payload received. Unknown name "${name}": Cannot bind query parameter. Field '${name}' could not be found in request message.`,
    );
  }
}

/** True when the client asked for enum values as numbers, as gax does over REST (`$alt=json;enum-encoding=int`). */
export function wantsNumericEnums(call: Call): boolean {
  const alt = call.query.get('$alt') ?? call.query.get('alt') ?? '';
  return /(^|;)enum-encoding=int($|;)/.test(alt);
}

function parseObject(
  source: Readonly<Record<string, unknown>>,
  shape: Shape,
  path: string,
): Record<string, unknown> {
  const parsed: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(source)) {
    const field = Object.hasOwn(shape, name) ? name : camelCase(name);
    const kind = Object.hasOwn(shape, field) ? shape[field] : undefined;
    if (kind === undefined) {
      const where = path === '' ? '' : ` at '${path}'`;
      throw violation(
        path,
        `Invalid JSON payload received. Unknown name "${name}"${where}: Cannot find field.`,
      );
    }
    if (value !== null) parsed[field] = parseValue(value, kind, path === '' ? field : `${path}.${field}`);
  }
  return parsed;
}

function parseValue(value: unknown, kind: FieldKind, path: string): unknown {
  if (typeof kind === 'object') {
    if ('message' in kind) return parseObject(asObject(value, path), kind.message, path);
    if (!Array.isArray(value)) throw wrongType(path, 'TYPE_MESSAGE', value);
    return value.map((entry: unknown, index) => parseValue(entry, kind.repeated, `${path}[${index}]`));
  }
  switch (kind) {
    case 'string':
      if (typeof value !== 'string') throw wrongType(path, 'TYPE_STRING', value);
      return value;
    case 'bool':
      if (typeof value !== 'boolean') throw wrongType(path, 'TYPE_BOOL', value);
      return value;
    case 'int32':
      if (!isInteger(value, 32)) throw wrongType(path, 'TYPE_INT32', value);
      return Number(value);
    case 'int64':
      if (!isInteger(value, 64)) throw wrongType(path, 'TYPE_INT64', value);
      return numberText(value);
    case 'bytes':
      return parseBytes(value, path);
    case 'any':
      return value;
    case 'string-map':
    case 'int64-map': {
      const element = kind === 'string-map' ? 'string' : 'int64';
      return Object.fromEntries(
        Object.entries(asObject(value, path)).map(([key, entry]) => [
          key,
          parseValue(entry, element, `${path}[${key}]`),
        ]),
      );
    }
    default:
      return kind satisfies never;
  }
}

function parseBytes(value: unknown, path: string): Buffer {
  if (typeof value !== 'string') throw wrongType(path, 'TYPE_BYTES', value);
  const text = value.replaceAll('-', '+').replaceAll('_', '/').replace(/=+$/, '');
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64').replace(/=+$/, '') !== text) {
    // The value itself is left out: it may be a secret.
    throw violation(path, `Invalid value at '${path}' (TYPE_BYTES), Base64 decoding failed.`);
  }
  return bytes;
}

/** A whole number, as a JSON number or as decimal text, that fits into that many bits with its sign. */
function isInteger(value: unknown, bits: 32 | 64): boolean {
  const text = numberText(value);
  return /^-?\d{1,19}$/.test(text) && BigInt.asIntN(bits, BigInt(text)) === BigInt(text);
}

function numberText(value: unknown): string {
  return typeof value === 'number' && Number.isInteger(value)
    ? String(value)
    : typeof value === 'string'
      ? value
      : '';
}

function asObject(value: unknown, path: string): Record<string, unknown> {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw wrongType(path, 'TYPE_MESSAGE', value);
  }
  return value as Record<string, unknown>;
}

const camelCase = (name: string): string =>
  name.replace(/_([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase());

function wrongType(path: string, expected: string, value: unknown) {
  // Only the kind of a wrong value is named, never the value: request bodies carry keys and tokens.
  const given = Array.isArray(value) ? 'a list' : value === null ? 'null' : `a JSON ${typeof value}`;
  return violation(path, `Invalid value at '${path}' (${expected}): it is ${given}.`);
}

function violation(field: string, description: string) {
  return invalidArgument(description, {
    details: [
      {
        '@type': 'type.googleapis.com/google.rpc.BadRequest',
        fieldViolations: [field === '' ? { description } : { field, description }],
      },
    ],
  });
}
