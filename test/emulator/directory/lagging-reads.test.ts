import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Company, company, type GoogleDirectory, newcomer, refusalOf } from './company.ts';

let acme: Company;
let api: GoogleDirectory;

beforeEach(async () => {
  acme = await company();
  api = acme.client();
  acme.faults.apply({ directory: { readsLagMs: 60_000 } });
});
afterEach(() => acme[Symbol.asyncDispose]());

const idOf = async (userKey: string) => (await api.users.get({ userKey })).data.id ?? '';
const statusOf = async (userKey: string) =>
  await api.users.get({ userKey }).then(
    ({ status }) => status,
    async () => (await refusalOf(api.users.get({ userKey }))).status,
  );
const listed = async (parameters: object = {}) =>
  (await api.users.list({ customer: 'my_customer', ...parameters })).data.users?.map(
    ({ primaryEmail }) => primaryEmail,
  ) ?? [];
const rename = async (userKey: string, primaryEmail: string) =>
  await api.users.patch({ userKey, requestBody: { primaryEmail } });

describe('reads that lag', () => {
  it('show a user who was just created neither by id, nor by address, nor in the list', async () => {
    const { data } = await api.users.insert(newcomer('eve@acme.example'));
    const everything = async () => [
      await statusOf(data.id ?? ''),
      await statusOf('eve@acme.example'),
      (await listed()).includes('eve@acme.example'),
    ];
    acme.clock.advance(50_000);
    expect(await everything()).toEqual([404, 404, false]);
    acme.clock.advance(10_000);
    expect(await everything()).toEqual([200, 200, true]);
  });

  it('show a renamed user under the address from before, in the list at its place', async () => {
    const id = await idOf('ann@acme.example');
    await rename(id, 'zoe@acme.example');
    expect((await api.users.get({ userKey: id })).data).toMatchObject({
      primaryEmail: 'ann@acme.example',
      aliases: ['a.archer@acme.example'],
    });
    expect(await statusOf('ann@acme.example')).toBe(200);
    expect(await statusOf('zoe@acme.example')).toBe(404);
    expect(await listed()).toEqual(['admin@acme.example', 'ann@acme.example', 'bob@acme.example']);
    acme.clock.advance(60_000);
    expect((await api.users.get({ userKey: id })).data).toMatchObject({
      primaryEmail: 'zoe@acme.example',
      aliases: ['ann@acme.example', 'a.archer@acme.example'],
    });
    expect(await listed()).toEqual(['admin@acme.example', 'bob@acme.example', 'zoe@acme.example']);
  });

  it('begin anew with a second rename and show what stood before the first', async () => {
    const id = await idOf('ann@acme.example');
    await rename(id, 'anna@acme.example');
    acme.clock.advance(30_000);
    await rename(id, 'anne@acme.example');
    acme.clock.advance(50_000);
    expect((await api.users.get({ userKey: id })).data.primaryEmail).toBe('ann@acme.example');
    acme.clock.advance(10_000);
    expect((await api.users.get({ userKey: id })).data.primaryEmail).toBe('anne@acme.example');
  });

  it('show an undeleted user among the deleted still', async () => {
    const id = await idOf('bob@acme.example');
    await api.users.delete({ userKey: id });
    acme.clock.advance(60_000);
    expect(await listed({ showDeleted: 'true' })).toEqual(['bob@acme.example']);
    await api.users.undelete({ userKey: id, requestBody: {} });
    const everything = async () => [
      await statusOf(id),
      (await listed()).includes('bob@acme.example'),
      await listed({ showDeleted: 'true' }),
    ];
    expect(await everything()).toEqual([404, false, ['bob@acme.example']]);
    acme.clock.advance(60_000);
    expect(await everything()).toEqual([200, true, []]);
  });

  it('show nobody who was deleted before they came to be seen, and then only among the deleted', async () => {
    const { data } = await api.users.insert(newcomer('eve@acme.example'));
    await api.users.delete({ userKey: data.id ?? '' });
    expect(await statusOf(data.id ?? '')).toBe(404);
    expect(await listed({ showDeleted: 'true' })).toEqual([]);
    acme.clock.advance(60_000);
    expect(await statusOf(data.id ?? '')).toBe(404);
    expect(await listed({ showDeleted: 'true' })).toEqual(['eve@acme.example']);
  });

  it('show a deleted user among the living still', async () => {
    const id = await idOf('bob@acme.example');
    await api.users.delete({ userKey: id });
    expect(await statusOf('bob@acme.example')).toBe(200);
    expect(await listed()).toContain('bob@acme.example');
    expect(await listed({ showDeleted: 'true' })).toEqual([]);
    acme.clock.advance(60_000);
    expect(await statusOf(id)).toBe(404);
    expect(await listed()).not.toContain('bob@acme.example');
    expect(await listed({ showDeleted: 'true' })).toEqual(['bob@acme.example']);
  });

  it('show a user who was suspended, moved and given an alias as they were', async () => {
    const id = await idOf('bob@acme.example');
    const seen = async () => {
      const { suspended, aliases, isAdmin } = (await api.users.get({ userKey: id })).data;
      return { suspended, aliases, isAdmin };
    };
    const before = await seen();
    await api.users.patch({ userKey: id, requestBody: { suspended: true } });
    await api.users.aliases.insert({ userKey: id, requestBody: { alias: 'rob@acme.example' } });
    await api.users.makeAdmin({ userKey: id, requestBody: { status: true } });
    expect(await seen()).toEqual(before);
    expect(await statusOf('rob@acme.example')).toBe(404);
    acme.clock.advance(60_000);
    expect(await seen()).toEqual({ suspended: true, aliases: ['rob@acme.example'], isAdmin: true });
    await api.users.aliases.delete({ userKey: id, alias: 'rob@acme.example' });
    expect((await seen()).aliases).toEqual(['rob@acme.example']);
    acme.clock.advance(60_000);
    expect((await seen()).aliases ?? []).toEqual([]);
  });

  it('hold for what happens while the fault is on', async () => {
    acme.faults.apply({ reset: true });
    await api.users.patch({ userKey: 'bob@acme.example', requestBody: { suspended: true } });
    expect((await api.users.get({ userKey: 'bob@acme.example' })).data.suspended).toBe(true);
    await api.users.insert(newcomer('eve@acme.example'));
    expect(await statusOf('eve@acme.example')).toBe(200);
  });

  it('keep nobody from writing: an address that is taken is taken', async () => {
    await api.users.insert(newcomer('eve@acme.example'));
    expect((await refusalOf(api.users.insert(newcomer('eve@acme.example')))).status).toBe(409);
    expect((await rename('eve@acme.example', 'eva@acme.example')).status).toBe(200);
    expect(await statusOf('eva@acme.example')).toBe(404);
  });
});
