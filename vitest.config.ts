import { defineConfig } from 'vitest/config';

const base = { testTimeout: 30_000, hookTimeout: 60_000, pool: 'forks' } as const;

const files = (room: string) => `test/${room}/**/*.test.ts`;

/** Whole systems of several processes, which mostly wait for one another. */
const SYSTEMS = ['test/stories/**/*.test.ts', 'test/build/**/*.test.ts', 'test/cli/launcher.test.ts'];
/** Campaigns of a minute and more in one process, which fill a core: beside the systems, which leave one. */
const CAMPAIGNS = ['crash', 'simulation'].map(files);
/** The longest of them, with a name of its own: `.ci/run` has it fill what the others leave of the cores. */
const HISTORIES = ['test/model/**/*.test.ts'];
/** Rooms that keep nothing in the process, so that their files may share one and load each module once. */
const BYTES_AND_RULES = ['pki', 'plan', 'config'].map(files);
/** The same, each with files of its own room alone: a room's servers and clients meet no other's in the process. */
const ROOMS = [
  'activation',
  'adapters',
  'audit',
  'authority',
  'emulator',
  'functions',
  'kacls',
  'ledger',
  'reconcile',
  'sources',
  'terraform',
] as const;
/** Not so in these rooms: what replaces a module that all others use, and what looks through the whole heap. */
const filesOf = (room: string) => `test/${room}/**/!(wiped-buffers|heap-snapshot).test.ts`;
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
          include: BYTES_AND_RULES,
          isolate: false,
          sequence: { groupOrder: 0 },
        },
      },
      ...ROOMS.map((name) => ({
        test: { ...base, name, include: [filesOf(name)], isolate: false, sequence: { groupOrder: 1 } },
      })),
      {
        test: {
          ...base,
          name: 'rooms',
          include: ['test/**/*.test.ts'],
          exclude: [
            ...BYTES_AND_RULES,
            ...ROOMS.map(filesOf),
            ...SYSTEMS,
            ...CAMPAIGNS,
            ...HISTORIES,
            ...SERVERS,
          ],
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
