import { adminCommand } from '../admin/admin-command.ts';
import type { AuditEntryView, AuditPage } from '../admin/answers.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { withProgress } from '../progress.ts';
import { type Column, table } from '../table.ts';
import { counted, instant } from '../words.ts';

export const audit = adminCommand({
  name: 'audit',
  summary: 'what was done, to whom, why and by whose hint; oldest first',
  operands: [],
  flags: {
    user: { kind: 'text', placeholder: 'USER', help: 'only this user, by address or user id' },
    after: { kind: 'text', placeholder: 'ENTRY', help: 'only entries after this entry number' },
    limit: { kind: 'text', placeholder: 'N', help: 'at most N entries' },
    'json-lines': { kind: 'switch', help: 'print each entry as one line of JSON, as it arrives' },
  },
  notes: [
    'A long trail is better read with --json-lines: --json holds all of it before it prints.',
    'To go on from where an earlier run ended: --after with its last entry number.',
  ],
  async run(call, admin) {
    const asLines = call.isSet('json-lines');
    if (asLines && call.isSet('json')) throw new UsageError('Give --json or --json-lines, not both.');
    const asDocument = call.isSet('json');
    const pages = admin.auditPages({
      user: call.text('user'),
      after: wholeNumber('after', call.text('after'), 0),
      addresses: !asDocument && !asLines,
      limit: Number(wholeNumber('limit', call.text('limit'), 1) ?? Number.POSITIVE_INFINITY),
    });
    const collected: AuditEntryView[] = [];
    let count = 0;
    await withProgress(
      call.terminal,
      () => `reading the audit trail, ${counted(count, 'entry', 'entries')} so far`,
      async () => {
        for await (const { entries: page, addresses } of pages) {
          if (asDocument) collected.push(...page);
          else if (asLines) {
            for (const entry of page) call.terminal.print(JSON.stringify(entry));
          } else if (page.length > 0) call.terminal.print(table(columns(addresses), page, count === 0));
          count += page.length;
        }
      },
    );
    if (asDocument) return { exitCode: EXIT.done, document: { entries: collected } };
    if (count === 0 && !asLines) return { exitCode: EXIT.done, text: 'The audit trail has no such entries.' };
    return { exitCode: EXIT.done };
  },
});

/** Narrowest widths keep the pages of one listing aligned. Whoever has no address in the ledger is shown by id. */
const columns = (addresses: AuditPage['addresses']): readonly Column<AuditEntryView>[] => [
  { title: 'ENTRY', value: ({ id }) => id, minimum: 5 },
  { title: 'AT', value: ({ at }) => instant(at), minimum: 17 },
  { title: 'USER', value: ({ userId = '' }) => addresses[userId] ?? userId, minimum: 24 },
  { title: 'STEP', value: ({ step }) => step, minimum: 15 },
  { title: 'OUTCOME', value: ({ outcome }) => outcome, minimum: 8 },
  { title: 'HINT', value: ({ cause }) => `${cause.source} ${cause.event}`, minimum: 17 },
  { title: 'REASON', value: ({ reason }) => reason },
];

function wholeNumber(flag: string, text: string | undefined, least: number): string | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,18}$/.test(text) && BigInt(text) >= BigInt(least)) return String(BigInt(text));
  throw new UsageError(`--${flag} takes a whole number from ${least} up, not "${text}".`);
}
