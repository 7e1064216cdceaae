import { createSign, generateKeyPairSync } from 'node:crypto';
import { JWT } from 'google-auth-library';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KeyFile } from '../../../emulator/identity/index.ts';
import { type Company, DIRECTORY_SCOPE, GMAIL, GMAIL_SCOPE, openCompany } from './company.ts';

const GOOGLE_TOKEN_URL = 'https://oauth2.googleapis.com/token';
const GRANT_TYPE = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

let company: Company;
let keyFile: KeyFile;

beforeAll(async () => {
  company = await openCompany();
  keyFile = await company.room.createKeyFile(GMAIL);
});
afterAll(() => company[Symbol.asyncDispose]());

/** Google's own client. It ignores a key file's `token_uri`, so its transport is turned towards the emulator. */
function client(
  options: { subject?: string; scopes?: string[]; claims?: Record<string, unknown> } = {},
): JWT {
  const jwt = new JWT({
    email: keyFile.client_email,
    key: keyFile.private_key,
    scopes: options.scopes ?? [GMAIL_SCOPE],
    ...(options.subject === undefined ? {} : { subject: options.subject }),
    ...(options.claims === undefined ? {} : { additionalClaims: options.claims }),
  });
  jwt.transporter.interceptors.request.add({
    resolved: async (request) => {
      if (String(request.url) === GOOGLE_TOKEN_URL) request.url = new URL(keyFile.token_uri);
      return request;
    },
  });
  return jwt;
}

const seconds = (offset = 0): number => Math.floor(company.context.clock.nowMs() / 1000) + offset;

interface AssertionChange {
  claims?: Record<string, unknown>;
  header?: Record<string, unknown>;
  key?: string;
  signature?: string;
}

function assertion(change: AssertionChange = {}): string {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = {
    iss: GMAIL,
    scope: GMAIL_SCOPE,
    aud: GOOGLE_TOKEN_URL,
    iat: seconds(),
    exp: seconds(3600),
    ...change.claims,
  };
  const header = { alg: 'RS256', typ: 'JWT', kid: keyFile.private_key_id, ...change.header };
  const input = `${encode(header)}.${encode(claims)}`;
  const signature = createSign('RSA-SHA256')
    .update(input)
    .sign(change.key ?? keyFile.private_key, 'base64url');
  return `${input}.${change.signature ?? signature}`;
}

async function post(form: Record<string, string> | string, contentType?: string) {
  const response = await fetch(`${company.root}token`, {
    method: 'POST',
    body: typeof form === 'string' ? form : new URLSearchParams(form),
    ...(contentType === undefined ? {} : { headers: { 'content-type': contentType } }),
  });
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Record<string, unknown>,
  };
}

const grant = (change: AssertionChange = {}) =>
  post({ grant_type: GRANT_TYPE, assertion: assertion(change) });
const refused = (status: number, error: string, description: unknown = expect.any(String)) => ({
  status,
  body: { error, error_description: description },
});

describe("the token endpoint, through Google's JWT client,", () => {
  it('gives a token that speaks for the delegated subject', async () => {
    const { token } = await client({ subject: 'ann@acme.example' }).getAccessToken();
    expect(company.context.tokens.identify(`Bearer ${token}`)).toEqual({
      kind: 'user',
      email: 'ann@acme.example',
      scopes: [GMAIL_SCOPE],
      serviceAccount: GMAIL,
    });
  });

  it('gives a token for the service account itself when there is no subject, whatever was delegated', async () => {
    const { token } = await client({ scopes: [DIRECTORY_SCOPE] }).getAccessToken();
    expect(company.context.tokens.identify(`Bearer ${token}`)).toEqual({
      kind: 'service-account',
      email: GMAIL,
      scopes: [DIRECTORY_SCOPE],
    });
  });

  it('gives an ID token of Google for a target audience', async () => {
    const idToken = await client().fetchIdToken('https://sign.acme.example');
    const claims = await company.room.idTokens.verifyGoogle(idToken, 'https://sign.acme.example');
    expect(claims).toMatchObject({
      iss: 'https://accounts.google.com',
      azp: GMAIL,
      email: GMAIL,
      email_verified: true,
      sub: company.room.serviceAccount(GMAIL)?.uniqueId,
    });
  });

  it('refuses a scope that is not delegated', async () => {
    await expect(
      client({ subject: 'ann@acme.example', scopes: [GMAIL_SCOPE, DIRECTORY_SCOPE] }).getAccessToken(),
    ).rejects.toMatchObject({ response: { status: 401, data: { error: 'unauthorized_client' } } });
  });

  it('refuses a subject nobody has', async () => {
    await expect(client({ subject: 'nobody@acme.example' }).getAccessToken()).rejects.toThrow(
      'invalid_grant: Invalid email or User ID',
    );
  });
});

describe('the token endpoint', () => {
  it('answers token, seconds to live and type, and forbids caching', async () => {
    const answer = await grant();
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      access_token: expect.stringMatching(/^ya29\./),
      expires_in: 3599,
      token_type: 'Bearer',
    });
    expect(answer.headers.get('cache-control')).toContain('no-store');
  });

  it("takes the emulator's own token address as audience", async () => {
    expect((await grant({ claims: { aud: keyFile.token_uri } })).status).toBe(200);
  });

  it('takes an assertion without a key id, as older clients send', async () => {
    expect((await grant({ header: { kid: undefined } })).status).toBe(200);
  });

  it('takes an assertion that names the service account itself as subject', async () => {
    expect((await grant({ claims: { sub: GMAIL } })).status).toBe(200);
  });

  it.each([
    ['another audience', { claims: { aud: 'https://example.com/token' } }, /audience/],
    ['an issuer that is no service account', { claims: { iss: 'x@y.example' } }, /No valid verifier/],
    ['an issuer that is no text', { claims: { iss: 7 } }, /No valid verifier/],
    ['a key id the account does not have', { header: { kid: 'ff' } }, /^Invalid JWT Signature\.$/],
    ['another algorithm', { header: { alg: 'none' } }, /^Invalid JWT Signature\.$/],
    ['a broken signature', { signature: 'AAAA' }, /^Invalid JWT Signature\.$/],
  ] as const)('answers invalid_grant to %s', async (_name, change, description) => {
    expect(await grant(change)).toMatchObject(
      refused(400, 'invalid_grant', expect.stringMatching(description)),
    );
  });

  it('answers invalid_grant to a signature by another key', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
    expect(await grant({ key })).toMatchObject(refused(400, 'invalid_grant', 'Invalid JWT Signature.'));
  });

  it.each([
    ['an expiry that is past', -3600, -1],
    ['an issue time beyond the allowed skew', 120, 3600],
    ['a life longer than an hour', 0, 3601],
    ['an expiry before its issue time', 30, 20],
  ])('answers invalid_grant to %s', async (_name, iat, exp) => {
    const answer = await grant({ claims: { iat: seconds(iat), exp: seconds(exp) } });
    expect(answer).toMatchObject(refused(400, 'invalid_grant', expect.stringMatching(/iat and exp/)));
  });

  it.each([
    ['iat', { iat: undefined }],
    ['exp', { exp: undefined }],
    ['a numeric exp', { exp: '9999999999' }],
  ])('answers invalid_grant to an assertion without %s', async (_name, claims) => {
    expect(await grant({ claims })).toMatchObject(refused(400, 'invalid_grant'));
  });

  it('answers invalid_scope without a scope, and for text that is none', async () => {
    expect(await grant({ claims: { scope: undefined } })).toMatchObject(refused(400, 'invalid_scope'));
    expect(await grant({ claims: { scope: 'everything' } })).toMatchObject(refused(400, 'invalid_scope'));
  });

  it('answers invalid_scope to an empty target audience', async () => {
    expect(await grant({ claims: { target_audience: '' } })).toMatchObject(refused(400, 'invalid_scope'));
  });

  it('makes no ID token for somebody else', async () => {
    const claims = { target_audience: 'https://a.example', sub: 'ann@acme.example' };
    expect(await grant({ claims })).toMatchObject(refused(400, 'invalid_request'));
  });

  it.each([
    ['an unknown subject', 'nobody@acme.example'],
    ['an alias', 'ann.old@acme.example'],
    ['a subject that is no address', 'ann'],
  ])('answers invalid_grant to %s', async (_name, sub) => {
    expect(await grant({ claims: { sub } })).toMatchObject(refused(400, 'invalid_grant'));
  });

  it('takes a subject without regard to case', async () => {
    expect((await grant({ claims: { sub: 'Ann@Acme.Example' } })).status).toBe(200);
  });

  it.each([
    ['another grant type', { grant_type: 'password', assertion: 'x' }, 'unsupported_grant_type'],
    ['no grant type', { assertion: 'x' }, 'invalid_request'],
    ['no assertion', { grant_type: GRANT_TYPE }, 'invalid_request'],
    ['an assertion that is no JWT', { grant_type: GRANT_TYPE, assertion: 'a.b' }, 'invalid_grant'],
    ['an assertion of rubbish', { grant_type: GRANT_TYPE, assertion: 'a.b.c' }, 'invalid_grant'],
  ])('refuses a form with %s', async (_name, form, error) => {
    expect(await post(form as Record<string, string>)).toMatchObject(refused(400, error));
  });

  it('refuses a parameter given twice and a body of another type', async () => {
    const twice = `grant_type=a&grant_type=b`;
    expect(await post(twice, 'application/x-www-form-urlencoded')).toMatchObject(
      refused(400, 'invalid_request'),
    );
    expect(await post('{}', 'application/json')).toMatchObject(refused(400, 'invalid_request'));
  });
});

describe('the token endpoint, for somebody who leaves,', () => {
  it('refuses a suspended subject and ends the tokens minted before, but no others', async () => {
    await using place = await openCompany();
    const file = await place.room.createKeyFile(GMAIL);
    const key = file.private_key;
    const header = { kid: file.private_key_id };
    const ask = async (sub: string) => {
      const form = { grant_type: GRANT_TYPE, assertion: assertion({ key, header, claims: { sub } }) };
      const response = await fetch(`${place.root}token`, { method: 'POST', body: new URLSearchParams(form) });
      return (await response.json()) as { access_token?: string; error?: string };
    };
    const ann = await ask('ann@acme.example');
    const bob = await ask('bob@acme.example');
    place.people.update('1001', { suspended: true });

    expect(await ask('ann@acme.example')).toMatchObject({ error: 'invalid_grant' });
    expect(() => place.context.tokens.identify(`Bearer ${ann.access_token}`)).toThrow(
      expect.objectContaining({ httpStatus: 401 }),
    );
    expect(place.context.tokens.identify(`Bearer ${bob.access_token}`)).toMatchObject({
      email: 'bob@acme.example',
    });
  });

  it('refuses a deleted subject, says that it was deleted, and ends its tokens', async () => {
    await using place = await openCompany();
    const file = await place.room.createKeyFile(GMAIL);
    const token = place.bearer({
      kind: 'user',
      email: 'bob@acme.example',
      scopes: [GMAIL_SCOPE],
      serviceAccount: GMAIL,
    });
    place.people.delete('1002');
    const form = {
      grant_type: GRANT_TYPE,
      assertion: assertion({
        key: file.private_key,
        header: { kid: file.private_key_id },
        claims: { sub: 'bob@acme.example' },
      }),
    };
    const response = await fetch(`${place.root}token`, { method: 'POST', body: new URLSearchParams(form) });
    expect(await response.json()).toEqual({
      error: 'invalid_grant',
      error_description: 'The account has been deleted',
    });
    expect(() => place.context.tokens.identify(token)).toThrow(expect.objectContaining({ httpStatus: 401 }));
  });
});

describe('the token endpoint, once the clock has moved,', () => {
  it("serves clients that live by the emulator's clock and clients that live by the machine's", async () => {
    await using place = await openCompany();
    const file = await place.room.createKeyFile(GMAIL);
    place.context.clock.advance(35 * 86_400_000);
    const ask = async (iat: number) => {
      const claims = { iat, exp: iat + 3600 };
      const form = {
        grant_type: GRANT_TYPE,
        assertion: assertion({ key: file.private_key, header: { kid: file.private_key_id }, claims }),
      };
      const response = await fetch(`${place.root}token`, { method: 'POST', body: new URLSearchParams(form) });
      return (await response.json()) as { access_token?: string; error?: string };
    };
    const machine = await ask(Math.floor(Date.now() / 1000));
    const emulator = await ask(Math.floor(place.context.clock.nowMs() / 1000));
    expect(await ask(Math.floor(Date.now() / 1000) + 86_400)).toMatchObject({ error: 'invalid_grant' });
    expect(place.context.tokens.identify(`Bearer ${emulator.access_token}`)).toBeDefined();

    place.context.clock.advance(2 * 3_600_000);
    expect(place.context.tokens.identify(`Bearer ${machine.access_token}`)).toBeDefined();
    expect(() => place.context.tokens.identify(`Bearer ${emulator.access_token}`)).toThrow();
  });
});
