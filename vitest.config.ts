import { defineConfig } from 'vitest/config';

const base = { testTimeout: 30_000, hookTimeout: 60_000, pool: 'forks' } as const;

/** Whole systems of several processes, which mostly wait for one another. */
const SYSTEMS = ['test/stories/**/*.test.ts', 'test/build/**/*.test.ts', 'test/cli/launcher.test.ts'];
/** Campaigns of a minute and more in one process, which fill a core: beside the systems, which leave one. */
const CAMPAIGNS = ['crash', 'simulation'].map((room) => `test/${room}/**/*.test.ts`);
/** The longest of them, with a name of its own: `.ci/run` has it fill what the others leave of the cores. */
const HISTORIES = ['test/model/**/*.test.ts'];
/** Rooms that keep nothing in the process, so that their files may share one and load each module once. */
const SHARING = ['pki', 'plan', 'config'].map((room) => `test/${room}/**/*.test.ts`);
/** These need a server and have commands of their own. */
const SERVERS = ['test/postgres/**', 'test/pubsub/**', 'node_modules/**'];

export default defineConfig({
  test: {
    // Both cores of a small machine; by default one is left idle.
    maxWorkers: 2,
    projects: [
      {
        test: {
          ...base,
          name: 'bytes and rules',
          include: SHARING,
          isolate: false,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...base,
          name: 'rooms',
          include: ['test/**/*.test.ts'],
          exclude: [...SHARING, ...SYSTEMS, ...CAMPAIGNS, ...HISTORIES, ...SERVERS],
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...base,
          name: 'systems and campaigns',
          include: [...SYSTEMS, ...CAMPAIGNS],
          maxWorkers: 3,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          ...base,
          name: 'histories',
          include: HISTORIES,
          maxWorkers: 3,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
