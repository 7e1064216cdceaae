/**
 * Workspace's admin audit log as it arrives in Cloud Logging and in the Reports API, and the organization's log sink that exports it to
 * Pub/Sub. https://cloud.google.com/logging/docs/audit/gsuite-audit-logging
 */
import { createHash, randomBytes, randomInt } from 'node:crypto';
import type { Caller } from '../core/access-tokens.ts';
import type { EmulatorContext } from '../core/context.ts';
import { GoogleError } from '../core/google-error.ts';
import type { Publisher } from '../core/rooms.ts';
import type { Activities } from './activities.ts';
import type { Disturbance } from './disturbance.ts';

/** One thing that happened, such as `MOVE_USER_TO_ORG_UNIT`, with its parameters by name. */
export interface AuditEvent {
  readonly type: 'USER_SETTINGS' | 'ORG_SETTINGS' | 'GROUP_SETTINGS' | 'DELEGATED_ADMIN_SETTINGS';
  readonly name: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** The sink's filter: entries with other method names stay in the log and are not exported. */
const EXPORTED =
  /^google\.admin\.AdminService\.(createUser|createUserWithAutoProv|(?:update|suspend|unsuspend|delete|hardDeleted)AutoProvisionedUser|deleteUser|undeleteUser|suspendUser|unsuspendUser|archiveUser|unarchiveUser|renameUser|moveUserToOrgUnit|addNickname|removeNickname|moveOrgUnit|editOrgUnitName|removeOrgUnit|createOrgUnit|addGroupMember|removeGroupMember|deleteGroup|gmailResetUser|userLicense.*)$/;

const SERVICE = 'admin.googleapis.com';
const GROUPS_SERVICE = 'cloudidentity.googleapis.com';
const UPDATE_MEMBERSHIP = 'google.apps.cloudidentity.groups.v1.MembershipsService.UpdateMembership';

/** One member's coming or going, as the Enterprise Groups stream tells it. */
export interface MembershipChange {
  /** The group's address. */
  readonly group: string;
  /** `user:ADDRESS`, `group:ADDRESS` or the customer. */
  readonly member: string;
  readonly action: 'ADD' | 'REMOVE';
  readonly role: string;
}

interface AuditPayload {
  readonly serviceName: string;
  readonly methodName: string;
  readonly resourceName: string;
  readonly metadata: object;
}

export interface AuditOptions {
  /** The Cloud organization whose log the entries are in; decimal digits. */
  readonly organizationNumber: string;
  readonly customerId: string;
  /** The sink's destination, `projects/P/topics/T`; undefined: there is no sink. */
  readonly topic: string | undefined;
  /** A sink without a filter on method names. */
  readonly exportAll: boolean;
}

/** Writes one entry for each API call that changed something, and has the sink export it. */
export class AuditLog {
  readonly #context: EmulatorContext;
  readonly #publisher: Publisher;
  readonly #disturbance: Disturbance;
  readonly #activities: Activities;
  readonly #options: AuditOptions;
  /** Workspace's own number for the customer, which is not the Cloud organization's. */
  readonly #workspaceNumber: string;

  constructor(
    context: EmulatorContext,
    publisher: Publisher,
    disturbance: Disturbance,
    activities: Activities,
    options: AuditOptions,
  ) {
    this.#context = context;
    this.#publisher = publisher;
    this.#disturbance = disturbance;
    this.#activities = activities;
    this.#options = options;
    const digest = createHash('sha256').update(options.customerId).digest();
    this.#workspaceNumber = String(1_000_000_000 + (digest.readUInt32BE() % 9_000_000_000));
  }

  /** Several events of one call share one entry, which goes by the method name of the first. */
  record(caller: Caller, events: readonly AuditEvent[]): void {
    const [first] = events;
    if (first === undefined) return;
    const methodName = `google.admin.AdminService.${camelCase(first.name)}`;
    const nowMs = this.#context.clock.nowMs();
    const uniqueQualifier = newQualifier();
    this.#activities.add({
      application: 'admin',
      timeMs: nowMs,
      uniqueQualifier,
      actor: caller.email,
      events,
    });
    if (!this.#options.exportAll && !EXPORTED.test(methodName)) return;
    this.#export(camelCase(first.name), caller, nowMs, {
      serviceName: SERVICE,
      methodName,
      resourceName: `organizations/${this.#workspaceNumber}/${resourceOf(first.type)}`,
      metadata: {
        '@type': 'type.googleapis.com/ccc_hosted_reporting.ActivityProto',
        activityId: { timeUsec: `${nowMs}000`, uniqQualifier: uniqueQualifier },
        event: events.map((event) => ({
          eventType: event.type,
          eventName: event.name,
          parameter: shuffled(Object.entries(event.parameters)).map(([name, value]) => ({
            name,
            value,
            type: 'TYPE_STRING',
            label: 'LABEL_OPTIONAL',
          })),
        })),
      },
    });
  }

  /** The Enterprise Groups stream's entry for one membership: another service, another kind of metadata. */
  recordMembership(caller: Caller, change: MembershipChange): void {
    const nowMs = this.#context.clock.nowMs();
    const [kind = '', member = ''] = change.member.split(/:(.*)/s);
    this.#activities.add({
      application: 'groups_enterprise',
      timeMs: nowMs,
      uniqueQualifier: newQualifier(),
      actor: caller.email,
      events: [
        {
          type: 'moderator_action',
          name: change.action === 'ADD' ? 'add_member' : 'remove_member',
          parameters: {
            group_id: change.group,
            member_id: member,
            member_type: kind,
            ...(change.action === 'ADD' ? { member_role: change.role.toLowerCase() } : {}),
          },
        },
      ],
    });
    this.#export('UpdateMembership', caller, nowMs, {
      serviceName: GROUPS_SERVICE,
      methodName: UPDATE_MEMBERSHIP,
      resourceName: `groups/${change.group}`,
      metadata: {
        '@type': 'type.googleapis.com/google.cloud.audit.GroupAuditMetadata',
        group: `group:${change.group}`,
        membershipDelta: {
          member: change.member,
          roleDeltas: [{ action: change.action, role: change.role }],
        },
      },
    });
  }

  #export(what: string, caller: Caller, nowMs: number, payload: AuditPayload): void {
    const { topic } = this.#options;
    if (topic === undefined) return;
    const entry = this.#entry(caller, nowMs, payload);
    const data = Buffer.from(JSON.stringify(entry));
    const attributes = { 'logging.googleapis.com/timestamp': entry.timestamp };
    this.#disturbance.send(`audit entry ${what}`, () => {
      try {
        this.#publisher.publish(topic, { data, attributes });
      } catch (error) {
        if (!(error instanceof GoogleError)) throw error;
        // Cloud Logging drops what it cannot export and mails the owner of the sink; this line is that mail.
        process.stderr.write(`emulator: the log sink could not export to ${topic}: ${error.message}\n`);
      }
    });
  }

  #entry(caller: Caller, nowMs: number, payload: AuditPayload) {
    const { serviceName, methodName } = payload;
    return {
      protoPayload: {
        '@type': 'type.googleapis.com/google.cloud.audit.AuditLog',
        authenticationInfo: { principalEmail: caller.email },
        requestMetadata: { callerIp: '127.0.0.1', requestAttributes: {}, destinationAttributes: {} },
        ...payload,
      },
      insertId: randomBytes(8).readBigUInt64BE().toString(36).slice(0, 12).padStart(12, '0'),
      resource: { type: 'audited_resource', labels: { service: serviceName, method: methodName } },
      timestamp: new Date(nowMs).toISOString(),
      severity: 'NOTICE',
      logName: `organizations/${this.#options.organizationNumber}/logs/cloudaudit.googleapis.com%2Factivity`,
      receiveTimestamp: receiveTimestamp(nowMs),
    };
  }
}

const newQualifier = (): string => randomBytes(8).readBigInt64BE().toString();

/** `MOVE_USER_TO_ORG_UNIT` → `moveUserToOrgUnit`. */
function camelCase(eventName: string): string {
  return eventName.toLowerCase().replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function resourceOf(type: AuditEvent['type']): string {
  switch (type) {
    case 'USER_SETTINGS':
      return 'userSettings';
    case 'ORG_SETTINGS':
      return 'orgSettings';
    case 'GROUP_SETTINGS':
      return 'groupSettings';
    case 'DELEGATED_ADMIN_SETTINGS':
      return 'delegatedAdminSettings';
  }
}

/** Google promises no order of parameters, so there is none. */
function shuffled<T>(values: readonly T[]): readonly T[] {
  const rest = [...values];
  const result: T[] = [];
  while (rest.length > 0) result.push(...rest.splice(randomInt(rest.length), 1));
  return result;
}

/** Logging notes the arrival about a second later, in nanoseconds. */
function receiveTimestamp(nowMs: number): string {
  const received = new Date(nowMs + 500 + randomInt(1000)).toISOString().slice(0, -1);
  return `${received}${String(randomInt(1_000_000)).padStart(6, '0')}Z`;
}
