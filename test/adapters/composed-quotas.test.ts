/** That what is deployed spends Google's quotas through the ledger: each function as it is composed from its settings, against the emulator. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { composeAdmin } from '../../functions/compose/admin.ts';
import { composeDirectoryEvent } from '../../functions/compose/directory-event.ts';
import { composeDue } from '../../functions/compose/due.ts';
import { composeSweep } from '../../functions/compose/sweep.ts';
import { policyText } from '../../local/policy-text.ts';
import { parseSettings } from '../../shared/config/settings.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import {
  type Company,
  DIRECTORY_ACCOUNT,
  FUNCTION,
  GMAIL_ACCOUNT,
  openCompany,
  PROJECT,
} from './emulator-company.ts';

const ANA = 'ana@acme.example';
const folder = mkdtempSync(join(tmpdir(), 'sealwright-quotas-'));
const policyFile = join(folder, 'policy.yaml');

let company: Company;
let ana: string;
let booked: Parameters<Ledger['bookPace']>[0][];
let held: string[];

/** The two calls about quotas; nothing else of a ledger is asked here. */
const ledger = {
  bookPace: async (request) => {
    booked.push(request);
    return 0;
  },
  holdPace: async (pace) => void held.push(pace),
} satisfies Pick<Ledger, 'bookPace' | 'holdPace'> as Pick<Ledger, 'bookPace' | 'holdPace'> as Ledger;

const settings = () =>
  parseSettings({
    SEALWRIGHT_PROJECT: PROJECT,
    SEALWRIGHT_GOOGLE_ROOT_URL: company.endpoints.rootUrl,
    SEALWRIGHT_SERVICE_ACCOUNT: FUNCTION,
    SEALWRIGHT_DIRECTORY_ACCOUNT: DIRECTORY_ACCOUNT,
    SEALWRIGHT_GMAIL_ACCOUNT: GMAIL_ACCOUNT,
    SEALWRIGHT_POLICY_FILE: policyFile,
    SEALWRIGHT_CALLERS: 'push@acme.example',
    SEALWRIGHT_AUDIENCE: 'https://function.acme.example',
    SEALWRIGHT_SIGN_URL: 'https://sign.acme.example/',
    SEALWRIGHT_WATCH_URL: 'https://watch.acme.example/',
    SEALWRIGHT_ADMINS: 'admin@acme.example',
    SEALWRIGHT_ADMIN_AUDIENCES: 'https://admin.acme.example',
    SEALWRIGHT_DIRECTORY_PER_MINUTE: '1200',
    SEALWRIGHT_GMAIL_UNITS_PER_MINUTE: '900000',
  });

beforeAll(async () => {
  writeFileSync(policyFile, policyText('https://kacls.acme.example/v1'));
  company = await openCompany();
  company.directory.seedTenant({
    orgUnits: ['/Staff'],
    users: [{ primaryEmail: ANA, givenName: 'Ana', familyName: 'Smith', orgUnitPath: '/Staff' }],
  });
  ana = company.directory.byAddress(ANA)?.id ?? '';
});
beforeEach(() => {
  booked = [];
  held = [];
  company.faults.apply({ reset: true });
});
afterAll(async () => {
  await company.close();
  rmSync(folder, { recursive: true, force: true });
});

const hinder = (method: string, fault: { status: number; reason: string; message?: string }) =>
  company.faults.apply({ reset: true, calls: [{ method, nth: [1], retryAfterSeconds: 0, ...fault }] });

describe('the directory, as a function is given it,', () => {
  const given = { ledger };
  const calls: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['directory-event', async () => (await composeDirectoryEvent(settings(), given)).directory.presence(ana)],
    ['sweep', async () => (await composeSweep(settings(), given)).directory.deletedPage({})],
    [
      'due',
      async () =>
        (await composeDue(settings(), given)).channels.directory.watch({
          channelId: 'channel',
          token: 'token',
          address: 'https://watch.acme.example/',
        }),
    ],
    ['admin', async () => (await composeAdmin(settings(), given)).directory.resolve(ANA)],
  ];

  test.each(calls)('is asked within the quota that all share: %s', async (_name, call) => {
    await call();
    expect(booked).toMatchObject([{ pace: 'directory', units: 2 }]);
    // A twentieth at once, the rest over a minute and the two seconds that a booking is good for.
    expect(booked[0]?.burstUnits).toBe(60);
    expect(booked[0]?.unitsPerMinute).toBeCloseTo((1_140 * 60) / 62);
  });

  test('has everybody wait where Google refuses its one account', async () => {
    const { directory } = await composeDirectoryEvent(settings(), given);
    hinder('directory.users.get', { status: 403, reason: 'userRateLimitExceeded' });
    await directory.presence(ana);
    expect(held).toEqual(['directory']);
  });
});

describe('Gmail, as directory-event is given it,', () => {
  test('is asked within the quota of units that all share', async () => {
    const { gmail } = await composeDirectoryEvent(settings(), { ledger });
    await gmail.listKeypairs(ANA);
    expect(booked).toMatchObject([{ pace: 'gmail', units: 500 }]);
    expect(booked[0]?.burstUnits).toBe(45_000);
    expect(booked[0]?.unitsPerMinute).toBeCloseTo((855_000 * 60) / 62);
  });

  test.each([
    ['nobody', "the limit is one mailbox's", 'User-rate limit exceeded.', []],
    ['everybody', "the limit is the project's", 'Rate Limit Exceeded', ['gmail']],
  ])('has %s wait where %s', async (_who, _whose, message, expected) => {
    const { gmail } = await composeDirectoryEvent(settings(), { ledger });
    hinder('gmail.users.settings.cse.keypairs.list', { status: 429, reason: 'rateLimitExceeded', message });
    await gmail.listKeypairs(ANA);
    expect(held).toEqual(expected);
  });
});
