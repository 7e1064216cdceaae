import type { Account, AccountChange, Accounts } from '../../../emulator/core/rooms.ts';

type Listener = (change: AccountChange, account: Account) => void;

/** A directory for tests: accounts are put, renamed and deleted by hand, and listeners hear of it. */
export class TestAccounts implements Accounts {
  readonly #living = new Map<string, Account>();
  readonly #deleted = new Map<string, Account>();
  readonly #listeners: Listener[] = [];
  #next = 1;

  add(primaryEmail: string, fields: Partial<Omit<Account, 'id' | 'primaryEmail'>> = {}): Account {
    const account: Account = {
      id: String(100_000_000_000_000_000_000n + BigInt(this.#next)),
      primaryEmail,
      aliases: [],
      orgUnitPath: '/Staff',
      suspended: false,
      archived: false,
      mailboxReady: true,
      superAdmin: false,
      ...fields,
    };
    this.#next += 1;
    this.#living.set(account.id, account);
    this.#tell('add', account);
    return account;
  }

  update(id: string, fields: Partial<Omit<Account, 'id'>>): Account {
    const account = this.#living.get(id);
    if (account === undefined) throw new Error(`There is no account ${id}.`);
    const updated = { ...account, ...fields };
    this.#living.set(id, updated);
    this.#tell('update', updated);
    return updated;
  }

  delete(id: string): void {
    const account = this.#living.get(id);
    if (account === undefined) throw new Error(`There is no account ${id}.`);
    this.#living.delete(id);
    this.#deleted.set(id, account);
    this.#tell('delete', account);
  }

  undelete(id: string): void {
    const account = this.#deleted.get(id);
    if (account === undefined) throw new Error(`There is no deleted account ${id}.`);
    this.#deleted.delete(id);
    this.#living.set(id, account);
    this.#tell('undelete', account);
  }

  byAddress(address: string): Account | undefined {
    const wanted = address.toLowerCase();
    return this.#living
      .values()
      .find((account) => account.primaryEmail === wanted || account.aliases.includes(wanted));
  }

  byId(id: string): Account | undefined {
    return this.#living.get(id);
  }

  deletedByAddress(address: string): Account | undefined {
    return this.#deleted.values().find((account) => account.primaryEmail === address.toLowerCase());
  }

  onChange(listener: Listener): void {
    this.#listeners.push(listener);
  }

  #tell(change: AccountChange, account: Account): void {
    for (const listener of this.#listeners) listener(change, account);
  }
}
