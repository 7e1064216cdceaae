import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { rateLimiter } from '../../shared/kacls/rate-limits.ts';
import { ManualClock } from './support.ts';
import { BOB, FILE, makeKeys, refusalProblems, startWorld } from './world.ts';

const limited = expect.objectContaining({ kind: 'retryable', code: 'too-many-requests' });

describe('a rate limit', () => {
  it('lets a burst through and then as many as come back in time', () => {
    const clock = new ManualClock();
    const limiter = rateLimiter({ burst: 3, perSecond: 2 }, clock);
    for (let call = 0; call < 3; call += 1) limiter.take('alice');
    expect(() => limiter.take('alice')).toThrow(limited);
    clock.advance(499);
    expect(() => limiter.take('alice')).toThrow(limited);
    clock.advance(1);
    limiter.take('alice');
    expect(() => limiter.take('alice')).toThrow(limited);
  });

  it('says how long to wait, and takes nothing for a call that was refused', () => {
    const clock = new ManualClock();
    const limiter = rateLimiter({ burst: 1, perSecond: 0.1 }, clock);
    limiter.take('alice');
    clock.advance(4000);
    for (let call = 0; call < 5; call += 1) {
      expect(() => limiter.take('alice')).toThrow(expect.objectContaining({ retryAfterMs: 6000 }));
    }
    clock.advance(6000);
    limiter.take('alice');
  });

  it('saves up no more than one burst', () => {
    const clock = new ManualClock();
    const limiter = rateLimiter({ burst: 2, perSecond: 100 }, clock);
    clock.advance(3_600_000);
    limiter.take('alice');
    clock.advance(3_600_000);
    limiter.take('alice');
    limiter.take('alice');
    expect(() => limiter.take('alice')).toThrow(limited);
  });

  it('counts callers apart', () => {
    const limiter = rateLimiter({ burst: 1, perSecond: 1 }, new ManualClock());
    limiter.take('alice');
    limiter.take('bob');
    expect(() => limiter.take('alice')).toThrow(limited);
  });

  it('is not refilled, and not emptied, by a clock that is set back', () => {
    const clock = new ManualClock();
    const limiter = rateLimiter({ burst: 2, perSecond: 1 }, clock);
    limiter.take('alice');
    clock.advance(-3_600_000);
    limiter.take('alice');
    expect(() => limiter.take('alice')).toThrow(limited);
    clock.advance(1000);
    limiter.take('alice');
  });

  it('remembers the ten thousand callers seen last', () => {
    const limiter = rateLimiter({ burst: 1, perSecond: 1 }, new ManualClock());
    for (let caller = 0; caller < 10_000; caller += 1) limiter.take(String(caller));
    expect(() => limiter.take('0')).toThrow(limited);
    // Seen again just now, so the next newcomer takes the place of another.
    limiter.take('newcomer');
    expect(() => limiter.take('0')).toThrow(limited);
    limiter.take('1');
  });
});

describe('the key service, asked too often', () => {
  it('answers 429 with the time to wait, to the one who asks and to nobody else', async () => {
    const keys = await makeKeys();
    const limit = { burst: 2, perSecond: 0.5 };
    const world = await startWorld(keys, {
      settings: { userRateLimit: limit, privilegedRateLimit: limit },
    });
    try {
      const wrap = async (email?: string) =>
        world.post('wrap', {
          authentication: await world.authentication(email === undefined ? {} : { email }),
          authorization: await world.fileAuthorization(email === undefined ? {} : { email }),
          key: randomBytes(32).toString('base64'),
        });
      const seen = [(await wrap()).status, (await wrap()).status];
      expect(seen).toEqual([200, 200]);
      const refused = await wrap();
      expect(refusalProblems(refused, 429)).toEqual([]);
      expect(refused.headers.get('retry-after')).toBe('2');
      expect(world.log.lines.at(-1)).toMatchObject({
        severity: 'warning',
        event: 'content-key-wrapped',
        fields: { code: 'too-many-requests', outcome: 'refused' },
      });
      // In capitals it is the same person.
      expect((await wrap('ALICE@acme.example')).status).toBe(429);
      expect((await wrap(BOB.address)).status).toBe(200);
      world.clock.advance(2000);
      expect((await wrap()).status).toBe(200);

      const privileged = async () =>
        world.post('privilegedwrap', {
          authentication: await world.adminAuthentication(),
          key: randomBytes(32).toString('base64'),
          resource_name: FILE,
        });
      const admins = [await privileged(), await privileged(), await privileged()];
      expect(admins.map(({ status }) => status)).toEqual([200, 200, 429]);
    } finally {
      await world.close();
    }
  });

  it('counts nothing against a user whose token somebody forged', async () => {
    const keys = await makeKeys();
    const world = await startWorld(keys, { settings: { userRateLimit: { burst: 1, perSecond: 0.001 } } });
    try {
      const wrap = async (authentication: string) =>
        world.post('wrap', {
          authentication,
          authorization: await world.fileAuthorization(),
          key: randomBytes(32).toString('base64'),
        });
      for (let call = 0; call < 3; call += 1) {
        expect((await wrap(await world.authentication({}, keys.stranger))).status).toBe(401);
      }
      expect((await wrap(await world.authentication())).status).toBe(200);
    } finally {
      await world.close();
    }
  });
});
