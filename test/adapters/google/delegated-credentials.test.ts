import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GoogleCallError } from '../../../shared/adapters/google/call-error.ts';
import { delegatedCredentials } from '../../../shared/adapters/google/delegated-credentials.ts';
import { googleError, type Script, ScriptedServer } from '../scripted-server.ts';
import { TestBearer, testRetry } from '../world.ts';

const SIGNER = 'sealwright-gmail@acme-sealwright.iam.gserviceaccount.com';
const SCOPE = 'https://www.googleapis.com/auth/gmail.settings.basic';
const SIGN_PATH = `/v1/projects/-/serviceAccounts/${SIGNER}:signJwt`;

describe('keyless delegated credentials', () => {
  const server = new ScriptedServer();
  beforeAll(() => server.start());
  afterAll(() => server.stop());

  let minted = 0;
  /** Google, when all is well. */
  const google: Script = ({ path }) => {
    if (path === SIGN_PATH) return { body: { keyId: 'k', signedJwt: 'signed.by.google' } };
    if (path !== '/token') return undefined;
    minted += 1;
    return { body: { access_token: `user-token-${minted}`, expires_in: 3599, token_type: 'Bearer' } };
  };

  function world(script: Script = google) {
    minted = 0;
    server.play(script);
    const retry = testRetry();
    const own = new TestBearer();
    const credentials = delegatedCredentials({
      signerEmail: SIGNER,
      scopes: [SCOPE],
      own,
      retry: retry.settings,
      endpoints: { rootUrl: server.rootUrl },
    });
    return { ...retry, own, credentials };
  }

  const failure = async (script: Script, subject: 'user' | 'account' = 'user'): Promise<GoogleCallError> => {
    const { credentials } = world(script);
    const bearer = subject === 'user' ? credentials.forUser('ana@acme.example') : credentials.forAccount();
    const error = await bearer.accessToken().catch((thrown: unknown) => thrown);
    if (!(error instanceof GoogleCallError)) throw error;
    return error;
  };

  it('have the claims signed by the delegated account and trade them for a token of the user', async () => {
    const { credentials } = world();
    expect(await credentials.forUser('Ana@Acme.example').accessToken()).toBe('user-token-1');
    const [sign, token] = server.asked;
    expect(sign?.headers.authorization).toBe('Bearer token-1');
    const request = JSON.parse(sign?.body ?? '');
    expect(Object.keys(request)).toEqual(['payload']);
    const issuedAt = Date.parse('2027-01-15T09:00:00Z') / 1000;
    expect(JSON.parse(request.payload)).toEqual({
      iss: SIGNER,
      sub: 'ana@acme.example',
      scope: SCOPE,
      aud: 'https://oauth2.googleapis.com/token',
      iat: issuedAt,
      exp: issuedAt + 3600,
    });
    expect(token?.headers['content-type']).toMatch(/^application\/x-www-form-urlencoded/);
    expect(token?.headers.authorization).toBeUndefined();
    expect(Object.fromEntries(new URLSearchParams(token?.body))).toEqual({
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      assertion: 'signed.by.google',
    });
  });

  it('name no user where the service account acts for itself', async () => {
    const { credentials } = world();
    expect(await credentials.forAccount().accessToken()).toBe('user-token-1');
    expect(JSON.parse(JSON.parse(server.asked[0]?.body ?? '').payload)).not.toHaveProperty('sub');
  });

  it('are asked for once per user, however often and however many at a time, until shortly before they expire', async () => {
    const { credentials, clock } = world();
    const ana = () => credentials.forUser('ana@acme.example').accessToken();
    expect(new Set(await Promise.all([ana(), ana(), ana()]))).toEqual(new Set(['user-token-1']));
    expect(await credentials.forUser('ANA@acme.example').accessToken()).toBe('user-token-1');
    expect(await credentials.forUser('ben@acme.example').accessToken()).toBe('user-token-2');
    clock.ms += 3_600_000;
    expect(await ana()).toBe('user-token-3');
    expect(server.asked).toHaveLength(6);
  });

  it('are fetched anew after Google refused one', async () => {
    const { credentials } = world();
    const ana = credentials.forUser('ana@acme.example');
    const first = await ana.accessToken();
    ana.forget(first);
    expect(await ana.accessToken()).toBe('user-token-2');
  });

  it('try again after a transient failure of either step', async () => {
    let calls = 0;
    const { credentials, waits } = world((asked) => {
      calls += 1;
      if (calls === 1) return googleError(503, 'backendError');
      if (calls === 3) return { cut: true };
      return google(asked);
    });
    expect(await credentials.forUser('ana@acme.example').accessToken()).toBe('user-token-1');
    expect(server.asked.map((asked) => asked.path)).toEqual([SIGN_PATH, SIGN_PATH, '/token', '/token']);
    expect(waits).toEqual([500, 500]);
  });

  it('say which role is missing when the function may not sign', async () => {
    const error = await failure(() => googleError(403, 'forbidden', 'Permission denied.'));
    expect(error.failure).toMatchObject({
      httpStatus: 403,
      method: 'iamcredentials.projects.serviceAccounts.signJwt',
    });
    expect(error.failure.advice).toContain('roles/iam.serviceAccountTokenCreator');
    expect(error.failure.advice).toContain(SIGNER);
  });

  it('say which account is missing when there is none to sign as', async () => {
    const error = await failure(() => googleError(404, 'notFound'));
    expect(error.failure.advice).toContain(`Create the service account ${SIGNER}`);
  });

  const tokenRefusal =
    (status: number, error: string, description: string): Script =>
    (asked) =>
      asked.path === '/token' ? { status, body: { error, error_description: description } } : google(asked);

  it('say which client and scope to authorise when the token endpoint answers unauthorized_client', async () => {
    const error = await failure(tokenRefusal(401, 'unauthorized_client', 'Client is unauthorized.'));
    expect(error.failure).toMatchObject({
      method: 'oauth2.token',
      httpStatus: 401,
      reasons: ['unauthorized_client'],
    });
    expect(error.failure.advice).toMatch(/Admin console.*Domain-wide delegation/);
    expect(error.failure.advice).toContain(SIGNER);
    expect(error.failure.advice).toContain(SCOPE);
    expect(server.asked).toHaveLength(2);
  });

  it('say that a user may be too new when the token endpoint answers invalid_grant', async () => {
    const error = await failure(tokenRefusal(400, 'invalid_grant', 'Invalid email or User ID'));
    expect(error.message).toContain('Invalid email or User ID');
    expect(error.failure.advice).toContain('ana@acme.example must be an active user');
    const own = await failure(tokenRefusal(400, 'invalid_grant', 'Invalid JWT Signature.'), 'account');
    expect(own.failure.advice).toBeUndefined();
  });

  it('do not take an answer for a token that holds none', async () => {
    const noToken = await failure((asked) => (asked.path === '/token' ? { body: {} } : google(asked)));
    expect(noToken.message).toContain('The answer holds no access token.');
    const noJwt = await failure(() => ({ body: {} }));
    expect(noJwt.message).toContain('The answer holds no signed JWT.');
  });

  it('never put the assertion or a token into an error', async () => {
    const error = await failure(tokenRefusal(400, 'invalid_grant', 'no'));
    expect(`${error.message}${JSON.stringify(error)}${error.stack}`).not.toMatch(
      /signed\.by\.google|token-1/,
    );
  });
});
