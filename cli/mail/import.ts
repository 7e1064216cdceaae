import { parseSettings, type Settings } from '../../shared/config/settings.ts';
import { recipientNames } from '../../shared/pki/cms-recipients.ts';
import { DerError } from '../../shared/pki/der-reader.ts';
import type { KeyService } from '../../shared/ports/key-service.ts';
import type { MailInsertion } from '../../shared/ports/mail-insertion.ts';
import { adminCommand } from '../admin/admin-command.ts';
import type { AdminClient } from '../admin/client.ts';
import type { Call, Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { readInput } from '../input-file.ts';
import { PASSWORD_FLAG, type PromptStreams, TERMINAL } from '../password.ts';
import { withProgress } from '../progress.ts';
import { table } from '../table.ts';
import { counted, instant } from '../words.ts';
import { foreseeKeys, importKey, type KeyRow, type Migration, migration } from './import-keys.ts';
import { type Examined, examine, type Fate, insertOne, type MessageRow } from './insert.ts';
import { Journal } from './journal.ts';
import { messagesIn } from './messages.ts';
import { forget, type OldKey, readOldKeys } from './old-keys.ts';

/** What acts as the migration's service account. */
export interface MigrationAccount {
  readonly gmail: MailInsertion;
  readonly keyService: KeyService;
}

export interface MailSurroundings {
  /** By default with Application Default Credentials. */
  readonly open?: (settings: Settings, serviceAccount: string) => Promise<MigrationAccount>;
  readonly streams?: PromptStreams;
}

/** A key waits for a Gmail that is slow; the import goes on without it. */
const KEY_PATIENCE_MS = 120_000;

export const mailImport = (surroundings: MailSurroundings = {}): Command =>
  adminCommand({
    name: 'mail import',
    summary: "puts a user's old encrypted S/MIME mail into Gmail, with the keys that open it",
    operands: ['FILE…'],
    flags: {
      user: { kind: 'text', placeholder: 'ADDRESS', help: 'whose mailbox' },
      key: {
        kind: 'text',
        repeatable: true,
        placeholder: 'FILE',
        help: 'PKCS#12 file with a key of before; goes to the key service and into no other place',
      },
      ...PASSWORD_FLAG,
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
      'also-without-key': { kind: 'switch', help: 'insert also what none of the keys opens' },
      'retry-unknown': {
        kind: 'switch',
        help: 'send again what was begun and never answered, after you have looked in Gmail that it is not there',
      },
      'dry-run': { kind: 'switch', help: 'only say what would be imported and inserted' },
    },
    notes: [
      'FILE is an .eml or an mbox. Messages go in unchanged, dated by their own Date header; what is not encrypted S/MIME is left out.',
      'A key is wrapped by the key service of the user and uploaded with the certificate it had, which may have run out. Give --key alone to import keys only.',
      'What none of the keys opens is listed before anything is inserted, and left out.',
      'Exit code 4 when something was refused, will not open, or its outcome is not known.',
    ],
    run: (call, admin) => migrate(surroundings, call, admin),
  });

async function migrate(surroundings: MailSurroundings, call: Call, admin: AdminClient) {
  const { user, serviceAccount, journalFile } = wishOf(call);
  const keys = await readOldKeys(call, call.texts('key'), surroundings.streams ?? TERMINAL);
  try {
    const files = call.operands.map((file) => ({ file, messages: messagesIn(readInput(file)) }));
    const account = call.isSet('dry-run') ? undefined : await open(surroundings, call, serviceAccount);
    const about = await admin.read('v1/imported-keys', migration, { user });
    const keyRows = await keysImported({ call, admin, account, migration: about }, keys);
    const messages = await examined(call, files, openingNames(about, keys, keyRows));
    if (messages.length === 0) return report(call, keyRows, []);
    tellShut(call, messages);
    const journal = new Journal(journalFile ?? '');
    try {
      return report(call, keyRows, await inserted(call, messages, { user, journal, account }));
    } finally {
      journal.close();
    }
  } finally {
    forget(keys);
  }
}

function wishOf(call: Call) {
  const user = call.text('user')?.toLowerCase();
  const serviceAccount = call.text('service-account');
  const journalFile = call.text('journal');
  if (user === undefined || serviceAccount === undefined)
    throw new UsageError('Say --user ADDRESS and --service-account EMAIL.');
  if (call.operands.length === 0 && call.texts('key').length === 0)
    throw new UsageError('Name at least one .eml or mbox file, or a --key FILE.');
  if (call.operands.length > 0 && journalFile === undefined)
    throw new UsageError('Say --journal FILE: it keeps what was inserted, so that nothing goes in twice.');
  return { user, serviceAccount, journalFile };
}

/** Loaded only here: Google's clients take a second that no other command should pay for. */
async function open(
  surroundings: MailSurroundings,
  call: Call,
  serviceAccount: string,
): Promise<MigrationAccount> {
  const settings = parseSettings({ SEALWRIGHT_CREDENTIALS: 'application-default', ...call.environment });
  if (surroundings.open !== undefined) return await surroundings.open(settings, serviceAccount);
  const { composeMailInsertion, composeMigrationKeyService } = await import(
    '../../functions/compose/mail-insertion.ts'
  );
  return {
    gmail: composeMailInsertion(settings, serviceAccount),
    keyService: composeMigrationKeyService(settings, serviceAccount),
  };
}

interface Run {
  readonly call: Call;
  readonly admin: AdminClient;
  /** Absent in a dry run. */
  readonly account: MigrationAccount | undefined;
  readonly migration: Migration;
}

async function keysImported(run: Run, keys: readonly OldKey[]): Promise<readonly KeyRow[]> {
  const { account, call } = run;
  if (account === undefined) return foreseeKeys(keys, run.migration);
  const rows: KeyRow[] = [];
  const { keyService } = account;
  await withProgress(
    call.terminal,
    () => `${rows.length} of ${counted(keys.length, 'key')}`,
    async () => {
      for (const key of keys)
        rows.push(await importKey(key, { ...run, keyService, patienceMs: KEY_PATIENCE_MS }));
    },
  );
  return rows;
}

/** How messages may name certificates whose keys the user has, or will have once this is done. */
function openingNames(
  { certificates }: Migration,
  keys: readonly OldKey[],
  rows: readonly KeyRow[],
): ReadonlySet<string> {
  const imported = keys
    .filter((_, index) => rows[index]?.fate !== 'refused')
    .map(({ chainDer: [der] }) => der);
  const known = certificates.map(({ certificate }) => new Uint8Array(Buffer.from(certificate, 'base64')));
  return new Set([...known, ...imported].flatMap(namesOf));
}

/** A certificate that is no DER at all opens nothing that could be told here. */
function namesOf(certificateDer: Uint8Array): readonly string[] {
  try {
    return recipientNames(certificateDer).map(({ id }) => id);
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    return [];
  }
}

async function examined(
  call: Call,
  files: readonly { readonly file: string; readonly messages: readonly Buffer[] }[],
  opening: ReadonlySet<string>,
): Promise<readonly Examined[]> {
  const found: Examined[] = [];
  await withProgress(
    call.terminal,
    () => `${counted(found.length, 'message')} read`,
    async () => {
      for (const { file, messages } of files)
        for (const message of messages) found.push(await examine(file, message, opening));
    },
  );
  return found;
}

/** Before anything is inserted: an admin may still break off and look for the key. */
function tellShut(call: Call, messages: readonly Examined[]): void {
  const shut = messages.filter((message) => message.shut !== undefined);
  if (shut.length === 0) return;
  const reasons = [...new Set(shut.map((message) => message.shut))];
  call.terminal.tell(
    `${counted(shut.length, 'message')} will not open${call.isSet('also-without-key') ? '' : ' (left out)'}: ${reasons.join('; ')}.`,
  );
}

async function inserted(
  call: Call,
  messages: readonly Examined[],
  {
    user,
    journal,
    account,
  }: { readonly user: string; readonly journal: Journal; readonly account: MigrationAccount | undefined },
): Promise<readonly MessageRow[]> {
  const rows: MessageRow[] = [];
  const insertion = {
    ...{ user, journal, gmail: account?.gmail },
    retryUnknown: call.isSet('retry-unknown'),
    alsoShut: call.isSet('also-without-key'),
  };
  await withProgress(
    call.terminal,
    () => `${rows.length} of ${counted(messages.length, 'message')}`,
    async () => {
      for (const message of messages) rows.push(await insertOne(message, insertion));
    },
  );
  return rows;
}

const FATES_TO_LOOK_AT: ReadonlySet<Fate> = new Set(['will not open', 'unknown', 'refused']);

function report(call: Call, keys: readonly KeyRow[], messages: readonly MessageRow[]) {
  const dryRun = call.isSet('dry-run');
  const partly =
    keys.some(({ fate }) => fate === 'refused' || fate === 'waiting') ||
    messages.some(({ fate }) => FATES_TO_LOOK_AT.has(fate));
  return {
    exitCode: partly ? EXIT.partlyDone : EXIT.done,
    document: { dryRun, keys, messages },
    text: [
      ...(keys.length === 0 ? [] : [keyTable(keys)]),
      ...(call.operands.length === 0 ? [] : [messageReport(messages, dryRun)]),
    ].join('\n\n'),
  };
}

const keyTable = (keys: readonly KeyRow[]): string =>
  table<KeyRow>(
    [
      { title: 'KEY', value: ({ file }) => file },
      { title: 'ADDRESSES', value: ({ addresses }) => addresses.join(', ') },
      { title: 'FROM', value: ({ from }) => instant(from) },
      { title: 'UNTIL', value: ({ until }) => instant(until) },
      { title: 'FATE', value: ({ fate }) => fate },
      { title: 'DETAIL', value: ({ detail }) => detail ?? '' },
    ],
    keys,
  );

function messageReport(rows: readonly MessageRow[], dryRun: boolean): string {
  const count = (fate: Fate) => rows.filter((row) => row.fate === fate).length;
  const notable = rows.filter(({ fate }) => fate !== 'inserted' && fate !== 'there already');
  const inserted = `${counted(count('inserted'), 'message')} ${dryRun ? 'would be inserted' : 'inserted'}`;
  const summary = `${inserted}, ${count('there already')} there already, ${count('not encrypted')} left out, ${count('will not open')} will not open, ${count('refused')} refused, ${count('unknown')} of unknown outcome.`;
  const rowsText = table<MessageRow>(
    [
      { title: 'FILE', value: ({ file }) => file },
      { title: 'MESSAGE', value: ({ messageId, subject }) => messageId ?? subject ?? '' },
      { title: 'FATE', value: ({ fate }) => fate },
      { title: 'DETAIL', value: ({ detail }) => detail ?? '' },
    ],
    notable,
  );
  return notable.length === 0 ? summary : `${rowsText}\n\n${summary}`;
}
