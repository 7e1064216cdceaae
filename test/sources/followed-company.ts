/**
 * A company as the product follows it: the directory is the emulator's, over HTTP and through Google's own client; its
 * notifications and log entries go where Google sends them, and the functions' real handlers make of them what they make.
 * What belongs to Gmail, the key service and the CA is in memory. Its clock stands still until it is moved.
 */
import { EmulatorClock } from '../../emulator/core/clock.ts';
import { createDirectoryEvent } from '../../functions/directory-event.ts';
import { createDirectoryWatch } from '../../functions/directory-watch.ts';
import { createDue } from '../../functions/due.ts';
import { createSweep } from '../../functions/sweep.ts';
import { DIRECTORY_SCOPES, googleDirectory } from '../../shared/adapters/directory/google-directory.ts';
import { googleReports, REPORTS_SCOPES } from '../../shared/adapters/reports/google-reports.ts';
import type { DeadLetter } from '../../shared/ports/dead-letters.ts';
import { testRetry } from '../adapters/world.ts';
import { ADMINS, done, openDesk } from '../cli/desk.ts';
import { company, newcomer, quiet, READER } from '../emulator/directory/company.ts';
import { serveHandler } from '../functions/support/served.ts';
import { adminOver } from '../support/admin.ts';
import {
  createWorld,
  DAY_MS,
  HOUR_MS,
  type Materials,
  MINUTE_MS,
  POLICY,
  START,
} from '../support/fakes/world.ts';
import { BEHIND_IAM, call, pushOf, tokenOf } from '../support/invocation.ts';
import { inForce } from '../support/policy.ts';

/** The organization whose log the entries are in. */
const ORGANIZATION = '123456789012';
const WATCH = 'https://watch.acme.example/';
/** Google needs two pages for so many people; most of them are nobody's business. */
const CONTRACTORS = 700;
const SCOPES = [...DIRECTORY_SCOPES, ...REPORTS_SCOPES].map((scope) =>
  scope.replace('https://www.googleapis.com/auth/', ''),
);
/** Long enough for a source to tell what it has counted. */
const BETWEEN_MESSAGES_MS = 6_000;
/** After so many refused attempts Pub/Sub sets a message aside. */
const ATTEMPTS = 10;

class StandingClock extends EmulatorClock {
  override nowMs(): number {
    return START.getTime() + this.offsetMs;
  }
}

export type FollowedCompany = Awaited<ReturnType<typeof openFollowedCompany>>;

/** Its staff are ready, half of them on the first page of the directory and half on the last. */
export async function openFollowedCompany(materials: Materials) {
  const world = await createWorld(materials);
  const acme = await company({
    clock: new StandingClock(),
    empty: true,
    roles: { [READER]: 'read-only-and-reports' },
    hostNames: { resolve: (url) => (url.href === WATCH ? new URL(watch.url) : undefined) },
  });
  const google = {
    bearer: {
      // Tokens end when the clock moves.
      accessToken: async () => acme.token({ kind: 'service-account', email: READER, scopes: SCOPES }),
      forget: () => undefined,
    },
    endpoints: { rootUrl: acme.root },
    retry: testRetry({ attempts: 2 }).settings,
  };
  const directory = googleDirectory(google);
  const { clock, ledger, bus, log } = world;
  const common = { clock, ledger, bus, log, ...BEHIND_IAM };
  const elapsedMs = () => performance.now();
  const policies = inForce(POLICY);
  const directoryEvent = createDirectoryEvent({
    ...world.deps,
    ...{ directory, policies, organization: ORGANIZATION },
    ...BEHIND_IAM,
  });
  let channelNumber = 0;
  const due = createDue({
    ...common,
    hintsPerMinute: 400,
    channels: {
      ...{ clock, directory, ledger, log, receiverUrl: WATCH },
      randomBytes: (length) => new Uint8Array(length).fill(channelNumber),
      randomId: () => {
        channelNumber += 1;
        return `channel-${channelNumber}`;
      },
    },
    reports: { clock, elapsedMs, ledger, bus, log, reports: googleReports(google), budgetMs: 60_000 },
  });
  const sweep = createSweep({
    ...{ ...common, directory, policies, elapsedMs, intervalMs: 6 * HOUR_MS },
    ...{ budgetMs: 60_000, lookByAgeMs: 7 * DAY_MS, hintsPerMinute: 400 },
  });
  const directoryWatch = createDirectoryWatch({ clock, ledger, bus, log });
  /** What can be wrong between Google and us. */
  const broken: {
    /** Notifications of the channels up to this number do not arrive, and nobody says so. */
    channels: number;
    /** Log entries are not exported. */
    sharing: boolean;
    /** Called before each run of the sweep, for faults of the first, the second page… */
    reads: () => void;
  } = { channels: 0, sharing: false, reads: () => undefined };
  const watch = await serveHandler(async (notification) => {
    const [, number] = String(notification.headers['x-goog-channel-id']).split('-');
    return Number(number) <= broken.channels ? { status: 204 } : await directoryWatch(notification);
  }, log);
  const desk = await openDesk(() => adminOver(world, { tokens: ADMINS }));

  const advance = (ms: number): void => {
    acme.clock.advance(ms);
    clock.advance(ms);
  };
  let messages = 0;
  /** What Pub/Sub has not got rid of yet, with how often it has tried. */
  let undelivered: { readonly id: string; readonly data: object; attempts: number }[] = [];
  const publish = (data: object): void => {
    messages += 1;
    undelivered.push({ id: `message-${messages}`, data, attempts: 0 });
  };
  /** Whom the push subscription's tokens are for, and whose they are. */
  let pushToken = tokenOf();
  const post = (body: object) => call(directoryEvent, '/', body, { authorization: `Bearer ${pushToken}` });
  const setAside = (id: string, data: object): DeadLetter => ({
    ...{ id, subscription: 'directory-events-push', topic: 'directory-events', attributes: {} },
    data: Buffer.from(JSON.stringify(data)),
    ...{ publishedAt: clock.now(), givenUpAt: clock.now(), deliveries: ATTEMPTS },
  });
  /** Each message once; what is refused stays, until Pub/Sub has tried often enough. */
  const deliver = async (): Promise<void> => {
    const now = undelivered;
    undelivered = [];
    for (const message of now) {
      advance(BETWEEN_MESSAGES_MS);
      message.attempts += 1;
      const ended = await post(pushOf(message.id, message.data)).catch((error: unknown) => error as Error);
      if (!(ended instanceof Error)) continue;
      if (message.attempts < ATTEMPTS) undelivered.push(message);
      else world.deadLetters.letters.push(setAside(message.id, message.data));
    }
  };
  /** Until nothing is under way but what is refused. */
  const settle = async (): Promise<void> => {
    let refused: number;
    do {
      await quiet(acme.room);
      const exported = acme.exported.splice(0);
      if (!broken.sharing) for (const { entry } of exported) publish(entry);
      for (const hint of bus.hints.splice(0)) publish({ version: 1, ...hint });
      refused = undelivered.filter(({ attempts }) => attempts > 0).length;
      await deliver();
    } while (bus.hints.length > 0 || undelivered.length > refused);
  };

  const api = () => acme.client();
  /** Somebody whom Google gives a mailbox at once. */
  const hire = async (name: string, orgUnitPath = '/Staff'): Promise<string> => {
    const primaryEmail = `${name}@acme.example`;
    const { data } = await api().users.insert(newcomer(primaryEmail, { orgUnitPath }));
    const userId = data.id ?? '';
    world.directory.put({ userId, primaryEmail });
    return userId;
  };
  const dismiss = async (name: string): Promise<void> => {
    await api().users.delete({ userKey: `${name}@acme.example` });
  };
  const comeBack = async (name: string): Promise<void> => {
    const userId = await ledger.userIdOfAddress(`${name}@acme.example`);
    await api().users.undelete({ userKey: userId ?? '', requestBody: { orgUnitPath: '/Staff' } });
  };
  const later = async (ms: number): Promise<void> => {
    advance(ms);
    await world.publishCrl();
  };
  /** A run of each schedule, and what comes of it. */
  const run = async (): Promise<void> => {
    await settle();
    await call(due);
    broken.reads();
    await call(sweep);
    await settle();
  };
  /** Done in the directory without any source's telling of it; the Reports API does so a month later. */
  const unheard = async (act: () => Promise<unknown>): Promise<void> => {
    const before = { ...broken };
    Object.assign(broken, { channels: Number.POSITIVE_INFINITY, sharing: true });
    acme.faults.apply({ reset: true, reports: { lagMs: 30 * DAY_MS } });
    await act();
    await settle();
    acme.faults.apply({ reset: true });
    Object.assign(broken, before);
  };

  acme.room.seedTenant({
    orgUnits: [],
    users: Array.from({ length: CONTRACTORS }, (_, index) => ({
      ...{ primaryEmail: `m${index}@acme.example`, givenName: 'Max', familyName: 'Miller' },
      orgUnitPath: '/Contractors',
    })),
  });
  await call(due);
  const staff = [1, 2, 3].flatMap((number) => [`a${number}`, `z${number}`]);
  for (const name of staff) await hire(name);
  await run();
  await later(HOUR_MS);

  return {
    ...{
      acme,
      world,
      directory,
      broken,
      staff,
      hire,
      dismiss,
      comeBack,
      unheard,
      api,
      later,
      run,
      settle,
      publish,
    },
    call: { directoryEvent, due, sweep, directoryWatch },
    /** Days go by, with the schedules' runs every six hours. */
    days: async (number: number): Promise<void> => {
      for (let quarter = 0; quarter < number * 4; quarter += 1) {
        await later(6 * HOUR_MS);
        await run();
      }
    },
    /** What the log sink has to bring, taken from it. */
    takeEntries: () => acme.exported.splice(0).map(({ entry }) => entry),
    /** The channels there are die. */
    killChannels: () => {
      broken.channels = channelNumber;
    },
    /** With which token Pub/Sub pushes from now on. */
    pushWith: (token: string) => {
      pushToken = token;
    },
    looks: () => log.of('look-started').length,
    standing: async (name: string): Promise<string> => {
      const userId = await ledger.userIdOfAddress(`${name}@acme.example`);
      return userId === undefined ? 'unknown' : ((await ledger.readUser(userId)).user?.state ?? 'unknown');
    },
    /** A look is asked for at each of these, by whatever. */
    askForLooks: async (names: readonly string[]): Promise<void> => {
      for (const name of names)
        publish({
          ...{ version: 1, address: `${name}@acme.example` },
          cause: { source: 'admin', eventId: 'asked', event: 'look' },
        });
      await settle();
    },
    /** Names of everybody with a revoked certificate, in the order of the alphabet. */
    revoked: async (): Promise<readonly string[]> =>
      (await ledger.users())
        .filter(({ leaves }) => leaves.some(({ revocation }) => revocation !== undefined))
        .map(({ user }) => user?.primaryEmail.split('@')[0] ?? '')
        .toSorted(),
    /** What `sealwright status` says a minute from now. */
    status: async (): Promise<string> => {
      await later(MINUTE_MS);
      await settle();
      return done(await desk.ana('status'));
    },
    /** An admin has looked at what is held, and lets it happen. */
    approveHeld: async (): Promise<void> => {
      const { sets } = JSON.parse(done(await desk.ana('held', 'list', '--json'))) as {
        readonly sets: readonly { readonly digest: string }[];
      };
      for (const { digest } of sets) done(await desk.ana('held', 'approve', digest));
      await settle();
    },
    replayDeadLetters: async (): Promise<void> => {
      done(await desk.ana('events', 'dead', 'replay', '--all'));
      for (const { data } of world.deadLetters.republished.splice(0))
        publish(JSON.parse(Buffer.from(data).toString('utf8')) as object);
      await settle();
    },
    close: async (): Promise<void> => {
      await desk.close();
      await watch.close();
      await acme[Symbol.asyncDispose]();
      await world.close();
    },
  };
}
