import { describe, expect, it } from 'vitest';
import { AccessTokens, type Caller } from '../../../emulator/core/access-tokens.ts';
import { EmulatorClock } from '../../../emulator/core/clock.ts';
import { GoogleError } from '../../../emulator/core/google-error.ts';
import { EmulatorState } from '../../../emulator/core/state.ts';

const SCOPE = 'https://www.googleapis.com/auth/gmail.settings.basic';
const ROBOT: Caller = {
  kind: 'service-account',
  email: 'robot@acme-sealwright.iam.gserviceaccount.com',
  scopes: [SCOPE],
};

function world() {
  const clock = new EmulatorClock();
  const state = new EmulatorState();
  return { clock, state, tokens: new AccessTokens(clock, state) };
}

function refusal(attempt: () => unknown): GoogleError {
  try {
    attempt();
  } catch (error) {
    if (error instanceof GoogleError) return error;
    throw error;
  }
  throw new Error('It was not refused.');
}

describe('an access token', () => {
  it('speaks for its caller for an hour of the emulator clock', () => {
    const { clock, tokens } = world();
    const { accessToken, expiresInSeconds } = tokens.mint(ROBOT);
    expect(expiresInSeconds).toBe(3599);
    clock.advance(3_590_000);
    expect(tokens.authorize(`Bearer ${accessToken}`, ['other', SCOPE])).toEqual(ROBOT);
    clock.advance(11_000);
    expect(refusal(() => tokens.identify(`Bearer ${accessToken}`)).httpStatus).toBe(401);
  });

  it('of the metadata server outlives a jump of the clock', () => {
    const { clock, tokens } = world();
    const { accessToken } = tokens.mint(ROBOT, { byRealClock: true });
    clock.advance(365 * 86_400_000);
    tokens.mint(ROBOT);
    expect(tokens.identify(`Bearer ${accessToken}`)).toEqual(ROBOT);
  });

  it('that expired is forgotten when the next one is minted, by the clock it lives by', () => {
    const { clock, state, tokens } = world();
    const held = () => Object.keys(state.section('accessTokens', () => ({})));
    const { accessToken: brief } = tokens.mint(ROBOT, { lifetimeMs: 60_000 });
    const { accessToken: machine } = tokens.mint(ROBOT, { byRealClock: true });
    const { accessToken: long } = tokens.mint(ROBOT);
    clock.advance(59_000);
    const { accessToken: next } = tokens.mint(ROBOT);
    expect(held()).toEqual([brief, machine, long, next]);
    clock.advance(2_000);
    const { accessToken: last } = tokens.mint(ROBOT);
    expect(held()).toEqual([machine, long, next, last]);
    clock.advance(3_600_000);
    const { accessToken: alone } = tokens.mint(ROBOT);
    expect(held()).toEqual([machine, alone]);
  });

  it('is known after a restart', () => {
    const { clock, state, tokens } = world();
    const { accessToken } = tokens.mint(ROBOT);
    expect(new AccessTokens(clock, state).identify(`bearer ${accessToken}`)).toEqual(ROBOT);
  });

  it.each([
    ['nothing', undefined],
    ['another scheme', 'Basic dXNlcjpwYXNz'],
    ['an unknown token', 'Bearer ya29.unknown'],
    ['the name of an inherited property', 'Bearer constructor'],
    ['the prototype', 'Bearer __proto__'],
    ['an empty token', 'Bearer '],
  ])('that is %s is refused as Google refuses it', (_what, authorization) => {
    const error = refusal(() => world().tokens.authorize(authorization, [SCOPE]));
    expect(error).toMatchObject({ httpStatus: 401, reason: 'authError', status: 'UNAUTHENTICATED' });
    expect(error.options.headers?.['www-authenticate']).toContain('invalid_token');
  });

  it('without one of the scopes is refused, naming them', () => {
    const { tokens } = world();
    const { accessToken } = tokens.mint(ROBOT);
    const error = refusal(() => tokens.authorize(`Bearer ${accessToken}`, ['a', 'b']));
    expect(error).toMatchObject({
      httpStatus: 403,
      reason: 'insufficientPermissions',
      status: 'PERMISSION_DENIED',
    });
    expect(error.options.headers?.['www-authenticate']).toContain('scope="a b"');
  });

  it('ends when it is revoked, and only then', () => {
    const { tokens } = world();
    const gone = tokens.mint(ROBOT).accessToken;
    const stays = tokens.mint({
      ...ROBOT,
      email: 'other@acme-sealwright.iam.gserviceaccount.com',
    }).accessToken;
    tokens.revoke((caller) => caller.email === ROBOT.email);
    expect(refusal(() => tokens.identify(`Bearer ${gone}`)).httpStatus).toBe(401);
    expect(tokens.identify(`Bearer ${stays}`).email).toContain('other@');
  });
});
