import type { admin_directory_v1 } from 'googleapis/build/src/apis/admin/directory_v1.js';
import type { Directory } from '../../ports/directory.ts';
import type { DirectoryApi } from './call.ts';
import { sweptPageFailure } from './failure.ts';
import { DELETED_PAGE_FIELDS, SWEEP_PAGE_FIELDS, toDeletedPage, toUsersPage } from './wire.ts';

interface Asked {
  readonly fields: string;
  readonly query?: string;
  readonly showDeleted?: string;
  readonly pageToken?: string;
}

/** Single pages for a sweep, which keeps their tokens and may come back with one days later. */
export function sweptPages({ api, call }: DirectoryApi): Pick<Directory, 'livingPage' | 'deletedPage'> {
  async function page(doing: string, asked: Asked): Promise<admin_directory_v1.Schema$Users> {
    try {
      return await call<admin_directory_v1.Schema$Users>(
        { method: 'directory.users.list', repeatable: 'any-time', doing },
        (callOptions) =>
          api.users.list(
            {
              customer: 'my_customer',
              maxResults: 500,
              projection: 'basic',
              viewType: 'admin_view',
              ...asked,
            },
            callOptions,
          ),
      );
    } catch (error) {
      throw sweptPageFailure(error, asked, doing);
    }
  }

  return {
    async livingPage({ orgUnitPath, pageToken }) {
      const answer = await page(`Reading a page of the users under ${orgUnitPath}`, {
        fields: SWEEP_PAGE_FIELDS,
        ...underUnit(orgUnitPath),
        ...(pageToken === undefined ? {} : { pageToken }),
      });
      return toUsersPage(answer);
    },

    async deletedPage({ pageToken }) {
      const answer = await page('Reading a page of the deleted users', {
        fields: DELETED_PAGE_FIELDS,
        showDeleted: 'true',
        ...(pageToken === undefined ? {} : { pageToken }),
      });
      return toDeletedPage(answer);
    },
  };
}

/** The query for a subtree. The root is everybody, which needs none. */
export const underUnit = (orgUnitPath: string): { query?: string } =>
  orgUnitPath === '/' ? {} : { query: `orgUnitPath='${quoted(orgUnitPath)}'` };

/** https://developers.google.com/workspace/admin/directory/v1/guides/search-users : values in single quotes. */
const quoted = (value: string): string => value.replace(/[\\']/g, '\\$&');
