/** Files that hold a private key: readable for their owner alone, and never written over something else. */
import { closeSync, fsyncSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { UsageError } from './failure.ts';

export interface ReservedFile {
  /** Writes all of it through to the disk. */
  write(content: Uint8Array): void;
  /** Removes the place that was kept, when there is nothing to write after all. */
  discard(): void;
}

/** Takes the place before anything is made. Throws `UsageError` where it is taken or cannot be written. */
export function reserveFile(file: string, mode: number): ReservedFile {
  let handle: number;
  try {
    handle = openSync(file, 'wx', mode);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(
      code === 'EEXIST'
        ? `${file} exists already and is not overwritten. Give --out another name, or move it away.`
        : `${file} cannot be written (${code ?? 'unknown reason'}).`,
      { cause: error },
    );
  }
  return {
    write(content) {
      let written = 0;
      while (written < content.length) {
        written += writeSync(handle, content, written, content.length - written, written);
      }
      fsyncSync(handle);
      closeSync(handle);
    },
    discard() {
      closeSync(handle);
      unlinkSync(file);
    },
  };
}
