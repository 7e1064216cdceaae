/**
 * A stand-in for Gmail's web client, under `/_emulator/mail`: it writes S/MIME mail as a user, delivers it inside the
 * domain, and opens it. It asks the key service for every use of a private key, with freshly minted tokens, and so is
 * the only one in the emulator that makes the calls Gmail itself makes.
 */
import { X509Certificate } from 'node:crypto';
import type { EmulatorContext } from '../core/context.ts';
import { invalidArgument, notFound } from '../core/google-error.ts';
import type { Account, Room } from '../core/rooms.ts';
import { type Answer, type Call, jsonBody, ok, type Route } from '../core/route.ts';
import { composeMessage, type Draft } from './compose.ts';
import type { MailClientDependencies } from './deps.ts';
import { addressIn, readDraft, requireKnown } from './draft.ts';
import { insertRoutes } from './insert.ts';
import { KeyServiceClient } from './key-service.ts';
import { Mailboxes } from './mailbox.ts';
import { canonical, readEntity } from './mime.ts';
import { type OpenedMessage, openMessage } from './open.ts';

export type { Draft } from './compose.ts';
export type { CseMail, CseTokenRequest, CseTokens, MailClientDependencies } from './deps.ts';
export type { OpenedMessage } from './open.ts';

export interface SentMessage {
  readonly id: string;
  /** Addresses whose mailboxes are in the domain and have the message now. */
  readonly delivered: readonly string[];
  /** Addresses outside the domain: the message left, as far as the emulator is concerned. */
  readonly external: readonly string[];
}

export interface MailClient extends Room {
  /** Writes and delivers; throws `GoogleError` with a sentence when Gmail's client could not. */
  send(draft: Draft): Promise<SentMessage>;
  /** Throws 404 when the user has no such message. */
  open(user: string, id: string): Promise<OpenedMessage>;
}

const BASE = '/_emulator/mail';

export function createMailClient(context: EmulatorContext, dependencies: MailClientDependencies): MailClient {
  const { accounts, gmail, cseTokens, fetch = globalThis.fetch } = dependencies;
  const mailboxes = new Mailboxes(context);
  const keyService = new KeyServiceClient(cseTokens, fetch);

  const accountNamed = (address: string): Account => {
    const account = accounts.byAddress(address);
    if (account === undefined) throw notFound(`No account has the address ${address}.`);
    return account;
  };
  const messageOf = (user: string, id: string) => {
    const account = accountNamed(user);
    const message = mailboxes.find(account, id);
    if (message === undefined) throw notFound(`${account.primaryEmail} has no message ${id}.`);
    return { account, message };
  };
  const send = async (draft: Draft): Promise<SentMessage> => {
    const sender = accountNamed(draft.from);
    const contact = (address: string): Buffer | undefined => mailboxes.contact(address);
    const raw = await composeMessage({ clock: context.clock, gmail, keyService, contact }, sender, draft);
    const delivered = draft.to.filter((address) => accounts.byAddress(address) !== undefined);
    const boxes = delivered.flatMap((address) => accounts.byAddress(address) ?? []);
    return {
      id: mailboxes.deliver(raw, [sender, ...boxes]),
      delivered,
      external: draft.to.filter((address) => !delivered.includes(address)),
    };
  };
  const open = async (user: string, id: string): Promise<OpenedMessage> => {
    const { account, message } = messageOf(user, id);
    const learn = (address: string, der: Buffer): void => {
      if (accounts.byAddress(address) === undefined) mailboxes.addContact(address, der);
    };
    return openMessage({ gmail, keyService, learn }, account, message);
  };

  const control = (
    id: string,
    verb: Route['verb'],
    path: string,
    handle: (call: Call) => Answer | Promise<Answer>,
  ): Route => ({
    id: `emulator.mail.${id}`,
    verb,
    path: `${BASE}${path}`,
    scopes: 'none',
    control: true,
    handle,
  });

  return {
    send,
    open,
    routes: [
      ...insertRoutes(accounts, mailboxes),
      control('send', 'POST', '', async (call) => ok(await send(readDraft(jsonBody(call))))),
      control('contacts', 'POST', '/contacts', (call) => {
        const body = jsonBody(call);
        requireKnown(body, ['address', 'pem']);
        const address = addressIn(body['address'], 'address');
        mailboxes.addContact(address, contactCertificate(body['pem'], address));
        return ok({ address });
      }),
      control('deliver', 'POST', '/:user', (call) => {
        const account = accountNamed(call.params['user'] ?? '');
        if (!readEntity(canonical(call.body)).headers.has('from')) {
          throw invalidArgument('The body must be an RFC 5322 message with a From header.');
        }
        return ok({ id: mailboxes.deliver(canonical(call.body), [account]) });
      }),
      control('list', 'GET', '/:user', (call) => {
        const account = accountNamed(call.params['user'] ?? '');
        return ok({ messages: mailboxes.ids(account).map((id) => summary(mailboxes, account, id)) });
      }),
      control('get', 'GET', '/:user/:id', async (call) => {
        const { user = '', id = '' } = call.params;
        const view = call.query.get('view') ?? 'raw';
        if (view === 'opened') return ok(await open(user, id));
        if (view !== 'raw') throw invalidArgument('view must be raw or opened.');
        return ok(messageOf(user, id).message.raw, { 'content-type': 'message/rfc822' });
      }),
    ],
  };
}

function summary(mailboxes: Mailboxes, account: Account, id: string): unknown {
  const message = mailboxes.find(account, id);
  const headers = message === undefined ? new Map<string, string>() : readEntity(message.raw).headers;
  return {
    id,
    from: headers.get('from') ?? '',
    to: headers.get('to') ?? '',
    subject: headers.get('subject') ?? '',
    arrivedAt: message?.arrivedAt.toISOString() ?? null,
  };
}

function contactCertificate(pem: unknown, address: string): Buffer {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(String(pem));
  } catch {
    throw invalidArgument('pem must be one certificate in PEM.');
  }
  if (certificate.checkEmail(address) === undefined) {
    throw invalidArgument(`The certificate does not name ${address}.`);
  }
  return certificate.raw;
}
