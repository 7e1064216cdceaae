/**
 * What a command is. A *command* has a name of one to three words, flags and operands; running it answers an *outcome*:
 * one document for `--json`, one text for people, an exit code. A command prints nothing itself, except progress and
 * a listing too long to hold, so that both forms say the same.
 */
import type { ExitCode } from './exit-codes.ts';
import type { Terminal } from './terminal.ts';

export interface Flag {
  readonly kind: 'text' | 'switch';
  /** May be given several times. */
  readonly repeatable?: true;
  /** What stands for the value in the help: `FILE`. */
  readonly placeholder?: string;
  readonly help: string;
}

export interface Command {
  readonly name: string;
  readonly summary: string;
  /** Names of the operands, all needed: `['FILE']`. A single `FILE…` takes any number, also none. */
  readonly operands: readonly string[];
  readonly flags: Readonly<Record<string, Flag>>;
  /** Paragraphs under the flags: examples, exit codes that are special, what to prepare. */
  readonly notes: readonly string[];
  run(call: Call): Promise<Outcome>;
}

export interface Call {
  /** Value of a text flag. */
  text(flag: string): string | undefined;
  /** Values of a repeatable text flag, in order. */
  texts(flag: string): readonly string[];
  isSet(flag: string): boolean;
  readonly operands: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly terminal: Terminal;
}

export interface Outcome {
  readonly exitCode: ExitCode;
  /** Printed as JSON with `--json`. Absent: the command has printed by itself. */
  readonly document?: unknown;
  /** Printed without `--json`. */
  readonly text?: string;
}

/** Every command has these. */
export const COMMON_FLAGS = {
  json: { kind: 'switch', help: 'print one JSON document on standard output' },
  help: { kind: 'switch', help: 'print this help' },
} as const satisfies Readonly<Record<string, Flag>>;
