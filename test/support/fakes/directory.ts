import type { DirectoryUser } from '../../../shared/domain/directory-user.ts';
import { listUsers } from '../../../shared/domain/listed-users.ts';
import { isWithin } from '../../../shared/domain/org-unit-path.ts';
import type { Directory, Page, WatchChannel } from '../../../shared/ports/directory.ts';
import type { ManualClock } from './clock.ts';
import { type Saved, stateCell } from './state.ts';

/** A directory in memory. Channels live for six hours at most, as Google's do. */
export interface FakeDirectory extends Directory, Saved {
  /** Creates or replaces a user; fields left out are those of a plain member of `/Staff`, or what they were. */
  put(user: Partial<DirectoryUser> & Pick<DirectoryUser, 'userId'>): DirectoryUser;
  /** Moves a user to the list of the deleted, where their addresses are remembered. */
  remove(userId: string): void;
  /** Takes a user from every list. */
  forget(userId: string): void;
  living(userId: string): DirectoryUser | undefined;
  /** Whoever has this primary address now. */
  owner(primaryEmail: string): DirectoryUser | undefined;
  /** Group ids to the user ids in them; a test fills it. */
  readonly members: Map<string, Set<string>>;
  readonly openChannels: ReadonlyMap<
    string,
    WatchChannel & { readonly token: string; readonly address: string }
  >;
}

const MAX_CHANNEL_MS = 6 * 3_600_000;

/** Small, so that a handful of users make several. */
const PAGE_SIZE = 3;

function pageOf<User>(everybody: readonly User[], pageToken = '0'): Page<readonly User[]> {
  const end = Number(pageToken) + PAGE_SIZE;
  return {
    users: everybody.slice(Number(pageToken), end),
    ...(end < everybody.length ? { nextPageToken: String(end) } : {}),
  };
}

const byAddress = (left: DirectoryUser, right: DirectoryUser) =>
  left.primaryEmail < right.primaryEmail ? -1 : 1;

export function fakeDirectory(clock: ManualClock): FakeDirectory {
  const users = stateCell({
    living: new Map<string, DirectoryUser>(),
    deleted: new Map<string, DirectoryUser & { readonly deletedAt: Date }>(),
    channels: new Map<string, WatchChannel & { token: string; address: string }>(),
  });
  const members = new Map<string, Set<string>>();
  const has = (user: DirectoryUser, address: string) =>
    user.primaryEmail === address || user.aliases.includes(address);
  const pageUnder: Directory['fullPage'] = async ({ orgUnitPath, pageToken }) => {
    const living = [...users.now.living.values()].filter((user) => isWithin(user.orgUnitPath, orgUnitPath));
    return pageOf(living.toSorted(byAddress), pageToken);
  };
  return {
    save: users.save,
    get openChannels() {
      return users.now.channels;
    },
    members,
    put(changes) {
      const { deletedAt: _, ...deleted } = users.now.deleted.get(changes.userId) ?? {};
      const user: DirectoryUser = {
        primaryEmail: `user-${changes.userId}@acme.example`,
        aliases: [],
        orgUnitPath: '/Staff',
        suspended: false,
        archived: false,
        mailboxReady: true,
        ...(users.now.living.get(changes.userId) ?? deleted),
        ...changes,
      };
      users.now.deleted.delete(user.userId);
      users.now.living.set(user.userId, user);
      return user;
    },
    remove(userId) {
      const user = users.now.living.get(userId);
      if (user === undefined) return;
      users.now.living.delete(userId);
      users.now.deleted.set(userId, { ...user, deletedAt: clock.now() });
    },
    forget(userId) {
      users.now.living.delete(userId);
      users.now.deleted.delete(userId);
    },
    living: (userId) => users.now.living.get(userId),
    owner: (primaryEmail) =>
      [...users.now.living.values()].find((user) => user.primaryEmail === primaryEmail),
    async presence(userId) {
      const user = users.now.living.get(userId);
      if (user !== undefined) return { kind: 'present', user };
      const deleted = users.now.deleted.get(userId);
      if (deleted !== undefined) {
        const { primaryEmail, deletedAt } = deleted;
        return { kind: 'deleted', userId, primaryEmail, deletedAt };
      }
      return { kind: 'absent', userId };
    },
    async resolve(address) {
      const everybody = [...users.now.living.values(), ...users.now.deleted.values()];
      return everybody.find((user) => has(user, address))?.userId;
    },
    async *usersUnder(orgUnitPath) {
      for (const user of users.now.living.values()) if (isWithin(user.orgUnitPath, orgUnitPath)) yield user;
    },
    /** Whatever units its users are in, and those above them; the id is the path in lower case. */
    async orgUnits() {
      const paths = new Set(['/']);
      for (const { orgUnitPath } of users.now.living.values()) {
        const names = orgUnitPath.split('/').filter(Boolean);
        for (const index of names.keys()) paths.add(`/${names.slice(0, index + 1).join('/')}`);
      }
      return [...paths].map((path) => ({
        orgUnitId: unitIdOf(path),
        path,
        ...(path === '/' ? {} : { parentId: unitIdOf(path.slice(0, path.lastIndexOf('/')) || '/') }),
      }));
    },
    async group(key) {
      return members.has(key) ? { groupId: key, address: key } : undefined;
    },
    async *groups() {
      for (const key of members.keys()) yield { groupId: key, address: key };
    },
    async isMember(groupId, userId) {
      return members.get(groupId)?.has(userId) ?? 'no-such-group';
    },
    async *groupMembers(groupId) {
      yield* members.get(groupId) ?? [];
    },
    async membersPage({ groupId, pageToken }) {
      const { users: userIds, ...next } = pageOf([...(members.get(groupId) ?? [])], pageToken);
      return { userIds, holdsEverybody: false, ...next };
    },
    async livingPage(request) {
      const page = await pageUnder(request);
      return { ...page, users: listUsers(page.users) };
    },
    fullPage: pageUnder,
    async deletedPage({ pageToken }) {
      return pageOf([...users.now.deleted.values()], pageToken);
    },
    async watch({ channelId, token, address, ttlSeconds }) {
      const ttlMs = Math.min((ttlSeconds ?? 3_600) * 1000, MAX_CHANNEL_MS);
      const channel = {
        channelId,
        resourceId: `resource-of-${channelId}`,
        expiresAt: new Date(clock.now().getTime() + ttlMs),
      };
      users.now.channels.set(channelId, { ...channel, token, address });
      return channel;
    },
    async stopChannel({ channelId }) {
      users.now.channels.delete(channelId);
    },
  };
}

const unitIdOf = (path: string): string => `id:${path.toLowerCase()}`;
