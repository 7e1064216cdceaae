import { randomInt } from 'node:crypto';

/** Pub/Sub pushes and audit log entries in the shape Google gives them. */

/** https://cloud.google.com/pubsub/docs/push#receive_push, with the keys in both spellings. */
export const push = (data: unknown, messageId = 'message-1'): string =>
  JSON.stringify({
    message: {
      attributes: { kind: 'hint' },
      data: Buffer.from(typeof data === 'string' ? data : JSON.stringify(data)).toString('base64'),
      messageId,
      message_id: messageId,
      publishTime: '2026-11-22T12:00:00.123Z',
      publish_time: '2026-11-22T12:00:00.123Z',
    },
    subscription: 'projects/acme-sealwright/subscriptions/directory-events',
    deliveryAttempt: 1,
  });

/** When what a log entry tells of happened. */
export const TIMESTAMP = '2026-11-22T11:59:59.000Z';

export interface AuditEvent {
  readonly eventName: string;
  readonly parameter?: readonly { readonly name: string; readonly value: string }[];
}

/** https://cloud.google.com/logging/docs/audit/gsuite-audit-logging */
export const logEntry = (events: readonly AuditEvent[], methodName = 'google.admin.AdminService.x') => ({
  protoPayload: {
    '@type': 'type.googleapis.com/google.cloud.audit.AuditLog',
    authenticationInfo: { principalEmail: 'admin@acme.example' },
    requestMetadata: { callerIp: '192.0.2.7' },
    serviceName: 'admin.googleapis.com',
    methodName,
    resourceName: 'organizations/123456789012/userSettings',
    metadata: {
      '@type': 'type.googleapis.com/ccc_hosted_reporting.ActivityProto',
      activityId: { timeUsec: '1795348800000000', uniqQualifier: String(randomInt(2 ** 40)) },
      event: events.map((event) => ({ eventType: 'USER_SETTINGS', ...event })),
    },
  },
  insertId: 'insert-1',
  resource: { type: 'audited_resource', labels: { service: 'admin.googleapis.com', method: methodName } },
  timestamp: TIMESTAMP,
  severity: 'NOTICE',
  logName: 'organizations/123456789012/logs/cloudaudit.googleapis.com%2Factivity',
  receiveTimestamp: '2026-11-22T12:00:00.000Z',
});

/** The Enterprise Groups stream's entry for one member, such as `user:ana@acme.example`, who came. */
export const membership = (member: string) => ({
  ...logEntry([], 'google.apps.cloudidentity.groups.v1.MembershipsService.UpdateMembership'),
  protoPayload: {
    serviceName: 'cloudidentity.googleapis.com',
    methodName: 'google.apps.cloudidentity.groups.v1.MembershipsService.UpdateMembership',
    metadata: {
      '@type': 'type.googleapis.com/google.cloud.audit.GroupAuditMetadata',
      group: 'group:pilots@acme.example',
      membershipDelta: { member, roleDeltas: [{ action: 'ADD', role: 'MEMBER' }] },
    },
  },
});

export const parameter = (name: string, value: string) => ({ name, value, type: 'TYPE_STRING' });
