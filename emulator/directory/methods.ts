/** The methods of the Directory API that the room answers, with path, scopes and right of each. */
import type { Route } from '../core/route.ts';
import type { Access, Right } from './access.ts';
import { ACTIVITY_PARAMETERS, type Activities } from './activities.ts';
import { ALIAS_SELECTABLE, type Aliases } from './aliases.ts';
import { CHANNEL_SELECTABLE, type Channels } from './channels.ts';
import { groupMethods, memberMethods } from './group-methods.ts';
import type { Groups } from './groups.ts';
import type { Members } from './members.ts';
import { type DirectoryMethod, directoryRoute } from './method.ts';
import { ORG_UNIT_SELECTABLE, type OrgUnits } from './org-units.ts';
import type { Quota } from './quota.ts';
import { USER_SELECTABLE } from './user-fields.ts';
import type { UserList } from './user-list.ts';
import type { Users } from './users.ts';

const USER = 'admin.directory.user';
const USER_READ = 'admin.directory.user.readonly';
const ALIAS = 'admin.directory.user.alias';
const ALIAS_READ = 'admin.directory.user.alias.readonly';
const UNIT = 'admin.directory.orgunit';
const UNIT_READ = 'admin.directory.orgunit.readonly';
const CLOUD = 'cloud-platform';

const USERS = '/admin/directory/v1/users';
const ONE_USER = `${USERS}/:userKey`;
const UNITS = '/admin/directory/v1/customer/:customerId/orgunits';
// Units are named by a path with slashes in it, or by id.
const ONE_UNIT = `${UNITS}/:orgUnitPath(.+)`;

const LIST_PARAMETERS = [
  'customFieldMask',
  'customer',
  'domain',
  'event',
  'maxResults',
  'orderBy',
  'pageToken',
  'projection',
  'query',
  'showDeleted',
  'sortOrder',
  'viewType',
];

export interface Nouns {
  readonly users: Users;
  readonly userList: UserList;
  readonly aliases: Aliases;
  readonly orgUnits: OrgUnits;
  readonly groups: Groups;
  readonly members: Members;
  readonly channels: Channels;
  readonly activities: Activities;
}

export function directoryRoutes(nouns: Nouns, access: Access, quota: Quota): readonly Route[] {
  const methods = [
    ...userMethods(nouns),
    ...aliasMethods(nouns.aliases),
    ...orgUnitMethods(nouns.orgUnits),
    ...groupMethods(nouns.groups),
    ...memberMethods(nouns.members),
    ...channelMethods(nouns.channels),
    activityMethod(nouns.activities),
  ];
  return methods.map((method) => directoryRoute(method, access, quota));
}

function userMethods({ users, userList }: Nouns): readonly DirectoryMethod[] {
  const publicView = (query: URLSearchParams) => query.get('viewType') === 'domain_public';
  const write = { scopes: [USER], right: 'change', answers: USER_SELECTABLE } as const;
  return [
    {
      id: 'directory.users.list',
      verb: 'GET',
      path: USERS,
      scopes: [USER, USER_READ, CLOUD],
      right: (call): Right =>
        publicView(call.query) && call.query.get('showDeleted') !== 'true' ? 'public' : 'read',
      parameters: LIST_PARAMETERS,
      answers: {
        etag: 'leaf',
        kind: 'leaf',
        nextPageToken: 'leaf',
        trigger_event: 'leaf',
        users: USER_SELECTABLE,
      },
      handle: (call) => userList.list(call),
    },
    {
      id: 'directory.users.get',
      verb: 'GET',
      path: ONE_USER,
      scopes: [USER, USER_READ],
      right: (call): Right => (publicView(call.query) ? 'public' : 'read'),
      parameters: ['customFieldMask', 'projection', 'viewType'],
      answers: USER_SELECTABLE,
      handle: (call) => users.get(call),
    },
    {
      ...write,
      id: 'directory.users.insert',
      verb: 'POST',
      path: USERS,
      parameters: ['resolveConflictAccount'],
      handle: (call, caller) => users.insert(call, caller),
    },
    {
      ...write,
      id: 'directory.users.update',
      verb: 'PUT',
      path: ONE_USER,
      handle: (call, caller) => users.update(call, caller),
    },
    {
      ...write,
      id: 'directory.users.patch',
      verb: 'PATCH',
      path: ONE_USER,
      handle: (call, caller) => users.update(call, caller),
    },
    {
      id: 'directory.users.delete',
      verb: 'DELETE',
      path: ONE_USER,
      scopes: [USER],
      right: 'change',
      handle: (call, caller) => users.delete(call, caller),
    },
    {
      id: 'directory.users.undelete',
      verb: 'POST',
      path: `${ONE_USER}/undelete`,
      scopes: [USER],
      right: 'change',
      handle: (call, caller) => users.undelete(call, caller),
    },
    {
      id: 'directory.users.makeAdmin',
      verb: 'POST',
      path: `${ONE_USER}/makeAdmin`,
      scopes: [USER],
      right: 'change',
      handle: (call, caller) => users.makeAdmin(call, caller),
    },
  ];
}

function aliasMethods(aliases: Aliases): readonly DirectoryMethod[] {
  return [
    {
      id: 'directory.users.aliases.list',
      verb: 'GET',
      path: `${ONE_USER}/aliases`,
      scopes: [USER, ALIAS, ALIAS_READ, USER_READ],
      right: 'read',
      parameters: ['event'],
      answers: { aliases: ALIAS_SELECTABLE, etag: 'leaf', kind: 'leaf' },
      handle: (call) => aliases.list(call),
    },
    {
      id: 'directory.users.aliases.insert',
      verb: 'POST',
      path: `${ONE_USER}/aliases`,
      scopes: [USER, ALIAS],
      right: 'change',
      answers: ALIAS_SELECTABLE,
      handle: (call, caller) => aliases.insert(call, caller),
    },
    {
      id: 'directory.users.aliases.delete',
      verb: 'DELETE',
      path: `${ONE_USER}/aliases/:alias`,
      scopes: [USER, ALIAS],
      right: 'change',
      handle: (call, caller) => aliases.delete(call, caller),
    },
  ];
}

function orgUnitMethods(orgUnits: OrgUnits): readonly DirectoryMethod[] {
  const write = { scopes: [UNIT], right: 'change', answers: ORG_UNIT_SELECTABLE } as const;
  return [
    {
      id: 'directory.orgunits.list',
      verb: 'GET',
      path: UNITS,
      scopes: [UNIT, UNIT_READ],
      right: 'read',
      parameters: ['orgUnitPath', 'type'],
      answers: { etag: 'leaf', kind: 'leaf', organizationUnits: ORG_UNIT_SELECTABLE },
      handle: (call) => orgUnits.list(call),
    },
    {
      ...write,
      id: 'directory.orgunits.insert',
      verb: 'POST',
      path: UNITS,
      handle: (call, caller) => orgUnits.insert(call, caller),
    },
    {
      id: 'directory.orgunits.get',
      verb: 'GET',
      path: ONE_UNIT,
      scopes: [UNIT, UNIT_READ],
      right: 'read',
      answers: ORG_UNIT_SELECTABLE,
      handle: (call) => orgUnits.get(call),
    },
    {
      ...write,
      id: 'directory.orgunits.update',
      verb: 'PUT',
      path: ONE_UNIT,
      handle: (call, caller) => orgUnits.update(call, caller),
    },
    {
      ...write,
      id: 'directory.orgunits.patch',
      verb: 'PATCH',
      path: ONE_UNIT,
      handle: (call, caller) => orgUnits.update(call, caller),
    },
    {
      id: 'directory.orgunits.delete',
      verb: 'DELETE',
      path: ONE_UNIT,
      scopes: [UNIT],
      right: 'change',
      handle: (call, caller) => orgUnits.delete(call, caller),
    },
  ];
}

const activityMethod = (activities: Activities): DirectoryMethod => ({
  id: 'reports.activities.list',
  verb: 'GET',
  path: '/admin/reports/v1/activity/users/:userKey/applications/:applicationName',
  scopes: ['admin.reports.audit.readonly'],
  right: 'reports',
  parameters: ACTIVITY_PARAMETERS,
  answers: { etag: 'leaf', items: 'open', kind: 'leaf', nextPageToken: 'leaf' },
  handle: (call) => activities.list(call),
});

function channelMethods(channels: Channels): readonly DirectoryMethod[] {
  return [
    {
      id: 'directory.users.watch',
      verb: 'POST',
      path: `${USERS}/watch`,
      scopes: [USER, USER_READ, CLOUD],
      right: 'read',
      parameters: LIST_PARAMETERS,
      answers: CHANNEL_SELECTABLE,
      handle: (call, caller) => channels.watch(call, caller),
    },
    {
      // Google's own id for it is admin.channels.stop; the emulator names all methods of this API alike.
      id: 'directory.channels.stop',
      verb: 'POST',
      path: '/admin/directory_v1/channels/stop',
      scopes: [USER, ALIAS, ALIAS_READ, USER_READ, CLOUD],
      right: 'read',
      handle: (call, caller) => channels.stop(call, caller),
    },
  ];
}
