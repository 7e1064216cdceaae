/** Where the passphrase of the root key comes from: a file, the environment, or somebody at a terminal. */
import { readFileSync } from 'node:fs';
import type { Call } from '../command.ts';
import { UsageError } from '../failure.ts';
import { passphraseProblem } from './passphrase.ts';
import { hiddenInput, type PromptInput, type PromptOutput } from './prompt.ts';

export interface PromptStreams {
  readonly input: PromptInput;
  readonly output: PromptOutput;
}

const VARIABLE = 'SEALWRIGHT_ROOT_PASSPHRASE';

/** Throws `UsageError` when there is none, more than one, or a weak one. Never echoes it. */
export async function readPassphrase(
  call: Pick<Call, 'text' | 'environment'>,
  streams: PromptStreams,
): Promise<string> {
  const file = call.text('passphrase-file');
  const variable = call.environment[VARIABLE];
  if (file !== undefined && variable !== undefined) {
    throw new UsageError(
      `The passphrase is given twice: by --passphrase-file and by ${VARIABLE}. Leave out one.`,
    );
  }
  if (file !== undefined) return checked(fromFile(file), `in ${file}`);
  if (variable !== undefined) return checked(variable, `in ${VARIABLE}`);
  if (streams.input.isTTY !== true) {
    throw new UsageError(
      `The root key is encrypted under a passphrase: give --passphrase-file FILE, set ${VARIABLE}, or run this at a terminal.`,
    );
  }
  const passphrase = checked(
    await hiddenInput(streams, 'Passphrase for the root key (16 characters or more): '),
    'you typed',
  );
  if ((await hiddenInput(streams, 'The same again: ')) !== passphrase) {
    throw new UsageError('The two passphrases differ. Nothing was made; start again.');
  }
  return passphrase;
}

export interface SecretQuestion {
  /** Flag that names a file with it. */
  readonly flag: string;
  readonly variable: string;
  /** What it opens, for the question and the errors: "the root key". */
  readonly opens: string;
}

/** The passphrase of the root key that exists already. */
export const ROOT_KEY: SecretQuestion = {
  flag: 'passphrase-file',
  variable: VARIABLE,
  opens: 'the root key',
};

/** The secret that opens something that exists already: asked for once, its strength is no matter any more. */
export async function readExisting(
  call: Pick<Call, 'text' | 'environment'>,
  streams: PromptStreams,
  { flag, variable, opens }: SecretQuestion,
): Promise<string> {
  const file = call.text(flag);
  const given = call.environment[variable];
  if (file !== undefined && given !== undefined)
    throw new UsageError(
      `What opens ${opens} is given twice: by --${flag} and by ${variable}. Leave out one.`,
    );
  if (file !== undefined) return fromFile(file);
  if (given !== undefined) return given;
  if (streams.input.isTTY !== true)
    throw new UsageError(
      `What opens ${opens} is missing: give --${flag} FILE, set ${variable}, or run this at a terminal.`,
    );
  return await hiddenInput(streams, `Passphrase of ${opens}: `);
}

function fromFile(file: string): string {
  try {
    // Editors end a file with one line break, which is not part of it.
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(`The passphrase file ${file} cannot be read (${code ?? 'unknown reason'}).`, {
      cause: error,
    });
  }
}

function checked(passphrase: string, where: string): string {
  const problem = passphraseProblem(passphrase);
  if (problem === undefined) return passphrase;
  throw new UsageError(`The passphrase ${where} ${problem}. Six words drawn by dice make a good one.`);
}
