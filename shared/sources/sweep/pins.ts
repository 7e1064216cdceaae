/**
 * What the policy's pins mean now: the tree of units, and who is in the groups that the policy names. A group may have a million
 * members, whom the directory lists two hundred at a time: then reading them takes several invocations, and what was read is
 * written down as the pages of users are.
 */
import { packedBytes, packedIds, packedWords } from '../../domain/packed-id.ts';
import { type OrgUnit, pinnedGroupIds, vanishedUnitIds } from '../../domain/place.ts';
import { isPinned } from '../../domain/policy-pins.ts';
import type { GroupReading, SweepRecord } from '../../ports/ledger/sweeps.ts';
import { CHECKPOINT_EVERY_MS, LEASE_MS, SamePageAgain, type Tick } from './context.ts';
import { Memberships } from './memberships.ts';

export interface Pins {
  /** For each path, in lower case, the ids from the unit itself to the root. */
  readonly units: ReadonlyMap<string, readonly string[]>;
  readonly members: Memberships;
  /** Of pinned units and groups that the directory does not have any more. */
  readonly vanishedIds: ReadonlySet<string>;
}

/**
 * Undefined for a policy without pins, as a draft is. `out-of-time`: members are left to be read, how far is written down, and the next
 * invocation goes on. Throws as `Directory` does, and `SamePageAgain`.
 */
export async function readPins(tick: Tick, sweep: SweepRecord): Promise<Pins | 'out-of-time' | undefined> {
  const { directory, policy } = tick.deps;
  if (!isPinned(policy)) return undefined;
  const tree = await directory.orgUnits();
  const vanishedIds = new Set(vanishedUnitIds(tree, policy));
  const reading = new MemberReading(tick, sweep);
  await reading.resume();
  for (const groupId of pinnedGroupIds(policy)) {
    if (reading.isWhole(groupId)) continue;
    if ((await directory.group(groupId)) === undefined) vanishedIds.add(groupId);
    else if (!(await reading.read(groupId))) return 'out-of-time';
  }
  await reading.end();
  return { units: lineages(tree), members: reading.members, vanishedIds };
}

/** The members of groups, page by page. Nothing is written down of groups that are read within seconds. */
class MemberReading {
  readonly members = new Memberships();
  readonly #tick: Tick;
  readonly #sweepId: bigint;
  readonly #known: Map<string, GroupReading>;
  /** Read and not yet written down: how far, and the ids, packed. */
  readonly #pending = new Map<string, { reading: GroupReading; packed: Int32Array[] }>();
  #isWritten: boolean;
  #sinceMs: number;

  constructor(tick: Tick, sweep: SweepRecord) {
    this.#tick = tick;
    this.#sweepId = sweep.sweepId;
    this.#known = new Map((sweep.groups ?? []).map((reading) => [reading.groupId, reading]));
    this.#isWritten = this.#known.size > 0;
    this.#sinceMs = tick.deps.elapsedMs();
  }

  isWhole(groupId: string): boolean {
    const known = this.#known.get(groupId);
    return known !== undefined && known.pageToken === undefined;
  }

  /** What earlier invocations have read. */
  async resume(): Promise<void> {
    for (const { groupId, holdsEverybody } of this.#known.values())
      if (holdsEverybody) this.members.addEverybody(groupId);
    if (!this.#isWritten) return;
    for await (const { groupId, packed } of this.#tick.deps.ledger.membersOfSweep(this.#sweepId)) {
      this.members.add(packedWords(packed), groupId);
    }
  }

  /** False when the time is over before the last page. */
  async read(groupId: string): Promise<boolean> {
    const { deps, endsAtMs } = this.#tick;
    let known: GroupReading = this.#known.get(groupId) ?? { groupId, holdsEverybody: false, members: 0 };
    for (;;) {
      const { pageToken: asked, ...rest } = known;
      const page = await deps.directory.membersPage({
        groupId,
        ...(asked === undefined ? {} : { pageToken: asked }),
      });
      if (page.nextPageToken !== undefined && page.nextPageToken === asked) throw new SamePageAgain();
      known = {
        ...rest,
        holdsEverybody: rest.holdsEverybody || page.holdsEverybody,
        members: rest.members + page.userIds.length,
        ...(page.nextPageToken === undefined ? {} : { pageToken: page.nextPageToken }),
      };
      this.#take(known, page.userIds);
      const isOver = deps.elapsedMs() >= endsAtMs;
      if (isOver || deps.elapsedMs() - this.#sinceMs >= CHECKPOINT_EVERY_MS) await this.#checkpoint();
      if (known.pageToken === undefined) return true;
      if (isOver) return false;
    }
  }

  /** Where anything was written down all is, so that no later invocation asks for any of it again. */
  async end(): Promise<void> {
    if (this.#isWritten && this.#pending.size > 0) await this.#checkpoint();
  }

  #take(reading: GroupReading, userIds: readonly string[]): void {
    const words = packedIds(userIds);
    this.members.add(words, reading.groupId);
    if (reading.holdsEverybody) this.members.addEverybody(reading.groupId);
    const { packed = [] } = this.#pending.get(reading.groupId) ?? {};
    packed.push(words);
    this.#pending.set(reading.groupId, { reading, packed });
  }

  async #checkpoint(): Promise<void> {
    const { deps, lease } = this.#tick;
    await deps.ledger.renewLease(lease, LEASE_MS);
    for (const { reading, packed } of this.#pending.values())
      await deps.ledger.recordGroupReading(
        lease,
        this.#sweepId,
        reading,
        Buffer.concat(packed.map(packedBytes)),
      );
    this.#pending.clear();
    this.#isWritten = true;
    this.#sinceMs = deps.elapsedMs();
  }
}

function lineages(tree: readonly OrgUnit[]): ReadonlyMap<string, readonly string[]> {
  const byId = new Map(tree.map((unit) => [unit.orgUnitId, unit]));
  return new Map(
    tree.map((unit): [string, readonly string[]] => {
      const unitIds: string[] = [];
      for (
        let at: OrgUnit | undefined = unit;
        at !== undefined && !unitIds.includes(at.orgUnitId);
        at = at.parentId === undefined ? undefined : byId.get(at.parentId)
      )
        unitIds.push(at.orgUnitId);
      return [unit.path.toLowerCase(), unitIds];
    }),
  );
}
