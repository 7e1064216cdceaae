import { defineConfig } from 'vitest/config';

const base = { testTimeout: 30_000, hookTimeout: 60_000, pool: 'forks' } as const;

/** Whole systems of several processes, each of which fills a core: one file at a time, after everything else. */
const SYSTEMS = ['test/stories/**/*.test.ts', 'test/build/**/*.test.ts', 'test/cli/launcher.test.ts'];
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
          exclude: [...SHARING, ...SYSTEMS, ...SERVERS],
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: { ...base, name: 'systems', include: SYSTEMS, maxWorkers: 1, sequence: { groupOrder: 2 } },
      },
    ],
  },
});
