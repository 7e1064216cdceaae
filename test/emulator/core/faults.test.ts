import { describe, expect, it } from 'vitest';
import { FaultSwitches } from '../../../emulator/core/faults.ts';
import { GoogleError } from '../../../emulator/core/google-error.ts';

const hits = (faults: FaultSwitches, method: string, times: number): number[] =>
  Array.from({ length: times }, (_value, index) => index + 1).filter(() => faults.forCall(method).length > 0);

describe('faults', () => {
  it('are none at first', () => {
    const faults = new FaultSwitches();
    expect(faults.current).toEqual({
      seed: 1,
      events: { duplicate: 0, reorder: 0, drop: 0, delayMs: 0 },
      directory: { truncatePages: 0, emptyPages: 0, readsLagMs: 0 },
      reports: { lagMs: 0 },
      cloudKms: { wrongDigest: 0, wrongPlaintext: 0, wrongCrc32c: 0, unverified: 0, otherVersion: 0 },
      calls: [],
      quotas: false,
    });
    expect(faults.forCall('directory.users.list')).toEqual([]);
  });

  it('are merged over those in force, and reset starts from none', () => {
    const faults = new FaultSwitches();
    faults.apply({ events: { duplicate: 0.5 }, quotas: true });
    expect(faults.apply({ events: { drop: 0.1 } })).toMatchObject({
      events: { duplicate: 0.5, drop: 0.1 },
      quotas: true,
    });
    expect(faults.apply({ reset: true, directory: { truncatePages: 1 } })).toMatchObject({
      events: { duplicate: 0, drop: 0 },
      directory: { truncatePages: 1, emptyPages: 0 },
      quotas: false,
    });
  });

  it.each([
    ['gmail.users.settings.cse.keypairs.create', 'gmail.users.settings.cse.keypairs.create', true],
    ['gmail.users.settings.cse.keypairs.create', 'gmail.users.settings.cse.keypairs.get', false],
    ['gmail.*', 'gmail.users.settings.cse.keypairs.get', true],
    ['*.create', 'gmail.users.settings.cse.keypairs.create', true],
    ['gmail.*.create', 'gmail.users.settings.cse.identities.create', true],
    ['gmail.*', 'directory.users.list', false],
    ['*', 'anything', true],
    ['a.b', 'axb', false],
    ['GMAIL.*', 'gmail.users.get', true],
  ])('for %s hit %s: %s', (pattern, method, hit) => {
    const faults = new FaultSwitches();
    faults.apply({ calls: [{ method: pattern, status: 503 }] });
    expect(faults.forCall(method).length > 0).toBe(hit);
  });

  it('with nth hit those calls only, counted since the fault was set', () => {
    const faults = new FaultSwitches();
    faults.apply({ calls: [{ method: 'a', nth: [2, 4], status: 503 }] });
    faults.forCall('b');
    expect(hits(faults, 'a', 5)).toEqual([2, 4]);
    faults.apply({ calls: [{ method: 'a', nth: [1], status: 503 }] });
    expect(hits(faults, 'a', 3)).toEqual([1]);
  });

  it('with a probability hit about that part of the calls, the same ones under the same seed', () => {
    const run = (seed: number) => {
      const faults = new FaultSwitches();
      faults.apply({ seed, calls: [{ method: 'a', probability: 0.3, status: 503 }] });
      return hits(faults, 'a', 2000);
    };
    expect(run(7)).toEqual(run(7));
    expect(run(7)).not.toEqual(run(8));
    expect(run(7).length).toBeGreaterThan(500);
    expect(run(7).length).toBeLessThan(700);
  });

  it('never hit with probability 0 and always with 1', () => {
    const faults = new FaultSwitches();
    expect(faults.chance(0)).toBe(false);
    expect(faults.chance(1)).toBe(true);
    expect(faults.draw()).toBeGreaterThanOrEqual(0);
    expect(faults.draw()).toBeLessThan(1);
  });

  it.each([
    ['an unknown field', { event: {} }, 'Unknown field "event"'],
    ['an unknown event', { events: { lose: 1 } }, 'events has the unknown field "lose"'],
    ['a negative probability', { events: { drop: -0.1 } }, '"events.drop" must be'],
    ['a probability above 1', { events: { duplicate: 2 } }, '"events.duplicate" must be'],
    ['a directory probability above 1', { directory: { emptyPages: 1.5 } }, '"directory.emptyPages" must be'],
    ['events that are a list', { events: [] }, '"events" must be an object'],
    ['a seed that is text', { seed: '7' }, '"seed" must be'],
    ['quotas that are text', { quotas: 'yes' }, '"quotas" must be true or false'],
    ['a reset that is text', { reset: 'yes' }, '"reset" must be true or false'],
    ['calls that are an object', { calls: {} }, '"calls" must be a list'],
    ['a call fault that is text', { calls: ['x'] }, 'calls[0] must be an object'],
    ['a call fault without a method', { calls: [{ status: 503 }] }, 'calls[0].method must name'],
    ['a call fault with an unknown field', { calls: [{ method: '*', delay: 3 }] }, 'unknown field "delay"'],
    ['a cut in the middle', { calls: [{ method: '*', cut: 'middle' }] }, 'calls[0].cut must be'],
    ['an nth that is no list', { calls: [{ method: '*', nth: 2 }] }, 'calls[0].nth must be'],
    ['an nth that starts at 0', { calls: [{ method: '*', nth: [0] }] }, 'calls[0].nth must be'],
    [
      'a call probability above 1',
      { calls: [{ method: '*', probability: 30 }] },
      'calls[0].probability must be',
    ],
    ['a status that is text', { calls: [{ method: '*', status: '503' }] }, 'calls[0].status must be'],
    ['a status that is no error', { calls: [{ method: '*', status: 200 }] }, 'calls[0].status must be'],
    ['a negative latency', { calls: [{ method: '*', latencyMs: -1 }] }, 'calls[0].latencyMs must be'],
    [
      'a reason that is a number',
      { calls: [{ method: '*', status: 503, reason: 1 }] },
      'calls[0].reason must be',
    ],
    [
      'a retryAfterSeconds that is text',
      { calls: [{ method: '*', status: 503, retryAfterSeconds: 'soon' }] },
      'calls[0].retryAfterSeconds must be',
    ],
  ])('refuse %s and leave everything as it was', (_what, request, sentence) => {
    const faults = new FaultSwitches();
    const before = faults.apply({ events: { drop: 0.25 } });
    expect(() => faults.apply(request)).toThrow(GoogleError);
    expect(() => faults.apply(request)).toThrow(sentence);
    expect(faults.current).toEqual(before);
  });
});
