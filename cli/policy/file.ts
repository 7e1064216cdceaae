import { readInput } from '../input-file.ts';

/** The text of a policy file. Throws `UsageError` when it cannot be read. */
export const readPolicyFile = (file: string): string => readInput(file, 'The policy file ').toString('utf8');
