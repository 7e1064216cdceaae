/** Histories kept by name: those that told system and model apart, shrunk by fast-check, and the ones nearest to a bug. */
import {
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
];
