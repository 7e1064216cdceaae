/**
 * Hints and publication requests over Pub/Sub. A message is JSON in `data` and a `kind` in its attributes:
 *
 * | topic              | `kind`        | `data`                                                     |
 * |--------------------|---------------|------------------------------------------------------------|
 * | `directory-events` | `hint`        | `{"version":1,"userId" or "address":…,"cause":{…}}`        |
 * | `crl-requests`     | `crl-request` | `{"version":1,"issuerId":…}`                               |
 *
 * Beside the address from after a rename stands `formerAddress`, beside that of whoever was moved or has another alias `detail`. No ordering keys: with push, one poison message would hold up all later ones of its key. The ledger's leases keep
 * a user's work apart. A batch whose answer was lost is sent again; hints may be repeated.
 *
 * It publishes with the plain publisher client: the queueing one returns before anything is sent and sends from
 * timers, which do not run between requests in a function.
 */
import type { v1 } from '@google-cloud/pubsub';
import type { Hint } from '../../domain/hint.ts';
import type { Bus } from '../../ports/bus.ts';
import { callGoogle } from '../google/call.ts';
import { GoogleCallError } from '../google/call-error.ts';
import { type GoogleEndpoints, gaxEndpoint } from '../google/endpoints.ts';
import { once } from '../google/once.ts';
import type { OwnIdentity } from '../google/own-identity.ts';
import type { RetrySettings } from '../google/retry.ts';
import { busFailure } from './failure.ts';

export interface PubsubBusOptions {
  readonly projectId: string;
  readonly own: OwnIdentity;
  readonly endpoints: GoogleEndpoints;
  readonly retry: RetrySettings;
  /** Short names of the topics; `directory-events` and `crl-requests` unless told. */
  readonly topics?: { readonly hints?: string; readonly crlRequests?: string };
}

/** Pub/Sub takes 1000 messages and 10 MB in one publish; a hint has a few hundred bytes. */
const BATCH = 500;

interface Message {
  readonly data: Buffer;
  readonly attributes: Record<string, string>;
}

export function pubsubBus(options: PubsubBusOptions): Bus {
  const { projectId, own, retry } = options;
  const hintTopic = `projects/${projectId}/topics/${options.topics?.hints ?? 'directory-events'}`;
  const crlTopic = `projects/${projectId}/topics/${options.topics?.crlRequests ?? 'crl-requests'}`;

  // The package takes a third of a second to load; only functions that publish pay for it, at their first message.
  const client = once(async (): Promise<v1.PublisherClient> => {
    const pubsub = await import('@google-cloud/pubsub');
    return new pubsub.v1.PublisherClient({ projectId, auth: own.auth, ...gaxEndpoint(options.endpoints) });
  });

  async function publish(topic: string, messages: Message[]): Promise<void> {
    const publisher = await client();
    try {
      await callGoogle({ method: 'pubsub.projects.topics.publish', repeatable: 'any-time', retry }, own, () =>
        publisher.publish({ topic, messages }, { retry: null, timeout: retry.attemptTimeoutMs }),
      );
    } catch (error) {
      throw error instanceof GoogleCallError ? busFailure(error, topic) : error;
    }
  }

  const publishHints = async (hints: readonly Hint[]): Promise<void> => {
    for (let start = 0; start < hints.length; start += BATCH) {
      await publish(
        hintTopic,
        hints.slice(start, start + BATCH).map((hint) => message('hint', hint)),
      );
    }
  };

  return {
    publishHint: (hint) => publishHints([hint]),
    publishHints,
    requestCrl: (issuerId) => publish(crlTopic, [message('crl-request', { issuerId })]),
  };
}

const message = (kind: string, content: Readonly<Record<string, unknown>> | Hint): Message => ({
  data: Buffer.from(JSON.stringify({ version: 1, ...content })),
  attributes: { kind },
});
