import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createDue, type DueDeps } from '../../functions/due.ts';
import { jsonLog } from '../../shared/adapters/log.ts';
import type { NextAction } from '../../shared/domain/next-action.ts';
import { permanent } from '../../shared/errors.ts';
import type { Reports } from '../../shared/ports/reports.ts';
import { readConfiguration } from '../../terraform/check/configuration.ts';
import { type Around, surround } from '../support/fakes/calls.ts';
import {
  createWorld,
  DAY_MS,
  HOUR_MS,
  ISSUER_ID,
  MINUTE_MS,
  makeMaterials,
  START,
  type World,
} from '../support/fakes/world.ts';
import { FOLDER } from '../terraform/evaluated.ts';
import {
  bearer,
  CALLER_CLAIMS,
  callerHeaders,
  itRefusesStrangers,
  itVerifiesWholly,
  privately,
} from './support/callers.ts';
import { failing } from './support/failing.ts';
import { type GoogleKeys, googleKeys } from './support/google-keys.ts';
import { rewinder } from './support/rewind.ts';
import { refusal, type Served, serveHandler } from './support/served.ts';

const ANA = '100000000000000000001';
const BEA = '100000000000000000002';
const HINTS_PER_MINUTE = 3;
const RECEIVER = 'https://watch.acme.example/';

let keys: GoogleKeys;
let world: World;
let rewind: () => Promise<void>;
let served: Served;

beforeAll(async () => {
  world = await createWorld(await makeMaterials());
  rewind = await rewinder(world);
  keys = await googleKeys(world.clock);
});
afterAll(async () => {
  await keys.close();
  await world.close();
});
/** For requests that leave nothing behind. */
const inOneWorld = (): void => {
  beforeAll(async () => {
    await rewind();
    served = await start();
  });
  afterAll(() => served.close());
};

/** For each test the world as it was at first. */
const inFreshWorlds = (): void => {
  beforeEach(async () => {
    await rewind();
    served = await start();
  });
  afterEach(() => served.close());
};

let channelsMade = 0;
function start(around: Around = (_call, perform) => perform(), more: Partial<DueDeps> = {}): Promise<Served> {
  const { clock, log } = world;
  const ledger = surround('ledger', world.ledger, around);
  const bus = surround('bus', world.bus, around);
  const directory = surround('directory', world.directory, around);
  const channels = {
    clock,
    log,
    ledger,
    directory,
    receiverUrl: RECEIVER,
    randomBytes: world.deps.random,
    randomId: () => {
      channelsMade += 1;
      return `channel-${channelsMade}`;
    },
  };
  return serveHandler(
    createDue({
      ...privately(keys, clock),
      ...{ clock, log, ledger, bus, channels, hintsPerMinute: HINTS_PER_MINUTE },
      ...more,
    }),
    log,
  );
}

const run = async (on = served) => on.request('/', { headers: await callerHeaders(keys) });

/** A user whose next action is due at this instant. */
async function plan(userId: string, nextAction: NextAction, nextActionAt: Date): Promise<void> {
  const lease = await world.ledger.acquireLease(`user:${userId}`, 60_000);
  if (lease === undefined) throw new Error('The lease is not free.');
  await world.ledger.recordSighting(lease, {
    userId,
    primaryEmail: `user-${userId}@acme.example`,
    aliases: [],
  });
  const state = { userId, state: 'ready', reason: 'Well.', failures: 0, nextAction, nextActionAt } as const;
  await world.ledger.recordState(lease, state);
  await world.ledger.releaseLease(lease);
}

const later = (milliseconds: number) => new Date(START.getTime() + milliseconds);

describe('due', () => {
  inFreshWorlds();

  it('hints nobody and opens a channel when nothing is due', async () => {
    await plan(ANA, 'renew', later(1));
    const answer = await run();
    expect(answer).toMatchObject({
      status: 200,
      json: { users: 0, channels: { open: 1, opened: 1, stopped: 0 } },
    });
    expect(world.bus.hints).toEqual([]);
    expect(world.bus.crlRequests).toEqual([]);
  });

  it('hints at whoever’s time has come, from the very instant, with what is due', async () => {
    await plan(ANA, 'renew', START);
    await plan(BEA, 'revoke-replaced', later(-HOUR_MS));
    expect(await run()).toMatchObject({ status: 200, json: { users: 2 } });
    const eventId = `due-${START.toISOString()}`;
    expect(world.bus.hints).toEqual([
      { userId: BEA, cause: { source: 'due', eventId, event: 'revoke-replaced' } },
      { userId: ANA, cause: { source: 'due', eventId, event: 'renew' } },
    ]);
  });

  describe('with hints at users whom the directory did not show yet', () => {
    const created = (name: string) => ({
      address: `${name}@acme.example`,
      cause: { source: 'audit', eventId: `entry-${name}`, event: 'CREATE_USER', at: START } as const,
    });
    const waiting = async () => (await world.ledger.putOffHints(10)).map(({ hint }) => hint);
    beforeEach(async () => {
      for (const name of ['ana', 'bea', 'cleo']) await world.ledger.recordPutOff(created(name));
    });

    it('publishes them again as they were, a quarter of a minute’s hints, and forgets them', async () => {
      expect((await run()).status).toBe(200);
      expect(world.bus.hints).toEqual([created('ana')]);
      expect(await waiting()).toEqual([created('bea'), created('cleo')]);
      expect(world.log.of('due')).toMatchObject([{ fields: { users: 0, askedAgain: 1 } }]);
    });

    it('keeps them when they cannot be published', async () => {
      const on = await start(failing('publishHints', 'bus-unavailable').around);
      try {
        expect((await run(on)).status).toBe(503);
        expect(await waiting()).toHaveLength(3);
      } finally {
        await on.close();
      }
    });

    it('keeps one that is put off again before it is forgotten', async () => {
      const on = await start(async (call, perform) => {
        if (call.method === 'forgetPutOff') await world.ledger.recordPutOff(created('ana'));
        return await perform();
      });
      try {
        await run(on);
        expect(await waiting()).toEqual([created('bea'), created('cleo'), created('ana')]);
      } finally {
        await on.close();
      }
    });
  });

  describe('that reads the Reports API too', () => {
    const reading = (reports: Reports) =>
      start(undefined, {
        reports: { ...world, reports, elapsedMs: () => performance.now(), budgetMs: 10_000 },
      });
    const lost: Reports = {
      activityPage: async () => ({
        activities: [
          {
            happenedAt: later(-HOUR_MS),
            uniqueQualifier: '1',
            events: [{ name: 'CREATE_USER', parameters: new Map([['USER_EMAIL', 'cleo@acme.example']]) }],
          },
        ],
      }),
    };

    it('hints at whom the log sink did not tell of, beside whoever’s time has come', async () => {
      await plan(ANA, 'renew', START);
      const on = await reading(lost);
      expect(await run(on)).toMatchObject({ status: 200, json: { users: 1 } });
      await on.close();
      expect(world.bus.hints).toMatchObject([{ userId: ANA }, { address: 'cleo@acme.example' }]);
      expect(world.log.of('due')).toMatchObject([{ fields: { reports: 'read' } }]);
    });

    it('does all its other work where the list cannot be read, and succeeds', async () => {
      await plan(ANA, 'renew', START);
      const on = await reading({
        activityPage: () => Promise.reject(permanent('reports-refused', 'The privilege is missing.')),
      });
      expect(await run(on)).toMatchObject({ status: 200, json: { users: 1, channels: { opened: 1 } } });
      await on.close();
      expect(await world.ledger.reportsReading()).toMatchObject({ failures: 1 });
      expect(world.log.of('reports-not-read')).toMatchObject([{ severity: 'warning' }]);
    });
  });

  describe('to whom somebody is due that it hinted at', () => {
    const hinted = () => world.bus.hints.splice(0).map((hint) => ('userId' in hint ? hint.userId : ''));
    const minutesLater = async (minutes: number) => {
      world.clock.advance(minutes * MINUTE_MS);
      await run();
      return hinted();
    };

    it('hints again when that has led to nothing for ten minutes, and no sooner', async () => {
      await plan(ANA, 'renew', START);
      expect(await minutesLater(0)).toEqual([ANA]);
      for (let minute = 1; minute < 10; minute += 1) expect(await minutesLater(1)).toEqual([]);
      expect(await minutesLater(1)).toEqual([ANA]);
      expect(await minutesLater(1)).toEqual([]);
    });

    it('hints again as soon as they are due anew, as after a look that failed', async () => {
      await plan(ANA, 'renew', START);
      expect(await minutesLater(0)).toEqual([ANA]);
      await plan(ANA, 'retry-make-key', later(2 * MINUTE_MS));
      expect(await minutesLater(1)).toEqual([]);
      expect(await minutesLater(1)).toEqual([ANA]);
    });

    it('hints again when whoever looked at them has died', async () => {
      await plan(ANA, 'renew', START);
      expect(await minutesLater(0)).toEqual([ANA]);
      await world.ledger.acquireLease(`user:${ANA}`, 60_000);
      await world.expireLeases();
      expect(await minutesLater(1)).toEqual([ANA]);
      expect(await minutesLater(1)).toEqual([]);
    });
  });

  it('has no more hints under way than go out in a minute, and those first who were never hinted at', async () => {
    const ids = ['1', '2', '3', '4', '5'];
    for (const [index, userId] of ids.entries()) await plan(userId, 'renew', later(index - 10));
    const next = async (minutes: number) => {
      world.clock.advance(minutes * MINUTE_MS);
      const { json } = await run();
      const hinted = world.bus.hints.splice(0).map((hint) => ('userId' in hint ? hint.userId : ''));
      expect(json).toMatchObject({ users: hinted.length });
      return hinted;
    };
    expect(await next(0)).toEqual(['1', '2', '3']);
    expect(await next(1)).toEqual([]);
    await plan('2', 'renew', later(DAY_MS));
    expect(await next(1)).toEqual(['4']);
    expect(await next(8)).toEqual(['5', '1']);
  });

  it('hints at a user whose worker died, who is in no row but the lease’s', async () => {
    await world.ledger.acquireLease(`user:${ANA}`, 60_000);
    await world.expireLeases();
    await run();
    expect(world.bus.hints).toMatchObject([{ userId: ANA, cause: { source: 'due', event: 'resume' } }]);
  });

  it('hints at a user who was asked about while the worker died', async () => {
    await world.ledger.acquireLease(`user:${ANA}`, 60_000);
    await world.ledger.acquireLease(`user:${ANA}`, 60_000);
    await world.expireLeases();
    await run();
    expect(world.bus.hints).toMatchObject([{ userId: ANA, cause: { source: 'due', event: 'look-again' } }]);
  });

  it('hints for the sake of whoever asked, where they said for what', async () => {
    const cause = {
      source: 'audit',
      eventId: 'entry-1',
      event: 'DELETE_USER',
      actor: 'ops@acme.example',
    } as const;
    await world.ledger.acquireLease(`user:${ANA}`, 60_000);
    await world.ledger.acquireLease(`user:${ANA}`, 60_000, cause);
    await world.expireLeases();
    await run();
    expect(world.bus.hints).toEqual([{ userId: ANA, cause }]);
  });
});

describe('due logs what the alerts of Terraform look for', () => {
  inFreshWorlds();

  it('one line of numbers a run, and none of an alarm while nothing is wrong', async () => {
    await plan(ANA, 'renew', START);
    await run();
    expect(world.log.of('freshness')).toMatchObject([
      { severity: 'info', fields: { dueUsers: 1, channelLeftSeconds: expect.any(Number) } },
    ]);
    expect(world.log.of('alarm')).toEqual([]);
  });

  it('one line for each alarm that stands, which the filter of the alert matches', async () => {
    const written: string[] = [];
    const refused = failing('watch', 'directory-refused', permanent('directory-refused', 'Not now.'));
    const alarmed = await start(refused.around, { log: jsonLog((line) => written.push(line)) });
    try {
      await run(alarmed);
    } finally {
      await alarmed.close();
    }
    const lines = written.map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
    const matched = lines.filter((line) => isMatched(filter, line));
    expect(matched).toMatchObject([
      { alarm: 'no-channel', message: expect.stringContaining('No notification channel is open') },
    ]);
    expect(matched.map((line) => label(line))).toEqual(['no-channel']);
    expect(lines.map(({ event }) => event)).toContain('freshness');
  });

  let filter: string;
  let label: (line: Readonly<Record<string, unknown>>) => unknown;
  beforeAll(async () => {
    const { blocks } = await readConfiguration(FOLDER);
    const alerts = blocks.find(({ address }) => address === 'local.logged_alerts')?.body['value'];
    const alert = (alerts as Record<string, { filter: string; labels: { alarm: string } }>)['freshness'];
    filter = alert?.filter ?? '';
    const field = /^EXTRACT\(jsonPayload\.(\w+)\)$/.exec(alert?.labels.alarm ?? '')?.[1] ?? '';
    label = (line) => line[field];
  });

  /** The three comparisons that the filter is made of; Cloud Logging takes `severity` out of the line. */
  function isMatched(text: string, line: Readonly<Record<string, unknown>>): boolean {
    const severities = ['INFO', 'WARNING', 'ERROR', 'CRITICAL'];
    return text.split(' AND ').every((comparison) => {
      const [, service] = /^resource\.labels\.service_name="([^"]+)"$/.exec(comparison) ?? [];
      if (service !== undefined) return service === 'due';
      const [, least] = /^severity>=(\w+)$/.exec(comparison) ?? [];
      if (least !== undefined)
        return severities.indexOf(String(line['severity'])) >= severities.indexOf(least);
      const [, field = '', value] = /^jsonPayload\.(\w+)="([^"]+)"$/.exec(comparison) ?? [];
      if (value === undefined) throw new Error(`The filter says ${comparison}, which this cannot read.`);
      return line[field] === value;
    });
  }
});

describe('due asks for an issuer’s CRL', () => {
  inFreshWorlds();

  it('when it has not a day left, and not before', async () => {
    const published = await world.ledger.latestPublishedCrl(ISSUER_ID);
    const end = published?.nextUpdate.getTime() ?? Number.NaN;
    world.clock.set(new Date(end - DAY_MS));
    await keepingTime();
    expect(world.bus.crlRequests).toEqual([]);
    world.clock.advance(1);
    await keepingTime();
    expect(world.bus.crlRequests).toEqual([ISSUER_ID]);
  });

  it('when it was never published', async () => {
    await world.ledger.recordIssuer({
      ...world.issuer,
      issuerId: 'issuing-2',
      crlUrl: 'http://pki.acme.example/issuing-2.crl',
      state: 'retiring',
    });
    await run();
    expect(world.bus.crlRequests).toEqual(['issuing-2']);
  });

  it('when OCSP answers are left that the schedule should have made anew, and every minute as long as there are', async () => {
    let ageMs = 43 * HOUR_MS - 1;
    const old = await start(async (call, perform) => {
      if (call.method === 'issuers') return [{ ...world.issuer, ocspUrl: 'http://pki.acme.example/ocsp' }];
      if (call.method !== 'oldestOcspAnswer') return await perform();
      return { serialHex: '0a', thisUpdate: new Date(world.clock.now().getTime() - ageMs) };
    });
    const requestsAfter = async (minutes: number) => {
      world.clock.advance(minutes * MINUTE_MS);
      await run(old);
      return world.bus.crlRequests.length;
    };
    try {
      expect(await requestsAfter(0)).toBe(0);
      ageMs += 1;
      expect(await requestsAfter(10)).toBe(1);
      expect(await requestsAfter(1)).toBe(2);
      ageMs = 0;
      expect(await requestsAfter(1)).toBe(2);
    } finally {
      await old.close();
    }
  });

  it('never when the issuer is retired', async () => {
    await world.ledger.recordIssuer({ ...world.issuer, issuerId: 'issuing-0', state: 'retired' });
    await run();
    expect(world.bus.crlRequests).toEqual([]);
  });

  /** A run by a caller whose token is as old as the clock says. */
  async function keepingTime(): Promise<void> {
    const now = Math.floor(world.clock.now().getTime() / 1000);
    const token = await keys.token({ ...CALLER_CLAIMS, iat: now, exp: now + 3600 });
    expect((await served.request('/', { headers: bearer(token) })).status).toBe(200);
  }
});

describe('due keeps the notification channel', () => {
  inFreshWorlds();

  it('and asks the directory for no second one while the first lasts', async () => {
    await run();
    expect(await run()).toMatchObject({ json: { channels: { open: 1, opened: 0, stopped: 0 } } });
    expect([...world.directory.openChannels.values()]).toMatchObject([{ address: RECEIVER }]);
  });

  it('and hints all the same when the directory refuses one', async () => {
    await plan(ANA, 'renew', START);
    const refused = permanent('directory-refused', 'Push is not allowed for this domain.');
    const disturbed = await start(failing('watch', 'directory-refused', refused).around);
    try {
      expect(await run(disturbed)).toMatchObject({
        status: 200,
        json: { users: 1, channels: { open: 0, opened: 0 } },
      });
      expect(world.log.of('channel-refused')).toHaveLength(1);
    } finally {
      await disturbed.close();
    }
  });

  it('also while Pub/Sub is away, because a channel that ends loses notifications', async () => {
    await plan(ANA, 'renew', START);
    const away = failing('publishHints', 'bus-unavailable');
    const disturbed = await start(away.around);
    try {
      expect(await run(disturbed)).toMatchObject(refusal(503, 'bus-unavailable'));
      expect(world.directory.openChannels.size).toBe(1);
    } finally {
      await disturbed.close();
    }
  });
});

describe('due, after an answer of 503 with Retry-After, hints at the same users once', () => {
  inFreshWorlds();

  it.each([
    ['Pub/Sub is back', 'publishHints', 'bus-unavailable'],
    ['Pub/Sub takes publication requests again', 'requestCrl', 'bus-unavailable'],
    ['the ledger is back', 'dueUsers', 'ledger-unavailable'],
    ['the ledger takes down whom it hinted at', 'recordDueHints', 'ledger-unavailable'],
    ['the ledger answers for issuers', 'issuers', 'ledger-unavailable'],
    ['the ledger answers for channels', 'channels', 'ledger-unavailable'],
  ] as const)('%s', async (_what, method, code) => {
    await plan(ANA, 'renew', START);
    await world.ledger.recordIssuer({ ...world.issuer, issuerId: 'issuing-2', state: 'retiring' });
    const away = failing(method, code);
    const disturbed = await start(away.around);
    try {
      const answer = await run(disturbed);
      expect(answer).toMatchObject(refusal(503, code));
      expect(answer.headers.get('retry-after')).toBe('7');
      away.on = false;
      expect((await run(disturbed)).status).toBe(200);
      expect(world.bus.hints.map((hint) => ('userId' in hint ? hint.userId : ''))).toContain(ANA);
      expect(world.bus.crlRequests).toContain('issuing-2');
      expect(world.directory.openChannels.size).toBe(1);
    } finally {
      await disturbed.close();
    }
  });
});

describe('due refuses a request', () => {
  inOneWorld();
  const call = (headers: Readonly<Record<string, string>>) => served.request('/', { headers });
  afterEach(() => {
    expect(world.directory.openChannels.size).toBe(0);
  });
  itRefusesStrangers(() => keys, call);
  itVerifiesWholly(() => keys, call);
});
