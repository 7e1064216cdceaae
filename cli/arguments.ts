/** Words of the command line → a command and its call, or a `UsageError` that names the word and the nearest known one. */
import { parseArgs } from 'node:util';
import { nearest } from '../shared/config/nearest.ts';
import { type Call, COMMON_FLAGS, type Command, type Flag } from './command.ts';
import { UsageError } from './failure.ts';

export interface Request {
  /** Undefined where only help was asked for, or nothing at all. */
  readonly command: Command | undefined;
  readonly wantsHelp: boolean;
  readonly wantsVersion: boolean;
  readonly wantsJson: boolean;
  readonly call: Pick<Call, 'text' | 'texts' | 'isSet' | 'operands'>;
}

const ALONE: Readonly<Record<string, Flag>> = {
  version: { kind: 'switch', help: 'print the version' },
};

interface Given {
  readonly name: string;
  readonly rawName: string;
  readonly value: string | undefined;
  readonly inline: boolean;
}

/** Throws `UsageError`. */
export function readArguments(words: readonly string[], commands: readonly Command[]): Request {
  const known = Object.assign({}, ALONE, COMMON_FLAGS, ...commands.map(({ flags }) => flags));
  const { given, positionals } = tokenize(words, known);
  const wanted = (name: string) => given.some((flag) => flag.name === name);
  const asksHelp = wanted('help') || positionals[0] === 'help';
  const named = positionals[0] === 'help' ? positionals.slice(1) : positionals;
  const command = findCommand(named, commands, asksHelp);
  const flags: Readonly<Record<string, Flag>> =
    command === undefined ? { ...ALONE, ...COMMON_FLAGS } : { ...COMMON_FLAGS, ...command.flags };
  const values = readFlags(given, flags, command);
  const operands = command === undefined ? [] : named.slice(command.name.split(' ').length);
  if (command !== undefined && !asksHelp) checkOperands(command, operands);
  return {
    command,
    wantsHelp: asksHelp,
    wantsVersion: wanted('version'),
    wantsJson: wanted('json'),
    call: {
      text: (flag) => values.get(flag)?.[0],
      texts: (flag) => values.get(flag) ?? [],
      isSet: (flag) => values.has(flag),
      operands,
    },
  };
}

/** Whether `--json` was among the words, also when they could not be understood as a whole. */
export const asksForJson = (words: readonly string[]): boolean => {
  const end = words.indexOf('--');
  return (end < 0 ? words : words.slice(0, end)).includes('--json');
};

function tokenize(words: readonly string[], known: Readonly<Record<string, Flag>>) {
  const { tokens } = parseArgs({
    args: [...words],
    strict: false,
    tokens: true,
    allowPositionals: true,
    options: {
      ...Object.fromEntries(
        Object.entries(known).map(([name, flag]) => [
          name,
          { type: flag.kind === 'text' ? ('string' as const) : ('boolean' as const), multiple: true },
        ]),
      ),
      help: { type: 'boolean', multiple: true, short: 'h' },
    },
  });
  const given: Given[] = [];
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    given.push({
      name: token.name,
      rawName: token.rawName,
      value: token.value,
      inline: token.inlineValue === true,
    });
  }
  return { given, positionals };
}

function findCommand(
  positionals: readonly string[],
  commands: readonly Command[],
  asksHelp: boolean,
): Command | undefined {
  const [first, second] = positionals;
  if (first === undefined) return undefined;
  // The longest name that the words begin with.
  const exact = [3, 2, 1]
    .map((words) => positionals.slice(0, words).join(' '))
    .map((wanted) => commands.find(({ name }) => name === wanted))
    .find((command) => command !== undefined);
  if (exact !== undefined) return exact;
  const family = commands.filter(({ name }) => name.startsWith(`${first} `)).map(({ name }) => name);
  const names = commands.map(({ name }) => name);
  if (family.length > 0) {
    if (second === undefined && asksHelp) return undefined;
    const list = family.map((name) => `"${name}"`).join(', ');
    throw new UsageError(
      second === undefined
        ? `"${first}" needs one more word: ${list}.`
        : `There is no command "${first} ${second}"; known is ${list}.`,
    );
  }
  const guess = nearest(first, [...new Set(names.flatMap((name) => [name, name.split(' ')[0] ?? name]))]);
  throw new UsageError(
    guess === undefined
      ? `There is no command "${first}". "sealwright --help" lists them.`
      : `There is no command "${first}"; did you mean "${guess}"?`,
  );
}

function readFlags(
  given: readonly Given[],
  flags: Readonly<Record<string, Flag>>,
  command: Command | undefined,
): ReadonlyMap<string, readonly string[]> {
  const values = new Map<string, string[]>();
  for (const { name, rawName, value, inline } of given) {
    const flag = Object.hasOwn(flags, name) ? flags[name] : undefined;
    if (flag === undefined) throw unknownFlag(rawName, Object.keys(flags), command);
    const before = values.get(name);
    if (flag.kind === 'switch') {
      if (inline) throw new UsageError(`${rawName} takes no value.`);
      values.set(name, []);
      continue;
    }
    if (value === undefined || value === '' || (!inline && value.startsWith('--'))) {
      throw new UsageError(`${rawName} needs a value: ${rawName} ${flag.placeholder ?? 'VALUE'}.`);
    }
    if (before !== undefined && flag.repeatable !== true) {
      throw new UsageError(`${rawName} was given twice; give it once.`);
    }
    values.set(name, [...(before ?? []), value]);
  }
  return values;
}

function unknownFlag(rawName: string, known: readonly string[], command: Command | undefined): UsageError {
  const guess = nearest(rawName.replace(/^-+/, ''), known);
  const what = command === undefined ? 'There is no flag' : `"${command.name}" has no flag`;
  return new UsageError(
    guess === undefined
      ? `${what} ${rawName}; known here are ${known.map((name) => `--${name}`).join(', ')}.`
      : `${what} ${rawName}; did you mean --${guess}?`,
  );
}

function checkOperands(command: Command, operands: readonly string[]): void {
  // An unset variable of a script, as a rule: "" is nobody's address, number or name.
  const empty = operands.findIndex((operand) => operand.trim() === '');
  if (empty >= 0) {
    const name = command.operands[empty] ?? command.operands.at(-1);
    throw new UsageError(`"${command.name}" was given an empty ${name ?? 'word'}.`);
  }
  // `FILE…` takes as many as there are, also none; what it then means is the command's to say.
  if (command.operands.at(-1)?.endsWith('…') === true) return;
  const missing = command.operands[operands.length];
  if (missing !== undefined) {
    throw new UsageError(
      `"${command.name}" needs ${missing}: sealwright ${command.name} ${command.operands.join(' ')}.`,
    );
  }
  const extra = operands[command.operands.length];
  if (extra !== undefined) throw new UsageError(`"${command.name}" does not take "${extra}".`);
}
