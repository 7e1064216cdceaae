import { randomBytes } from 'node:crypto';
import type { GroupRecord, MemberRecord, UserRecord } from './records.ts';
import type { Tenant } from './tenant.ts';

/** A member who is there now: a user, a group, somebody of another company, or everybody (`CUSTOMER`). */
export type Member =
  | { readonly type: 'USER'; readonly id: string; readonly user: UserRecord; readonly record: MemberRecord }
  | {
      readonly type: 'GROUP';
      readonly id: string;
      readonly group: GroupRecord;
      readonly record: MemberRecord;
    }
  | { readonly type: 'EXTERNAL'; readonly id: string; readonly record: MemberRecord }
  | { readonly type: 'CUSTOMER'; readonly id: string; readonly record: MemberRecord };

/**
 * Who is in which group. A membership is kept by the member's id, so renaming either changes nothing; the membership of
 * a deleted user sleeps until they are undeleted, that of a deleted group is forgotten.
 */
export class GroupBook {
  readonly #tenant: Tenant;

  constructor(tenant: Tenant) {
    this.#tenant = tenant;
  }

  /** By immutable id, address or former address. */
  byKey(key: string): GroupRecord | undefined {
    const { groups } = this.#tenant.data;
    return Object.hasOwn(groups, key) ? groups[key] : this.#tenant.groupByAddress(key);
  }

  all(): readonly GroupRecord[] {
    return Object.values(this.#tenant.data.groups).toSorted((a, b) => (a.email < b.email ? -1 : 1));
  }

  newId(): string {
    return `0${randomBytes(5).readUIntBE(0, 5).toString(36).padStart(8, '0')}${randomBytes(3).readUIntBE(0, 3).toString(36)}`;
  }

  /** Direct members that are there, ordered by id. */
  members(group: GroupRecord): readonly Member[] {
    return Object.values(group.members)
      .toSorted((a, b) => (a.id < b.id ? -1 : 1))
      .flatMap((record) => this.#present(record) ?? []);
  }

  /** Direct members and those of the groups among them, each once. */
  derivedMembers(group: GroupRecord, seen = new Map<string, Member>()): readonly Member[] {
    for (const member of this.members(group)) {
      if (seen.has(member.id)) continue;
      seen.set(member.id, member);
      if (member.type === 'GROUP') this.derivedMembers(member.group, seen);
    }
    return [...seen.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Whether the user or group is in it, directly or through other groups; `CUSTOMER` holds every user. */
  holds(group: GroupRecord, id: string): boolean {
    const isUser = this.#tenant.userById(id) !== undefined;
    return this.derivedMembers(group).some(
      (member) => member.id === id || (isUser && member.type === 'CUSTOMER'),
    );
  }

  /** The groups it is a direct member of. */
  groupsOf(id: string): readonly GroupRecord[] {
    return this.all().filter((group) => Object.hasOwn(group.members, id));
  }

  forget(group: GroupRecord): void {
    delete this.#tenant.data.groups[group.id];
    for (const other of this.all()) delete other.members[group.id];
  }

  #present(record: MemberRecord): Member | undefined {
    const { id, type } = record;
    if (type === 'EXTERNAL' || type === 'CUSTOMER') return { type, id, record };
    const user = this.#tenant.userById(id);
    if (user !== undefined) return { type: 'USER', id, user, record };
    const group = this.#tenant.data.groups[id];
    return group === undefined ? undefined : { type: 'GROUP', id, group, record };
  }
}

/** The address a member goes by now; none for `CUSTOMER`. */
export function addressOf(member: Member): string | undefined {
  switch (member.type) {
    case 'USER':
      return member.user.primaryEmail;
    case 'GROUP':
      return member.group.email;
    case 'EXTERNAL':
      return member.record.email;
    case 'CUSTOMER':
      return undefined;
  }
}
