import type { Call, Command, Outcome } from '../command.ts';
import { AdminClient } from './client.ts';
import { CONNECTION_FLAGS, CONNECTION_NOTE, connectionOf } from './connection.ts';

export interface AdminCommand extends Omit<Command, 'run'> {
  run(call: Call, admin: AdminClient): Promise<Outcome>;
}

/** A command that talks to the admin API: adds the flags for that, and opens the connection. */
export const adminCommand = (command: AdminCommand): Command => ({
  ...command,
  flags: { ...command.flags, ...CONNECTION_FLAGS },
  notes: [...command.notes, CONNECTION_NOTE],
  run: (call) => command.run(call, new AdminClient(connectionOf(call))),
});
