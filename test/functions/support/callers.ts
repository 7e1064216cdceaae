import { expect, it } from 'vitest';
import type { CallerRule } from '../../../functions/wire/caller.ts';
import { googleIdTokenVerifier } from '../../../shared/adapters/google/id-token-verifier.ts';
import type { Clock } from '../../../shared/ports/clock.ts';
import { type Claims, type GoogleKeys, strippedOfSignature } from './google-keys.ts';
import { type Answer, refusal } from './served.ts';

export const AUDIENCE = 'https://function.acme.example/';
export const CALLER = 'events@acme-sealwright.iam.gserviceaccount.com';
export const CALLER_CLAIMS = { aud: AUDIENCE, email: CALLER };

/** Who may call, and the verifier: what every private function is given. */
export const privately = (keys: GoogleKeys, clock: Clock, { behindIam = false } = {}) => ({
  callers: { behindIam, audience: AUDIENCE, emails: [CALLER] } satisfies CallerRule,
  idTokens: googleIdTokenVerifier({ rootUrl: keys.rootUrl }, clock),
});

export const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

/** The headers of the caller who may. */
export const callerHeaders = async (keys: GoogleKeys) => bearer(await keys.token(CALLER_CLAIMS));

/** The refusals that are the same in front of and behind Cloud Run's IAM. */
export function itRefusesStrangers(
  keys: () => GoogleKeys,
  call: (headers: Readonly<Record<string, string>>) => Promise<Answer>,
): void {
  const claims = (changes: Claims) => keys().token({ ...CALLER_CLAIMS, ...changes });
  it.each<[string, number, string, () => Promise<Record<string, string>>]>([
    ['without a token', 401, 'unauthenticated', async () => ({})],
    ['with another scheme', 401, 'unauthenticated', async () => ({ authorization: `Basic ${btoa('a:b')}` })],
    ['with a token that is no JWT', 401, 'unauthenticated', async () => bearer('letmein')],
    [
      'with a token for another audience',
      401,
      'unauthenticated',
      async () => bearer(await claims({ aud: 'https://other.acme.example/' })),
    ],
    [
      'with a token for nobody in particular',
      401,
      'unauthenticated',
      async () => bearer(await claims({ aud: undefined })),
    ],
    [
      'with an address that Google has not verified',
      401,
      'unauthenticated',
      async () => bearer(await claims({ email_verified: false })),
    ],
    [
      'with an address whose verification is a text',
      401,
      'unauthenticated',
      async () => bearer(await claims({ email_verified: 'true' })),
    ],
    ['without an address', 401, 'unauthenticated', async () => bearer(await claims({ email: undefined }))],
    [
      'as somebody else',
      403,
      'forbidden',
      async () => bearer(await claims({ email: 'stranger@acme-sealwright.iam.gserviceaccount.com' })),
    ],
    [
      'with a good token behind a bad one of Cloud Run',
      401,
      'unauthenticated',
      async () => ({ ...(await callerHeaders(keys())), 'x-serverless-authorization': 'Bearer no-jwt' }),
    ],
  ])('%s: %i', async (_how, status, reason, headers) => {
    expect(await call(await headers())).toMatchObject(refusal(status, reason));
  });
}

/** What only a whole verification finds; behind Cloud Run's IAM these never arrive. */
export function itVerifiesWholly(
  keys: () => GoogleKeys,
  call: (headers: Readonly<Record<string, string>>) => Promise<Answer>,
): void {
  it.each<[string, () => Promise<string>]>([
    ['stripped of its signature', async () => strippedOfSignature(await keys().token(CALLER_CLAIMS))],
    ['signed by somebody else', () => keys().forged(CALLER_CLAIMS)],
    ['that nobody signed', async () => keys().unsigned(CALLER_CLAIMS)],
    ['signed with the public key as a secret', () => keys().confused(CALLER_CLAIMS)],
    ['of another issuer', () => keys().token({ ...CALLER_CLAIMS, iss: 'https://accounts.acme.example' })],
    ['that is over', () => keys().token({ ...CALLER_CLAIMS, exp: 1_600_000_000 })],
    ['that never ends', () => keys().token({ ...CALLER_CLAIMS, exp: undefined })],
  ])('with a token %s: 401', async (_how, token) => {
    expect(await call(bearer(await token()))).toMatchObject(refusal(401, 'unauthenticated'));
  });
}
