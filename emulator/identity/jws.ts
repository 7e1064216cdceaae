/** Compact JWS with RS256 (RFC 7515, RFC 7518 section 3.3), the one form Google's token issuers use. */
import { type KeyObject, sign, verify } from 'node:crypto';
import { promisify } from 'node:util';
import type { SigningKey } from './key-rings.ts';

export interface ParsedJws {
  readonly header: Readonly<Record<string, unknown>>;
  readonly claims: Readonly<Record<string, unknown>>;
  readonly signingInput: string;
  readonly signature: Buffer;
}

/** RSA takes a millisecond, which others need not wait for. */
const signOnThread = promisify<string, Uint8Array, KeyObject, Buffer>(sign);

/** Signs the payload text as it stands, so that `signJwt` keeps the caller's bytes. */
export async function signText(payload: string, key: SigningKey): Promise<string> {
  const header = JSON.stringify({ alg: 'RS256', kid: key.kid, typ: 'JWT' });
  const input = `${base64url(header)}.${base64url(payload)}`;
  const signature = await signOnThread('sha256', Buffer.from(input), key.privateKey);
  return `${input}.${signature.toString('base64url')}`;
}

/** Undefined when the text is no compact JWS with JSON objects inside. */
export function parseJws(token: string): ParsedJws | undefined {
  const parts = token.split('.');
  const [header, payload, signature] = parts;
  if (parts.length !== 3 || header === undefined || payload === undefined || signature === undefined) {
    return undefined;
  }
  if (!parts.every((part) => /^[A-Za-z0-9_-]+$/.test(part))) return undefined;
  const headerObject = parseJsonObject(header);
  const claims = parseJsonObject(payload);
  if (headerObject === undefined || claims === undefined) return undefined;
  return {
    header: headerObject,
    claims,
    signingInput: `${header}.${payload}`,
    signature: Buffer.from(signature, 'base64url'),
  };
}

/** True when the header says RS256 and one of the keys made the signature. */
export function isSignedBy(jws: ParsedJws, keys: readonly KeyObject[]): boolean {
  if (jws.header['alg'] !== 'RS256') return false;
  const input = Buffer.from(jws.signingInput);
  return keys.some((key) => verify('sha256', input, key, jws.signature));
}

/** The header's key id; undefined when it names none. */
export function keyIdOf(jws: ParsedJws): string | undefined {
  const kid = jws.header['kid'];
  return typeof kid === 'string' ? kid : undefined;
}

function parseJsonObject(part: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    return value !== null && typeof value === 'object' && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

const base64url = (text: string): string => Buffer.from(text, 'utf8').toString('base64url');
