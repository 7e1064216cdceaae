import { afterEach, beforeEach, describe, expect, it, test, vi } from 'vitest';
import { FaultSwitches } from '../../../emulator/core/faults.ts';
import { Disturbance } from '../../../emulator/directory/disturbance.ts';
import {
  ADMIN,
  type Company,
  company,
  type Exported,
  type GoogleDirectory,
  newcomer,
  quiet,
  receiver,
  TOPIC,
} from './company.ts';

let acme: Company;
let api: GoogleDirectory;

beforeEach(async () => {
  acme = await company();
  api = acme.client();
});
afterEach(() => acme[Symbol.asyncDispose]());

const methodOf = ({ entry }: Exported): string =>
  entry.protoPayload.methodName.replace('google.admin.AdminService.', '');

/** Each event with its parameters by name. */
const eventsOf = ({ entry }: Exported): Record<string, string>[] =>
  entry.protoPayload.metadata.event.map(({ eventType, eventName, parameter }) => ({
    type: eventType,
    name: eventName,
    ...Object.fromEntries(parameter.map(({ name, value }) => [name, value])),
  }));

const patch = (requestBody: object, userKey = 'ann@acme.example') =>
  api.users.patch({ userKey, requestBody });

describe('an audit entry', () => {
  it('has the shape of Workspace’s own', async () => {
    const beforeMs = acme.clock.nowMs();
    await patch({ orgUnitPath: '/Contractors' });
    const [exported] = acme.exported;
    if (exported === undefined) throw new Error('Nothing was exported.');
    const { entry } = exported;
    const method = 'google.admin.AdminService.moveUserToOrgUnit';
    expect(entry).toEqual({
      protoPayload: {
        '@type': 'type.googleapis.com/google.cloud.audit.AuditLog',
        authenticationInfo: { principalEmail: ADMIN },
        requestMetadata: { callerIp: '127.0.0.1', requestAttributes: {}, destinationAttributes: {} },
        serviceName: 'admin.googleapis.com',
        methodName: method,
        resourceName: expect.stringMatching(/^organizations\/\d{10}\/userSettings$/),
        metadata: {
          '@type': 'type.googleapis.com/ccc_hosted_reporting.ActivityProto',
          activityId: {
            timeUsec: expect.stringMatching(/^\d{16}$/),
            uniqQualifier: expect.stringMatching(/^-?\d+$/),
          },
          event: [
            {
              eventType: 'USER_SETTINGS',
              eventName: 'MOVE_USER_TO_ORG_UNIT',
              parameter: expect.arrayContaining(
                [
                  ['USER_EMAIL', 'ann@acme.example'],
                  ['ORG_UNIT_NAME', '/Staff/Design'],
                  ['NEW_VALUE', '/Contractors'],
                ].map(([name, value]) => ({ name, value, type: 'TYPE_STRING', label: 'LABEL_OPTIONAL' })),
              ),
            },
          ],
        },
      },
      insertId: expect.stringMatching(/^[0-9a-z]{12}$/),
      resource: { type: 'audited_resource', labels: { service: 'admin.googleapis.com', method } },
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      severity: 'NOTICE',
      logName: 'organizations/123456789012/logs/cloudaudit.googleapis.com%2Factivity',
      receiveTimestamp: expect.stringMatching(/\.\d{9}Z$/),
    });
    expect(exported.topic).toBe(TOPIC);
    expect(exported.attributes).toEqual({ 'logging.googleapis.com/timestamp': entry.timestamp });
    expect(Date.parse(entry.timestamp)).toBeGreaterThanOrEqual(beforeMs);
    expect(entry.protoPayload.metadata.activityId.timeUsec).toBe(`${Date.parse(entry.timestamp)}000`);
    expect(Date.parse(entry.receiveTimestamp)).toBeGreaterThan(Date.parse(entry.timestamp));
  });

  it('carries the emulator’s time', async () => {
    acme.clock.advance(400 * 86_400_000);
    await acme.client().users.delete({ userKey: 'ann@acme.example' });
    expect(Date.parse(acme.exported[0]?.entry.timestamp ?? '')).toBeGreaterThan(
      Date.now() + 399 * 86_400_000,
    );
  });

  it('has its parameters in varying order', async () => {
    for (let n = 0; n < 30; n += 1) await patch({ orgUnitPath: n % 2 === 0 ? '/Contractors' : '/Staff' });
    const orders = acme.exported.map(({ entry }) =>
      entry.protoPayload.metadata.event[0]?.parameter.map(({ name }) => name).join(),
    );
    expect(new Set(orders).size).toBeGreaterThan(1);
  });

  it('carries several events when one call changed several things', async () => {
    await patch({
      primaryEmail: 'ann.baxter@acme.example',
      orgUnitPath: '/Contractors',
      suspended: true,
      name: { familyName: 'Baxter' },
    });
    expect(acme.exported).toHaveLength(1);
    const [exported] = acme.exported;
    if (exported === undefined) throw new Error('Nothing was exported.');
    expect(methodOf(exported)).toBe('renameUser');
    expect(eventsOf(exported)).toEqual([
      {
        type: 'USER_SETTINGS',
        name: 'RENAME_USER',
        USER_EMAIL: 'ann@acme.example',
        NEW_VALUE: 'ann.baxter@acme.example',
      },
      {
        type: 'USER_SETTINGS',
        name: 'MOVE_USER_TO_ORG_UNIT',
        USER_EMAIL: 'ann.baxter@acme.example',
        ORG_UNIT_NAME: '/Staff/Design',
        NEW_VALUE: '/Contractors',
      },
      { type: 'USER_SETTINGS', name: 'SUSPEND_USER', USER_EMAIL: 'ann.baxter@acme.example' },
      {
        type: 'USER_SETTINGS',
        name: 'CHANGE_LAST_NAME',
        USER_EMAIL: 'ann.baxter@acme.example',
        OLD_VALUE: 'Archer',
        NEW_VALUE: 'Baxter',
      },
    ]);
  });

  it('comes for every change that the sink lets through', async () => {
    const { id } = (await api.users.insert(newcomer('eve@acme.example'))).data;
    const userKey = id ?? '';
    await patch({ suspended: true }, userKey);
    await patch({ suspended: false }, userKey);
    await patch({ archived: true }, userKey);
    await patch({ archived: false }, userKey);
    await patch({ primaryEmail: 'eva@acme.example' }, userKey);
    await patch({ orgUnitPath: '/Staff' }, userKey);
    await api.users.aliases.insert({ userKey, requestBody: { alias: 'e@acme.example' } });
    await api.users.aliases.delete({ userKey, alias: 'e@acme.example' });
    await api.users.delete({ userKey });
    await api.users.undelete({ userKey, requestBody: {} });
    const customerId = 'my_customer';
    await api.orgunits.insert({ customerId, requestBody: { name: 'Lab', parentOrgUnitPath: '/' } });
    await api.orgunits.patch({ customerId, orgUnitPath: 'Lab', requestBody: { name: 'Labs' } });
    await api.orgunits.patch({
      customerId,
      orgUnitPath: 'Labs',
      requestBody: { parentOrgUnitPath: '/Staff' },
    });
    await api.orgunits.delete({ customerId, orgUnitPath: 'Staff/Labs' });
    expect(acme.exported.map(methodOf)).toEqual([
      'createUser',
      'suspendUser',
      'unsuspendUser',
      'archiveUser',
      'unarchiveUser',
      'renameUser',
      'moveUserToOrgUnit',
      'addNickname',
      'removeNickname',
      'deleteUser',
      'undeleteUser',
      'createOrgUnit',
      'editOrgUnitName',
      'moveOrgUnit',
      'removeOrgUnit',
    ]);
    expect(new Set(acme.exported.map(({ entry }) => entry.insertId)).size).toBe(acme.exported.length);
    expect(acme.exported.slice(-3).flatMap(eventsOf)).toEqual([
      { type: 'ORG_SETTINGS', name: 'EDIT_ORG_UNIT_NAME', ORG_UNIT_NAME: '/Lab', NEW_VALUE: 'Labs' },
      { type: 'ORG_SETTINGS', name: 'MOVE_ORG_UNIT', ORG_UNIT_NAME: '/Labs', NEW_VALUE: '/Staff' },
      { type: 'ORG_SETTINGS', name: 'REMOVE_ORG_UNIT', ORG_UNIT_NAME: '/Staff/Labs' },
    ]);
    expect(acme.exported[7] === undefined ? [] : eventsOf(acme.exported[7])).toEqual([
      {
        type: 'USER_SETTINGS',
        name: 'ADD_NICKNAME',
        USER_EMAIL: 'eva@acme.example',
        USER_NICKNAME: 'e@acme.example',
      },
    ]);
  });

  it('names the service account that called as itself', async () => {
    const email = 'provisioning@acme-sealwright.iam.gserviceaccount.com';
    await using open = await company({ roles: { [email]: 'super-admin' } });
    await open.client({ kind: 'service-account', email }).users.delete({ userKey: 'ann@acme.example' });
    expect(open.exported[0]?.entry.protoPayload.authenticationInfo.principalEmail).toBe(email);
  });

  it('is not written for a refused call, an update that changes nothing, a read, or the seed', async () => {
    await patch({ orgUnitPath: '/Nowhere' }).catch(() => undefined);
    await patch({ suspended: false });
    await api.users.list({ customer: 'my_customer' });
    acme.room.seedTenant({
      orgUnits: ['/New'],
      users: [{ primaryEmail: 'eve@acme.example', givenName: 'Eve', familyName: 'Ames' }],
    });
    expect(acme.exported).toEqual([]);
  });
});

describe('the sink', () => {
  test.each([
    ['a first name', { name: { givenName: 'Anna' } }, 'changeFirstName'],
    ['a phone number', { phones: [{ value: '1' }] }, 'changeUserPhoneNumber'],
    ['a password', { password: 'something else' }, 'changePassword'],
  ])('keeps back a change of %s unless it exports everything', async (_, body, method) => {
    await patch(body);
    expect(acme.exported).toEqual([]);
    await using open = await company({ exportAllAuditEntries: true });
    await open.client().users.patch({ userKey: 'ann@acme.example', requestBody: body });
    expect(open.exported.map(methodOf)).toEqual([method]);
  });

  it('exports new admins only when it exports everything', async () => {
    await using open = await company({ exportAllAuditEntries: true });
    const requestBody = { status: true };
    await open.client().users.makeAdmin({ userKey: 'ann@acme.example', requestBody });
    expect(open.exported.flatMap(eventsOf)).toEqual([
      { type: 'DELEGATED_ADMIN_SETTINGS', name: 'GRANT_ADMIN_PRIVILEGE', USER_EMAIL: 'ann@acme.example' },
    ]);
  });

  it('loses entries, and the call still succeeds, when its topic is missing', async () => {
    const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    try {
      await using broken = await company({ missingTopic: true });
      const { status } = await broken.client().users.delete({ userKey: 'ann@acme.example' });
      expect(status).toBe(204);
      expect(stderr.mock.calls.map(([line]) => String(line)).join('')).toContain(TOPIC);
    } finally {
      stderr.mockRestore();
    }
  });
});

describe('the event faults', () => {
  const removeAll = async (count: number) => {
    acme.room.seedTenant({
      users: Array.from({ length: count }, (_, n) => ({
        primaryEmail: `u${n}@acme.example`,
        givenName: 'U',
        familyName: String(n),
      })),
    });
    for (let n = 0; n < count; n += 1) await api.users.delete({ userKey: `u${n}@acme.example` });
    await quiet(acme.room);
  };
  const people = () => acme.exported.flatMap(eventsOf).map((event) => event['USER_EMAIL']);
  const inOrder = (count: number) => Array.from({ length: count }, (_, n) => `u${n}@acme.example`);

  it('lose audit entries and notifications', async () => {
    await using hook = await receiver();
    const requestBody = { id: 'c1', type: 'web_hook', address: hook.url };
    await api.users.watch({ customer: 'my_customer', requestBody });
    acme.faults.apply({ events: { drop: 1 } });
    await removeAll(3);
    expect(acme.exported).toEqual([]);
    expect(hook.received).toHaveLength(1);
  });

  it('send audit entries and notifications twice, the same each time', async () => {
    await using hook = await receiver();
    const requestBody = { id: 'c1', type: 'web_hook', address: hook.url };
    await api.users.watch({ customer: 'my_customer', requestBody });
    acme.faults.apply({ events: { duplicate: 1 } });
    await removeAll(2);
    expect(acme.exported).toHaveLength(4);
    expect(acme.exported[1]).toEqual(acme.exported[0]);
    const messages = hook.received
      .slice(1)
      .map(({ headers, body }) => `${headers['x-goog-message-number']} ${body}`);
    expect(messages).toHaveLength(4);
    expect(new Set(messages).size).toBe(2);
  });

  it('hold them back to be overtaken, losing none', async () => {
    acme.faults.apply({ events: { reorder: 1 } });
    await api.users.delete({ userKey: 'ann@acme.example' });
    expect(acme.exported).toEqual([]);
    expect(acme.room.pending()).toEqual(['audit entry deleteUser, held back']);
    await removeAll(5);
    expect(people().toSorted()).toEqual(['ann@acme.example', ...inOrder(5)]);
  });

  it('delay them, and the room is busy meanwhile', async () => {
    acme.faults.apply({ events: { delayMs: 30 } });
    await api.users.delete({ userKey: 'ann@acme.example' });
    expect(acme.exported).toEqual([]);
    expect(acme.room.pending()).toEqual(['audit entry deleteUser, delayed']);
    await quiet(acme.room);
    expect(acme.exported).toHaveLength(1);
  });

  it('lose a part by their probability', async () => {
    acme.faults.apply({ seed: 3, events: { drop: 0.5 } });
    await removeAll(40);
    expect(acme.exported.length).toBeGreaterThan(5);
    expect(acme.exported.length).toBeLessThan(35);
  });

  it('end with the room', async () => {
    acme.faults.apply({ events: { delayMs: 60_000 } });
    await api.users.delete({ userKey: 'ann@acme.example' });
    acme.room.close();
    expect(acme.room.pending()).toEqual([]);
  });
});

describe('events that are shuffled', () => {
  const sent = Array.from({ length: 12 }, (_, n) => n);

  const orderFor = async (seed: number) => {
    const faults = new FaultSwitches();
    faults.apply({ seed, events: { reorder: 1 } });
    const disturbance = new Disturbance(faults);
    const delivered: number[] = [];
    await new Promise<void>((resolve) => {
      for (const n of sent) {
        disturbance.send(`event ${n}`, () => {
          delivered.push(n);
          if (delivered.length === sent.length) resolve();
        });
      }
    });
    return delivered;
  };

  it('come in another order, which the seed decides', async () => {
    const [first, again, other] = await Promise.all([orderFor(7), orderFor(7), orderFor(8)]);
    expect(first.toSorted((a, b) => a - b)).toEqual(sent);
    expect(first).not.toEqual(sent);
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
  });
});
