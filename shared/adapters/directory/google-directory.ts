/**
 * The Workspace directory through the Admin SDK. Read-only, but for notification channels.
 * https://developers.google.com/workspace/admin/directory/reference/rest/v1/users
 *
 * Vocabulary. The *deleted list* is what `showDeleted=true` lists: users deleted in the last 20 days, by id and the
 * address they had. What this adapter will not do: conclude anything from a missing part. A page that says it has a
 * successor and yet holds no users is an error, not an empty page.
 */

import type { admin_directory_v1 } from 'googleapis/build/src/apis/admin/directory_v1.js';
import type { DirectoryPresence } from '../../domain/directory-user.ts';
import type { Directory, WatchChannel } from '../../ports/directory.ts';
import { directoryCaller, type GoogleDirectoryOptions } from './call.ts';
import { unitFailure } from './failure.ts';
import { groups } from './groups.ts';
import { orgUnits } from './org-units.ts';
import { sweptPages, underUnit } from './swept-pages.ts';
import {
  DELETED_PAGE_FIELDS,
  incomplete,
  ourAddress,
  toDeleted,
  toDirectoryUser,
  USER_FIELDS,
  USER_PAGE_FIELDS,
} from './wire.ts';

/** What it needs, with an admin role that may read users, org units and groups (`docs/deploy.md`). */
export const DIRECTORY_SCOPES = [
  'https://www.googleapis.com/auth/admin.directory.user.readonly',
  'https://www.googleapis.com/auth/admin.directory.orgunit.readonly',
  'https://www.googleapis.com/auth/admin.directory.group.readonly',
] as const;

const MY_CUSTOMER = 'my_customer';
const PAGE_SIZE = 500;

export function googleDirectory(options: GoogleDirectoryOptions): Directory {
  const caller = directoryCaller(options);
  const { api, call } = caller;

  const get = (userKey: string, fields: string) =>
    call<admin_directory_v1.Schema$User | undefined>(
      { method: 'directory.users.get', repeatable: 'any-time', doing: `Looking up the user ${userKey}` },
      (_options, token) =>
        caller.rest(
          `users/${encodeURIComponent(userKey)}`,
          { fields, projection: 'basic', viewType: 'admin_view' },
          token,
        ),
      { 404: () => undefined },
    );

  /** Pages of users, living or deleted. */
  const pages = (
    doing: string,
    parameters: { fields: string; query?: string; showDeleted?: string },
  ): AsyncGenerator<readonly admin_directory_v1.Schema$User[]> =>
    caller.pages(
      'users',
      (page) =>
        call<admin_directory_v1.Schema$Users>(
          { method: 'directory.users.list', repeatable: 'any-time', doing },
          (callOptions) =>
            api.users.list(
              {
                customer: MY_CUSTOMER,
                maxResults: PAGE_SIZE,
                projection: 'basic',
                viewType: 'admin_view',
                ...parameters,
                ...page,
              },
              callOptions,
            ),
        ),
      ({ users }) => users,
    );

  async function* everybody(): AsyncGenerator<string> {
    for await (const users of pages('Listing all users', { fields: 'nextPageToken,users(id)' })) {
      for (const { id } of users) {
        if (!id) throw incomplete('it described a user without an id');
        yield id;
      }
    }
  }

  return {
    ...orgUnits(caller, options.retry.clock),
    ...groups(caller, everybody),
    ...sweptPages(caller),

    async presence(userId): Promise<DirectoryPresence> {
      const living = await get(userId, USER_FIELDS);
      if (living !== undefined && !living.id)
        throw incomplete(`it described the user ${userId} without an id`);
      // The key may also be an address: only the user with this very id is meant.
      if (living?.id === userId) return { kind: 'present', user: toDirectoryUser(living) };
      const deleted = pages(`Looking for the user ${userId} among the deleted`, {
        fields: DELETED_PAGE_FIELDS,
        showDeleted: 'true',
      });
      for await (const users of deleted) {
        const found = users.find((user) => user.id === userId);
        if (found !== undefined) return toDeleted(userId, found);
      }
      return { kind: 'absent', userId };
    },

    async resolve(address) {
      const wanted = ourAddress(address);
      const living = await get(wanted, 'id');
      if (living !== undefined) {
        if (!living.id) throw incomplete(`it described the user ${wanted} without an id`);
        return living.id;
      }
      // An address can have been deleted more than once in 20 days; the last one to have it is meant.
      let last: admin_directory_v1.Schema$User | undefined;
      const deleted = pages(`Looking for ${wanted} among the deleted users`, {
        fields: DELETED_PAGE_FIELDS,
        showDeleted: 'true',
      });
      for await (const users of deleted) {
        for (const user of users) {
          if (ourAddress(user.primaryEmail ?? '') !== wanted) continue;
          if (last === undefined || (user.deletionTime ?? '') >= (last.deletionTime ?? '')) last = user;
        }
      }
      return last?.id ?? undefined;
    },

    async *usersUnder(orgUnitPath) {
      const doing = `Listing the users under ${orgUnitPath}`;
      const unit = underUnit(orgUnitPath);
      try {
        for await (const users of pages(doing, { fields: USER_PAGE_FIELDS, ...unit })) {
          for (const user of users) yield toDirectoryUser(user);
        }
      } catch (error) {
        throw unitFailure(error, unit, doing);
      }
    },

    async watch({ channelId, token, address, event, ttlSeconds }): Promise<WatchChannel> {
      const channel = await call(
        // A channel id can be used once: were the answer lost, a repetition would be refused for that reason.
        {
          method: 'directory.users.watch',
          repeatable: 'without-effect',
          doing: `Opening the channel ${channelId}`,
        },
        (callOptions) =>
          api.users.watch(
            {
              customer: MY_CUSTOMER,
              ...(event === undefined ? {} : { event }),
              requestBody: {
                id: channelId,
                type: 'web_hook',
                address,
                token,
                ...(ttlSeconds === undefined ? {} : { params: { ttl: String(ttlSeconds) } }),
              },
            },
            callOptions,
          ),
      );
      const { resourceId, expiration } = channel;
      const expiresAt = new Date(Number(expiration));
      if (!resourceId || !expiration || Number.isNaN(expiresAt.getTime()))
        throw incomplete(`the channel ${channelId} was opened without resourceId or expiration`);
      return { channelId, resourceId, expiresAt };
    },

    async stopChannel({ channelId, resourceId }) {
      await call<void>(
        {
          method: 'directory.channels.stop',
          repeatable: 'any-time',
          doing: `Stopping the channel ${channelId}`,
        },
        (callOptions) => api.channels.stop({ requestBody: { id: channelId, resourceId } }, callOptions),
        { 404: () => undefined },
      );
    },
  };
}
