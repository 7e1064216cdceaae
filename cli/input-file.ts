import { readFileSync } from 'node:fs';
import { UsageError } from './failure.ts';

/** The bytes of a file that was named on the command line. Throws `UsageError` that says which (`what` first) and why not. */
export function readInput(file: string, what = ''): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why =
      code === 'ENOENT'
        ? 'there is no such file'
        : code === 'EISDIR'
          ? 'it is a folder'
          : code === 'ERR_FS_FILE_TOO_LARGE'
            ? 'it has 2 GiB or more; split it'
            : (code ?? 'unknown');
    throw new UsageError(`${what}${file} cannot be read: ${why}.`, { cause: error });
  }
}
