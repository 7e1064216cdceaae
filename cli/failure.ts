/** How a command ends when it cannot do what was asked: one sentence, a code for scripts, an exit code. */
import { isSealwrightError } from '../shared/errors.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';

export interface CommandFailureOptions {
  readonly exitCode?: ExitCode;
  readonly cause?: unknown;
  /** Facts for scripts, printed with `--json`. */
  readonly details?: unknown;
}

/** `code` is stable, lower case with hyphens; where the admin API gave one it is the API's. */
export class CommandFailure extends Error {
  override readonly name: string = 'CommandFailure';
  readonly code: string;
  readonly exitCode: ExitCode;
  readonly details: unknown;

  constructor(code: string, message: string, options: CommandFailureOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.exitCode = options.exitCode ?? EXIT.failed;
    this.details = options.details;
  }
}

/** The caller must change a flag, a setting or a named file: exit code 2. */
export class UsageError extends CommandFailure {
  override readonly name = 'UsageError';

  constructor(message: string, options: { readonly cause?: unknown } = {}) {
    super('usage', message, { ...options, exitCode: EXIT.usage });
  }
}

export interface FailureReport {
  readonly code: string;
  readonly message: string;
  readonly exitCode: ExitCode;
  readonly details?: unknown;
}

/** Any thrown value as a report. What is none of ours is a bug, and says so without its stack. */
export function describeFailure(thrown: unknown): FailureReport {
  if (thrown instanceof CommandFailure) {
    const { code, message, exitCode, details } = thrown;
    return { code, message, exitCode, ...(details === undefined ? {} : { details }) };
  }
  if (isSealwrightError(thrown)) {
    const { code, message, details } = thrown;
    return {
      code,
      message,
      exitCode: exitCodeOf(code),
      ...(details === undefined ? {} : { details }),
    };
  }
  const said = thrown instanceof Error ? thrown.message : String(thrown);
  return {
    code: 'internal',
    message: `Something went wrong inside sealwright: ${said}. This is a bug; with SEALWRIGHT_DEBUG=1 it prints where.`,
    exitCode: EXIT.failed,
  };
}

/** What a human has to look at or decide on first. */
const REFUSED_BY_GUARD: ReadonlySet<string> = new Set([
  'guard-refused',
  'held-set-changed',
  'held-set-decided',
  'same-admin',
  'obliteration-refused',
  'erasure-refused',
]);

/** Exit code for an error code of the product, whether it arose here or in the admin API. */
export function exitCodeOf(code: string): ExitCode {
  if (REFUSED_BY_GUARD.has(code)) return EXIT.refusedByGuard;
  return code === 'settings-invalid' ? EXIT.usage : EXIT.failed;
}
