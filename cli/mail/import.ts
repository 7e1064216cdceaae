import { createHash } from 'node:crypto';
import { parseSettings, type Settings } from '../../shared/config/settings.ts';
import { isSealwrightError } from '../../shared/errors.ts';
import type { MailInsertion } from '../../shared/ports/mail-insertion.ts';
import type { Call, Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { readInput } from '../input-file.ts';
import { withProgress } from '../progress.ts';
import { table } from '../table.ts';
import { counted } from '../words.ts';
import { Journal } from './journal.ts';
import { factsOf, type MessageFacts, messagesIn } from './messages.ts';

export interface MailSurroundings {
  /** Opens Gmail as the migration's service account; by default with Application Default Credentials. */
  readonly open?: (settings: Settings, serviceAccount: string) => Promise<MailInsertion>;
}

type Fate = 'inserted' | 'there already' | 'not encrypted' | 'unknown' | 'refused';

interface Row extends Pick<MessageFacts, 'messageId' | 'subject'> {
  readonly file: string;
  readonly fate: Fate;
  readonly detail?: string;
}

export const mailImport = (surroundings: MailSurroundings = {}): Command => ({
  name: 'mail import',
  summary: "puts a user's old encrypted S/MIME mail into Gmail",
  operands: ['FILE…'],
  flags: {
    user: { kind: 'text', placeholder: 'ADDRESS', help: 'whose mailbox' },
    'service-account': {
      kind: 'text',
      placeholder: 'EMAIL',
      help: 'the account of the migration, delegated gmail.insert and nothing else',
    },
    journal: {
      kind: 'text',
      placeholder: 'FILE',
      help: 'where it is kept what was inserted; give the same file again to go on',
    },
    'retry-unknown': {
      kind: 'switch',
      help: 'send again what was begun and never answered, after you have looked in Gmail that it is not there',
    },
    'dry-run': { kind: 'switch', help: 'only say what would be inserted' },
  },
  notes: [
    'FILE is an .eml or an mbox. Messages go in unchanged, dated by their own Date header; what is not encrypted S/MIME is left out.',
    'They open only with their own keys, and this command imports no keys: the key pairs with the same certificates must be in Gmail (docs/cli.md).',
    'Exit code 4 when something was refused or its outcome is not known.',
  ],
  async run(call) {
    const { user, serviceAccount, journalFile } = wishOf(call);
    const messages = call.operands.flatMap((file) =>
      messagesIn(readInput(file)).map((message) => ({ file, message })),
    );
    const journal = new Journal(journalFile);
    try {
      const gmail = call.isSet('dry-run') ? undefined : await open(surroundings, call, serviceAccount);
      const rows: Row[] = [];
      await withProgress(
        call.terminal,
        () => `${rows.length} of ${counted(messages.length, 'message')}`,
        async () => {
          for (const { file, message } of messages)
            rows.push({ file, ...(await importOne({ call, user, journal, gmail }, message)) });
        },
      );
      return report(rows, call.isSet('dry-run'));
    } finally {
      journal.close();
    }
  },
});

function wishOf(call: Call) {
  const user = call.text('user')?.toLowerCase();
  const serviceAccount = call.text('service-account');
  const journalFile = call.text('journal');
  if (user === undefined || serviceAccount === undefined || journalFile === undefined)
    throw new UsageError('Say --user ADDRESS, --service-account EMAIL and --journal FILE.');
  if (call.operands.length === 0) throw new UsageError('Name at least one .eml or mbox file.');
  return { user, serviceAccount, journalFile };
}

/** Loaded only here: Google's clients take a second that no other command should pay for. */
async function open(
  surroundings: MailSurroundings,
  call: Call,
  serviceAccount: string,
): Promise<MailInsertion> {
  const settings = parseSettings({ SEALWRIGHT_CREDENTIALS: 'application-default', ...call.environment });
  if (surroundings.open !== undefined) return await surroundings.open(settings, serviceAccount);
  const { composeMailInsertion } = await import('../../functions/compose/mail-insertion.ts');
  return composeMailInsertion(settings, serviceAccount);
}

interface Run {
  readonly call: Call;
  readonly user: string;
  readonly journal: Journal;
  /** Absent in a dry run. */
  readonly gmail: MailInsertion | undefined;
}

async function importOne({ call, user, journal, gmail }: Run, message: Buffer): Promise<Omit<Row, 'file'>> {
  const { messageId, subject, unfit } = await factsOf(message);
  const sha256 = createHash('sha256').update(message).digest('hex');
  const about = { messageId, subject };
  if (unfit !== undefined) return { ...about, fate: 'not encrypted', detail: unfit };
  const before = journal.stateOf(user, sha256);
  if (before?.state === 'inserted') return { ...about, fate: 'there already' };
  if (before?.state === 'begun' && !call.isSet('retry-unknown'))
    return { ...about, fate: 'unknown', detail: UNKNOWN };
  if (gmail === undefined) return { ...about, fate: 'inserted' };
  journal.write({ sha256, user, messageId, state: 'begun' });
  try {
    const gmailId = await gmail.insertMessage(user, message);
    journal.write({ sha256, user, messageId, state: 'inserted', gmailId });
    return { ...about, fate: 'inserted' };
  } catch (error) {
    if (!isSealwrightError(error)) throw error;
    const status = Number(error.details?.['httpStatus']);
    if (!(status >= 400 && status < 500)) return { ...about, fate: 'unknown', detail: error.message };
    journal.write({ sha256, user, messageId, state: 'refused' });
    return { ...about, fate: 'refused', detail: error.message };
  }
}

const UNKNOWN = 'an earlier run was broken off; search Gmail for its rfc822msgid, then use --retry-unknown';

function report(rows: readonly Row[], dryRun: boolean) {
  const count = (fate: Fate) => rows.filter((row) => row.fate === fate).length;
  const [inserted, unknown, refused] = [count('inserted'), count('unknown'), count('refused')];
  const notable = rows.filter(({ fate }) => fate !== 'inserted' && fate !== 'there already');
  const summary = `${counted(inserted, 'message')} ${dryRun ? 'would be inserted' : 'inserted'}, ${count('there already')} there already, ${count('not encrypted')} left out, ${refused} refused, ${unknown} of unknown outcome.`;
  const rowsText = table<Row>(
    [
      { title: 'FILE', value: ({ file }) => file },
      { title: 'MESSAGE', value: ({ messageId, subject }) => messageId ?? subject ?? '' },
      { title: 'FATE', value: ({ fate }) => fate },
      { title: 'DETAIL', value: ({ detail }) => detail ?? '' },
    ],
    notable,
  );
  return {
    exitCode: unknown + refused > 0 ? EXIT.partlyDone : EXIT.done,
    document: { dryRun, messages: rows },
    text: notable.length === 0 ? summary : `${rowsText}\n\n${summary}`,
  };
}
