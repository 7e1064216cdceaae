/** The password of a file that goes out or came in: from a file, the environment, or somebody at a terminal. */
import { hiddenInput, type PromptInput, type PromptOutput } from './ca/prompt.ts';
import type { Call, Flag } from './command.ts';
import { UsageError } from './failure.ts';
import { readInput } from './input-file.ts';

export interface PromptStreams {
  readonly input: PromptInput;
  readonly output: PromptOutput;
}

export const TERMINAL: PromptStreams = { input: process.stdin, output: process.stderr };

const VARIABLE = 'SEALWRIGHT_PASSWORD';

export const PASSWORD_FLAG = {
  'password-file': {
    kind: 'text',
    placeholder: 'FILE',
    help: `file with the password (or ${VARIABLE}, or it is asked for)`,
  },
} as const satisfies Readonly<Record<string, Flag>>;

type Given = Pick<Call, 'text' | 'environment'>;

/** Undefined where none was given and nobody can be asked. Throws `UsageError` when it is given twice. */
export async function passwordFor(
  call: Given,
  streams: PromptStreams,
  question: string,
): Promise<string | undefined> {
  const given = givenPassword(call);
  if (given !== undefined) return given;
  if (streams.input.isTTY !== true) return undefined;
  return await hiddenInput(streams, question);
}

function givenPassword(call: Given): string | undefined {
  const file = call.text('password-file');
  const variable = call.environment[VARIABLE];
  // Alone, an empty one is the password of a file without any.
  if (file !== undefined && variable !== undefined && variable !== '') {
    throw new UsageError(
      `The password is given twice: by --password-file and by ${VARIABLE}. Leave out one.`,
    );
  }
  // Editors end a file with one line break, which is not part of it.
  return file === undefined
    ? variable
    : readInput(file)
        .toString('utf8')
        .replace(/\r?\n$/, '');
}

/** A password for a file that is about to be written, at least so long; asked for twice. Throws `UsageError`. */
export async function newPassword(call: Given, streams: PromptStreams, least: number): Promise<string> {
  const given = givenPassword(call);
  if (given !== undefined) return longEnough(given, least);
  if (streams.input.isTTY !== true) {
    throw new UsageError(
      `The file is encrypted under a password: give --password-file FILE, set ${VARIABLE}, or run this at a terminal.`,
    );
  }
  const typed = longEnough(
    await hiddenInput(streams, `Password for the file (${least} characters or more): `),
    least,
  );
  if ((await hiddenInput(streams, 'The same again: ')) !== typed) {
    throw new UsageError('The two passwords differ. Nothing was made; start again.');
  }
  return typed;
}

function longEnough(password: string, least: number): string {
  if ([...password].length >= least && !/\p{Cc}/u.test(password)) return password;
  throw new UsageError(
    `The password needs at least ${least} characters, all of which can be typed: it is all that protects the key on its way.`,
  );
}
