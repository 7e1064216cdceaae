/** Groups and members, with path, scopes and right of each method. */
import { GROUP_SELECTABLE, type Groups } from './groups.ts';
import { MEMBER_SELECTABLE, type Members } from './members.ts';
import type { DirectoryMethod } from './method.ts';

const GROUP = 'admin.directory.group';
const GROUP_READ = 'admin.directory.group.readonly';
const MEMBER = 'admin.directory.group.member';
const MEMBER_READ = 'admin.directory.group.member.readonly';

const GROUPS = '/admin/directory/v1/groups';
const ONE_GROUP = `${GROUPS}/:groupKey`;
const MEMBERS = `${ONE_GROUP}/members`;
const ONE_MEMBER = `${MEMBERS}/:memberKey`;

export function groupMethods(groups: Groups): readonly DirectoryMethod[] {
  const read = { verb: 'GET', scopes: [GROUP, GROUP_READ], right: 'read' } as const;
  const write = { scopes: [GROUP], right: 'change', answers: GROUP_SELECTABLE } as const;
  return [
    {
      ...read,
      id: 'directory.groups.list',
      path: GROUPS,
      parameters: [
        'customer',
        'domain',
        'maxResults',
        'orderBy',
        'pageToken',
        'query',
        'sortOrder',
        'userKey',
      ],
      answers: { etag: 'leaf', groups: GROUP_SELECTABLE, kind: 'leaf', nextPageToken: 'leaf' },
      handle: (call) => groups.list(call),
    },
    {
      ...read,
      id: 'directory.groups.get',
      path: ONE_GROUP,
      answers: GROUP_SELECTABLE,
      handle: (call) => groups.get(call),
    },
    {
      ...write,
      id: 'directory.groups.insert',
      verb: 'POST',
      path: GROUPS,
      handle: (call, caller) => groups.insert(call, caller),
    },
    {
      ...write,
      id: 'directory.groups.update',
      verb: 'PUT',
      path: ONE_GROUP,
      handle: (call, caller) => groups.update(call, caller),
    },
    {
      ...write,
      id: 'directory.groups.patch',
      verb: 'PATCH',
      path: ONE_GROUP,
      handle: (call, caller) => groups.update(call, caller),
    },
    {
      id: 'directory.groups.delete',
      verb: 'DELETE',
      path: ONE_GROUP,
      scopes: [GROUP],
      right: 'change',
      handle: (call, caller) => groups.delete(call, caller),
    },
  ];
}

export function memberMethods(members: Members): readonly DirectoryMethod[] {
  const read = { verb: 'GET', scopes: [GROUP, GROUP_READ, MEMBER, MEMBER_READ], right: 'read' } as const;
  const write = { scopes: [GROUP, MEMBER], right: 'change', answers: MEMBER_SELECTABLE } as const;
  return [
    {
      ...read,
      id: 'directory.members.list',
      path: MEMBERS,
      parameters: ['includeDerivedMembership', 'maxResults', 'pageToken', 'roles'],
      answers: { etag: 'leaf', kind: 'leaf', members: MEMBER_SELECTABLE, nextPageToken: 'leaf' },
      handle: (call) => members.list(call),
    },
    {
      ...read,
      id: 'directory.members.hasMember',
      path: `${ONE_GROUP}/hasMember/:memberKey`,
      answers: { isMember: 'leaf' },
      handle: (call) => members.hasMember(call),
    },
    {
      ...read,
      id: 'directory.members.get',
      path: ONE_MEMBER,
      answers: MEMBER_SELECTABLE,
      handle: (call) => members.get(call),
    },
    {
      ...write,
      id: 'directory.members.insert',
      verb: 'POST',
      path: MEMBERS,
      handle: (call, caller) => members.insert(call, caller),
    },
    {
      ...write,
      id: 'directory.members.update',
      verb: 'PUT',
      path: ONE_MEMBER,
      handle: (call) => members.update(call),
    },
    {
      ...write,
      id: 'directory.members.patch',
      verb: 'PATCH',
      path: ONE_MEMBER,
      handle: (call) => members.update(call),
    },
    {
      id: 'directory.members.delete',
      verb: 'DELETE',
      path: ONE_MEMBER,
      scopes: [GROUP, MEMBER],
      right: 'change',
      handle: (call, caller) => members.delete(call, caller),
    },
  ];
}
