import type { admin_directory_v1 } from 'googleapis/build/src/apis/admin/directory_v1.js';
import type { OrgUnit } from '../../domain/place.ts';
import type { Directory } from '../../ports/directory.ts';
import type { DirectoryApi } from './call.ts';
import { incomplete } from './wire.ts';

const FIELDS = 'organizationUnits(orgUnitId,orgUnitPath,parentOrgUnitId,parentOrgUnitPath)';

/** https://developers.google.com/workspace/admin/directory/reference/rest/v1/orgunits/list : the tree comes in one answer. */
export const orgUnits = ({ api, call }: DirectoryApi): Pick<Directory, 'orgUnits'> => ({
  async orgUnits() {
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
    return toTree(answer.organizationUnits ?? []);
  },
});

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
