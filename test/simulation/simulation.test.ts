/**
 * `SEALWRIGHT_SIMULATION_RUNS` says how many fresh seeds; `SEALWRIGHT_SIMULATION_SEED` begins with this one instead of one
 * drawn by chance, so that with one run it is repeated.
 */
import { randomInt } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { sampleAuthority } from '../pki/sample-authority.ts';
import { freshKeys, keyPoolOfPairs } from '../support/fakes/key-pool.ts';
import { type Report, type SimulationMaterials, simulate } from './simulate.ts';

const setting = (name: string, usual: number): number =>
  Number(process.env[`SEALWRIGHT_SIMULATION_${name}`] ?? usual);
const runs = setting('RUNS', 200);
const first = setting('SEED', randomInt(2 ** 31));

let materials: SimulationMaterials;
beforeAll(async () => {
  const [authority, next, pool] = await Promise.all([
    sampleAuthority({ curve: 'P-256' }),
    sampleAuthority({ curve: 'P-256' }),
    keyPoolOfPairs(190),
  ]);
  materials = { authority, next, pool };
}, 60_000);

describe('the system under simulation', () => {
  test(`keeps its promises in ${runs} runs (seeds from ${first} on)`, {
    timeout: 60_000 + runs * 4_000,
  }, async () => {
    const total = {
      ...{ steps: 0, deaths: 0, faults: 0, timeouts: 0, leaves: 0, revocations: 0 },
      ...{ kept: 0, observed: 0 },
    };
    const failures: string[] = [];
    for (let seed = first; seed < first + runs; seed += 1) {
      let report: Report;
      try {
        report = await simulate(String(seed), materials);
      } catch (error) {
        failures.push(error instanceof Error ? error.message : String(error));
        if (failures.length >= 3) break;
        continue;
      }
      for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += report[key];
    }
    expect(failures.join('\n\n')).toBe('');
    // Of a few seeds none may come to each.
    for (const [what, count] of Object.entries(runs < 100 ? {} : total))
      expect(count, what).toBeGreaterThan(0);
    console.info(JSON.stringify({ runs, ...total, cpuMs: process.cpuUsage().user / 1000 }));
  });

  test('keeps them with keys that are made on the spot', { timeout: 120_000 }, async () => {
    const report = await simulate(String(first), { ...materials, pool: freshKeys() });
    expect(report.leaves).toBeGreaterThan(0);
  });

  test('runs alike from one seed, to the last step', async () => {
    const [one, other] = [await simulate('1', materials), await simulate('1', materials)];
    expect(one.trace).toEqual(other.trace);
  });
});
