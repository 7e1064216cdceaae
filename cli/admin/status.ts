import { EXIT } from '../exit-codes.ts';
import { withProgress } from '../progress.ts';
import { facts, table } from '../table.ts';
import { counted, instant } from '../words.ts';
import { adminCommand } from './admin-command.ts';
import { type UserSummary, userStates } from './answers.ts';
import type { AdminClient } from './client.ts';
import { describeAlarms, describeFreshness } from './freshness.ts';
import { heldList, stopView } from './guard-answers.ts';
import { type CrlReport, crlUrls, inspectCrl } from './public-crl.ts';
import { describeRollout } from './rollout.ts';
import { describeStop } from './stop.ts';
import { describeSweeps } from './sweep.ts';
import { systemStatus } from './sweep-answers.ts';
import { allUsers } from './users.ts';

const NO_COUNTS: Readonly<Record<string, number>> = Object.fromEntries(userStates.map((state) => [state, 0]));

export const status = adminCommand({
  name: 'status',
  summary:
    'whether it is stopped, what is held, users by state, who is blocked and why, the last sweep, the rollout, how fresh the public CRL is',
  operands: [],
  flags: {},
  notes: [
    'The CRL is fetched from the address in a certificate of the first ready user, as any mail program would; where this machine cannot reach it, it says so.',
  ],
  async run(call, admin) {
    const { stop } = await admin.read('v1/stop', stopView);
    const { sets } = await admin.read('v1/held', heldList);
    const system = await admin.read('v1/status', systemStatus);
    const heldUsers = sets.reduce((sum, set) => sum + set.users, 0);
    const all = await allUsers(admin, call.terminal, () => true);
    const users: Record<string, number> = { ...NO_COUNTS };
    for (const { state } of all) users[state] = (users[state] ?? 0) + 1;
    const blocked = all.filter(({ state }) => state === 'blocked');
    const witness = all.find(({ state }) => state === 'ready');
    const crls =
      witness === undefined
        ? []
        : await withProgress(
            call.terminal,
            () => 'looking at the public CRL',
            () => crlsOf(admin, witness),
          );
    return {
      exitCode: EXIT.done,
      document: {
        stop,
        held: { sets: sets.length, users: heldUsers },
        users: { ...users, total: all.length },
        blocked,
        sweep: system.sweep,
        rollout: system.rollout,
        sources: system.sources,
        channels: system.channels,
        notifications: system.notifications,
        reports: system.reports,
        backlog: system.backlog,
        notFollowed: system.notFollowed,
        alarms: system.alarms,
        deadLetters: system.deadLetters,
        crls,
      },
      text: [
        ...(stop === null ? [] : [`${describeStop(stop)} "sealwright resume" goes on.`]),
        ...(sets.length === 0
          ? []
          : [
              `HELD ${counted(heldUsers, 'departure')} in ${counted(sets.length, 'set')} wait for your decision: "sealwright held list".`,
            ]),
        ...describeAlarms(system),
        ...(stop === null && sets.length === 0 && system.alarms.length === 0 ? [] : ['']),
        facts([
          ...Object.entries(users).map(([state, count]) => [state, count.toLocaleString('en-US')] as const),
          ['total', counted(all.length, 'user')],
        ]),
        '',
        blocked.length === 0 ? 'Nobody is blocked.' : blockedTable(blocked),
        '',
        describeSweeps(system),
        describeRollout(system.rollout),
        '',
        describeFreshness(system),
        '',
        crls.length === 0
          ? 'No user is ready, so there is no certificate that names a CRL to look at.'
          : crls.map(describeCrl).join('\n'),
      ].join('\n'),
    };
  },
});

async function crlsOf(admin: AdminClient, { userId }: UserSummary): Promise<readonly CrlReport[]> {
  const { certificates } = await admin.user(userId);
  const urls = new Set(
    certificates.flatMap(({ certificate }) =>
      certificate === undefined ? [] : crlUrls(Buffer.from(certificate, 'base64')),
    ),
  );
  return await Promise.all([...urls].map((url) => inspectCrl(url, new Date())));
}

function describeCrl(crl: CrlReport): string {
  switch (crl.standing) {
    case 'fresh':
      return `CRL ${crl.url}: number ${crl.crlNumber ?? 'none'} of ${instant(crl.thisUpdate)}, good until ${instant(crl.nextUpdate)}.`;
    case 'overdue':
      return `CRL ${crl.url}: OVERDUE, number ${crl.crlNumber ?? 'none'} was good until ${instant(crl.nextUpdate)}. Mail programs stop trusting the certificates; look at the function publish-crl.`;
    case 'unreadable':
      return `CRL ${crl.url}: NOT A CRL (${crl.problem}). Look at what the public address serves.`;
    case 'unreachable':
      return `CRL ${crl.url}: cannot be fetched from this machine (${crl.problem}).`;
  }
}

const blockedTable = (blocked: readonly UserSummary[]): string =>
  table<UserSummary>(
    [
      { title: 'BLOCKED', value: ({ user }) => user },
      { title: 'SINCE', value: ({ since }) => instant(since) },
      { title: 'NEXT', value: ({ nextAction }) => nextAction ?? '' },
      { title: 'AT', value: ({ nextActionAt }) => instant(nextActionAt) },
      { title: 'REASON', value: ({ reason }) => reason },
    ],
    blocked,
  );
