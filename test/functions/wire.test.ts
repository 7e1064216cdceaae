import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requestRekey } from '../../functions/admin/rekey.ts';
import { parseDirectoryEvent } from '../../functions/wire/hint-message.ts';
import { parseJsonObject } from '../../functions/wire/http.ts';
import { parseMessageJson, parsePushEnvelope } from '../../functions/wire/push-envelope.ts';
import { pubsubBus } from '../../shared/adapters/pubsub/pubsub-bus.ts';
import type { Cause, Hint, HintSource } from '../../shared/domain/hint.ts';
import { REVOCATION_REASONS } from '../../shared/domain/revocation-reason.ts';
import { isSealwrightError } from '../../shared/errors.ts';
import { ScriptedServer } from '../adapters/scripted-server.ts';
import { testIdentity, testRetry } from '../adapters/world.ts';
import { manualClock } from '../support/fakes/clock.ts';
import { fakeDirectory } from '../support/fakes/directory.ts';
import { keptLog } from '../support/fakes/log.ts';
import { POLICY, START } from '../support/fakes/world.ts';
import { inForce } from '../support/policy.ts';

describe('what the bus sends', () => {
  const server = new ScriptedServer();
  beforeAll(() => server.start());
  afterAll(() => server.stop());

  const bus = () => {
    server.play(({ body }) => ({
      body: { messageIds: (JSON.parse(body).messages as unknown[]).map((_, index) => String(index)) },
    }));
    return pubsubBus({
      projectId: 'acme',
      own: testIdentity(),
      endpoints: { rootUrl: server.rootUrl },
      retry: testRetry().settings,
    });
  };
  /** The messages as Pub/Sub pushes them: `data` untouched, an id of its own. */
  const pushed = () =>
    server.asked
      .flatMap(({ body }) => JSON.parse(body).messages as { data: string; attributes: object }[])
      .map((message, index) =>
        Buffer.from(JSON.stringify({ message: { ...message, messageId: `m-${index}` }, deliveryAttempt: 1 })),
      )
      .map((body) => parsePushEnvelope(parseJsonObject(body)));

  /** Any text that the ledger can keep. */
  const text = fc.string({ unit: 'grapheme' }).filter((value) => !value.includes('\0'));
  const cause: fc.Arbitrary<Cause> = fc.record(
    {
      source: fc.constantFrom<HintSource>('watch', 'audit', 'sweep', 'due', 'admin'),
      eventId: text,
      event: text,
      actor: text,
    },
    { requiredKeys: ['source', 'eventId', 'event'] },
  );
  const userId = fc.stringMatching(/^\d{1,32}$/);
  const address = fc.emailAddress().map((value) => value.toLowerCase());
  const hint: fc.Arbitrary<Hint> = fc.oneof(
    fc.record({ userId, cause }),
    fc.record({ address, formerAddress: address, cause }, { requiredKeys: ['address', 'cause'] }),
  );

  it('as hints is read as the same hints, in their order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(hint, { minLength: 1, maxLength: 20 }), async (hints) => {
        await bus().publishHints(hints);
        const read = pushed().flatMap((message) => {
          const command = parseDirectoryEvent(message);
          expect(command.ignored).toEqual([]);
          return command.hints;
        });
        expect(read).toEqual(hints);
      }),
      { numRuns: 25 },
    );
  });

  it('as one hint too', async () => {
    const one: Hint = { userId: '1', cause: { source: 'sweep', eventId: 'sweep-1', event: 'differs' } };
    await bus().publishHint(one);
    expect(pushed().map(parseDirectoryEvent)).toEqual([{ hints: [one], units: [], ignored: [] }]);
  });

  it('as a publication request names the issuer, and is no hint', async () => {
    await bus().requestCrl('issuing-1');
    const [message] = pushed();
    if (message === undefined) throw new Error('Nothing was sent.');
    expect(parseMessageJson(message)).toEqual({ version: 1, issuerId: 'issuing-1' });
    expect(() => parseDirectoryEvent(message)).toThrow('has no valid "cause"');
  });
});

describe('a re-key request of any JSON', () => {
  const nobodyThere = () => {
    const touched: string[] = [];
    const touch = (what: string) => async (): Promise<never> => {
      touched.push(what);
      throw new Error(`${what} was reached.`);
    };
    const deps = {
      clock: manualClock(START),
      directory: fakeDirectory(manualClock(START)),
      ledger: {
        departuresSince: () => Promise.reject(new Error('down')),
        usersTakenFromByJobs: () => Promise.reject(new Error('down')),
        readIssuer: () => Promise.reject(new Error('down')),
        holdersUnder: () => Promise.reject(new Error('down')),
        liveHolders: async () => [],
        userIdsOfAddress: async () => [],
        recordRekeyJob: touch('recordRekeyJob'),
        audit: touch('audit'),
      },
      bus: { publishHints: touch('publishHints') },
      policies: inForce(POLICY),
      hintsPerMinute: 400,
      log: keptLog(),
    };
    return { deps, touched };
  };
  /** Fields as they should be, and as they should not. */
  const nearly = fc.record(
    {
      users: fc.oneof(fc.array(fc.oneof(fc.emailAddress(), fc.string({ unit: 'binary' }))), fc.jsonValue()),
      orgUnit: fc.oneof(
        fc.constantFrom('/', '/Staff', 'Staff'),
        fc.string({ unit: 'binary' }),
        fc.jsonValue(),
      ),
      group: fc.oneof(fc.emailAddress(), fc.jsonValue()),
      all: fc.oneof(fc.constant(true), fc.jsonValue()),
      reason: fc.oneof(
        fc.constantFrom(...Object.keys(REVOCATION_REASONS), 'constructor', '__proto__'),
        fc.jsonValue(),
      ),
      invalidityDate: fc.oneof(
        fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
        fc.jsonValue(),
      ),
      dryRun: fc.oneof(fc.boolean(), fc.jsonValue()),
      extra: fc.jsonValue(),
    },
    { requiredKeys: ['reason'] },
  );

  it('that names nobody is refused with a sentence, and nothing is written', async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.jsonValue(), nearly), async (body) => {
        const { deps, touched } = nobodyThere();
        const error: unknown = await requestRekey(deps, 'admin@acme.example', body).then(
          () => expect.unreachable(),
          (thrown: unknown) => thrown,
        );
        if (!isSealwrightError(error)) throw error;
        expect(['invalid-input', 'permanent']).toContain(error.kind);
        expect(error.message).toMatch(/\.$/);
        expect(touched).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});
