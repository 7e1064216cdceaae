import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { AccessTokens, type Caller } from '../../../emulator/core/access-tokens.ts';
import { CallLog } from '../../../emulator/core/call-log.ts';
import { EmulatorClock } from '../../../emulator/core/clock.ts';
import type { EmulatorContext } from '../../../emulator/core/context.ts';
import { FaultSwitches } from '../../../emulator/core/faults.ts';
import type { Account, AccountChange, Accounts } from '../../../emulator/core/rooms.ts';
import type { Route } from '../../../emulator/core/route.ts';
import { createEmulatorServer } from '../../../emulator/core/server.ts';
import { EmulatorState } from '../../../emulator/core/state.ts';

/** One room (or several) behind the emulator's own server, on a loopback port. */
export interface Serving<R> extends AsyncDisposable {
  readonly context: EmulatorContext;
  readonly calls: CallLog;
  readonly room: R;
  /** With a trailing slash. */
  readonly root: string;
  readonly port: number;
  /** `Bearer …` for the Authorization header. */
  bearer(caller: Caller): string;
}

export async function serve<R extends { readonly routes: readonly Route[] }>(
  createRoom: (context: EmulatorContext) => R,
  stateFile?: string,
): Promise<Serving<R>> {
  const clock = new EmulatorClock();
  const state = new EmulatorState(stateFile);
  const tokens = new AccessTokens(clock, state);
  const faults = new FaultSwitches();
  const calls = new CallLog();
  let root = '';
  const context: EmulatorContext = { clock, state, faults, tokens, rootUrl: () => root };
  const room = createRoom(context);
  const server = createEmulatorServer({ clock, tokens, faults, calls, routes: room.routes });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  root = `http://127.0.0.1:${port}/`;
  return {
    context,
    calls,
    room,
    root,
    port,
    bearer: (caller) => `Bearer ${tokens.mint(caller).accessToken}`,
    async [Symbol.asyncDispose]() {
      state.flush();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A directory of a few people, standing in for the directory room. */
export class People implements Accounts {
  readonly #living = new Map<string, Account>();
  readonly #deleted = new Map<string, Account>();
  readonly #listeners: ((change: AccountChange, account: Account) => void)[] = [];

  constructor(...accounts: readonly Account[]) {
    for (const account of accounts) this.#living.set(account.id, account);
  }

  byAddress(address: string): Account | undefined {
    const wanted = address.toLowerCase();
    return [...this.#living.values()].find(
      (account) => account.primaryEmail === wanted || account.aliases.includes(wanted),
    );
  }

  byId(id: string): Account | undefined {
    return this.#living.get(id);
  }

  deletedByAddress(address: string): Account | undefined {
    return this.#deleted.get(address.toLowerCase());
  }

  onChange(listener: (change: AccountChange, account: Account) => void): void {
    this.#listeners.push(listener);
  }

  update(id: string, change: Partial<Account>): void {
    const account = { ...this.#get(id), ...change };
    this.#living.set(id, account);
    for (const listener of this.#listeners) listener('update', account);
  }

  delete(id: string): void {
    const account = this.#get(id);
    this.#living.delete(id);
    this.#deleted.set(account.primaryEmail, account);
    for (const listener of this.#listeners) listener('delete', account);
  }

  #get(id: string): Account {
    const account = this.#living.get(id);
    if (account === undefined) throw new Error(`There is no account ${id}.`);
    return account;
  }
}

export function person(id: string, primaryEmail: string, more: Partial<Account> = {}): Account {
  return {
    id,
    primaryEmail,
    aliases: [],
    orgUnitPath: '/Staff',
    suspended: false,
    archived: false,
    mailboxReady: true,
    superAdmin: false,
    ...more,
  };
}
