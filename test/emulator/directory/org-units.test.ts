import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import {
  type Company,
  company,
  type GoogleDirectory,
  newcomer,
  quiet,
  receiver,
  refusalOf,
} from './company.ts';

const CUSTOMER = { customerId: 'my_customer' };

let acme: Company;
let api: GoogleDirectory;

beforeEach(async () => {
  acme = await company();
  api = acme.client();
});
afterEach(() => acme[Symbol.asyncDispose]());

const unit = async (orgUnitPath: string) => (await api.orgunits.get({ ...CUSTOMER, orgUnitPath })).data;

describe('orgunits.insert', () => {
  it('makes a unit below a parent named by path', async () => {
    const requestBody = { name: 'Ink', description: 'pens', parentOrgUnitPath: '/Staff/Design' };
    const { data } = await api.orgunits.insert({ ...CUSTOMER, requestBody });
    expect(data).toMatchObject({
      kind: 'admin#directory#orgUnit',
      name: 'Ink',
      description: 'pens',
      orgUnitPath: '/Staff/Design/Ink',
      orgUnitId: expect.stringMatching(/^id:03ph8a2z\w+$/),
      parentOrgUnitPath: '/Staff/Design',
      parentOrgUnitId: (await unit('Staff/Design')).orgUnitId,
    });
    expect(await unit('Staff/Design/Ink')).toEqual(data);
  });

  it('makes a unit below a parent named by id', async () => {
    const { orgUnitId } = await unit('Staff');
    const requestBody = { name: 'Legal', parentOrgUnitId: orgUnitId ?? '' };
    const { data } = await api.orgunits.insert({ customerId: 'C00sample', requestBody });
    expect(data.orgUnitPath).toBe('/Staff/Legal');
  });

  test.each([
    [
      'a sibling’s name in another case',
      { name: 'DESIGN', parentOrgUnitPath: '/Staff' },
      400,
      'Invalid Ou Id',
    ],
    ['an unknown parent', { name: 'X', parentOrgUnitPath: '/Nowhere' }, 400, 'Invalid Parent Orgunit Id'],
    ['an unknown parent id', { name: 'X', parentOrgUnitId: 'id:none' }, 400, 'Invalid Parent Orgunit Id'],
    ['no parent', { name: 'X' }, 400, 'Required parameter: parentOrgUnitPath or parentOrgUnitId'],
    ['no name', { parentOrgUnitPath: '/' }, 400, 'Required parameter: name'],
    ['a slash in the name', { name: 'A/B', parentOrgUnitPath: '/' }, 400, 'Invalid Input: name'],
    [
      'an unknown field',
      { name: 'X', parentOrgUnitPath: '/', colour: 'red' },
      400,
      'Invalid JSON payload received. Unknown name "colour": Cannot find field.',
    ],
  ])('refuses %s', async (_, requestBody, status, message) => {
    expect(await refusalOf(api.orgunits.insert({ ...CUSTOMER, requestBody }))).toMatchObject({
      status,
      message,
    });
  });

  it('refuses a parent whose id and path differ', async () => {
    const { orgUnitId } = await unit('Staff');
    const requestBody = { name: 'X', parentOrgUnitId: orgUnitId ?? '', parentOrgUnitPath: '/Contractors' };
    const refusal = await refusalOf(api.orgunits.insert({ ...CUSTOMER, requestBody }));
    expect(refusal.message).toMatch(/^Invalid Input: Inconsistent Orgunit id and path in request/);
  });

  it('refuses another customer', async () => {
    const requestBody = { name: 'X', parentOrgUnitPath: '/' };
    const refusal = await refusalOf(api.orgunits.insert({ customerId: 'C00other', requestBody }));
    expect(refusal).toMatchObject({ status: 400, message: 'Invalid Customer Id' });
  });

  it('goes 35 levels deep and no deeper', async () => {
    const names = (count: number) => Array.from({ length: count }, (_, n) => `L${n + 1}`);
    const path = (count: number) => `/${names(count).join('/')}`;
    acme.room.seedTenant({ orgUnits: [path(34)] });
    const insert = (parentOrgUnitPath: string, name: string) =>
      api.orgunits.insert({ ...CUSTOMER, requestBody: { name, parentOrgUnitPath } });
    expect((await insert(path(34), 'L35')).data.orgUnitPath).toBe(path(35));
    expect((await refusalOf(insert(path(35), 'L36'))).status).toBe(400);
  });
});

describe('orgunits.get', () => {
  it('finds a unit by path with slashes, whatever the case, and by id', async () => {
    const design = await unit('Staff/Design');
    expect(await unit('staff/DESIGN')).toEqual(design);
    expect(await unit(design.orgUnitId ?? '')).toEqual(design);
  });

  it('knows the root by id, without a parent', async () => {
    const { parentOrgUnitId } = await unit('Staff');
    const root = await unit(parentOrgUnitId ?? '');
    expect(root).toMatchObject({ orgUnitPath: '/', name: 'acme.example' });
    expect(root).not.toHaveProperty('parentOrgUnitId');
  });

  it('decodes names that need it', async () => {
    acme.room.seedTenant({ orgUnits: ['/R&D + Übung'] });
    expect((await unit('R&D + Übung')).name).toBe('R&D + Übung');
  });

  it('answers 404 for what is not there', async () => {
    expect(await refusalOf(unit('Staff/Nowhere'))).toMatchObject({
      status: 404,
      reason: 'notFound',
      message: 'Org unit not found',
    });
  });
});

describe('orgunits.list', () => {
  const list = async (parameters: object) =>
    ((await api.orgunits.list({ ...CUSTOMER, ...parameters })).data.organizationUnits ?? []).map(
      (entry) => entry.orgUnitPath,
    );

  test.each([
    ['the children of the root', {}, ['/Staff', '/Contractors']],
    ['everything', { type: 'all' }, ['/Staff', '/Staff/Design', '/Contractors']],
    ['the children of a unit', { orgUnitPath: '/Staff' }, ['/Staff/Design']],
    [
      'a unit with all below it',
      { orgUnitPath: 'Staff', type: 'allIncludingParent' },
      ['/Staff', '/Staff/Design'],
    ],
    ['nothing below a leaf', { orgUnitPath: '/Staff/Design', type: 'all' }, []],
  ])('lists %s', async (_, parameters, expected) => {
    expect(await list(parameters)).toEqual(expected);
  });

  it('leaves out an empty list', async () => {
    const { data } = await api.orgunits.list({ ...CUSTOMER, orgUnitPath: '/Contractors' });
    expect(Object.keys(data).toSorted()).toEqual(['etag', 'kind']);
  });

  it('refuses an unknown type and an unknown unit', async () => {
    expect((await refusalOf(list({ type: 'some' }))).reason).toBe('invalidParameter');
    expect((await refusalOf(list({ orgUnitPath: '/Nowhere' }))).status).toBe(404);
  });
});

describe.each(['patch', 'update'] as const)('orgunits.%s', (method) => {
  const change = async (orgUnitPath: string, requestBody: object) =>
    (await api.orgunits[method]({ ...CUSTOMER, orgUnitPath, requestBody })).data;

  it('renames a unit and with it the path of everybody below, telling no channel', async () => {
    await using hook = await receiver();
    await api.users.watch({
      customer: 'my_customer',
      requestBody: { id: 'c1', type: 'web_hook', address: hook.url },
    });
    const { orgUnitId } = await unit('Staff');
    const after = await change('Staff', { name: 'Crew' });
    expect(after).toMatchObject({ orgUnitId, orgUnitPath: '/Crew' });
    expect((await api.users.get({ userKey: 'ann@acme.example' })).data.orgUnitPath).toBe('/Crew/Design');
    await quiet(acme.room);
    expect(hook.received.map(({ headers }) => headers['x-goog-resource-state'])).toEqual(['sync']);
  });

  it('moves a unit with everything below it', async () => {
    await change('Staff', { parentOrgUnitPath: '/Contractors' });
    expect((await unit('Contractors/Staff/Design')).orgUnitPath).toBe('/Contractors/Staff/Design');
    expect(acme.room.byAddress('ann@acme.example')?.orgUnitPath).toBe('/Contractors/Staff/Design');
  });

  it('changes the case of a name', async () => {
    expect((await change('Staff', { name: 'STAFF' })).orgUnitPath).toBe('/STAFF');
  });

  it('takes a whole resource back unchanged', async () => {
    const before = await unit('Staff/Design');
    expect(await change('Staff/Design', before)).toEqual(before);
  });

  test.each([
    ['a name a sibling has', 'Staff', { name: 'contractors' }],
    ['itself as parent', 'Staff', { parentOrgUnitPath: '/Staff' }],
    ['a unit below itself as parent', 'Staff', { parentOrgUnitPath: '/Staff/Design' }],
    ['an unknown parent', 'Staff', { parentOrgUnitPath: '/Nowhere' }],
    ['another id', 'Staff', { orgUnitId: 'id:other' }],
    ['an unknown field', 'Staff', { colour: 'red' }],
  ])('refuses %s', async (_, orgUnitPath, body) => {
    expect((await refusalOf(change(orgUnitPath, body))).status).toBe(400);
    expect((await unit('Staff/Design')).orgUnitPath).toBe('/Staff/Design');
  });

  it('refuses to change the root', async () => {
    const { parentOrgUnitId } = await unit('Staff');
    expect((await refusalOf(change(parentOrgUnitId ?? '', { name: 'X' }))).message).toBe('Invalid Ou Id');
  });

  it('refuses a move that would go below the 35th level', async () => {
    const deep = `/${Array.from({ length: 34 }, (_, n) => `L${n + 1}`).join('/')}`;
    acme.room.seedTenant({ orgUnits: [deep] });
    expect((await refusalOf(change('Staff', { parentOrgUnitPath: deep }))).status).toBe(400);
  });
});

describe('orgunits.delete', () => {
  it('removes an empty unit', async () => {
    await api.users.delete({ userKey: 'bob@acme.example' });
    const { status } = await api.orgunits.delete({ ...CUSTOMER, orgUnitPath: 'Contractors' });
    expect(status).toBe(204);
    expect((await refusalOf(unit('Contractors'))).status).toBe(404);
  });

  it('lets a deleted user of that unit come back elsewhere', async () => {
    const id = acme.room.byAddress('bob@acme.example')?.id ?? '';
    await api.users.delete({ userKey: id });
    await api.orgunits.delete({ ...CUSTOMER, orgUnitPath: 'Contractors' });
    expect(acme.room.deletedByAddress('bob@acme.example')?.orgUnitPath).toBe('/');
    await api.users.undelete({ userKey: id, requestBody: { orgUnitPath: '/Staff' } });
    expect(acme.room.byId(id)?.orgUnitPath).toBe('/Staff');
  });

  test.each([
    ['with users in it', 'Staff/Design'],
    ['with units in it', 'Staff'],
  ])('refuses a unit %s', async (_, orgUnitPath) => {
    const refusal = await refusalOf(api.orgunits.delete({ ...CUSTOMER, orgUnitPath }));
    expect(refusal).toMatchObject({ status: 412, reason: 'conditionNotMet' });
  });

  it('refuses the root', async () => {
    const { parentOrgUnitId } = await unit('Staff');
    const call = api.orgunits.delete({ ...CUSTOMER, orgUnitPath: parentOrgUnitId ?? '' });
    expect((await refusalOf(call)).status).toBe(400);
  });
});

describe('users.aliases', () => {
  const ann = { userKey: 'ann@acme.example' };

  it('are listed, added and removed', async () => {
    const { data } = await api.users.aliases.insert({ ...ann, requestBody: { alias: 'Annie@acme.example' } });
    expect(data).toMatchObject({
      kind: 'admin#directory#alias',
      alias: 'annie@acme.example',
      primaryEmail: 'ann@acme.example',
      id: acme.room.byAddress('ann@acme.example')?.id,
    });
    const listed = await api.users.aliases.list({ userKey: 'annie@acme.example' });
    expect(listed.data.kind).toBe('admin#directory#aliases');
    expect(listed.data.aliases?.map((entry) => entry.alias)).toEqual([
      'a.archer@acme.example',
      'annie@acme.example',
    ]);
    const removed = await api.users.aliases.delete({ ...ann, alias: 'annie@acme.example' });
    expect(removed.status).toBe(204);
    expect(acme.room.byAddress('annie@acme.example')).toBeUndefined();
  });

  it('are left out of the answer when there are none', async () => {
    const { data } = await api.users.aliases.list({ userKey: 'bob@acme.example' });
    expect(data).not.toHaveProperty('aliases');
  });

  it('tell no channel, as they have a watch of their own', async () => {
    await using hook = await receiver();
    const requestBody = { id: 'c1', type: 'web_hook', address: hook.url };
    await api.users.watch({ customer: 'my_customer', requestBody });
    await api.users.aliases.insert({ ...ann, requestBody: { alias: 'annie@acme.example' } });
    await quiet(acme.room);
    expect(hook.received).toHaveLength(1);
  });

  test.each([
    ['somebody’s address', 'bob@acme.example', 409, 'duplicate'],
    ['an alias it has already', 'a.archer@acme.example', 409, 'duplicate'],
    ['a foreign domain', 'ann@other.example', 404, 'notFound'],
    ['no address', 'annie', 400, 'invalid'],
  ])('refuse %s', async (_, alias, status, reason) => {
    const refusal = await refusalOf(api.users.aliases.insert({ ...ann, requestBody: { alias } }));
    expect(refusal).toMatchObject({ status, reason });
  });

  it('end at thirty', async () => {
    for (let n = 0; n < 29; n += 1) {
      await api.users.aliases.insert({ ...ann, requestBody: { alias: `ann${n}@acme.example` } });
    }
    const onceMore = api.users.aliases.insert({ ...ann, requestBody: { alias: 'ann29@acme.example' } });
    expect(await refusalOf(onceMore)).toMatchObject({ status: 412, reason: 'limitExceeded' });
  });

  it('cannot be removed when the user does not have them', async () => {
    for (const alias of ['bob@acme.example', 'ann@acme.example', 'x@acme.example']) {
      expect(await refusalOf(api.users.aliases.delete({ ...ann, alias }))).toMatchObject({
        status: 400,
        message: 'Invalid Input: resource',
      });
    }
  });

  it('are refused for somebody who is not there', async () => {
    const nobody = { userKey: 'nobody@acme.example' };
    expect((await refusalOf(api.users.aliases.list(nobody))).status).toBe(404);
    const insert = api.users.aliases.insert({ ...nobody, requestBody: { alias: 'x@acme.example' } });
    expect((await refusalOf(insert)).status).toBe(404);
  });

  it('can be given to a newcomer once removed', async () => {
    await api.users.aliases.delete({ ...ann, alias: 'a.archer@acme.example' });
    expect((await api.users.insert(newcomer('a.archer@acme.example'))).status).toBe(200);
  });
});
