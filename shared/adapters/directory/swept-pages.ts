import type { admin_directory_v1 } from 'googleapis/build/src/apis/admin/directory_v1.js';
import type { Directory } from '../../ports/directory.ts';
import type { RestCallOptions } from '../google/rest-options.ts';
import type { DirectoryApi } from './call.ts';
import { sweptPageFailure } from './failure.ts';
import { PageReader } from './page-reader.ts';
import {
  DELETED_PAGE_FIELDS,
  incomplete,
  SWEEP_PAGE_FIELDS,
  toDeletedPage,
  toFullPage,
  USER_PAGE_FIELDS,
} from './wire.ts';

interface Asked {
  readonly fields: string;
  readonly query?: string;
  readonly showDeleted?: string;
  readonly pageToken?: string;
}

/** Single pages, for a sweep and a forecast: they keep the token of the next one, and a sweep may come back with it days later. */
export function sweptPages({
  api,
  call,
}: DirectoryApi): Pick<Directory, 'livingPage' | 'fullPage' | 'deletedPage'> {
  const reader = new PageReader();

  async function page<T>(
    doing: string,
    asked: Asked,
    list: (
      request: admin_directory_v1.Params$Resource$Users$List,
      options: RestCallOptions,
    ) => Promise<{ data: T }>,
  ): Promise<T> {
    try {
      return await call<T>({ method: 'directory.users.list', repeatable: 'any-time', doing }, (callOptions) =>
        list(
          {
            customer: 'my_customer',
            maxResults: 500,
            projection: 'basic',
            viewType: 'admin_view',
            // White space makes a page half as long again.
            prettyPrint: false,
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
      const answer = await page<unknown>(
        `Reading a page of the users under ${orgUnitPath}`,
        {
          fields: SWEEP_PAGE_FIELDS,
          ...underUnit(orgUnitPath),
          ...(pageToken === undefined ? {} : { pageToken }),
        },
        // The bytes as they came: the client's types know no other answer than a parsed one.
        (request, options) => api.users.list(request, { ...options, responseType: 'arraybuffer' }),
      );
      if (!(answer instanceof ArrayBuffer)) throw incomplete('a page of users did not come as bytes');
      return reader.read(new Uint8Array(answer));
    },

    async fullPage({ orgUnitPath, pageToken }) {
      return toFullPage(
        await page<admin_directory_v1.Schema$Users>(
          `Reading a page of the users under ${orgUnitPath}`,
          {
            fields: USER_PAGE_FIELDS,
            ...underUnit(orgUnitPath),
            ...(pageToken === undefined ? {} : { pageToken }),
          },
          (request, options) => api.users.list(request, options),
        ),
      );
    },

    async deletedPage({ pageToken }) {
      const answer = await page<admin_directory_v1.Schema$Users>(
        'Reading a page of the deleted users',
        {
          fields: DELETED_PAGE_FIELDS,
          showDeleted: 'true',
          ...(pageToken === undefined ? {} : { pageToken }),
        },
        (request, options) => api.users.list(request, options),
      );
      return toDeletedPage(answer);
    },
  };
}

/** The query for a subtree. The root is everybody, which needs none. */
export const underUnit = (orgUnitPath: string): { query?: string } =>
  orgUnitPath === '/' ? {} : { query: `orgUnitPath='${quoted(orgUnitPath)}'` };

/** https://developers.google.com/workspace/admin/directory/v1/guides/search-users : values in single quotes. */
const quoted = (value: string): string => value.replace(/[\\']/g, '\\$&');
