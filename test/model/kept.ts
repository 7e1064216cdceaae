/** Histories kept by name: those that told system and model apart, shrunk by fast-check, and the ones nearest to a bug. */
import {
  alias,
  archive,
  type Command,
  changeScope,
  group,
  join,
  move,
  OTHER_SERVICE,
  rekey,
  remove,
  rename,
  roll,
  setGrace,
  setRule,
  suspend,
  switchEncryption,
  undelete,
  wait,
} from './commands.ts';
import { DAY_MS, HOUR_MS } from './model.ts';

export const KEPT: readonly { readonly what: string; readonly commands: readonly Command[] }[] = [
  {
    what: 'an overlap that ends while Gmail is switched off',
    commands: [join('101'), rekey('101', 'superseded'), switchEncryption('101', false), wait(73 * HOUR_MS)],
  },
  {
    what: 'a re-key asked for while suspended, carried out after the restoration',
    commands: [
      join('101'),
      suspend('101', true),
      rekey('101', 'superseded'),
      suspend('101', false),
      wait(73 * HOUR_MS),
    ],
  },
  {
    what: 'renamed there and back, and gone',
    commands: [
      join('101'),
      rename('101', 'b'),
      rename('101', 'a'),
      move('101', '/Contractors'),
      wait(31 * DAY_MS),
    ],
  },
  {
    what: 'covered by the group alone, renewed under another issuer, and gone',
    commands: [
      join('101'),
      group('101', true),
      changeScope('/Staff/Legal'),
      roll(),
      ...Array.from({ length: 12 }, () => wait(31 * DAY_MS)),
      group('101', false),
      wait(25 * HOUR_MS),
    ],
  },
  {
    what: 'another key service and back',
    commands: [
      join('101'),
      setRule('staff', { keyServiceUrl: OTHER_SERVICE }),
      rekey('101', 'keyCompromise'),
    ],
  },
  {
    what: 'out, deleted, and undeleted while still outside',
    commands: [
      join('101'),
      changeScope('/Staff/Legal'),
      wait(73 * HOUR_MS),
      remove('101'),
      undelete('101'),
      wait(25 * HOUR_MS),
    ],
  },
  {
    what: 'archived and out, suspended in the group, and suspended still when taken from the archive',
    commands: [
      join('102'),
      archive('102', true),
      wait(31 * DAY_MS),
      suspend('102', true),
      group('102', true),
      wait(31 * DAY_MS),
      archive('102', false),
      suspend('102', false),
    ],
  },
  {
    what: 'deleted, and undeleted outside without a grace period',
    commands: [
      join('101'),
      setGrace('staff', { leaveMs: 0 }),
      remove('101'),
      undelete('101'),
      remove('101'),
      changeScope('/Staff/Legal'),
      undelete('101'),
    ],
  },
  {
    what: 'aliases that come, go and become the primary address, under a rule that wants them named at once',
    commands: [
      join('101'),
      group('101', true),
      alias('101', 'b', 'c'),
      rename('101', 'b'),
      alias('101', 'c'),
      wait(HOUR_MS),
      setRule('vip', { aliases: 'next' }),
      alias('101'),
      wait(25 * HOUR_MS),
      setRule('vip', { aliases: 'no', profile: 'dual-use' }),
      wait(31 * DAY_MS),
      wait(31 * DAY_MS),
    ],
  },
];
