/**
 * The event path of the product over a Pub/Sub: what is published on `directory-events` reaches the function
 * `directory-event` by push, and the user becomes ready. The same for Google's own emulator and for ours; where the
 * two differ, a test says how.
 */
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { http } from '@google-cloud/functions-framework';
import { getTestServer } from '@google-cloud/functions-framework/testing';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createDirectoryEvent } from '../../functions/directory-event.ts';
import { asHttpFunction } from '../../functions/wire/http.ts';
import { retryable } from '../../shared/errors.ts';
import { createWorld, makeMaterials, type World } from '../support/fakes/world.ts';
import { inForce } from '../support/policy.ts';
import type { PubSubTraits, PubSubUnderTest } from './pubsub.ts';

const AUDIENCE = 'https://directory-event.acme.example';
const PUSHER = 'push@acme-sealwright.iam.gserviceaccount.com';
const WAIT = { timeout: 25_000, interval: 50 };
const segment = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** As Cloud Run hands a caller's token on: claims as they were, the signature gone. */
const stripped = (claims: unknown) =>
  `Bearer ${segment({ alg: 'RS256' })}.${segment(claims)}.SIGNATURE_REMOVED_BY_GOOGLE`;

export function eventPathContract(
  name: string,
  traits: PubSubTraits,
  start: () => Promise<PubSubUnderTest>,
): void {
  describe(`the event path over ${name}`, () => {
    let pubsub: PubSubUnderTest;
    let world: World;
    let front: Front;
    const userIds = {
      joiner: '100000000000000000001',
      audited: '100000000000000000002',
      stormy: '100000000000000000003',
    };

    beforeAll(async () => {
      [pubsub, world] = await Promise.all([start(), makeMaterials().then(createWorld)]);
      front = await openFront(world, name);
      await pubsub.client.createTopic('directory-events');
      await pubsub.client.topic('directory-events').createSubscription('directory-events-push', {
        pushConfig: {
          pushEndpoint: front.url,
          oidcToken: { serviceAccountEmail: PUSHER, audience: AUDIENCE },
        },
        ackDeadlineSeconds: 60,
        retryPolicy: { minimumBackoff: { nanos: 100_000_000 }, maximumBackoff: { seconds: 1 } },
      });
    }, 60_000);

    afterAll(async () => {
      await pubsub?.close();
      await front?.close();
      await world?.close();
    });

    const publish = (message: unknown) =>
      pubsub.client.topic('directory-events').publishMessage({ data: Buffer.from(JSON.stringify(message)) });
    const ready = async (userId: string) =>
      await vi.waitFor(async () => {
        const ledger = await world.ledger.readUser(userId);
        expect(ledger.user?.state).toBe('ready');
        return ledger;
      }, WAIT);
    const onePair = async (userId: string) => {
      const { primaryEmail } = world.directory.living(userId) ?? { primaryEmail: '' };
      expect(await world.gmail.listKeypairs(primaryEmail)).toHaveLength(1);
      expect(await world.gmail.listIdentities(primaryEmail)).toHaveLength(1);
      expect((await ready(userId)).leaves.filter((leaf) => leaf.revocation === undefined)).toHaveLength(1);
    };

    test('a hint makes a joiner ready, with one pair, one identity and one certificate', async () => {
      world.directory.put({ userId: userIds.joiner });
      await publish({
        version: 1,
        userId: userIds.joiner,
        cause: { source: 'watch', eventId: 'w:2', event: 'add' },
      });
      await ready(userIds.joiner);
      await onePair(userIds.joiner);
    }, 40_000);

    test('an audit entry as the log sink publishes it does the same, from an address alone', async () => {
      const { primaryEmail } = world.directory.put({ userId: userIds.audited });
      await publish({
        insertId: 'fjwwoaeb955f',
        protoPayload: {
          methodName: 'google.admin.AdminService.createUser',
          metadata: {
            event: [{ eventName: 'CREATE_USER', parameter: [{ name: 'USER_EMAIL', value: primaryEmail }] }],
          },
        },
      });
      await ready(userIds.audited);
      await onePair(userIds.audited);
    }, 40_000);

    test('a delivery that failed comes again and succeeds once the cause is gone; one that nobody understands does not', async () => {
      world.directory.put({ userId: userIds.stormy });
      front.failNext(2);
      const before = front.refused();
      await pubsub.client.topic('directory-events').publishMessage({ data: Buffer.from('no JSON') });
      await publish({
        version: 1,
        userId: userIds.stormy,
        cause: { source: 'watch', eventId: 'w:3', event: 'add' },
      });
      await ready(userIds.stormy);
      expect(front.refused() - before).toBe(2);
      await vi.waitFor(async () => {
        const trail = await world.ledger.auditTrail({ limit: 1_000 });
        expect(trail.filter((entry) => entry.step === 'hint-ignored')).toHaveLength(1);
      }, WAIT);
    }, 60_000);

    test(
      traits.pushesCarryTokens
        ? 'every push carried a token for the audience, as the real service sends it'
        : 'no push carried a token, unlike the real service, so Cloud Run’s part was played by the test',
      () => {
        const carried = front.tokens().map((header) => header !== undefined);
        expect(carried.length).toBeGreaterThanOrEqual(3);
        expect(new Set(carried)).toEqual(new Set([traits.pushesCarryTokens]));
      },
    );
  });
}

interface Front {
  readonly url: string;
  /** The Authorization headers as Pub/Sub sent them. */
  tokens(): readonly (string | undefined)[];
  refused(): number;
  /** The directory fails the next looks, so that the function answers 503. */
  failNext(times: number): void;
  close(): Promise<void>;
}

/** Cloud Run's front and, behind it, the function on the functions framework. */
async function openFront(world: World, name: string): Promise<Front> {
  let failures = 0;
  let refused = 0;
  const tokens: (string | undefined)[] = [];
  const directory: World['directory'] = {
    ...world.directory,
    presence: async (userId) => {
      if (failures > 0) {
        failures -= 1;
        throw retryable('directory-unavailable', 'The directory is away.');
      }
      return await world.directory.presence(userId);
    },
  };
  const handler = createDirectoryEvent({
    ...world.deps,
    policies: inForce(world.deps.policy),
    directory,
    callers: { behindIam: true, audience: AUDIENCE, emails: [PUSHER] },
    idTokens: { verify: () => Promise.reject(new Error('Behind IAM nothing is verified twice.')) },
  });
  const target = `event-path-${name.replaceAll(/[^A-Za-z]+/g, '-')}`;
  http(target, asHttpFunction(handler, { name: target, log: world.log, maxBodyBytes: 1_000_000 }));
  const server = getTestServer(target);
  const address = await listen(server);
  const proxy = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    tokens.push(request.headers.authorization);
    const answer = await fetch(address, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: handedOn(request.headers) },
      body: Buffer.concat(chunks),
    });
    if (answer.status === 503) refused += 1;
    response.writeHead(answer.status).end();
  });
  return {
    url: await listen(proxy),
    tokens: () => tokens,
    refused: () => refused,
    failNext: (times) => {
      failures = times;
    },
    close: async () => {
      for (const one of [proxy, server]) {
        one.closeAllConnections();
        await new Promise((resolve) => one.close(resolve));
      }
    },
  };
}

function handedOn(headers: IncomingHttpHeaders): string {
  const claims = headers.authorization?.split('.')[1];
  return claims === undefined
    ? stripped({ aud: AUDIENCE, email: PUSHER, email_verified: true })
    : stripped(JSON.parse(Buffer.from(claims, 'base64url').toString('utf8')));
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}
