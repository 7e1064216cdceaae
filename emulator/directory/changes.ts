import type { Caller } from '../core/access-tokens.ts';
import type { Account, AccountChange } from '../core/rooms.ts';
import type { AuditEvent, AuditLog } from './audit.ts';
import type { Channels } from './channels.ts';
import type { UserRecord } from './records.ts';
import type { Tenant } from './tenant.ts';

/** Who hears of a change made through the API: the other rooms at once, the channels and the audit log in their time. */
export class Changes {
  readonly #tenant: Tenant;
  readonly #channels: Channels;
  readonly #audit: AuditLog;
  readonly #listeners: ((change: AccountChange, account: Account) => void)[] = [];

  constructor(tenant: Tenant, channels: Channels, audit: AuditLog) {
    this.#tenant = tenant;
    this.#channels = channels;
    this.#audit = audit;
  }

  onChange(listener: (change: AccountChange, account: Account) => void): void {
    this.#listeners.push(listener);
  }

  /** A change that `users.watch` reports. */
  user(change: AccountChange, user: UserRecord, caller: Caller, events: readonly AuditEvent[]): void {
    this.#tell(change, user);
    this.#channels.announce(change, user);
    this.#audit.record(caller, events);
  }

  /** Aliases come and go without a `users.watch` event: they have a watch method of their own. */
  alias(user: UserRecord, caller: Caller, event: AuditEvent): void {
    this.#tell('update', user);
    this.#audit.record(caller, [event]);
  }

  /** A unit that is renamed or moved changes everybody's path and tells nobody but the audit log. */
  unit(caller: Caller, events: readonly AuditEvent[]): void {
    this.#audit.record(caller, events);
  }

  #tell(change: AccountChange, user: UserRecord): void {
    const account = this.#tenant.account(user);
    for (const listener of this.#listeners) listener(change, account);
  }
}
