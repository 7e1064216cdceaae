/** Stand-ins the key service is tested with: issuers of tokens, the server that publishes their keys, clock and log. */
import { generateKeyPair, type KeyObject } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { calculateJwkThumbprint, SignJWT } from 'jose';
import type { Clock } from '../../shared/ports/clock.ts';
import type { KeyEncryptionKeys } from '../../shared/ports/key-encryption-keys.ts';
import type { Log } from '../../shared/ports/log.ts';
import type { TokenSigningKeys } from '../../shared/ports/token-signing-keys.ts';

const generate = promisify(generateKeyPair);

export interface RsaPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

export const rsaPair = (modulusLength: number): Promise<RsaPair> => generate('rsa', { modulusLength });

export class ManualClock implements Clock {
  private at: number;
  constructor(start = '2026-11-23T12:00:00Z') {
    this.at = Date.parse(start);
  }
  now(): Date {
    return new Date(this.at);
  }
  seconds(): number {
    return Math.floor(this.at / 1000);
  }
  advance(ms: number): void {
    this.at += ms;
  }
}

export interface LogLine {
  readonly severity: 'info' | 'warning' | 'error';
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export function memoryLog(): Log & { readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const line =
    (severity: LogLine['severity']) =>
    (event: string, fields: Readonly<Record<string, unknown>> = {}) => {
      lines.push({ severity, event, fields });
    };
  return { lines, info: line('info'), warning: line('warning'), error: line('error') };
}

/** Key-encryption keys in memory, newest first. */
export function memoryKeks(
  entries: readonly { readonly id: string; readonly key: Uint8Array }[],
): KeyEncryptionKeys {
  return {
    async current() {
      const [newest] = entries;
      if (newest === undefined) throw new Error('This test has no key-encryption key.');
      return newest;
    },
    byId: async (id) => entries.find((entry) => entry.id === id)?.key,
  };
}

/** Keys for the service's own tokens in memory, the signing one first; ids are the thumbprints jose computes. */
export function memorySigningKeys(pairs: readonly RsaPair[]): TokenSigningKeys {
  const idOf = (pair: RsaPair) => calculateJwkThumbprint(pair.publicKey.export({ format: 'jwk' }));
  return {
    async current() {
      const [pair] = pairs;
      if (pair === undefined) throw new Error('This test has no signing key.');
      return { keyId: await idOf(pair), privateKey: pair.privateKey };
    },
    published: () =>
      Promise.all(pairs.map(async (pair) => ({ keyId: await idOf(pair), publicKey: pair.publicKey }))),
  };
}

/** Signs tokens with RS256 under a key id; `claims` that are undefined are left out of the token. */
export function signToken(
  pair: RsaPair,
  kid: string | undefined,
  claims: Readonly<Record<string, unknown>>,
  header: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  return new SignJWT({ ...claims })
    .setProtectedHeader({ alg: 'RS256', typ: 'JWT', ...(kid === undefined ? {} : { kid }), ...header })
    .sign(pair.privateKey);
}

export const jwkOf = (pair: RsaPair, kid: string) => ({
  ...pair.publicKey.export({ format: 'jwk' }),
  kid,
  use: 'sig',
  alg: 'RS256',
});

export interface LocalServer {
  /** Without a trailing slash. */
  readonly root: string;
  close(): Promise<void>;
}

export async function localServer(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<LocalServer> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    root: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve, reject) => {
        server.closeAllConnections();
        server.close((error) => (error === undefined ? resolve() : reject(error)));
      }),
  };
}

export interface KeySetServer extends LocalServer {
  /** What is published at each path; a path that is missing answers 404. */
  readonly published: Map<string, unknown[]>;
  /** How often each path was asked for. */
  readonly asked: Map<string, number>;
  down: boolean;
}

export async function keySetServer(): Promise<KeySetServer> {
  const published = new Map<string, unknown[]>();
  const asked = new Map<string, number>();
  const state = { down: false };
  const server = await localServer((request, response) => {
    const path = request.url ?? '/';
    asked.set(path, (asked.get(path) ?? 0) + 1);
    const keys = published.get(path);
    response.setHeader('content-type', 'application/json');
    response.setHeader('cache-control', 'public, max-age=3600');
    response.statusCode = state.down ? 503 : keys === undefined ? 404 : 200;
    response.end(JSON.stringify({ keys }));
  });
  return Object.assign(state, { ...server, published, asked });
}

/** A module for node's `--import` with which `privateDecrypt` of `node:crypto` does this instead. */
export const privateDecryptAs = (code: string): string =>
  `data:text/javascript,${encodeURIComponent(
    `import crypto from 'node:crypto'; import { syncBuiltinESMExports } from 'node:module';
     crypto.privateDecrypt = ${code}; syncBuiltinESMExports();`,
  )}`;
