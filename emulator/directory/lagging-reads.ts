import type { FaultSwitches } from '../core/faults.ts';
import type { DeletedRecord, UserRecord } from './records.ts';
import { addressesOf, compareKeys, type Order, sortKey, type Tenant } from './tenant.ts';

/** What readers still see of a user. */
interface Shown {
  readonly untilMs: number;
  /** Absent: nobody. */
  readonly living?: UserRecord;
  readonly deleted?: DeletedRecord;
}

/**
 * What `users.get` and `users.list` show while `faults.directory.readsLagMs` is on: for so long after a change of a user what stood
 * there before it. Writes, groups and the other rooms see what is.
 */
export class LaggingReads {
  readonly #tenant: Tenant;
  readonly #faults: FaultSwitches;
  /** By the user's id. */
  readonly #shown = new Map<string, Shown>();

  constructor(tenant: Tenant, faults: FaultSwitches) {
    this.#tenant = tenant;
    this.#faults = faults;
  }

  /** To be called before the change, with whatever stands there of the user. */
  changing(
    id: string,
    before: { readonly living?: UserRecord; readonly deleted?: DeletedRecord } = {},
  ): void {
    const { readsLagMs } = this.#faults.current.directory;
    if (readsLagMs === 0) return;
    const { living, deleted } = this.#of(id) ?? before;
    this.#shown.set(id, {
      untilMs: this.#tenant.nowMs + readsLagMs,
      ...(living === undefined ? {} : { living: structuredClone(living) }),
      ...(deleted === undefined ? {} : { deleted: structuredClone(deleted) }),
    });
  }

  byKey(key: string): UserRecord | undefined {
    const wanted = key.toLowerCase();
    for (const [id, { living }] of this.#current())
      if (living !== undefined && (id === key || addressesOf(living).includes(wanted))) return living;
    const user = this.#tenant.userByKey(key);
    return user === undefined || this.#of(user.id) !== undefined ? undefined : user;
  }

  /** As `Tenant.users`. */
  users(order: Order): readonly UserRecord[] {
    const people = this.#tenant.users(order);
    const lagging = this.#current();
    if (lagging.length === 0) return people;
    return [
      ...people.filter(({ id }) => this.#of(id) === undefined),
      ...lagging.flatMap(([, { living }]) => living ?? []),
    ].toSorted((a, b) => compareKeys(sortKey(a, order), sortKey(b, order)));
  }

  /** As `Tenant.deleted`. */
  deletedUsers(): readonly DeletedRecord[] {
    return [
      ...this.#tenant.deleted().filter(({ user }) => this.#of(user.id) === undefined),
      ...this.#current().flatMap(([, { deleted }]) => deleted ?? []),
    ];
  }

  #of(id: string): Shown | undefined {
    const shown = this.#shown.get(id);
    if (shown === undefined || this.#tenant.nowMs < shown.untilMs) return shown;
    this.#shown.delete(id);
    return undefined;
  }

  #current(): readonly (readonly [string, Shown])[] {
    return [...this.#shown.keys()].flatMap((id) => {
      const shown = this.#of(id);
      return shown === undefined ? [] : [[id, shown] as const];
    });
  }
}
