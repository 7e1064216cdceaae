/** What scripts branch on; promised to them, never renumbered. */
export const EXIT = {
  done: 0,
  failed: 1,
  /** Something the caller must change first: a flag, a setting, a file that was named. */
  usage: 2,
  refusedByGuard: 3,
  /** Some of what was asked for was done and some was not. */
  partlyDone: 4,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
