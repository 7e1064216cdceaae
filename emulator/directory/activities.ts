/**
 * The activity lists of the Reports API: `admin` and `groups_enterprise`, with all that the directory's audit log has, exported or
 * not. Other applications are known and have nothing. They are kept for 180 days.
 * https://developers.google.com/workspace/admin/reports/v1/reference/activities/list
 */
import { createHash } from 'node:crypto';
import type { EmulatorContext } from '../core/context.ts';
import { GoogleError } from '../core/google-error.ts';
import type { Call } from '../core/route.ts';
import { integerParameter } from './method.ts';
import type { PageTokens } from './page-token.ts';
import { badRequest, invalidParameter } from './refusals.ts';
import { parseReportFilters } from './report-filters.ts';
import type { Tenant } from './tenant.ts';
import { etagOf } from './user-fields.ts';

const KEPT_MS = 180 * 86_400_000;

export interface ActivityRecord {
  readonly application: 'admin' | 'groups_enterprise';
  readonly timeMs: number;
  /** Counts up, and tells activities of one millisecond apart. */
  readonly serial: number;
  readonly uniqueQualifier: string;
  /** By the emulator's clock; later than `timeMs` where the lists lag. */
  readonly visibleAtMs: number;
  readonly actor: string;
  readonly events: readonly {
    readonly type: string;
    readonly name: string;
    readonly parameters: Readonly<Record<string, string>>;
  }[];
}

/** All that the API names, most of which nothing happens in here. */
const APPLICATIONS = new Set(
  (
    'access_evaluation access_transparency admin admin_data_action assignments calendar chat chrome classroom cloud_search ' +
    'contacts context_aware_access data_migration data_studio directory_sync drive gcp gemini_in_workspace_apps gmail gplus ' +
    'graduation groups groups_enterprise jamboard keep ldap login meet meet_hardware mobile profile rules saml takeout tasks ' +
    'token user_accounts vault'
  ).split(' '),
);

export const ACTIVITY_PARAMETERS = [
  'actorIpAddress',
  'customerId',
  'endTime',
  'eventName',
  'filters',
  'maxResults',
  'pageToken',
  'startTime',
];

const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[-+]\d{2}:\d{2})$/;

/** Everybody's calls come from here. */
const IP_ADDRESS = '127.0.0.1';

export class Activities {
  readonly #context: EmulatorContext;
  readonly #tenant: Tenant;
  readonly #tokens: PageTokens;
  readonly #data: { kept: ActivityRecord[]; lastSerial: number };

  constructor(context: EmulatorContext, tenant: Tenant, tokens: PageTokens) {
    this.#context = context;
    this.#tenant = tenant;
    this.#tokens = tokens;
    this.#data = context.state.section('reports', () => ({ kept: [], lastSerial: 0 }));
  }

  add(
    activity: Pick<ActivityRecord, 'application' | 'timeMs' | 'uniqueQualifier' | 'actor' | 'events'>,
  ): void {
    const { kept } = this.#data;
    const oldestMs = activity.timeMs - KEPT_MS;
    while (kept[0] !== undefined && kept[0].timeMs < oldestMs) kept.shift();
    this.#data.lastSerial += 1;
    const { lagMs } = this.#context.faults.current.reports;
    kept.push({ ...activity, serial: this.#data.lastSerial, visibleAtMs: activity.timeMs + lagMs });
    this.#context.state.changed();
  }

  list(call: Call): unknown {
    const application = call.params['applicationName'] ?? '';
    if (!APPLICATIONS.has(application))
      throw invalidParameter('applicationName', `Invalid string value: '${application}'.`);
    const wanted = this.#question(call);
    const maxResults = integerParameter(call, 'maxResults', { min: 1, max: 1000, absent: 1000 });
    const { pageToken: _, maxResults: __, ...question } = Object.fromEntries(call.query);
    const digest = createHash('sha256')
      .update(JSON.stringify([application, call.params['userKey'], question]))
      .digest('base64url');
    const token = call.query.get('pageToken');
    const nowMs = this.#context.clock.nowMs();
    const after = token === null || token === '' ? undefined : this.#tokens.read(token, digest, nowMs);
    const found = this.#data.kept
      .filter((one) => one.application === application && one.visibleAtMs <= nowMs && wanted(one))
      .filter((one) => after === undefined || isAfter(one, after))
      .toSorted((one, other) => other.timeMs - one.timeMs || other.serial - one.serial);
    const page = found.slice(0, maxResults);
    const last = page.at(-1);
    const items = page.map((one) => this.#shown(one));
    return {
      kind: 'admin#reports#activities',
      etag: etagOf(items),
      ...(items.length === 0 ? {} : { items }),
      ...(last === undefined || found.length <= page.length
        ? {}
        : { nextPageToken: this.#tokens.issue([String(last.timeMs), String(last.serial)], digest, nowMs) }),
    };
  }

  #question(call: Call): (activity: ActivityRecord) => boolean {
    const nowMs = this.#context.clock.nowMs();
    const startMs = instantOf(call, 'startTime') ?? nowMs - KEPT_MS;
    const endMs = instantOf(call, 'endTime') ?? nowMs;
    if (startMs >= endMs || startMs >= nowMs)
      throw badRequest('Start time must be before the end time and the time of the request.');
    const customer = call.query.get('customerId') ?? 'my_customer';
    if (customer !== 'my_customer' && customer !== this.#tenant.customerId)
      throw new GoogleError(403, 'forbidden', 'Not Authorized to access this resource/api');
    const eventName = call.query.get('eventName') ?? undefined;
    const fits = parseReportFilters(call.query.get('filters') ?? '', eventName);
    const actor = this.#actor(call.params['userKey'] ?? '');
    const ipAddress = call.query.get('actorIpAddress') ?? IP_ADDRESS;
    return (activity) =>
      activity.timeMs >= startMs &&
      activity.timeMs <= endMs &&
      ipAddress === IP_ADDRESS &&
      (actor === undefined || activity.actor === actor) &&
      activity.events.some(
        (event) => (eventName === undefined || event.name === eventName) && fits(event.parameters),
      );
  }

  /** Undefined for everybody. */
  #actor(userKey: string): string | undefined {
    if (userKey === 'all') return undefined;
    const user = this.#tenant.userById(userKey) ?? this.#tenant.userByAddress(userKey);
    if (user === undefined) throw badRequest('Bad Request: userKey');
    return user.primaryEmail;
  }

  #shown({ application, timeMs, uniqueQualifier, actor, events }: ActivityRecord) {
    const profileId = this.#tenant.userByAddress(actor)?.id;
    return {
      kind: 'admin#reports#activity',
      id: {
        time: new Date(timeMs).toISOString(),
        uniqueQualifier,
        applicationName: application,
        customerId: this.#tenant.customerId,
      },
      actor: { callerType: 'USER', email: actor, ...(profileId === undefined ? {} : { profileId }) },
      ipAddress: IP_ADDRESS,
      events: events.map(({ type, name, parameters }) => ({
        type,
        name,
        parameters: Object.entries(parameters).map(([parameter, value]) => ({ name: parameter, value })),
      })),
    };
  }
}

function isAfter(
  { timeMs, serial }: ActivityRecord,
  [after = '', afterSerial = '']: readonly string[],
): boolean {
  return timeMs < Number(after) || (timeMs === Number(after) && serial < Number(afterSerial));
}

function instantOf(call: Call, name: string): number | undefined {
  const given = call.query.get(name);
  if (given === null) return undefined;
  const ms = Date.parse(given);
  if (!INSTANT.test(given) || Number.isNaN(ms)) throw invalidParameter(name, `Invalid value '${given}'.`);
  return ms;
}
