import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose';
import type { Clock } from '../../../shared/ports/clock.ts';

/** Claims of a token; `undefined` takes one away that would be there otherwise. */
export type Claims = Readonly<Record<string, unknown>>;

/** Stands for Google where ID tokens are made: signs them, and publishes the keys under a root address. */
export interface GoogleKeys {
  /** With a slash at its end; serves `oauth2/v3/certs`. */
  readonly rootUrl: string;
  /** A token as Google makes it, RS256. */
  token(claims: Claims): Promise<string>;
  /** The same by somebody else's key under Google's key id. */
  forged(claims: Claims): Promise<string>;
  /** The same with `alg` none. */
  unsigned(claims: Claims): string;
  /** The same, signed with the bytes of Google's public key as if they were a shared secret. */
  confused(claims: Claims): Promise<string>;
  /** While true the keys cannot be fetched. */
  down: boolean;
  close(): Promise<void>;
}

const KEY_ID = 'google-1';

export async function googleKeys(clock: Clock): Promise<GoogleKeys> {
  const [google, stranger] = await Promise.all([generateKeyPair('RS256'), generateKeyPair('RS256')]);
  const jwk = { ...(await exportJWK(google.publicKey)), kid: KEY_ID, alg: 'RS256', use: 'sig' };
  const server = createServer((request, response) => {
    const known = request.url === '/oauth2/v3/certs' && !keys.down;
    response.statusCode = known ? 200 : 503;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(known ? { keys: [jwk] } : { error: 'down' }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  const payload = (claims: Claims) => {
    const now = Math.floor(clock.now().getTime() / 1000);
    return {
      iss: 'https://accounts.google.com',
      sub: '113000000000000000001',
      email_verified: true,
      iat: now,
      exp: now + 3600,
      ...claims,
    };
  };
  const signed = (claims: Claims, key: Parameters<SignJWT['sign']>[0], alg = 'RS256') =>
    new SignJWT(payload(claims)).setProtectedHeader({ alg, kid: KEY_ID, typ: 'JWT' }).sign(key);

  const keys: GoogleKeys = {
    rootUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    token: (claims) => signed(claims, google.privateKey),
    forged: (claims) => signed(claims, stranger.privateKey),
    unsigned: (claims) => new UnsecuredJWT(payload(claims)).encode(),
    confused: (claims) => signed(claims, Buffer.from(jwk.n ?? '', 'base64url'), 'HS256'),
    down: false,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return keys;
}

/** What Cloud Run hands to our code instead of the token it verified. */
export const strippedOfSignature = (token: string): string =>
  `${token.split('.').slice(0, 2).join('.')}.SIGNATURE_REMOVED_BY_GOOGLE`;
