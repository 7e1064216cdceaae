import { nearest } from '../../shared/config/nearest.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { withProgress } from '../progress.ts';
import { table } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { counted, instant } from '../words.ts';
import { adminCommand } from './admin-command.ts';
import { type UserSummary, userStates } from './answers.ts';
import type { AdminClient } from './client.ts';

export const users = adminCommand({
  name: 'users',
  summary: 'every user with state, reason and next action',
  operands: [],
  flags: {
    state: { kind: 'text', placeholder: 'STATE', help: `only users in this state: ${userStates.join(', ')}` },
  },
  notes: [],
  async run(call, admin) {
    const state = wantedState(call.text('state'));
    const found = await allUsers(admin, call.terminal, (user) => state === undefined || user.state === state);
    return {
      exitCode: EXIT.done,
      document: { users: found },
      text:
        found.length === 0
          ? `The ledger knows no user${state === undefined ? '' : ` in the state ${state}`}.`
          : `${usersTable(found)}\n\n${counted(found.length, 'user')}.`,
    };
  },
});

/** All users that pass `isWanted`, by address; says how far it is when that takes long. */
export function allUsers(
  admin: AdminClient,
  terminal: Terminal,
  isWanted: (user: UserSummary) => boolean,
): Promise<readonly UserSummary[]> {
  let seen = 0;
  return withProgress(
    terminal,
    () => `reading users, ${counted(seen, 'user')} so far`,
    async () => {
      const found: UserSummary[] = [];
      for await (const page of admin.userPages()) {
        seen += page.length;
        found.push(...page.filter(isWanted));
      }
      return found.sort((left, right) => (left.user < right.user ? -1 : left.user > right.user ? 1 : 0));
    },
  );
}

const usersTable = (found: readonly UserSummary[]): string =>
  table<UserSummary>(
    [
      { title: 'USER', value: ({ user }) => user },
      { title: 'STATE', value: ({ state }) => state },
      { title: 'SINCE', value: ({ since }) => instant(since) },
      { title: 'NEXT', value: ({ nextAction }) => nextAction ?? '' },
      { title: 'AT', value: ({ nextActionAt }) => instant(nextActionAt) },
      { title: 'REASON', value: ({ reason }) => reason },
    ],
    found,
  );

function wantedState(text: string | undefined): string | undefined {
  if (text === undefined || (userStates as readonly string[]).includes(text)) return text;
  const guess = nearest(text, userStates);
  throw new UsageError(
    `There is no state "${text}"; ${guess === undefined ? `known are ${userStates.join(', ')}.` : `did you mean "${guess}"?`}`,
  );
}
