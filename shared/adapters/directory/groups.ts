/**
 * Groups and who is in them. `members.hasMember` knows nested members too, but refuses with 400 when a member can only
 * be nested and is of another domain than the group: then the whole list of members decides.
 * https://developers.google.com/workspace/admin/directory/reference/rest/v1/members/hasMember
 */
import type { admin_directory_v1 } from 'googleapis/build/src/apis/admin/directory_v1.js';
import { permanent } from '../../errors.ts';
import type { Directory, DirectoryGroup } from '../../ports/directory.ts';
import type { DirectoryApi } from './call.ts';
import { pageTokenExpired } from './failure.ts';
import { incomplete, membersAmong, ourAddress, toMembersPage } from './wire.ts';

const PAGE_SIZE = 200;
const READING = { repeatable: 'any-time' } as const;

type Methods = 'group' | 'groups' | 'isMember' | 'groupMembers' | 'membersPage';

/** `everybody` lists the ids of all users of the tenant, for groups that hold all of them. */
export function groups(
  { api, call, pages }: DirectoryApi,
  everybody: () => AsyncIterable<string>,
): Pick<Directory, Methods> {
  const listMembers = (
    groupId: string,
    page: { readonly pageToken?: string },
    refused: { readonly [status: number]: () => never } = {},
  ) =>
    call<admin_directory_v1.Schema$Members>(
      { method: 'directory.members.list', doing: listing(groupId), ...READING },
      (callOptions) =>
        api.members.list(
          {
            groupKey: groupId,
            includeDerivedMembership: true,
            maxResults: PAGE_SIZE,
            fields: 'nextPageToken,members(id,type)',
            prettyPrint: false,
            ...page,
          },
          callOptions,
        ),
      { 404: () => gone(groupId), ...refused },
    );

  async function* groupMembers(groupId: string): AsyncGenerator<string> {
    const listed = pages(
      'members',
      (page) => listMembers(groupId, page),
      ({ members }) => members,
    );
    const seen = new Set<string>();
    let holdsEverybody = false;
    for await (const members of listed) {
      const read = membersAmong(groupId, members);
      holdsEverybody ||= read.holdsEverybody;
      for (const id of read.userIds) {
        if (seen.has(id)) continue;
        seen.add(id);
        yield id;
      }
    }
    if (!holdsEverybody) return;
    for await (const id of everybody()) if (!seen.has(id)) yield id;
  }

  async function group(key: string): Promise<DirectoryGroup | undefined> {
    const found = await call<admin_directory_v1.Schema$Group | undefined>(
      { method: 'directory.groups.get', doing: `Looking up the group ${key}`, ...READING },
      (callOptions) => api.groups.get({ groupKey: key, fields: 'id,email' }, callOptions),
      { 404: () => undefined },
    );
    return found === undefined ? undefined : toGroup(found);
  }

  return {
    groupMembers,

    async membersPage({ groupId, pageToken }) {
      const asked = pageToken === undefined ? {} : { pageToken };
      // As of users: any 400 to a question with a token is taken for a token that is no longer taken.
      const refused =
        pageToken === undefined ? {} : { 400: () => expired(groupId), 410: () => expired(groupId) };
      return toMembersPage(groupId, await listMembers(groupId, asked, refused));
    },

    group,

    async *groups() {
      const listed = pages(
        'groups',
        (page) =>
          call<admin_directory_v1.Schema$Groups>(
            { method: 'directory.groups.list', doing: 'Listing the groups', ...READING },
            (callOptions) =>
              api.groups.list(
                {
                  customer: 'my_customer',
                  maxResults: PAGE_SIZE,
                  fields: 'nextPageToken,groups(id,email)',
                  ...page,
                },
                callOptions,
              ),
          ),
        (page) => page.groups,
      );
      for await (const page of listed) for (const group of page) yield toGroup(group);
    },

    async isMember(groupId, userId) {
      const answer = await call<admin_directory_v1.Schema$MembersHasMember | 'gone' | 'other-domain'>(
        {
          method: 'directory.members.hasMember',
          doing: `Looking for ${userId} in the group ${groupId}`,
          ...READING,
        },
        (callOptions) => api.members.hasMember({ groupKey: groupId, memberKey: userId }, callOptions),
        // 404 is said of a group and of a user alike; both are asked for again below.
        { 404: () => 'gone', 400: () => 'other-domain' },
      );
      if (answer === 'gone') return (await group(groupId)) === undefined ? 'no-such-group' : false;
      if (answer !== 'other-domain') {
        if (typeof answer?.isMember !== 'boolean')
          throw incomplete(`it did not say whether ${userId} is in the group ${groupId}`);
        return answer.isMember;
      }
      for await (const id of groupMembers(groupId)) if (id === userId) return true;
      return false;
    },
  };
}

function toGroup({ id, email }: admin_directory_v1.Schema$Group): DirectoryGroup {
  if (!id || !email) throw incomplete('it described a group without id or address');
  return { groupId: id, address: ourAddress(email) };
}

function expired(groupId: string): never {
  throw pageTokenExpired(listing(groupId));
}

const listing = (groupId: string): string => `Listing the members of the group ${groupId}`;

function gone(groupId: string): never {
  throw permanent('directory-refused', `The directory has no group ${groupId} any more.`, {
    details: { groupId, httpStatus: 404 },
  });
}
