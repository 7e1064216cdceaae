import { describe, expect, it } from 'vitest';
import { callGoogle, type GoogleCall } from '../../../shared/adapters/google/call.ts';
import { GoogleCallError } from '../../../shared/adapters/google/call-error.ts';
import { retryable } from '../../../shared/errors.ts';
import { recordingPace, TestBearer, testRetry } from '../world.ts';

const refused = (status: number, retryAfter?: string) =>
  Object.assign(new Error('refused'), {
    config: {},
    response: {
      status,
      headers: new Headers(retryAfter === undefined ? {} : { 'retry-after': retryAfter }),
      data: { error: { message: 'refused' } },
    },
  });

/** Fails in this order, then succeeds; remembers the tokens it was given. */
function attempts(...failures: readonly unknown[]) {
  const tokens: string[] = [];
  const attempt = async (token: string) => {
    tokens.push(token);
    const failure = failures[tokens.length - 1];
    if (failure !== undefined) throw failure;
    return 'done';
  };
  return { tokens, attempt };
}

function world() {
  const retry = testRetry();
  const call: GoogleCall = { method: 'gmail.test', repeatable: 'any-time', retry: retry.settings };
  return { ...retry, call, bearer: new TestBearer() };
}

describe('a call to Google', () => {
  it('is made again after a transient failure, after a wait', async () => {
    const { call, bearer, waits } = world();
    const { tokens, attempt } = attempts(refused(503), refused(429));
    expect(await callGoogle(call, bearer, attempt)).toBe('done');
    expect(tokens).toEqual(['token-1', 'token-1', 'token-1']);
    expect(waits).toEqual([500, 1000]);
  });

  it('is made five times at most, and then fails with what happened last', async () => {
    const { call, bearer, waits } = world();
    const { tokens, attempt } = attempts(...Array.from({ length: 9 }, () => refused(500)));
    await expect(callGoogle(call, bearer, attempt)).rejects.toThrow(GoogleCallError);
    expect(tokens).toHaveLength(5);
    expect(waits).toEqual([500, 1000, 2000, 4000]);
  });

  it('waits as long as Retry-After asks, in seconds or until a date', async () => {
    const { call, bearer, waits } = world();
    const { attempt } = attempts(refused(429, '20'), refused(503, 'Fri, 15 Jan 2027 09:00:45 GMT'));
    expect(await callGoogle(call, bearer, attempt)).toBe('done');
    expect(waits).toEqual([20_000, 25_000]);
  });

  it('does not wait for a Retry-After beyond its own time limit, and passes the wish on', async () => {
    const { call, bearer, waits } = world();
    const { attempt } = attempts(refused(429, '3600'));
    const error = await callGoogle(call, bearer, attempt).catch((thrown: unknown) => thrown);
    expect(error instanceof GoogleCallError && error.failure.retryAfterMs).toBe(3_600_000);
    expect(waits).toEqual([]);
  });

  it('drops a token that is answered 401 and tries once more at once with a fresh one', async () => {
    const { call, bearer, waits } = world();
    const { tokens, attempt } = attempts(refused(401));
    expect(await callGoogle(call, bearer, attempt)).toBe('done');
    expect(tokens).toEqual(['token-1', 'token-2']);
    expect(bearer.forgotten).toEqual(['token-1']);
    expect(waits).toEqual([]);
  });

  it('fails when the fresh token is answered 401 too', async () => {
    const { call, bearer } = world();
    const { tokens, attempt } = attempts(refused(401), refused(401));
    await expect(callGoogle(call, bearer, attempt)).rejects.toThrow('gmail.test answered 401');
    expect(tokens).toEqual(['token-1', 'token-2']);
  });

  it('fails with the failure of getting a token, without asking for one again', async () => {
    const { call, waits } = world();
    const noToken = new GoogleCallError({ method: 'oauth2.token', reached: 'never', reasons: [], text: '' });
    let asked = 0;
    const bearer = {
      accessToken: () => {
        asked += 1;
        return Promise.reject(noToken);
      },
      forget: () => undefined,
    };
    await expect(callGoogle(call, bearer, async () => 'done')).rejects.toBe(noToken);
    expect(asked).toBe(1);
    expect(waits).toEqual([]);
  });

  it('throws a bug on as it is', async () => {
    const { call, bearer } = world();
    const bug = new TypeError('x is not a function');
    const { tokens, attempt } = attempts(bug);
    await expect(callGoogle(call, bearer, attempt)).rejects.toBe(bug);
    expect(tokens).toHaveLength(1);
  });
});

describe('a call to Google that spends a quota', () => {
  const paced = (units?: number) => {
    const base = world();
    const recorded = recordingPace();
    const call = { ...base.call, pace: recorded.pace, ...(units === undefined ? {} : { units }) };
    return { ...base, ...recorded, call };
  };

  it('takes its units before every attempt, the one with a fresh token among them', async () => {
    const { call, bearer, taken } = paced(100);
    const before: number[] = [];
    const { attempt } = attempts(refused(503), refused(401), refused(429));
    await callGoogle(call, bearer, (token) => {
      before.push(taken.length);
      return attempt(token);
    });
    expect(before).toEqual([1, 2, 3, 4]);
    expect(taken).toEqual([100, 100, 100, 100]);
  });

  it('takes one unit unless told', async () => {
    const { call, bearer, taken } = paced();
    await callGoogle(call, bearer, attempts().attempt);
    expect(taken).toEqual([1]);
  });

  it('tells of every failure, the last one too, and of none that is a bug', async () => {
    const { call, bearer, told } = paced();
    const { attempt } = attempts(refused(503), refused(401), refused(429, '20'), refused(404));
    await expect(callGoogle(call, bearer, attempt)).rejects.toThrow(GoogleCallError);
    expect(told.map(({ method, httpStatus, retryAfterMs }) => [method, httpStatus, retryAfterMs])).toEqual([
      ['gmail.test', 503, undefined],
      ['gmail.test', 401, undefined],
      ['gmail.test', 429, 20_000],
      ['gmail.test', 404, undefined],
    ]);
    await expect(callGoogle(call, bearer, attempts(new TypeError('bug')).attempt)).rejects.toThrow('bug');
    expect(told).toHaveLength(4);
  });

  it('is not made where the quota is spent for too long', async () => {
    const { call, bearer } = paced();
    const spent = retryable('gmail-unavailable', 'Spent.', { retryAfterMs: 30_000 });
    const { tokens, attempt } = attempts();
    const pace = { take: () => Promise.reject(spent), failed: async () => undefined };
    await expect(callGoogle({ ...call, pace }, bearer, attempt)).rejects.toBe(spent);
    expect(tokens).toEqual([]);
  });
});
