import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseAuditEntry } from '../../../functions/wire/audit-entry.ts';
import { logEntry, parameter, TIMESTAMP } from '../support/pushes.ts';

const understood = (...events: Parameters<typeof logEntry>[0]) =>
  parseAuditEntry(logEntry(events), 'message-1');
const addressesOf = (...events: Parameters<typeof logEntry>[0]) =>
  understood(...events).hints.map((hint) => ('address' in hint ? hint.address : undefined));

const causeOf = (event: string) => ({
  source: 'audit',
  eventId: 'insert-1',
  event,
  actor: 'admin@acme.example',
  at: new Date(TIMESTAMP),
});

const FOLLOWED = [
  'CREATE_USER',
  'DELETE_USER',
  'UNDELETE_USER',
  'SUSPEND_USER',
  'UNSUSPEND_USER',
  'ARCHIVE_USER',
  'UNARCHIVE_USER',
  'RENAME_USER',
  'MOVE_USER_TO_ORG_UNIT',
  'ADD_NICKNAME',
  'REMOVE_NICKNAME',
  'GMAIL_RESET_USER',
  'USER_LICENSE_ASSIGNMENT',
  'USER_LICENSE_REVOKE',
  'ADD_GROUP_MEMBER',
  'REMOVE_GROUP_MEMBER',
  'CREATE_USER_WITH_AUTO_PROV',
  'UPDATE_AUTO_PROVISIONED_USER',
  'SUSPEND_AUTO_PROVISIONED_USER',
  'UNSUSPEND_AUTO_PROVISIONED_USER',
  'DELETE_AUTO_PROVISIONED_USER',
  'HARD_DELETED_AUTO_PROVISIONED_USER',
];

describe('an audit log entry', () => {
  test.each(FOLLOWED)('of %s names the user', (eventName) => {
    expect(understood({ eventName, parameter: [parameter('USER_EMAIL', 'Ana@Acme.Example')] })).toEqual({
      hints: [
        {
          address: 'ana@acme.example',
          cause: causeOf(eventName),
        },
      ],
      units: [],
      ignored: [],
    });
  });

  test.each([
    [
      'moved to another parent is swept below the new parent',
      'MOVE_ORG_UNIT',
      '/Contractors',
      '/Contractors',
    ],
    ['moved without saying where to is swept with everybody', 'MOVE_ORG_UNIT', undefined, '/'],
    ['renamed is swept under its new name', 'EDIT_ORG_UNIT_NAME', 'Law', '/Staff/Law'],
    ['renamed to a whole path is swept there', 'EDIT_ORG_UNIT_NAME', '/Staff/Law', '/Staff/Law'],
    ['renamed without a new name is swept with its parent', 'EDIT_ORG_UNIT_NAME', undefined, '/Staff'],
    ['removed is swept with its parent', 'REMOVE_ORG_UNIT', undefined, '/Staff'],
  ])('of a unit %s', (_what, eventName, value, orgUnitPath) => {
    const parameters = [
      ...(value === undefined ? [] : [parameter('NEW_VALUE', value)]),
      parameter('ORG_UNIT_NAME', '/Staff/Legal'),
    ];
    expect(understood({ eventName, parameter: parameters })).toEqual({
      hints: [],
      units: [
        {
          orgUnitPath,
          cause: causeOf(eventName),
        },
      ],
      ignored: [],
    });
  });

  test('of a group that was deleted has everybody compared, because it names none of its members', () => {
    const gone = { eventName: 'DELETE_GROUP', parameter: [parameter('GROUP_EMAIL', 'law@acme.example')] };
    expect(understood(gone)).toEqual({
      hints: [],
      units: [{ orgUnitPath: '/', cause: causeOf('DELETE_GROUP') }],
      ignored: [],
    });
  });

  test.each([
    ['moved is swept below its new parent', 'MOVE_ORG_UNIT', '/Contractors', '/Contractors'],
    ['moved to a parent without a path too is swept with everybody', 'MOVE_ORG_UNIT', 'Contractors', '/'],
    ['renamed is swept with everybody', 'EDIT_ORG_UNIT_NAME', 'Law', '/'],
    ['renamed to a whole path is swept there', 'EDIT_ORG_UNIT_NAME', '/Staff/Law', '/Staff/Law'],
    ['removed is swept with everybody', 'REMOVE_ORG_UNIT', undefined, '/'],
  ])('of a unit that stands there without its path and was %s', (_what, eventName, value, orgUnitPath) => {
    const parameters = [
      ...(value === undefined ? [] : [parameter('NEW_VALUE', value)]),
      parameter('ORG_UNIT_NAME', 'Legal'),
    ];
    expect(understood({ eventName, parameter: parameters })).toMatchObject({
      units: [{ orgUnitPath }],
      ignored: [],
    });
  });

  test('of a unit that names no unit is ignored', () => {
    expect(understood({ eventName: 'REMOVE_ORG_UNIT', parameter: [] })).toMatchObject({
      units: [],
      ignored: [{ event: 'REMOVE_ORG_UNIT', reason: expect.stringContaining('REMOVE_ORG_UNIT') }],
    });
  });

  test('with several events names the user of each', () => {
    const events = ['a', 'b', 'c'].map((name) => ({
      eventName: 'SUSPEND_USER',
      parameter: [parameter('USER_EMAIL', `${name}@acme.example`)],
    }));
    expect(addressesOf(...events)).toEqual(['a@acme.example', 'b@acme.example', 'c@acme.example']);
  });

  test('is read whatever the order of its parameters', () => {
    const parameters = [
      parameter('ORG_UNIT_NAME', '/'),
      parameter('NEW_VALUE', '/Staff'),
      parameter('USER_EMAIL', 'ana@acme.example'),
      parameter('EVENT_ID', 'x'),
    ];
    fc.assert(
      fc.property(fc.shuffledSubarray(parameters, { minLength: 4 }), (shuffled) => {
        expect(addressesOf({ eventName: 'MOVE_USER_TO_ORG_UNIT', parameter: shuffled })).toEqual([
          'ana@acme.example',
        ]);
      }),
    );
  });

  test('of a rename names the new address, which answers in the end, and the old one, which does so until then', () => {
    const rename = { eventName: 'RENAME_USER' };
    const before = parameter('USER_EMAIL', 'old@acme.example');
    const renamed = { ...rename, parameter: [before, parameter('NEW_VALUE', 'New@acme.example')] };
    expect(understood(renamed).hints).toEqual([
      { address: 'new@acme.example', formerAddress: 'old@acme.example', cause: causeOf('RENAME_USER') },
    ]);
    for (const parameters of [[before, parameter('NEW_VALUE', 'new')], [before]])
      expect(understood({ ...rename, parameter: parameters }).hints).toEqual([
        { address: 'old@acme.example', cause: causeOf('RENAME_USER') },
      ]);
  });

  test('of another event takes no address from NEW_VALUE', () => {
    const sent = [parameter('USER_EMAIL', 'ana@acme.example'), parameter('NEW_VALUE', 'other@acme.example')];
    expect(addressesOf({ eventName: 'ADD_NICKNAME', parameter: sent })).toEqual(['ana@acme.example']);
  });

  test('without an id of its own is known by the message', () => {
    const { insertId: _, ...entry } = logEntry([
      { eventName: 'CREATE_USER', parameter: [parameter('USER_EMAIL', 'ana@acme.example')] },
    ]);
    expect(parseAuditEntry(entry, 'message-7').hints[0]?.cause.eventId).toBe('message-7');
  });

  test.each([
    [
      'an event this product does not follow',
      'CHANGE_PASSWORD',
      [parameter('USER_EMAIL', 'ana@acme.example')],
    ],
    ['an event without parameters', 'CREATE_USER', []],
    ['an event about no user', 'CREATE_USER', [parameter('USER_EMAIL', 'no address')]],
    [
      'an event called like a property of every object',
      'constructor',
      [parameter('USER_EMAIL', 'ana@acme.example')],
    ],
  ])('with %s says so and names nobody', (_what, eventName, sent) => {
    expect(understood({ eventName, parameter: sent })).toEqual({
      hints: [],
      units: [],
      ignored: [{ event: eventName, reason: `Event ${eventName} names no user this product follows.` }],
    });
  });

  test('without events says which method it is about', () => {
    expect(parseAuditEntry(logEntry([], 'google.login.LoginService.loginSuccess'), 'message-1')).toEqual({
      hints: [],
      units: [],
      ignored: [
        {
          event: 'google.login.LoginService.loginSuccess',
          reason: 'Method google.login.LoginService.loginSuccess carries no events.',
        },
      ],
    });
    expect(parseAuditEntry({ protoPayload: {} }, 'message-1').ignored).toEqual([
      { event: 'without a name', reason: 'Method without a name carries no events.' },
    ]);
  });

  test('with one event it follows and one it does not names one and says the other', () => {
    const result = understood(
      { eventName: 'CHANGE_PASSWORD', parameter: [parameter('USER_EMAIL', 'b@acme.example')] },
      { eventName: 'CREATE_USER', parameter: [parameter('USER_EMAIL', 'ana@acme.example')] },
    );
    expect(result.hints).toHaveLength(1);
    expect(result.ignored).toHaveLength(1);
  });
});

describe('an entry of the Enterprise Groups stream', () => {
  const entry = (member: unknown) => ({
    insertId: 'insert-2',
    protoPayload: {
      serviceName: 'cloudidentity.googleapis.com',
      methodName: 'google.apps.cloudidentity.groups.v1.MembershipsService.UpdateMembership',
      authenticationInfo: { principalEmail: 'owner@acme.example' },
      metadata: {
        '@type': 'type.googleapis.com/google.cloud.audit.GroupAuditMetadata',
        group: 'group:pilots@acme.example',
        membershipDelta: { member, roleDeltas: [{ action: 'REMOVE', role: 'MEMBER' }] },
      },
    },
  });
  const cause = {
    source: 'audit',
    eventId: 'insert-2',
    event: 'UpdateMembership',
    actor: 'owner@acme.example',
  };

  test('names the user who came or went', () => {
    expect(parseAuditEntry(entry('user:Ana@Acme.Example'), 'message-1')).toEqual({
      hints: [{ address: 'ana@acme.example', cause }],
      units: [],
      ignored: [],
    });
  });

  test.each(['group:inner@acme.example', 'customer:C00sample'])('of %s has everybody compared', (member) => {
    expect(parseAuditEntry(entry(member), 'message-1')).toEqual({
      hints: [],
      units: [{ orgUnitPath: '/', cause }],
      ignored: [],
    });
  });

  test.each([['serviceAccount:x@y.example'], ['user:'], [7], [undefined]])('of %j is ignored', (member) => {
    expect(parseAuditEntry(entry(member), 'message-1')).toMatchObject({
      hints: [],
      units: [],
      ignored: [{ event: 'UpdateMembership', reason: expect.any(String) }],
    });
  });
});
