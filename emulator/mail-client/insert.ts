/**
 * `users.messages.insert` and `import` of the Gmail API, by media upload or `raw`: a message of another system is put into the
 * mailbox as it is. https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.messages/insert
 */
import { failedPrecondition, invalidArgument, permissionDenied } from '../core/google-error.ts';
import type { Account, Accounts } from '../core/rooms.ts';
import { type Call, jsonBody, ok, type Route } from '../core/route.ts';
import type { Mailboxes } from './mailbox.ts';
import { canonical, readEntity } from './mime.ts';

const SCOPES = [
  'https://mail.google.com/',
  'https://www.googleapis.com/auth/gmail.insert',
  'https://www.googleapis.com/auth/gmail.modify',
];
const MAX_BYTES = 157_286_400;

export function insertRoutes(accounts: Accounts, mailboxes: Mailboxes): readonly Route[] {
  const route = (method: 'insert' | 'import', prefix: string): Route => ({
    id: `gmail.users.messages.${method}`,
    verb: 'POST',
    path: `${prefix}/gmail/v1/users/:userId/messages${method === 'import' ? '/import' : ''}`,
    scopes: SCOPES,
    handle: (call) => {
      const account = mailboxOf(call, accounts);
      const message = prefix === '' ? rawOf(call) : uploadOf(call);
      const { headers } = readEntity(message);
      if (!headers.has('from')) throw invalidArgument('Invalid message: it has no From header.');
      const source =
        call.query.get('internalDateSource') ?? (method === 'import' ? 'dateHeader' : 'receivedTime');
      const date = source === 'dateHeader' ? new Date(headers.get('date') ?? '') : undefined;
      const arrivedAt = date === undefined || Number.isNaN(date.getTime()) ? undefined : date;
      const id = mailboxes.deliver(message, [account], arrivedAt);
      return ok({ id, threadId: id, labelIds: [] });
    },
  });
  return [route('insert', ''), route('insert', '/upload'), route('import', ''), route('import', '/upload')];
}

function mailboxOf({ caller, params }: Call, accounts: Accounts): Account {
  if (caller?.kind !== 'user') throw failedPrecondition('Precondition check failed.');
  const named = params['userId'] ?? 'me';
  if (named !== 'me' && named.toLowerCase() !== caller.email.toLowerCase())
    throw permissionDenied(`Delegation denied for ${caller.email}`);
  const account = accounts.byAddress(caller.email);
  if (account === undefined || !account.mailboxReady || account.suspended || account.archived)
    throw failedPrecondition('Mail service not enabled');
  return account;
}

function rawOf(call: Call): Buffer {
  const { raw } = jsonBody(call);
  if (typeof raw !== 'string' || raw === '')
    throw invalidArgument("'raw' RFC822 payload message string required");
  return canonical(Buffer.from(raw, 'base64url'));
}

/** The simple upload; multipart and resumable ones are not emulated. */
function uploadOf(call: Call): Buffer {
  if (call.query.get('uploadType') !== 'media')
    throw invalidArgument('The emulator takes uploadType=media only.');
  if (!/^message\//.test(call.headers['content-type'] ?? ''))
    throw invalidArgument('Media type is not supported; message/* is.');
  if (call.body.length > MAX_BYTES) throw invalidArgument('The message is larger than 150 MiB.');
  return canonical(call.body);
}
