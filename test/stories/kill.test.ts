/** The small sister of `npm run`-able `test/campaign/kill-functions.ts`, so that every change is killed a few times. */
import { expect, it } from 'vitest';
import { runCampaign } from '../campaign/campaign.ts';
import { newSeed } from './chance.ts';

it('eight kills -9 of the functions while six users join leave exactly what no kill leaves', async () => {
  const seed = newSeed();
  const lines = [`seed ${seed}`];
  const result = await runCampaign({ seed, kills: 8, users: 6, progress: (line) => lines.push(line) });
  console.info(lines.join('\n'));
  expect(result.problems, lines.join('\n')).toEqual([]);
  expect(result.kills).toHaveLength(8);
  expect(result.inFlight).toBeGreaterThanOrEqual(4);
}, 300_000);
