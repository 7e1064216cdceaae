/**
 * Keeps two processes out of one embedded ledger: PGlite has no lock of its own, and two backends writing one
 * folder destroy it.
 *
 * The lock is a file naming a process. It outlives `kill -9`, so a lock of a process that is gone is taken over. A
 * process number alone could by then belong to somebody else (after a reboot, or in a container, where ours is often
 * the same each time), so the file also keeps when that process started, where the system tells (Linux).
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { permanent } from '../../errors.ts';

/** Clock ticks from boot to the start of a process: field 22 of `/proc/PID/stat`, proc(5). */
const startOf = (pid: number): string | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in parentheses and may itself hold blanks and parentheses.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
};

const describe = (pid: number): string => `${pid} ${startOf(pid) ?? '-'}\n`;

const runs = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it runs, as somebody else.
    return hasCode(error, 'EPERM');
  }
};

const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code;

/** The process that holds the lock and still runs; undefined for a lock that was left behind. */
const livingHolder = (text: string): number | undefined => {
  const pid = Number.parseInt(text, 10);
  return Number.isSafeInteger(pid) && pid > 0 && runs(pid) && text === describe(pid) ? pid : undefined;
};

/**
 * Locks `folder` (created when missing; `what` names it in errors) for this process and answers how to unlock it. Throws `settings-invalid`
 * (permanent) when another process, or this one already, has it open.
 */
export const lockFolder = (folder: string, what = 'ledger folder'): (() => void) => {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'lock');
  for (;;) {
    try {
      writeFileSync(file, describe(process.pid), { flag: 'wx' });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
    }
    let text: string;
    try {
      text = readFileSync(file, 'utf8');
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
      continue; // unlocked between the two calls
    }
    const holder = livingHolder(text);
    if (holder !== undefined) {
      throw permanent(
        'settings-invalid',
        `The ${what} ${folder} is in use by process ${holder}: stop that process, or use another state folder.`,
      );
    }
    // Renaming succeeds for one of two processes that find the same left-behind lock; the other one looks again.
    const left = `${file}.left-by-${Number.parseInt(text, 10) || 'nobody'}.${process.pid}`;
    try {
      renameSync(file, left);
      rmSync(left, { force: true });
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
    }
  }
};
