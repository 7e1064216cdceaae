import { describe, expect, it } from 'vitest';
import { TokenCache } from '../../../shared/adapters/google/token-cache.ts';
import { TestClock } from '../world.ts';

function world(options: { capacity?: number } = {}) {
  const clock = new TestClock();
  const cache = new TokenCache({ clock, ...options });
  let minted = 0;
  const fetch = async () => {
    minted += 1;
    return { value: `token-${minted}`, expiresAt: new Date(clock.ms + 3_600_000) };
  };
  return { clock, cache, fetch };
}

describe('the token cache', () => {
  it('keeps a token until a minute before it expires by the injected clock', async () => {
    const { clock, cache, fetch } = world();
    expect(await cache.get('ana', fetch)).toBe('token-1');
    clock.ms += 3_539_999;
    expect(await cache.get('ana', fetch)).toBe('token-1');
    clock.ms += 1;
    expect(await cache.get('ana', fetch)).toBe('token-2');
  });

  it('keeps one token per key', async () => {
    const { cache, fetch } = world();
    expect(await cache.get('ana', fetch)).toBe('token-1');
    expect(await cache.get('ben', fetch)).toBe('token-2');
    expect(await cache.get('ana', fetch)).toBe('token-1');
  });

  it('lets everybody who asks at once share one flight', async () => {
    const { cache, fetch } = world();
    const got = await Promise.all(Array.from({ length: 20 }, () => cache.get('ana', fetch)));
    expect(new Set(got)).toEqual(new Set(['token-1']));
  });

  it('hands a failure to all who waited and asks anew afterwards', async () => {
    const { cache, fetch } = world();
    const failing = () => Promise.reject(new Error('no'));
    const waited = await Promise.allSettled([cache.get('ana', failing), cache.get('ana', failing)]);
    expect(waited.map((one) => one.status)).toEqual(['rejected', 'rejected']);
    expect(await cache.get('ana', fetch)).toBe('token-1');
  });

  it('forgets exactly the token that was refused', async () => {
    const { cache, fetch } = world();
    await cache.get('ana', fetch);
    cache.forget('ana', 'an older one');
    expect(await cache.get('ana', fetch)).toBe('token-1');
    cache.forget('ana', 'token-1');
    expect(await cache.get('ana', fetch)).toBe('token-2');
  });

  it('holds no more than its capacity and drops the one unused for longest', async () => {
    const { cache, fetch } = world({ capacity: 2 });
    await cache.get('ana', fetch);
    await cache.get('ben', fetch);
    await cache.get('ana', fetch);
    await cache.get('cem', fetch);
    expect(cache.size).toBe(2);
    expect(await cache.get('ana', fetch)).toBe('token-1');
    expect(await cache.get('ben', fetch)).toBe('token-4');
  });

  it('hands out a token too short-lived to be kept, once', async () => {
    const { clock, cache } = world();
    let minted = 0;
    const brief = async () => {
      minted += 1;
      return { value: `brief-${minted}`, expiresAt: new Date(clock.ms + 60_000) };
    };
    expect(await cache.get('ana', brief)).toBe('brief-1');
    expect(await cache.get('ana', brief)).toBe('brief-2');
    expect(cache.size).toBe(0);
  });
});
