/**
 * The activity lists of Workspace through the Admin SDK's Reports API. Read-only. An empty page may have a successor here, unlike
 * in the directory; what it will not do is take a page for one that it cannot understand.
 * https://developers.google.com/workspace/admin/reports/v1/reference/activities/list
 */
import { admin } from 'googleapis/build/src/apis/admin/index.js';
import type { admin_reports_v1 } from 'googleapis/build/src/apis/admin/reports_v1.js';
import { permanent, retryable, type SealwrightError } from '../../errors.ts';
import type { Activity, Reports } from '../../ports/reports.ts';
import { type Bearer, callGoogle } from '../google/call.ts';
import { GoogleCallError, isCredentialFailure } from '../google/call-error.ts';
import { type GoogleEndpoints, restRoot } from '../google/endpoints.ts';
import { withToken } from '../google/rest-options.ts';
import { isTransient, type RetrySettings } from '../google/retry.ts';

/** What it needs, with an admin role that has the privilege "Reports" (`docs/deploy.md`). */
export const REPORTS_SCOPES = ['https://www.googleapis.com/auth/admin.reports.audit.readonly'] as const;

export interface GoogleReportsOptions {
  readonly bearer: Bearer;
  readonly endpoints: GoogleEndpoints;
  readonly retry: RetrySettings;
  /** Activities a page; 1000 unless told, the most there is. */
  readonly pageSize?: number;
}

const METHOD = 'reports.activities.list';
const FIELDS =
  'nextPageToken,items(id(time,uniqueQualifier),actor(email),events(name,parameters(name,value,intValue,boolValue)))';

export function googleReports(options: GoogleReportsOptions): Reports {
  const { bearer, endpoints, retry, pageSize = 1_000 } = options;
  const api = admin({ version: 'reports_v1', retry: false, ...restRoot(endpoints) });
  return {
    async activityPage({ application, from, to, pageToken }) {
      const doing = `Reading the activities of ${application} from ${from.toISOString()} to ${to.toISOString()}`;
      let page: admin_reports_v1.Schema$Activities;
      try {
        const answer = await callGoogle({ method: METHOD, repeatable: 'any-time', retry }, bearer, (token) =>
          api.activities.list(
            {
              userKey: 'all',
              applicationName: application,
              startTime: from.toISOString(),
              endTime: to.toISOString(),
              maxResults: pageSize,
              fields: FIELDS,
              ...(pageToken === undefined ? {} : { pageToken }),
            },
            withToken(token, retry),
          ),
        );
        page = answer.data;
      } catch (error) {
        if (!(error instanceof GoogleCallError)) throw error;
        throw reportsFailure(error, doing, pageToken);
      }
      if (page === null || typeof page !== 'object') throw unusable(doing, 'a page is no JSON object');
      const { items = [], nextPageToken } = page;
      if (!Array.isArray(items)) throw unusable(doing, 'its "items" are no list');
      if (nextPageToken && nextPageToken === pageToken)
        throw unusable(doing, 'a page names itself as its successor');
      return {
        activities: items.map((item) => activityOf(item, doing)),
        ...(nextPageToken ? { nextPageToken } : {}),
      };
    },
  };
}

function activityOf(item: admin_reports_v1.Schema$Activity, doing: string): Activity {
  const happenedAt = new Date(item.id?.time ?? '');
  const uniqueQualifier = item.id?.uniqueQualifier;
  if (!uniqueQualifier || Number.isNaN(happenedAt.getTime()))
    throw unusable(doing, 'an activity has no id of its own');
  const actor = item.actor?.email;
  return {
    happenedAt,
    uniqueQualifier: withoutNul(uniqueQualifier),
    ...(actor ? { actor: withoutNul(actor).toLowerCase() } : {}),
    events: (item.events ?? []).map(({ name, parameters }) => ({
      name: withoutNul(name ?? 'without a name'),
      parameters: new Map(
        (parameters ?? []).map((parameter) => [parameter.name ?? undefined, textOf(parameter)]),
      ),
    })),
  };
}

function textOf({
  value,
  intValue,
  boolValue,
}: {
  value?: string | null;
  intValue?: string | null;
  boolValue?: boolean | null;
}): string | undefined {
  const given = value ?? intValue ?? boolValue ?? undefined;
  return given === undefined ? undefined : withoutNul(String(given));
}

/** PostgreSQL takes every character but that one. */
const withoutNul = (text: string): string => text.replaceAll('\0', '\uFFFD');

const unusable = (doing: string, what: string): SealwrightError =>
  retryable('reports-unavailable', `${doing} brought an answer that cannot be used: ${what}.`);

/**
 * What a failed call means; the one place that decides it. Google answers 401 where the privilege is missing, also with a fresh token,
 * and 400 for a page token it no longer takes.
 */
function reportsFailure(
  error: GoogleCallError,
  doing: string,
  pageToken: string | undefined,
): SealwrightError {
  const { failure } = error;
  const said = `${doing} failed: ${error.message}`;
  const refused = (advice: string) => permanent('reports-refused', `${said} ${advice}`, { cause: error });
  if (isTransient(failure)) {
    return retryable('reports-unavailable', said, {
      cause: error,
      ...(failure.retryAfterMs === undefined ? {} : { retryAfterMs: failure.retryAfterMs }),
    });
  }
  if (isCredentialFailure(failure))
    return refused(
      failure.advice ??
        "Check the service account that reads the reports and this function's right to act as it.",
    );
  if (pageToken !== undefined && (failure.httpStatus === 400 || failure.httpStatus === 410))
    return retryable(
      'page-token-expired',
      `${doing} failed: its page token is no longer taken, so the list is read from its beginning.`,
      { cause: error },
    );
  if (failure.reasons.some((reason) => reason === 'accessNotConfigured' || reason === 'SERVICE_DISABLED'))
    return refused('Enable the Admin SDK API (admin.googleapis.com) in the project.');
  if (failure.httpStatus === 401 || failure.httpStatus === 403)
    return refused(
      'Give the admin role of the service account that reads the directory the privilege Reports (docs/deploy.md, step 5), or name an admin to read as (SEALWRIGHT_REPORTS_ADMIN).',
    );
  return refused('The request itself was refused; repeating it will not help.');
}
