import { Compute, GoogleAuth } from 'google-auth-library';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  CLOUD_PLATFORM,
  type Company,
  DIRECTORY_SCOPE,
  EVENTS,
  GMAIL,
  OTHER,
  openCompany,
} from './company.ts';

let company: Company;
const before = { ...process.env };

beforeAll(async () => {
  company = await openCompany();
  process.env['GCE_METADATA_HOST'] = `127.0.0.1:${company.port}`;
  delete process.env['GOOGLE_APPLICATION_CREDENTIALS'];
  delete process.env['GOOGLE_CLOUD_PROJECT'];
  delete process.env['GCLOUD_PROJECT'];
  // No key file of whoever runs this test may be found.
  process.env['HOME'] = '/nonexistent';
  process.env['CLOUDSDK_CONFIG'] = '/nonexistent';
});
afterAll(async () => {
  for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
  Object.assign(process.env, before);
  await company[Symbol.asyncDispose]();
});

async function get(path: string, headers: Record<string, string> = { 'metadata-flavor': 'Google' }) {
  const response = await fetch(`${company.root}computeMetadata/v1${path}`, { headers, redirect: 'manual' });
  return { status: response.status, headers: response.headers, body: await response.text() };
}

describe("the metadata server, through Google's client,", () => {
  it('gives Application Default Credentials the default account and the project', async () => {
    const auth = new GoogleAuth({ scopes: [CLOUD_PLATFORM] });
    const token = await auth.getAccessToken();
    expect(company.context.tokens.identify(`Bearer ${token}`)).toEqual({
      kind: 'service-account',
      email: EVENTS,
      scopes: [CLOUD_PLATFORM],
    });
    expect(await auth.getProjectId()).toBe('acme-sealwright');
    expect((await auth.getCredentials()).client_email).toBe(EVENTS);
    expect(await auth.getUniverseDomain()).toBe('googleapis.com');
  });

  it('gives another attached account when its address is named, with the scopes asked for', async () => {
    const compute = new Compute({ serviceAccountEmail: OTHER, scopes: [DIRECTORY_SCOPE] });
    const { token } = await compute.getAccessToken();
    expect(company.context.tokens.identify(`Bearer ${token}`)).toEqual({
      kind: 'service-account',
      email: OTHER,
      scopes: [DIRECTORY_SCOPE],
    });
  });

  it('gives an ID token of Google for an audience', async () => {
    const client = await new GoogleAuth().getIdTokenClient('https://sign.acme.example');
    const headers = await client.getRequestHeaders();
    const token = (headers.get('authorization') ?? '').replace('Bearer ', '');
    expect(await company.room.idTokens.verifyGoogle(token, 'https://sign.acme.example')).toMatchObject({
      email: EVENTS,
      email_verified: true,
      sub: company.room.serviceAccount(EVENTS)?.uniqueId,
    });
  });

  it('gives no token of an account that is not attached', async () => {
    await expect(new Compute({ serviceAccountEmail: GMAIL }).getAccessToken()).rejects.toMatchObject({
      status: 404,
    });
    await expect(new Compute({ serviceAccountEmail: GMAIL }).fetchIdToken('a')).rejects.toThrow('ID token');
  });

  it("gives access tokens that outlive a move of the emulator's clock, and ID tokens that end with it", async () => {
    await using place = await openCompany();
    const url = `${place.root}computeMetadata/v1/instance/service-accounts/default`;
    const headers = { 'metadata-flavor': 'Google' };
    const token = (await (await fetch(`${url}/token`, { headers })).json()) as { access_token: string };
    const idToken = async () => (await fetch(`${url}/identity?audience=a`, { headers })).text();
    const before = await idToken();
    place.context.clock.advance(35 * 86_400_000);
    expect(place.context.tokens.identify(`Bearer ${token.access_token}`)).toMatchObject({ email: EVENTS });
    await expect(place.room.idTokens.verifyGoogle(before, 'a')).rejects.toThrow('expired');
    expect(await place.room.idTokens.verifyGoogle(await idToken(), 'a')).toMatchObject({ email: EVENTS });
  });
});

describe('the metadata server', () => {
  it.each([
    ['/project/project-id', 'acme-sealwright'],
    ['/project/numeric-project-id', '411111111111'],
    ['/instance/region', 'projects/411111111111/regions/europe-west1'],
    ['/instance/zone', 'projects/411111111111/zones/europe-west1-1'],
    ['/instance/service-accounts/', `default/\n${EVENTS}/\n${OTHER}/\n`],
    ['/instance/service-accounts/default/email', EVENTS],
    ['/instance/service-accounts/default/aliases', 'default\n'],
    [`/instance/service-accounts/${OTHER}/email`, OTHER],
    [`/instance/service-accounts/${encodeURIComponent(OTHER)}/email`, OTHER],
    [`/instance/service-accounts/${OTHER}/scopes`, `${CLOUD_PLATFORM}\n`],
    ['/', 'instance/\nproject/\n'],
  ])('answers %s as text', async (path, text) => {
    const answer = await get(path);
    expect(answer).toMatchObject({ status: 200, body: text });
    expect(answer.headers.get('metadata-flavor')).toBe('Google');
    expect(answer.headers.get('content-type')).toBe('application/text');
  });

  it('answers a directory as JSON when asked for all below it', async () => {
    const answer = await get('/instance/service-accounts/default/?recursive=true');
    expect(JSON.parse(answer.body)).toEqual({
      aliases: ['default'],
      email: EVENTS,
      scopes: [CLOUD_PLATFORM],
    });
    expect(JSON.parse((await get('/project/project-id?alt=json')).body)).toBe('acme-sealwright');
  });

  it('sends the reader of a directory without a slash to the one with it', async () => {
    const answer = await get('/instance');
    expect(answer.status).toBe(301);
    expect(answer.headers.get('location')).toBe('/computeMetadata/v1/instance/');
  });

  it('answers a token with its life in seconds', async () => {
    expect(JSON.parse((await get('/instance/service-accounts/default/token')).body)).toEqual({
      access_token: expect.stringMatching(/^ya29\./),
      expires_in: 3599,
      token_type: 'Bearer',
    });
  });

  it.each([
    '/project/project-id',
    '/instance/service-accounts/default/token',
    '/instance/service-accounts/default/identity?audience=a',
  ])('refuses %s without the flavor header, or through a proxy', async (path) => {
    const bare = await get(path, {});
    expect(bare).toMatchObject({ status: 403, body: 'Missing Metadata-Flavor:Google header.' });
    expect(bare.headers.get('metadata-flavor')).toBe('Google');
    expect((await get(path, { 'metadata-flavor': 'google' })).status).toBe(403);
    expect((await get(path, { 'metadata-flavor': 'Google', 'x-forwarded-for': '10.0.0.1' })).status).toBe(
      403,
    );
  });

  it.each([
    ['/universe/universe-domain', 404],
    ['/instance/attributes/x', 404],
    ['/instance/service-accounts/constructor/email', 404],
    ['/instance/service-accounts/%zz/email', 404],
    ['/project/project-id/deeper', 404],
    [`/instance/service-accounts/${GMAIL}/token`, 404],
    [`/instance/service-accounts/${GMAIL}/email`, 404],
    [`/instance/service-accounts/${GMAIL}/identity?audience=a`, 404],
    ['/instance/service-accounts/default/identity', 400],
    ['/instance/service-accounts/default/identity?audience=a&format=short', 400],
    ['/instance/service-accounts/default/token?scopes=everything', 400],
  ])('answers %s with %i and its flavor', async (path, status) => {
    const answer = await get(path);
    expect(answer.status).toBe(status);
    expect(answer.headers.get('metadata-flavor')).toBe('Google');
  });

  it('is only read', async () => {
    const url = `${company.root}computeMetadata/v1/project/project-id`;
    const answer = await fetch(url, { method: 'PUT', headers: { 'metadata-flavor': 'Google' } });
    expect(answer.status).toBe(405);
  });

  it('shows at the root that it is there, without the header', async () => {
    const answer = await fetch(company.root);
    expect(answer.headers.get('metadata-flavor')).toBe('Google');
    expect(await answer.text()).toBe('computeMetadata/\n');
  });

  it('is configured only with accounts that exist, one of them the default', async () => {
    const { createIdentity } = await import('../../../emulator/identity/index.ts');
    const { settings } = await import('./company.ts');
    const make = (attached: { accounts: string[]; default: string }) => () =>
      createIdentity(company.context, { accounts: company.people, settings: { ...settings, attached } });
    expect(make({ accounts: ['x@y.iam.gserviceaccount.com'], default: EVENTS })).toThrow(
      'no service account',
    );
    expect(make({ accounts: [OTHER], default: EVENTS })).toThrow('not attached');
  });
});
