/**
 * Pins: the directory's own ids of the units and groups that a policy names. Made when a policy is activated; a name that
 * the directory does not know is refused with what it may have meant.
 */
import { nearest } from '../config/nearest.ts';
import { groupReferences, type OrgUnit, unitReferences } from '../domain/place.ts';
import type { Policy } from '../domain/policy.ts';
import type { PolicyPins } from '../domain/policy-pins.ts';
import type { Directory, DirectoryGroup } from '../ports/directory.ts';

/** A unit or group that cannot be pinned, or a user whom nobody knows. */
export interface UnknownName {
  readonly kind: 'org-unit' | 'group' | 'user';
  /** As the policy has it. */
  readonly name: string;
  /** A sentence: what is wrong, and what may have been meant. */
  readonly message: string;
}

export interface Resolution {
  readonly pins: PolicyPins;
  readonly unknown: readonly UnknownName[];
}

/** `before`: the pins in force, which know under which name a unit was pinned and is called something else now. */
export async function resolvePins(
  directory: Pick<Directory, 'orgUnits' | 'group' | 'groups'>,
  policy: Policy,
  before?: PolicyPins,
): Promise<Resolution> {
  const units = new Map<string, string>();
  const groups = new Map<string, string>();
  const unknown: UnknownName[] = [];
  const tree = await directory.orgUnits({ fresh: true });
  const byPath = new Map(tree.map((unit) => [unit.path.toLowerCase(), unit]));
  for (const { path } of unitReferences(policy)) {
    const key = path.toLowerCase();
    const unit = byPath.get(key);
    if (unit !== undefined) units.set(key, unit.orgUnitId);
    else if (!unknown.some(({ name }) => name.toLowerCase() === key))
      unknown.push({ kind: 'org-unit', name: path, message: unknownUnit(path, tree, before) });
  }
  let everyGroup: readonly DirectoryGroup[] | undefined;
  for (const { address } of groupReferences(policy)) {
    if (groups.has(address) || unknown.some(({ name }) => name === address)) continue;
    const group = await directory.group(address);
    if (group !== undefined) {
      groups.set(address, group.groupId);
      continue;
    }
    everyGroup ??= await collected(directory.groups());
    unknown.push({ kind: 'group', name: address, message: unknownGroup(address, everyGroup, before) });
  }
  return { pins: { units: Object.fromEntries(units), groups: Object.fromEntries(groups) }, unknown };
}

/**
 * Names that are pinned to something else than before although what they were pinned to is still there: the unit was
 * renamed and another took its name. Only an admin can say which of the two is meant.
 */
export function repointed(before: PolicyPins, now: PolicyPins, tree: readonly OrgUnit[]): readonly string[] {
  const living = new Map(tree.map((unit) => [unit.orgUnitId, unit.path]));
  const sentences: string[] = [];
  for (const [path, id] of Object.entries(now.units)) {
    const old = before.units[path];
    const called = old === undefined || old === id ? undefined : living.get(old);
    if (called !== undefined)
      sentences.push(
        `${path} was pinned to the unit ${old}, which is now ${called}; another unit has its name`,
      );
  }
  for (const [address, id] of Object.entries(now.groups)) {
    const old = before.groups[address];
    if (old !== undefined && old !== id)
      sentences.push(`${address} was pinned to the group ${old}; another group has its address`);
  }
  return sentences;
}

function unknownUnit(path: string, tree: readonly OrgUnit[], before: PolicyPins | undefined): string {
  const pin = before?.units[path.toLowerCase()];
  const now = pin === undefined ? undefined : tree.find(({ orgUnitId }) => orgUnitId === pin);
  if (now !== undefined)
    return `there is no org unit ${path}; the unit that had this path is now ${now.path}`;
  const guess = nearest(
    path,
    tree.map((unit) => unit.path),
  );
  return `there is no org unit ${path}${guess === undefined ? '' : `; did you mean ${guess}?`}`;
}

function unknownGroup(
  address: string,
  all: readonly DirectoryGroup[],
  before: PolicyPins | undefined,
): string {
  const pin = before?.groups[address];
  const now = pin === undefined ? undefined : all.find(({ groupId }) => groupId === pin);
  if (now !== undefined)
    return `there is no group ${address}; the group that had this address is now ${now.address}`;
  const guess = nearest(
    address,
    all.map((group) => group.address),
  );
  return `there is no group ${address}${guess === undefined ? '' : `; did you mean ${guess}?`}`;
}

async function collected<T>(values: AsyncIterable<T>): Promise<readonly T[]> {
  const all: T[] = [];
  for await (const value of values) all.push(value);
  return all;
}
