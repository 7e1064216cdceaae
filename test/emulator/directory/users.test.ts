import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import {
  ADMIN,
  type Company,
  company,
  type GoogleDirectory,
  newcomer,
  PASSWORD,
  refusalOf,
} from './company.ts';

let acme: Company;
let api: GoogleDirectory;

beforeEach(async () => {
  acme = await company();
  api = acme.client();
});
afterEach(() => acme[Symbol.asyncDispose]());

describe('users.insert', () => {
  it('makes an account with a 21-digit id, an etag and the time of the emulator', async () => {
    const { data, status } = await api.users.insert(newcomer('Eve@ACME.example'));
    expect(status).toBe(200);
    expect(data).toMatchObject({
      kind: 'admin#directory#user',
      primaryEmail: 'eve@acme.example',
      name: { givenName: 'New', familyName: 'Comer', fullName: 'New Comer' },
      orgUnitPath: '/',
      customerId: 'C00sample',
      suspended: false,
      archived: false,
      isAdmin: false,
      isMailboxSetup: true,
      nonEditableAliases: ['eve@acme.example.test-google-a.com'],
    });
    expect(data.id).toMatch(/^\d{21}$/);
    expect(data.etag).toMatch(/^".+"$/);
    expect(Math.abs(Date.parse(data.creationTime ?? '') - acme.clock.nowMs())).toBeLessThan(60_000);
  });

  it('leaves out what is empty and never shows a password', async () => {
    const { data } = await api.users.insert(newcomer('eve@acme.example'));
    expect(data).not.toHaveProperty('aliases');
    expect(data).not.toHaveProperty('suspensionReason');
    expect(JSON.stringify(data)).not.toContain(PASSWORD);
    expect(JSON.stringify(acme.context.state.section('directory', () => ({})))).not.toContain(PASSWORD);
  });

  it('keeps the profile fields it is given and merges the own addresses into emails', async () => {
    const phones = [{ type: 'work', value: '+1 555 0100' }];
    const emails = [{ type: 'home', address: 'eve+x@home.example' }];
    const { data } = await api.users.insert(
      newcomer('eve@acme.example', { phones, emails, recoveryEmail: 'eve+r@home.example' }),
    );
    expect(data.phones).toEqual(phones);
    expect(data.recoveryEmail).toBe('eve+r@home.example');
    expect(data.emails).toEqual([
      ...emails,
      { address: 'eve@acme.example', primary: true },
      { address: 'eve@acme.example.test-google-a.com' },
    ]);
  });

  it('takes the unit by its path without regard to case', async () => {
    const { data } = await api.users.insert(newcomer('eve@acme.example', { orgUnitPath: '/staff/design' }));
    expect(data.orgUnitPath).toBe('/Staff/Design');
  });

  it('takes hashed passwords', async () => {
    const hashed = { password: 'd'.repeat(40), hashFunction: 'SHA-1' };
    expect((await api.users.insert(newcomer('eve@acme.example', hashed))).status).toBe(200);
  });

  it('ignores output-only fields, so that a resource can be sent back', async () => {
    const { data: ann } = await api.users.get({ userKey: 'ann@acme.example' });
    const { data } = await api.users.insert(
      newcomer('eve@acme.example', { ...ann, primaryEmail: 'eve@acme.example', isAdmin: true }),
    );
    expect(data.id).not.toBe(ann.id);
    expect(data.isAdmin).toBe(false);
  });

  test.each([
    ['a taken address', newcomer('ann@acme.example'), 409, 'duplicate', 'Entity already exists.'],
    ['a taken alias', newcomer('A.Archer@acme.example'), 409, 'duplicate', 'Entity already exists.'],
    ['a foreign domain', newcomer('eve@other.example'), 404, 'notFound', 'Domain not found.'],
    ['no address', newcomer(''), 400, 'invalid', 'Invalid Input: primary_user_email'],
    [
      'a plus in the address',
      newcomer('e+e@acme.example'),
      400,
      'invalid',
      'Invalid Input: primary_user_email',
    ],
    ['two dots in a row', newcomer('e..e@acme.example'), 400, 'invalid', 'Invalid Input: primary_user_email'],
    [
      'no given name',
      newcomer('eve@acme.example', { name: { familyName: 'Comer' } }),
      400,
      'invalid',
      'Invalid Given/Family Name: GivenName',
    ],
    [
      'no family name',
      newcomer('eve@acme.example', { name: { givenName: 'Eve' } }),
      400,
      'invalid',
      'Invalid Given/Family Name: FamilyName',
    ],
    [
      'a name of 61 characters',
      newcomer('eve@acme.example', { name: { givenName: 'E'.repeat(61), familyName: 'C' } }),
      400,
      'invalid',
      'Invalid Given/Family Name: GivenName',
    ],
    [
      'a short password',
      newcomer('eve@acme.example', { password: '1234567' }),
      400,
      'invalid',
      'Invalid Password',
    ],
    [
      'a hash that is none',
      newcomer('eve@acme.example', { password: 'zz', hashFunction: 'MD5' }),
      400,
      'invalid',
      'Invalid Password',
    ],
    [
      'an unknown hash function',
      newcomer('eve@acme.example', { hashFunction: 'MD4' }),
      400,
      'invalid',
      'Invalid Input: hashFunction',
    ],
    [
      'an unknown unit',
      newcomer('eve@acme.example', { orgUnitPath: '/Nowhere' }),
      400,
      'invalid',
      'Invalid Input: INVALID_OU_ID',
    ],
    [
      'a unit without a leading slash',
      newcomer('eve@acme.example', { orgUnitPath: 'Staff' }),
      400,
      'invalid',
      'Invalid Input: INVALID_OU_ID',
    ],
    [
      'custom schemas, of which there are none',
      newcomer('eve@acme.example', { customSchemas: { hr: { grade: '7' } } }),
      400,
      'invalid',
      'Invalid Input: custom_schema',
    ],
    [
      'phones of more than 1 KB',
      newcomer('eve@acme.example', { phones: [{ value: '5'.repeat(1100) }] }),
      400,
      'invalid',
      'Invalid Input: phones',
    ],
    [
      'a recovery phone that is not E.164',
      newcomer('eve@acme.example', { recoveryPhone: '555-0100' }),
      400,
      'invalid',
      'Invalid Input: recovery_phone',
    ],
  ])('refuses %s', async (_, request, status, reason, message) => {
    expect(await refusalOf(api.users.insert(request))).toMatchObject({ status, reason, message });
  });

  it('refuses to go without a password', async () => {
    const { primaryEmail, name } = newcomer('eve@acme.example').requestBody;
    const refusal = await refusalOf(api.users.insert({ requestBody: { primaryEmail, name } }));
    expect(refusal).toMatchObject({ status: 400, reason: 'invalid', message: 'Invalid Password' });
  });

  it('refuses a field that the User message does not have', async () => {
    const request = newcomer('eve@acme.example', { nickname: 'E' } as object);
    expect(await refusalOf(api.users.insert(request))).toMatchObject({
      status: 400,
      message: `Invalid JSON payload received. Unknown name "nickname": Cannot find field.`,
    });
  });

  it('refuses a value of another type without repeating it', async () => {
    const request = newcomer('eve@acme.example', { password: 77_777_777 as unknown as string });
    const refusal = await refusalOf(api.users.insert(request));
    expect(refusal.status).toBe(400);
    expect(refusal.message).toMatch(/^Invalid value at 'password'/);
    expect(refusal.message).not.toContain('77777777');
  });

  it('refuses a query parameter it does not have', async () => {
    const response = await fetch(`${acme.root}admin/directory/v1/users?sendMail=true`, {
      method: 'POST',
      headers: { authorization: `Bearer ${acme.token()}` },
      body: JSON.stringify(newcomer('eve@acme.example').requestBody),
    });
    expect(response.status).toBe(400);
    expect(await response.text()).toContain('Cannot bind query parameter');
    expect(acme.room.byAddress('eve@acme.example')).toBeUndefined();
  });
});

describe('the mailbox of a new user', () => {
  it('is there only after the delay, by the emulated clock', async () => {
    await using slow = await company({ mailboxDelayMs: 600_000 });
    const { data } = await slow.client().users.insert(newcomer('eve@acme.example'));
    expect(data.isMailboxSetup).toBe(false);
    expect(slow.room.byAddress('eve@acme.example')?.mailboxReady).toBe(false);
    slow.clock.advance(600_000);
    const later = await slow.client().users.get({ userKey: 'eve@acme.example' });
    expect(later.data.isMailboxSetup).toBe(true);
    expect(slow.room.byAddress('eve@acme.example')?.mailboxReady).toBe(true);
  });
});

describe('users.get', () => {
  it('finds a user by id, address and alias, whatever the case', async () => {
    const { data: ann } = await api.users.get({ userKey: 'ann@acme.example' });
    for (const userKey of [ann.id ?? '', 'ANN@acme.example', 'a.archer@ACME.example']) {
      expect((await api.users.get({ userKey })).data).toEqual(ann);
    }
  });

  it('answers 404 for anybody else', async () => {
    for (const userKey of ['nobody@acme.example', '123456789012345678901', 'ann']) {
      expect(await refusalOf(api.users.get({ userKey }))).toMatchObject({
        status: 404,
        reason: 'notFound',
        message: 'Resource Not Found: userKey',
      });
    }
  });

  it('sends only the fields that are asked for', async () => {
    const ask = async (fields: string) => (await api.users.get({ userKey: 'ann@acme.example', fields })).data;
    expect(await ask('primaryEmail,name/fullName')).toEqual({
      primaryEmail: 'ann@acme.example',
      name: { fullName: 'Ann Archer' },
    });
    expect(await ask('name(givenName,familyName),emails/address')).toMatchObject({
      name: { givenName: 'Ann', familyName: 'Archer' },
      emails: [{ address: 'ann@acme.example' }, expect.anything(), expect.anything(), expect.anything()],
    });
    expect(Object.keys(await ask('*')).length).toBeGreaterThan(15);
    expect(await ask('suspensionReason')).toEqual({});
  });

  test.each(['shoeSize', 'name(', 'name/', 'id/x', 'id,', '', 'name(shoeSize)', 'id)'])(
    'refuses the field mask "%s"',
    async (fields) => {
      const url = new URL(`admin/directory/v1/users/ann@acme.example`, acme.root);
      url.searchParams.set('fields', fields);
      const response = await fetch(url, { headers: { authorization: `Bearer ${acme.token()}` } });
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({
        error: { errors: [{ reason: 'invalidParameter', location: 'fields' }] },
      });
    },
  );

  test.each([
    ['projection', { projection: 'tiny' }],
    ['viewType', { viewType: 'spy_view' }],
    ['projection without the mask it needs', { projection: 'custom' }],
    ['customFieldMask without its projection', { customFieldMask: 'hr' }],
    ['alt', { alt: 'media' }],
  ])('refuses a wrong %s', async (_, parameters) => {
    const refusal = await refusalOf(api.users.get({ userKey: 'ann@acme.example', ...parameters }));
    expect(refusal.status).toBe(400);
  });

  it('shows the public view without state and unit', async () => {
    const { data } = await api.users.get({ userKey: 'ann@acme.example', viewType: 'domain_public' });
    expect(data.name?.fullName).toBe('Ann Archer');
    expect(data).not.toHaveProperty('orgUnitPath');
    expect(data).not.toHaveProperty('suspended');
  });

  it('hides from the public view who is not in the address list', async () => {
    await api.users.patch({
      userKey: 'ann@acme.example',
      requestBody: { includeInGlobalAddressList: false },
    });
    const hidden = api.users.get({ userKey: 'ann@acme.example', viewType: 'domain_public' });
    expect((await refusalOf(hidden)).status).toBe(404);
  });
});

describe.each(['patch', 'update'] as const)('users.%s', (method) => {
  const change = async (requestBody: object, userKey = 'ann@acme.example') =>
    (await api.users[method]({ userKey, requestBody })).data;

  it('changes what is given and leaves the rest', async () => {
    const before = (await api.users.get({ userKey: 'ann@acme.example' })).data;
    const after = await change({ name: { familyName: 'Baxter' } });
    expect(after.name).toMatchObject({ givenName: 'Ann', familyName: 'Baxter', fullName: 'Ann Baxter' });
    expect(after).toMatchObject({ id: before.id, orgUnitPath: '/Staff/Design', aliases: before.aliases });
    expect(after.etag).not.toBe(before.etag);
  });

  it('renames: the id stays and the old address becomes an alias that nobody else can have', async () => {
    const before = (await api.users.get({ userKey: 'ann@acme.example' })).data;
    const after = await change({ primaryEmail: 'ann.baxter@acme.example' });
    expect(after.id).toBe(before.id);
    expect(after.aliases).toEqual(['ann@acme.example', 'a.archer@acme.example']);
    expect((await api.users.get({ userKey: 'ann@acme.example' })).data.id).toBe(before.id);
    expect((await refusalOf(api.users.insert(newcomer('ann@acme.example')))).status).toBe(409);
  });

  it('renames back to an alias', async () => {
    const after = await change({ primaryEmail: 'a.archer@acme.example' });
    expect(after.aliases).toEqual(['ann@acme.example']);
  });

  it('suspends with a reason and restores without one', async () => {
    expect(await change({ suspended: true })).toMatchObject({ suspended: true, suspensionReason: 'ADMIN' });
    const restored = await change({ suspended: false });
    expect(restored.suspended).toBe(false);
    expect(restored).not.toHaveProperty('suspensionReason');
  });

  it('archives and moves', async () => {
    const after = await change({ archived: true, orgUnitPath: '/Contractors' });
    expect(after).toMatchObject({ archived: true, orgUnitPath: '/Contractors' });
    expect(acme.room.byAddress('ann@acme.example')).toMatchObject({
      archived: true,
      orgUnitPath: '/Contractors',
    });
  });

  it('clears a field that is null', async () => {
    expect(await change({ phones: [{ value: '1' }] })).toHaveProperty('phones');
    expect(await change({ phones: null })).not.toHaveProperty('phones');
  });

  it('takes a whole resource back unchanged', async () => {
    const before = (await api.users.get({ userKey: 'ann@acme.example' })).data;
    expect(await change(before)).toEqual(before);
  });

  test.each([
    ['an address somebody has', { primaryEmail: 'bob@acme.example' }, 409, 'duplicate'],
    ['a foreign domain', { primaryEmail: 'ann@other.example' }, 404, 'notFound'],
    ['no address at all', { primaryEmail: null }, 400, 'invalid'],
    ['an unknown unit', { orgUnitPath: '/Nowhere' }, 400, 'invalid'],
    ['an empty name', { name: { givenName: '' } }, 400, 'invalid'],
    ['a cleared name', { name: { familyName: null } }, 400, 'invalid'],
    ['no name at all', { name: null }, 400, 'invalid'],
    ['a bad password', { password: 'short' }, 400, 'invalid'],
    ['an unknown field', { suspend: true }, 400, 'invalidArgument'],
    ['an unknown field of the name', { name: { nick: 'A' } }, 400, 'invalidArgument'],
    ['text for a switch', { suspended: 'yes' }, 400, 'invalidArgument'],
  ])('refuses %s and changes nothing', async (_, body, status, reason) => {
    const before = (await api.users.get({ userKey: 'ann@acme.example' })).data;
    expect(await refusalOf(change(body))).toMatchObject({ status, reason });
    expect((await api.users.get({ userKey: 'ann@acme.example' })).data).toEqual(before);
  });

  it('answers 404 for somebody who is not there', async () => {
    expect((await refusalOf(change({}, 'nobody@acme.example'))).status).toBe(404);
  });
});

describe('users.delete', () => {
  it('answers 204 and takes the user out of everything but the deleted list', async () => {
    const { id } = (await api.users.get({ userKey: 'ann@acme.example' })).data;
    const { status } = await api.users.delete({ userKey: 'ann@acme.example' });
    expect(status).toBe(204);
    expect((await refusalOf(api.users.get({ userKey: id ?? '' }))).status).toBe(404);
    const living = (await api.users.list({ customer: 'my_customer' })).data.users ?? [];
    expect(living.map((user) => user.primaryEmail)).toEqual([ADMIN, 'bob@acme.example']);
    const { data } = await api.users.list({ customer: 'my_customer', showDeleted: 'true' });
    expect(data.users).toEqual([
      { id, primaryEmail: 'ann@acme.example', deletionTime: expect.stringMatching(/Z$/) },
    ]);
    expect(acme.room.byAddress('ann@acme.example')).toBeUndefined();
    expect(acme.room.deletedByAddress('A.Archer@acme.example')?.id).toBe(id);
  });

  it('frees the address for a new user with a new id', async () => {
    const { id } = (await api.users.get({ userKey: 'ann@acme.example' })).data;
    await api.users.delete({ userKey: 'ann@acme.example' });
    const { data } = await api.users.insert(newcomer('ann@acme.example'));
    expect(data.id).not.toBe(id);
    expect(acme.room.byAddress('ann@acme.example')?.id).toBe(data.id);
  });

  it('answers 404 the second time', async () => {
    await api.users.delete({ userKey: 'ann@acme.example' });
    expect((await refusalOf(api.users.delete({ userKey: 'ann@acme.example' }))).status).toBe(404);
  });
});

describe('a deleted user', () => {
  const day = 86_400_000;

  it('stays in the deleted list for 20 days and then is gone for good', async () => {
    const { id = '' } = (await api.users.get({ userKey: 'ann@acme.example' })).data;
    await api.users.delete({ userKey: 'ann@acme.example' });
    acme.clock.advance(20 * day - 60_000);
    const listed = await acme.client().users.list({ customer: 'my_customer', showDeleted: 'true' });
    expect(listed.data.users).toHaveLength(1);
    acme.clock.advance(60_000);
    const later = acme.client();
    const gone = await later.users.list({ customer: 'my_customer', showDeleted: 'true' });
    expect(gone.data).not.toHaveProperty('users');
    const refusal = await refusalOf(later.users.undelete({ userKey: id ?? '', requestBody: {} }));
    expect(refusal.status).toBe(404);
    expect(acme.room.deletedByAddress('ann@acme.example')).toBeUndefined();
  });
});

describe('users.undelete', () => {
  let id: string;

  beforeEach(async () => {
    id = (await api.users.get({ userKey: 'ann@acme.example' })).data.id ?? '';
    await api.users.delete({ userKey: 'ann@acme.example' });
  });

  it('brings the same account back into the unit that is named', async () => {
    const { status } = await api.users.undelete({ userKey: id, requestBody: { orgUnitPath: '/Staff' } });
    expect(status).toBe(204);
    expect((await api.users.get({ userKey: 'a.archer@acme.example' })).data).toMatchObject({
      id,
      primaryEmail: 'ann@acme.example',
      orgUnitPath: '/Staff',
    });
  });

  it('puts the user into the root when no unit is named', async () => {
    await api.users.undelete({ userKey: id, requestBody: {} });
    expect(acme.room.byId(id)?.orgUnitPath).toBe('/');
  });

  it('leaves an alias with whoever took it meanwhile', async () => {
    await api.users.insert(newcomer('a.archer@acme.example'));
    await api.users.undelete({ userKey: id, requestBody: {} });
    expect(acme.room.byId(id)?.aliases).toEqual([]);
  });

  it('is refused by address', async () => {
    const refusal = await refusalOf(api.users.undelete({ userKey: 'ann@acme.example', requestBody: {} }));
    expect(refusal).toMatchObject({ status: 404, message: 'Resource Not Found: userKey' });
  });

  it('is refused when the address is taken', async () => {
    await api.users.insert(newcomer('ann@acme.example'));
    const refusal = await refusalOf(api.users.undelete({ userKey: id, requestBody: {} }));
    expect(refusal).toMatchObject({ status: 409, reason: 'duplicate' });
  });

  it('is refused for a unit that does not exist', async () => {
    const refusal = await refusalOf(
      api.users.undelete({ userKey: id, requestBody: { orgUnitPath: '/Nowhere' } }),
    );
    expect(refusal).toMatchObject({ status: 400, message: 'Invalid Input: INVALID_OU_ID' });
  });

  it('is refused for somebody who is alive', async () => {
    const bob = acme.room.byAddress('bob@acme.example')?.id ?? '';
    const refusal = await refusalOf(api.users.undelete({ userKey: bob, requestBody: {} }));
    expect(refusal).toMatchObject({ status: 412, reason: 'conditionNotMet' });
  });

  it('is refused with an unknown field', async () => {
    const requestBody = { orgUnit: '/Staff' } as object;
    expect((await refusalOf(api.users.undelete({ userKey: id, requestBody }))).status).toBe(400);
  });
});

describe('users.makeAdmin', () => {
  it('gives and takes the rights of a super admin', async () => {
    const ann = { userKey: 'ann@acme.example' };
    expect((await api.users.makeAdmin({ ...ann, requestBody: { status: true } })).status).toBe(204);
    expect((await api.users.get(ann)).data.isAdmin).toBe(true);
    expect(acme.room.byAddress('ann@acme.example')?.superAdmin).toBe(true);
    await api.users.makeAdmin({ ...ann, requestBody: { status: false } });
    expect((await api.users.get(ann)).data.isAdmin).toBe(false);
  });

  it('is refused without a status', async () => {
    const refusal = await refusalOf(api.users.makeAdmin({ userKey: 'ann@acme.example', requestBody: {} }));
    expect(refusal.status).toBe(400);
  });
});
