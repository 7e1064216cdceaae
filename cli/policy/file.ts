import { readFileSync } from 'node:fs';
import { UsageError } from '../failure.ts';

/** The text of a policy file. Throws `UsageError` when it cannot be read. */
export function readPolicyFile(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why =
      code === 'ENOENT'
        ? 'there is no such file'
        : code === 'EISDIR'
          ? 'it is a folder'
          : (code ?? 'unknown');
    throw new UsageError(`The policy file ${file} cannot be read: ${why}.`, { cause: error });
  }
}
