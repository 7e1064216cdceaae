import { COMMON_FLAGS, type Command, type Flag } from './command.ts';
import { table } from './table.ts';

export function overview(commands: readonly Command[]): string {
  return [
    'sealwright: S/MIME certificates of a Google Workspace tenant, kept in step with its directory.',
    '',
    'Usage: sealwright COMMAND [FLAGS]',
    '',
    'Commands',
    table<Command>(
      [
        { title: '', value: (command) => `  ${signature(command)}` },
        { title: '', value: (command) => command.summary },
      ],
      commands,
      false,
    ),
    '',
    'Every command takes --json (one JSON document on standard output) and --help.',
    'Exit codes: 0 done, 1 failed, 2 usage, 3 refused by the guard, 4 partly done.',
  ].join('\n');
}

export function commandHelp(command: Command): string {
  const flags = Object.entries<Flag>({ ...command.flags, ...COMMON_FLAGS });
  return [
    `sealwright ${command.name}: ${command.summary}`,
    '',
    `Usage: sealwright ${signature(command)} [FLAGS]`,
    '',
    'Flags',
    table<(typeof flags)[number]>(
      [
        { title: '', value: ([name, flag]) => `  --${name}${placeholderOf(flag)}` },
        { title: '', value: ([, flag]) => flag.help },
      ],
      flags,
      false,
    ),
    ...command.notes.flatMap((note) => ['', note]),
  ].join('\n');
}

const signature = (command: Command): string => [command.name, ...command.operands].join(' ');

const placeholderOf = (flag: Flag): string =>
  flag.kind === 'switch' ? '' : ` ${flag.placeholder ?? 'VALUE'}${flag.repeatable === true ? ' …' : ''}`;
