import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { ADMIN, type Company, company, type GoogleDirectory, refusalOf } from './company.ts';

let acme: Company;
let api: GoogleDirectory;

beforeEach(async () => {
  acme = await company();
  api = acme.client();
  acme.room.seedTenant({
    orgUnits: ["/Staff/Men's wear", '/StaffRoom'],
    users: [
      {
        primaryEmail: 'cyd@branch.example',
        givenName: 'Cyd',
        familyName: 'Archer',
        orgUnitPath: '/StaffRoom',
      },
      {
        primaryEmail: 'dan@acme.example',
        givenName: 'Dan Anton',
        familyName: 'Dyer',
        orgUnitPath: "/Staff/Men's wear",
        suspended: true,
      },
      { primaryEmail: 'eve@acme.example', givenName: 'Eve', familyName: 'Ames', archived: true },
    ],
  });
});
afterEach(() => acme[Symbol.asyncDispose]());

const list = async (parameters: object) =>
  ((await api.users.list({ customer: 'my_customer', ...parameters })).data.users ?? []).map(
    (user) => user.primaryEmail?.split('@')[0],
  );

describe('users.list', () => {
  it('lists the whole customer, by alias of the customer or by id, or one domain', async () => {
    const everybody = ['admin', 'ann', 'bob', 'cyd', 'dan', 'eve'];
    expect(await list({})).toEqual(everybody);
    expect(await list({ customer: 'C00sample' })).toEqual(everybody);
    expect(await list({ customer: undefined, domain: 'branch.example' })).toEqual(['cyd']);
  });

  it('answers with kind and etag, and without a users array when there is nobody', async () => {
    const { data } = await api.users.list({ customer: 'my_customer', query: 'email=nobody@acme.example' });
    expect(data).toEqual({ kind: 'admin#directory#users', etag: expect.stringMatching(/^".+"$/) });
  });

  it('honours the field mask within users', async () => {
    const { data } = await api.users.list({
      customer: 'my_customer',
      maxResults: 1,
      fields: 'nextPageToken,users(id,name/givenName)',
    });
    expect(data).toEqual({
      nextPageToken: expect.any(String),
      users: [{ id: expect.stringMatching(/^\d{21}$/), name: { givenName: 'Ada' } }],
    });
  });

  it('sorts, ignoring case, in either direction', async () => {
    const familyNames = async (sortOrder: string) => {
      const { data } = await api.users.list({ customer: 'my_customer', orderBy: 'familyName', sortOrder });
      return (data.users ?? []).map((user) => user.name?.familyName);
    };
    const ascending = ['Admin', 'Ames', 'Archer', 'Archer', 'Baker', 'Dyer'];
    expect(await familyNames('ASCENDING')).toEqual(ascending);
    expect(await familyNames('DESCENDING')).toEqual(ascending.toReversed());
  });

  test.each([
    ['neither customer nor domain', { customer: undefined }, 400, 'badRequest'],
    ['both customer and domain', { domain: 'acme.example' }, 400, 'badRequest'],
    ['another customer', { customer: 'C00other' }, 403, 'forbidden'],
    ['another domain', { customer: undefined, domain: 'other.example' }, 404, 'notFound'],
    ['maxResults 0', { maxResults: 0 }, 400, 'invalidParameter'],
    ['maxResults 501', { maxResults: 501 }, 400, 'invalidParameter'],
    ['maxResults that is no number', { maxResults: 'all' }, 400, 'invalidParameter'],
    ['an unknown order', { orderBy: 'shoeSize' }, 400, 'invalidParameter'],
    ['an unknown direction', { sortOrder: 'DOWN' }, 400, 'invalidParameter'],
    ['showDeleted that is no boolean', { showDeleted: 'maybe' }, 400, 'invalidParameter'],
    ['an unknown event', { event: 'dance' }, 400, 'invalidParameter'],
    ['a mask of unknown fields', { fields: 'users(shoeSize)' }, 400, 'invalidParameter'],
    ['a page token that is made up', { pageToken: 'AAAA' }, 400, 'invalid'],
  ])('refuses %s', async (_, parameters, status, reason) => {
    const call = api.users.list({ customer: 'my_customer', ...(parameters as object) });
    expect(await refusalOf(call)).toMatchObject({ status, reason });
  });
});

describe('the pages of users.list', () => {
  const pages = async (parameters: object) => {
    const found: (string | undefined | null)[][] = [];
    let pageToken: string | undefined;
    do {
      const { data } = await api.users.list({
        customer: 'my_customer',
        ...parameters,
        ...(pageToken === undefined ? {} : { pageToken }),
      });
      found.push((data.users ?? []).map((user) => user.primaryEmail));
      pageToken = data.nextPageToken ?? undefined;
    } while (pageToken !== undefined);
    return found;
  };

  test.each([
    [{}],
    [{ sortOrder: 'DESCENDING' }],
    [{ orderBy: 'familyName' }],
    [{ orderBy: 'givenName', sortOrder: 'DESCENDING' }],
  ])('together hold everybody once, with %o', async (parameters) => {
    const inOne = await pages(parameters);
    expect(inOne).toHaveLength(1);
    for (const maxResults of [1, 2, 4, 5]) {
      const found = await pages({ ...parameters, maxResults });
      expect(found.flat()).toEqual(inOne.flat());
      expect(found).toHaveLength(Math.ceil(6 / maxResults));
    }
  });

  it('end without a token when the last one is exactly full', async () => {
    expect(await pages({ maxResults: 3 })).toHaveLength(2);
  });

  it('default to 100 users', async () => {
    acme.room.seedTenant({
      users: Array.from({ length: 120 }, (_, n) => ({
        primaryEmail: `u${n}@acme.example`,
        givenName: 'U',
        familyName: String(n),
      })),
    });
    expect((await pages({})).map((page) => page.length)).toEqual([100, 26]);
  });

  it('go on at the right place when people leave meanwhile', async () => {
    const first = (await api.users.list({ customer: 'my_customer', maxResults: 2 })).data;
    await api.users.delete({ userKey: 'ann@acme.example' });
    const { data } = await api.users.list({
      customer: 'my_customer',
      pageToken: first.nextPageToken ?? '',
    });
    expect(data.users?.[0]?.primaryEmail).toBe('bob@acme.example');
  });

  it('refuse a token for another question', async () => {
    const { data } = await api.users.list({ customer: 'my_customer', maxResults: 2 });
    const call = api.users.list({
      customer: 'my_customer',
      query: 'isSuspended=true',
      pageToken: data.nextPageToken ?? '',
    });
    expect(await refusalOf(call)).toMatchObject({ status: 400, message: 'Invalid Input: pageToken' });
  });

  it('refuse a token after three days', async () => {
    const { data } = await api.users.list({ customer: 'my_customer', maxResults: 2 });
    const pageToken = data.nextPageToken ?? '';
    acme.clock.advance(3 * 86_400_000 - 60_000);
    expect((await acme.client().users.list({ customer: 'my_customer', pageToken })).status).toBe(200);
    acme.clock.advance(60_000);
    const late = acme.client().users.list({ customer: 'my_customer', pageToken });
    expect(await refusalOf(late)).toMatchObject({ status: 400, message: 'Invalid Input: pageToken' });
  });

  it('also page through the deleted', async () => {
    for (const name of ['ann', 'bob', 'dan']) await api.users.delete({ userKey: `${name}@acme.example` });
    expect(await pages({ showDeleted: 'true', maxResults: 2 })).toEqual([
      ['ann@acme.example', 'bob@acme.example'],
      ['dan@acme.example'],
    ]);
  });
});

describe('a search', () => {
  test.each([
    ['a unit with everything below it', "orgUnitPath='/Staff'", ['ann', 'dan']],
    ['a unit whatever its case', 'orgUnitPath=/staff/design', ['ann']],
    ['a unit with an escaped quote', "orgUnitPath='/Staff/Men\\'s wear'", ['dan']],
    ['the root', 'orgUnitPath=/', ['admin', 'ann', 'bob', 'cyd', 'dan', 'eve']],
    ['the suspended', 'isSuspended=true', ['dan']],
    ['those not archived', 'isArchived=false', ['admin', 'ann', 'bob', 'cyd', 'dan']],
    ['admins', 'isAdmin=true', ['admin']],
    ['an address', 'email=ANN@acme.example', ['ann']],
    ['an alias', 'email=a.archer@acme.example', ['ann']],
    ['the beginning of an address', 'email:a*', ['admin', 'ann']],
    ['words of an address', 'email:archer', ['ann']],
    ['a whole name', "name='Ann Archer'", ['ann']],
    ['words of a name', 'name:archer', ['ann', 'cyd']],
    ['words in their order', "name:'Anton Dyer'", ['dan']],
    ['no parts of words', 'name:arch', []],
    ['a given name by its beginning', 'givenName:Da*', ['dan']],
    ['a family name', 'familyName=ames', ['eve']],
    ['a bare word', 'archer', ['ann', 'cyd']],
    ['several clauses at once', "orgUnitPath='/Staff' isSuspended=true", ['dan']],
    ['clauses that exclude each other', "orgUnitPath='/Contractors' name:Ann", []],
  ])('finds %s', async (_, query, expected) => {
    expect(await list({ query })).toEqual(expected);
  });

  test.each([
    'shoeSize=43',
    'isSuspended=maybe',
    'isSuspended:true',
    'orgUnitPath:/Staff',
    'orgUnitPath=Staff',
    "name:'open",
    'name:Ann*',
    'email=',
    "orgUnitPath='/Staff'isSuspended=true",
  ])('is refused for %s', async (query) => {
    const refusal = await refusalOf(api.users.list({ customer: 'my_customer', query }));
    expect(refusal).toMatchObject({ status: 400, reason: 'invalid', message: 'Invalid Input: query' });
  });

  it('is refused for a unit that does not exist', async () => {
    const refusal = await refusalOf(
      api.users.list({ customer: 'my_customer', query: "orgUnitPath='/Nowhere'" }),
    );
    expect(refusal).toMatchObject({ status: 400, message: 'Invalid Input: INVALID_OU_ID' });
  });

  it('by unit needs the admin view', async () => {
    const call = api.users.list({
      customer: 'my_customer',
      viewType: 'domain_public',
      query: 'orgUnitPath=/Staff',
    });
    expect((await refusalOf(call)).status).toBe(400);
  });
});

describe('the directory faults', () => {
  const once = (parameters: object = {}) =>
    api.users.list({ customer: 'my_customer', maxResults: 4, ...parameters }).then(({ data }) => data);

  it('end a list early, as if it were whole', async () => {
    acme.faults.apply({ directory: { truncatePages: 1 } });
    const page = await once();
    expect(page.users).toHaveLength(2);
    expect(page).not.toHaveProperty('nextPageToken');
  });

  it('send pages without users that yet go on, and the list still comes to an end', async () => {
    acme.faults.apply({ directory: { emptyPages: 1 } });
    let page = await once();
    let count = 0;
    while (page.nextPageToken) {
      expect(page).not.toHaveProperty('users');
      count += 1;
      page = await once({ pageToken: page.nextPageToken });
    }
    expect(count).toBe(2);
    expect(page).not.toHaveProperty('users');
  });

  it('do nothing when they are off', async () => {
    acme.faults.apply({ directory: { truncatePages: 1, emptyPages: 1 } });
    acme.faults.apply({ reset: true });
    expect((await once()).users).toHaveLength(4);
  });
});

describe('who is who', () => {
  it('is told to the other rooms as it is now', async () => {
    expect(acme.room.byAddress('A.ARCHER@acme.example')).toEqual({
      id: expect.stringMatching(/^\d{21}$/),
      primaryEmail: 'ann@acme.example',
      aliases: ['a.archer@acme.example'],
      orgUnitPath: '/Staff/Design',
      suspended: false,
      archived: false,
      mailboxReady: true,
      superAdmin: false,
    });
    expect(acme.room.byAddress(ADMIN)?.superAdmin).toBe(true);
    expect(acme.room.byId('__proto__')).toBeUndefined();
  });
});
