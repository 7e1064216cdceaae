/** `erasures`: the wrapped keys of deleted users, due for erasure and erased by two admins. */
import { z } from 'zod';
import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { withProgress } from '../progress.ts';
import { facts, table } from '../table.ts';
import { counted, instant } from '../words.ts';
import { adminCommand } from './admin-command.ts';
import { NO_LEGAL_HOLD, needed } from './two-admins.ts';

const ERASURES = 'v1/erasures';

const keys = z.array(
  z.looseObject({
    user: z.string(),
    userId: z.string(),
    deletedSince: z.string(),
    spkiSha256: z.string(),
    certificates: z.array(z.looseObject({ serial: z.string(), from: z.string(), to: z.string() })),
  }),
);
const erasure = z.looseObject({
  erasure: z.string(),
  digest: z.string(),
  count: z.number(),
  state: z.string(),
  noLegalHold: z.string(),
  requestedBy: z.string(),
  requestedAt: z.string(),
  confirmedBy: z.string().optional(),
  detail: z.string().optional(),
});
const whole = erasure.extend({ keys });
const listed = z.looseObject({ digest: z.string().optional(), keys, erasures: z.array(erasure) });
const carriedOut = z.looseObject({
  state: z.string(),
  erased: z.number(),
  kept: z.array(z.looseObject({ user: z.string(), why: z.string() })),
  busy: z.number(),
  next: z.string().optional(),
});

const keysTable = (rows: z.output<typeof keys>): string =>
  table(
    [
      { title: 'USER', value: ({ user }) => user },
      { title: 'DELETED SINCE', value: ({ deletedSince }) => instant(deletedSince) },
      { title: 'KEY (SPKI SHA-256)', value: ({ spkiSha256 }) => spkiSha256 },
      {
        title: 'MAIL TO CERTIFICATES',
        value: ({ certificates }) =>
          certificates.map(({ serial }) => serial).join(' ') || 'none: it only signs',
      },
    ],
    rows,
  );

const list = adminCommand({
  name: 'erasures list',
  summary: 'wrapped keys of deleted users that are due for erasure by the policy, and erasures there were',
  operands: [],
  flags: {},
  notes: [
    'Nothing is erased by becoming due; two admins have to ask for it ("sealwright erasures request").',
  ],
  async run(call, admin) {
    const answer = await withProgress(
      call.terminal,
      () => 'reading what is due',
      () => admin.read(ERASURES, listed),
    );
    const due =
      answer.digest === undefined
        ? 'No wrapped key is due for erasure.'
        : `${keysTable(answer.keys)}\n\n${counted(answer.keys.length, 'wrapped key')} due for erasure, digest ${answer.digest}.`;
    const asked = answer.erasures.map(
      (one) =>
        `Erasure ${one.erasure} of ${counted(one.count, 'wrapped key')}: ${one.state}, asked by ${one.requestedBy}.`,
    );
    return { exitCode: EXIT.done, document: answer, text: [due, ...asked].join('\n') };
  },
});

const request = adminCommand({
  name: 'erasures request',
  summary: 'asks that all wrapped keys that are due be erased for ever; another admin has to confirm it',
  operands: ['DIGEST'],
  flags: {
    'no-legal-hold': NO_LEGAL_HOLD,
  },
  notes: [
    'DIGEST is that of "sealwright erasures list".',
    'Nobody opens with these keys again. Backups of the ledger, and what was exported, are out of reach.',
  ],
  async run(call, admin) {
    const [digest = ''] = call.operands;
    const noLegalHold = needed(call.text('no-legal-hold'), '--no-legal-hold STATEMENT');
    const answer = await withProgress(
      call.terminal,
      () => 'recording the request',
      () => admin.post(ERASURES, { digest, noLegalHold }, whole, '"sealwright erasures list" shows it'),
    );
    return {
      exitCode: EXIT.done,
      document: answer,
      text: `${keysTable(answer.keys)}\n\nErasure ${answer.erasure} waits for another admin: "sealwright erasures confirm ${answer.erasure} --digest ${answer.digest}".`,
    };
  },
});

const show = adminCommand({
  name: 'erasures show',
  summary: 'one erasure, and what it makes unreadable',
  operands: ['ERASURE'],
  flags: {},
  notes: [],
  async run(call, admin) {
    const [id = ''] = call.operands;
    const view = await withProgress(
      call.terminal,
      () => `reading erasure ${id}`,
      () => admin.read(`${ERASURES}/${encodeURIComponent(id)}`, whole),
    );
    const head = facts([
      ['Erasure', view.erasure],
      ['State', view.state],
      ['Detail', view.detail],
      ['Asked by', `${view.requestedBy}, ${instant(view.requestedAt)}`],
      ['Confirmed by', view.confirmedBy],
      ['On legal holds', view.noLegalHold],
      ['Digest', view.digest],
    ]);
    return { exitCode: EXIT.done, document: view, text: `${head}\n\n${keysTable(view.keys)}` };
  },
});

const confirm = adminCommand({
  name: 'erasures confirm',
  summary: "confirms another admin's erasure and carries it out: the wrapped keys are gone for ever",
  operands: ['ERASURE'],
  flags: {
    digest: { kind: 'text', placeholder: 'DIGEST', help: 'that "sealwright erasures show" showed you' },
  },
  notes: [
    'Refused, with exit code 3, for whoever asked for it, and where what is due has changed since.',
    'Each user is checked once more: whoever is there again, or can be undeleted, keeps theirs, and the answer says why.',
    'Interrupted, it is confirmed again and goes on.',
  ],
  async run(call, admin) {
    const [id = ''] = call.operands;
    const digest = needed(call.text('digest'), '--digest DIGEST, from "sealwright erasures show"');
    let erased = 0;
    let after: string | undefined;
    const kept: z.output<typeof carriedOut>['kept'] = [];
    for (;;) {
      const answer = await withProgress(
        call.terminal,
        () => `erasing, ${erased} so far`,
        () =>
          admin.post(
            `${ERASURES}/${encodeURIComponent(id)}/confirm`,
            { digest, ...(after === undefined ? {} : { after }) },
            carriedOut,
            'confirm it again and it goes on',
          ),
      );
      erased += answer.erased;
      kept.push(...answer.kept);
      after = answer.next;
      if (after !== undefined) continue;
      const lines = kept.map(({ user, why }) => `Kept of ${user}: ${why}.`);
      const busy =
        answer.state === 'done'
          ? []
          : ['Somebody was just being looked at: confirm it once more in a minute.'];
      return {
        exitCode: EXIT.done,
        document: { erasure: id, state: answer.state, erased, kept },
        text: [`${counted(erased, 'wrapped key')} erased.`, ...lines, ...busy].join('\n'),
      };
    }
  },
});

const cancel = adminCommand({
  name: 'erasures cancel',
  summary: 'takes back an erasure that nobody has confirmed',
  operands: ['ERASURE'],
  flags: {},
  notes: [],
  async run(call, admin) {
    const [id = ''] = call.operands;
    const view = await withProgress(
      call.terminal,
      () => 'cancelling',
      () =>
        admin.post(
          `${ERASURES}/${encodeURIComponent(id)}/cancel`,
          {},
          erasure,
          '"sealwright erasures list" shows it',
        ),
    );
    return { exitCode: EXIT.done, document: view, text: `Erasure ${view.erasure} is cancelled.` };
  },
});

export const erasureCommands: readonly Command[] = [list, request, show, confirm, cancel];
