import { randomBytes, randomInt } from 'node:crypto';
import type { EmulatorContext } from '../core/context.ts';
import type { Account } from '../core/rooms.ts';
import { nonEditableAlias } from './addresses.ts';
import type { DeletedRecord, DirectoryState, GroupRecord, OrgUnitRecord, UserRecord } from './records.ts';

const UNDELETE_WINDOW_MS = 20 * 86_400_000;

/** How users.list may be sorted; `email` unless asked. */
export type Order = 'email' | 'familyName' | 'givenName';

/**
 * The one customer this emulator serves: its people and units, found by id, address or path. Lookups ignore case, as
 * Google's do. Every writer calls `changed` when it is done.
 */
export class Tenant {
  readonly customerId: string;
  readonly domains: readonly string[];
  readonly data: DirectoryState;
  readonly #context: EmulatorContext;
  readonly #idByAddress = new Map<string, string>();
  readonly #pathById = new Map<string, string>();
  readonly #sorted = new Map<Order, readonly UserRecord[]>();

  /** `domains`: lower case, the primary one first. */
  constructor(context: EmulatorContext, customerId: string, domains: readonly string[]) {
    this.customerId = customerId;
    this.domains = domains;
    this.#context = context;
    const kept = context.state.section<DirectoryState>('directory', emptyDirectory);
    // A state written before there were groups has none.
    this.data = Object.assign(kept, { groups: kept.groups ?? {} });
    for (const user of Object.values(this.data.users)) this.#register(user);
  }

  get nowMs(): number {
    return this.#context.clock.nowMs();
  }

  /** Brings the lookups up to date and has the state written. `user`: whose addresses may be new. */
  changed(user?: UserRecord): void {
    if (user !== undefined) this.#register(user);
    this.#pathById.clear();
    this.#sorted.clear();
    this.#context.state.changed();
  }

  /** As `changed`, for writes that touch neither addresses, names nor units, such as a channel's message number. */
  touched(): void {
    this.#context.state.changed();
  }

  userById(id: string): UserRecord | undefined {
    return Object.hasOwn(this.data.users, id) ? this.data.users[id] : undefined;
  }

  userByAddress(address: string): UserRecord | undefined {
    const wanted = address.toLowerCase();
    const id = this.#idByAddress.get(wanted);
    const user = id === undefined ? undefined : this.userById(id);
    // An entry may be left from somebody who has given the address up; the present holder always wrote last.
    return user !== undefined && addressesOf(user).includes(wanted) ? user : undefined;
  }

  /** A `userKey`: immutable id, primary address or alias. */
  userByKey(key: string): UserRecord | undefined {
    return this.userById(key) ?? this.userByAddress(key);
  }

  /** By address or former address. */
  groupByAddress(address: string): GroupRecord | undefined {
    const wanted = address.toLowerCase();
    return Object.values(this.data.groups).find(
      (group) => group.email === wanted || group.aliases.includes(wanted),
    );
  }

  /** All living users in ascending order, ties broken by id. */
  users(order: Order = 'email'): readonly UserRecord[] {
    let sorted = this.#sorted.get(order);
    if (sorted === undefined) {
      sorted = Object.values(this.data.users).toSorted((a, b) =>
        compareKeys(sortKey(a, order), sortKey(b, order)),
      );
      this.#sorted.set(order, sorted);
    }
    return sorted;
  }

  /** Users deleted less than 20 days ago; older ones are forgotten for good. */
  deleted(): readonly DeletedRecord[] {
    const nowMs = this.nowMs;
    for (const [id, record] of Object.entries(this.data.deleted)) {
      if (record.deletedAtMs + UNDELETE_WINDOW_MS > nowMs) continue;
      delete this.data.deleted[id];
      this.touched();
    }
    return Object.values(this.data.deleted);
  }

  root(): OrgUnitRecord {
    const root = Object.values(this.data.orgUnits).find((unit) => unit.parentId === undefined);
    if (root === undefined) throw new Error('The directory has lost its root unit.');
    return root;
  }

  unitById(id: string): OrgUnitRecord | undefined {
    return Object.hasOwn(this.data.orgUnits, id) ? this.data.orgUnits[id] : undefined;
  }

  /** `/Staff/Team`; the leading slash may be missing, as it is in Google's own paths. */
  unitByPath(path: string): OrgUnitRecord | undefined {
    const names = path.split('/').filter((name) => name !== '');
    let unit = this.root();
    for (const name of names) {
      const child = this.children(unit.id).find((entry) => sameName(entry.name, name));
      if (child === undefined) return undefined;
      unit = child;
    }
    return unit;
  }

  children(id: string): readonly OrgUnitRecord[] {
    return Object.values(this.data.orgUnits).filter((unit) => unit.parentId === id);
  }

  /** The unit itself and everything below it, parents before children. */
  subtree(id: string): readonly OrgUnitRecord[] {
    const unit = this.unitById(id);
    if (unit === undefined) return [];
    return [unit, ...this.children(id).flatMap((child) => this.subtree(child.id))];
  }

  pathOf(unitId: string): string {
    const known = this.#pathById.get(unitId);
    if (known !== undefined) return known;
    const unit = this.unitById(unitId);
    if (unit === undefined) throw new Error(`The directory has no unit ${unitId}.`);
    const parentPath = unit.parentId === undefined ? '' : this.pathOf(unit.parentId);
    const path = unit.parentId === undefined ? '/' : `${parentPath === '/' ? '' : parentPath}/${unit.name}`;
    this.#pathById.set(unitId, path);
    return path;
  }

  /** The root has depth 0. */
  depthOf(unitId: string): number {
    return this.pathOf(unitId)
      .split('/')
      .filter((name) => name !== '').length;
  }

  /** What other rooms see. */
  account(user: UserRecord): Account {
    // The unit of a deleted user may be gone by now.
    const unit = this.unitById(user.orgUnitId) ?? this.root();
    return {
      id: user.id,
      primaryEmail: user.primaryEmail,
      aliases: [...user.aliases],
      orgUnitPath: this.pathOf(unit.id),
      suspended: user.suspended,
      archived: user.archived,
      mailboxReady: this.mailboxReady(user),
      superAdmin: user.isAdmin,
    };
  }

  mailboxReady(user: UserRecord): boolean {
    return this.nowMs >= user.mailboxReadyAtMs;
  }

  nonEditableAliases(user: UserRecord): readonly string[] {
    return addressesOf(user).map(nonEditableAlias);
  }

  /** 21 decimal digits that nobody has or had within memory. */
  newUserId(): string {
    for (;;) {
      const digits = Array.from({ length: 20 }, () => String(randomInt(10))).join('');
      const id = `1${digits}`;
      if (this.userById(id) === undefined && !Object.hasOwn(this.data.deleted, id)) return id;
    }
  }

  #register(user: UserRecord): void {
    for (const address of addressesOf(user)) this.#idByAddress.set(address, user.id);
  }
}

/** The addresses only one living user can have: the primary one and the aliases. */
export function addressesOf(user: UserRecord): readonly string[] {
  return [user.primaryEmail, ...user.aliases];
}

export function newUnitId(): string {
  return `id:03ph8a2z${randomBytes(4).readUInt32BE().toString(36).padStart(7, '0')}`;
}

/** What a list is ordered by; the id makes it a total order. */
export function sortKey(user: UserRecord, order: Order): readonly [string, string] {
  const text = order === 'email' ? user.primaryEmail : user.name[order];
  return [text.toLowerCase(), user.id];
}

export function compareKeys(a: readonly string[], b: readonly string[]): number {
  for (const [index, text] of a.entries()) {
    const other = b[index] ?? '';
    if (text !== other) return text < other ? -1 : 1;
  }
  return 0;
}

export function sameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function emptyDirectory(): DirectoryState {
  const root: OrgUnitRecord = { id: newUnitId(), name: '', description: '' };
  return {
    users: {},
    deleted: {},
    orgUnits: { [root.id]: root },
    groups: {},
    channels: {},
    pageTokenKey: randomBytes(32).toString('base64'),
  };
}
