import type { admin_directory_v1 } from 'googleapis/build/src/apis/admin/directory_v1.js';
import type { OrgUnit } from '../../domain/place.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Directory } from '../../ports/directory.ts';
import type { DirectoryApi } from './call.ts';
import { incomplete } from './wire.ts';

const FIELDS = 'organizationUnits(orgUnitId,orgUnitPath,parentOrgUnitId,parentOrgUnitPath)';

/** How long a tree that was read is good for whoever does not need it fresh. */
const GOOD_FOR_MS = 60_000;

/** https://developers.google.com/workspace/admin/directory/reference/rest/v1/orgunits/list : the tree comes in one answer. */
export function orgUnits({ api, call }: DirectoryApi, clock: Clock): Pick<Directory, 'orgUnits'> {
  let kept: { readonly tree: readonly OrgUnit[]; readonly readMs: number } | undefined;
  let reading: { readonly tree: Promise<readonly OrgUnit[]>; readonly begunMs: number } | undefined;
  const isGood = (readMs: number, nowMs: number) => nowMs >= readMs && nowMs - readMs < GOOD_FOR_MS;

  const read = async (nowMs: number): Promise<readonly OrgUnit[]> => {
    const answer = await call<admin_directory_v1.Schema$OrgUnits>(
      { method: 'directory.orgunits.list', repeatable: 'any-time', doing: 'Listing the org units' },
      (callOptions) =>
        api.orgunits.list(
          { customerId: 'my_customer', type: 'allIncludingParent', fields: FIELDS },
          callOptions,
        ),
    );
    if (answer === null || typeof answer !== 'object')
      throw incomplete('the list of org units is no JSON object');
    const tree = toTree(answer.organizationUnits ?? []);
    kept = { tree, readMs: nowMs };
    return tree;
  };

  return {
    async orgUnits({ fresh = false } = {}) {
      const nowMs = clock.now().getTime();
      if (!fresh && kept !== undefined && isGood(kept.readMs, nowMs)) return kept.tree;
      // Whoever takes a tree that is a minute old takes one that somebody began to read a moment ago.
      if (!fresh && reading !== undefined && isGood(reading.begunMs, nowMs)) return await reading.tree;
      const mine = { tree: read(nowMs), begunMs: nowMs };
      reading = mine;
      try {
        return await mine.tree;
      } finally {
        if (reading === mine) reading = undefined;
      }
    },
  };
}

/** Throws `directory-unavailable` unless every unit hangs together with one root: half a tree must not look like moves. */
export function toTree(units: readonly admin_directory_v1.Schema$OrgUnit[]): readonly OrgUnit[] {
  const tree = units.map((unit): OrgUnit => {
    const { orgUnitId, orgUnitPath, parentOrgUnitId } = unit;
    if (!orgUnitId || !orgUnitPath) throw incomplete('it described an org unit without id or path');
    return { orgUnitId, path: orgUnitPath, ...(parentOrgUnitId ? { parentId: parentOrgUnitId } : {}) };
  });
  if (!tree.some(({ path }) => path === '/')) {
    const rootId = units.find(({ parentOrgUnitPath }) => parentOrgUnitPath === '/')?.parentOrgUnitId;
    if (!rootId) throw incomplete('the list of org units has no root');
    tree.unshift({ orgUnitId: rootId, path: '/' });
  }
  const ids = new Set(tree.map(({ orgUnitId }) => orgUnitId));
  for (const { path, parentId } of tree) {
    if (path !== '/' && (parentId === undefined || !ids.has(parentId)))
      throw incomplete(`the org unit ${path} has a parent that is not listed`);
  }
  return tree;
}
