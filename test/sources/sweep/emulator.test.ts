/** What a directory that misbehaves does to a sweep, over HTTP and through Google's own client. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DIRECTORY_SCOPES, googleDirectory } from '../../../shared/adapters/directory/google-directory.ts';
import { delegatedCredentials } from '../../../shared/adapters/google/delegated-credentials.ts';
import type { Directory } from '../../../shared/ports/directory.ts';
import { DIRECTORY_ACCOUNT, openCompany as openEmulator } from '../../adapters/emulator-company.ts';
import { type Company, openCompany } from './company.ts';

const PEOPLE = 1_100;
const DAY_MS = 86_400_000;

let emulator: Awaited<ReturnType<typeof openEmulator>>;
let directory: Directory;
let company: Company;

beforeAll(async () => {
  emulator = await openEmulator();
  emulator.directory.seedTenant({
    orgUnits: ['/Staff', '/Contractors'],
    users: Array.from({ length: PEOPLE }, (_, index) => ({
      primaryEmail: `user${index}@acme.example`,
      givenName: 'Ana',
      familyName: `Number ${index}`,
      orgUnitPath: '/Staff',
    })),
  });
  directory = googleDirectory({
    bearer: delegatedCredentials({
      signerEmail: DIRECTORY_ACCOUNT,
      scopes: DIRECTORY_SCOPES,
      own: emulator.own(),
      retry: emulator.retry,
      endpoints: emulator.endpoints,
    }).forAccount(),
    endpoints: emulator.endpoints,
    retry: emulator.retry,
  });
}, 60_000);
afterAll(() => emulator.close());

beforeEach(async () => {
  company = await openCompany();
  const ids = Array.from(
    { length: PEOPLE },
    (_, index) => emulator.directory.byAddress(`user${index}@acme.example`)?.id ?? '',
  );
  await company.database.query(
    `INSERT INTO users (user_id, primary_email, state, reason, since, rule_name, sighted_at)
     SELECT id, id || '@acme.example', 'ready', 'Well.', $2, 'staff', $2 FROM unnest($1::text[]) AS id`,
    [ids, company.clock.now()],
  );
  company.clock.advance(1000);
});
afterEach(async () => {
  emulator.faults.apply({ reset: true });
  await company.close();
});

const sweep = () => company.sweep({ directory });
const overview = () => company.ledger.sweepOverview();
const missing = async () =>
  (await company.database.query<{ count: number }>('SELECT count(*)::int FROM absences'))[0]?.count;
const hinder = (...calls: readonly object[]) => emulator.faults.apply({ reset: true, calls });

describe('a sweep of a directory', () => {
  it('that answers well is whole', async () => {
    expect(await sweep()).toEqual([]);
    expect((await overview()).lastWhole).toMatchObject({ living: PEOPLE, pages: 4, missing: 0 });
  });

  it('that ends a page in the middle proves nothing and makes nobody missing', async () => {
    emulator.faults.apply({ reset: true, directory: { truncatePages: 1 } });
    expect(await sweep()).toEqual([]);
    expect((await overview()).lastEnded).toMatchObject({ state: 'not-whole', living: 250 });
    expect((await overview()).lastEnded?.why).toContain('in no list of the directory');
    expect(await missing()).toBe(0);
  });

  it('that answers an empty page waits at that page, says so, and goes on from there', async () => {
    expect(await sweep()).toEqual([]);
    company.clock.advance(DAY_MS);
    emulator.faults.apply({ reset: true, directory: { emptyPages: 1 } });
    expect(await sweep()).toEqual([]);
    expect((await overview()).running?.why).toContain('holds no users');
    emulator.faults.apply({ reset: true });
    await sweep();
    expect((await overview()).lastWhole).toMatchObject({ living: PEOPLE, missing: 0, passes: 1 });
  });

  it('that throttles its second page is asked for it again', async () => {
    hinder({ method: 'directory.users.list', nth: [2], status: 403, reason: 'userRateLimitExceeded' });
    expect(await sweep()).toEqual([]);
    expect((await overview()).lastWhole).toMatchObject({ living: PEOPLE, failures: 0 });
  });

  it('that refuses us from its second page on ends, and the status says why', async () => {
    hinder({ method: 'directory.users.list', nth: [2], status: 403, reason: 'forbidden' });
    expect(await sweep()).toEqual([]);
    expect((await overview()).lastEnded).toMatchObject({ state: 'not-whole' });
    expect((await overview()).lastEnded?.why).toContain('admin role');
    expect(await missing()).toBe(0);
  });

  it('whose page token has expired meanwhile is read from its beginning', async () => {
    let pages = 0;
    const impatient: Directory = {
      ...directory,
      livingPage: async (request) => {
        pages += 1;
        if (pages === 2) emulator.clock.advance(4 * DAY_MS);
        return await directory.livingPage(request);
      },
    };
    await company.sweep({ directory: impatient });
    expect((await overview()).running).toMatchObject({ passes: 2, living: 0 });
    await sweep();
    expect((await overview()).lastWhole).toMatchObject({ living: PEOPLE, passes: 2, missing: 0 });
  });

  it('one of whose units is gone turns to the parent', async () => {
    await sweep();
    await company.ledger.requestSweep({
      scope: '/Staff/Gone',
      cause: { eventId: 'entry', event: 'EDIT_ORG_UNIT_NAME' },
    });
    await sweep();
    const ended = await company.database.query<{ scope: string; state: string; living: number }>(
      `SELECT scope, state, living FROM sweeps WHERE cause_id = 'entry' ORDER BY sweep_id`,
    );
    expect(ended).toEqual([
      { scope: '/Staff/Gone', state: 'not-whole', living: 0 },
      { scope: '/Staff', state: 'whole', living: PEOPLE },
    ]);
  });
});
