import {
  type CheckpointDocument,
  CSV_HEADER,
  csvRow,
  type EntryDocument,
} from '../../shared/audit/document.ts';
import { adminCommand } from '../admin/admin-command.ts';
import type { AdminClient } from '../admin/client.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { withProgress } from '../progress.ts';
import type { Terminal } from '../terminal.ts';
import { counted } from '../words.ts';

export const auditExport = adminCommand({
  name: 'audit export',
  summary: 'the audit trail with its checkpoints, for keeping elsewhere; or as a table for a spreadsheet',
  operands: [],
  flags: {
    format: {
      kind: 'text',
      placeholder: 'FORM',
      help: 'jsonl (default): JSON Lines, which "audit verify --file" checks; csv: entries alone, a row each',
    },
    user: {
      kind: 'text',
      placeholder: 'USER',
      help: 'only this user, by address or user id, without checkpoints',
    },
  },
  notes: [
    'Prints on standard output: sealwright audit export > trail.jsonl',
    'An entry that revokes a certificate says which CRL first lists it and how many seconds that took from the event.',
    'In CSV a text that a spreadsheet would take for a formula has an apostrophe in front.',
  ],
  async run(call, admin) {
    const format = call.text('format') ?? 'jsonl';
    if (format !== 'jsonl' && format !== 'csv')
      throw new UsageError(`--format is jsonl or csv, not "${format}".`);
    if (call.isSet('json')) throw new UsageError('An export prints JSON Lines or CSV: leave --json out.');
    const user = call.text('user');
    let count = 0;
    await withProgress(
      call.terminal,
      () => `exporting the audit trail, ${counted(count, 'entry', 'entries')} so far`,
      async () => {
        const write = format === 'csv' ? asCsv(call.terminal) : asJsonLines(call.terminal);
        const checkpoints = user === undefined ? await checkpointsOf(admin) : [];
        for await (const document of inOrder(admin.auditDocuments(user), checkpoints)) {
          write(document);
          if (document.kind === 'entry') count += 1;
        }
      },
    );
    return { exitCode: EXIT.done };
  },
});

async function checkpointsOf(admin: AdminClient): Promise<readonly CheckpointDocument[]> {
  const checkpoints: CheckpointDocument[] = [];
  for await (const page of admin.checkpointPages()) checkpoints.push(...page);
  return checkpoints;
}

/** Each checkpoint after the last entry it covers. */
async function* inOrder(
  pages: AsyncIterable<readonly EntryDocument[]>,
  checkpoints: readonly CheckpointDocument[],
): AsyncGenerator<EntryDocument | CheckpointDocument> {
  const waiting = [...checkpoints];
  for await (const page of pages) {
    for (const entry of page) {
      while (waiting[0] !== undefined && BigInt(waiting[0].lastEntryId) < BigInt(entry.id)) {
        const [next] = waiting.splice(0, 1);
        if (next !== undefined) yield next;
      }
      yield entry;
    }
  }
  yield* waiting;
}

const asJsonLines = (terminal: Terminal) => (document: EntryDocument | CheckpointDocument) =>
  terminal.print(JSON.stringify(document));

function asCsv(terminal: Terminal): (document: EntryDocument | CheckpointDocument) => void {
  terminal.print(CSV_HEADER);
  return (document) => {
    if (document.kind === 'entry') terminal.print(csvRow(document));
  };
}
