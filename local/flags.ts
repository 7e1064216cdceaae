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
    throw new UsageError(`${error instanceof Error ? error.message : String(error)} Usage: ${HELP}`);
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
