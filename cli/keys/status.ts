import { adminCommand } from '../admin/admin-command.ts';
import type { WrappedKeyCount } from '../admin/answers.ts';
import { EXIT } from '../exit-codes.ts';
import { table } from '../table.ts';
import { counted } from '../words.ts';

export const keysStatus = adminCommand({
  name: 'keys status',
  summary:
    'wrapped keys by key service and key-encryption key, what is wrapped again, what does not open, keys on cards and imported ones',
  operands: [],
  flags: {},
  notes: [
    'A key-encryption key may be taken away when nothing under it is left to wrap again or unreadable, and when it never wrapped a content key (docs/key-service.md, "Rotation").',
    'UNPROVEN counts keys whose wrapped form nobody has seen open: another vendor wrapped them. `keys prove` has samples decrypted with them.',
    'Exit code 4 when a wrapped key could not be opened.',
  ],
  async run(_call, admin) {
    const { wrappedKeys, cardKeys, importedKeys } = await admin.wrappedKeys();
    const lost = wrappedKeys.filter(({ unreadable }) => unreadable > 0);
    return {
      exitCode: lost.length === 0 ? EXIT.done : EXIT.partlyDone,
      document: { wrappedKeys, cardKeys, importedKeys },
      text: [
        wrappedKeys.length === 0 ? 'The ledger holds no wrapped key.' : countTable(wrappedKeys),
        ...(cardKeys === 0
          ? []
          : [`\n${counted(cardKeys, 'key')} on smart cards: nothing of them is wrapped.`]),
        ...(importedKeys === 0
          ? []
          : [`\n${counted(importedKeys, 'key')} of these imported, so that old mail opens.`]),
        ...lost.map(
          ({ unreadable, kekId, keyServiceUrl }) =>
            `\n${count(unreadable)} under ${kekId ?? 'an unknown key'} of ${keyServiceUrl} did not open. Give the key service that key-encryption key back: without it these users' mail stays shut. Its log (wrapped-key-unreadable) names them.`,
        ),
      ].join('\n'),
    };
  },
});

const count = (value: number): string => value.toLocaleString('en-US');

const countTable = (rows: readonly WrappedKeyCount[]): string =>
  table<WrappedKeyCount>(
    [
      { title: 'KEY SERVICE', value: ({ keyServiceUrl }) => keyServiceUrl },
      { title: 'KEY-ENCRYPTION KEY', value: ({ kekId }) => kekId ?? '' },
      { title: 'KEYS', value: ({ keys }) => count(keys) },
      { title: 'WRAPPED AGAIN', value: ({ rewrappedUnder }) => count(sum(Object.values(rewrappedUnder))) },
      { title: 'UNPROVEN', value: ({ unproven }) => count(unproven) },
      { title: 'UNREADABLE', value: ({ unreadable }) => count(unreadable) },
      { title: 'UNDER', value: ({ rewrappedUnder }) => Object.keys(rewrappedUnder).join(', ') },
    ],
    rows,
  );

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
