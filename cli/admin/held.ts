/** `held list|show|approve|dismiss`: what the guard holds, and the decision on it. */
import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { withProgress } from '../progress.ts';
import { facts, table } from '../table.ts';
import { counted, instant } from '../words.ts';
import { adminCommand } from './admin-command.ts';
import {
  type FullHeldSetView,
  fullHeldSet,
  type HeldSetView,
  type HeldUserView,
  heldDecision,
  heldList,
} from './guard-answers.ts';
import { describeJob, exitCodeOfJob, waitForJob } from './job-report.ts';

const list = adminCommand({
  name: 'held list',
  summary: 'departures that wait for a decision, set by set',
  operands: [],
  flags: { all: { kind: 'switch', help: 'also what was approved or dismissed' } },
  notes: [],
  async run(call, admin) {
    const all = call.isSet('all');
    const answer = await withProgress(
      call.terminal,
      () => 'reading held sets',
      () => admin.read('v1/held', heldList, all ? { state: 'any' } : {}),
    );
    return {
      exitCode: EXIT.done,
      document: answer,
      text:
        answer.sets.length === 0
          ? 'Nothing is held.'
          : `${setsTable(answer.sets)}\n\n${counted(answer.sets.length, 'held set')}. "sealwright held show DIGEST" shows who is in one.`,
    };
  },
});

const show = adminCommand({
  name: 'held show',
  summary: 'who is in a held set, and what would be done to them',
  operands: ['DIGEST'],
  flags: {},
  notes: ["DIGEST as in the list; the set's number also does, for looking."],
  async run(call, admin) {
    const [digest = ''] = call.operands;
    const set = await withProgress(
      call.terminal,
      () => `reading held set ${digest}`,
      () => admin.read(`v1/held/${encodeURIComponent(digest)}`, fullHeldSet),
    );
    return { exitCode: EXIT.done, document: set, text: describeSet(set) };
  },
});

const approve = adminCommand({
  name: 'held approve',
  summary: 'carries out exactly what a held set shows',
  operands: ['DIGEST'],
  flags: { wait: { kind: 'switch', help: 'wait until it is done, with progress' } },
  notes: [
    'Refused, with exit code 3, when the set has changed since that digest was shown or is decided already.',
    'Everybody is looked at again when their turn comes, ten users a second: who has come back keeps everything, and who would be treated otherwise is held anew.',
    'With --wait it ends with 4 when some users failed and some did not, with 1 when all did.',
  ],
  async run(call, admin) {
    const digest = digestOf(call.operands);
    const answer = await withProgress(
      call.terminal,
      () => 'approving',
      () =>
        admin.post(`v1/held/${digest}/approve`, {}, heldDecision, '"sealwright held list --all" shows it'),
    );
    const said = `Held set ${answer.set} is approved: ${counted(answer.users, 'departure')} will be carried out.`;
    if (answer.job === undefined || !call.isSet('wait')) {
      const follow =
        answer.job === undefined ? '' : ` "sealwright job ${answer.job} --wait" shows how it ends.`;
      return { exitCode: EXIT.done, document: answer, text: `${said}${follow}` };
    }
    call.terminal.tell(`${said} Ctrl-C ends only the waiting.`);
    const job = await waitForJob(admin, answer.job, call.terminal);
    return {
      exitCode: exitCodeOfJob(job),
      document: { ...answer, progress: job },
      text: describeJob(answer.job, job),
    };
  },
});

const dismiss = adminCommand({
  name: 'held dismiss',
  summary: 'does not carry out what a held set shows, and opens the latch',
  operands: ['DIGEST'],
  flags: {},
  notes: [
    'Nothing is taken away from those in it for 24 hours; if the directory still asks for it then, they are held again.',
    'Refused, with exit code 3, when the set has changed since that digest was shown or is decided already.',
  ],
  async run(call, admin) {
    const digest = digestOf(call.operands);
    const answer = await withProgress(
      call.terminal,
      () => 'dismissing',
      () =>
        admin.post(`v1/held/${digest}/dismiss`, {}, heldDecision, '"sealwright held list --all" shows it'),
    );
    return {
      exitCode: EXIT.done,
      document: answer,
      text: `Held set ${answer.set} is dismissed: ${counted(answer.users, 'departure')} will not be carried out. If the directory still asks for them in 24 hours, they are held again.`,
    };
  },
});

export const held: readonly Command[] = [list, show, approve, dismiss];

function digestOf([digest = '']: readonly string[]): string {
  if (/^[1-9]\d{0,17}-[0-9a-f]{64}$/.test(digest)) return digest;
  throw new UsageError(
    `"${digest}" is no digest of a held set; it is a number, a hyphen and 64 hexadecimal digits. Take it from "sealwright held show", so that you decide on what you have seen.`,
  );
}

const setsTable = (sets: readonly HeldSetView[]): string =>
  table<HeldSetView>(
    [
      { title: 'SET', value: ({ set }) => set },
      { title: 'SCOPE', value: ({ scope }) => scope },
      { title: 'STATE', value: ({ state }) => state },
      { title: 'USERS', value: ({ users }) => String(users) },
      { title: 'SINCE', value: ({ since }) => instant(since) },
      { title: 'DECIDED BY', value: ({ decidedBy }) => decidedBy ?? '' },
      { title: 'DIGEST', value: ({ digest }) => digest },
      { title: 'REASON', value: ({ reason }) => reason },
    ],
    sets,
  );

function describeSet(set: FullHeldSetView): string {
  const head = facts([
    ['Held set', set.set],
    ['Scope', set.scope],
    ['State', set.state],
    ['Since', instant(set.since)],
    ['Reason', set.reason],
    ['Decided', set.decidedBy === undefined ? undefined : `${set.decidedBy}, ${instant(set.decidedAt)}`],
    ['Job', set.job],
    ['Waits in', set.absorbedBy === undefined ? undefined : `held set ${set.absorbedBy}`],
    ['Digest', set.digest],
  ]);
  if (set.users.length === 0) return `${head}\n\nNobody waits in it.`;
  const rows = table<HeldUserView>(
    [
      { title: 'USER', value: ({ user }) => user },
      { title: 'UNIT', value: ({ unit }) => unit ?? '' },
      { title: 'STATE', value: ({ state }) => state },
      { title: 'SINCE', value: ({ heldAt }) => instant(heldAt) },
      { title: 'WOULD BE DONE', value: whatWouldBeDone },
    ],
    set.users,
  );
  return `${head}\n\n${rows}\n\n${counted(set.users.length, 'user')}.`;
}

const whatWouldBeDone = ({ steps }: HeldUserView): string =>
  steps
    .map(
      ({ kind, target, revocationReason }) =>
        `${kind} ${target}${revocationReason === undefined ? '' : ` (${revocationReason})`}`,
    )
    .join(', ');
