/** `keypair disable`, and the two-person way to obliterate one. */
import type { z } from 'zod';
import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { withProgress } from '../progress.ts';
import { facts, table } from '../table.ts';
import { counted, instant } from '../words.ts';
import { adminCommand } from './admin-command.ts';
import {
  type KeypairRequestView,
  keypairRequest,
  keypairRequested,
  keypairRequestList,
  obliterationRequested,
  type StatementView,
} from './guard-answers.ts';
import { NO_LEGAL_HOLD, needed } from './two-admins.ts';

const REQUESTS = 'v1/keypair-requests';

/** A command that records a request about one key pair: which flag has its reason, and what the answer says. */
interface Asking<T extends { readonly request: string }> {
  readonly name: string;
  readonly summary: string;
  readonly flag: { readonly name: string; readonly placeholder: string; readonly help: string };
  readonly notes: readonly string[];
  /** The request's kind and the member of its body that the flag's text becomes. */
  readonly body: (text: string) => Readonly<Record<string, unknown>>;
  readonly answer: z.ZodType<T>;
  readonly text: (answer: T) => string;
}

const asking = <T extends { readonly request: string }>(one: Asking<T>): Command =>
  adminCommand({
    name: one.name,
    summary: one.summary,
    operands: ['USER', 'KEYPAIR'],
    flags: {
      [one.flag.name]: { kind: 'text', placeholder: one.flag.placeholder, help: one.flag.help },
    },
    notes: one.notes,
    async run(call, admin) {
      const [user = '', keypair = ''] = call.operands;
      const text = needed(call.text(one.flag.name), `--${one.flag.name} ${one.flag.placeholder}`);
      const answer = await withProgress(
        call.terminal,
        () => 'recording the request',
        () =>
          admin.post(
            REQUESTS,
            { user, keypair, ...one.body(text) },
            one.answer,
            '"sealwright obliterate list" shows it',
          ),
      );
      return { exitCode: EXIT.done, document: answer, text: one.text(answer) };
    },
  });

const disable = asking({
  name: 'keypair disable',
  summary:
    "disables one of a user's key pairs: mail encrypted to it cannot be read until it is enabled again",
  flag: { name: 'reason', placeholder: 'TEXT', help: 'why; it goes into the audit trail' },
  notes: ['KEYPAIR is Gmail\'s id or the certificate\'s serial, as "sealwright user" shows them.'],
  body: (reason) => ({ kind: 'disable', reason }),
  answer: keypairRequested,
  text: ({ request }) =>
    `Request ${request} is recorded and carried out when Gmail answers. "sealwright obliterate show ${request}" shows how it stands.`,
});

const request = asking({
  name: 'obliterate request',
  summary: 'asks that a key pair be destroyed for ever; another admin has to confirm it',
  flag: { name: 'no-legal-hold', ...NO_LEGAL_HOLD },
  notes: [
    'Only a pair that has been disabled for more than 30 days ("sealwright keypair disable").',
    'Nobody can ever again read mail that was encrypted to it. What that is, is shown; nothing is done before another admin confirms it.',
    'Refused, with exit code 3, where a condition does not hold; the message names it.',
  ],
  body: (noLegalHold) => ({ kind: 'obliterate', noLegalHold }),
  answer: obliterationRequested,
  text: ({ statement, request: id, digest }) =>
    [
      describeStatement(statement),
      '',
      `Request ${id} waits for another admin: "sealwright obliterate confirm ${id} --statement ${digest}".`,
    ].join('\n'),
});

const list = adminCommand({
  name: 'obliterate list',
  summary: 'requests about single key pairs that are open',
  operands: [],
  flags: { all: { kind: 'switch', help: 'also those that are done, refused or cancelled' } },
  notes: [],
  async run(call, admin) {
    const answer = await withProgress(
      call.terminal,
      () => 'reading requests',
      () => admin.read(REQUESTS, keypairRequestList, call.isSet('all') ? { state: 'any' } : {}),
    );
    return {
      exitCode: EXIT.done,
      document: answer,
      text:
        answer.requests.length === 0
          ? 'No request is open.'
          : `${requestsTable(answer.requests)}\n\n${counted(answer.requests.length, 'request')}.`,
    };
  },
});

const show = adminCommand({
  name: 'obliterate show',
  summary: 'one request, and what it makes unreadable',
  operands: ['REQUEST'],
  flags: {},
  notes: [],
  async run(call, admin) {
    const [id = ''] = call.operands;
    const view = await withProgress(
      call.terminal,
      () => `reading request ${id}`,
      () => admin.read(`${REQUESTS}/${encodeURIComponent(id)}`, keypairRequest),
    );
    return { exitCode: EXIT.done, document: view, text: describeRequest(view) };
  },
});

const confirm = adminCommand({
  name: 'obliterate confirm',
  summary: "confirms another admin's request: the key pair is destroyed for ever",
  operands: ['REQUEST'],
  flags: {
    statement: {
      kind: 'text',
      placeholder: 'DIGEST',
      help: 'digest of the statement that "sealwright obliterate show" showed you',
    },
  },
  notes: [
    'Refused, with exit code 3, for whoever made the request, and where a condition does not hold (any more).',
  ],
  async run(call, admin) {
    const [id = ''] = call.operands;
    const statement = needed(call.text('statement'), '--statement DIGEST, from "sealwright obliterate show"');
    const view = await withProgress(
      call.terminal,
      () => 'confirming',
      () =>
        admin.post(
          `${REQUESTS}/${encodeURIComponent(id)}/confirm`,
          { statement },
          keypairRequest,
          '"sealwright obliterate list --all" shows it',
        ),
    );
    return {
      exitCode: EXIT.done,
      document: view,
      text: `Confirmed. Key pair ${view.keypairId} of ${view.user} is obliterated when its turn comes, if everything still holds then.`,
    };
  },
});

const cancel = adminCommand({
  name: 'obliterate cancel',
  summary: 'takes back a request that has not been carried out',
  operands: ['REQUEST'],
  flags: {},
  notes: [],
  async run(call, admin) {
    const [id = ''] = call.operands;
    const view = await withProgress(
      call.terminal,
      () => 'cancelling',
      () =>
        admin.post(
          `${REQUESTS}/${encodeURIComponent(id)}/cancel`,
          {},
          keypairRequest,
          '"sealwright obliterate list --all" shows it',
        ),
    );
    return { exitCode: EXIT.done, document: view, text: `Request ${view.request} is cancelled.` };
  },
});

export const keypairCommands: readonly Command[] = [disable, request, list, show, confirm, cancel];

function describeStatement(statement: StatementView): string {
  const { epochs, sameKey } = statement;
  const head = facts([
    ['User', statement.user],
    ['Key pair', statement.keypairId],
    ['Disabled', `since ${instant(statement.disabledAt)}`],
  ]);
  const lost =
    epochs.length === 0
      ? 'The key only signs: no mail becomes unreadable.'
      : [
          'Gmail can never again open mail that was encrypted to these certificates, for anybody:',
          table(
            [
              { title: 'FROM', value: ({ from }) => instant(from) },
              { title: 'TO', value: ({ to }) => instant(to) },
              { title: 'CERTIFICATE', value: ({ serial }) => serial },
              { title: 'ADDRESSES', value: ({ addresses }) => addresses.join(' ') },
            ],
            epochs,
          ),
        ].join('\n');
  const siblings =
    sameKey.length === 0
      ? ''
      : `\nThe same key is in ${counted(sameKey.length, 'other pair')} (${sameKey.join(', ')}); whether Gmail opens this mail with it is not known.`;
  const kept =
    statement.takesWrappedKey === true
      ? '\nThe wrapped key in the ledger is erased with it, and then nobody opens this mail any more, whoever is asked; unless something needs the key at that time: another key pair in Gmail, a certificate that is good still, a move to another key service.'
      : '\nThe wrapped key stays in the ledger.';
  return `${head}\n\n${lost}${siblings}${kept}`;
}

function describeRequest(view: KeypairRequestView): string {
  const head = facts([
    ['Request', view.request],
    ['What', `${view.kind} key pair ${view.keypairId} of ${view.user}`],
    ['State', view.state],
    ['Detail', view.detail],
    ['Asked by', `${view.requestedBy}, ${instant(view.requestedAt)}`],
    ['Confirmed by', view.confirmedBy],
    [view.kind === 'obliterate' ? 'On legal holds' : 'Reason', view.reason],
    ['Statement', view.digest],
  ]);
  return view.statement === undefined ? head : `${head}\n\n${describeStatement(view.statement)}`;
}

const requestsTable = (requests: readonly KeypairRequestView[]): string =>
  table<KeypairRequestView>(
    [
      { title: 'REQUEST', value: (view) => view.request },
      { title: 'KIND', value: ({ kind }) => kind },
      { title: 'STATE', value: ({ state }) => state },
      { title: 'USER', value: ({ user }) => user },
      { title: 'KEY PAIR', value: ({ keypairId }) => keypairId },
      { title: 'ASKED BY', value: ({ requestedBy }) => requestedBy },
      { title: 'AT', value: ({ requestedAt }) => instant(requestedAt) },
      { title: 'CONFIRMED BY', value: ({ confirmedBy }) => confirmedBy ?? '' },
      { title: 'DETAIL', value: ({ detail }) => detail ?? '' },
    ],
    requests,
  );
