/**
 * The tenant's activity lists, which Google keeps for 180 days and gives out page by page, the latest first. What is in them
 * comes minutes after it happened, some of it hours or a day later.
 * https://developers.google.com/workspace/admin/reports/v1/reference/activities/list
 */

/** `admin`: what admins and the Admin API did; `groups_enterprise`: who came into groups and left them, also by themselves. */
export type ReportsApplication = 'admin' | 'groups_enterprise';

export interface Activity {
  readonly happenedAt: Date;
  /** With the instant it tells an entry from all others: a signed 64-bit number in decimal. */
  readonly uniqueQualifier: string;
  /** Address of whoever did it, lower case. */
  readonly actor?: string;
  readonly events: readonly {
    /** `MOVE_USER_TO_ORG_UNIT`, `add_member` */
    readonly name: string;
    /** Texts and numbers by name. */
    readonly parameters: ReadonlyMap<string | undefined, string | undefined>;
  }[];
}

export interface ActivityPage {
  readonly activities: readonly Activity[];
  readonly nextPageToken?: string;
}

export interface ActivityRequest {
  readonly application: ReportsApplication;
  /** Both ends included. */
  readonly from: Date;
  readonly to: Date;
  readonly pageToken?: string;
}

export interface Reports {
  /**
   * One page; an empty one may have a successor. Throws `page-token-expired` (retryable): the list must be read from its
   * beginning; `reports-unavailable` (retryable), among others for a page that cannot be understood; `reports-refused`
   * (permanent): a privilege or a scope is missing.
   */
  activityPage(request: ActivityRequest): Promise<ActivityPage>;
}
