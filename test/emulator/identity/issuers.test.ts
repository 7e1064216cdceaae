import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createRemoteJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  type JWTPayload,
  jwtVerify,
  SignJWT,
} from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GOOGLE_ISSUER } from '../../../emulator/core/outbound-request.ts';
import { CSE_ISSUERS } from '../../../emulator/identity/index.ts';
import { type Company, GMAIL, openCompany } from './company.ts';

const AUDIENCE = 'https://admin.acme.example';
const IDP = 'https://idp.acme.example';

let company: Company;
beforeAll(async () => {
  company = await openCompany();
});
afterAll(() => company[Symbol.asyncDispose]());

/** What anybody's verifier says, reading the published keys over HTTP. */
async function verified(token: string, path: string): Promise<JWTPayload> {
  const { payload } = await jwtVerify(token, createRemoteJWKSet(new URL(`${company.root}${path}`)));
  return payload;
}

describe('a token issuer', () => {
  it.each([
    ['Google', GOOGLE_ISSUER, 'oauth2/v3/certs'],
    ["the company's provider", IDP, '_idp/jwks'],
    ['a service account', GMAIL, `service_accounts/v1/jwk/${GMAIL}`],
    ...Object.entries(CSE_ISSUERS).map(([name, issuer]) => [
      name,
      issuer,
      `service_accounts/v1/jwk/${encodeURIComponent(issuer)}`,
    ]),
  ])('(%s) signs what its published keys verify', async (_name, issuer = '', path = '') => {
    const token = await company.room.idTokens.mint(issuer, { aud: 'a', email: 'x=<y>' });
    expect(decodeProtectedHeader(token)).toEqual({
      alg: 'RS256',
      typ: 'JWT',
      kid: expect.stringMatching(/^[0-9a-f]{40}$/),
    });
    const claims = await verified(token, path);
    expect(claims).toMatchObject({ iss: issuer, aud: 'a', email: 'x=<y>' });
    expect((claims.exp ?? 0) - (claims.iat ?? 0)).toBe(3600);
  });

  it('publishes keys with what a verifier needs and no private part, for caches to keep', async () => {
    const response = await fetch(`${company.root}oauth2/v3/certs`);
    const { keys } = (await response.json()) as { keys: Record<string, unknown>[] };
    expect(response.headers.get('cache-control')).toMatch(/max-age=\d+/);
    expect(keys.length).toBeGreaterThan(0);
    for (const key of keys) {
      expect(Object.keys(key).sort()).toEqual(['alg', 'e', 'kid', 'kty', 'n', 'use']);
      expect(key).toMatchObject({ kty: 'RSA', alg: 'RS256', use: 'sig' });
    }
  });

  it.each([
    'x@y.iam.gserviceaccount.com',
    'nobody',
    encodeURIComponent(GOOGLE_ISSUER),
    encodeURIComponent(IDP),
  ])('does not exist under the service-account path %s', async (account) => {
    const response = await fetch(`${company.root}service_accounts/v1/jwk/${account}`);
    expect(response.status).toBe(404);
  });

  it('cannot be one the emulator does not stand in for', async () => {
    await expect(company.room.idTokens.mint('https://evil.example', {})).rejects.toThrow(RangeError);
  });

  it('keeps earlier keys published after it rotates', async () => {
    const old = await company.room.idTokens.mint(IDP, { aud: 'a' });
    await company.room.rotateKeys(IDP);
    const fresh = await company.room.idTokens.mint(IDP, { aud: 'a' });
    expect(decodeProtectedHeader(fresh).kid).not.toBe(decodeProtectedHeader(old).kid);
    await expect(verified(old, '_idp/jwks')).resolves.toMatchObject({ aud: 'a' });
    await expect(verified(fresh, '_idp/jwks')).resolves.toMatchObject({ aud: 'a' });
  });

  it('asked by many at once makes one first key', async () => {
    await using place = await openCompany();
    const tokens = await Promise.all(
      Array.from({ length: 5 }, () => place.room.idTokens.mint(IDP, { aud: 'a' })),
    );
    expect(new Set(tokens.map((token) => decodeProtectedHeader(token).kid)).size).toBe(1);
  });

  it('keeps its keys, and service accounts their ids and key files, over a restart', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'identity-'));
    const file = join(folder, 'state.json');
    try {
      const first = await openCompany(file);
      const token = await first.room.idTokens.mint(GOOGLE_ISSUER, { aud: AUDIENCE });
      const keyFile = await first.room.createKeyFile(GMAIL);
      await first[Symbol.asyncDispose]();

      await using second = await openCompany(file);
      await expect(second.room.idTokens.verifyGoogle(token, AUDIENCE)).resolves.toMatchObject({
        aud: AUDIENCE,
      });
      expect(second.room.serviceAccount(GMAIL)?.uniqueId).toBe(keyFile.client_id);
      const response = await fetch(`${second.root}service_accounts/v1/jwk/${GMAIL}`);
      const { keys } = (await response.json()) as { keys: { kid: string }[] };
      expect(keys.map((key) => key.kid)).toContain(keyFile.private_key_id);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("the company's identity provider", () => {
  it('describes itself, with an issuer name of its own and keys any origin may read', async () => {
    const response = await fetch(`${company.root}_idp/.well-known/openid-configuration`);
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    const configuration = (await response.json()) as Record<string, unknown>;
    expect(configuration).toMatchObject({ issuer: IDP, jwks_uri: `${company.root}_idp/jwks` });
    for (const required of [
      'authorization_endpoint',
      'response_types_supported',
      'subject_types_supported',
      'id_token_signing_alg_values_supported',
    ]) {
      expect(configuration).toHaveProperty(required);
    }
  });
});

describe('verifying a Google ID token', () => {
  const verify = (token: string, audience = AUDIENCE) => company.room.idTokens.verifyGoogle(token, audience);
  const ann = (place = company) =>
    place.room.idTokens.mint(GOOGLE_ISSUER, { aud: AUDIENCE, email: 'ann@acme.example' });
  const refused = expect.objectContaining({ httpStatus: 401, reason: 'authError' });

  it('takes a token of Google for its audience', async () => {
    expect(await verify(await ann())).toMatchObject({ aud: AUDIENCE, email: 'ann@acme.example' });
  });

  it('refuses another audience, also of a token that its own has taken', async () => {
    const token = await ann();
    await expect(verify(token)).resolves.toBeDefined();
    await expect(verify(token, `${AUDIENCE}/`)).rejects.toEqual(refused);
  });

  it('refuses an issuer name that is not Google, even with the key of Google', async () => {
    const token = await company.room.idTokens.mint(GOOGLE_ISSUER, { iss: IDP, aud: AUDIENCE });
    await expect(verify(token)).rejects.toEqual(refused);
  });

  it('refuses tokens of the other issuers here', async () => {
    for (const issuer of [IDP, GMAIL, CSE_ISSUERS.gmail]) {
      const token = await company.room.idTokens.mint(issuer, { iss: GOOGLE_ISSUER, aud: AUDIENCE });
      await expect(verify(token)).rejects.toEqual(refused);
    }
  });

  it.each([
    ['expired', { iat: -7200, exp: -1 }],
    ['issued in the future', { iat: 120, exp: 3600 }],
  ])('refuses a token that is %s', async (_name, times) => {
    const now = Math.floor(company.context.clock.nowMs() / 1000);
    const claims = { aud: AUDIENCE, iat: now + times.iat, exp: now + times.exp };
    await expect(verify(await company.room.idTokens.mint(GOOGLE_ISSUER, claims))).rejects.toEqual(refused);
  });

  it('refuses a token without times', async () => {
    const token = await company.room.idTokens.mint(GOOGLE_ISSUER, { aud: AUDIENCE, exp: undefined });
    await expect(verify(token)).rejects.toEqual(refused);
  });

  it('refuses a changed payload, a symmetric signature, no signature and rubbish, also of a token that was taken', async () => {
    const token = await ann();
    await expect(verify(token)).resolves.toBeDefined();
    const [header = '', , signature = ''] = token.split('.');
    const payload = Buffer.from(JSON.stringify({ ...decodeJwt(token), email: 'admin@acme.example' }));
    const kid = decodeProtectedHeader(token).kid ?? '';
    const symmetric = await new SignJWT({ ...decodeJwt(token) })
      .setProtectedHeader({ alg: 'HS256', kid })
      .sign(Buffer.alloc(32));
    const without = token.replace(/[^.]+$/, 'SIGNATURE_REMOVED_BY_GOOGLE');
    for (const forged of [
      `${header}.${payload.toString('base64url')}.${signature}`,
      symmetric,
      without,
      `${header}..`,
      'rubbish',
      '',
    ]) {
      await expect(verify(forged)).rejects.toEqual(refused);
    }
  });

  it('refuses a token once the clock has moved past its end', async () => {
    await using place = await openCompany();
    const token = await ann(place);
    place.context.clock.advance(3_500_000);
    await expect(place.room.idTokens.verifyGoogle(token, AUDIENCE)).resolves.toBeDefined();
    place.context.clock.advance(101_000);
    await expect(place.room.idTokens.verifyGoogle(token, AUDIENCE)).rejects.toEqual(refused);
  });
});

describe("the tokens of Gmail's client", () => {
  const request = {
    email: 'Ann@acme.example',
    role: 'signer',
    keyPairId: 'ANe1Bmj',
    spkiHashBase64: 'uq2NTjD6SHu1YNBCp5P8ZL5UdioRj2d+ysGHFOmLjhI=',
    kaclsUrl: 'https://kacls.acme.example',
    messageId: '<1@acme.example>',
  } as const;

  it('are one of the provider for the client, and one of Gmail with exactly the claims Gmail sends', async () => {
    const { authentication, authorization } = await company.room.gmailTokens(request);
    expect(await verified(authentication, '_idp/jwks')).toMatchObject({
      iss: IDP,
      aud: 'gmail-client',
      sub: '1001',
      email: 'ann@acme.example',
      nonce: expect.stringMatching(/:https:\/\/client-side-encryption\.google\.com$/),
    });
    expect(await verified(authorization, `service_accounts/v1/jwk/${CSE_ISSUERS.gmail}`)).toEqual({
      iss: 'gsuitecse-tokenissuer-gmail@system.gserviceaccount.com',
      aud: 'cse-authorization',
      email: 'ann@acme.example',
      role: 'signer',
      resource_name: '//gmail.googleapis.com/gmail/users/ann%40acme.example/settings/cse/keypairs/ANe1Bmj',
      perimeter_id: '',
      kacls_url: 'https://kacls.acme.example',
      kacls_owner_domain: 'acme.example',
      spki_hash: request.spkiHashBase64,
      spki_hash_algorithm: 'SHA-256',
      message_id: '<1@acme.example>',
      iat: expect.any(Number),
      exp: expect.any(Number),
    });
  });

  it('escape characters inside their JSON, as real ones do', async () => {
    const { authorization } = await company.room.gmailTokens(request);
    const payload = Buffer.from(authorization.split('.')[1] ?? '', 'base64url').toString();
    expect(payload).toContain('\\u003c1@acme.example\\u003e');
    expect(payload).toContain('LjhI\\u003d"');
  });

  it('are not given to somebody suspended, archived, deleted or unknown', async () => {
    await using place = await openCompany();
    place.people.update('1001', { suspended: true });
    place.people.delete('1002');
    place.people.update('1003', { archived: true });
    for (const email of [
      'cara@acme.example',
      'ann@acme.example',
      'bob@acme.example',
      'nobody@acme.example',
    ]) {
      const denied = expect.objectContaining({ httpStatus: 403 });
      await expect(place.room.gmailTokens({ ...request, email })).rejects.toEqual(denied);
    }
  });
});

describe('a service account', () => {
  it('keeps its id when its grants change, and loses the grants that are not given again', async () => {
    await using place = await openCompany();
    const before = place.room.serviceAccount(GMAIL);
    const after = place.room.putServiceAccount({ email: GMAIL });
    expect(after).toEqual({
      email: GMAIL,
      uniqueId: before?.uniqueId,
      delegatedScopes: [],
      tokenCreators: [],
    });
    expect(after.uniqueId).toMatch(/^1\d{20}$/);
  });

  it('must be written as one, and must exist to get a key file', async () => {
    expect(() => company.room.putServiceAccount({ email: 'ann@acme.example' })).toThrow(RangeError);
    await expect(company.room.createKeyFile('x@y.iam.gserviceaccount.com')).rejects.toThrow(RangeError);
  });

  it('gets key files in the standard form, whose private half is in no state', async () => {
    await using place = await openCompany();
    const keyFile = await place.room.createKeyFile(GMAIL);
    expect(keyFile).toMatchObject({
      type: 'service_account',
      project_id: 'acme-sealwright',
      client_email: GMAIL,
      token_uri: `${place.root}token`,
    });
    const kept = JSON.stringify(place.context.state.section('identityKeys', () => ({})));
    expect(kept).toContain(keyFile.private_key_id);
    expect(kept).not.toContain('PRIVATE KEY');
  });
});
