/** What the directory's and Gmail's adapters spend of their quotas, counted against what the emulator was asked. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DIRECTORY_SCOPES, googleDirectory } from '../../shared/adapters/directory/google-directory.ts';
import { GMAIL_SCOPES, googleGmail } from '../../shared/adapters/gmail/google-gmail.ts';
import { delegatedCredentials } from '../../shared/adapters/google/delegated-credentials.ts';
import { googlePace, type Pace } from '../../shared/adapters/google/pace.ts';
import { isSealwrightError } from '../../shared/errors.ts';
import type { Directory } from '../../shared/ports/directory.ts';
import type { Gmail } from '../../shared/ports/gmail.ts';
import { type Company, DIRECTORY_ACCOUNT, GMAIL_ACCOUNT, openCompany } from './emulator-company.ts';
import { failureOf, memoryPaces, recordingPace } from './world.ts';

const ANA = 'ana@acme.example';
const BEN = 'ben@acme.example';
const NOBODY = 'nobody@acme.example';

let company: Company;
let directoryOf: (pace: Pace) => Directory;
let gmailOf: (pace: Pace) => Gmail;
let ana: string;

beforeAll(async () => {
  company = await openCompany();
  company.directory.seedTenant({
    orgUnits: ['/Staff'],
    users: [ANA, BEN].map((primaryEmail) => ({
      primaryEmail,
      givenName: 'Ana',
      familyName: 'Smith',
      orgUnitPath: '/Staff',
    })),
  });
  ana = company.directory.byAddress(ANA)?.id ?? '';
  const { endpoints, retry } = company;
  const own = company.own();
  const acting = (signerEmail: string, scopes: readonly string[]) =>
    delegatedCredentials({ signerEmail, scopes, own, retry, endpoints });
  const bearer = acting(DIRECTORY_ACCOUNT, DIRECTORY_SCOPES).forAccount();
  const credentials = acting(GMAIL_ACCOUNT, GMAIL_SCOPES);
  directoryOf = (pace) => googleDirectory({ bearer, endpoints, retry, pace });
  gmailOf = (pace) => googleGmail({ credentials, endpoints, retry, pace });
});
beforeEach(() => company.faults.apply({ reset: true }));
afterAll(() => company.close());

/** What the emulator was asked of one API while this ran; being refused is no matter here. */
async function askedOf(api: string, run: () => Promise<unknown>): Promise<readonly string[]> {
  const before = company.calls.last;
  await run().catch((error: unknown) => {
    if (!isSealwrightError(error)) throw error;
  });
  return company.calls
    .since(before)
    .filter(({ method }) => method.startsWith(`${api}.`))
    .map(({ method }) => method);
}

const all = async (values: AsyncIterable<unknown>) => {
  for await (const _ of values);
};

/** One use of each method of a port, so that a new one has to come here. */
type Uses<Port> = Readonly<Record<keyof Port, (port: Port) => Promise<unknown>>>;

const DIRECTORY_USES: Uses<Directory> = {
  presence: (directory) => directory.presence('999'),
  resolve: (directory) => directory.resolve(NOBODY),
  usersUnder: (directory) => all(directory.usersUnder('/Staff')),
  orgUnits: (directory) => directory.orgUnits({ fresh: true }),
  group: (directory) => directory.group(NOBODY),
  groups: (directory) => all(directory.groups()),
  isMember: (directory) => directory.isMember('nogroup', ana),
  membersPage: (directory) => directory.membersPage({ groupId: 'nogroup' }),
  groupMembers: (directory) => all(directory.groupMembers('nogroup')),
  livingPage: (directory) => directory.livingPage({ orgUnitPath: '/' }),
  fullPage: (directory) => directory.fullPage({ orgUnitPath: '/' }),
  deletedPage: (directory) => directory.deletedPage({}),
  watch: (directory) =>
    directory.watch({ channelId: 'paced', token: 'token', address: 'https://watch.acme.example/' }),
  stopChannel: (directory) => directory.stopChannel({ channelId: 'none', resourceId: 'none' }),
};

const DUAL = { address: ANA, use: { kind: 'dual', keypairId: 'K1' } } as const;
const GMAIL_USES: Uses<Gmail> = {
  listKeypairs: (gmail) => gmail.listKeypairs(ANA),
  listIdentities: (gmail) => gmail.listIdentities(ANA),
  createKeypair: (gmail) =>
    gmail.createKeypair(ANA, {
      pkcs7Pem: '-----BEGIN PKCS7-----',
      privateKey: { keyServiceUrl: 'https://kacls.acme.example/v1', wrappedKey: 'd3JhcHBlZA==' },
    }),
  enableKeypair: (gmail) => gmail.enableKeypair(ANA, 'K1'),
  disableKeypair: (gmail) => gmail.disableKeypair(ANA, 'K1'),
  obliterateKeypair: (gmail) => gmail.obliterateKeypair(ANA, 'K1'),
  createIdentity: (gmail) => gmail.createIdentity(ANA, DUAL),
  patchIdentity: (gmail) => gmail.patchIdentity(ANA, DUAL),
  deleteIdentity: (gmail) => gmail.deleteIdentity(ANA, ANA),
};

describe("the directory's quota", () => {
  it.each(Object.entries(DIRECTORY_USES))('is spent by every call of %s', async (_method, use) => {
    const { pace, taken } = recordingPace();
    const asked = await askedOf('directory', () => use(directoryOf(pace)));
    expect(asked.length).toBeGreaterThan(0);
    expect(taken).toEqual(asked.map(() => 1));
  });
});

describe("Gmail's quota", () => {
  const READS = /\.(list|get)$/;

  it.each(Object.entries(GMAIL_USES))('is spent by every call of %s', async (_method, use) => {
    const { pace, taken } = recordingPace();
    const asked = await askedOf('gmail', () => use(gmailOf(pace)));
    expect(asked.length).toBeGreaterThan(0);
    expect(taken).toEqual(asked.map((method) => (READS.test(method) ? 5 : 100)));
  });

  it('is spent by each attempt anew, and told of what Google said', async () => {
    const { pace, taken, told } = recordingPace();
    const method = 'gmail.users.settings.cse.keypairs.list';
    company.faults.apply({ calls: [{ method, nth: [1], status: 429, reason: 'rateLimitExceeded' }] });
    await gmailOf(pace).listKeypairs(ANA);
    expect(taken).toEqual([5, 5]);
    expect(told).toMatchObject([{ method, httpStatus: 429, reasons: ['rateLimitExceeded'] }]);
  });
});

describe('while Google counts as it does,', () => {
  beforeEach(() => company.faults.apply({ reset: true, quotas: true }));

  /** Waiting moves the emulator's clock instead of the afternoon. */
  const over = (limits: { unitsPerMinute: number; unitsPerBooking: number; hasUserQuotas?: boolean }) => {
    const nowMs = () => company.clock.nowMs();
    const waits: number[] = [];
    const ledger = memoryPaces(nowMs);
    const instance = () =>
      googlePace({
        ...limits,
        ledger,
        pace: 'quota',
        code: 'directory-unavailable',
        sleep: async (ms) => {
          waits.push(ms);
          company.clock.advance(ms);
        },
        elapsedMs: nowMs,
      });
    return { instance, waits };
  };

  it('two instances that ask the directory more than its minute allows are never refused', async () => {
    const { instance, waits } = over({ unitsPerMinute: 2_400, unitsPerBooking: 4 });
    const instances = [instance(), instance()].map(directoryOf);
    const before = company.calls.last;
    const beganMs = company.clock.nowMs();
    for (let call = 0; call < 1_300; call += 1) for (const one of instances) await one.presence(ana);
    const asked = company.calls.since(before).filter(({ method }) => method === 'directory.users.get');
    expect(asked).toHaveLength(2_600);
    expect(asked.filter(({ status }) => status !== 200)).toEqual([]);
    expect(waits.length, 'and had to wait for it').toBeGreaterThan(100);
    expect(company.clock.nowMs() - beganMs).toBeGreaterThan(60_000);
  });

  it('a mailbox that has spent its own minute is refused, and another one is served at once', async () => {
    const { instance, waits } = over({
      ...{ unitsPerMinute: 1_200_000, unitsPerBooking: 500 },
      hasUserQuotas: true,
    });
    const gmail = gmailOf(instance());
    company.clock.set(new Date(Math.ceil(company.clock.nowMs() / 60_000) * 60_000));
    // Everything else that works on Ana's mailbox within this minute.
    const authorization = `Bearer ${
      company.tokens.mint({
        kind: 'user',
        email: ANA,
        serviceAccount: GMAIL_ACCOUNT,
        scopes: [...GMAIL_SCOPES],
      }).accessToken
    }`;
    const url = `${company.endpoints.rootUrl}gmail/v1/users/me/settings/cse/keypairs/none:disable`;
    const spend = async () => {
      const response = await fetch(url, { method: 'POST', headers: { authorization } });
      await response.arrayBuffer();
    };
    await Promise.all(Array.from({ length: 1_200 }, spend));

    expect(await failureOf(gmail.listKeypairs(ANA))).toMatchObject({
      kind: 'retryable',
      code: 'gmail-unavailable',
      details: { httpStatus: 429, reason: 'rateLimitExceeded' },
    });
    expect(await gmail.listKeypairs(BEN)).toEqual([]);
    expect(waits).toEqual([]);
    company.clock.advance(60_000);
    expect(await gmail.listKeypairs(ANA)).toEqual([]);
  });
});
