import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { authenticateCaller, bearerToken, type CallerRule } from '../../functions/wire/caller.ts';
import { googleIdTokenVerifier } from '../../shared/adapters/google/id-token-verifier.ts';
import type { IdTokenVerifier } from '../../shared/ports/id-tokens.ts';
import { manualClock } from '../support/fakes/clock.ts';
import { AUDIENCE, bearer, CALLER, CALLER_CLAIMS } from './support/callers.ts';
import { type GoogleKeys, googleKeys, strippedOfSignature } from './support/google-keys.ts';

const clock = manualClock(new Date('2026-11-22T12:00:00Z'));
const verified: CallerRule = { behindIam: false, audience: AUDIENCE, emails: [CALLER] };
const behindIam: CallerRule = { ...verified, behindIam: true };

let keys: GoogleKeys;
let verifier: IdTokenVerifier;
beforeAll(async () => {
  keys = await googleKeys(clock);
  verifier = googleIdTokenVerifier({ rootUrl: keys.rootUrl }, clock);
});
afterAll(() => keys.close());

const token = (claims: Readonly<Record<string, unknown>> = {}) => keys.token({ ...CALLER_CLAIMS, ...claims });

const ask = (headers: Record<string, string>, rule = verified) => authenticateCaller(headers, rule, verifier);

describe('a caller', () => {
  test('with a good token is named', async () => {
    expect(await ask(bearer(await token()))).toBe(CALLER);
  });

  test('without a token is refused', async () => {
    await expect(ask({})).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  test.each([
    ['for another audience', { aud: 'https://other.example' }],
    ['by another issuer', { iss: 'https://issuer.example' }],
    ['that has expired', { iat: 1, exp: 2 }],
    ['without an address', { email: undefined }],
    ['with an address nobody confirmed', { email_verified: false }],
  ])('with a token %s is refused, and nothing of the token is said', async (_what, claims) => {
    const given = await token(claims);
    const error: Error = await ask(bearer(given)).then(
      () => expect.unreachable(),
      (thrown: Error) => thrown,
    );
    expect(error).toMatchObject({ kind: 'permanent', code: 'unauthenticated' });
    expect(error.message).not.toContain(given.split('.')[1]);
  });

  test('with a token that somebody else signed is refused', async () => {
    await expect(ask(bearer(await keys.forged(CALLER_CLAIMS)))).rejects.toMatchObject({
      code: 'unauthenticated',
    });
  });

  test('that is somebody else is refused by name', async () => {
    await expect(ask(bearer(await token({ email: 'mallory@acme.example' })))).rejects.toMatchObject({
      code: 'forbidden',
      message: expect.stringContaining('mallory@acme.example'),
    });
  });

  test('is compared without regard to case', async () => {
    const given = await token({ email: CALLER.toUpperCase() });
    await expect(ask(bearer(given))).resolves.toBe(CALLER.toUpperCase());
  });

  test('whose address only begins alike is refused', async () => {
    const given = await token({ email: `${CALLER}.evil.example` });
    await expect(ask(bearer(given))).rejects.toMatchObject({ code: 'forbidden' });
  });
});

describe('a caller whose signature Cloud Run has removed', () => {
  test('is refused where nothing says that Cloud Run checks callers', async () => {
    const given = strippedOfSignature(await token());
    await expect(ask(bearer(given))).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  test('is taken where Cloud Run checks callers', async () => {
    expect(await ask(bearer(strippedOfSignature(await token())), behindIam)).toBe(CALLER);
  });

  test('may carry several audiences, of which ours is one', async () => {
    const given = strippedOfSignature(await token({ aud: ['https://other.example', AUDIENCE] }));
    expect(await ask(bearer(given), behindIam)).toBe(CALLER);
  });

  test.each([
    ['for another audience', { aud: 'https://other.example' }],
    ['for no audience', { aud: undefined }],
    ['without an address', { email: undefined }],
    ['with an address nobody confirmed', { email_verified: false }],
    ['with a confirmation that is a text', { email_verified: 'true' }],
  ])('is refused all the same with a token %s', async (_what, claims) => {
    const given = strippedOfSignature(await token(claims));
    await expect(ask(bearer(given), behindIam)).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  test('is refused all the same when it is somebody else, or the token is no token', async () => {
    const given = strippedOfSignature(await token({ email: 'mallory@acme.example' }));
    await expect(ask(bearer(given), behindIam)).rejects.toMatchObject({ code: 'forbidden' });
    await expect(ask(bearer('gibberish'), behindIam)).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  test('is known by the header that Cloud Run checks, when both are there', async () => {
    const admin = await token({ email: 'admin@acme.example' });
    const headers = {
      ...bearer(admin),
      'x-serverless-authorization': `Bearer ${strippedOfSignature(await token())}`,
    };
    expect(await ask(headers, behindIam)).toBe(CALLER);
  });
});

describe('the bearer token of a header', () => {
  test.each([undefined, '', 'Bearer', 'Bearer ', 'Basic abc', 'Bearer a b', 'bearer'])(
    '%j is none',
    (header) => {
      expect(() => bearerToken(header)).toThrow('carries no "Authorization: Bearer" token');
    },
  );

  test.each([['Bearer abc'], ['bearer abc'], ['BEARER  abc']])('%j is abc', (header) => {
    expect(bearerToken(header)).toBe('abc');
  });

  test('given twice is none', () => {
    expect(() => bearerToken(['Bearer a', 'Bearer b'])).toThrow('Bearer');
  });
});
