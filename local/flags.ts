import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { PORT_OFFSETS } from './company.ts';

/** Something the caller must change before this can start: exit code 2 and one sentence. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export interface StartFlags {
  readonly portBase: number;
  readonly stateDir: string;
  readonly empty: boolean;
  readonly databaseUrl: string | undefined;
  /** From a user's creation to their mailbox, by the emulator's clock; 0 unless told. No flag: the stories set it. */
  readonly mailboxDelayMs?: number;
  /** Size of the users' keys in the sample policy; 3072 unless told. No flag: smaller ones make the stories faster. */
  readonly keySize?: 2048 | 3072 | 4096;
  /** RSA bits of the CA's keys; 4096 unless told. No flag: smaller ones make the stories begin sooner. */
  readonly caKeySize?: 2048 | 3072 | 4096;
  /** Address of a module whose `generateKey` makes the users' keys. No flag: a campaign sets it. */
  readonly userKeysFrom?: string;
  /** Calls of the Directory API in a minute; 2,400 unless told. No flag: a campaign sets it that lives through a day in a second. */
  readonly directoryPerMinute?: number;
  /**
   * Whether what the schedule calls runs in a process of its own, beside what people and Google wait for; needs a database that takes more
   * than one. No flag: a campaign sets it.
   */
  readonly schedulesApart?: boolean;
  /** What becomes of the sample policy. No flag: the stories set it. */
  readonly policy?: (sample: string) => string;
}

const HELP = `npm start -- [--port-base N] [--state DIR] [--empty] [--database URL]`;
const HIGHEST_OFFSET = Math.max(...Object.values(PORT_OFFSETS));

/** Flags of `npm start`. Throws `UsageError` naming the flag. */
export function parseStartFlags(args: readonly string[]): StartFlags {
  let values: { 'port-base'?: string; state?: string; empty?: boolean; database?: string };
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        'port-base': { type: 'string' },
        state: { type: 'string' },
        empty: { type: 'boolean' },
        database: { type: 'string' },
      },
    }));
  } catch (error) {
    // Node's own words, without the advice that follows.
    const [what] = (error instanceof Error ? error.message : String(error)).split('. ');
    throw new UsageError(`${what}; usage: ${HELP}`);
  }
  const portBase = Number(values['port-base'] ?? '8600');
  if (!Number.isInteger(portBase) || portBase < 1024 || portBase + HIGHEST_OFFSET > 65_535) {
    throw new UsageError(`--port-base must be a whole number from 1024 to ${65_535 - HIGHEST_OFFSET}.`);
  }
  if (values.database !== undefined && !/^postgres(ql)?:\/\//.test(values.database)) {
    throw new UsageError('--database must be an address such as postgres://user@127.0.0.1:5432/sealwright.');
  }
  return {
    portBase,
    stateDir: resolve(values.state ?? '.sealwright'),
    empty: values.empty ?? false,
    databaseUrl: values.database,
  };
}
