import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GoogleCallError } from '../../../shared/adapters/google/call-error.ts';
import { ownIdentity } from '../../../shared/adapters/google/own-identity.ts';
import { type Script, type Scripted, ScriptedServer } from '../scripted-server.ts';
import { failureOf, TestClock } from '../world.ts';

const FLAVOR = { 'metadata-flavor': 'Google' };
const ACCOUNTS = '/computeMetadata/v1/instance/service-accounts';

describe("a function's own identity", () => {
  const server = new ScriptedServer();
  const before = process.env['GCE_METADATA_HOST'];
  beforeAll(async () => {
    await server.start();
    process.env['GCE_METADATA_HOST'] = new URL(server.rootUrl).host;
  });
  afterAll(async () => {
    if (before === undefined) delete process.env['GCE_METADATA_HOST'];
    else process.env['GCE_METADATA_HOST'] = before;
    await server.stop();
  });

  const clock = new TestClock();
  let minted = 0;
  const jwt = (claims: object) =>
    `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.signature${minted}`;
  const metadata: Script = ({ path }): Scripted | undefined => {
    minted += 1;
    if (path.endsWith('/token'))
      return {
        headers: FLAVOR,
        body: { access_token: `ya29.${minted}`, expires_in: 3599, token_type: 'Bearer' },
      };
    if (path.endsWith('/identity')) return { headers: FLAVOR, body: jwt({ exp: clock.ms / 1000 + 3600 }) };
    return undefined;
  };

  it("is the metadata server's default account, with one token until that expires", async () => {
    server.play(metadata);
    const own = ownIdentity({ clock });
    const token = await own.accessToken();
    expect(token).toMatch(/^ya29\./);
    expect(await own.accessToken()).toBe(token);
    expect(server.asked.map((asked) => asked.path)).toEqual([`${ACCOUNTS}/default/token`]);
    expect(server.asked[0]?.headers['metadata-flavor']).toBe('Google');
  });

  it('is the account it is told to be, with the scopes it asks for', async () => {
    server.play(metadata);
    const own = ownIdentity({ clock, serviceAccountEmail: 'sweep@acme.iam', scopes: ['scope-a', 'scope-b'] });
    await own.accessToken();
    expect(server.asked[0]?.path).toBe(`${ACCOUNTS}/sweep@acme.iam/token`);
    expect(server.asked[0]?.query.get('scopes')).toBe('scope-a,scope-b');
  });

  it('fetches another token after Google refused the one it had', async () => {
    server.play(metadata);
    const own = ownIdentity({ clock });
    const first = await own.accessToken();
    own.forget(first);
    expect(await own.accessToken()).not.toBe(first);
  });

  it('has an ID token per audience, kept until shortly before it expires by the injected clock', async () => {
    server.play(metadata);
    const own = ownIdentity({ clock });
    const first = await own.fetchIdToken('https://sign.test/');
    expect(server.asked[0]?.path).toBe(`${ACCOUNTS}/default/identity`);
    expect(server.asked[0]?.query.get('audience')).toBe('https://sign.test/');
    expect(server.asked[0]?.query.get('format')).toBe('full');
    expect(await own.fetchIdToken('https://sign.test/')).toBe(first);
    expect(await own.fetchIdToken('https://other.test/')).not.toBe(first);
    clock.ms += 3_541_000;
    expect(await own.fetchIdToken('https://sign.test/')).not.toBe(first);
  });

  it('says which account the metadata server does not know', async () => {
    server.play(() => ({ status: 404, headers: FLAVOR, body: 'not here' }));
    const own = ownIdentity({ clock, serviceAccountEmail: 'nobody@acme.iam' });
    const error = await own.accessToken().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(GoogleCallError);
    expect(error instanceof GoogleCallError && error.failure).toMatchObject({
      method: 'metadata.token',
      httpStatus: 404,
      advice: expect.stringContaining('"nobody@acme.iam"'),
    });
    const refusal = await failureOf(own.fetchIdToken('https://sign.test/'));
    expect(refusal).toMatchObject({ kind: 'permanent', code: 'tokens-unavailable' });
    expect(refusal.message).toContain('https://sign.test/');
    expect(refusal.message).toContain('"nobody@acme.iam"');
  });

  it('lets an ID token that cannot be had just now be tried again', async () => {
    server.play(() => ({ cut: true }));
    const refusal = await failureOf(ownIdentity({ clock }).fetchIdToken('https://sign.test/'));
    expect(refusal).toMatchObject({ kind: 'retryable', code: 'tokens-unavailable' });
  });

  it('takes nothing for an ID token that is none', async () => {
    server.play(() => ({ headers: FLAVOR, body: 'not.a-token' }));
    const refusal = await failureOf(ownIdentity({ clock }).fetchIdToken('https://sign.test/'));
    expect(refusal.message).toContain('holds no ID token');
  });
});
