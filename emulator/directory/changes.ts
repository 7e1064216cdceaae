import type { Caller } from '../core/access-tokens.ts';
import type { Account, AccountChange } from '../core/rooms.ts';
import type { AuditEvent, AuditLog } from './audit.ts';
import type { Channels } from './channels.ts';
import { addressOf, type Member } from './group-book.ts';
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

  /** Nobody but the audit log hears of groups: there is no watch for them. */
  group(caller: Caller, ...events: readonly AuditEvent[]): void {
    this.#audit.record(caller, events);
  }

  /** Told twice, as Google does: in the admin log and in the Enterprise Groups log. */
  membership(
    caller: Caller,
    change: { group: string; member: Member; action: 'ADD' | 'REMOVE'; role: string },
  ): void {
    const { group, member, action, role } = change;
    const address = addressOf(member);
    const name = action === 'ADD' ? 'ADD_GROUP_MEMBER' : 'REMOVE_GROUP_MEMBER';
    const parameters = { GROUP_EMAIL: group, ...(address === undefined ? {} : { USER_EMAIL: address }) };
    this.#audit.record(caller, [{ type: 'GROUP_SETTINGS', name, parameters }]);
    const kind = member.type === 'GROUP' ? 'group' : member.type === 'CUSTOMER' ? 'customer' : 'user';
    this.#audit.recordMembership(caller, { group, member: `${kind}:${address ?? member.id}`, action, role });
  }

  #tell(change: AccountChange, user: UserRecord): void {
    const account = this.#tenant.account(user);
    for (const listener of this.#listeners) listener(change, account);
  }
}
