import { createPublicKey, type JsonWebKey, verify } from 'node:crypto';
import { OAuth2Client } from 'google-auth-library';
import { iamcredentials } from 'googleapis/build/src/apis/iamcredentials/index.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  CLOUD_PLATFORM,
  type Company,
  EVENTS,
  GMAIL,
  GMAIL_SCOPE,
  MIDDLE,
  OTHER,
  openCompany,
} from './company.ts';

let company: Company;
beforeAll(async () => {
  company = await openCompany();
});
afterAll(() => company[Symbol.asyncDispose]());

/** Google's client, calling as a service account. */
function api(caller = EVENTS, scopes = [CLOUD_PLATFORM]) {
  const auth = new OAuth2Client();
  const { accessToken } = company.context.tokens.mint({ kind: 'service-account', email: caller, scopes });
  auth.setCredentials({ access_token: accessToken });
  return iamcredentials({ version: 'v1', rootUrl: company.root, auth, retry: false }).projects
    .serviceAccounts;
}

const name = (account: string, project = '-') => `projects/${project}/serviceAccounts/${account}`;
const seconds = (offset = 0) => Math.floor(company.context.clock.nowMs() / 1000) + offset;
const refusal = (status: number, googleStatus: string, message: unknown = expect.any(String)) => ({
  response: { status, data: { error: { code: status, status: googleStatus, message } } },
});

const signJwt = (payload: unknown, more: Record<string, unknown> = {}, caller = EVENTS, account = GMAIL) =>
  api(caller).signJwt({ name: name(account), requestBody: { payload: payload as string, ...more } });

describe('signJwt', () => {
  it("signs the payload text as given, with a key that the account's key set publishes", async () => {
    const payload = `{"iss": "${GMAIL}",  "sub":"ann@acme.example","exp":${seconds(3600)}}`;
    const { data } = await signJwt(payload);
    const [header = '', body = '', signature = ''] = (data.signedJwt ?? '').split('.');
    expect(JSON.parse(Buffer.from(header, 'base64url').toString())).toEqual({
      alg: 'RS256',
      kid: data.keyId,
      typ: 'JWT',
    });
    expect(Buffer.from(body, 'base64url').toString()).toBe(payload);

    const response = await fetch(`${company.root}service_accounts/v1/jwk/${encodeURIComponent(GMAIL)}`);
    const { keys } = (await response.json()) as { keys: (JsonWebKey & { kid: string })[] };
    const jwk = keys.find((key) => key.kid === data.keyId);
    const key = createPublicKey({ key: jwk ?? {}, format: 'jwk' });
    expect(verify('sha256', Buffer.from(`${header}.${body}`), key, Buffer.from(signature, 'base64url'))).toBe(
      true,
    );
  });

  it('makes assertions that the token endpoint takes for a delegated subject', async () => {
    const payload = JSON.stringify({
      iss: GMAIL,
      sub: 'ann@acme.example',
      scope: GMAIL_SCOPE,
      aud: 'https://oauth2.googleapis.com/token',
      iat: seconds(),
      exp: seconds(3600),
    });
    const { data } = await signJwt(payload);
    const response = await fetch(`${company.root}token`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
        assertion: data.signedJwt ?? '',
      }),
    });
    const { access_token } = (await response.json()) as { access_token: string };
    expect(company.context.tokens.identify(`Bearer ${access_token}`)).toMatchObject({
      kind: 'user',
      email: 'ann@acme.example',
    });
  });

  it('finds the account by its unique id too', async () => {
    const id = company.room.serviceAccount(GMAIL)?.uniqueId ?? '';
    expect((await signJwt('{}', {}, EVENTS, id)).status).toBe(200);
  });

  it('takes the iam scope', async () => {
    const answer = await api(EVENTS, ['https://www.googleapis.com/auth/iam']).signJwt({
      name: name(GMAIL),
      requestBody: { payload: '{}' },
    });
    expect(answer.status).toBe(200);
  });

  it.each([
    ['an object instead of text', { sub: 'a' }],
    ['text that is no JSON', 'sub=a'],
    ['JSON that is no object', '[1]'],
    ['nothing', undefined],
    ['an exp that is text', '{"exp":"1"}'],
    ['an exp that is no integer', `{"exp":${9e9 + 0.5}}`],
  ])('refuses %s as payload', async (_name, payload) => {
    await expect(signJwt(payload)).rejects.toMatchObject(refusal(400, 'INVALID_ARGUMENT'));
  });

  it('refuses an exp that is past or more than 12 hours ahead, and takes 12 hours', async () => {
    const at = (offset: number) => signJwt(JSON.stringify({ exp: seconds(offset) }));
    await expect(at(-1)).rejects.toMatchObject(refusal(400, 'INVALID_ARGUMENT'));
    await expect(at(12 * 3600 + 300)).rejects.toMatchObject(refusal(400, 'INVALID_ARGUMENT'));
    expect((await at(12 * 3600)).status).toBe(200);
  });

  it('refuses a field it does not know, naming it', async () => {
    await expect(signJwt('{}', { subject: 'ann' })).rejects.toMatchObject(
      refusal(
        400,
        'INVALID_ARGUMENT',
        'Invalid JSON payload received. Unknown name "subject": Cannot find field.',
      ),
    );
  });

  it('refuses a query parameter it does not know', async () => {
    const response = await fetch(`${company.root}v1/${name(GMAIL)}:signJwt?subject=ann`, {
      method: 'POST',
      headers: {
        authorization: company.bearer({ kind: 'service-account', email: EVENTS, scopes: [CLOUD_PLATFORM] }),
      },
    });
    expect(response.status).toBe(400);
  });

  it('refuses a project in place of the wildcard', async () => {
    const call = api().signJwt({ name: name(GMAIL, 'acme-sealwright'), requestBody: { payload: '{}' } });
    await expect(call).rejects.toMatchObject(
      refusal(400, 'INVALID_ARGUMENT', expect.stringContaining('"-"')),
    );
  });

  it('refuses a caller who is no token creator on the account, the account itself included', async () => {
    const denied = refusal(403, 'PERMISSION_DENIED', expect.stringContaining('iam.serviceAccounts.signJwt'));
    await expect(signJwt('{}', {}, OTHER)).rejects.toMatchObject(denied);
    await expect(signJwt('{}', {}, GMAIL)).rejects.toMatchObject(denied);
  });

  it('refuses a token with other scopes, and none at all', async () => {
    const call = api(EVENTS, [GMAIL_SCOPE]).signJwt({ name: name(GMAIL), requestBody: { payload: '{}' } });
    await expect(call).rejects.toMatchObject(refusal(403, 'PERMISSION_DENIED'));
    const bare = await fetch(`${company.root}v1/${name(GMAIL)}:signJwt`, { method: 'POST' });
    expect(bare.status).toBe(401);
  });

  it('answers 404 for an account that does not exist', async () => {
    const call = signJwt('{}', {}, EVENTS, 'nobody@acme-sealwright.iam.gserviceaccount.com');
    await expect(call).rejects.toMatchObject(refusal(404, 'NOT_FOUND', expect.stringContaining('Gaia id')));
  });

  it('follows a chain of delegates only where each link holds the role', async () => {
    const through = (delegates: unknown) => signJwt('{}', { delegates }, OTHER);
    expect((await through([name(MIDDLE)])).status).toBe(200);
    await expect(through([name(EVENTS)])).rejects.toMatchObject(refusal(403, 'PERMISSION_DENIED'));
    await expect(through([MIDDLE])).rejects.toMatchObject(refusal(400, 'INVALID_ARGUMENT'));
    await expect(through(MIDDLE)).rejects.toMatchObject(refusal(400, 'INVALID_ARGUMENT'));
  });
});

describe('generateIdToken', () => {
  const generate = (requestBody: Record<string, unknown>, caller = EVENTS) =>
    api(caller).generateIdToken({ name: name(GMAIL), requestBody });

  it('gives an ID token of Google, with the address only when asked', async () => {
    const audience = 'https://sign.acme.example';
    const bare = (await generate({ audience })).data.token ?? '';
    const full = (await generate({ audience, includeEmail: true })).data.token ?? '';
    const bareClaims = await company.room.idTokens.verifyGoogle(bare, audience);
    expect(Object.keys(bareClaims).sort()).toEqual(['aud', 'azp', 'exp', 'iat', 'iss', 'sub']);
    expect(await company.room.idTokens.verifyGoogle(full, audience)).toMatchObject({
      email: GMAIL,
      email_verified: true,
    });
  });

  it.each([
    ['without an audience', {}, 400],
    ['with an empty audience', { audience: '' }, 400],
    ['with an unknown field', { audience: 'a', email: true }, 400],
    ['with a field of the wrong type', { audience: 'a', includeEmail: 'yes' }, 400],
    [
      'for an organization number, which the emulator does not have',
      { audience: 'a', organizationNumberIncluded: true },
      501,
    ],
  ])('refuses a request %s', async (_name, body, status) => {
    await expect(generate(body)).rejects.toMatchObject({ response: { status } });
  });

  it('refuses a caller who is no token creator', async () => {
    await expect(generate({ audience: 'a' }, OTHER)).rejects.toMatchObject(refusal(403, 'PERMISSION_DENIED'));
  });
});

describe('generateAccessToken', () => {
  const generate = (requestBody: Record<string, unknown>, caller = EVENTS) =>
    api(caller).generateAccessToken({ name: name(GMAIL), requestBody });

  it('gives a token of the account itself, never of a user, and tells when it ends', async () => {
    const { data } = await generate({ scope: [GMAIL_SCOPE], lifetime: '600s' });
    expect(company.context.tokens.identify(`Bearer ${data.accessToken}`)).toEqual({
      kind: 'service-account',
      email: GMAIL,
      scopes: [GMAIL_SCOPE],
    });
    const lifeMs = Date.parse(data.expireTime ?? '') - Date.now();
    expect(lifeMs).toBeLessThanOrEqual(600_000);
    expect(lifeMs).toBeGreaterThan(500_000);
  });

  it.each([
    ['no scope', {}],
    ['an empty list of scopes', { scope: [] }],
    ['a scope that is none', { scope: ['all'] }],
    ['scopes as text', { scope: GMAIL_SCOPE }],
    ['a lifetime over an hour', { scope: [GMAIL_SCOPE], lifetime: '3601s' }],
    ['a lifetime of nothing', { scope: [GMAIL_SCOPE], lifetime: '0s' }],
    ['a lifetime without its unit', { scope: [GMAIL_SCOPE], lifetime: '600' }],
    ['a subject', { scope: [GMAIL_SCOPE], subject: 'ann@acme.example' }],
  ])('refuses %s', async (_name, body) => {
    await expect(generate(body)).rejects.toMatchObject(refusal(400, 'INVALID_ARGUMENT'));
  });

  it('refuses a caller who is no token creator', async () => {
    const call = generate({ scope: [GMAIL_SCOPE] }, OTHER);
    await expect(call).rejects.toMatchObject(refusal(403, 'PERMISSION_DENIED'));
  });
});
