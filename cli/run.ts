/** One run of the command line: words and environment in, output on the terminal, exit code out. It never throws. */
import { asksForJson, readArguments } from './arguments.ts';
import type { Command } from './command.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { describeFailure, UsageError } from './failure.ts';
import { commandHelp, overview } from './help.ts';
import type { Terminal } from './terminal.ts';

export interface Run {
  readonly words: readonly string[];
  readonly commands: readonly Command[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly terminal: Terminal;
  readonly version: string;
}

export async function run({ words, commands, environment, terminal, version }: Run): Promise<ExitCode> {
  let command: Command | undefined;
  try {
    const request = readArguments(words, commands);
    command = request.command;
    if (request.wantsHelp) {
      terminal.print(command === undefined ? overview(commands) : commandHelp(command));
      return EXIT.done;
    }
    if (request.wantsVersion) {
      terminal.print(version);
      return EXIT.done;
    }
    if (command === undefined) {
      terminal.tell(overview(commands));
      return EXIT.usage;
    }
    const outcome = await command.run({ ...request.call, environment, terminal });
    if (request.wantsJson) {
      if (outcome.document !== undefined) terminal.print(JSON.stringify(outcome.document, null, 2));
    } else if (outcome.text !== undefined) terminal.print(outcome.text);
    return outcome.exitCode;
  } catch (thrown) {
    return fail(thrown);
  }

  function fail(thrown: unknown): ExitCode {
    const { exitCode, ...report } = describeFailure(thrown);
    terminal.tell(`sealwright: ${report.message}`);
    if (thrown instanceof UsageError && command !== undefined) {
      terminal.tell(`See "sealwright ${command.name} --help".`);
    }
    if (environment['SEALWRIGHT_DEBUG'] === '1' && thrown instanceof Error) {
      terminal.tell(thrown.stack ?? thrown.message);
    }
    if (asksForJson(words)) terminal.print(JSON.stringify({ error: report }, null, 2));
    return exitCode;
  }
}
